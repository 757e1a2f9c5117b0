//! Jobs that have succeeded and whose outputs are on their way here: a job is
//! done when they are here. Its slot is free meanwhile; its host is still
//! needed.

use std::time::Duration;

use super::Scheduler;
use super::action::{Action, HostIx};
use super::job::JobState;
use crate::event::EventKind;
use crate::id::Key;
use crate::record::Scope;
use crate::state::State;

/// Outputs that are here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Files among them.
    pub files: u64,
    /// Bytes in all.
    pub bytes: u64,
}

impl Scheduler {
    /// An attempt has succeeded: its job is done, once its outputs are here.
    pub(super) fn succeeded(&mut self, host: HostIx, key: Key, reason: Option<String>) {
        if !self.jobs[key.index as usize].collects {
            self.note_success(host);
            self.end_job_by(key, State::Done, reason);
            return;
        }
        self.end_rivals(key);
        self.forget_waiting(key.index);
        let attempt = key.attempt;
        self.set_job_state(key.index, JobState::Collecting { host, attempt });
        let label = self.label(host);
        self.emit(EventKind::JobCollecting { key, host: label });
        if self.hosts[host.at()].status.answers() {
            self.out.push_back(Action::Collect { host, key });
        }
    }

    /// A job's outputs are here, durably, or can't be had. Says nothing new of
    /// an attempt whose outputs are not waited for.
    pub fn handle_outputs(
        &mut self,
        now: Duration,
        host: HostIx,
        key: Key,
        result: Result<Collected, (Scope, String)>,
    ) {
        let awaited = JobState::Collecting { host, attempt: key.attempt };
        if self.jobs.get(key.index as usize).is_none_or(|job| job.state != awaited) {
            return;
        }
        match result {
            Ok(Collected { files, bytes }) => {
                let label = self.label(host);
                self.emit(EventKind::JobCollected { key, host: label, files, bytes });
                self.note_success(host);
                self.end_job_by(key, State::Done, None);
            }
            Err((scope, reason)) => self.not_collected(now, host, key, scope, reason),
        }
        self.settle(now);
    }

    fn not_collected(
        &mut self,
        now: Duration,
        host: HostIx,
        key: Key,
        scope: Scope,
        reason: String,
    ) {
        let label = self.label(host);
        self.emit(EventKind::JobNotCollected { key, host: label, reason: reason.clone(), scope });
        match scope {
            Scope::Job => {
                self.failed(now, host, key, Some(reason));
                self.note_failure(now, host);
            }
            Scope::Host => self.fail_by_host(key.index, &reason),
        }
    }

    /// The attempts whose outputs are to come from a host.
    fn collecting(&self, host: HostIx) -> Vec<Key> {
        let key = |index: u32| {
            let state = self.jobs[index as usize].state;
            let JobState::Collecting { attempt, .. } = state else { return None };
            Some(Key::new(index, attempt))
        };
        self.hosts[host.at()].collecting().filter_map(key).collect()
    }

    /// A host answers again: what is to come from it is asked for again.
    pub(super) fn collect_again(&mut self, host: HostIx) {
        for key in self.collecting(host) {
            self.out.push_back(Action::Collect { host, key });
        }
    }

    /// A host is lost with outputs on it: their jobs are done elsewhere.
    pub(super) fn give_up_outputs(&mut self, now: Duration, host: HostIx) {
        let seconds = self.config.lost_after.as_secs();
        let reason = format!("its outputs are on a host that was not heard of for {seconds} s");
        for key in self.collecting(host) {
            self.out.push_back(Action::ForgetOutputs { host, key });
            self.not_collected(now, host, key, Scope::Host, reason.clone());
        }
    }
}
