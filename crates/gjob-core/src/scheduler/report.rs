//! What hosts report of attempts, and what follows from it.

use std::time::Duration;

use super::Scheduler;
use super::action::{Action, HostIx};
use super::host::Status;
use super::job::JobState;
use crate::event::EventKind;
use crate::id::{HostLabel, JobId, Key};
use crate::outcome::{Cause, Finish, name_survivors};
use crate::record::{Loss, Record, Scope};
use crate::state::State;
use crate::time::Timestamp;

/// The first wait before a job is tried again; doubled each time.
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// The longest wait before a job is tried again.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(30);

/// The first pause of a host that could not start a job; doubled each time.
const REFUSAL_PAUSE: Duration = Duration::from_secs(1);

/// The first pause of a host that fails job after job; doubled each time.
const BLACK_HOLE_PAUSE: Duration = Duration::from_secs(30);

/// The longest pause of a host.
const MAX_HOST_PAUSE: Duration = Duration::from_secs(600);

/// So many jobs failing in a row, while as many succeed elsewhere, make a host
/// a black hole.
const BLACK_HOLE: u32 = 5;

impl Scheduler {
    /// A line of a host's run log. Returns false when it says nothing new.
    pub fn handle_record(&mut self, now: Duration, host: HostIx, record: Record) -> bool {
        let Some(key) = record.key() else {
            return false;
        };
        if self.is_in_flight(host, key) {
            self.awaited_record(now, host, key, record);
        } else if self.is_stray(host, key) {
            self.stray_record(host, key, record);
        } else {
            return false;
        }
        self.settle(now);
        true
    }

    fn awaited_record(&mut self, now: Duration, host: HostIx, key: Key, record: Record) {
        if !matches!(record, Record::Withdrawn { .. }) {
            self.unbegun.remove(&key.index);
        }
        let host_began = &mut self.hosts[host.at()].ever_began;
        *host_began |= matches!(record, Record::Started { .. } | Record::Finished(_));
        match record {
            Record::Log { .. } => {}
            Record::Started { id, at, .. } => self.started(host, key, id, at),
            Record::Finished(finish) => self.finished(now, host, key, finish),
            Record::Refused { reason, scope, .. } => {
                self.refused(now, host, key, reason.shown().into(), scope);
            }
            Record::Withdrawn { .. } => self.withdrawn(host, key),
            Record::Lost { reason, how, id, survivors, .. } => {
                let label = self.label(host);
                let reason = String::from(reason.shown());
                let known = name_survivors(Some(reason.clone()), &survivors).unwrap_or_default();
                self.emit(EventKind::JobLost { key, host: label, id, reason, survivors });
                self.lost(key, how, known);
            }
        }
    }

    /// True when this attempt is the one that is waited for, from this host.
    fn is_in_flight(&self, host: HostIx, key: Key) -> bool {
        self.jobs
            .get(key.index as usize)
            .is_some_and(|job| job.attempt == key.attempt && job.state.host() == Some(host))
    }

    pub(super) fn label(&self, host: HostIx) -> HostLabel {
        self.hosts[host.at()].label.clone()
    }

    fn started(&mut self, host: HostIx, key: Key, id: JobId, started: Timestamp) {
        if matches!(self.jobs[key.index as usize].state, JobState::Running { .. }) {
            return;
        }
        self.set_job_state(key.index, JobState::Running { host });
        let label = self.label(host);
        self.emit(EventKind::JobStarted { key, host: label, id, started });
        let job = &self.jobs[key.index as usize];
        if job.paused && !job.kill {
            self.out.push_back(Action::Pause { host, key });
        }
    }

    fn finished(&mut self, now: Duration, host: HostIx, key: Key, finish: Finish) {
        let length = finish.ended.0.saturating_sub(finish.started.0);
        self.hosts[host.at()].learn(Duration::from_millis(length));
        let label = self.label(host);
        let (cause, success) = (finish.cause, finish.is_success());
        let reason = describe(&finish);
        let cut_off = (cause == Some(Cause::Lease)).then(|| {
            let reason = "it was cut off and ended its jobs".to_owned();
            name_survivors(Some(reason), &finish.survivors).unwrap_or_default()
        });
        self.emit(EventKind::JobFinished { host: label, finish });
        match cause {
            Some(Cause::Interrupted) if self.jobs[key.index as usize].kill => {
                self.end_job(key.index, State::Error, Some(Cause::Killed.to_string()));
            }
            Some(Cause::Interrupted) => self.requeue(key.index),
            Some(Cause::Killed | Cause::Superseded) => {
                self.end_job(key.index, State::Error, reason);
            }
            Some(Cause::Lease) => {
                self.fail_by_host(key.index, &cut_off.unwrap_or_default());
            }
            None if success => {
                self.succeeded(host, key, reason);
            }
            None | Some(Cause::Timeout) => {
                self.failed(now, host, key, reason);
                self.note_failure(now, host);
            }
        }
    }

    /// The job's own failure: another attempt if it has one left.
    pub(super) fn failed(&mut self, now: Duration, host: HostIx, key: Key, reason: Option<String>) {
        let job = &mut self.jobs[key.index as usize];
        job.failures += 1;
        job.avoid = Some(host);
        if job.kill || job.failures > job.retries {
            self.end_job_by(key, State::Error, reason);
            return;
        }
        if job.paused {
            self.set_job_state(key.index, JobState::Held);
            return;
        }
        let delay = backoff(RETRY_DELAY, MAX_RETRY_DELAY, job.failures);
        self.set_job_state(key.index, JobState::Delayed);
        self.waiting.push_delayed(key.index, now + delay);
    }

    pub(super) fn note_success(&mut self, ix: HostIx) {
        self.successes += 1;
        let host = &mut self.hosts[ix.at()];
        host.successes += 1;
        host.failing = (0, 0);
        host.strikes = 0;
        if std::mem::take(&mut host.on_probation) {
            self.refresh_room(ix);
        }
    }

    /// A host that fails one job after the other while others don't is paused.
    pub(super) fn note_failure(&mut self, now: Duration, ix: HostIx) {
        let elsewhere = self.successes - self.hosts[ix.at()].successes;
        let host = &mut self.hosts[ix.at()];
        if host.failing.0 == 0 {
            host.failing.1 = elsewhere;
        }
        host.failing.0 += 1;
        let (failed, before) = host.failing;
        let passed = elsewhere - before;
        let probed = host.on_probation && passed > 0;
        if probed || (failed >= BLACK_HOLE && passed >= u64::from(BLACK_HOLE)) {
            host.failing = (0, 0);
            let reason =
                format!("{failed} jobs in a row failed here while {passed} passed elsewhere");
            self.pause_host(now, ix, BLACK_HOLE_PAUSE, &reason);
        }
    }

    /// The host could not start it. If that is the host's fault, another one
    /// gets the job, and this one a pause. Held against the job it is only by
    /// a host that has begun others.
    fn refused(&mut self, now: Duration, host: HostIx, key: Key, reason: String, scope: Scope) {
        let label = self.label(host);
        self.emit(EventKind::JobRefused { key, host: label, reason: reason.clone(), scope });
        match scope {
            Scope::Job => self.end_job(key.index, State::Error, Some(reason)),
            Scope::Host => {
                self.pause_host(now, host, REFUSAL_PAUSE, &reason);
                if self.hosts[host.at()].ever_began || self.jobs[key.index as usize].kill {
                    self.fail_by_host(key.index, &reason);
                } else {
                    // It says nothing about the job.
                    self.requeue(key.index);
                }
            }
        }
    }

    fn pause_host(&mut self, now: Duration, ix: HostIx, first: Duration, reason: &str) {
        let host = &mut self.hosts[ix.at()];
        if host.status != Status::Up {
            return;
        }
        host.strikes += 1;
        let pause = backoff(first, MAX_HOST_PAUSE, host.strikes);
        host.status = Status::Paused { until: now + pause };
        let label = host.label.clone();
        self.room.pause(ix, now + pause);
        self.refresh_room(ix);
        let reason = reason.to_owned();
        self.emit(EventKind::HostPaused { host: label, reason, seconds: pause.as_secs() });
    }

    /// Lets a paused host take a job again, to see how it does.
    pub(super) fn readmit(&mut self, ix: HostIx) {
        let host = &mut self.hosts[ix.at()];
        if matches!(host.status, Status::Paused { .. }) {
            host.status = Status::Up;
            host.on_probation = true;
            let label = host.label.clone();
            self.emit(EventKind::HostProbed { host: label });
            self.refresh_room(ix);
        }
    }

    fn withdrawn(&mut self, host: HostIx, key: Key) {
        let label = self.label(host);
        self.emit(EventKind::JobWithdrawn { key, host: label });
        self.unbegun.entry(key.index).or_default().push(host);
        if self.jobs[key.index as usize].kill {
            self.end_job(key.index, State::Error, Some(Cause::Killed.to_string()));
        } else {
            self.requeue(key.index);
        }
    }

    /// A job waits for a host, or for its user if that one holds it.
    pub(super) fn requeue(&mut self, index: u32) {
        if self.jobs[index as usize].paused {
            self.set_job_state(index, JobState::Held);
        } else if self.is_blocked(index) {
            self.set_job_state(index, JobState::Blocked);
        } else {
            self.set_job_state(index, JobState::Waiting);
            self.waiting.push(index, self.jobs[index as usize].class);
        }
    }

    fn lost(&mut self, key: Key, how: Loss, reason: String) {
        match how {
            Loss::Slot => self.end_job(key.index, State::Unknown, Some(reason)),
            // Nothing of it is alive: it can be started again, whatever the policy.
            Loss::Restart => self.fail_by_host(key.index, &reason),
        }
    }
}

/// Why a finished attempt's job is not done, and what of it could not be ended.
pub(super) fn describe(finish: &Finish) -> Option<String> {
    let reason = match finish.cause {
        Some(cause) => Some(cause.to_string()),
        None if finish.is_success() => None,
        None => Some(finish.ending.to_string()),
    };
    name_survivors(reason, &finish.survivors)
}

/// `first` doubled for every time after the first, up to `most`.
fn backoff(first: Duration, most: Duration, times: u32) -> Duration {
    first.saturating_mul(1 << times.saturating_sub(1).min(16)).min(most)
}
