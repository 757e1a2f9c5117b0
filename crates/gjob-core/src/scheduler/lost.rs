//! Hosts that don't come back: when their jobs are given up there, and what
//! becomes of the attempts that were. Such a stray attempt may live on and
//! report late; its result counts if it is the first.

use std::time::Duration;

use super::Scheduler;
use super::action::{Action, HostIx};
use super::host::Status;
use super::stop::Mode;
use crate::event::EventKind;
use crate::id::Key;
use crate::outcome::{Cause, Finish};
use crate::record::Record;
use crate::state::State;

/// What is done about the jobs of a host that is lost.
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

/// How long after a host's loss was due it is looked at again, when no other
/// host answers either: then it's more likely this side that is cut off.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

impl Scheduler {
    /// A host has just become unreachable: from now on it may be lost.
    pub(super) fn expect_loss(&mut self, now: Duration, host: HostIx) {
        if self.config.on_lost != OnLost::Wait && self.mode != Mode::Acting {
            self.losses.insert((now + self.config.lost_after, host));
        }
    }

    /// A host answers: it is not lost.
    pub(super) fn forget_loss(&mut self, host: HostIx) {
        self.losses.retain(|(_, expected)| *expected != host);
    }

    /// Gives up the jobs of hosts whose time is over, if others can take them.
    pub(super) fn lose_hosts(&mut self, now: Duration) {
        while let Some((due, host)) = self.losses.first().copied().filter(|(due, _)| *due <= now) {
            self.losses.remove(&(due, host));
            if self.hosts[host.at()].needed_by() == 0 {
                continue;
            }
            if self.nobody_up() {
                self.losses.insert((now + LOOK_AGAIN, host));
                continue;
            }
            let in_flight: Vec<u32> = self.hosts[host.at()].in_flight().collect();
            for index in in_flight {
                self.abandon(host, index);
            }
            self.give_up_outputs(now, host);
        }
    }

    fn abandon(&mut self, host: HostIx, index: u32) {
        let key = Key::new(index, self.jobs[index as usize].attempt);
        let reason = format!("not heard of for {} s", self.config.lost_after.as_secs());
        self.add_stray(host, key);
        let label = self.label(host);
        self.emit(EventKind::JobAbandoned { key, host: label, reason: reason.clone() });
        self.fail_by_host(index, &format!("its host was lost: {reason}"));
    }

    /// A host failed a job, through no fault of the job's: a host gets it again,
    /// until too many have failed it.
    pub(super) fn fail_by_host(&mut self, index: u32, reason: &str) {
        let job = &mut self.jobs[index as usize];
        job.host_failures += 1;
        if job.kill {
            self.end_job(index, State::Error, Some(Cause::Killed.to_string()));
        } else if job.host_failures >= self.config.host_failures {
            let reason =
                format!("hosts have failed it {} times, at last: {reason}", job.host_failures);
            self.end_job(index, State::Error, Some(reason));
        } else {
            self.requeue(index);
        }
    }

    pub(super) fn add_stray(&mut self, host: HostIx, key: Key) {
        self.unbegun.remove(&key.index);
        self.hosts[host.at()].strays.insert(key);
        self.strays.entry(key.index).or_default().push((host, key.attempt));
    }

    fn remove_stray(&mut self, host: HostIx, key: Key) -> bool {
        let known = self.hosts[host.at()].strays.remove(&key);
        if let Some(strays) = self.strays.get_mut(&key.index) {
            strays.retain(|stray| *stray != (host, key.attempt));
            if strays.is_empty() {
                self.strays.remove(&key.index);
            }
        }
        known
    }

    pub(super) fn is_stray(&self, host: HostIx, key: Key) -> bool {
        self.hosts.get(host.at()).is_some_and(|host| host.strays.contains(&key))
    }

    /// A host with strays answers again. Those whose job has its outcome, or is
    /// to be ended, are ended; those that have not begun are not to begin; the others may race.
    pub(super) fn settle_strays(&mut self, host: HostIx) {
        let strays: Vec<Key> = self.hosts[host.at()].strays.iter().copied().collect();
        for key in strays {
            let job = &self.jobs[key.index as usize];
            let ended = job.kill || job.state.is_settled();
            self.out.push_back(if ended {
                Action::Kill { host, key, cause: Cause::Superseded }
            } else {
                Action::Withdraw { host, key }
            });
        }
    }

    /// A job has its outcome from attempt `key`: all its others are ended.
    pub(super) fn end_rivals(&mut self, key: Key) {
        let index = key.index;
        let job = &self.jobs[index as usize];
        if let (Some(host), true) = (job.state.host(), job.attempt != key.attempt) {
            self.add_stray(host, Key::new(index, job.attempt));
        }
        self.end_strays(index, Some(key));
    }

    /// Ends the strays of a job, but for one, where their hosts answer.
    pub(super) fn end_strays(&mut self, index: u32, but: Option<Key>) {
        for (host, attempt) in self.strays.get(&index).into_iter().flatten() {
            let key = Key::new(index, *attempt);
            if Some(key) != but && self.hosts[host.at()].status.answers() {
                self.out.push_back(Action::Kill { host: *host, key, cause: Cause::Superseded });
            }
        }
    }

    /// A line of a run log about a stray.
    pub(super) fn stray_record(&mut self, host: HostIx, key: Key, record: Record) {
        let label = self.label(host);
        match record {
            Record::Log { .. } => {}
            Record::Started { id, at, .. } => {
                self.emit(EventKind::JobStarted { key, host: label, id, started: at });
            }
            Record::Finished(finish) => self.stray_finished(host, key, finish),
            Record::Refused { reason, scope, .. } => {
                self.remove_stray(host, key);
                let reason = reason.shown().into();
                self.emit(EventKind::JobRefused { key, host: label, reason, scope });
            }
            Record::Withdrawn { .. } => {
                self.remove_stray(host, key);
                self.emit(EventKind::JobWithdrawn { key, host: label });
            }
            Record::Lost { reason, id, survivors, .. } => {
                self.remove_stray(host, key);
                let reason = reason.shown().into();
                self.emit(EventKind::JobLost { key, host: label, id, reason, survivors });
            }
        }
    }

    fn stray_finished(&mut self, host: HostIx, key: Key, finish: Finish) {
        self.remove_stray(host, key);
        let label = self.label(host);
        let (success, own_failure) = (finish.is_success(), finish.is_own_failure());
        let reason = super::report::describe(&finish);
        self.emit(EventKind::JobFinished { host: label.clone(), finish });
        if self.jobs[key.index as usize].state.is_settled() {
            self.emit(EventKind::JobSuperseded { key, host: label });
        } else if success {
            self.succeeded(host, key, reason);
        } else if own_failure {
            let job = &mut self.jobs[key.index as usize];
            job.failures += 1;
            // With a retry left, the attempt that took over is that retry.
            if job.failures > job.retries {
                self.end_job_by(key, State::Error, reason);
            }
        }
    }
}

impl Status {
    /// True when the host can be sent something now.
    pub(super) fn answers(self) -> bool {
        match self {
            Status::Up | Status::Paused { .. } => true,
            Status::Connecting | Status::Unknown | Status::Error => false,
        }
    }
}
