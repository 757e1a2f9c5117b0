//! What hosts report of attempts, and what follows from it.

use std::time::Duration;

use super::Scheduler;
use super::action::HostIx;
use super::host::Status;
use super::job::JobState;
use super::stop::Mode;
use crate::event::EventKind;
use crate::id::{JobId, Key};
use crate::outcome::{Cause, Ending, Finish};
use crate::record::{Record, Scope};
use crate::state::State;
use crate::time::Timestamp;

/// The first wait before a job is tried again; doubled each time.
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// The longest wait before a job is tried again.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(30);

/// The first pause of a host that could not start a job; doubled each time.
const HOST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause of a host.
const MAX_HOST_PAUSE: Duration = Duration::from_secs(60);

impl Scheduler {
    /// A line of a host's run log. Returns false when it says nothing new.
    pub fn handle_record(&mut self, now: Duration, host: HostIx, record: Record) -> bool {
        let Some(key) = record.key() else {
            return false;
        };
        if !self.is_in_flight(host, key) {
            return false;
        }
        match record {
            Record::Log { .. } => {}
            Record::Started { id, at, .. } => self.started(host, key, id, at),
            Record::Finished(finish) => self.finished(now, host, key, finish),
            Record::Refused { reason, scope, .. } => self.refused(now, host, key, reason, scope),
            Record::Withdrawn { .. } => self.withdrawn(now, host, key),
            Record::Lost { reason, .. } => self.lost(host, key, reason),
        }
        self.settle(now);
        true
    }

    /// True when this attempt is the one that this host has.
    fn is_in_flight(&self, host: HostIx, key: Key) -> bool {
        self.jobs
            .get(key.index as usize)
            .is_some_and(|job| job.attempt == key.attempt && job.state.host() == Some(host))
    }

    fn label(&self, host: HostIx) -> crate::id::HostLabel {
        self.hosts[host.at()].label.clone()
    }

    fn started(&mut self, host: HostIx, key: Key, id: JobId, started: Timestamp) {
        if matches!(self.jobs[key.index as usize].state, JobState::Running { .. }) {
            return;
        }
        self.set_job_state(key.index, JobState::Running { host });
        self.hosts[host.at()].strikes = 0;
        let host = self.label(host);
        self.emit(EventKind::JobStarted { key, host, id, started });
    }

    fn finished(&mut self, now: Duration, host: HostIx, key: Key, finish: Finish) {
        let length = finish.ended.0.saturating_sub(finish.started.0);
        self.hosts[host.at()].learn(Duration::from_millis(length));
        let label = self.label(host);
        let (ending, cause) = (finish.ending, finish.cause);
        self.emit(EventKind::JobFinished { host: label, finish });
        match cause {
            Some(Cause::Killed) if matches!(self.mode, Mode::Interrupting) => {
                self.requeue(key.index);
            }
            Some(Cause::Killed | Cause::Superseded) => {
                self.end_job(key.index, State::Error, describe(ending, cause));
            }
            Some(Cause::Timeout) => self.failed(now, host, key, describe(ending, cause)),
            None if ending.is_success() => self.end_job(key.index, State::Done, None),
            None => self.failed(now, host, key, describe(ending, None)),
        }
    }

    /// The job's own failure: another attempt if it has one left.
    fn failed(&mut self, now: Duration, host: HostIx, key: Key, reason: Option<String>) {
        let job = &mut self.jobs[key.index as usize];
        job.failures += 1;
        job.avoid = Some(host);
        if job.failures > job.retries {
            self.end_job(key.index, State::Error, reason);
            return;
        }
        let delay = backoff(RETRY_DELAY, MAX_RETRY_DELAY, job.failures);
        self.set_job_state(key.index, JobState::Delayed);
        self.waiting.push_delayed(key.index, now + delay);
    }

    /// The host could not start it. If that is the host's fault, another one
    /// gets the job, and this one a pause.
    fn refused(&mut self, now: Duration, host: HostIx, key: Key, reason: String, scope: Scope) {
        let label = self.label(host);
        self.emit(EventKind::JobRefused { key, host: label, reason: reason.clone(), scope });
        match scope {
            Scope::Job => self.end_job(key.index, State::Error, Some(reason)),
            Scope::Host => {
                self.pause_host(now, host, &reason);
                let job = &mut self.jobs[key.index as usize];
                job.host_failures += 1;
                job.avoid = Some(host);
                if job.host_failures >= self.config.host_failures {
                    let reason =
                        format!("{} hosts could not start it: {reason}", job.host_failures);
                    self.end_job(key.index, State::Error, Some(reason));
                } else {
                    self.set_job_state(key.index, JobState::Waiting);
                    self.waiting.push_picky(key.index);
                }
            }
        }
    }

    fn pause_host(&mut self, now: Duration, ix: HostIx, reason: &str) {
        let host = &mut self.hosts[ix.at()];
        if host.status != Status::Up {
            return;
        }
        host.strikes += 1;
        let pause = backoff(HOST_PAUSE, MAX_HOST_PAUSE, host.strikes);
        host.status = Status::Paused { until: now + pause };
        let label = host.label.clone();
        self.room.pause(ix, now + pause);
        self.refresh_room(ix);
        let reason = format!("paused for {} s: {reason}", pause.as_secs());
        self.emit(EventKind::HostUnknown { host: label, reason });
    }

    fn withdrawn(&mut self, _now: Duration, host: HostIx, key: Key) {
        let host = self.label(host);
        self.emit(EventKind::JobWithdrawn { key, host });
        self.requeue(key.index);
    }

    fn requeue(&mut self, index: u32) {
        self.set_job_state(index, JobState::Waiting);
        self.waiting.push(index);
    }

    fn lost(&mut self, host: HostIx, key: Key, reason: String) {
        let host = self.label(host);
        self.emit(EventKind::JobLost { key, host, reason: reason.clone() });
        self.end_job(key.index, State::Unknown, Some(reason));
    }
}

fn describe(ending: Ending, cause: Option<Cause>) -> Option<String> {
    match cause {
        Some(cause) => Some(cause.to_string()),
        None => Some(ending.to_string()),
    }
}

/// `first` doubled for every time after the first, up to `most`.
fn backoff(first: Duration, most: Duration, times: u32) -> Duration {
    first.saturating_mul(1 << times.saturating_sub(1).min(16)).min(most)
}
