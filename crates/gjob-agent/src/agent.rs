//! The agent: the far end of one link. It launches jobs, and sends the manager what
//! the run log holds; what it says of jobs is what the log says.
//!
//! One thread with one `poll` over the link, the log and the slots decides
//! everything. What takes long is done in the background, and reported to it.

mod admission;
mod attach;
mod background;
mod blobs;
mod by_hand;
mod collect;
mod damage;
mod describe;
mod disk_usage;
mod elsewhere;
mod enforcement;
mod error;
mod forget;
mod host_count;
mod journal;
mod launches;
mod link;
mod lock;
mod logout;
mod probe;
mod purge;
mod queries;
mod recovery;
mod removal;
mod remove;
mod resources;
mod shares;
mod slot_pool;
mod slot_process;
mod stale;
mod tail;
mod tasks;
mod telling;
mod unclaimed;
mod welcome;
mod whereabouts;

use std::collections::HashSet;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use gjob_core::record::{RecordSummary, one_line};
use gjob_core::wire::{FromAgent, ToAgent};
use gjob_core::{Key, Record, RunId};
use rustix::event::{PollFd, PollFlags};
use rustix::fs::Mode;

use self::admission::Admission;
use self::attach::Attached;
use self::background::{Background, Report};
use self::blobs::{Blobs, TakeRequest};
use self::elsewhere::Elsewhere;
use self::enforcement::Enforcement;
use self::error::{AgentError, check_count};
use self::host_count::HostCount;
use self::journal::Journal;
use self::launches::LaunchQueue;
use self::link::Link;
use self::recovery::Recovery;
use self::slot_pool::{SlotConfig, SlotPool};
use self::tasks::Tasks;
use self::welcome::{make_place, read_place, welcome};
use crate::claims::Claims;
use crate::dispatch::report_size_limit;
use crate::host;
use crate::jobdir::{Layout, RunDir};
use crate::lease::KeptLease;
use crate::open_files;

/// How long the last messages to the manager may take.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(5);

/// How often is looked at what the kernel cannot wake the agent for.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// How often a record that the disk did not take is tried again.
const WRITE_INTERVAL: Duration = Duration::from_secs(1);

/// Runs an agent on this process's standard input and output.
pub(crate) fn run() -> ExitCode {
    // The manager sees the magic line after this: it knows that no lease that
    // runs from here ends later than one that runs from there.
    let began_ms = host::since_boot_ms();
    let inherited = Inherited {
        umask: rustix::process::umask(Mode::from_raw_mode(0o077)).as_raw_mode(),
        open_files: open_files::raise(),
    };
    report_size_limit();
    let Ok(mut link) = Link::open() else { return ExitCode::FAILURE };
    let code = match serve(&mut link, inherited, began_ms) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            link.send(&FromAgent::Fault {
                reason: one_line(&format!("failed to {error}")),
                permanent: error.is_permanent(),
            });
            ExitCode::FAILURE
        }
    };
    link.drain(FAREWELL_TIMEOUT);
    code
}

/// What this process was started with, and jobs get.
#[derive(Clone, Copy, Debug)]
struct Inherited {
    umask: u32,
    open_files: Option<u64>,
}

fn serve(link: &mut Link, inherited: Inherited, began_ms: u64) -> Result<(), AgentError> {
    let first = loop {
        if link.flush().is_err() || link.is_over() {
            return Ok(());
        }
        if let Some(message) = link.next()? {
            break message;
        }
        link.wait(Vec::new(), Duration::MAX)?;
    };
    let ToAgent::Attach(mut attach) = first else {
        return Err(AgentError::Protocol("the first message is no attachment"));
    };
    let slots = attach.slots;
    match attach.run.take() {
        Some(run) => {
            let attached = Attached::new(run, attach, began_ms)?;
            let layout = &attached.layout;
            let slots = Some(attached.slots);
            link.send(&welcome(layout, slots, make_place(layout), attached.damage.clone()));
            Agent::new(attached, inherited)?.serve(link)
        }
        None => {
            let layout = attach::layout(&attach)?;
            link.send(&welcome(&layout, slots, read_place(&layout), None));
            queries::serve(&layout, link)
        }
    }
}

/// An attached agent.
#[derive(Debug)]
struct Agent {
    layout: Layout,
    run_dir: RunDir,
    run: RunId,
    hostname: String,
    journal: Journal,
    claims: Claims,
    /// The manager has yet to settle what was lost with the claims.
    are_claims_lost: bool,
    queue: LaunchQueue,
    slots: SlotPool,
    recovery: Recovery,
    elsewhere: Elsewhere,
    enforcement: Enforcement,
    admission: Admission,
    blobs: Blobs,
    tasks: Tasks,
    background: Background,
    lease: Option<KeptLease>,
    /// Attempts that the log says were started, by a slot that is not known.
    unowned: Vec<Key>,
    /// Once the manager has asked what was begun: the claims of which the log says nothing yet.
    telling: Option<HashSet<Key>>,
    host_count: HostCount,
}

/// Whether the manager stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stay {
    Yes,
    No,
}

impl Agent {
    fn new(attached: Attached, inherited: Inherited) -> io::Result<Self> {
        let Attached { layout, run_dir, hostname, .. } = attached;
        let damage = attached.damage.as_ref();
        let config = SlotConfig {
            layout: layout.clone(),
            hostname: hostname.clone(),
            run: attached.run.clone(),
            host: attached.host,
            cpus: attached.cpus,
            slots: attached.slots,
            umask: inherited.umask,
            open_files: inherited.open_files,
            nice: attached.limits.nice,
            managed: attached.managed,
            within: attached.within,
            stderr: run_dir.slots_err(),
        };
        Ok(Agent {
            journal: Journal::new(attached.log, attached.tail),
            claims: Claims::new(run_dir.keys()),
            queue: LaunchQueue::default(),
            slots: SlotPool::new(config),
            // Before the first thread and the first slot: it looks for children.
            recovery: Recovery::new(damage.is_some_and(|damage| damage.log_lost)),
            are_claims_lost: damage.is_some_and(|damage| damage.claims_lost),
            elsewhere: Elsewhere::default(),
            enforcement: Enforcement::default(),
            admission: Admission::new(
                attached.limits,
                attached.cpus,
                attached.has_begun,
                Instant::now(),
            ),
            blobs: Blobs::new(layout.clone(), &run_dir, hostname.clone(), attached.blob_budget),
            tasks: Tasks::new(layout.clone()),
            background: Background::new()?,
            lease: attached.lease,
            unowned: Vec::new(),
            telling: None,
            host_count: HostCount::read(run_dir.hosts()),
            layout,
            run_dir,
            run: attached.run,
            hostname,
        })
    }

    fn serve(mut self, link: &mut Link) -> Result<(), AgentError> {
        if self.lease.is_none() {
            // The manager need not wait for what follows. A link that is broken
            // shows below.
            let _ = link.flush();
        }
        self.blobs.begin_tidying(&mut self.background)?;
        self.read_journal();
        self.recover_all();
        if self.lease.is_some() {
            // The manager relies on every job being ended by its slot when the lease
            // runs out. Of a dead slot's orphans that is not so: they go first.
            self.finish_recovery(link)?;
            self.slots.announce_lease();
        }
        let served = self.serve_on(link);
        // Nobody might attach to this run again to finish it.
        let finished = self.finish_recovery(link);
        self.slots.dismiss();
        served.and(finished)?;
        // The manager need not wait as well until the kernel has closed what watches
        // files, which takes it more than 10 ms.
        link.close(FAREWELL_TIMEOUT);
        Ok(())
    }

    /// Serves until the manager leaves or the link ends.
    fn serve_on(&mut self, link: &mut Link) -> Result<(), AgentError> {
        loop {
            while let Some(message) = link.next()? {
                if self.handle(message, link)? == Stay::No {
                    return Ok(());
                }
            }
            self.work(link)?;
            if link.flush().is_err() || link.is_over() {
                return Ok(());
            }
            self.wait(link)?;
        }
    }

    /// Everything that is not a message: the log, what was done in the background,
    /// and what waits.
    fn work(&mut self, link: &mut Link) -> Result<(), AgentError> {
        self.read_journal();
        for key in std::mem::take(&mut self.unowned) {
            self.recover(key);
        }
        while let Some(report) = self.background.next(link.has_room_for_outputs()) {
            self.handle_report(report, link)?;
        }
        self.enforce();
        self.look_elsewhere();
        self.end_orphans()?;
        self.dispatch_all();
        self.report_dropped(link);
        self.report_sharing(link);
        self.journal.flush();
        // Of a log that is another one, nothing is sent.
        self.journal.check()?;
        while !link.is_full() {
            match self.journal.next_message()? {
                Some(message) => link.send(&message),
                None => break,
            }
        }
        self.finish_telling(link);
        Ok(())
    }

    fn handle(&mut self, message: ToAgent, link: &mut Link) -> Result<Stay, AgentError> {
        let background = &mut self.background;
        let answer = match message {
            ToAgent::Launch(launch) => {
                self.check_claims()?;
                self.launch(launch)
            }
            ToAgent::Withdraw { key } => self.withdraw(key),
            ToAgent::Tell => {
                self.begin_telling();
                None
            }
            ToAgent::HostCount { hosts } => {
                Some(FromAgent::HostCount { hosts: self.host_count.note(hosts) })
            }
            ToAgent::Order { key, order } => self.order(key, order),
            ToAgent::AskBlobs { hashes } => {
                check_count(hashes.len())?;
                Some(self.blobs.missing(hashes))
            }
            ToAgent::Blob { hash, size, offset } => {
                self.blobs.begin((hash, size, offset), background)?
            }
            ToAgent::BlobData { bytes } => self.blobs.receive(&bytes, background)?,
            ToAgent::BlobAbort => {
                self.blobs.abort();
                None
            }
            ToAgent::TakeBlob { hash, size, id, path } => {
                self.blobs.take(TakeRequest { hash, size, id, path }, background)?;
                None
            }
            ToAgent::Collect { .. }
            | ToAgent::CollectStop { .. }
            | ToAgent::Remove { .. }
            | ToAgent::ByHand { .. }
            | ToAgent::Describe { .. }
            | ToAgent::Usage { .. }
            | ToAgent::StartProbe { .. }
            | ToAgent::EndProbe { .. } => {
                self.tasks.submit(message, background)?;
                None
            }
            ToAgent::Forget { .. } | ToAgent::Purge { .. } => {
                return Err(AgentError::Protocol("an agent that serves a run forgets none"));
            }
            ToAgent::Ping { echo_ms, .. } => {
                self.renew_lease(echo_ms);
                let pong = queries::answer(&self.layout, message)?;
                if let (Some(lease), FromAgent::Pong { at_ms, clock_ms, .. }) =
                    (&mut self.lease, &pong)
                {
                    lease.note_sent(*at_ms, *clock_ms);
                }
                Some(pong)
            }
            ToAgent::Attach(_)
            | ToAgent::Read { .. }
            | ToAgent::Status { .. }
            | ToAgent::Echo { .. } => Some(queries::answer(&self.layout, message)?),
            ToAgent::Detach => return Ok(Stay::No),
        };
        answer.iter().for_each(|answer| link.send(answer));
        Ok(Stay::Yes)
    }

    /// Takes what was done in the background.
    fn handle_report(&mut self, report: Report, link: &mut Link) -> Result<(), AgentError> {
        let answer = match report {
            Report::Hashed(hashed) => self.blobs.handle_hashed(hashed, &mut self.background)?,
            Report::Taken(taken) => Some(self.blobs.handle_taken(taken, &mut self.background)?),
            Report::Trimmed(trimmed) => {
                self.blobs.handle_trimmed(trimmed);
                None
            }
            Report::Ended(ended) => {
                self.conclude_all(ended);
                None
            }
            Report::Answer(_) | Report::Outputs { .. } => {
                self.tasks.answer(report, link);
                None
            }
        };
        answer.iter().for_each(|answer| link.send(answer));
        Ok(())
    }

    /// Reads what was appended to the log; an attempt that is over frees its slot.
    fn read_journal(&mut self) {
        loop {
            let records = self.journal.read_more();
            if records.is_empty() {
                return;
            }
            records.iter().for_each(|record| self.handle_record(record));
        }
    }

    fn handle_record(&mut self, record: &RecordSummary) {
        let Some(key) = record.key else { return };
        self.slots.note_survivors(key, &record.survivors);
        if self.journal.attempts().is_over(key) {
            self.release(key);
        } else if !self.slots.has(key) {
            self.unowned.push(key);
        }
    }

    /// Adds a record of this agent's own finding.
    fn append(&mut self, record: &Record) {
        self.journal.append(record);
        if let Some(key) = record.key() {
            self.release(key);
        }
    }

    fn renew_lease(&mut self, echo_ms: u64) {
        let Some(lease) = &mut self.lease else { return };
        let before = lease.end();
        if let Err(error) = lease.renew(echo_ms) {
            // A job has put something in its place.
            log_error(&format!("write the lease: {error}"));
        }
        if lease.end() != before {
            self.slots.renew_lease(lease.end());
        }
    }

    /// Waits until there is something to do.
    fn wait(&mut self, link: &mut Link) -> Result<(), AgentError> {
        let mut limit = Duration::MAX;
        let mut fds = Vec::new();
        match self.journal.pollable() {
            Some(inotify) => fds.push(PollFd::from_borrowed_fd(inotify, PollFlags::IN)),
            None => limit = limit.min(LOOK_INTERVAL),
        }
        fds.extend(
            self.slots.shares.pollable().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)),
        );
        fds.extend(self.slots.blocked_pipes().map(|pipe| PollFd::new(pipe, PollFlags::OUT)));
        let reports = self.background.pollable(link.has_room_for_outputs());
        fds.extend(reports.map(|fd| PollFd::new(fd, PollFlags::IN)));
        let first_process = fds.len();
        for process in self.slots.processes() {
            match process.and_then(|process| process.pollable()) {
                Some(pidfd) => fds.push(PollFd::from_borrowed_fd(pidfd, PollFlags::IN)),
                None => limit = limit.min(LOOK_INTERVAL),
            }
        }
        let looks = limit <= LOOK_INTERVAL;
        if self.journal.has_unwritten() {
            limit = limit.min(WRITE_INTERVAL);
        }
        if self.journal.has_unsent() && !link.is_full() {
            limit = Duration::ZERO;
        }
        let next_look = self.slots.shares.next_due();
        let own = [self.enforcement.next(), self.elsewhere.next(), self.next_start()];
        let dues = own.into_iter().chain([next_look]);
        for due in dues.flatten() {
            limit = limit.min(due.saturating_duration_since(Instant::now()));
        }
        let ready = link.wait(fds, limit)?;
        self.journal.clear_wakeup();
        self.slots.shares.handle_wakeup();
        self.slots.flush();
        if looks || ready[first_process..].contains(&true) {
            self.reap_slots();
        }
        Ok(())
    }
}

/// Writes an error to standard error: nobody else could be told.
fn log_error(text: &str) {
    let _ = writeln!(io::stderr(), "gjob agent: failed to {text}");
}
