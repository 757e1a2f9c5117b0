//! What the scheduler knows of one job.

use std::time::Duration;

use super::HostIx;
use crate::event::EventKind;
use crate::record::Scope;
use crate::resources::Ask;
use crate::spec::JobSpec;
use crate::state::State;

/// A job as the scheduler is given it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobInit {
    /// How often a failure of its own is tried again.
    pub retries: u32,
    /// Attempts made so far; 0 for a new job.
    pub attempt: u32,
    /// Failures of its own so far.
    pub failures: u32,
    /// Where it stands.
    pub start: JobStart,
    /// True while it is held by a user.
    pub paused: bool,
    /// True when its attempt was held and let go on while it ran: its host may
    /// have heard only the first.
    pub resumed: bool,
    /// True when a user wants its attempt ended.
    pub kill: bool,
    /// True when it is done only once its outputs are here.
    pub collects: bool,
    /// What it asks of its host.
    pub ask: Ask,
}

impl JobInit {
    /// A new job.
    #[must_use]
    pub fn new(retries: u32) -> Self {
        JobInit {
            retries,
            attempt: 0,
            failures: 0,
            start: JobStart::Waiting,
            paused: false,
            resumed: false,
            kill: false,
            collects: false,
            ask: Ask::default(),
        }
    }

    /// A new job of this specification.
    #[must_use]
    pub fn of(spec: &JobSpec) -> Self {
        let collects = !spec.outputs.is_empty();
        JobInit { collects, ask: spec.ask(), ..JobInit::new(spec.retries.unwrap_or(0)) }
    }

    /// Carries an event about this job over to where it stands: what a store
    /// keeps of a job is this fold over its events. `host` is the position of
    /// the event's host.
    pub fn apply(&mut self, event: &EventKind, host: Option<HostIx>) {
        let current = event.key().is_some_and(|key| key.attempt == self.attempt);
        match event {
            EventKind::JobAssigned { key, .. } => {
                self.attempt = key.attempt;
                self.resumed = false;
                self.start = host.map_or(JobStart::Waiting, JobStart::Assigned);
            }
            EventKind::JobStarted { .. } if current && self.is_in_flight() => {
                self.start = host.map_or(JobStart::Waiting, JobStart::Running);
            }
            EventKind::JobFinished { finish, .. } => {
                let own_failure = finish.is_own_failure();
                self.failures += u32::from(own_failure && !self.is_settled());
                if current && self.is_in_flight() {
                    self.start = JobStart::Waiting;
                }
            }
            EventKind::JobRefused { .. }
            | EventKind::JobWithdrawn { .. }
            | EventKind::JobAbandoned { .. }
            | EventKind::JobLost { .. }
                if current && self.is_in_flight() =>
            {
                self.start = JobStart::Waiting;
            }
            EventKind::JobEnded { key, state, .. } => {
                self.attempt = self.attempt.max(key.attempt);
                self.start = JobStart::Ended(*state);
            }
            EventKind::JobCollecting { key, .. } => {
                let collecting = |host| JobStart::Collecting(host, key.attempt);
                self.start = host.map_or(JobStart::Waiting, collecting);
            }
            EventKind::JobNotCollected { scope, .. } => {
                self.failures += u32::from(*scope == Scope::Job);
                self.start = JobStart::Waiting;
            }
            EventKind::JobReopened { .. } => {
                (self.failures, self.paused, self.kill) = (0, false, false);
                self.start = JobStart::Waiting;
            }
            EventKind::JobKillAsked { .. } => self.kill = true,
            EventKind::JobPaused { .. } => (self.paused, self.resumed) = (true, false),
            EventKind::JobResumed { .. } => {
                self.paused = false;
                self.resumed = matches!(self.start, JobStart::Running(_));
            }
            // Of an attempt that is not the one that is waited for.
            EventKind::JobStarted { .. }
            | EventKind::JobRefused { .. }
            | EventKind::JobWithdrawn { .. }
            | EventKind::JobAbandoned { .. }
            | EventKind::JobSuperseded { .. }
            | EventKind::JobCollected { .. }
            | EventKind::JobLost { .. }
            | EventKind::HostPaused { .. }
            | EventKind::HostProbed { .. }
            | EventKind::RunBegan { .. }
            | EventKind::HostUp { .. }
            | EventKind::Transfer { .. }
            | EventKind::HostUnknown { .. }
            | EventKind::HostError { .. }
            | EventKind::RunEnded { .. } => {}
        }
    }

    fn is_in_flight(&self) -> bool {
        matches!(self.start, JobStart::Assigned(_) | JobStart::Running(_))
    }

    /// True when no attempt changes it any more.
    fn is_settled(&self) -> bool {
        matches!(self.start, JobStart::Collecting(..) | JobStart::Ended(_))
    }
}

/// Where a job stands when a scheduler takes it over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobStart {
    /// No attempt is under way.
    Waiting,
    /// Its last attempt was given to this host; whether that began is unknown.
    Assigned(HostIx),
    /// Its last attempt was started by this host.
    Running(HostIx),
    /// An attempt of this number has succeeded on this host, and its outputs
    /// are not here yet.
    Collecting(HostIx, u32),
    /// It has its outcome: `done`, `error` or `unknown`.
    Ended(State),
}

#[derive(Debug)]
pub(super) struct Job {
    pub(super) state: JobState,
    pub(super) attempt: u32,
    pub(super) retries: u32,
    /// Failures of its own.
    pub(super) failures: u32,
    /// Times a host failed it.
    pub(super) host_failures: u32,
    /// The host to be passed over if there is another.
    pub(super) avoid: Option<HostIx>,
    /// A user wants it ended.
    pub(super) kill: bool,
    /// A user holds it.
    pub(super) paused: bool,
    /// It was held and let go on while this attempt ran.
    pub(super) resumed: bool,
    /// It is done only once its outputs are here.
    pub(super) collects: bool,
    /// Its kind, by what it asks for.
    pub(super) class: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JobState {
    /// For other jobs to be done.
    Blocked,
    /// For a host.
    Waiting,
    /// For the time to try again.
    Delayed,
    /// For a user to let it go on.
    Held,
    /// Sent to a host, not known to have begun.
    Assigned { host: HostIx, since: Duration },
    /// Asked back from a host that was not known to have begun it.
    Withdrawing { host: HostIx },
    /// Begun.
    Running { host: HostIx },
    /// Has succeeded; its outputs are waited for.
    Collecting { host: HostIx, attempt: u32 },
    /// Has its outcome.
    Ended(State),
}

impl Job {
    pub(super) fn new(init: &JobInit, class: u32) -> Self {
        let state = match init.start {
            JobStart::Waiting if init.paused => JobState::Held,
            JobStart::Waiting => JobState::Waiting,
            JobStart::Assigned(host) => JobState::Assigned { host, since: Duration::ZERO },
            JobStart::Running(host) => JobState::Running { host },
            JobStart::Collecting(host, attempt) => JobState::Collecting { host, attempt },
            JobStart::Ended(state) => JobState::Ended(state),
        };
        Job {
            state,
            attempt: init.attempt,
            retries: init.retries,
            failures: init.failures,
            host_failures: 0,
            avoid: None,
            kill: init.kill,
            paused: init.paused,
            resumed: init.resumed,
            collects: init.collects,
            class,
        }
    }
}

impl Job {
    /// True for one that has failed before any attempt was made.
    pub(super) fn has_failed_untried(&self) -> bool {
        self.attempt == 0 && self.state == JobState::Ended(State::Error)
    }
}

impl JobState {
    /// True when no attempt changes it any more.
    pub(super) fn is_settled(self) -> bool {
        match self {
            JobState::Collecting { .. } | JobState::Ended(_) => true,
            JobState::Blocked
            | JobState::Waiting
            | JobState::Delayed
            | JobState::Held
            | JobState::Assigned { .. }
            | JobState::Withdrawing { .. }
            | JobState::Running { .. } => false,
        }
    }

    /// The host without which the job can't end.
    pub(super) fn needs(self) -> Option<HostIx> {
        match self {
            JobState::Collecting { host, .. } => Some(host),
            other => other.host(),
        }
    }

    /// The host that has the job.
    pub(super) fn host(self) -> Option<HostIx> {
        match self {
            JobState::Assigned { host, .. }
            | JobState::Withdrawing { host }
            | JobState::Running { host } => Some(host),
            JobState::Blocked
            | JobState::Waiting
            | JobState::Delayed
            | JobState::Held
            | JobState::Collecting { .. }
            | JobState::Ended(_) => None,
        }
    }

    /// The state in the seed's words.
    pub(super) fn public(self) -> State {
        match self {
            JobState::Blocked | JobState::Waiting | JobState::Delayed | JobState::Held => {
                State::Free
            }
            JobState::Assigned { .. }
            | JobState::Withdrawing { .. }
            | JobState::Running { .. }
            | JobState::Collecting { .. } => State::Busy,
            JobState::Ended(state) => state,
        }
    }
}
