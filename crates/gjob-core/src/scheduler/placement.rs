//! Which host a job goes to, and which unstarted jobs are taken back when
//! another host runs dry.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Scheduler;
use super::action::{Action, HostIx};
use super::host::Status;
use super::job::JobState;
use super::stop::Mode;
use crate::event::EventKind;
use crate::id::Key;

/// How long a job may lie unstarted at a host before an idle one gets it.
const TAKE_BACK_AFTER: Duration = Duration::from_millis(100);

/// Kinds of jobs that are looked at, at most, to find one that fits somewhere.
const MAX_KINDS: usize = 4096;

/// Hosts with room, by how full they are, so that the choice costs the same
/// with ten hosts and with ten thousand.
#[derive(Debug, Default)]
pub(super) struct Room {
    by_fullness: BTreeMap<u32, Vec<HostIx>>,
    /// Where a host stands in `by_fullness`: its key and its place.
    places: BTreeMap<HostIx, (u32, usize)>,
    /// Hosts that hold more jobs than slots.
    overfull: BTreeSet<HostIx>,
    pauses: BTreeSet<(Duration, HostIx)>,
}

impl Room {
    fn insert(&mut self, host: HostIx, fullness: u32) {
        let group = self.by_fullness.entry(fullness).or_default();
        self.places.insert(host, (fullness, group.len()));
        group.push(host);
    }

    fn remove(&mut self, host: HostIx) {
        let Some((fullness, place)) = self.places.remove(&host) else {
            return;
        };
        let Some(group) = self.by_fullness.get_mut(&fullness) else {
            return;
        };
        group.swap_remove(place);
        if let Some(moved) = group.get(place) {
            self.places.insert(*moved, (fullness, place));
        }
        if group.is_empty() {
            self.by_fullness.remove(&fullness);
        }
    }

    /// True while any host has room.
    pub(super) fn is_any(&self) -> bool {
        !self.by_fullness.is_empty()
    }

    /// A host at random among the least full ones that will do.
    pub(super) fn pick(
        &self,
        rng: &mut fastrand::Rng,
        will_do: impl Fn(HostIx) -> bool,
    ) -> Option<HostIx> {
        self.by_fullness.values().find_map(|group| {
            let start = rng.usize(..group.len());
            group[start..].iter().chain(&group[..start]).copied().find(|host| will_do(*host))
        })
    }

    pub(super) fn pause(&mut self, host: HostIx, until: Duration) {
        self.pauses.insert((until, host));
    }

    pub(super) fn next_pause(&self) -> Option<Duration> {
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
}

impl Scheduler {
    /// Brings a host's place among those with room, and its part of the census,
    /// up to date: after every change of the host.
    pub(super) fn refresh_room(&mut self, ix: HostIx) {
        let host = &self.hosts[ix.at()];
        let up = host.status == Status::Up;
        self.room.remove(ix);
        // With a limit on failures nothing is handed ahead: it would be begun behind it.
        let capacity = match self.config.max_fails {
            Some(_) => host.capacity().min(host.slots),
            None => host.capacity(),
        };
        let counted = host.count(capacity);
        if up && host.load() < capacity && !self.packing.is_reserved(ix) {
            self.room.insert(ix, host.fullness());
        }
        if up && host.load() > host.slots {
            self.room.overfull.insert(ix);
        } else {
            self.room.overfull.remove(&ix);
        }
        self.census.replace(&mut self.hosts[ix.at()].counted, counted);
    }

    /// Gives waiting jobs to hosts with room.
    pub(super) fn give_out(&mut self, now: Duration) {
        if self.gives_out() {
            while self.give_out_next(now).is_some() {}
        }
    }

    /// True while jobs are given out as there is room.
    pub(super) fn gives_out(&self) -> bool {
        matches!(self.mode, Mode::Running) && !self.held
    }

    fn give_out_next(&mut self, now: Duration) -> Option<Key> {
        self.drop_stale_reservations();
        self.give_out_kept(now)
            .or_else(|| self.give_out_picky(now))
            .or_else(|| self.give_out_ready(now))
    }

    /// Places the first job, of those that no host is kept for, that fits somewhere.
    fn give_out_ready(&mut self, now: Duration) -> Option<Key> {
        let mut last = None;
        for _ in 0..MAX_KINDS {
            let (index, class) = self.waiting.next_first(last)?;
            if let Some(host) = self.find_host(index, None) {
                self.waiting.remove(index, class);
                return Some(self.assign(now, index, host));
            }
            if self.reserve_or_end(index, None) {
                // Another one is the first of its kind now.
                continue;
            }
            if !self.room.is_any() {
                return None;
            }
            last = Some((index, class));
        }
        None
    }

    /// Gives nothing out until [`Scheduler::release`].
    pub fn hold(&mut self) {
        self.held = true;
    }

    /// Gives jobs out as hosts have room for them.
    pub fn release(&mut self, now: Duration) {
        self.held = false;
        self.settle(now);
    }

    /// While held: gives out the next job alone, if a host has a free slot.
    pub fn give_out_one(&mut self, now: Duration) -> Option<Key> {
        let running = matches!(self.mode, Mode::Running);
        if running && self.idle_slots() > 0 { self.give_out_next(now) } else { None }
    }

    /// True while no host answers.
    #[must_use]
    pub fn nobody_up(&self) -> bool {
        self.census.up == 0
    }

    /// Places one of the jobs that had better go to another host than before.
    fn give_out_picky(&mut self, now: Duration) -> Option<Key> {
        let alone = self.census.up < 2;
        let picky: Vec<_> = self.waiting.picky().collect();
        for (index, until) in picky {
            let avoid = self.jobs[index as usize].avoid.filter(|_| !alone && now < until);
            if let Some(host) = self.find_host(index, avoid) {
                self.forget_waiting(index);
                return Some(self.assign(now, index, host));
            }
            self.reserve_or_end(index, avoid);
        }
        None
    }

    pub(super) fn assign(&mut self, now: Duration, index: u32, host: HostIx) -> Key {
        let job = &mut self.jobs[index as usize];
        let reused = self.unbegun.get(&index).is_some_and(|hosts| !hosts.contains(&host));
        if !reused {
            self.unbegun.remove(&index);
            job.attempt += 1;
        }
        job.resumed = false;
        let key = Key::new(index, job.attempt);
        let ask = self.ask_of(index);
        self.hosts[host.at()].take(index, &ask);
        self.set_job_state(index, JobState::Assigned { host, since: now });
        self.refresh_room(host);
        let label = self.hosts[host.at()].label.clone();
        self.emit(EventKind::JobAssigned { key, host: label });
        self.out.push_back(Action::Launch { host, key });
        key
    }

    /// Asks unstarted jobs back from hosts that hold more than they can run
    /// while another host has a free slot and nothing to put there.
    pub(super) fn take_back(&mut self, now: Duration) {
        if self.room.overfull.is_empty()
            || !matches!(self.mode, Mode::Running)
            || self.waiting.any_ready()
        {
            return;
        }
        let mut idle = self.idle_slots();
        let overfull: Vec<HostIx> = self.room.overfull.iter().copied().collect();
        for host in overfull {
            let surplus = self.hosts[host.at()].load() - self.hosts[host.at()].slots;
            let wanted = idle.min(surplus as usize);
            idle -= self.withdraw_from(now, host, wanted);
            if idle == 0 {
                return;
            }
        }
    }

    fn withdraw_from(&mut self, now: Duration, host: HostIx, wanted: usize) -> usize {
        let stale = |state: JobState| match state {
            JobState::Assigned { since, .. } => since + TAKE_BACK_AFTER <= now,
            JobState::Blocked
            | JobState::Waiting
            | JobState::Delayed
            | JobState::Held
            | JobState::Withdrawing { .. }
            | JobState::Running { .. }
            | JobState::Collecting { .. }
            | JobState::Ended(_) => false,
        };
        let chosen: Vec<u32> = self.hosts[host.at()]
            .in_flight()
            .rev()
            .filter(|index| stale(self.jobs[*index as usize].state))
            .take(wanted)
            .collect();
        for index in &chosen {
            let key = Key::new(*index, self.jobs[*index as usize].attempt);
            self.set_job_state(*index, JobState::Withdrawing { host });
            self.out.push_back(Action::Withdraw { host, key });
        }
        chosen.len()
    }

    /// Free slots of hosts that answer, less the jobs already asked back for them.
    fn idle_slots(&self) -> usize {
        self.census.idle.saturating_sub(self.census.asked_back) as usize
    }

    /// When a job will have lain unstarted for so long that it is taken back.
    pub(super) fn next_take_back(&self) -> Option<Duration> {
        if !matches!(self.mode, Mode::Running) || self.room.overfull.is_empty() {
            return None;
        }
        if self.waiting.any_ready() || self.idle_slots() == 0 {
            return None;
        }
        let since = |index: u32| match self.jobs[index as usize].state {
            JobState::Assigned { since, .. } => Some(since + TAKE_BACK_AFTER),
            JobState::Blocked
            | JobState::Waiting
            | JobState::Delayed
            | JobState::Held
            | JobState::Withdrawing { .. }
            | JobState::Running { .. }
            | JobState::Collecting { .. }
            | JobState::Ended(_) => None,
        };
        let hosts = self.room.overfull.iter().flat_map(|ix| self.hosts[ix.at()].in_flight());
        hosts.filter_map(since).min()
    }
}
