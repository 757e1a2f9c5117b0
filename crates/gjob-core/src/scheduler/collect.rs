//! Jobs that have succeeded and whose outputs are being fetched: a job is done
//! once they are local. Its slot is free meanwhile; its host is still needed.

use std::time::Duration;

use super::Scheduler;
use super::action::Action;
use super::job::JobState;
use crate::event::AttemptChange;
use crate::id::Key;
use crate::record::Scope;
use crate::run::{HostIx, HostStatus};
use crate::state::State;

/// Outputs that are local.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Files among them.
    pub files: u64,
    /// Bytes in all.
    pub bytes: u64,
}

impl Scheduler {
    /// An attempt has succeeded: its job is done, once its outputs are local.
    pub(super) fn succeeded(&mut self, host: HostIx, key: Key, reason: Option<String>) {
        if !self.collects(key.index) {
            self.hosts.note_success(&self.run, host);
            self.end_job_by(key, State::Done, reason);
            return;
        }
        self.forget_waiting(key.index);
        self.emit_attempt(host, key, AttemptChange::Collecting);
        self.end_rivals(key);
        if self.answers(host) {
            self.out.push_back(Action::Collect { host, key });
        }
    }

    /// A job's outputs are local, durably, or cannot be fetched. Changes nothing
    /// for an attempt whose outputs are not waited for.
    pub fn handle_outputs(
        &mut self,
        now: Duration,
        host: HostIx,
        key: Key,
        result: Result<Collected, (Scope, String)>,
    ) {
        let awaited = JobState::Collecting { host, attempt: key.attempt };
        if self.run.job(key.index).is_none() || self.state(key.index) != awaited {
            return;
        }
        match result {
            Ok(Collected { files, bytes }) => {
                self.emit_attempt(host, key, AttemptChange::Collected { files, bytes });
                self.hosts.note_success(&self.run, host);
                self.end_job_by(key, State::Done, None);
            }
            Err((scope, reason)) => self.collect_failed(now, host, key, scope, reason),
        }
        self.settle(now);
    }

    /// A job has succeeded, and its outputs are nowhere any more: the original of a copied
    /// run may have fetched them, and the job may not run again for that.
    pub fn handle_outputs_gone(&mut self, now: Duration, host: HostIx, key: Key, reason: String) {
        let awaited = JobState::Collecting { host, attempt: key.attempt };
        if self.run.job(key.index).is_none() || self.state(key.index) != awaited {
            return;
        }
        let change = AttemptChange::CollectFailed { reason: reason.clone(), scope: Scope::Host };
        self.emit_attempt(host, key, change);
        self.end_job_by(key, State::Unknown, Some(reason));
        self.settle(now);
    }

    fn collect_failed(
        &mut self,
        now: Duration,
        host: HostIx,
        key: Key,
        scope: Scope,
        reason: String,
    ) {
        let change = AttemptChange::CollectFailed { reason: reason.clone(), scope };
        self.emit_attempt(host, key, change);
        match scope {
            Scope::Job => self.failed(now, host, key, Some(reason)),
            Scope::Host | Scope::Space | Scope::Load => {
                self.fail_by_host(now, host, key.index, &reason);
            }
        }
        self.note_failure(now, host);
    }

    /// The attempts whose outputs are on a host.
    fn collecting(&self, host: HostIx) -> Vec<Key> {
        let jobs = self.run.host(host).into_iter().flat_map(crate::run::Host::collecting);
        jobs.filter_map(|index| self.job(index).key()).collect()
    }

    /// A host answers again: outputs on it are asked for again.
    pub(super) fn collect_again(&mut self, host: HostIx) {
        for key in self.collecting(host) {
            self.out.push_back(Action::Collect { host, key });
        }
    }

    /// A host is lost with outputs on it: their jobs run again elsewhere, if they may
    /// run on another host that answers.
    pub(super) fn give_up_outputs(&mut self, now: Duration, host: HostIx) {
        let seconds = self.config.lost_after.as_secs();
        let reason = format!("its outputs are on a host without contact for {seconds} s");
        for key in self.collecting(host) {
            if !self.may_give_up(host, key.index) {
                continue;
            }
            self.out.push_back(Action::ForgetOutputs { host, key });
            self.collect_failed(now, host, key, Scope::Host, reason.clone());
        }
    }

    /// Outputs of jobs that are done are fetched from a host again, or no longer. If it is
    /// lost meanwhile, [`Action::LoseOutputs`] says so, once.
    pub fn handle_refetch(&mut self, now: Duration, host: HostIx, is_under_way: bool) {
        if !is_under_way {
            self.refetched_from.remove(&host);
            return;
        }
        self.refetched_from.insert(host);
        let is_away = self.run.host(host).is_some_and(|it| it.status == HostStatus::Unreachable);
        // Nobody may have needed it when its time was over.
        if is_away && !self.losses.iter().any(|(_, expected)| *expected == host) {
            self.expect_loss(now, host);
        }
    }

    pub(super) fn give_up_refetch(&mut self, now: Duration, host: HostIx) {
        if self.refetched_from.remove(&host) {
            let reason = self.no_contact(now, host);
            self.out.push_back(Action::LoseOutputs { host, reason });
        }
    }
}
