//! The record of a job (the seed's `Job`): its specification, and what has
//! become of it so far.

use std::sync::Arc;

use crate::id::{HostLabel, JobId, Key};
use crate::outcome::Finish;
use crate::spec::JobSpec;
use crate::state::State;

/// The most jobs a run may have.
pub const MAX_JOBS: u32 = 10_000_000;

/// The record of a job, including its spec and ID (the seed's `Job`).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Job {
    /// The job specification (the seed's `spec`).
    pub spec: Arc<JobSpec>,
    /// What its host allocated at launch; none before (the seed's `id_`).
    pub id: Option<JobId>,
    /// The host it was given to; none before (the seed's `host`).
    pub host: Option<HostLabel>,
    /// Its position in its run, from 0.
    pub index: u32,
    /// Its latest attempt, from 1; 0 before the first.
    pub attempt: u32,
    /// Its state.
    pub state: State,
    /// The exit record of its latest attempt that has one.
    pub finish: Option<Box<Finish>>,
    /// Why it is not done, or what of it could not be ended, in one line, once that is settled.
    pub reason: Option<String>,
}

impl Job {
    /// A job that waits, at position 0 (the seed's `Job(job_spec)`).
    #[must_use]
    pub fn new(spec: impl Into<Arc<JobSpec>>) -> Self {
        Job {
            spec: spec.into(),
            id: None,
            host: None,
            index: 0,
            attempt: 0,
            state: State::Free,
            finish: None,
            reason: None,
        }
    }

    /// Names its latest attempt; none before the first.
    #[must_use]
    pub fn key(&self) -> Option<Key> {
        (self.attempt > 0).then(|| Key::new(self.index, self.attempt))
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
        let mut job = Job::new(JobSpec::new(["true"]).unwrap().name("n"));
        assert_eq!((job.state, job.name()), (State::Free, Some("n")));
        assert_eq!((&job.id, &job.host, job.key()), (&None, &None, None));
        job.attempt = 1;
        assert_eq!(job.key(), Some(Key::new(0, 1)));
    }
}
