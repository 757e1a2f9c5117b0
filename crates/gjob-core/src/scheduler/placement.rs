//! Which host a job is dispatched to, and which unstarted jobs are reclaimed
//! when another host runs dry.

use std::time::Duration;

use super::Scheduler;
use super::action::Action;
use super::job::JobState;
use super::stop::Mode;
use crate::event::AttemptChange;
use crate::id::Key;
use crate::run::HostIx;

/// How long a job may lie unstarted at a host before an idle one gets it.
const RECLAIM_AFTER: Duration = Duration::from_millis(100);

/// Classes of jobs that are looked at, at most, to find one that fits somewhere.
const MAX_CLASSES: usize = 4096;

impl Scheduler {
    /// Dispatches waiting jobs to hosts with room.
    pub(super) fn dispatch(&mut self, now: Duration) {
        if self.is_dispatching() {
            while self.dispatch_next(now).is_some() {}
        }
    }

    /// True while jobs are dispatched as there is room.
    pub(super) fn is_dispatching(&self) -> bool {
        matches!(self.mode, Mode::Running) && !self.held && !self.is_adopting()
    }

    /// A job for which a host is reserved comes first, then jobs that failed and
    /// had better go to another host, then the rest in their order.
    fn dispatch_next(&mut self, now: Duration) -> Option<Key> {
        self.turn_classes();
        self.drop_stale_reservations();
        self.dispatch_reserved(now)
            .or_else(|| self.dispatch_retried(now))
            .or_else(|| self.dispatch_ready(now))
    }

    /// Places the first job, of those that no host is reserved for, that fits
    /// somewhere.
    fn dispatch_ready(&mut self, now: Duration) -> Option<Key> {
        let mut last = None;
        for _ in 0..MAX_CLASSES {
            let (index, class) = self.waiting.next_first(last)?;
            if let Some(host) = self.find_host(index, None) {
                self.waiting.remove(index, class);
                return Some(self.assign(now, index, host));
            }
            if self.reserve_or_end(index, None) {
                // Another one is the first of its class now.
                continue;
            }
            if !self.hosts.any_room() {
                return None;
            }
            last = Some((index, class));
        }
        None
    }

    /// Dispatches nothing until [`Scheduler::release`].
    pub fn hold(&mut self) {
        self.held = true;
    }

    /// Dispatches jobs as hosts have room for them.
    pub fn release(&mut self, now: Duration) {
        self.held = false;
        self.settle(now);
    }

    /// While held: dispatches the next job alone, if a host has a free slot.
    pub fn dispatch_one(&mut self, now: Duration) -> Option<Key> {
        let running = matches!(self.mode, Mode::Running) && !self.is_adopting();
        if running && self.idle_slots() > 0 { self.dispatch_next(now) } else { None }
    }

    /// True while no host answers.
    #[must_use]
    pub fn nobody_up(&self) -> bool {
        self.hosts.totals().up == 0
    }

    /// True while a host has enough to do without its last `launches` launches: these need not
    /// be sent at once.
    #[must_use]
    pub fn is_supplied_without(&self, host: HostIx, launches: u32) -> bool {
        let load = self.run.host(host).map_or(0, |it| it.load().saturating_sub(launches));
        self.hosts.is_supplied(&self.run, host, load)
    }

    /// True while a slot of a host that answers has nothing to do.
    #[must_use]
    pub fn any_slot_idle(&self) -> bool {
        self.idle_slots() > 0
    }

    /// Places one of the jobs that had better go to another host than before.
    fn dispatch_retried(&mut self, now: Duration) -> Option<Key> {
        let has_room =
            |index| self.group_of(index).is_none_or(|it| self.hosts.groups().any_room(it));
        let retried: Vec<_> = self.waiting.prefers_other_host(has_room).collect();
        for (index, until) in retried {
            let alone = self.totals_for(index).up < 2;
            let avoid = self.jobs[index as usize].avoid.filter(|_| !alone && now < until);
            if let Some(host) = self.find_host(index, avoid) {
                self.forget_waiting(index);
                return Some(self.assign(now, index, host));
            }
            self.reserve_or_end(index, avoid);
        }
        None
    }

    /// The number of an attempt that never started is used again, but not on a
    /// host that has a tombstone under it: there a launch would never start.
    pub(super) fn assign(&mut self, now: Duration, index: u32, host: HostIx) -> Key {
        let last = self.job(index).last_attempt;
        let reused = self.withdrawn_on.get(&index).is_some_and(|hosts| !hosts.contains(&host));
        let attempt = if reused { last } else { last + 1 };
        if !reused {
            self.withdrawn_on.remove(&index);
        }
        let key = Key::new(index, attempt);
        let plan = &mut self.jobs[index as usize];
        (plan.assigned, plan.inherited, plan.recalled) = (now, false, false);
        plan.sent = false;
        self.emit_attempt(host, key, AttemptChange::Assigned);
        self.expect_begin(index, now + self.config.lost_after);
        self.out.push_back(Action::Launch { host, key });
        key
    }

    /// Withdraws unstarted jobs from hosts that hold more than they can run
    /// while another host that may run them has a free slot and nothing to put there.
    pub(super) fn reclaim(&mut self, now: Duration) {
        if !self.may_reclaim() {
            return;
        }
        if self.idle_slots() > 0 {
            let overfull: Vec<HostIx> = self.hosts.overfull().collect();
            overfull.into_iter().for_each(|host| self.withdraw_from(now, host, None));
        }
        for group in self.hosts.groups().uneven().clone() {
            let overfull: Vec<HostIx> = self.hosts.groups().overfull(group).collect();
            overfull.into_iter().for_each(|host| self.withdraw_from(now, host, Some(group)));
        }
    }

    fn may_reclaim(&self) -> bool {
        let is_free = self.hosts.overfull().next().is_some();
        matches!(self.mode, Mode::Running)
            && !self.waiting.any_ready()
            && (is_free || !self.hosts.groups().uneven().is_empty())
    }

    /// Withdraws jobs of a host that are bound to this set of hosts, or to none: as
    /// many as it cannot run, if others have free slots for them.
    fn withdraw_from(&mut self, now: Duration, host: HostIx, group: Option<u32>) {
        let surplus =
            self.run.host(host).map_or(0, |it| it.load().saturating_sub(self.run.usable_slots(it)));
        let in_flight = self.run.host(host).into_iter().flat_map(|host| host.in_flight().rev());
        let is_due = |index: &u32| self.reclaim_due(*index, group).is_some_and(|due| due <= now);
        let wanted = match group {
            Some(group) => self.hosts.groups().free_slots(group) as usize,
            None => self.idle_slots(),
        };
        let chosen: Vec<u32> =
            in_flight.filter(is_due).take(wanted.min(surplus as usize)).collect();
        for index in chosen {
            self.withdraw(now, host, index);
        }
    }

    pub(super) fn withdraw(&mut self, now: Duration, host: HostIx, index: u32) {
        let key = self.job(index).last_key();
        self.set_withdrawing(index, host, true);
        self.expect_withdrawn(now, index);
        self.out.push_back(Action::Withdraw { host, key });
    }

    /// When a job that is bound to this set of hosts, or to none, will have lain
    /// unstarted for long enough to be reclaimed.
    fn reclaim_due(&self, index: u32, group: Option<u32>) -> Option<Duration> {
        match self.state(index) {
            JobState::Assigned { .. } if self.group_of(index) != group => None,
            JobState::Assigned { since, .. } => Some(since + RECLAIM_AFTER),
            JobState::Waiting(_)
            | JobState::Withdrawing { .. }
            | JobState::Running { .. }
            | JobState::Collecting { .. }
            | JobState::Ended(_) => None,
        }
    }

    /// Free slots of hosts that answer, less the jobs being withdrawn for them.
    fn idle_slots(&self) -> usize {
        let totals = self.hosts.totals();
        totals.idle.saturating_sub(totals.withdrawing) as usize
    }

    /// True when a host that may run a job has room, and nothing to be put there.
    pub(super) fn has_idle_host(&self, index: u32) -> bool {
        let free = match self.group_of(index) {
            Some(group) => self.hosts.groups().free_slots(group) as usize,
            None => self.idle_slots(),
        };
        !self.waiting.any_ready() && free > 0
    }

    /// When the first job will be reclaimed.
    pub(super) fn next_reclaim(&self) -> Option<Duration> {
        if !self.may_reclaim() {
            return None;
        }
        let free = self.hosts.overfull().filter(|_| self.idle_slots() > 0).map(|ix| (ix, None));
        let groups = self.hosts.groups();
        let bound = groups.uneven().iter();
        let bound = bound.flat_map(|it| groups.overfull(*it).map(|ix| (ix, Some(*it))));
        let due = free.chain(bound).filter_map(|(ix, group)| {
            let in_flight = self.run.host(ix)?.in_flight();
            in_flight.filter_map(|index| self.reclaim_due(index, group)).min()
        });
        due.min()
    }
}
