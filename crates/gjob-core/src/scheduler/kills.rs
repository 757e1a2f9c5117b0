//! Kills that are not answered by an attempt's end. A message may have got lost: a job can
//! take it from its host's agent. So it is sent again, for as long as the attempt may be
//! alive.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Scheduler;
use crate::id::Key;
use crate::order::Order;
use crate::outcome::Cause;
use crate::run::{HostIx, TaskAttempt};

/// The kills that were sent.
#[derive(Debug, Default)]
pub(super) struct Kills {
    /// Since the last decisions.
    new: Vec<(HostIx, Key)>,
    /// Those that wait for their answers.
    sent: BTreeSet<(HostIx, Key)>,
    /// When each of these is to have come.
    due: BTreeSet<(Duration, HostIx, Key)>,
}

impl Kills {
    /// A kill was sent.
    pub(super) fn note_sent(&mut self, host: HostIx, key: Key) {
        self.new.push((host, key));
    }

    /// The answers to those that are new are expected until then.
    pub(super) fn expect_answers(&mut self, due: Duration) {
        for (host, key) in self.new.drain(..) {
            // One that was sent before is not waited for any longer.
            if self.sent.insert((host, key)) {
                self.due.insert((due, host, key));
            }
        }
    }

    /// When the first answer is overdue.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.due.first().map(|(due, ..)| *due)
    }

    /// The next one whose answer is overdue.
    fn pop_due(&mut self, now: Duration) -> Option<(HostIx, Key)> {
        let (due, host, key) = self.due.first().copied().filter(|(due, ..)| *due <= now)?;
        self.due.remove(&(due, host, key));
        self.sent.remove(&(host, key));
        Some((host, key))
    }
}

impl Scheduler {
    /// Sends the kills again whose attempts have not ended. A host that comes back is sent
    /// all of them in any case.
    pub(super) fn kill_again(&mut self, now: Duration) {
        while let Some((host, key)) = self.kills.pop_due(now) {
            if let Some(cause) = self.kill_wanted(host, key).filter(|_| self.answers(host)) {
                self.order(host, key, Order::kill(cause));
            }
        }
    }

    /// Why an attempt is to end, if it is and may be alive.
    fn kill_wanted(&self, host: HostIx, key: Key) -> Option<Cause> {
        if self.run.task_of(key).is_some() {
            let is_alive = self.run.task_attempt(key).is_some_and(TaskAttempt::is_under_way);
            return (is_alive && self.ends_setups()).then_some(Cause::Interrupted);
        }
        let job = self.run.job(key.index)?;
        let is_interrupted = self.is_interrupting();
        if self.is_awaited(host, key) {
            let recalled = self.jobs[key.index as usize].recalled;
            return match job.kill {
                true => Some(Cause::Killed),
                false => (is_interrupted || recalled).then_some(Cause::Interrupted),
            };
        }
        if !self.run.host(host)?.has_abandoned(key) {
            return None;
        }
        match job.kill || job.phase.is_settled() {
            true => Some(Cause::Superseded),
            false => (is_interrupted || self.is_removed(host)).then_some(Cause::Interrupted),
        }
    }
}
