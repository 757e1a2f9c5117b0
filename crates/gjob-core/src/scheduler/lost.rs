//! Hosts that don't come back: when their attempts are abandoned, and what
//! becomes of the attempts that were. Such an abandoned attempt may live on and
//! report late; its result counts if it is the first.

use std::time::Duration;

use super::Scheduler;
use super::action::Action;
use super::stop::Mode;
use crate::event::AttemptChange;
use crate::id::Key;
use crate::order::Order;
use crate::outcome::{Cause, Finish};
use crate::record::{Loss, Record, Scope};
use crate::run::{History, Host, HostIx, HostStatus};
use crate::state::State;

/// What to do with the jobs of a host that is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnLost {
    /// Start them elsewhere; the first result counts.
    #[default]
    Rerun,
    /// Wait for the host: never two attempts at once.
    Wait,
    /// The host ends them itself, and only then are they started elsewhere.
    Lease,
}

impl OnLost {
    /// True when a host's silence alone never gives its jobs to another.
    pub(super) fn waits(self) -> bool {
        match self {
            OnLost::Wait => true,
            OnLost::Rerun | OnLost::Lease => false,
        }
    }

    /// True when hosts are told to end jobs themselves.
    pub(super) fn leases(self) -> bool {
        match self {
            OnLost::Lease => true,
            OnLost::Rerun | OnLost::Wait => false,
        }
    }
}

/// After a host's loss was due, when to look again if no other host answers
/// either: then it is more likely that this side is cut off.
const RECHECK_INTERVAL: Duration = Duration::from_secs(5);

/// What a host has at least, once its connection has broken, to be connected again: the
/// connection may be all that was lost.
const RECONNECT_TIME: Duration = Duration::from_secs(10);

impl Scheduler {
    /// A host has just become unreachable: it may be lost when it has not been heard for
    /// long enough. A lease counts from the end of the connection: until then the host may
    /// have heard this side, without being heard.
    pub(super) fn expect_loss(&mut self, now: Duration, host: HostIx) {
        let heard = *self.heard.entry(host).or_insert(now);
        if self.config.on_lost.waits() || self.mode == Mode::Acting {
            return;
        }
        let lost_after = self.config.lost_after;
        let due = match self.config.on_lost.leases() {
            true => now + lost_after,
            false => (heard + lost_after).max(now + lost_after.min(RECONNECT_TIME)),
        };
        self.losses.insert((due, host));
    }

    /// A host answers: it is not lost.
    pub(super) fn forget_loss(&mut self, host: HostIx) {
        self.heard.remove(&host);
        self.losses.retain(|(_, expected)| *expected != host);
    }

    /// Gives up the jobs of hosts whose time is over, if others can take them.
    pub(super) fn lose_hosts(&mut self, now: Duration) {
        while let Some((due, host)) = self.losses.first().copied().filter(|(due, _)| *due <= now) {
            self.losses.remove(&(due, host));
            let is_refetched = self.refetched_from.contains(&host);
            let needed = |host: &&Host| {
                host.needed_by() > 0 || host.history == History::Awaited || is_refetched
            };
            if self.run.host(host).filter(needed).is_none() {
                continue;
            }
            // If nobody answers, this side has lost its network, or has slept: then
            // no job starts twice for it.
            if self.nobody_up() {
                self.losses.insert((now + RECHECK_INTERVAL, host));
                continue;
            }
            self.miss_history(now, host);
            let lost = &self.run.hosts()[host.at()];
            let out = lost.status == HostStatus::Failed;
            let in_flight: Vec<u32> = lost.in_flight().collect();
            for index in in_flight {
                if self.may_give_up(host, index) {
                    self.abandon(now, host, index);
                }
            }
            self.give_up_outputs(now, host);
            self.give_up_refetch(now, host);
            // What is bound to it and to hosts that don't answer either waits for them.
            let waits = self.run.host(host).is_some_and(|host| host.needed_by() > 0);
            if waits && !out {
                self.losses.insert((now + RECHECK_INTERVAL, host));
            }
        }
    }

    fn abandon(&mut self, now: Duration, host: HostIx, index: u32) {
        let key = self.job(index).last_key();
        let reason = self.no_contact(now, host);
        self.withdrawn_on.remove(&index);
        self.emit_attempt(host, key, AttemptChange::Abandoned { reason: reason.clone() });
        self.fail_by_host(now, host, index, &format!("its host was lost: {reason}"));
    }

    /// `no contact for 300 s`
    pub(super) fn no_contact(&self, now: Duration, host: HostIx) -> String {
        let heard = self.heard.get(&host).copied();
        let silence = heard.map_or(self.config.lost_after, |heard| now.saturating_sub(heard));
        format!("no contact for {} s", silence.as_secs())
    }

    /// A host failed a job, through no fault of the job's: a host gets it again,
    /// another one if it was not the first, until too many have failed it.
    pub(super) fn fail_by_host(&mut self, now: Duration, host: HostIx, index: u32, reason: &str) {
        self.jobs[index as usize].avoid = Some(host);
        match self.count_host_failure(index, reason) {
            None => {}
            Some(1) => self.requeue(index),
            Some(_) => self.requeue_elsewhere(now, index),
        }
    }

    /// How many hosts have failed a job, with this one; none if that has ended it.
    pub(super) fn count_host_failure(&mut self, index: u32, reason: &str) -> Option<u32> {
        let plan = &mut self.jobs[index as usize];
        plan.host_failures += 1;
        let failures = plan.host_failures;
        if self.job(index).kill {
            self.end_job(index, State::Error, Some(Cause::Killed.to_string()));
        } else if failures >= self.config.host_failures {
            let reason = format!("gave up after {failures} host failures, last: {reason}");
            self.end_job(index, State::Error, Some(reason));
        } else {
            return Some(failures);
        }
        None
    }

    /// A host with abandoned attempts answers again. Those whose job has its
    /// outcome, or was killed, are ended, and all of them when the run is
    /// interrupted; those that have not started never will; the others may race.
    pub(super) fn settle_abandoned(&mut self, host: HostIx) {
        let keys: Vec<Key> =
            self.run.host(host).into_iter().flat_map(crate::run::Host::abandoned).collect();
        for key in keys {
            let job = self.job(key.index);
            if job.kill || job.phase.is_settled() {
                self.order(host, key, Order::kill(Cause::Superseded));
            } else if self.is_interrupting() || self.is_removed(host) {
                self.order(host, key, Order::kill(Cause::Interrupted));
            } else {
                self.out.push_back(Action::Withdraw { host, key });
            }
        }
    }

    /// A job has its outcome from attempt `key`: all its others are ended.
    pub(super) fn end_rivals(&mut self, key: Key) {
        self.withdrawn_on.remove(&key.index);
        self.end_abandoned(key.index);
    }

    /// Ends the abandoned attempts of a job, where their hosts answer. One of them
    /// may be its latest, if a user kills a job that waits.
    pub(super) fn end_abandoned(&mut self, index: u32) {
        for (host, key) in self.run.abandoned(index) {
            if self.answers(host) {
                self.order(host, key, Order::kill(Cause::Superseded));
            }
        }
    }

    /// A line of a run log about an abandoned attempt.
    pub(super) fn record_of_abandoned(&mut self, host: HostIx, key: Key, record: Record) {
        let change = match record {
            Record::Log { .. } => return,
            Record::Started { .. } if self.has_started(key) => return,
            Record::Started { id, at, processors, .. } => {
                AttemptChange::Started { id, started: at, processors }
            }
            Record::Finished(finish) => return self.abandoned_finished(host, key, finish),
            Record::Refused { scope: Scope::Space | Scope::Load, .. }
            | Record::Withdrawn { .. } => AttemptChange::Withdrawn,
            Record::Refused { reason, scope, .. } => {
                AttemptChange::Refused { reason: reason.shown().into(), scope }
            }
            Record::Lost { reason, how, id, survivors, .. } => {
                let (reason, restarted) = (reason.shown().into(), how == Loss::Restart);
                AttemptChange::Lost { id, reason, survivors, restarted }
            }
        };
        self.emit_attempt(host, key, change);
    }

    pub(super) fn has_started(&self, key: Key) -> bool {
        self.run.attempt(key).is_some_and(|attempt| attempt.started.is_some())
    }

    fn abandoned_finished(&mut self, host: HostIx, key: Key, finish: Finish) {
        let (success, own_failure) = (finish.is_success(), finish.is_own_failure());
        let reason = super::report::describe(&finish);
        self.emit_attempt(host, key, AttemptChange::Exited { finish });
        let job = self.job(key.index);
        if job.phase.is_settled() {
            self.emit_attempt(host, key, AttemptChange::Superseded);
        } else if success {
            self.succeeded(host, key, reason);
        } else if own_failure && job.failures > self.retries(key.index) {
            // With a retry left, the attempt that took over is that retry.
            self.end_job_by(key, State::Error, reason);
        }
    }
}
