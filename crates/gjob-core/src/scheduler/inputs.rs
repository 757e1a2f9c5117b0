//! Launches that are not sent, since outputs of other jobs among their files are being
//! fetched again, or since a file is not what it was. Their host knows nothing of them: the
//! slot is free for other jobs meanwhile, and no failure is the host's.
//!
//! A launch that is repeated may have been sent before. Then its host is asked to withdraw
//! it, and says what has become of it; if it was not begun, the next one was never sent.

use std::time::Duration;

use super::Scheduler;
use super::job::{JobState, Wait};
use crate::event::AttemptChange;
use crate::id::Key;
use crate::outcome::Cause;
use crate::record::{Record, Scope, one_line};
use crate::run::HostIx;
use crate::state::State;

impl Scheduler {
    /// An attempt is on its way to its host, which may begin it from now on.
    pub fn note_sent(&mut self, key: Key) {
        if self.run.job(key.index).is_some_and(|job| job.last_attempt == key.attempt) {
            self.jobs[key.index as usize].sent = true;
        }
    }

    /// An attempt was not sent: outputs that it needs are being fetched again. Its job waits
    /// for [`Scheduler::handle_inputs_back`], and not in a slot.
    pub fn handle_inputs_away(&mut self, now: Duration, host: HostIx, key: Key) {
        if self.is_unsent(now, host, key, self.was_sent(key)) {
            self.take_back_as_unsent(host, key);
            if self.job(key.index).kill {
                self.end_job(key.index, State::Error, Some(Cause::Killed.to_string()));
            } else {
                self.set_wait(key.index, Wait::Inputs);
            }
        }
        self.settle(now);
    }

    /// What a job waited for has come; or it is looked for again.
    pub fn handle_inputs_back(&mut self, now: Duration, index: u32) {
        if self.waits_for_inputs(index) {
            self.requeue(index);
            self.settle(now);
        }
    }

    /// What a job waited for will not come.
    pub fn handle_inputs_lost(&mut self, now: Duration, index: u32, reason: String) {
        if self.waits_for_inputs(index) {
            self.end_job(index, State::Error, Some(reason));
            self.settle(now);
        }
    }

    /// An attempt was not sent, since outputs that it needs are not what they were: it would
    /// be so for any host.
    pub fn handle_unfit_input(&mut self, now: Duration, host: HostIx, key: Key, reason: String) {
        self.refuse_unsent(now, host, key, self.was_sent(key), reason);
    }

    /// The same, found out when the files of an attempt that was on its way were read.
    pub fn handle_unreadable_file(
        &mut self,
        now: Duration,
        host: HostIx,
        key: Key,
        reason: String,
    ) {
        if !self.is_awaited(host, key) {
            // Also that of a set-up or teardown.
            let (reason, scope, at) = (one_line(&reason), Scope::Job, self.time);
            self.handle_record(now, host, Record::Refused { key, reason, scope, at });
            return;
        }
        let was_sent = !self.is_of_this_connection(host, key.index);
        self.refuse_unsent(now, host, key, was_sent, reason);
    }

    fn refuse_unsent(
        &mut self,
        now: Duration,
        host: HostIx,
        key: Key,
        was_sent: bool,
        reason: String,
    ) {
        if self.is_unsent(now, host, key, was_sent) {
            let change = AttemptChange::Refused { reason: reason.clone(), scope: Scope::Job };
            self.emit_attempt(host, key, change);
            self.end_job(key.index, State::Error, Some(reason));
        }
        self.settle(now);
    }

    fn waits_for_inputs(&self, index: u32) -> bool {
        self.run.job(index).is_some() && self.state(index) == JobState::Waiting(Wait::Inputs)
    }

    /// True if this launch of an attempt may not be the first.
    fn was_sent(&self, key: Key) -> bool {
        self.jobs.get(key.index as usize).is_some_and(|plan| plan.sent || plan.inherited)
    }

    /// True for an attempt that is not under way to its host, nor there. One that may be there
    /// is withdrawn.
    fn is_unsent(&mut self, now: Duration, host: HostIx, key: Key, was_sent: bool) -> bool {
        let is_assigned = self.is_awaited(host, key)
            && matches!(self.state(key.index), JobState::Assigned { .. });
        if is_assigned && was_sent {
            self.withdraw(now, host, key.index);
        }
        is_assigned && !was_sent
    }

    /// A host knows nothing of an attempt, not even that it was to be: its number may be used
    /// again there, too, and people see no attempt that never began. Unless it was asked to
    /// withdraw the attempt meanwhile: then it will, and would not begin it any more.
    pub(super) fn take_back_as_unsent(&mut self, host: HostIx, key: Key) {
        let is_withdrawing = matches!(self.state(key.index), JobState::Withdrawing { .. });
        self.take_back_but_on(host, key, is_withdrawing.then_some(host));
    }
}
