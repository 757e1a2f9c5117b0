//! The scheduler: a deterministic state machine that decides which job goes to
//! which host, and what its outcome is. It does no I/O and reads no clock.
//!
//! # Order of use
//!
//! 1. [`Scheduler::new`] with the run as it is.
//! 2. [`Scheduler::set_time`] before input: events carry that time.
//! 3. Input: the `handle_*` methods, each with `now`, the time since the
//!    manager began. `now` never goes backwards.
//!    What users ask of jobs is input without `now`: [`Scheduler::settle`]
//!    closes a batch of it.
//! 4. Output: after any input, [`Scheduler::poll_action`] until it is empty.
//!    Events must be committed before a launch that follows them is sent.
//! 5. [`Scheduler::poll_timeout`] says when [`Scheduler::handle_timeout`] is due.
//!
//! # What it decides
//!
//! Jobs go first come first served to a host chosen at random among the least
//! loaded. A job's own failure uses its retries, on another host first; a
//! host's failure never does. Everything a host reports may come twice: a
//! report about an attempt that is not in flight changes nothing.
//!
//! # What it knows
//!
//! It owns the [`Run`], and changes it by events alone: every decision is an
//! event that it applies to the run at once and hands out to be committed. What
//! it knows beyond the run (what a job waits for, how long a host's jobs take)
//! is its own, and a new scheduler can do without it.

mod action;
mod adopt;
mod bound;
mod collect;
mod command;
mod dependants;
mod duty;
mod full;
mod host_count;
mod hosts;
mod inputs;
mod job;
mod lost;
mod memory;
mod mute;
mod orders;
mod packing;
mod placement;
mod report;
mod restarted;
mod stop;
mod tasks;
mod unasked;
mod waiting;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

pub use crate::run::HostIx;
pub use action::Action;
pub use collect::Collected;
pub use lost::OnLost;
pub use packing::Unfit;

use crate::event::{
    AttemptChange, AttemptEvent, Event, HostChange, HostEvent, HostFacts, JobChange, JobEvent,
    RunEvent, What,
};
use crate::halt::Halt;
use crate::id::{HostLabel, Key, RunId};
use crate::job::{Job, Phase};
use crate::order::Order;
use crate::outcome::Cause;
use crate::run::{HostStatus, Run};
use crate::state::State;
use crate::time::Timestamp;
use adopt::Unknown;
use bound::Unserved;
use dependants::Dependants;
use host_count::HostCounts;
use hosts::{FailedContacts, Hosts};
use job::{JobPlan, JobState, Wait};
use orders::Orders;
use packing::Classes;
use report::PREFER_OTHER_HOST_FOR;
use stop::Mode;
use tasks::Tasks;
use waiting::Waiting;

/// What a run asks of its scheduler.
#[derive(Clone, Debug)]
pub struct Config {
    /// Seeds the choice among equally loaded hosts.
    pub seed: u64,
    /// When to end the run early.
    pub halt: Option<Halt>,
    /// How long to wait for a first host, since the last one got any further,
    /// before the run is given up. One that is being connected to for the first
    /// time is waited for in any case: that has its own limits.
    pub connect_timeout: Duration,
    /// How often hosts may fail one job before it is stopped.
    pub host_failures: u32,
    /// What to do with the jobs of a host that is lost.
    pub on_lost: OnLost,
    /// How long a host is unreachable before it is lost.
    pub lost_after: Duration,
    /// True when every job is done only once its standard output and error are
    /// local, whatever other outputs it has.
    pub collect_all: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            seed: 0,
            halt: None,
            connect_timeout: Duration::from_secs(30),
            host_failures: 5,
            on_lost: OnLost::default(),
            lost_after: Duration::from_secs(300),
            collect_all: false,
        }
    }
}

/// Decides; see the module's documentation for the order of use.
#[derive(Debug)]
pub struct Scheduler {
    config: Config,
    rng: fastrand::Rng,
    run: Run,
    /// What it knows of each job beyond the run.
    jobs: Vec<JobPlan>,
    hosts: Hosts,
    dependants: Dependants,
    classes: Classes,
    waiting: Waiting,
    /// Sets of hosts that may be of no use to the jobs that are bound to them.
    unserved: Unserved,
    /// Jobs in state `error` of which no attempt was ever made: they have not
    /// failed by themselves.
    untried: u32,
    mode: Mode,
    /// While it is ending: a user has changed what it ends for, so that it goes on.
    goes_on: bool,
    /// Nothing is dispatched before [`Scheduler::release`].
    held: bool,
    /// What hosts have begun without the run knowing of it.
    unknown: Unknown,
    /// What hosts know of the number of hosts.
    host_counts: HostCounts,
    /// When the last host got any further on its way to be connected.
    last_progress: Duration,
    /// When hosts that do not answer will be lost.
    losses: BTreeSet<(Duration, HostIx)>,
    /// When hosts that say nothing now, or do not answer, were last heard.
    heard: BTreeMap<HostIx, Duration>,
    /// When to look at jobs that their hosts have not begun.
    unbegun: BTreeSet<(Duration, u32)>,
    /// Those that are overdue, while no other host could take them.
    overdue: BTreeSet<u32>,
    /// When a withdrawal that has not been answered takes its host down.
    withdrawals: BTreeSet<(Duration, u32)>,
    /// Orders that wait for their answers.
    orders: Orders,
    /// What is run once on hosts besides their jobs.
    tasks: Tasks,
    /// Hosts that have outputs of jobs that are done, which other jobs wait for.
    refetched_from: BTreeSet<HostIx>,
    /// Attempts that never started, and the hosts on which they never will:
    /// such an attempt's number is used again elsewhere.
    withdrawn_on: BTreeMap<u32, Vec<HostIx>>,
    /// Removed hosts whose links are open: they are closed once nothing is left there.
    leaving: BTreeSet<HostIx>,
    /// Hosts that answered, and are connected to anew since a user has changed something.
    reopening: BTreeSet<HostIx>,
    /// Jobs that wait since no host had space for them; others, too.
    spaceless: BTreeSet<u32>,
    /// The time that events carry.
    time: Timestamp,
    out: VecDeque<Action>,
}

impl Scheduler {
    /// A scheduler for a run, whose hosts are all yet to be reached.
    #[must_use]
    pub fn new(config: Config, run: Run) -> Self {
        let (mut classes, bounds) = (Classes::default(), run.bounds());
        let class = |job: &Job| {
            let group = bounds.set(job.index);
            JobPlan::new(classes.class(job.spec.ask(), group, job.index))
        };
        let jobs: Vec<JobPlan> = run.jobs().iter().map(class).collect();
        // With a limit nothing is dispatched ahead of need: it would start after the limit
        // is reached.
        let may_run_ahead = config.halt.is_none();
        let tasks = Tasks::new(&run);
        let mut scheduler = Scheduler {
            rng: fastrand::Rng::with_seed(config.seed),
            hosts: Hosts::new(&run, may_run_ahead, bounds.into_sets()),
            dependants: Dependants::new(&run),
            unknown: Unknown::new(&run),
            host_counts: HostCounts::default(),
            config,
            run,
            jobs,
            classes,
            waiting: Waiting::default(),
            unserved: Unserved::default(),
            untried: 0,
            mode: Mode::Running,
            goes_on: false,
            held: false,
            last_progress: Duration::ZERO,
            losses: BTreeSet::new(),
            refetched_from: BTreeSet::new(),
            heard: BTreeMap::new(),
            unbegun: BTreeSet::new(),
            overdue: BTreeSet::new(),
            withdrawals: BTreeSet::new(),
            orders: Orders::default(),
            tasks,
            withdrawn_on: BTreeMap::new(),
            leaving: BTreeSet::new(),
            reopening: BTreeSet::new(),
            spaceless: BTreeSet::new(),
            time: Timestamp::default(),
            out: VecDeque::new(),
        };
        scheduler.begin_bound();
        scheduler.begin_leaving();
        (0..scheduler.jobs.len() as u32).for_each(|index| scheduler.take_over(index));
        scheduler
    }

    /// Finds a job of the run its place.
    fn take_over(&mut self, index: u32) {
        self.untried += u32::from(self.has_failed_untried(index));
        let holder = self.run.host_in_flight(index);
        let recalled = holder.is_some_and(|host| self.is_removed(host));
        let plan = &mut self.jobs[index as usize];
        (plan.inherited, plan.recalled) = (holder.is_some(), recalled);
        match self.state(index) {
            // Also when it is paused: a dependency may have failed before, and not
            // have failed it.
            JobState::Waiting(_) if self.dependants.is_blocked(index) => {
                self.set_wait(index, Wait::Blocked);
                self.dependants.recheck(index);
            }
            JobState::Waiting(_) => self.requeue(index),
            JobState::Running { host } | JobState::Collecting { host, .. } => {
                self.hosts.note_started(&self.run, host);
            }
            JobState::Assigned { .. } | JobState::Withdrawing { .. } | JobState::Ended(_) => {}
        }
    }

    /// The run as it is with all events so far, committed or not.
    #[must_use]
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// Events from here on carry this time.
    pub fn set_time(&mut self, at: Timestamp) {
        self.time = at;
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
        let waits = self.nobody_answered() && !matches!(self.mode, Mode::Acting | Mode::Closing(_));
        let connect = waits.then_some(self.patience_end());
        let pauses = self.hosts.next_pause_end();
        let reclaim = self.next_reclaim();
        let loss = self.losses.first().map(|(due, _)| *due);
        let any_host = self
            .waiting
            .next_takes_any_host()
            .filter(|_| self.is_dispatching() && self.hosts.any_room());
        let withdrawal = self.withdrawals.first().map(|(due, _)| *due);
        let unbegun = self.unbegun.first().map(|(due, _)| *due);
        let due = [
            self.waiting.next_ready(),
            connect,
            pauses,
            reclaim,
            loss,
            any_host,
            withdrawal,
            unbegun,
            self.orders.next_due(),
            self.unserved.next_due(),
            self.next_task_due(),
            self.next_host_count_due(),
        ];
        due.into_iter().flatten().min()
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Duration) {
        for index in self.waiting.release(now, PREFER_OTHER_HOST_FOR) {
            self.requeue(index);
        }
        while let Some(host) = self.hosts.end_pause(now) {
            self.probe(host);
        }
        self.lose_hosts(now);
        let late = self.note_overdue(now);
        self.withdraw_again(now);
        self.order_again(now);
        self.launch_tasks_again(now);
        self.settle(now);
        self.launch_again(now, &late);
    }

    /// A manager takes the run up.
    pub fn handle_start(&mut self, run: RunId, resumed: bool) {
        let (jobs, hosts) = (self.run.jobs().len() as u32, self.run.hosts().len() as u32);
        self.emit(What::Run(RunEvent::Began { run, jobs, hosts, resumed }));
        if resumed {
            self.hold_all_unannounced();
        }
    }

    /// Records something that asks for no decision.
    pub fn note(&mut self, what: What) {
        self.emit(what);
    }

    /// A host answers. Launches that it is not known to have started are sent
    /// again, and so is what users have asked of its jobs: sending twice
    /// changes nothing.
    pub fn handle_host_up(&mut self, now: Duration, host: HostIx, facts: HostFacts) {
        let Some(entry) = self.run.host(host) else {
            return;
        };
        let again: Vec<u32> = entry.in_flight().collect();
        self.reopening.remove(&host);
        self.hosts.note_reached(now, &self.run, host);
        self.hosts.contacts(host, FailedContacts::reset);
        self.emit_host(host, HostChange::Up(facts));
        self.tell_host_count(now, host);
        self.pause_on(now, host);
        self.forget_loss(host);
        self.settle_abandoned(host);
        self.end_overtaken(host);
        self.offer_space(host);
        for index in again {
            self.send_again(now, host, index);
        }
        self.collect_again(host);
        self.send_task_again(now, host);
        self.give_up_once_up(now, host);
        self.settle(now);
    }

    /// A host that answers runs so many jobs at once, of those that are wanted.
    pub fn handle_slots(&mut self, host: HostIx, slots: u32, wanted: u32) {
        if slots < wanted && self.hosts.note_limited(host, slots) {
            self.emit_host(host, HostChange::Limited { slots, wanted });
        }
    }

    /// How long a message to a host and its answer take, as measured last. The longer, the
    /// more jobs it gets ahead of need.
    pub fn handle_round_trip(&mut self, host: HostIx, round_trip: Duration) {
        self.hosts.note_round_trip(&self.run, host, round_trip);
    }

    fn send_again(&mut self, now: Duration, host: HostIx, index: u32) {
        let job = &self.run.jobs()[index as usize];
        let key = job.last_key();
        let (kill, paused, resumed) = (job.kill, job.paused, job.resumed);
        let recalled = self.jobs[index as usize].recalled;
        match self.state(index) {
            // Nothing starts that is to be killed at once.
            JobState::Assigned { .. } if kill => {}
            // Another host may have it by now.
            JobState::Assigned { .. } if self.is_adopting() => {}
            // A restarted host has to be set up before it begins more jobs.
            JobState::Assigned { .. }
                if !self.is_serving(host) || !self.run.hosts()[host.at()].is_ready() =>
            {
                self.withdraw(now, host, index);
            }
            JobState::Assigned { .. } => {
                self.expect_begin(index, now + self.config.lost_after);
                self.out.push_back(Action::Launch { host, key });
            }
            JobState::Withdrawing { .. } => {
                self.jobs[index as usize].withdrawal_sent = (0, now);
                self.withdraw(now, host, index);
            }
            JobState::Running { .. } if kill || recalled => {}
            JobState::Running { .. } if paused => self.order(host, key, Order::Pause),
            JobState::Running { .. } if resumed => self.order(host, key, Order::Resume),
            JobState::Running { .. } => {}
            JobState::Waiting(_) | JobState::Collecting { .. } | JobState::Ended(_) => {}
        }
        if kill {
            self.order(host, key, Order::kill(Cause::Killed));
        } else if self.is_interrupting() || recalled {
            self.order(host, key, Order::kill(Cause::Interrupted));
        }
    }

    /// A host is being connected to, which takes a while; `progress` says that it
    /// has been heard, or waits for this side.
    pub fn handle_connecting(&mut self, now: Duration, host: HostIx, doing: &str, progress: bool) {
        if progress {
            self.last_progress = now;
        }
        let status = self.run.host(host).map(|host| host.status);
        if status == Some(HostStatus::Connecting) {
            self.emit_host(host, HostChange::Connecting { doing: doing.to_owned() });
        }
    }

    /// A host does not answer now. Its jobs live on, as far as anyone knows.
    pub fn handle_host_unreachable(&mut self, now: Duration, host: HostIx, reason: &str) {
        let Some(before) = self.run.host(host).map(|host| host.status) else {
            return;
        };
        self.reopening.remove(&host);
        let is_news = self.hosts.contacts(host, |contacts| contacts.add(reason));
        if before != HostStatus::Unreachable || is_news == Some(true) {
            self.emit_host(host, HostChange::Unreachable { reason: reason.to_owned() });
        }
        if before != HostStatus::Unreachable {
            self.expect_loss(now, host);
        }
        self.give_up_failed_setup(now, host);
        self.settle(now);
    }

    /// A host takes long to answer, and may still do.
    pub fn handle_host_slow(&mut self, host: HostIx, reason: &str) {
        let waited_for = self.run.host(host).is_some_and(|host| match host.status {
            HostStatus::Connecting | HostStatus::Unreachable => true,
            HostStatus::Up | HostStatus::Paused | HostStatus::Failed => false,
        });
        let is_first = self.run.host(host).is_some_and(|h| h.status == HostStatus::Connecting);
        if waited_for && self.hosts.contacts(host, |contacts| contacts.hear(reason)) == Some(true) {
            let reason = reason.to_owned();
            self.emit_host(
                host,
                match is_first {
                    // It is waited for until its first connection has failed.
                    true => HostChange::Connecting { doing: reason },
                    false => HostChange::Unreachable { reason },
                },
            );
        }
    }

    /// A host that is connected has said nothing for so long, or says something again
    /// after so long. It is only said: what it runs lives on, and it may be fine.
    pub fn handle_silence(
        &mut self,
        now: Duration,
        host: HostIx,
        silence: Duration,
        is_over: bool,
    ) {
        let Some(known) = self.run.host(host) else { return };
        match is_over {
            true => drop(self.heard.remove(&host)),
            false => drop(self.heard.insert(host, now.saturating_sub(silence))),
        }
        let seconds = silence.as_secs();
        match is_over {
            true if known.is_silent() => self.emit_host(host, HostChange::Heard { seconds }),
            false if known.status == HostStatus::Up && !known.is_silent() => {
                self.emit_host(host, HostChange::Silent { seconds });
            }
            true | false => {}
        }
    }

    /// A host cannot be used at all, as far as this manager can tell. Its jobs
    /// are treated as a lost host's; the host may still have their outcomes for
    /// a later manager.
    pub fn handle_host_failed(&mut self, now: Duration, host: HostIx, reason: &str) {
        let Some(before) = self.run.host(host).map(|host| host.status) else {
            return;
        };
        self.reopening.remove(&host);
        self.forget_failed_setup(host);
        self.emit_host(host, HostChange::Failed { reason: reason.to_owned(), printed: Vec::new() });
        if before != HostStatus::Unreachable {
            self.expect_loss(now, host);
        }
        self.settle(now);
    }

    /// Decides what is left to be decided after any input: dispatches jobs,
    /// reclaims jobs, sees whether the run is over.
    pub fn settle(&mut self, now: Duration) {
        self.fail_dependants();
        self.check_limit(now);
        self.fail_unserved(now);
        self.release_announced(now);
        self.begin_tasks(now);
        self.dispatch(now);
        self.fail_dependants();
        self.reclaim(now);
        self.withdraw_overdue(now);
        self.orders.expect_answers(now + self.config.lost_after);
        self.turn_classes();
        self.close_left(now);
        self.stop_if_over(now);
    }

    /// The one way in which anything changes: an event that is applied to the
    /// run, with all that is counted by it, and handed out to be committed.
    fn emit(&mut self, what: What) {
        let index = what.key().map(|key| key.index).filter(|at| self.run.job(*at).is_some());
        let host_before = index.and_then(|index| self.run.host_needed(index));
        let holder_before = index.and_then(|index| self.run.host_in_flight(index));
        let untried_before = index.is_some_and(|index| self.has_failed_untried(index));
        let seq = self.run.seq() + u64::from(what.is_durable());
        let event = Event { seq, at: self.time, what };
        let touched = self.run.apply(&event);
        if let Some(index) = index {
            self.untried -= u32::from(untried_before);
            self.untried += u32::from(self.has_failed_untried(index));
            let phase = self.run.jobs()[index as usize].phase;
            if phase != Phase::Waiting {
                self.set_wait(index, Wait::Undecided);
            }
            if let Some(host) = host_before.filter(|_| phase != Phase::Assigned) {
                self.set_withdrawing(index, host, false);
                self.forget_waits(index);
            }
        }
        index.into_iter().for_each(|index| self.note_holder(index, holder_before));
        let host_after = index.and_then(|index| self.run.host_needed(index));
        self.refresh_hosts([host_before, host_after, touched.host]);
        if touched.all_hosts {
            for ix in (0..self.run.hosts().len() as u32).map(HostIx) {
                self.tasks.look_at(ix);
                self.hosts.refresh(&self.run, ix);
            }
        }
        self.out.push_back(Action::Emit { event, touched });
    }

    fn refresh_hosts(&mut self, hosts: [Option<HostIx>; 3]) {
        let mut last = None;
        for host in hosts.into_iter().flatten() {
            if last.replace(host) != Some(host) {
                self.tasks.look_at(host);
                self.hosts.refresh(&self.run, host);
            }
        }
    }

    fn emit_host(&mut self, host: HostIx, change: HostChange) {
        let host = self.label(host);
        self.emit(What::Host(HostEvent { host, change }));
    }

    fn emit_attempt(&mut self, host: HostIx, key: Key, change: AttemptChange) {
        let host = self.label(host);
        self.emit(What::Attempt(AttemptEvent { key, host, change }));
    }

    fn emit_job(&mut self, key: Key, change: JobChange) {
        self.emit(What::Job(JobEvent { key, change }));
    }

    fn order(&mut self, host: HostIx, key: Key, order: Order) {
        self.out.push_back(Action::Order { host, key, order });
        self.orders.note_sent(host, key);
    }

    /// The label of a host, which must be one of the run's.
    fn label(&self, host: HostIx) -> HostLabel {
        self.run.hosts()[host.at()].label.clone()
    }

    /// True when a host can be sent something now.
    fn answers(&self, host: HostIx) -> bool {
        self.run.host(host).is_some_and(|host| host.status.answers())
    }

    /// A job of the run.
    fn job(&self, index: u32) -> &Job {
        &self.run.jobs()[index as usize]
    }

    /// True for a job that has failed before any attempt was made.
    fn has_failed_untried(&self, index: u32) -> bool {
        let job = self.job(index);
        job.last_attempt == 0 && job.phase == Phase::Ended(State::Error)
    }

    /// True for a job that is done only once its outputs are local.
    fn collects(&self, index: u32) -> bool {
        self.config.collect_all || !self.job(index).spec.outputs.is_empty()
    }

    /// A job no longer waits, if it did.
    fn forget_waiting(&mut self, index: u32) {
        let plan = &self.jobs[index as usize];
        match plan.wait {
            Wait::Ready => self.waiting.remove(index, plan.class),
            Wait::Delayed => self.waiting.remove_delayed(index),
            Wait::Undecided | Wait::Blocked | Wait::Held | Wait::Inputs => {}
        }
        self.set_wait(index, Wait::Undecided);
    }

    /// Gives a job its outcome from its latest attempt.
    fn end_job(&mut self, index: u32, state: State, reason: Option<String>) {
        self.end_job_by(self.job(index).last_key(), state, reason);
    }

    /// Gives a job its outcome, the one that counts, from this attempt.
    fn end_job_by(&mut self, key: Key, state: State, reason: Option<String>) {
        self.forget_waiting(key.index);
        self.emit_job(key, JobChange::Ended { state, reason });
        self.end_rivals(key);
        self.note_outcome(key.index, state);
    }
}

#[cfg(test)]
mod tests;
