//! Hosts that were restarted. Nothing of what ran on them is alive, so that their jobs
//! begin again at once, whatever is done about lost hosts: two attempts cannot run
//! together. That is neither the job's failure nor its host's, but it is bounded, since a
//! job may take its machine down each time.
//!
//! A host knows it by its boot id: the claim of an attempt names the boot, the machine and
//! the slot under which it began. The manager takes the host's word for it, which can cost
//! one more attempt, as the loss of the host could; under `--on-lost wait`, too, where a
//! host that lies could run two attempts at once, as it could without saying anything. It
//! is not believed of an attempt that was assigned over the connection that stands.

use std::collections::BTreeSet;

use super::Scheduler;
use crate::event::HostChange;
use crate::id::Key;
use crate::record::{Loss, Record};
use crate::run::HostIx;

impl Scheduler {
    /// Says that a host was restarted, if its records show that, and how many of its jobs
    /// begin again: before what becomes of each.
    pub(super) fn report_restart(&mut self, host: HostIx, records: &[Record]) {
        let ended_by_restart = records.iter().filter_map(|record| match record {
            Record::Lost { key, how: Loss::Restart, .. } => Some(*key),
            Record::Log { .. }
            | Record::Started { .. }
            | Record::Finished(_)
            | Record::Refused { .. }
            | Record::Withdrawn { .. }
            | Record::Lost { .. } => None,
        });
        let keys: BTreeSet<Key> =
            ended_by_restart.filter(|key| self.may_have_restarted(host, *key)).collect();
        if !keys.is_empty() {
            let again = keys.iter().filter(|key| self.is_awaited(host, **key));
            let jobs = again.filter(|key| self.begins_again(key.index)).count() as u32;
            self.emit_host(host, HostChange::Restarted { jobs });
        }
    }

    /// True if an attempt was with a host before that came to answer.
    fn may_have_restarted(&self, host: HostIx, key: Key) -> bool {
        match self.is_awaited(host, key) {
            true => !self.is_of_this_connection(host, key.index),
            false => self.run.host(host).is_some_and(|host| host.has_abandoned(key)),
        }
    }

    /// True if a job whose host was restarted is started again for it.
    fn begins_again(&self, index: u32) -> bool {
        let (job, plan) = (self.job(index), &self.jobs[index as usize]);
        !job.kill && !job.paused && plan.host_failures + 1 < self.config.host_failures
    }

    /// The host of a job was restarted.
    pub(super) fn restart(&mut self, index: u32, reason: &str) {
        if self.count_host_failure(index, reason).is_some() {
            self.requeue(index);
        }
    }
}
