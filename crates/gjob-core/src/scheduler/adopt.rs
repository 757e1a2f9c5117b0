//! A run that has moved: its store is a copy that was taken at some time, and its hosts may
//! have begun more since. Nothing is dispatched before each of them has told that, or is
//! lost. What they tell is kept until then, and adopted job by job, in the order of attempts:
//! so it does not matter which host tells first, and each job gets the outcome that it had.
//!
//! Attempts that the copy does not know have higher numbers than those it knows, or the number
//! of one that was withdrawn, on another host. A host that was lost before it could tell may
//! come back: what it has begun is adopted if its job still waits, and else ended. One whose
//! records were removed cannot tell: nothing starts then. Nothing starts either when a host
//! tells that the run has had more hosts than the copy knows: what those have begun would
//! begin again, unless users add them before all others have told.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Scheduler;
use super::action::Action;
use super::job::JobState;
use super::stop::Mode;
use crate::event::{AttemptChange, HostChange, RunEvent, What};
use crate::id::Key;
use crate::order::Order;
use crate::outcome::Cause;
use crate::record::Record;
use crate::run::{Attempt, History, HostIx, HostStatus, Run};
use crate::state::State;
use crate::wire::Damage;

/// Why a host is out of a run that has moved.
const FORGETFUL: &str = "it has no records of this run any more (removed by gjob clean?): what \
                         it has run could run again, so nothing starts";

/// What hosts have begun without the run knowing of it.
#[derive(Debug)]
pub(super) struct Unknown {
    /// Hosts that have yet to tell: nothing starts before.
    untold: BTreeSet<HostIx>,
    /// True until everything that was told is adopted.
    is_kept: bool,
    attempts: BTreeMap<(Key, HostIx), Told>,
    /// The greatest number of hosts that the run has had, as hosts tell.
    hosts: u32,
    /// Those that another attempt has overtaken, and that are not known to have ended.
    overtaken: BTreeSet<(HostIx, Key)>,
}

impl Unknown {
    pub(super) fn new(run: &Run) -> Self {
        let hosts = (0..).map(HostIx).zip(run.hosts());
        let untold = hosts.filter(|(_, host)| host.history.is_kept());
        let untold: BTreeSet<HostIx> = untold.map(|(ix, _)| ix).collect();
        let is_kept = !untold.is_empty();
        let (attempts, overtaken) = (BTreeMap::new(), BTreeSet::new());
        Unknown { is_kept, untold, attempts, hosts: 0, overtaken }
    }
}

/// What a host has recorded of one attempt.
#[derive(Debug, Default)]
struct Told {
    started: Option<Record>,
    end: Option<Record>,
}

impl Told {
    fn note(&mut self, record: Record) {
        match record {
            Record::Started { .. } => self.started = Some(record),
            Record::Log { .. }
            | Record::Finished(_)
            | Record::Refused { .. }
            | Record::Withdrawn { .. }
            | Record::Lost { .. } => self.end = Some(record),
        }
    }

    /// True for an attempt that its host will never start.
    fn is_withdrawn(&self) -> bool {
        self.started.is_none() && matches!(self.end, Some(Record::Withdrawn { .. }))
    }
}

impl Scheduler {
    /// True while a host has yet to tell what it has begun.
    #[must_use]
    pub fn is_adopting(&self) -> bool {
        self.unknown.is_kept
    }

    /// True for a host that is to tell what it has begun.
    #[must_use]
    pub fn is_untold(&self, host: HostIx) -> bool {
        self.run.host(host).is_some_and(|host| host.history != History::Known)
    }

    /// True while what a host's run log says is kept, and not applied to the run.
    #[must_use]
    pub fn keeps_back(&self, host: HostIx) -> bool {
        self.run.host(host).is_some_and(|host| host.history.is_kept())
    }

    /// True for an attempt that another manager may know more of.
    #[must_use]
    pub fn is_inherited(&self, index: u32) -> bool {
        self.jobs.get(index as usize).is_some_and(|plan| plan.inherited)
    }

    /// A host that is to tell what it has begun cannot know it any more: it is out of the
    /// run, and nothing starts without its word. True for such a host.
    pub fn refuse_forgetful(&mut self, now: Duration, host: HostIx, damage: &Damage) -> bool {
        let is_awaited = self.unknown.untold.contains(&host);
        if !(damage.claims_lost && is_awaited) || self.mode == Mode::Acting {
            return false;
        }
        let reason = FORGETFUL.to_owned();
        self.out.push_back(Action::Reject { host, reason: reason.clone() });
        self.emit_host(host, HostChange::Failed { reason, printed: Vec::new() });
        self.forget_loss(host);
        self.settle(now);
        true
    }

    /// A host is added while others have yet to tell: the original may have had it, too.
    pub(super) fn await_added(&mut self, host: HostIx) {
        if self.run.host(host).is_some_and(|host| host.history == History::Awaited) {
            self.unknown.untold.insert(host);
        }
    }

    /// The number of hosts that the run has had besides those that this copy knows, as far
    /// as the others have told. While there are any, nothing starts.
    #[must_use]
    pub fn unknown_hosts(&self) -> u32 {
        self.unknown.hosts.saturating_sub(self.run.hosts().len() as u32)
    }

    /// A host has told all that it had begun when it was asked, and how many hosts the run
    /// has had.
    pub fn handle_told(&mut self, now: Duration, host: HostIx, hosts: u32) {
        if self.keeps_back(host) {
            self.unknown.hosts = self.unknown.hosts.max(hosts);
        }
        if self.is_untold(host) {
            self.unknown.untold.remove(&host);
            self.emit_host(host, HostChange::Told);
            self.adopt_if_told(now);
            self.settle(now);
        }
    }

    /// A host is lost: it is not waited for any more.
    pub(super) fn miss_history(&mut self, now: Duration, host: HostIx) {
        if self.unknown.untold.remove(&host) {
            self.emit_host(host, HostChange::Untold);
            self.adopt_if_told(now);
        }
    }

    /// True when all hosts that have yet to tell are out of the run.
    pub(super) fn adopts_in_vain(&self) -> bool {
        let is_out = |host: &HostIx| self.run.hosts()[host.at()].status == HostStatus::Failed;
        !self.unknown.untold.is_empty() && self.unknown.untold.iter().all(is_out)
    }

    /// True while a host that can be reached, as far as is known, has yet to tell.
    pub(super) fn may_adopt(&self) -> bool {
        let mut untold = self.unknown.untold.iter().map(|host| self.run.hosts()[host.at()].status);
        untold.any(|status| status.answers() || status == HostStatus::Connecting)
    }

    /// A record of an attempt that is neither waited for nor abandoned. False when it says
    /// nothing new.
    pub(super) fn record_of_unknown(
        &mut self,
        now: Duration,
        host: HostIx,
        key: Key,
        record: Record,
    ) -> bool {
        let history = self.run.host(host).map_or(History::Known, |host| host.history);
        if !matches!(record, Record::Started { .. }) {
            self.unknown.overtaken.remove(&(host, key));
        }
        if history == History::Known || self.is_known(host, key) {
            return false;
        }
        if history.is_kept() {
            self.unknown.attempts.entry((key, host)).or_default().note(record);
            return true;
        }
        let mut told = Told::default();
        told.note(record);
        self.adopt(now, (host, key), told, false);
        true
    }

    /// True for an attempt that the run knows to be on this host, or has forgotten.
    fn is_known(&self, host: HostIx, key: Key) -> bool {
        let Some(job) = self.run.job(key.index) else { return true };
        let is_here = |attempt: &Attempt| self.run.position(&attempt.host) == Some(host);
        match self.run.attempt(key) {
            Some(attempt) => is_here(attempt),
            None => key.attempt <= job.last_attempt,
        }
    }

    fn adopt_if_told(&mut self, now: Duration) {
        let all_told = self.unknown.untold.is_empty() && self.unknown_hosts() == 0;
        if self.unknown.is_kept && all_told {
            self.adopt_all(now);
        }
    }

    /// Adopts all that hosts have told, and lets jobs start again.
    fn adopt_all(&mut self, now: Duration) {
        let mut unknown: Vec<_> = std::mem::take(&mut self.unknown.attempts).into_iter().collect();
        unknown.sort_by_key(|((key, host), told)| (*key, !told.is_withdrawn(), *host));
        let mut attempts = 0;
        for ((key, host), told) in unknown {
            attempts += u32::from(self.adopt(now, (host, key), told, true));
        }
        self.end_killed();
        self.unknown.is_kept = false;
        self.emit(What::Run(RunEvent::Adopted { attempts }));
        self.launch_kept_back(now);
    }

    /// Ends the jobs that a user has killed meanwhile, and that no host has begun.
    fn end_killed(&mut self) {
        let waits = |index: &u32| matches!(self.state(*index), JobState::Waiting(_));
        let killed = |index: &u32| self.job(*index).kill && waits(index);
        let killed: Vec<u32> = (0..self.jobs.len() as u32).filter(killed).collect();
        for index in killed {
            self.end_job(index, State::Error, Some(Cause::Killed.to_string()));
        }
    }

    /// Sends the launches that were kept back since another host might have had the job.
    fn launch_kept_back(&mut self, now: Duration) {
        let hosts = (0..).map(HostIx).zip(self.run.hosts());
        let in_reach = hosts.filter(|(_, host)| host.status.answers());
        let jobs = in_reach.flat_map(|(ix, host)| host.in_flight().map(move |index| (ix, index)));
        let jobs: Vec<(HostIx, u32)> = jobs.collect();
        for (host, index) in jobs {
            let JobState::Assigned { .. } = self.state(index) else { continue };
            let key = self.job(index).last_key();
            self.expect_begin(index, now + self.config.lost_after);
            self.out.push_back(Action::Launch { host, key });
        }
    }

    /// Makes an attempt that a host has begun the one of its job, with what the host has
    /// recorded of it. One that another attempt has overtaken is ended: then this is false.
    /// `in_turn` says that nothing was started without this host's word.
    fn adopt(
        &mut self,
        now: Duration,
        (host, key): (HostIx, Key),
        told: Told,
        in_turn: bool,
    ) -> bool {
        if self.is_overtaken(key, in_turn) {
            if told.end.is_none() {
                self.unknown.overtaken.insert((host, key));
                self.order(host, key, Order::kill(Cause::Superseded));
            }
            return false;
        }
        self.make_way(key);
        self.emit_attempt(host, key, AttemptChange::Assigned);
        let plan = &mut self.jobs[key.index as usize];
        (plan.assigned, plan.inherited) = (now, true);
        for record in told.started.into_iter().chain(told.end) {
            let record = self.check_denied(key, record);
            match record {
                // Nobody knows which attempt has counted instead.
                Record::Finished(finish) if finish.cause == Some(Cause::Superseded) => {
                    self.emit_attempt(host, key, AttemptChange::Exited { finish });
                    self.requeue(key.index);
                }
                _ => self.awaited_record(now, host, key, record),
            }
        }
        if self.is_awaited(host, key) && self.answers(host) {
            if self.job(key.index).kill {
                self.order(host, key, Order::kill(Cause::Killed));
            } else if self.is_interrupting() {
                self.order(host, key, Order::kill(Cause::Interrupted));
            }
        }
        true
    }

    /// True for an attempt that was to be ended since another one has overtaken it.
    pub(super) fn is_overtaken_on(&self, host: HostIx, key: Key) -> bool {
        self.unknown.overtaken.contains(&(host, key))
    }

    /// A host answers again: what was overtaken on it is to end.
    pub(super) fn end_overtaken(&mut self, host: HostIx) {
        let on_it = (host, Key::new(0, 0))..=(host, Key::new(u32::MAX, u32::MAX));
        let overtaken: Vec<_> = self.unknown.overtaken.range(on_it).copied().collect();
        for (host, key) in overtaken {
            self.order(host, key, Order::kill(Cause::Superseded));
        }
    }

    /// True when a job has its outcome without this attempt, or another attempt after it.
    fn is_overtaken(&self, key: Key, in_turn: bool) -> bool {
        let job = self.job(key.index);
        match self.state(key.index) {
            JobState::Collecting { .. } | JobState::Ended(State::Done) => true,
            // A later attempt than the one that failed was begun for a user's retry.
            JobState::Ended(_) => !in_turn || job.kill || key.attempt <= job.last_attempt,
            JobState::Running { .. } => !in_turn || key.attempt <= job.last_attempt,
            JobState::Assigned { .. } | JobState::Withdrawing { .. } => {
                !in_turn || key.attempt < job.last_attempt
            }
            JobState::Waiting(_) => key.attempt < job.last_attempt,
        }
    }

    /// Makes a job ready for a later attempt than the one it has.
    fn make_way(&mut self, key: Key) {
        let last = self.job(key.index).last_key();
        match self.state(key.index) {
            JobState::Ended(_) => drop(self.handle_retry(key.index)),
            JobState::Assigned { host, .. } | JobState::Withdrawing { host } if last == key => {
                self.take_back(host, key);
            }
            JobState::Assigned { host, .. }
            | JobState::Withdrawing { host }
            | JobState::Running { host } => {
                let reason = "a later attempt was begun".to_owned();
                self.emit_attempt(host, last, AttemptChange::Abandoned { reason });
            }
            JobState::Waiting(_) | JobState::Collecting { .. } => {}
        }
        self.forget_waiting(key.index);
    }
}
