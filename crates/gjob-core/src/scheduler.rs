//! The scheduler: a deterministic state machine that decides which job goes to
//! which host, and what its outcome is. It does no I/O and reads no clock.
//!
//! # Order of use
//!
//! 1. [`Scheduler::new`] with the hosts' labels and the jobs as they stand.
//! 2. Input: the `handle_*` methods, each with `now`, the time since the
//!    manager began. `now` never goes backwards.
//!    What users ask of jobs is input without `now`: [`Scheduler::settle`]
//!    closes a batch of it.
//! 3. Output: after any input, [`Scheduler::poll_action`] until it is empty.
//!    Events are to be committed before a launch that comes behind them is sent.
//! 4. [`Scheduler::poll_timeout`] says when [`Scheduler::handle_timeout`] is due.
//!
//! # What it decides
//!
//! Jobs go first come first served to a host chosen at random among the least
//! loaded. A job's own failure uses its retries, on another host first; a
//! host's failure never does. Everything a host reports may come twice: a
//! report about an attempt that is not in flight changes nothing.

mod action;
mod census;
mod collect;
mod command;
mod dependants;
mod host;
mod job;
mod lost;
mod packing;
mod placement;
mod report;
mod stop;
mod waiting;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

pub use action::{Action, HostIx};
pub use collect::Collected;
pub use job::{JobInit, JobStart};
pub use lost::OnLost;
pub use packing::Unfit;

use crate::event::{EventKind, RunEnd};
use crate::id::{HostLabel, Key};
use crate::outcome::Cause;
use crate::resources::Offer;
use crate::state::State;
use census::Census;
use dependants::Dependants;
use host::{Host, Status};
use job::{Job, JobState};
use packing::Packing;
use placement::Room;
use stop::Mode;
use waiting::Waiting;

/// What a run asks of its scheduler.
#[derive(Clone, Debug)]
pub struct Config {
    /// Seeds the choice among equally loaded hosts.
    pub seed: u64,
    /// Start no more jobs once this many have failed, not counting those that
    /// failed with what they waited for.
    pub max_fails: Option<u32>,
    /// How long to wait for a first host before the run is given up.
    pub connect_patience: Duration,
    /// How often hosts may fail one job before it is stopped.
    pub host_failures: u32,
    /// What is done about the jobs of a host that is lost.
    pub on_lost: OnLost,
    /// How long a host can't be asked before it is lost.
    pub lost_after: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            seed: 0,
            max_fails: None,
            connect_patience: Duration::from_secs(30),
            host_failures: 5,
            on_lost: OnLost::default(),
            lost_after: Duration::from_secs(300),
        }
    }
}

/// How many jobs stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Waiting for a host, or for a time to try again.
    pub free: u32,
    /// Given to a host and without an outcome.
    pub busy: u32,
    /// Ended with exit status 0.
    pub done: u32,
    /// Failed for good.
    pub error: u32,
    /// Ended with an outcome that nobody can know.
    pub unknown: u32,
}

impl Tally {
    fn slot(&mut self, state: State) -> &mut u32 {
        match state {
            State::Free => &mut self.free,
            State::Busy => &mut self.busy,
            State::Done => &mut self.done,
            State::Unknown => &mut self.unknown,
            State::Error => &mut self.error,
        }
    }

    /// Jobs that have no outcome yet.
    #[must_use]
    pub fn left(&self) -> u32 {
        self.free + self.busy
    }
}

/// Decides; see the module's documentation for the order of use.
#[derive(Debug)]
pub struct Scheduler {
    config: Config,
    rng: fastrand::Rng,
    jobs: Vec<Job>,
    hosts: Vec<Host>,
    room: Room,
    /// Over all hosts.
    census: Census,
    dependants: Dependants,
    packing: Packing,
    waiting: Waiting,
    tally: Tally,
    /// Jobs in state `error` of which no attempt was ever made: they have not
    /// failed by themselves.
    untried: u32,
    mode: Mode,
    held: bool,
    /// When hosts that can't be asked will be lost.
    losses: BTreeSet<(Duration, HostIx)>,
    /// Abandoned attempts that may live still, by job.
    strays: BTreeMap<u32, Vec<(HostIx, u32)>>,
    /// Attempts that never began, and the hosts where they never will: such an
    /// attempt's number is used again elsewhere.
    unbegun: BTreeMap<u32, Vec<HostIx>>,
    /// Jobs that have succeeded under this manager.
    successes: u64,
    out: VecDeque<Action>,
}

impl Scheduler {
    /// A scheduler for `jobs` in the order of their indexes, on hosts that are
    /// all yet to be reached.
    pub fn new(
        config: Config,
        hosts: impl IntoIterator<Item = HostLabel>,
        jobs: impl IntoIterator<Item = JobInit>,
    ) -> Self {
        let mut scheduler = Scheduler {
            rng: fastrand::Rng::with_seed(config.seed),
            config,
            jobs: Vec::new(),
            hosts: hosts.into_iter().map(Host::new).collect(),
            room: Room::default(),
            census: Census::default(),
            dependants: Dependants::default(),
            packing: Packing::default(),
            waiting: Waiting::default(),
            tally: Tally::default(),
            untried: 0,
            mode: Mode::Running,
            held: false,
            losses: BTreeSet::new(),
            strays: BTreeMap::new(),
            unbegun: BTreeMap::new(),
            successes: 0,
            out: VecDeque::new(),
        };
        for init in jobs {
            scheduler.add_job(&init);
        }
        scheduler
    }

    fn add_job(&mut self, init: &JobInit) {
        let index = self.jobs.len() as u32;
        let class = self.packing.class(init.ask, index);
        let job = Job::new(init, class);
        match job.state {
            JobState::Waiting | JobState::Delayed => self.waiting.push(index, class),
            JobState::Assigned { host, .. } | JobState::Withdrawing { host } => {
                self.hosts[host.at()].take(index, &init.ask);
            }
            JobState::Running { host } => {
                let host = &mut self.hosts[host.at()];
                host.ever_began = true;
                host.take(index, &init.ask);
            }
            JobState::Collecting { host, .. } => {
                let host = &mut self.hosts[host.at()];
                host.ever_began = true;
                host.keep_outputs(index);
            }
            JobState::Blocked | JobState::Held | JobState::Ended(_) => {}
        }
        *self.tally.slot(job.state.public()) += 1;
        self.untried += u32::from(job.has_failed_untried());
        self.jobs.push(job);
    }

    /// How many jobs stand where.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// The state of a job.
    #[must_use]
    pub fn job_state(&self, index: u32) -> Option<State> {
        let job = self.jobs.get(index as usize)?;
        let host = job.state.needs().map(|host| &self.hosts[host.at()].status);
        match (job.state.public(), host) {
            (State::Busy, Some(Status::Unknown | Status::Error)) => Some(State::Unknown),
            (state, _) => Some(state),
        }
    }

    /// The state of a host: `free` with room, `busy` without, `unknown` while
    /// it can't be asked, `error` when it is out of the run.
    #[must_use]
    pub fn host_state(&self, host: HostIx) -> Option<State> {
        let host = self.hosts.get(host.at())?;
        Some(match host.status {
            Status::Up if host.load() < host.slots => State::Free,
            Status::Up | Status::Paused { .. } => State::Busy,
            Status::Connecting | Status::Unknown => State::Unknown,
            Status::Error => State::Error,
        })
    }

    /// The next thing to be done, in order; none when there is nothing left to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.out.pop_front()
    }

    /// When [`Scheduler::handle_timeout`] is due next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        if matches!(self.mode, Mode::Stopped) {
            return None;
        }
        let waits = self.nobody_answered() && self.mode != Mode::Acting;
        let patience = waits.then_some(self.config.connect_patience);
        let pauses = self.room.next_pause();
        let take_back = self.next_take_back();
        let loss = self.losses.first().map(|(due, _)| *due);
        let picky = self.waiting.next_unpicky().filter(|_| self.gives_out() && self.room.is_any());
        let due = [self.waiting.next_ready(), patience, pauses, take_back, loss, picky];
        due.into_iter().flatten().min()
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Duration) {
        for index in self.waiting.release(now) {
            self.requeue(index);
        }
        while let Some(host) = self.room.end_pause(now) {
            self.readmit(host);
        }
        self.lose_hosts(now);
        self.settle(now);
    }

    /// A host answers and offers so much. Launches that it is not
    /// known to have begun are sent again, and so is what users have asked of
    /// its jobs: sending twice changes nothing.
    pub fn handle_host_up(&mut self, now: Duration, host: HostIx, hostname: &str, offer: Offer) {
        let Some(entry) = self.hosts.get_mut(host.at()) else {
            return;
        };
        entry.status = Status::Up;
        let slots = offer.cpus.max(1);
        (entry.slots, entry.offer) = (slots, Offer { cpus: slots, ..offer });
        entry.ever_up = true;
        let label = entry.label.clone();
        let again: Vec<u32> = entry.in_flight().collect();
        self.emit(EventKind::HostUp { host: label, hostname: hostname.to_owned(), slots });
        self.forget_loss(host);
        self.settle_strays(host);
        for index in again {
            self.send_again(host, index);
        }
        self.collect_again(host);
        self.refresh_room(host);
        self.settle(now);
    }

    fn send_again(&mut self, host: HostIx, index: u32) {
        let job = &self.jobs[index as usize];
        let key = Key::new(index, job.attempt);
        let (kill, paused, resumed) = (job.kill, job.paused, job.resumed);
        match job.state {
            // Nothing is to begin that is to be ended at once.
            JobState::Assigned { .. } if kill => {}
            JobState::Assigned { .. } => self.out.push_back(Action::Launch { host, key }),
            JobState::Withdrawing { .. } => self.out.push_back(Action::Withdraw { host, key }),
            JobState::Running { .. } if kill => {}
            JobState::Running { .. } if paused => self.out.push_back(Action::Pause { host, key }),
            JobState::Running { .. } if resumed => self.out.push_back(Action::Resume { host, key }),
            JobState::Running { .. } => {}
            JobState::Blocked
            | JobState::Waiting
            | JobState::Delayed
            | JobState::Held
            | JobState::Collecting { .. }
            | JobState::Ended(_) => {}
        }
        if kill {
            self.out.push_back(Action::Kill { host, key, cause: Cause::Killed });
        } else if matches!(self.mode, Mode::Interrupting) {
            self.out.push_back(Action::Kill { host, key, cause: Cause::Interrupted });
        }
    }

    /// Adds an attempt that was abandoned under an earlier manager.
    pub fn add_abandoned(&mut self, host: HostIx, key: Key) {
        if host.at() < self.hosts.len() && (key.index as usize) < self.jobs.len() {
            self.add_stray(host, key);
        }
    }

    /// A host can't be asked now. Its jobs live on, so far as anyone knows.
    pub fn handle_host_unknown(&mut self, now: Duration, host: HostIx, reason: &str) {
        let Some(entry) = self.hosts.get_mut(host.at()) else {
            return;
        };
        let was_unknown = std::mem::replace(&mut entry.status, Status::Unknown) == Status::Unknown;
        let label = entry.label.clone();
        self.emit(EventKind::HostUnknown { host: label, reason: reason.to_owned() });
        if !was_unknown {
            self.expect_loss(now, host);
        }
        self.refresh_room(host);
        self.settle(now);
    }

    /// A host can't be used at all, so far as this manager can tell. Its jobs
    /// are treated as a lost host's; the host may still have their outcomes for
    /// a later manager.
    pub fn handle_host_error(&mut self, now: Duration, host: HostIx, reason: &str) {
        let Some(entry) = self.hosts.get_mut(host.at()) else {
            return;
        };
        let before = std::mem::replace(&mut entry.status, Status::Error);
        let label = entry.label.clone();
        self.emit(EventKind::HostError { host: label, reason: reason.to_owned() });
        if before != Status::Unknown {
            self.expect_loss(now, host);
        }
        self.refresh_room(host);
        self.settle(now);
    }

    /// Decides what is left to be decided after any input: gives out jobs, takes
    /// jobs back, sees whether the run is over.
    pub fn settle(&mut self, now: Duration) {
        self.fail_dependants();
        self.heed_failures();
        self.give_out(now);
        self.fail_dependants();
        self.take_back(now);
        self.stop_if_over(now);
    }

    fn emit(&mut self, event: EventKind) {
        self.out.push_back(Action::Emit(event));
    }

    fn set_job_state(&mut self, index: u32, state: JobState) {
        let job = &mut self.jobs[index as usize];
        let (before, after) = (job.state.public(), state.public());
        let (old_host, new_host) = (job.state.host(), state.host());
        self.untried -= u32::from(job.has_failed_untried());
        let before_that = std::mem::replace(&mut job.state, state);
        self.untried += u32::from(job.has_failed_untried());
        let was_asked_back = matches!(before_that, JobState::Withdrawing { .. });
        let is_asked_back = matches!(state, JobState::Withdrawing { .. });
        if let Some(host) = old_host.or(new_host)
            && was_asked_back != is_asked_back
        {
            let asked_back = &mut self.hosts[host.at()].asked_back;
            *asked_back = *asked_back + u32::from(is_asked_back) - u32::from(was_asked_back);
            self.refresh_room(host);
        }
        let blocked = &mut self.dependants.blocked;
        *blocked = *blocked + u32::from(state == JobState::Blocked)
            - u32::from(before_that == JobState::Blocked);
        *self.tally.slot(before) -= 1;
        *self.tally.slot(after) += 1;
        if let (Some(host), None) = (old_host, new_host) {
            let ask = self.ask_of(index);
            self.hosts[host.at()].release(index, &ask);
            self.refresh_room(host);
        }
        if let JobState::Collecting { host, .. } = before_that {
            self.hosts[host.at()].let_outputs_go(index);
            self.refresh_room(host);
        }
        if let JobState::Collecting { host, .. } = state {
            self.hosts[host.at()].keep_outputs(index);
            self.refresh_room(host);
        }
    }

    /// A job does not wait any more, if it did.
    fn forget_waiting(&mut self, index: u32) {
        let job = &self.jobs[index as usize];
        match job.state {
            JobState::Waiting => self.waiting.remove(index, job.class),
            JobState::Delayed => self.waiting.remove_delayed(index),
            JobState::Blocked
            | JobState::Held
            | JobState::Assigned { .. }
            | JobState::Withdrawing { .. }
            | JobState::Running { .. }
            | JobState::Collecting { .. }
            | JobState::Ended(_) => {}
        }
    }

    /// Gives a job its outcome from its latest attempt.
    fn end_job(&mut self, index: u32, state: State, reason: Option<String>) {
        let key = Key::new(index, self.jobs[index as usize].attempt);
        self.end_job_by(key, state, reason);
    }

    /// Gives a job its outcome, the one that counts, from this attempt.
    fn end_job_by(&mut self, key: Key, state: State, reason: Option<String>) {
        self.end_rivals(key);
        self.forget_waiting(key.index);
        self.set_job_state(key.index, JobState::Ended(state));
        self.emit(EventKind::JobEnded { key, state, reason });
        self.note_outcome(key.index, state);
    }
}

#[cfg(test)]
mod tests;
