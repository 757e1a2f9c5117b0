//! Hosts whose results directory takes nothing more: a full disk, a quota. That is
//! held against no job. The host is paused, and tried again with one job from time to
//! time; the others go elsewhere, or wait as for a host that is out of reach. The same is
//! done with hosts that are busier than users want them to be, for which a run never ends.

use std::time::Duration;

use super::Scheduler;
use super::job::{JobState, Wait};
use crate::event::HostChange;
use crate::id::Key;
use crate::outcome::Cause;
use crate::run::{HostIx, HostStatus};
use crate::state::State;
use crate::time::backoff;

/// How long a host without space is left alone.
const FULL_PAUSE: Duration = Duration::from_secs(30);

/// How long a busy host is left alone.
const BUSY_PAUSE: Duration = Duration::from_secs(10);

/// How long a job waits that no host had space for, at first; doubled each time. It is
/// longer than the pause: a host is tried with another job, which may need less.
const FIRST_WAIT: Duration = Duration::from_secs(35);

/// The longest such wait.
const LONGEST_WAIT: Duration = Duration::from_secs(120);

impl Scheduler {
    /// A host had no space for a job, and has kept nothing of it.
    pub(super) fn no_space(&mut self, now: Duration, host: HostIx, key: Key, reason: String) {
        self.take_back_as_unsent(host, key);
        self.pause_full(now, host, reason);
        let index = key.index;
        if self.job(index).kill {
            self.end_job(index, State::Error, Some(Cause::Killed.to_string()));
        } else if self.job(index).paused || self.dependants.is_blocked(index) {
            self.requeue(index);
        } else if self.totals_for(index).up == 0 {
            let plan = &mut self.jobs[index as usize];
            plan.no_space = plan.no_space.saturating_add(1);
            let wait = backoff(FIRST_WAIT, LONGEST_WAIT, plan.no_space);
            self.set_wait(index, Wait::Delayed);
            self.waiting.push_delayed(index, now + wait);
            self.spaceless.insert(index);
        } else {
            self.jobs[index as usize].avoid = Some(host);
            self.set_wait(index, Wait::Delayed);
            self.waiting.push_retried(index, now + FIRST_WAIT);
        }
    }

    /// A host is too busy for another job. What it says of its load holds for all jobs alike.
    pub(super) fn too_busy(&mut self, now: Duration, host: HostIx, key: Key, reason: String) {
        self.take_back_as_unsent(host, key);
        self.pause_busy(now, host, reason);
        if self.job(key.index).kill {
            self.end_job(key.index, State::Error, Some(Cause::Killed.to_string()));
        } else {
            self.requeue(key.index);
        }
    }

    /// A host answers: it may have space for jobs that no other host had space for.
    pub(super) fn offer_space(&mut self, host: HostIx) {
        if self.hosts.full(host).is_some() {
            return;
        }
        for index in std::mem::take(&mut self.spaceless) {
            if self.state(index) == JobState::Waiting(Wait::Delayed) {
                self.forget_waiting(index);
                self.requeue(index);
            }
        }
    }

    pub(super) fn pause_full(&mut self, now: Duration, ix: HostIx, reason: String) {
        if self.takes_jobs(ix) {
            let again = self.hosts.note_full(&self.run, ix, &reason);
            self.leave_alone(now, ix, FULL_PAUSE, reason, again);
        }
    }

    pub(super) fn pause_busy(&mut self, now: Duration, ix: HostIx, reason: String) {
        if self.takes_jobs(ix) {
            let again = self.hosts.note_busy(&self.run, ix, &reason);
            self.leave_alone(now, ix, BUSY_PAUSE, reason, again);
        }
    }

    fn takes_jobs(&self, ix: HostIx) -> bool {
        self.run.host(ix).is_some_and(|host| host.status == HostStatus::Up)
    }

    fn leave_alone(
        &mut self,
        now: Duration,
        ix: HostIx,
        pause: Duration,
        reason: String,
        again: bool,
    ) {
        self.hosts.pause_until(ix, now + pause);
        self.emit_host(ix, HostChange::Full { reason, seconds: pause.as_secs(), again });
    }
}
