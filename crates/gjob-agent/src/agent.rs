//! The agent: the far end of one link. A launcher, and a `tail -f` of the run
//! log; what it says of jobs is what the log holds.
//!
//! One thread, one `poll` over the link, the log and the slots.

mod asked;
mod attach;
mod blobs;
mod collect;
mod errands;
mod fates;
mod forget;
mod inbox;
mod launches;
mod lock;
mod look;
mod outbox;
mod place;
mod reads;
mod recover;
mod removal;
mod remove;
mod room;
mod slots;
mod strays;
mod tail;
mod uses;

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use gjob_core::record::one_line;
use gjob_core::wire::{DecodeError, FromAgent, ToAgent};
use gjob_core::{HostLabel, Key, Record, RunId};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::Mode;

use self::attach::{AttachError, Attached};
use self::blobs::Blobs;
use self::errands::{Errands, Pace};
use self::fates::Fates;
use self::inbox::Inbox;
use self::launches::Queue;
use self::lock::RunLock;
use self::outbox::Outbox;
use self::room::Room;
use self::slots::{AdoptedSlot, OwnSlot};
use self::strays::Strays;
use self::tail::{Tail, TailError};
use crate::claims::Claims;
use crate::control;
use crate::host;
use crate::jobdir::{Layout, RunDir};
use crate::lease::KeptLease;
use crate::runlog::RunLog;

/// How long the last words to the manager may take.
const FAREWELL: Duration = Duration::from_secs(5);

/// How often is looked at what the kernel can't wake us for.
const LOOK: Duration = Duration::from_millis(50);

/// How often a record that the disk would not take is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// The most hashes or ids in one question.
const MAX_ASKED: usize = 4096;

/// Why an agent stops that should not have.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
enum AgentError {
    #[error("take up the run: {0}")]
    Attach(#[from] AttachError),
    #[error("follow the run: {0}")]
    Tail(#[from] TailError),
    #[error("understand the manager: {0}")]
    Decode(#[from] DecodeError),
    #[error("understand the manager: {0}")]
    Protocol(&'static str),
    #[error("wait: {0}")]
    Poll(#[source] io::Error),
}

impl AgentError {
    fn is_permanent(&self) -> bool {
        match self {
            AgentError::Attach(error) => error.is_permanent(),
            AgentError::Decode(_) | AgentError::Protocol(_) => true,
            AgentError::Tail(error) => !matches!(error, TailError::Io(_)),
            AgentError::Poll(_) => false,
        }
    }
}

/// Runs an agent on this process's standard input and output.
pub(crate) fn run() -> ExitCode {
    // The manager sees the magic line after this: it knows that no lease that
    // runs from here ends later than one that runs from there.
    let began_ms = host::since_boot_ms();
    let umask = rustix::process::umask(Mode::from_raw_mode(0o077)).as_raw_mode();
    let mut out = match Outbox::open() {
        Ok(out) => out,
        Err(_) => return ExitCode::FAILURE,
    };
    let mut inbox = Inbox::new();
    let code = match serve(&mut inbox, &mut out, umask, began_ms) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            out.send(&FromAgent::Fault {
                reason: one_line(&format!("failed to {error}")),
                permanent: error.is_permanent(),
            });
            ExitCode::FAILURE
        }
    };
    out.drain(FAREWELL);
    code
}

fn serve(inbox: &mut Inbox, out: &mut Outbox, umask: u32, began_ms: u64) -> Result<(), AgentError> {
    let first = loop {
        if out.flush().is_err() || inbox.is_over() {
            return Ok(());
        }
        if let Some(message) = inbox.next()? {
            break message;
        }
        look::wait_for_input(inbox, out, Duration::MAX)?;
    };
    let ToAgent::Attach(mut attach) = first else {
        return Err(AgentError::Protocol("its first message is no attachment"));
    };
    let (layout, slots) = (attach::layout(&attach)?, attach.slots);
    match attach.run.take() {
        Some(run) => {
            let attached = Attached::new(run, attach, began_ms)?;
            out.send(&attach::welcome(&layout, slots, place::make(&layout)));
            Agent::new(attached, umask).serve(inbox, out)
        }
        None => {
            out.send(&attach::welcome(&layout, slots, place::read(&layout)));
            look::look(&layout, inbox, out)
        }
    }
}

/// What to wait for on standard input: nothing while answers would have no room.
fn listens(out: &Outbox) -> PollFlags {
    if out.is_full() { PollFlags::empty() } else { PollFlags::IN }
}

fn poll_for(fds: &mut [PollFd<'_>], limit: Duration) -> Result<(), AgentError> {
    let limit = Timespec {
        tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: limit.subsec_nanos().into(),
    };
    match poll(fds, Some(&limit)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(AgentError::Poll(error.into())),
    }
}

/// An attached agent.
#[derive(Debug)]
struct Agent {
    run: RunId,
    host: HostLabel,
    layout: Layout,
    run_dir: RunDir,
    hostname: String,
    cpus: u32,
    slots: u32,
    room: Room,
    umask: u32,
    log: RunLog,
    tail: Tail,
    claims: Claims,
    blobs: Blobs,
    errands: Errands,
    fates: Fates,
    queue: Queue,
    own: Vec<OwnSlot>,
    adopted: Vec<AdoptedSlot>,
    strays: Strays,
    /// Attempts that the log says were started, by a slot that is not known.
    unowned: Vec<Key>,
    /// Why the log can't be followed any more.
    broken: Option<TailError>,
    lease: Option<KeptLease>,
    _lock: RunLock,
}

/// Whether the manager stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stay {
    Yes,
    No,
}

impl Agent {
    fn new(attached: Attached, umask: u32) -> Self {
        Agent {
            run: attached.run,
            host: attached.host,
            claims: Claims::new(attached.run_dir.keys()),
            blobs: Blobs::new(
                attached.layout.clone(),
                &attached.run_dir,
                attached.hostname.clone(),
                attached.blob_budget,
            ),
            errands: Errands::new(attached.layout.clone()),
            layout: attached.layout,
            run_dir: attached.run_dir,
            hostname: attached.hostname,
            cpus: attached.cpus,
            slots: attached.slots,
            room: Room::new(attached.slots),
            umask,
            log: attached.log,
            tail: attached.tail,
            fates: Fates::default(),
            queue: Queue::default(),
            own: Vec::new(),
            adopted: Vec::new(),
            strays: Strays::begin(),
            unowned: Vec::new(),
            broken: None,
            lease: attached.lease,
            _lock: attached._lock,
        }
    }

    fn serve(mut self, inbox: &mut Inbox, out: &mut Outbox) -> Result<(), AgentError> {
        if self.lease.is_none() {
            // The manager need not wait for what follows; and a link that is
            // broken shows below. With a lease, it has to know that all slots
            // obey it.
            let _ = out.flush();
        }
        self.notice_records();
        self.recover_all();
        self.announce_lease();
        let served = self.serve_on(inbox, out);
        let idle = self.own.into_iter().filter(|slot| slot.launch.is_none());
        idle.for_each(OwnSlot::dismiss);
        served
    }

    /// Serves until the manager leaves or the link ends.
    fn serve_on(&mut self, inbox: &mut Inbox, out: &mut Outbox) -> Result<(), AgentError> {
        loop {
            let idle = match self.obey(inbox, out)? {
                (Stay::No, _) => return Ok(()),
                (Stay::Yes, idle) => idle,
            };
            self.work(out)?;
            if out.flush().is_err() || inbox.is_over() {
                return Ok(());
            }
            let more = !out.is_full() && (!idle || self.tail.is_behind() || self.blobs.is_busy());
            let pace = if more { Pace::Now } else { self.errands.pace(out) };
            self.wait(inbox, out, pace)?;
        }
    }

    /// Does what the manager says, while there is room for answers. Also says
    /// whether nothing is left to do.
    fn obey(&mut self, inbox: &mut Inbox, out: &mut Outbox) -> Result<(Stay, bool), AgentError> {
        while !out.is_full() {
            match inbox.next()? {
                None => return Ok((Stay::Yes, true)),
                Some(message) => {
                    if self.handle(message, out)? == Stay::No {
                        return Ok((Stay::No, true));
                    }
                }
            }
        }
        Ok((Stay::Yes, false))
    }

    /// Everything that is not the manager's word: the log, and who waits.
    fn work(&mut self, out: &mut Outbox) -> Result<(), AgentError> {
        self.notice_records();
        for key in std::mem::take(&mut self.unowned) {
            self.recover(key);
        }
        self.hand_out();
        // What the disk does not take now is tried again later.
        let _ = self.log.flush();
        if !out.is_full() && self.blobs.is_busy() {
            answer(out, self.blobs.work());
        }
        self.errands.work(out);
        while !out.is_full() {
            match self.tail.next_message()? {
                Some(message) => out.send(&message),
                None => break,
            }
        }
        match self.broken.take() {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    fn handle(&mut self, message: ToAgent, out: &mut Outbox) -> Result<Stay, AgentError> {
        match message {
            ToAgent::Attach(_) => {
                return Err(AgentError::Protocol("it attaches a second time"));
            }
            ToAgent::Launch(launch) => self.launch(launch),
            ToAgent::Withdraw { key } => self.withdraw(key),
            ToAgent::Order { key, order } => self.order(key, order),
            ToAgent::AskBlobs { hashes } => {
                check_asked(hashes.len())?;
                out.send(&self.blobs.missing(hashes));
            }
            ToAgent::Blob { hash, size, offset } => {
                answer(out, self.blobs.begin(hash, size, offset));
            }
            ToAgent::BlobData { bytes } => answer(out, self.blobs.receive(&bytes)),
            ToAgent::BlobAbort => self.blobs.abort(),
            ToAgent::Ping { echo_ms, .. } => {
                self.renew_lease(echo_ms);
                out.send(&reads::answer(&self.layout, message)?);
            }
            ToAgent::Collect { .. } | ToAgent::CollectStop { .. } | ToAgent::Remove { .. } => {
                self.errands.take(message)?;
            }
            ToAgent::Forget { .. } => {
                return Err(AgentError::Protocol("it has taken up a run, and forgets one"));
            }
            ToAgent::Read { .. } | ToAgent::Status { .. } | ToAgent::Echo { .. } => {
                out.send(&reads::answer(&self.layout, message)?);
            }
            ToAgent::Detach => return Ok(Stay::No),
        }
        Ok(Stay::Yes)
    }

    /// Reads what was appended to the log; whose attempt is over is free.
    fn notice_records(&mut self) {
        loop {
            match self.tail.next_records() {
                Ok(records) if records.is_empty() => return,
                Ok(records) => records.iter().for_each(|record| self.notice(record)),
                Err(error) => {
                    self.broken = Some(error);
                    return;
                }
            }
        }
    }

    fn notice(&mut self, record: &Record) {
        self.fates.note(record);
        let Some(key) = record.key() else { return };
        if self.fates.is_over(key) {
            self.release(key);
        } else if !self.has_slot(key) {
            self.unowned.push(key);
        }
    }

    /// The slots of an earlier attachment may know of another lease, or of none.
    fn announce_lease(&self) {
        if self.lease.is_some() {
            // One that can't be told has ended.
            self.adopted.iter().for_each(|slot| drop(control::wake(&slot.process)));
        }
    }

    fn renew_lease(&mut self, echo_ms: u64) {
        if let Some(lease) = &mut self.lease
            && let Err(error) = lease.renew(echo_ms)
        {
            // Slots go by what is written.
            self.complain(&format!("renew the lease: {error}"));
        }
    }

    /// Adds a record of this agent's own finding.
    fn append(&mut self, record: &Record) {
        // What is not written at once is tried again; it counts from now on.
        self.log.append(record);
        self.fates.note(record);
        if let Some(key) = record.key() {
            self.release(key);
        }
    }

    fn complain(&self, text: &str) {
        // There is nobody else to tell.
        let _ = writeln!(io::stderr(), "gjob agent: failed to {text}");
    }

    /// Waits for something to do, as long as the pace allows.
    fn wait(&mut self, inbox: &mut Inbox, out: &Outbox, pace: Pace) -> Result<(), AgentError> {
        let (stdin, stdout) = (rustix::stdio::stdin(), rustix::stdio::stdout());
        let mut limit = inbox.time_left();
        let mut fds = vec![PollFd::new(&stdin, listens(out))];
        if !out.is_empty() {
            fds.push(PollFd::new(&stdout, PollFlags::OUT));
        }
        match self.tail.pollable() {
            Some(inotify) => fds.push(PollFd::from_borrowed_fd(inotify, PollFlags::IN)),
            None => limit = limit.min(LOOK),
        }
        for pipe in self.own.iter().filter_map(OwnSlot::blocked_pipe) {
            fds.push(PollFd::new(pipe, PollFlags::OUT));
        }
        let processes_from = fds.len();
        let own = self.own.iter().map(OwnSlot::process);
        let adopted = self.adopted.iter().map(|slot| Some(&slot.process));
        for process in own.chain(adopted) {
            match process.and_then(|process| process.pollable()) {
                Some(pidfd) => fds.push(PollFd::from_borrowed_fd(pidfd, PollFlags::IN)),
                None => limit = limit.min(LOOK),
            }
        }
        if self.log.is_behind() {
            limit = limit.min(RETRY);
        }
        let at_most = match pace {
            Pace::Now => Duration::ZERO,
            Pace::Soon => LOOK,
            Pace::Idle => limit,
        };
        poll_for(&mut fds, limit.min(at_most))?;
        let heard = fds[0].revents().contains(PollFlags::IN)
            || fds[0].revents().intersects(PollFlags::HUP | PollFlags::ERR);
        let ended =
            limit <= LOOK || fds[processes_from..].iter().any(|fd| !fd.revents().is_empty());
        if heard && !out.is_full() {
            inbox.read();
        }
        self.tail.clear_wakeup();
        self.own.iter_mut().for_each(OwnSlot::flush);
        if ended {
            self.bury_slots();
        }
        Ok(())
    }
}

fn answer(out: &mut Outbox, message: Option<FromAgent>) {
    if let Some(message) = message {
        out.send(&message);
    }
}

fn check_asked(count: usize) -> Result<(), AgentError> {
    if count <= MAX_ASKED {
        Ok(())
    } else {
        Err(AgentError::Protocol("it asks for too much at once"))
    }
}
