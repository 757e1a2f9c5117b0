//! The slot: a detached process that runs one job after another. It reads what to
//! run from its standard input, finishes the job it has when that ends, and depends
//! on no other process.

mod affinity;
mod by_hand;
mod direct;
mod inputs;
mod job;
mod lease_timer;
mod memory;
mod orders;
mod prepare;
mod reap;
mod request;
mod resume_timer;
mod shim;
mod signals;
mod simple;
mod start;
mod wait;

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use gjob_core::os_text::{to_bytes, to_os};
use gjob_core::record::{Loss, one_line};
use gjob_core::resources::Cpus;
use gjob_core::wire::{DecodeError, FrameBuffer, Launch, WITHIN};
use gjob_core::{JobId, Key, Record, RunId, Shell};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::Mode;

use self::by_hand::run_here;
use self::job::{Finished, Limits};
use self::lease_timer::Renewals;
use self::memory::KernelKills;
use self::orders::RunOrders;
use self::prepare::{NotPrepared, Places, Prepared, Refusal};
pub(crate) use self::request::{FromSlot, Given, LocalJob, PathBytes, ServeConfig, ToSlot};
pub(crate) use self::shim::run as run_shim;
use self::signals::Signals;
use self::start::{Starter, Variables};
use crate::claims::Claims;
use crate::dispatch::report_size_limit;
use crate::host;
use crate::identity::ProcessIdentity;
use crate::jobdir::{Allocator, JobDir, Layout, LockFile};
use crate::lease::{Lease, LeaseEnd};
use crate::ledger;
use crate::open_files;
use crate::runlog::RunLog;
use crate::shortage::Shortage;

/// How long the record of a start waits for that of the end: those of a job that is shorter
/// are written together, and wake the agent once.
const START_HELD: Duration = Duration::from_millis(10);

/// How often a record that could not be written is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Why a slot stops although it may be sent more jobs.
#[derive(Debug, thiserror::Error)]
enum SlotError {
    #[error("read requests: {0}")]
    Read(#[source] io::Error),
    #[error("read requests: {0}")]
    Decode(#[from] DecodeError),
    #[error("expected the configuration first")]
    Unconfigured,
    #[error("set up: {0}")]
    Setup(#[source] io::Error),
    /// The job it had is not begun; another slot tries the next one.
    #[error("make room for a job: {0}")]
    NoSpace(Shortage),
    #[error("wait for a job: {0}")]
    Wait(#[source] io::Error),
}

/// Runs a slot on this process's standard input.
pub(crate) fn run() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(SlotError::NoSpace(shortage)) => shortage.exit_code(),
        Err(error) => {
            log_error(&format!("failed to {error}"));
            Shortage::of(&error).map_or(ExitCode::FAILURE, Shortage::exit_code)
        }
    }
}

/// Writes an error to standard error, which is the run's `slots.err`.
fn log_error(text: &str) {
    // Nobody else could be told.
    let _ = writeln!(io::stderr(), "gjob slot {}: {text}", std::process::id());
}

fn serve() -> Result<(), SlotError> {
    let inherited_umask = rustix::process::umask(Mode::from_raw_mode(0o077));
    // A session of its own: nothing that ends the agent's session, such as the end of
    // the ssh connection, signals the slot or its jobs. Fails for a process that leads
    // a session already, which is as good.
    let _ = rustix::process::setsid();
    report_size_limit();
    let signals = Signals::catch().map_err(SlotError::Setup)?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|error| SlotError::Setup(error.into()))?;
    let identity = ProcessIdentity::of_self().map_err(SlotError::Setup)?;
    let mut requests = Requests::default();
    match requests.next()? {
        None => Ok(()),
        Some(ToSlot::Serve(config)) => Slot::new(*config, identity, signals)?.serve(&mut requests),
        Some(ToSlot::RunHere(job)) => run_here(*job, identity, inherited_umask, &signals),
        Some(ToSlot::Run { .. } | ToSlot::Lease(_)) => Err(SlotError::Unconfigured),
    }
}

/// The messages on standard input.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    buffer: FrameBuffer,
}

impl Requests {
    /// The next message; none at the end.
    fn next(&mut self) -> Result<Option<ToSlot>, SlotError> {
        loop {
            if let Some(message) = self.buffer.next()? {
                return Ok(Some(message));
            }
            match self.read_some() {
                // A message cut off by the end of its sender was never sent.
                Ok(0) => return Ok(None),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(SlotError::Read(error)),
            }
        }
    }

    fn read_some(&mut self) -> io::Result<usize> {
        let mut bytes = [0; 16 * 1024];
        let length = io::stdin().read(&mut bytes)?;
        self.buffer.extend(&bytes[..length]);
        Ok(length)
    }

    /// The latest end of the lease that has come while a job runs, if any has: nothing else
    /// comes then.
    fn take_lease(&mut self) -> Option<LeaseEnd> {
        let mut latest = None;
        loop {
            match self.buffer.next() {
                Ok(Some(ToSlot::Lease(end))) => latest = Some(end),
                // Not waited for: the agent may be stopped.
                Ok(None) if self.has_some() && matches!(self.read_some(), Ok(1..)) => {}
                // What is no message ends the slot after its job.
                Ok(_) | Err(_) => return latest,
            }
        }
    }

    /// True when some of a message is there, or the end.
    fn has_some(&self) -> bool {
        let stdin = io::stdin();
        let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }
}

/// A slot of a run.
#[derive(Debug)]
struct Slot {
    places: Places,
    starter: Starter,
    lease: Lease,
    orders: JobDir,
    log: RunLog,
    signals: Signals,
    kernel_kills: KernelKills,
    run: RunId,
    hostname: String,
    cpus: u32,
    host_cpus: u32,
    within: String,
}

/// Whether the slot takes another job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Job,
    Leave,
}

impl Slot {
    fn new(
        config: ServeConfig,
        identity: ProcessIdentity,
        signals: Signals,
    ) -> Result<Self, SlotError> {
        open_files::set(config.open_files);
        config.nice.into_iter().for_each(be_nice);
        let layout = Layout::new(config.results.into());
        let run_dir = layout.run_dir(&config.run, &config.host);
        let allocator = Allocator::open(layout.clone(), config.hostname.clone());
        Ok(Slot {
            places: Places {
                claims: Claims::new(run_dir.keys()),
                allocator: allocator.map_err(|error| SlotError::Setup(io::Error::other(error)))?,
                layout,
                run: config.run.clone(),
                slot: LockFile::new(identity.clone(), config.number),
                agent: config.agent,
            },
            starter: Starter::new(identity, Mode::from_raw_mode(config.umask & 0o777)),
            lease: Lease::new(run_dir.lease()),
            orders: JobDir::open(&run_dir.orders()).map_err(SlotError::Setup)?,
            log: RunLog::open(&run_dir.log()).map_err(SlotError::Setup)?,
            signals,
            kernel_kills: KernelKills::read(),
            run: config.run,
            hostname: config.hostname,
            cpus: config.cpus,
            host_cpus: config.host_cpus,
            within: config.within,
        })
    }

    fn serve(mut self, requests: &mut Requests) -> Result<(), SlotError> {
        while let Some(request) = requests.next()? {
            match request {
                ToSlot::Run { launch, given, lease } => {
                    if self.run(&launch, &given, lease, requests)? == Next::Leave {
                        break;
                    }
                }
                // Meant for a job that has ended since.
                ToSlot::Lease(_) => {}
                ToSlot::Serve(_) | ToSlot::RunHere(_) => return Err(SlotError::Unconfigured),
            }
        }
        self.starter.dismiss();
        Ok(())
    }

    fn run(
        &mut self,
        launch: &Launch,
        given: &Given,
        lease: Option<LeaseEnd>,
        requests: &mut Requests,
    ) -> Result<Next, SlotError> {
        let prepared = self.within_lease(lease).map_err(NotPrepared::from);
        match prepared.and_then(|_| self.places.prepare(launch, given)) {
            Ok(job) => return self.run_prepared(job, launch, given, (lease, requests)),
            // The tombstone has a record of its own, which frees this slot for the agent.
            Err(NotPrepared::Withdrawn) => {}
            // This slot's end shows the agent that it did not run the attempt.
            Err(NotPrepared::Taken) => return Ok(Next::Leave),
            Err(NotPrepared::NoSpace(shortage)) => return Err(SlotError::NoSpace(shortage)),
            Err(NotPrepared::Refused(refusal)) => self.refuse(launch, &refusal),
        }
        Ok(Next::Job)
    }

    fn run_prepared(
        &mut self,
        job: Prepared,
        launch: &Launch,
        given: &Given,
        (lease, requests): (Option<LeaseEnd>, &mut Requests),
    ) -> Result<Next, SlotError> {
        let variables = self.variables(&job, launch, &given.devices);
        // Once more: preparing may have taken a while.
        let allowed = self.within_lease(lease);
        let started = allowed.and_then(|lease_end| {
            let script = to_bytes(&launch.script);
            let direct = (launch.request.shell == Shell::Auto).then_some(&script[..]);
            let (env, bound) = (&launch.request.env, &given.processors);
            Ok((self.starter.start(job, direct, env, variables, bound)?, lease_end))
        });
        let (started, lease_end) = match started {
            Ok(started) => started,
            Err(refusal) => {
                self.refuse(launch, &refusal);
                return Ok(Next::Job);
            }
        };
        self.log.hold(&Record::Started {
            key: launch.key,
            id: started.id.clone(),
            pid: started.pid,
            at: started.at,
            processors: given.processors.clone(),
        });
        if launch.is_task {
            // A set-up may remove the very log, and is to be followed by a teardown then.
            let _ = self.log.flush();
        }
        let (log, begun) = (&mut self.log, Instant::now());
        let (timeout, memory) = (launch.request.timeout(), launch.request.mem);
        let lease = Some(Renewals { file: &self.lease, requests });
        let kernel_kills = &mut self.kernel_kills;
        let limits = Limits { timeout, memory, kernel_kills, lease, lease_end };
        let orders = RunOrders { dir: &self.orders, key: launch.key };
        let Finished { id, end, survivors, is_clean, lock, shim } = started
            .finish(Some(orders), limits, &self.signals, || write_start(log, begun))
            .map_err(SlotError::Wait)?;
        self.starter.keep(shim);
        if !is_clean {
            log_error(&format!("job {id}: could not end {survivors:?}"));
        }
        let record = match end {
            Some(finish) => Record::Finished(finish),
            None => lost(launch.key, id, survivors),
        };
        self.record(&record);
        drop(lock);
        // Survivors are still this slot's children, and would be taken for the next job's.
        Ok(if is_clean { Next::Job } else { Next::Leave })
    }

    /// When the run's lease ends, of which this was known before; refuses to start anything
    /// when it has run out.
    fn within_lease(&self, known: Option<LeaseEnd>) -> Result<Option<LeaseEnd>, Refusal> {
        let end = match known {
            // What a job has put in its place says nothing.
            Some(known) => self.lease.end().unwrap_or(Some(known)),
            None => None,
        };
        if end.is_some_and(|end| end.is_over()) {
            let ended = io::Error::new(io::ErrorKind::TimedOut, "the lease has run out");
            return Err(Refusal::host("cannot start a job under the run's lease", ended));
        }
        Ok(end)
    }

    fn variables(&self, job: &Prepared, launch: &Launch, devices: &[String]) -> Variables {
        let request = &launch.request;
        let cpus = match request.cpus {
            Cpus::Count(count) => count.saturating_mul(self.cpus),
            Cpus::All => self.host_cpus,
        };
        let mut own: Vec<(&str, OsString)> = vec![
            ("GJOB_RUN", self.run.plain().into()),
            ("GJOB_INDEX", launch.key.index.to_string().into()),
            ("GJOB_ATTEMPT", launch.key.attempt.to_string().into()),
            ("GJOB_REPEAT", request.repeat_index.to_string().into()),
            ("GJOB_NAME", to_os(request.name.as_deref().unwrap_or_default()).into_owned()),
            ("GJOB_ID", job.id.as_str().into()),
            ("GJOB_HOST", OsString::from(&self.hostname)),
            ("GJOB_SLOT", self.places.slot.number.to_string().into()),
            ("GJOB_CPUS", cpus.to_string().into()),
        ];
        if !self.within.is_empty() {
            own.push((WITHIN, (&self.within).into()));
        }
        own.extend(std::env::var_os(ledger::PLACE).map(|place| (ledger::PLACE, place)));
        if !devices.is_empty() {
            own.push(("CUDA_VISIBLE_DEVICES", devices.join(",").into()));
        }
        Variables { threads: Some(cpus), own }
    }

    fn refuse(&mut self, launch: &Launch, refusal: &Refusal) {
        self.record(&Record::Refused {
            key: launch.key,
            reason: one_line(&refusal.to_string()),
            scope: refusal.scope,
            at: host::now(),
        });
    }

    /// Appends a record, however long the disk stays full.
    fn record(&mut self, record: &Record) {
        let mut written = self.log.append(record);
        while !written {
            self.signals.wait(Some(RETRY_INTERVAL));
            written = self.log.flush().is_ok();
        }
    }
}

/// Writes the start of a job that began then, unless it may be written with its end; gives the
/// time after which that is to be tried again.
fn write_start(log: &mut RunLog, begun: Instant) -> Option<Duration> {
    if !log.has_pending() {
        return None;
    }
    let left = START_HELD.saturating_sub(begun.elapsed());
    if !left.is_zero() {
        return Some(left);
    }
    log.flush().is_err().then_some(RETRY_INTERVAL)
}

/// Gives this process, and so its jobs, a niceness. One that it has already is not lowered:
/// that needs a privilege.
fn be_nice(nice: u8) {
    let nice = i32::from(nice);
    let set = || match rustix::process::getpriority_process(None)? {
        now if now < nice => rustix::process::setpriority_process(None, nice),
        _ => Ok(()),
    };
    if let Err(error) = set() {
        log_error(&format!("failed to set the niceness {nice}: {error}"));
    }
}

/// The record of a job whose shell could not be ended.
fn lost(key: Key, id: JobId, survivors: Vec<u32>) -> Record {
    let reason = one_line("its shell could not be ended");
    Record::Lost { key, how: Loss::Slot, id: Some(id), reason, survivors, at: host::now() }
}
