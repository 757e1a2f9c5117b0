//! Ending, pausing and resuming a running job.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gjob_core::jobdir::OwnFile;
use gjob_core::{Cause, Order, State};
use rustix::event::Timespec;
use rustix::fs::inotify;
use rustix::process::Signal;

use super::directory::open_trusted;
use super::{is_readable, state_of};
use crate::control::{self, Delivery};
use crate::jobdir::JobDir;
use crate::orphan::{self, Traces};

/// How long a slot may take to carry out an order, besides the grace.
const ORDER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a killed slot may take to end.
const SLOT_TIMEOUT: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };

/// How often is looked for the end of a slot, which no file shows.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Why a running job was not killed, paused or resumed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// It is not running.
    #[error("the job in {path} is not running: it is {state}")]
    NotRunning {
        /// Its directory.
        path: PathBuf,
        /// Its state.
        state: State,
    },
    /// Processes of it are still there.
    #[error("processes {pids:?} of the job in {path} could not be ended")]
    Survivors {
        /// Its directory.
        path: PathBuf,
        /// What is left.
        pids: Vec<u32>,
    },
    /// Its slot does not carry out the order.
    #[error("the slot of the job in {path} did not act within {seconds} s")]
    TimedOut {
        /// Its directory.
        path: PathBuf,
        /// How long was waited.
        seconds: u64,
    },
    /// Its directory cannot be read or written.
    #[error("control the job in {path}: {source}")]
    Io {
        /// Its directory.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
}

/// Ends a job's processes: TERM, then KILL after `grace`. Returns when they are
/// gone.
///
/// # Errors
/// When it is not running, or processes of it cannot be ended.
pub fn kill(dir: &Path, grace: Duration) -> Result<(), ControlError> {
    let job = Job::open(dir)?;
    let state = job.state()?;
    if !matches!(state, State::Busy | State::Unknown) {
        return Err(job.not_running(state));
    }
    match job.deliver(Order::Kill { cause: Cause::Killed, grace })? {
        Delivery::Delivered => {
            let ended = job.wait_until(grace + ORDER_TIMEOUT, || Ok(job.state()? != State::Busy));
            let slot = match ended {
                Err(ControlError::TimedOut { .. }) => job.end_slot()?,
                ended => ended.map(|()| None)?,
            };
            // Nothing is left if the slot has done it, unless it has died meanwhile or
            // could not end everything.
            job.end_rest(slot, Duration::ZERO)
        }
        Delivery::SlotGone => job.end_rest(None, grace),
    }
}

/// Stops a job's processes, and the clock of its timeout.
///
/// # Errors
/// When it is not running.
pub fn pause(dir: &Path) -> Result<(), ControlError> {
    pause_or_resume(dir, Order::Pause)
}

/// Continues a paused job.
///
/// # Errors
/// When it is not running.
pub fn unpause(dir: &Path) -> Result<(), ControlError> {
    pause_or_resume(dir, Order::Resume)
}

fn pause_or_resume(dir: &Path, order: Order) -> Result<(), ControlError> {
    let job = Job::open(dir)?;
    let state = job.state()?;
    if state != State::Busy {
        return Err(job.not_running(state));
    }
    match job.deliver(order)? {
        Delivery::Delivered => job.wait_until(ORDER_TIMEOUT, || job.is_carried_out()),
        Delivery::SlotGone => Err(job.not_running(job.state()?)),
    }
}

/// A job that an order is for.
struct Job {
    dir: JobDir,
}

impl Job {
    fn open(dir: &Path) -> Result<Self, ControlError> {
        match open_trusted(dir) {
            Ok(dir) => Ok(Job { dir }),
            Err(source) => Err(ControlError::Io { path: dir.to_owned(), source }),
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    fn io(&self, source: io::Error) -> ControlError {
        ControlError::Io { path: self.path(), source }
    }

    fn not_running(&self, state: State) -> ControlError {
        ControlError::NotRunning { path: self.path(), state }
    }

    fn state(&self) -> Result<State, ControlError> {
        state_of(&self.dir).map_err(|source| self.io(source))
    }

    fn deliver(&self, order: Order) -> Result<Delivery, ControlError> {
        control::deliver(&self.dir, order).map_err(|source| self.io(source))
    }

    /// True when the slot has carried the order out.
    fn is_carried_out(&self) -> Result<bool, ControlError> {
        let waits = self.dir.has(OwnFile::Order.name());
        let under_way =
            waits.and_then(|waits| Ok(waits || self.dir.has(OwnFile::OrderTaken.name())?));
        under_way.map(|under_way| !under_way).map_err(|source| self.io(source))
    }

    /// Ends a slot that does not act; gives its pid if it does not even end.
    fn end_slot(&self) -> Result<Option<u32>, ControlError> {
        let slot = control::slot_of(&self.dir).map_err(|source| self.io(source))?;
        Ok(slot
            .filter(|slot| {
                // Whether that helped shows in its end.
                let _ = slot.signal(Signal::KILL);
                !slot.ends_within(&SLOT_TIMEOUT)
            })
            .map(|slot| slot.pid()))
    }

    /// Ends what is left without a slot, except for one that cannot be ended.
    fn end_rest(&self, slot: Option<u32>, grace: Duration) -> Result<(), ControlError> {
        let traces = Traces::new(self.dir.path(), Some(&self.dir));
        let remains = orphan::end(&[traces], None, grace);
        let survivors = remains.into_iter().flat_map(|remains| remains.survivors);
        let pids: Vec<u32> = slot.into_iter().chain(survivors).collect();
        if pids.is_empty() {
            return Ok(());
        }
        Err(ControlError::Survivors { path: self.path(), pids })
    }

    fn wait_until(
        &self,
        limit: Duration,
        reached: impl Fn() -> Result<bool, ControlError>,
    ) -> Result<(), ControlError> {
        let deadline = Instant::now() + limit;
        let changes = self.watch().map_err(|source| self.io(source))?;
        while !reached()? {
            let now = Instant::now();
            if now >= deadline {
                return Err(ControlError::TimedOut { path: self.path(), seconds: limit.as_secs() });
            }
            match &changes {
                Some(changes) => {
                    let until = deadline.min(now + LOOK_INTERVAL);
                    if is_readable(changes, until).map_err(|source| self.io(source))? {
                        // Non-blocking. All it can say is that something has changed.
                        let _ = rustix::io::read(changes, &mut [0; 4096]);
                    }
                }
                None => std::thread::sleep(LOOK_INTERVAL),
            }
        }
        Ok(())
    }

    /// Changes of the directory; none where the kernel has no inotify left.
    fn watch(&self) -> io::Result<Option<OwnedFd>> {
        let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
        let Ok(changes) = inotify::init(flags) else {
            return Ok(None);
        };
        let what = inotify::WatchFlags::MOVED_TO;
        inotify::add_watch(&changes, self.dir.path(), what)?;
        Ok(Some(changes))
    }
}
