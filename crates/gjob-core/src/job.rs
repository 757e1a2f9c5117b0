//! The record of a job (the seed's `Job`): its specification, and what has
//! become of it so far.

use std::sync::Arc;

use crate::attempt::Attempt;
use crate::id::{HostLabel, JobId, Key};
use crate::outcome::Finish;
use crate::spec::JobSpec;
use crate::state::State;
use crate::time::Timestamp;

/// The most jobs a run may have.
pub const MAX_JOBS: u32 = 10_000_000;

/// The record of a job, including its spec and ID (the seed's `Job`).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Job {
    /// The job specification (the seed's `spec`).
    pub spec: Arc<JobSpec>,
    /// Its position in its run, from 0.
    pub index: u32,
    /// How far it is.
    pub phase: Phase,
    /// The attempt to be shown: the one that counts, else the latest; none
    /// before the first.
    pub attempt: Option<Box<Attempt>>,
    /// The number of its latest attempt, from 1; 0 before the first. It may be
    /// greater than that of the attempt that counts.
    pub last_attempt: u32,
    /// Failures of its own, which use up its retries.
    pub failures: u32,
    /// Bytes of memory that it gets by now, if that is not what it asked for at first:
    /// `spec` says the same.
    pub raised_mem: Option<u64>,
    /// True while a user holds it (`gjob pause`).
    pub paused: bool,
    /// True when its attempt was paused and resumed: its host may know only of
    /// the first.
    pub resumed: bool,
    /// True when a user wants it killed.
    pub kill: bool,
    /// Why it is not done, or which of its processes could not be ended, in one
    /// line, once it has its outcome.
    pub reason: Option<String>,
    /// When it ended, once it has its outcome: by the clock of the host whose
    /// exit record counts, else by the manager's.
    pub ended: Option<Timestamp>,
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// No attempt of it is waited for.
    Waiting,
    /// Its latest attempt was assigned to a host, which may have started it.
    Assigned,
    /// Its latest attempt runs.
    Running,
    /// The attempt that is shown succeeded; its outputs are not local yet.
    Collecting,
    /// It has its outcome: `done`, `error` or `unknown`.
    Ended(State),
}

impl Phase {
    /// The phase in the seed's words.
    #[must_use]
    pub fn state(self) -> State {
        match self {
            Phase::Waiting => State::Free,
            Phase::Assigned | Phase::Running | Phase::Collecting => State::Busy,
            Phase::Ended(state) => state,
        }
    }

    /// True while its latest attempt is waited for.
    #[must_use]
    pub fn is_in_flight(self) -> bool {
        match self {
            Phase::Assigned | Phase::Running => true,
            Phase::Waiting | Phase::Collecting | Phase::Ended(_) => false,
        }
    }

    /// True when no other attempt changes it any more.
    #[must_use]
    pub fn is_settled(self) -> bool {
        match self {
            Phase::Collecting | Phase::Ended(_) => true,
            Phase::Waiting | Phase::Assigned | Phase::Running => false,
        }
    }

    /// The word used in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Phase::Waiting => "waiting",
            Phase::Assigned => "assigned",
            Phase::Running => "running",
            Phase::Collecting => "collecting",
            Phase::Ended(_) => "ended",
        }
    }
}

impl Job {
    /// A job that waits, at position 0 (the seed's `Job(job_spec)`).
    #[must_use]
    pub fn new(spec: impl Into<Arc<JobSpec>>) -> Self {
        Job {
            spec: spec.into(),
            index: 0,
            phase: Phase::Waiting,
            attempt: None,
            last_attempt: 0,
            failures: 0,
            raised_mem: None,
            paused: false,
            resumed: false,
            kill: false,
            reason: None,
            ended: None,
        }
    }

    /// Gives it other memory than it asked for.
    pub fn raise_memory(&mut self, mem: u64) {
        self.raised_mem = Some(mem);
        Arc::make_mut(&mut self.spec).mem = Some(mem);
    }

    /// A job whose attempt `key` a host has started under `id`.
    #[must_use]
    pub fn launched(spec: impl Into<Arc<JobSpec>>, key: Key, host: HostLabel, id: JobId) -> Self {
        let mut attempt = Attempt::new(key, host, Timestamp::default());
        attempt.id = Some(id);
        Job {
            index: key.index,
            phase: Phase::Running,
            attempt: Some(Box::new(attempt)),
            last_attempt: key.attempt,
            ..Job::new(spec)
        }
    }

    /// What its host allocated at launch; none before (the seed's `id_`).
    #[must_use]
    pub fn id(&self) -> Option<&JobId> {
        self.attempt.as_ref()?.id.as_ref()
    }

    /// The host it was assigned to; none before (the seed's `host`).
    #[must_use]
    pub fn host(&self) -> Option<&HostLabel> {
        Some(&self.attempt.as_ref()?.host)
    }

    /// Its state; `busy` whether its host answers or not.
    #[must_use]
    pub fn state(&self) -> State {
        self.phase.state()
    }

    /// True when it has its outcome.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended(_))
    }

    /// True when it has its outcome, and is not done.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        matches!(self.phase, Phase::Ended(State::Error | State::Unknown))
    }

    /// True while a user holds it; one that has its outcome is no longer held.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.paused && !self.has_ended()
    }

    /// The exit record of the attempt that is shown, if it has one.
    #[must_use]
    pub fn finish(&self) -> Option<&Finish> {
        self.attempt.as_ref()?.finish.as_deref()
    }

    /// The exit status that counts, if its script has exited. A job that is not done
    /// for another reason than its exit status, such as one that was killed, has none:
    /// 0 means that it is done.
    #[must_use]
    pub fn exit(&self) -> Option<u8> {
        let exit = self.attempt.as_ref()?.exit()?;
        let fell_short = self.has_ended() && self.state() != State::Done;
        (exit != 0 || !fell_short).then_some(exit)
    }

    /// The signal that ended its script, if one did.
    #[must_use]
    pub fn signal(&self) -> Option<u8> {
        self.attempt.as_ref()?.signal()
    }

    /// Names the attempt that is shown; none before the first.
    #[must_use]
    pub fn key(&self) -> Option<Key> {
        Some(self.attempt.as_ref()?.key)
    }

    /// Names its latest attempt; attempt 0 means that there was none.
    #[must_use]
    pub fn last_key(&self) -> Key {
        Key::new(self.index, self.last_attempt)
    }

    /// Its name, if its specification has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.spec.name.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_job_waits_and_has_neither_id_nor_host_nor_attempt() {
        let job = Job::new(JobSpec::new(["true"]).unwrap().name("n"));
        assert_eq!((job.state(), job.name()), (State::Free, Some("n")));
        assert_eq!((job.id(), job.host(), job.key()), (None, None, None));
        let (key, host) = (Key::new(4, 1), "h1".parse::<HostLabel>().unwrap());
        let id: JobId = "n/2026-11-22-1".parse().unwrap();
        let job = Job::launched(JobSpec::default(), key, host.clone(), id.clone());
        assert_eq!((job.id(), job.host(), job.key()), (Some(&id), Some(&host), Some(key)));
    }
}
