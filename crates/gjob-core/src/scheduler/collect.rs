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
        let label = self.label(host);
        match result {
            Ok(Collected { files, bytes }) => {
                self.emit(EventKind::JobCollected { key, host: label, files, bytes });
                self.note_success(host);
                self.end_job_by(key, State::Done, None);
            }
            Err((scope, reason)) => {
                let event = EventKind::JobNotCollected { key, host: label, reason, scope };
                self.not_collected(now, host, key, event);
            }
        }
        self.settle(now);
    }

    fn not_collected(&mut self, now: Duration, host: HostIx, key: Key, event: EventKind) {
        let EventKind::JobNotCollected { reason, scope, .. } = &event else { return };
        let (reason, scope) = (reason.clone(), *scope);
        self.emit(event);
        match scope {
            Scope::Job => {
                self.failed(now, host, key, Some(reason));
                self.note_failure(now, host);
            }
            Scope::Host => self.fail_by_host(key.index, &reason),
        }
    }

    /// A host answers again: what is to come from it is asked for again.
    pub(super) fn collect_again(&mut self, host: HostIx) {
        let jobs: Vec<u32> = self.hosts[host.at()].collecting().collect();
        for index in jobs {
            if let JobState::Collecting { attempt, .. } = self.jobs[index as usize].state {
                let key = Key::new(index, attempt);
                self.out.push_back(Action::Collect { host, key });
            }
        }
    }

    /// A host is lost with outputs on it: their jobs are done elsewhere.
    pub(super) fn give_up_outputs(&mut self, now: Duration, host: HostIx) {
        let reason = format!("its outputs are on a host that was not heard of for {} s", {
            self.config.lost_after.as_secs()
        });
        let jobs: Vec<u32> = self.hosts[host.at()].collecting().collect();
        for index in jobs {
            let JobState::Collecting { attempt, .. } = self.jobs[index as usize].state else {
                continue;
            };
            let key = Key::new(index, attempt);
            self.out.push_back(Action::ForgetOutputs { host, key });
            let (label, reason, scope) = (self.label(host), reason.clone(), Scope::Host);
            let event = EventKind::JobNotCollected { key, host: label, reason, scope };
            self.not_collected(now, host, key, event);
        }
    }
}
