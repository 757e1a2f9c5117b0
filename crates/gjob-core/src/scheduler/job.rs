//! What the scheduler knows of one job beyond the run, and the two together as
//! one state.

use std::time::Duration;

use super::HostIx;
use crate::job::Phase;
use crate::state::State;

/// What the scheduler knows of one job beyond the run.
#[derive(Debug)]
pub(super) struct JobPlan {
    /// What it waits for; only while no attempt of it is waited for.
    pub(super) wait: Wait,
    /// When it was assigned; only while it is.
    pub(super) assigned: Duration,
    /// True while it is being withdrawn from its host.
    pub(super) withdrawing: bool,
    /// When its host has to have answered that at the latest.
    pub(super) withdrawal_due: Duration,
    /// How often that was sent over this connection, and when first.
    pub(super) withdrawal_sent: (u32, Duration),
    /// When it is next looked at, if its host has not begun it by then.
    pub(super) unbegun_due: Duration,
    /// True when its attempt is to end since its host was removed: it was told, or will be.
    pub(super) recalled: bool,
    /// True when its attempt was sent to its host by this manager.
    pub(super) sent: bool,
    /// True when its attempt was assigned by an earlier manager, whose orders are
    /// not known.
    pub(super) inherited: bool,
    /// Times that hosts failed it under this manager.
    pub(super) host_failures: u32,
    /// How often no host had space for it.
    pub(super) no_space: u32,
    /// The host to be passed over if there is another.
    pub(super) avoid: Option<HostIx>,
    /// Its class, by what it asks for.
    pub(super) class: u32,
}

/// What a job waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Wait {
    /// Not decided yet.
    #[default]
    Undecided,
    /// For other jobs to be done.
    Blocked,
    /// For a host.
    Ready,
    /// For the time to try again.
    Delayed,
    /// For a user to resume it.
    Held,
    /// For outputs of other jobs that are fetched again.
    Inputs,
}

/// A job's state as the scheduler decides by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JobState {
    /// No attempt of it is waited for.
    Waiting(Wait),
    /// Sent to a host, not known to have started.
    Assigned { host: HostIx, since: Duration },
    /// Being withdrawn from a host that was not known to have started it.
    Withdrawing { host: HostIx },
    /// Started.
    Running { host: HostIx },
    /// Succeeded; its outputs are being fetched.
    Collecting { host: HostIx, attempt: u32 },
    /// Has its outcome.
    Ended(State),
}

impl JobPlan {
    pub(super) fn new(class: u32) -> Self {
        JobPlan {
            wait: Wait::Undecided,
            assigned: Duration::ZERO,
            withdrawing: false,
            withdrawal_due: Duration::ZERO,
            withdrawal_sent: (0, Duration::ZERO),
            unbegun_due: Duration::ZERO,
            recalled: false,
            sent: false,
            inherited: false,
            host_failures: 0,
            no_space: 0,
            avoid: None,
            class,
        }
    }
}

impl super::Scheduler {
    /// The state of a job, which must be one of the run's.
    pub(super) fn state(&self, index: u32) -> JobState {
        let (job, plan) = (&self.run.jobs()[index as usize], &self.jobs[index as usize]);
        // A host of the run has every job that is not waiting and has not ended.
        let host = self.run.host_needed(index).unwrap_or(HostIx(u32::MAX));
        match job.phase {
            Phase::Waiting => JobState::Waiting(plan.wait),
            Phase::Assigned if plan.withdrawing => JobState::Withdrawing { host },
            Phase::Assigned => JobState::Assigned { host, since: plan.assigned },
            Phase::Running => JobState::Running { host },
            Phase::Collecting => {
                let attempt = job.key().map_or(0, |key| key.attempt);
                JobState::Collecting { host, attempt }
            }
            Phase::Ended(state) => JobState::Ended(state),
        }
    }

    /// True when a host has the job's latest attempt.
    pub(super) fn is_with(&self, index: u32, host: HostIx) -> bool {
        self.run.host_in_flight(index) == Some(host)
    }

    /// Notes what a job waits for.
    pub(super) fn set_wait(&mut self, index: u32, wait: Wait) {
        let before = std::mem::replace(&mut self.jobs[index as usize].wait, wait);
        let blocked = |wait| u32::from(wait == Wait::Blocked);
        self.dependants.blocked = self.dependants.blocked + blocked(wait) - blocked(before);
    }

    /// Notes that a job is being withdrawn from its host, or no longer is.
    pub(super) fn set_withdrawing(&mut self, index: u32, host: HostIx, withdrawing: bool) {
        let plan = &mut self.jobs[index as usize];
        if std::mem::replace(&mut plan.withdrawing, withdrawing) != withdrawing {
            let more = if withdrawing { 1 } else { -1 };
            self.hosts.note_withdrawing(&self.run, host, more);
        }
    }
}
