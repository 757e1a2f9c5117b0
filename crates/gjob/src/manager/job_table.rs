//! The run's jobs as they stand: a fold over the events, kept for handlers and
//! for whoever asks.

use std::ops::Index;
use std::sync::Arc;

use gjob_core::{EventKind, HostLabel, Job, JobSpec, State};

use crate::store::JobRow;

/// All jobs, in their order.
#[derive(Debug)]
pub(super) struct JobTable(Vec<Job>);

impl JobTable {
    /// Jobs that are all to be done.
    pub(super) fn new(specs: Vec<Arc<JobSpec>>) -> Self {
        let mut jobs: Vec<Job> = specs.into_iter().map(Job::new).collect();
        (0..).zip(&mut jobs).for_each(|(index, job)| job.index = index);
        JobTable(jobs)
    }

    /// Jobs as a store has them.
    pub(super) fn restore(
        rows: Vec<JobRow>,
        specs: Vec<Arc<JobSpec>>,
        labels: &[HostLabel],
    ) -> Self {
        let job = |(row, spec): (JobRow, Arc<JobSpec>)| {
            let mut job = Job::new(spec);
            (job.index, job.attempt, job.state) = (row.index, row.attempt, row.state);
            (job.id, job.reason) = (row.id, row.reason);
            job.host = row.host.and_then(|at| labels.get(at as usize)).cloned();
            job
        };
        JobTable(rows.into_iter().zip(specs).map(job).collect())
    }

    pub(super) fn all(&self) -> &[Job] {
        &self.0
    }

    /// What is still to be done.
    pub(super) fn specs_without_outcome(&self) -> Vec<Arc<JobSpec>> {
        let open = self.0.iter().filter(|job| matches!(job.state, State::Free | State::Busy));
        open.map(|job| Arc::clone(&job.spec)).collect()
    }

    /// Carries an event over to its job.
    pub(super) fn apply(&mut self, event: &EventKind) {
        let Some(job) = event.key().and_then(|key| self.0.get_mut(key.index as usize)) else {
            return;
        };
        match event {
            EventKind::JobAssigned { key, host } => {
                job.attempt = key.attempt;
                job.host = Some(host.clone());
                (job.id, job.finish, job.reason) = (None, None, None);
                job.state = State::Busy;
            }
            EventKind::JobStarted { id, .. } => job.id = Some(id.clone()),
            EventKind::JobFinished { finish, .. } => {
                job.id = Some(finish.id.clone());
                job.finish = Some(Box::new(finish.clone()));
                job.state = State::Free;
            }
            EventKind::JobRefused { .. }
            | EventKind::JobWithdrawn { .. }
            | EventKind::JobLost { .. } => job.state = State::Free,
            EventKind::JobEnded { state, reason, .. } => {
                job.state = *state;
                job.reason.clone_from(reason);
            }
            EventKind::RunBegan { .. }
            | EventKind::HostUp { .. }
            | EventKind::HostUnknown { .. }
            | EventKind::HostError { .. }
            | EventKind::RunEnded { .. } => {}
        }
    }
}

impl Index<u32> for JobTable {
    type Output = Job;

    fn index(&self, index: u32) -> &Job {
        &self.0[index as usize]
    }
}
