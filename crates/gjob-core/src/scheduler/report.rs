//! What hosts report of attempts, and what follows from it.

use std::time::Duration;

use super::Scheduler;
use super::job::{JobState, Wait};
use crate::event::{AttemptChange, HostChange};
use crate::id::Key;
use crate::order::Order;
use crate::outcome::{Cause, Finish, name_survivors};
use crate::record::{Loss, Record, Scope};
use crate::run::{HostIx, HostStatus};
use crate::state::State;
use crate::time::{Timestamp, backoff};
use crate::wire::{Damage, Sharing};

/// The first wait before a job is retried; doubled each time.
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// The longest wait before a job is retried.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(30);

/// The first pause of a host that could not start a job; doubled each time.
pub(super) const REFUSAL_PAUSE: Duration = Duration::from_secs(1);

/// The first pause of a host that fails job after job; doubled each time.
const BLACK_HOLE_PAUSE: Duration = Duration::from_secs(30);

/// How long a job waits for another host than the one it failed on.
pub(super) const PREFER_OTHER_HOST_FOR: Duration = Duration::from_secs(30);

/// Why a host has ended its jobs although it may never have been cut off.
const CLOCK_JUMPED: &str = "its clock jumped past the end of its lease (set forward, or the \
                            machine stood still), and it ended its jobs";

/// The longest pause of a host.
const MAX_HOST_PAUSE: Duration = Duration::from_secs(600);

impl Scheduler {
    /// Lines of a host's run log are no records.
    pub fn handle_spoiled_log(&mut self, host: HostIx, lines: u32) {
        if lines > 0 && self.hosts.note_log_spoiled(host) {
            self.emit_host(host, HostChange::LogSpoiled { lines });
        }
    }

    /// How a host's jobs get on with others on its machine.
    pub fn handle_sharing(&mut self, host: HostIx, sharing: Sharing) {
        match sharing {
            Sharing::Waits { what } => {
                let (what, again) = (what.shown().into(), self.hosts.note_waiting(host));
                self.emit_host(host, HostChange::Waiting { what, again });
            }
            Sharing::Goes => self.emit_host(host, HostChange::Continues),
            Sharing::LeftOut { reason } => {
                if self.hosts.note_oversubscribed(host) {
                    let reason = reason.shown().into();
                    self.emit_host(host, HostChange::Oversubscribed { reason });
                }
            }
        }
    }

    /// What a host had recorded of the run is not what it was. Comes before
    /// [`Scheduler::handle_host_up`]: where claims are lost, nothing may be sent again
    /// that could have begun, and what has become of it is unknown.
    pub fn handle_damage(&mut self, now: Duration, host: HostIx, damage: &Damage) {
        if self.hosts.note_log_damaged(host) {
            let (reason, claims_lost) = (damage.reason.shown().into(), damage.claims_lost);
            self.emit_host(host, HostChange::LogDamaged { reason, claims_lost });
        }
        if !damage.claims_lost {
            return;
        }
        let Some(entry) = self.run.host(host) else { return };
        let awaited = entry.in_flight().map(|index| self.run.jobs()[index as usize].last_key());
        // Of what has started, the log tells, if there is one.
        let is_lost = |key: &Key| damage.log_lost || !self.has_started(*key);
        let tasks = entry.tasks().under_way().into_iter();
        let tasks = tasks.filter(|it| damage.log_lost || it.attempt.started.is_none());
        let tasks = tasks.map(|it| it.attempt.key);
        let jobs = awaited.chain(entry.abandoned()).filter(is_lost);
        let keys: Vec<Key> = jobs.chain(tasks).collect();
        // It is torn down once it is up.
        self.tasks.coming_up = Some(host);
        for key in keys {
            let reason = "what its host had recorded of the run was removed".into();
            let (how, survivors, at) = (Loss::Slot, Vec::new(), Timestamp(0));
            self.handle_record(
                now,
                host,
                Record::Lost { key, how, id: None, reason, survivors, at },
            );
        }
    }

    /// Lines of a host's run log, in their order.
    pub fn handle_records(&mut self, now: Duration, host: HostIx, records: Vec<Record>) {
        self.report_restart(host, &records);
        for record in records {
            self.handle_record(now, host, record);
        }
    }

    /// A line of a host's run log. Returns false when it says nothing new.
    pub fn handle_record(&mut self, now: Duration, host: HostIx, record: Record) -> bool {
        let Some(key) = record.key() else {
            return false;
        };
        if let Some((of, task)) = self.run.task_of(key) {
            let record = self.on_our_clock(host, record);
            let is_news = of == host && self.handle_task_record(now, host, (task, key), record);
            self.settle(now);
            return is_news;
        }
        let record = self.check_denied(key, self.on_our_clock(host, record));
        if self.is_awaited(host, key) {
            self.awaited_record(now, host, key, record);
        } else if self.run.host(host).is_some_and(|host| host.has_abandoned(key)) {
            self.record_of_abandoned(host, key, record);
        } else if !self.record_of_unknown(now, host, key, record) {
            return false;
        }
        self.settle(now);
        true
    }

    /// A record of a host with its times on the manager's scale.
    fn on_our_clock(&self, host: HostIx, mut record: Record) -> Record {
        let Some(clock) = self.run.host(host).and_then(|host| host.clock) else { return record };
        match &mut record {
            Record::Started { at, .. } => *at = clock.corrected(*at),
            Record::Finished(finish) => {
                let ran = finish.ended.0.saturating_sub(finish.started.0);
                finish.started = clock.corrected(finish.started);
                finish.ended = Timestamp(finish.started.0.saturating_add(ran)).bounded();
            }
            Record::Log { .. }
            | Record::Refused { .. }
            | Record::Withdrawn { .. }
            | Record::Lost { .. } => {}
        }
        record
    }

    pub(super) fn awaited_record(&mut self, now: Duration, host: HostIx, key: Key, record: Record) {
        self.note_sign_of_work(now, host);
        match record {
            Record::Withdrawn { .. }
            | Record::Refused { scope: Scope::Space | Scope::Load, .. } => {}
            Record::Log { .. }
            | Record::Started { .. }
            | Record::Finished(_)
            | Record::Refused { .. }
            | Record::Lost { .. } => drop(self.withdrawn_on.remove(&key.index)),
        }
        if matches!(record, Record::Started { .. } | Record::Finished(_)) {
            self.hosts.note_started(&self.run, host);
        }
        let record = match self.check_asked(host, key, record) {
            Ok(record) => record,
            Err(unasked) => return self.fail_unasked(now, host, key, unasked),
        };
        match record {
            Record::Log { .. } => {}
            Record::Started { id, at, processors, .. } => {
                self.started(host, key, AttemptChange::Started { id, started: at, processors });
            }
            Record::Finished(finish) => self.finished(now, host, key, finish),
            Record::Refused { reason, scope: Scope::Space, .. } => {
                self.no_space(now, host, key, reason.shown().into());
            }
            Record::Refused { reason, scope: Scope::Load, .. } => {
                self.too_busy(now, host, key, reason.shown().into());
            }
            Record::Refused { reason, scope, .. } => {
                self.refused(now, host, key, reason.shown().into(), scope);
            }
            Record::Withdrawn { .. } => self.withdrawn(host, key),
            Record::Lost { reason, how, id, survivors, .. } => {
                let reason = String::from(reason.shown());
                let known = name_survivors(Some(reason.clone()), &survivors).unwrap_or_default();
                let restarted = how == Loss::Restart;
                let change = AttemptChange::Lost { id, reason, survivors, restarted };
                self.emit_attempt(host, key, change);
                self.lost(now, host, key, how, known);
            }
        }
    }

    /// True when this attempt is the one that is waited for, from this host.
    pub(super) fn is_awaited(&self, host: HostIx, key: Key) -> bool {
        let attempt = self.run.job(key.index).map(|job| job.last_attempt);
        attempt == Some(key.attempt) && self.is_with(key.index, host)
    }

    fn started(&mut self, host: HostIx, key: Key, started: AttemptChange) {
        if matches!(self.state(key.index), JobState::Running { .. }) {
            return;
        }
        self.emit_attempt(host, key, started);
        let job = self.job(key.index);
        if job.kill {
            return;
        }
        if self.jobs[key.index as usize].recalled {
            self.order(host, key, Order::kill(Cause::Interrupted));
        } else if job.paused {
            self.order(host, key, Order::Pause);
        }
    }

    fn finished(&mut self, now: Duration, host: HostIx, key: Key, finish: Finish) {
        let length = finish.ended.0.saturating_sub(finish.started.0);
        self.hosts.note_length(&self.run, host, Duration::from_millis(length));
        let (cause, success) = (finish.cause, finish.is_success());
        let reason = describe(&finish);
        let cut_off = matches!(cause, Some(Cause::Lease | Cause::Clock)).then(|| {
            let reason = match cause {
                Some(Cause::Clock) => CLOCK_JUMPED.to_owned(),
                _ => "it was cut off and ended its jobs".to_owned(),
            };
            name_survivors(Some(reason), &finish.survivors).unwrap_or_default()
        });
        let peak_kib = finish.max_rss_kib;
        self.emit_attempt(host, key, AttemptChange::Exited { finish });
        if cause == Some(Cause::Memory) && self.retry_with_more_memory(now, key, peak_kib) {
            return;
        }
        match cause {
            Some(Cause::Interrupted) if self.job(key.index).kill => {
                self.end_job(key.index, State::Error, Some(Cause::Killed.to_string()));
            }
            Some(Cause::Interrupted) => self.requeue(key.index),
            Some(Cause::Killed | Cause::Superseded) => {
                let by_hand = !self.job(key.index).kill;
                self.end_job(key.index, State::Error, reason);
                if by_hand {
                    self.note_failure(now, host);
                }
            }
            Some(Cause::Lease | Cause::Clock) => {
                self.fail_by_host(now, host, key.index, &cut_off.unwrap_or_default());
                self.note_failure(now, host);
            }
            None if success => {
                self.succeeded(host, key, reason);
            }
            None | Some(Cause::Timeout | Cause::Memory) => {
                self.failed(now, host, key, reason);
                self.note_failure(now, host);
            }
        }
    }

    /// How often a job may fail without being `error`.
    pub(super) fn retries(&self, index: u32) -> u32 {
        self.job(index).spec.retries.unwrap_or(0)
    }

    /// The job's own failure, counted in the run already: another attempt if it
    /// has a retry left.
    pub(super) fn failed(&mut self, now: Duration, host: HostIx, key: Key, reason: Option<String>) {
        self.jobs[key.index as usize].avoid = Some(host);
        let job = self.job(key.index);
        if job.kill || job.failures > self.retries(key.index) {
            self.end_job_by(key, State::Error, reason);
            return;
        }
        self.retry_later(now, key.index);
    }

    /// A failed job waits a while for its next attempt.
    pub(super) fn retry_later(&mut self, now: Duration, index: u32) {
        let job = self.job(index);
        if job.paused {
            self.set_wait(index, Wait::Held);
            return;
        }
        let delay = backoff(RETRY_DELAY, MAX_RETRY_DELAY, job.failures);
        self.set_wait(index, Wait::Delayed);
        self.waiting.push_delayed(index, now + delay);
    }

    /// A host that fails one job after the other while others don't is paused,
    /// in whatever way it fails them.
    pub(super) fn note_failure(&mut self, now: Duration, ix: HostIx) {
        if let Some(found) = self.hosts.note_failure(&self.run, ix) {
            let (failed, passed) = (found.failed, found.passed_elsewhere);
            let reason =
                format!("{failed} jobs in a row failed on it while {passed} passed elsewhere");
            self.pause_host(now, ix, BLACK_HOLE_PAUSE, reason);
        }
    }

    /// The host could not start it. If that is the host's fault, another one
    /// gets the job, and this one a pause. It counts against the job only if the
    /// host has started others.
    fn refused(&mut self, now: Duration, host: HostIx, key: Key, reason: String, scope: Scope) {
        let change = AttemptChange::Refused { reason: reason.clone(), scope };
        self.emit_attempt(host, key, change);
        match scope {
            Scope::Job => {
                self.end_job(key.index, State::Error, Some(reason));
                self.note_failure(now, host);
            }
            Scope::Host | Scope::Space | Scope::Load => {
                self.pause_host(now, host, REFUSAL_PAUSE, reason.clone());
                if self.hosts.has_started(host) || self.job(key.index).kill {
                    self.fail_by_host(now, host, key.index, &reason);
                } else {
                    // It says nothing about the job.
                    self.requeue(key.index);
                }
            }
        }
    }

    pub(super) fn pause_host(
        &mut self,
        now: Duration,
        ix: HostIx,
        first: Duration,
        reason: String,
    ) {
        if self.run.host(ix).is_none_or(|host| host.status != HostStatus::Up) {
            return;
        }
        let times = self.hosts.note_pause(&self.run, ix);
        let pause = backoff(first, MAX_HOST_PAUSE, times);
        self.hosts.pause_until(ix, now + pause);
        self.emit_host(ix, HostChange::Paused { reason, seconds: pause.as_secs() });
    }

    /// A new connection does not end a pause.
    pub(super) fn pause_on(&mut self, now: Duration, ix: HostIx) {
        if let Some(left) = self.hosts.pause_left(now, ix) {
            let seconds = left.as_secs();
            let change = match self.hosts.full(ix) {
                Some(reason) => HostChange::Full { reason, seconds, again: true },
                None => {
                    let reason = "it failed jobs before its connection ended".to_owned();
                    HostChange::Paused { reason, seconds }
                }
            };
            self.emit_host(ix, change);
        }
    }

    /// Lets a paused host take one job, to see whether it succeeds.
    pub(super) fn probe(&mut self, ix: HostIx) {
        if self.run.host(ix).is_some_and(|host| host.status == HostStatus::Paused) {
            self.hosts.put_on_probation(&self.run, ix);
            self.emit_host(ix, HostChange::Probed);
        }
    }

    /// An attempt never starts on a host; its number may be used again on another.
    pub(super) fn take_back(&mut self, host: HostIx, key: Key) {
        self.take_back_but_on(host, key, Some(host));
    }

    /// An attempt is taken back; its number may be used again, but not on this host. Nor at all
    /// if an earlier manager has assigned it: other hosts may have a tombstone under it.
    pub(super) fn take_back_but_on(&mut self, host: HostIx, key: Key, but_on: Option<HostIx>) {
        self.emit_attempt(host, key, AttemptChange::Withdrawn);
        if !self.is_inherited(key.index) {
            self.withdrawn_on.entry(key.index).or_default().extend(but_on);
        }
    }

    fn withdrawn(&mut self, host: HostIx, key: Key) {
        self.take_back(host, key);
        if self.job(key.index).kill {
            self.end_job(key.index, State::Error, Some(Cause::Killed.to_string()));
        } else {
            self.requeue(key.index);
        }
    }

    /// A job waits for a host, or for its user if that one holds it.
    pub(super) fn requeue(&mut self, index: u32) {
        if self.job(index).paused {
            self.set_wait(index, Wait::Held);
        } else if self.dependants.is_blocked(index) {
            self.set_wait(index, Wait::Blocked);
        } else {
            self.set_wait(index, Wait::Ready);
            self.waiting.push(index, self.jobs[index as usize].class);
            self.expect_hosts(index);
        }
    }

    /// A job waits for another host than it had before, for a while.
    pub(super) fn requeue_elsewhere(&mut self, now: Duration, index: u32) {
        if self.job(index).paused || self.dependants.is_blocked(index) {
            return self.requeue(index);
        }
        self.set_wait(index, Wait::Delayed);
        self.waiting.push_retried(index, now + PREFER_OTHER_HOST_FOR);
    }

    fn lost(&mut self, now: Duration, host: HostIx, key: Key, how: Loss, reason: String) {
        match how {
            Loss::Slot => {
                self.end_job(key.index, State::Unknown, Some(reason));
                self.note_failure(now, host);
            }
            Loss::Restart => self.restart(key.index, &reason),
        }
    }
}

/// Why a finished attempt's job is not done, and what of it could not be ended.
pub(super) fn describe(finish: &Finish) -> Option<String> {
    let reason = match finish.cause {
        Some(cause) => Some(cause.in_words().to_owned()),
        None if finish.is_success() => None,
        None => Some(finish.ending.to_string()),
    };
    name_survivors(reason, &finish.survivors)
}
