//! What the scheduler knows of hosts beyond the run, and the indexes that make
//! a choice among ten thousand hosts cost what one among ten does. Every change
//! of a host passes through here, so that the indexes are always right.

mod contacts;
mod groups;
mod index;
mod totals;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::resources::Ask;
use crate::run::{Host, HostDuty, HostIx, HostStatus, Run};
pub(super) use contacts::FailedContacts;
use groups::Groups;
use index::HostIndex;
pub(super) use totals::Totals;

/// From a job's end to its successor's launch: the manager's own share of the
/// time, on top of the link's. It includes the time for which it gathers what to commit.
const TURNAROUND: Duration = Duration::from_millis(30);

/// Jobs dispatched ahead of need, at most, per slot.
const MAX_AHEAD: u32 = 32;

/// The same for a host whose last job has failed: it may spoil them all.
const MAX_AHEAD_OF_FAILURE: u32 = 8;

/// A slot that stands idle for less than this share of a job's length needs none ahead.
const IDLE_SHARE: f64 = 0.05;

/// No slot runs one job after the other faster than this, seconds.
const SHORTEST: f64 = 0.002;

/// A host that was paused this often in a row, and has never started a job, is
/// no longer waited for.
const MAX_FUTILE_PAUSES: u32 = 5;

/// This many jobs failing in a row, while as many succeed elsewhere, make a host
/// a black hole.
const BLACK_HOLE: u32 = 5;

/// All hosts, by position.
#[derive(Debug)]
pub(super) struct Hosts {
    plans: Vec<HostPlan>,
    index: HostIndex,
    totals: Totals,
    /// The sets of hosts that jobs are bound to.
    groups: Groups,
    /// When paused hosts are probed.
    pauses: BTreeSet<(Duration, HostIx)>,
    /// The job for which a host is reserved.
    reserved: BTreeMap<HostIx, u32>,
    /// True when jobs may be dispatched ahead of need.
    may_run_ahead: bool,
    /// Jobs that have succeeded under this manager.
    successes: u64,
}

/// What the scheduler knows of one host beyond the run.
#[derive(Debug, Default)]
struct HostPlan {
    /// When it last came to answer this manager.
    reached: Option<Duration>,
    /// Attempts to reach it that failed since.
    contacts: FailedContacts,
    /// When it last showed that it works.
    worked: Duration,
    /// Its run log has lines that are no records, as was said.
    log_spoiled: bool,
    /// It has waited for what others use of its machine.
    has_waited: bool,
    /// It takes no notice of others.
    is_oversubscribed: bool,
    /// It was damaged, as was said.
    log_damaged: bool,
    /// The number of slots that it was said to be limited to.
    limited: Option<u32>,
    /// It has started a job under this manager, or runs one from before.
    has_started: bool,
    /// Times in a row that it was paused.
    pauses: u32,
    /// What there was too little of when it had no space for a job, or how busy it was, until
    /// it starts one.
    full: Option<String>,
    /// It was too busy for a job, as was said.
    was_busy: bool,
    /// It was added, and others are yet to know of it: it begins no job.
    is_unannounced: bool,
    /// Probed after a pause: it gets one job at a time until one succeeds.
    on_probation: bool,
    /// Jobs that have succeeded on it.
    successes: u64,
    /// Jobs in a row that have failed on it, and the successes elsewhere when
    /// the first of them did.
    failing: (u32, u64),
    /// Jobs being withdrawn from it.
    withdrawing: u32,
    /// Jobs that it has of each set of hosts that jobs are bound to.
    bound: BTreeMap<u32, u32>,
    /// What it adds to the totals.
    counted: Totals,
    /// Smoothed length of its jobs, seconds.
    mean_length: Option<f64>,
    /// From a message to the host to its answer.
    round_trip: Duration,
}

/// A host fails one job after the other, and others don't.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlackHole {
    pub(super) failed: u32,
    pub(super) passed_elsewhere: u64,
}

impl Hosts {
    /// With the sets of hosts that jobs are bound to.
    pub(super) fn new(run: &Run, may_run_ahead: bool, sets: Vec<Vec<HostIx>>) -> Self {
        let mut hosts = Hosts {
            groups: Groups::new(sets, run.hosts().len()),
            plans: run.hosts().iter().map(|_| HostPlan::default()).collect(),
            index: HostIndex::default(),
            totals: Totals::default(),
            pauses: BTreeSet::new(),
            reserved: BTreeMap::new(),
            may_run_ahead,
            successes: 0,
        };
        (0..run.hosts().len() as u32).for_each(|ix| hosts.refresh(run, HostIx(ix)));
        hosts
    }

    /// Takes in the hosts that were added to the run.
    pub(super) fn extend(&mut self, run: &Run) {
        self.groups.extend(run.hosts().len());
        for ix in self.plans.len() as u32..run.hosts().len() as u32 {
            self.plans.push(HostPlan::default());
            self.refresh(run, HostIx(ix));
        }
    }

    /// Replaces the sets of hosts that jobs are bound to. No job is counted as bound, and no
    /// host is reserved, before that is said anew.
    pub(super) fn regroup(&mut self, run: &Run, sets: Vec<Vec<HostIx>>) {
        self.groups = Groups::new(sets, run.hosts().len());
        (self.index, self.totals) = (HostIndex::default(), Totals::default());
        self.reserved.clear();
        for plan in &mut self.plans {
            plan.bound.clear();
            plan.counted = Totals::default();
        }
        (0..run.hosts().len() as u32).for_each(|ix| self.refresh(run, HostIx(ix)));
    }

    /// Jobs may be dispatched ahead of need from now on, or not.
    pub(super) fn set_may_run_ahead(&mut self, run: &Run, may_run_ahead: bool) {
        self.may_run_ahead = may_run_ahead;
        (0..run.hosts().len() as u32).for_each(|ix| self.refresh(run, HostIx(ix)));
    }

    /// Brings the indexes up to date after a host has changed.
    pub(super) fn refresh(&mut self, run: &Run, ix: HostIx) {
        let (Some(host), Some(plan)) = (run.host(ix), self.plans.get_mut(ix.at())) else { return };
        let up = host.takes_jobs();
        let (load, slots) = (host.load(), host.slots());
        let takes_jobs = up && host.is_ready() && !plan.is_unannounced;
        let usable = run.usable_slots(host);
        let (capacity, rank) = match host.waits_for {
            None => (plan.capacity(slots, self.may_run_ahead), load),
            // One more keeps its place among those that wait; others come first.
            Some(_) => (usable.saturating_add(1), load.saturating_add(slots)),
        };
        let has_room = takes_jobs && load < capacity && !self.reserved.contains_key(&ix);
        let (room, is_overfull) = (has_room.then(|| fullness(rank, slots)), up && load > usable);
        let bound: u32 = plan.bound.values().sum();
        let has_free_jobs = host.in_flight().len() > bound as usize;
        self.index.place(ix, room, is_overfull && has_free_jobs);
        self.groups.place(ix, room, |group| is_overfull && plan.bound.contains_key(&group));
        let counted = plan.count(host, capacity.min(usable), usable);
        self.groups.count(ix, plan.counted, counted);
        self.totals.replace(&mut plan.counted, counted);
    }

    fn update<T>(
        &mut self,
        run: &Run,
        ix: HostIx,
        change: impl FnOnce(&mut HostPlan) -> T,
    ) -> Option<T> {
        let changed = self.plans.get_mut(ix.at()).map(change);
        self.refresh(run, ix);
        changed
    }

    /// Sums over all hosts.
    pub(super) fn totals(&self) -> &Totals {
        &self.totals
    }

    /// True while any host has room.
    pub(super) fn any_room(&self) -> bool {
        self.index.any_room()
    }

    /// A host at random among the least full ones with room that will do.
    pub(super) fn pick(
        &self,
        rng: &mut fastrand::Rng,
        will_do: impl Fn(HostIx) -> bool,
    ) -> Option<HostIx> {
        self.index.pick(rng, will_do)
    }

    /// Hosts that hold more jobs than slots, some of them free to run anywhere.
    pub(super) fn overfull(&self) -> impl Iterator<Item = HostIx> + '_ {
        self.index.overfull()
    }

    /// The sets of hosts that jobs are bound to.
    pub(super) fn groups(&self) -> &Groups {
        &self.groups
    }

    /// The same, to be asked what has changed.
    pub(super) fn groups_mut(&mut self) -> &mut Groups {
        &mut self.groups
    }

    /// A host has got a job that is bound to a set of hosts, or no longer has it.
    pub(super) fn note_bound(&mut self, ix: HostIx, group: u32, more: i32) {
        let Some(plan) = self.plans.get_mut(ix.at()) else { return };
        let jobs = plan.bound.entry(group).or_default();
        *jobs = jobs.saturating_add_signed(more);
        if *jobs == 0 {
            plan.bound.remove(&group);
        }
    }

    /// True when a host can start this now.
    pub(super) fn has_free(&self, run: &Run, ix: HostIx, ask: &Ask) -> bool {
        let idle = run.host(ix).is_some_and(|host| host.in_flight().len() == 0);
        let plan = self.plans.get(ix.at());
        let probation = plan.is_some_and(|plan| plan.on_probation);
        let may = plan.is_some_and(|plan| !plan.is_unannounced) && (idle || !probation);
        may && run.host(ix).is_some_and(|host| host.has_free(ask))
    }

    pub(super) fn note_reached(&mut self, now: Duration, run: &Run, ix: HostIx) {
        self.update(run, ix, |plan| plan.reached = Some(now));
    }

    /// When a host last came to answer this manager; none if it never has.
    pub(super) fn reached(&self, ix: HostIx) -> Option<Duration> {
        self.plans.get(ix.at())?.reached
    }

    /// Changes, or asks, what is known of the attempts to reach a host.
    pub(super) fn contacts<T>(
        &mut self,
        ix: HostIx,
        change: impl FnOnce(&mut FailedContacts) -> T,
    ) -> Option<T> {
        self.plans.get_mut(ix.at()).map(|plan| change(&mut plan.contacts))
    }

    pub(super) fn note_work(&mut self, ix: HostIx, now: Duration) {
        self.plans.get_mut(ix.at()).into_iter().for_each(|plan| plan.worked = now);
    }

    /// When a host last showed that it works, or came to answer.
    pub(super) fn last_work(&self, ix: HostIx) -> Duration {
        let plan = self.plans.get(ix.at());
        plan.map_or(Duration::ZERO, |plan| plan.worked.max(plan.reached.unwrap_or_default()))
    }

    /// True the first time that its run log is found to be spoiled.
    pub(super) fn note_log_spoiled(&mut self, ix: HostIx) -> bool {
        let plan = self.plans.get_mut(ix.at());
        plan.is_some_and(|plan| !std::mem::replace(&mut plan.log_spoiled, true))
    }

    /// Its jobs wait for others; true if they did before.
    pub(super) fn note_waiting(&mut self, ix: HostIx) -> bool {
        let plan = self.plans.get_mut(ix.at());
        plan.is_some_and(|plan| std::mem::replace(&mut plan.has_waited, true))
    }

    /// True if it was not said yet that it takes no notice of others.
    pub(super) fn note_oversubscribed(&mut self, ix: HostIx) -> bool {
        let plan = self.plans.get_mut(ix.at());
        plan.is_some_and(|plan| !std::mem::replace(&mut plan.is_oversubscribed, true))
    }

    /// True if it was not said yet that it is limited to so many slots.
    pub(super) fn note_limited(&mut self, ix: HostIx, slots: u32) -> bool {
        let plan = self.plans.get_mut(ix.at());
        plan.is_some_and(|plan| plan.limited.replace(slots) != Some(slots))
    }

    /// True the first time that its run log is found to be damaged.
    pub(super) fn note_log_damaged(&mut self, ix: HostIx) -> bool {
        let plan = self.plans.get_mut(ix.at());
        plan.is_some_and(|plan| !std::mem::replace(&mut plan.log_damaged, true))
    }

    pub(super) fn note_started(&mut self, run: &Run, ix: HostIx) {
        self.update(run, ix, |plan| {
            plan.has_started = true;
            if plan.full.take().is_some() {
                (plan.pauses, plan.on_probation) = (0, false);
            }
        });
    }

    pub(super) fn has_started(&self, ix: HostIx) -> bool {
        self.plans.get(ix.at()).is_some_and(|plan| plan.has_started)
    }

    /// Learns from a job that ran for `length`.
    pub(super) fn note_length(&mut self, run: &Run, ix: HostIx, length: Duration) {
        self.update(run, ix, |plan| plan.learn(length));
    }

    /// Learns how long a message to a host and its answer take.
    pub(super) fn note_round_trip(&mut self, run: &Run, ix: HostIx, round_trip: Duration) {
        self.update(run, ix, |plan| plan.round_trip = round_trip);
    }

    /// True while a host that holds `load` jobs has enough of them to stay busy.
    pub(super) fn is_supplied(&self, run: &Run, ix: HostIx, load: u32) -> bool {
        let (Some(host), Some(plan)) = (run.host(ix), self.plans.get(ix.at())) else {
            return true;
        };
        let (slots, capacity) = (host.slots(), plan.capacity(host.slots(), self.may_run_ahead));
        host.waits_for.is_some() || load >= slots.saturating_add(capacity.saturating_sub(slots) / 2)
    }

    /// Jobs of a host are being withdrawn, or no longer are.
    pub(super) fn note_withdrawing(&mut self, run: &Run, ix: HostIx, more: i32) {
        self.update(run, ix, |plan| {
            plan.withdrawing = plan.withdrawing.saturating_add_signed(more);
        });
    }

    pub(super) fn note_success(&mut self, run: &Run, ix: HostIx) {
        self.successes += 1;
        self.update(run, ix, |plan| {
            plan.successes += 1;
            (plan.failing, plan.pauses, plan.on_probation) = ((0, 0), 0, false);
        });
    }

    /// A job failed on a host. Says so if the host is a black hole.
    pub(super) fn note_failure(&mut self, run: &Run, ix: HostIx) -> Option<BlackHole> {
        let successes = self.successes;
        self.update(run, ix, |plan| plan.note_failure(successes))?
    }

    /// A host has no space for a job, and is paused; true if it had none before.
    pub(super) fn note_full(&mut self, run: &Run, ix: HostIx, reason: &str) -> bool {
        let note = |plan: &mut HostPlan| {
            plan.pauses += 1;
            plan.full.replace(reason.to_owned()).is_some()
        };
        self.update(run, ix, note).unwrap_or(false)
    }

    /// A host is too busy for a job, and is paused; true if it was before.
    pub(super) fn note_busy(&mut self, run: &Run, ix: HostIx, reason: &str) -> bool {
        let note = |plan: &mut HostPlan| {
            plan.full = Some(reason.to_owned());
            std::mem::replace(&mut plan.was_busy, true)
        };
        self.update(run, ix, note).unwrap_or(false)
    }

    /// What a host has too little of, until it starts a job.
    pub(super) fn full(&self, ix: HostIx) -> Option<String> {
        self.plans.get(ix.at())?.full.clone()
    }

    /// Counts a pause of a host: the how many-th in a row it is.
    pub(super) fn note_pause(&mut self, run: &Run, ix: HostIx) -> u32 {
        let count = |plan: &mut HostPlan| {
            plan.pauses += 1;
            plan.pauses
        };
        self.update(run, ix, count).unwrap_or(1)
    }

    pub(super) fn pause_until(&mut self, ix: HostIx, until: Duration) {
        self.pauses.insert((until, ix));
    }

    /// How long a host's pause still lasts, if there is one.
    pub(super) fn pause_left(&self, now: Duration, ix: HostIx) -> Option<Duration> {
        let ends = self.pauses.iter().filter(|(_, paused)| *paused == ix).map(|(until, _)| *until);
        ends.max()?.checked_sub(now).filter(|left| !left.is_zero())
    }

    /// When the first pause is over.
    pub(super) fn next_pause_end(&self) -> Option<Duration> {
        self.pauses.first().map(|(until, _)| *until)
    }

    /// A host whose pause is over, each once.
    pub(super) fn end_pause(&mut self, now: Duration) -> Option<HostIx> {
        let (until, host) = *self.pauses.first()?;
        (until <= now).then(|| {
            self.pauses.pop_first();
            host
        })
    }

    /// A host that was added may begin no job yet, or may from now on.
    pub(super) fn set_unannounced(&mut self, run: &Run, ix: HostIx, is_so: bool) {
        self.update(run, ix, |plan| plan.is_unannounced = is_so);
    }

    pub(super) fn put_on_probation(&mut self, run: &Run, ix: HostIx) {
        self.update(run, ix, |plan| plan.on_probation = true);
    }

    /// Hosts that are reserved, with the jobs they are reserved for.
    pub(super) fn reserved(&self) -> impl Iterator<Item = (HostIx, u32)> + '_ {
        self.reserved.iter().map(|(ix, job)| (*ix, *job))
    }

    pub(super) fn is_reserved(&self, ix: HostIx) -> bool {
        self.reserved.contains_key(&ix)
    }

    pub(super) fn reserve(&mut self, run: &Run, ix: HostIx, job: u32) {
        self.reserved.insert(ix, job);
        self.refresh(run, ix);
    }

    pub(super) fn unreserve(&mut self, run: &Run, ix: HostIx) {
        self.reserved.remove(&ix);
        self.refresh(run, ix);
    }
}

impl HostPlan {
    /// One of its jobs has failed, while `successes` jobs have succeeded on all hosts.
    fn note_failure(&mut self, successes: u64) -> Option<BlackHole> {
        let elsewhere = successes - self.successes;
        if self.failing.0 == 0 {
            self.failing.1 = elsewhere;
        }
        self.failing.0 += 1;
        let (failed, before) = self.failing;
        let passed_elsewhere = elsewhere - before;
        let failed_probe = self.on_probation && passed_elsewhere > 0;
        let is_black_hole =
            failed_probe || (failed >= BLACK_HOLE && passed_elsewhere >= BLACK_HOLE.into());
        is_black_hole.then(|| {
            self.failing = (0, 0);
            BlackHole { failed, passed_elsewhere }
        })
    }

    fn learn(&mut self, length: Duration) {
        let length = length.as_secs_f64();
        self.mean_length = Some(match self.mean_length {
            Some(mean) => mean + (length - mean) / 8.0,
            None => length,
        });
    }

    /// Jobs it may hold: its slots, and as many ahead as short jobs need to
    /// hide the way to the manager and back.
    fn capacity(&self, slots: u32, may_run_ahead: bool) -> u32 {
        if self.on_probation {
            return 1;
        }
        let (Some(mean), true) = (self.mean_length, may_run_ahead) else {
            return slots;
        };
        let idle = (TURNAROUND + self.round_trip).as_secs_f64() / mean.max(SHORTEST);
        if idle < IDLE_SHARE {
            return slots;
        }
        let ahead = (f64::from(slots) * idle).ceil() as u32;
        let most = if self.failing.0 > 0 { MAX_AHEAD_OF_FAILURE } else { MAX_AHEAD };
        slots.saturating_add(ahead.min(slots.saturating_mul(most)))
    }

    /// What it adds to the totals, with room for `room_for` jobs in the slots that it can use.
    fn count(&self, host: &Host, room_for: u32, usable: u32) -> Totals {
        let load = host.load();
        let (is_up, failed) = (host.takes_jobs(), host.status == HostStatus::Failed);
        let serves = host.duty == HostDuty::Serving;
        let out = failed || (host.duty == HostDuty::Removed && host.needed_by() == 0);
        let drained = !failed && host.duty == HostDuty::Draining && host.needed_by() == 0;
        let futile = host.status == HostStatus::Paused
            && serves
            && !self.has_started
            && self.pauses >= MAX_FUTILE_PAUSES
            && host.in_flight().len() == 0;
        let may_live = host.in_flight().len() + host.abandoned().count();
        let only = |is_so: bool, number: u64| if is_so { number } else { 0 };
        Totals {
            up: u64::from(is_up),
            reached: u64::from(self.reached.is_some() && !out),
            connecting: u64::from(host.status == HostStatus::Connecting && !out),
            out: u64::from(out),
            drained: u64::from(drained),
            futile: u64::from(futile),
            stuck: only(out, host.needed_by().into()),
            in_reach: only(host.status.answers(), may_live as u64),
            idle: only(
                is_up && host.is_ready() && !self.is_unannounced,
                u64::from(room_for).saturating_sub(load.into()),
            ),
            withdrawing: only(is_up && load > usable, self.withdrawing.into()),
        }
    }
}

/// How full a host is, in thousands; hosts of any size compare.
fn fullness(load: u32, slots: u32) -> u32 {
    let fullness = u64::from(load) * 1024 / u64::from(slots);
    u32::try_from(fullness).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
