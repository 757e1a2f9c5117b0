//! Orders that are not known to have been carried out. A message may have got lost: a job can
//! take it from its host's agent. So a kill is sent again until the attempt has ended, for as
//! long as it may be alive. Nothing tells that a pause or a resumption was carried out: each
//! is sent again a few times, which changes nothing where it was.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Scheduler;
use super::action::Action;
use super::job::JobState;
use crate::id::Key;
use crate::order::Order;
use crate::outcome::Cause;
use crate::run::{HostIx, TaskAttempt};

/// How often an order is sent again that has no answer.
const MAX_REPEATS: u32 = 2;

/// The orders that were sent.
#[derive(Debug, Default)]
pub(super) struct Orders {
    /// Since the last decisions, and how often each was sent before.
    new: Vec<(HostIx, Key, u32)>,
    /// Those that are sent again if need be; the same.
    sent: BTreeMap<(HostIx, Key), u32>,
    /// When each of these is looked at again.
    due: BTreeSet<(Duration, HostIx, Key)>,
}

impl Orders {
    /// An order was sent, the latest of its attempt.
    pub(super) fn note_sent(&mut self, host: HostIx, key: Key) {
        self.new.push((host, key, 0));
    }

    /// The answers to those that are new are expected until then.
    pub(super) fn expect_answers(&mut self, due: Duration) {
        for (host, key, times) in self.new.drain(..) {
            // One that was sent before is not waited for any longer.
            if self.sent.insert((host, key), times).is_none() {
                self.due.insert((due, host, key));
            }
        }
    }

    /// When the first answer is overdue.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.due.first().map(|(due, ..)| *due)
    }

    /// The next one whose answer is overdue, and how often it was sent again.
    fn pop_due(&mut self, now: Duration) -> Option<(HostIx, Key, u32)> {
        let (due, host, key) = self.due.first().copied().filter(|(due, ..)| *due <= now)?;
        self.due.remove(&(due, host, key));
        let times = self.sent.remove(&(host, key))?;
        Some((host, key, times))
    }
}

impl Scheduler {
    /// Sends the orders again that still hold. A host that comes back is sent all of them in
    /// any case.
    pub(super) fn order_again(&mut self, now: Duration) {
        while let Some((host, key, times)) = self.orders.pop_due(now) {
            let Some(order) = self.order_wanted(host, key).filter(|_| self.answers(host)) else {
                continue;
            };
            let is_repeated = match order {
                Order::Kill { .. } => true,
                Order::Pause | Order::Resume => times < MAX_REPEATS,
            };
            if is_repeated {
                self.out.push_back(Action::Order { host, key, order });
                self.orders.new.push((host, key, times + 1));
            }
        }
    }

    /// What is wanted of an attempt that may be alive.
    fn order_wanted(&self, host: HostIx, key: Key) -> Option<Order> {
        self.kill_wanted(host, key).map(Order::kill).or_else(|| {
            let job = self.run.job(key.index).filter(|_| self.is_awaited(host, key))?;
            match self.state(key.index) {
                JobState::Running { .. } if job.paused => Some(Order::Pause),
                JobState::Running { .. } if job.resumed => Some(Order::Resume),
                JobState::Running { .. }
                | JobState::Waiting(_)
                | JobState::Assigned { .. }
                | JobState::Withdrawing { .. }
                | JobState::Collecting { .. }
                | JobState::Ended(_) => None,
            }
        })
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
        if self.is_overtaken_on(host, key) {
            return Some(Cause::Superseded);
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
