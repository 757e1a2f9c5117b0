//! Hosts that were added to the run are made known to those that it had before. A copy of
//! the run that was made earlier knows only these, and would begin again what an added host
//! has run: they tell it that there is another one. So an added host begins no job before a
//! host of lower position has kept the number of hosts that the run has with it.
//!
//! It begins all the same when no such host is up: it may be the only one that is left.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Scheduler;
use super::action::Action;
use crate::run::{Host, HostDuty, HostIx};

/// What hosts know of the number of hosts.
#[derive(Debug, Default)]
pub(super) struct HostCounts {
    /// Added hosts that begin no job yet.
    unannounced: BTreeSet<HostIx>,
    /// The greatest number that a host has kept.
    kept: BTreeMap<HostIx, u32>,
    /// Hosts that were told, and until when their answers are waited for.
    told: BTreeMap<HostIx, Duration>,
}

impl Scheduler {
    /// A host is reached: it may not know how many hosts there are by now.
    pub(super) fn tell_host_count(&mut self, now: Duration, host: HostIx) {
        let hosts = self.run.hosts().len() as u32;
        // The first host is known to every copy.
        if hosts > 1 && self.answers(host) {
            self.host_counts.kept.remove(&host);
            self.host_counts.told.insert(host, now + self.config.lost_after);
            self.out.push_back(Action::TellHostCount { host, hosts });
        }
    }

    /// A host was added: those before it are told.
    pub(super) fn announce(&mut self, now: Duration, added: HostIx) {
        self.hold_unannounced(added);
        (0..added.0).for_each(|host| self.tell_host_count(now, HostIx(host)));
    }

    /// A manager takes the run up. Its predecessor may have added hosts and not told others;
    /// those that have begun something were announced.
    pub(super) fn hold_all_unannounced(&mut self) {
        let has_begun = |host: &Host| {
            host.totals.started > 0 || host.in_flight().len() > 0 || host.collecting().len() > 0
        };
        let hosts = (0..).map(HostIx).zip(self.run.hosts()).skip(1);
        let unbegun = hosts.filter(|(_, host)| !has_begun(host)).map(|(ix, _)| ix);
        let unbegun: Vec<HostIx> = unbegun.collect();
        unbegun.into_iter().for_each(|host| self.hold_unannounced(host));
    }

    fn hold_unannounced(&mut self, host: HostIx) {
        self.host_counts.unannounced.insert(host);
        self.hosts.set_unannounced(&self.run, host, true);
    }

    /// A host has recorded that the run has had this number of hosts.
    pub fn handle_host_count(&mut self, now: Duration, host: HostIx, hosts: u32) {
        self.host_counts.told.remove(&host);
        self.host_counts.kept.insert(host, hosts);
        if !self.host_counts.unannounced.is_empty() {
            self.settle(now);
        }
    }

    /// Lets added hosts begin jobs that are up, and that others know of as far as they can.
    pub(super) fn release_announced(&mut self, now: Duration) {
        for host in self.host_counts.unannounced.clone() {
            let is_up = self.run.host(host).is_some_and(Host::takes_jobs);
            if is_up && self.may_begin(now, host) {
                self.host_counts.unannounced.remove(&host);
                self.hosts.set_unannounced(&self.run, host, false);
            }
        }
    }

    fn may_begin(&self, now: Duration, added: HostIx) -> bool {
        let HostCounts { kept, told, .. } = &self.host_counts;
        let others = || (0..).map(HostIx).zip(self.run.hosts()).take(added.at());
        let knows = |(ix, host): (HostIx, &Host)| {
            host.duty != HostDuty::Removed && kept.get(&ix).is_some_and(|hosts| *hosts > added.0)
        };
        let may_still = |(ix, host): (HostIx, &Host)| {
            host.takes_jobs() && told.get(&ix).is_some_and(|due| *due > now)
        };
        others().any(knows) || !others().any(may_still)
    }

    /// When an answer is no longer waited for.
    pub(super) fn next_host_count_due(&self) -> Option<Duration> {
        let HostCounts { unannounced, told, .. } = &self.host_counts;
        let is_up = |host: &HostIx| self.run.host(*host).is_some_and(Host::takes_jobs);
        let waiting = unannounced.iter().copied().filter(is_up);
        let of_others = |added: HostIx| told.range(..added).filter(|(host, _)| is_up(host));
        waiting.flat_map(of_others).map(|(_, due)| *due).min()
    }
}
