//! Jobs that are bound to some of the run's hosts. They wait apart, so that they hide
//! no other job while their hosts are full, and fail when none of their hosts can be
//! used although others can.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Scheduler;
use super::hosts::Totals;
use super::job::Wait;
use super::packing::Classes;
use super::stop::Mode;
use crate::run::{Host, HostDuty, HostIx, HostStatus};
use crate::state::State;
use crate::text::printable;

/// Hosts that are named with the reason why they are of no use, at most.
const MAX_NAMED: usize = 3;

/// Sets of hosts that may be of no use to the jobs that are bound to them.
#[derive(Debug, Default)]
pub(super) struct Unserved {
    /// Sets to be looked at.
    suspects: BTreeSet<u32>,
    /// Sets of which no host was reached yet, and until when one is waited for.
    unreached: BTreeMap<u32, Duration>,
    /// The same in the order of these times, as long as they are to come.
    due: BTreeSet<(Duration, u32)>,
}

impl Unserved {
    /// When the next of them is to be looked at.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.due.first().map(|(due, _)| *due)
    }

    /// A host of a set is waited for from now on, if it was not before. Returns until
    /// when.
    fn wait(&mut self, group: u32, until: Duration) -> Duration {
        let (due, until) = (&mut self.due, until);
        *self.unreached.entry(group).or_insert_with(|| {
            due.insert((until, group));
            until
        })
    }

    /// A host of a set was reached, or may be soon.
    fn forget(&mut self, group: u32) {
        if let Some(until) = self.unreached.remove(&group) {
            self.due.remove(&(until, group));
        }
    }

    /// The sets whose time has come are looked at.
    fn suspect_due(&mut self, now: Duration) {
        while let Some((due, group)) = self.due.first().copied().filter(|(due, _)| *due <= now) {
            self.due.remove(&(due, group));
            self.suspects.insert(group);
        }
    }
}

impl Scheduler {
    /// Finds the sets of hosts anew that jobs are bound to, after a host was added: it may be
    /// in some of them, and jobs that could run on every host may be bound now.
    pub(super) fn rebind(&mut self) {
        let bounds = self.run.bounds();
        if bounds.sets().is_empty() && self.hosts.groups().is_empty() {
            return;
        }
        self.classes = Classes::default();
        self.waiting.forget_classes();
        self.unserved = Unserved::default();
        for index in 0..self.jobs.len() as u32 {
            let class = self.classes.class(self.job(index).spec.ask(), bounds.set(index), index);
            self.jobs[index as usize].class = class;
        }
        self.hosts.regroup(&self.run, bounds.into_sets());
        for index in 0..self.jobs.len() as u32 {
            let plan = &self.jobs[index as usize];
            if plan.wait == Wait::Ready {
                self.waiting.push(index, plan.class);
                self.expect_hosts(index);
            }
        }
        self.begin_bound();
    }

    /// Nobody has room for what is bound before hosts are up.
    pub(super) fn begin_bound(&mut self) {
        self.classes.bound().for_each(|class| self.waiting.close(class));
        for index in 0..self.jobs.len() as u32 {
            self.note_holder(index, None);
        }
        let held: BTreeSet<HostIx> = (0..self.jobs.len() as u32)
            .filter(|index| self.group_of(*index).is_some())
            .filter_map(|index| self.run.host_in_flight(index))
            .collect();
        held.into_iter().for_each(|host| self.hosts.refresh(&self.run, host));
    }

    /// The set of hosts that a job is bound to; none if it may run on any.
    pub(super) fn group_of(&self, index: u32) -> Option<u32> {
        self.classes.group(self.jobs[index as usize].class)
    }

    /// Sums over the hosts that may run a job.
    pub(super) fn totals_for(&self, index: u32) -> &Totals {
        match self.group_of(index) {
            Some(group) => self.hosts.groups().totals(group),
            None => self.hosts.totals(),
        }
    }

    /// The hosts that may run a job.
    pub(super) fn hosts_for(&self, index: u32) -> impl Iterator<Item = (HostIx, &Host)> + Clone {
        let all = self.run.hosts().len() as u32;
        let group = self.group_of(index).map(|group| self.hosts.groups().members(group));
        let free = if group.is_some() { 0..0 } else { 0..all };
        let hosts = group.into_iter().flatten().copied().chain(free.map(HostIx));
        hosts.map(|ix| (ix, &self.run.hosts()[ix.at()]))
    }

    /// A bound job has come to another host than `before`, or to none.
    pub(super) fn note_holder(&mut self, index: u32, before: Option<HostIx>) {
        let Some(group) = self.group_of(index) else { return };
        let after = self.run.host_in_flight(index);
        if before != after {
            before.into_iter().for_each(|host| self.hosts.note_bound(host, group, -1));
            after.into_iter().for_each(|host| self.hosts.note_bound(host, group, 1));
        }
    }

    /// Jobs wait in the order of their turns only while a host of theirs has room.
    pub(super) fn turn_classes(&mut self) {
        for group in self.hosts.groups_mut().take_turned() {
            let has_room = self.hosts.groups().any_room(group);
            for class in self.classes.of_group(group) {
                if has_room {
                    self.waiting.open(*class);
                } else {
                    self.waiting.close(*class);
                }
            }
        }
    }

    /// A job waits for a host: if it is bound, there should be one.
    pub(super) fn expect_hosts(&mut self, index: u32) {
        if let Some(group) = self.group_of(index) {
            self.unserved.suspects.insert(group);
        }
    }

    /// Ends the jobs that are bound to hosts of no use. While no host answers at all,
    /// it is more likely that this side is cut off.
    pub(super) fn fail_unserved(&mut self, now: Duration) {
        let changed = self.hosts.groups_mut().take_changed();
        self.unserved.suspects.extend(changed);
        self.unserved.suspect_due(now);
        if self.mode != Mode::Running || self.is_adopting() {
            return;
        }
        let nobody_up = self.nobody_up();
        let mut kept = BTreeSet::new();
        for group in std::mem::take(&mut self.unserved.suspects) {
            let Some(why) = self.why_unserved(now, group) else { continue };
            if nobody_up {
                kept.insert(group);
                continue;
            }
            let classes = self.classes.of_group(group).iter();
            let jobs: Vec<u32> = classes.flat_map(|class| self.waiting.ready(*class)).collect();
            for index in jobs {
                self.end_job(index, State::Error, Some(why.clone()));
            }
        }
        self.unserved.suspects.extend(kept);
    }

    /// Why no host of a set can be used; none while one may.
    fn why_unserved(&mut self, now: Duration, group: u32) -> Option<String> {
        let members = self.hosts.groups().members(group).len() as u64;
        let totals = *self.hosts.groups().totals(group);
        let patience = self.config.connect_timeout;
        let all_out = totals.out + totals.futile == members;
        if all_out || totals.reached > 0 || totals.connecting > 0 {
            self.unserved.forget(group);
            return all_out.then(|| self.describe_unserved(group, None));
        }
        let until = self.unserved.wait(group, now + patience);
        (until <= now).then(|| self.describe_unserved(group, Some(patience)))
    }

    fn describe_unserved(&self, group: u32, waited: Option<Duration>) -> String {
        let members = self.hosts.groups().members(group);
        let why = |host: &Host| {
            let state = match (host.status, waited) {
                _ if host.duty == HostDuty::Removed => {
                    return "was removed from the run".to_owned();
                }
                (HostStatus::Failed, _) => "is out of the run".to_owned(),
                (_, Some(waited)) => format!("was not reached within {} s", waited.as_secs()),
                (_, None) => "cannot be used".to_owned(),
            };
            let reason = host.reason.as_deref().map(printable);
            state + &reason.map(|reason| format!(": {reason}")).unwrap_or_default()
        };
        let hosts: Vec<&Host> = members.iter().map(|ix| &self.run.hosts()[ix.at()]).collect();
        match hosts[..] {
            [] => "bound to hosts that the run does not have".to_owned(),
            [host] => format!("bound to {}, which {}", host.label, why(host)),
            [..] => {
                let named = hosts.iter().take(MAX_NAMED);
                let named = named.map(|host| format!("; {} {}", host.label, why(host)));
                let more = match hosts.len().saturating_sub(MAX_NAMED) {
                    0 => String::new(),
                    more => format!("; and {more} more"),
                };
                let count = hosts.len();
                let named: String = named.collect();
                format!("bound to {count} hosts, none of which can be used{named}{more}")
            }
        }
    }
}
