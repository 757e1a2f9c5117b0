//! The run's jobs as they stand: a fold over the events, kept for handlers and
//! for whoever asks.

use std::collections::HashMap;
use std::ops::Index;
use std::sync::Arc;

use gjob_core::{EventKind, Finish, HostLabel, Job, JobSpec, Key, State};

use crate::store::JobRow;

/// All jobs, in their order.
#[derive(Debug)]
pub(super) struct JobTable {
    jobs: Vec<Job>,
    /// Ends of attempts that were not waited for any more: one of them may be
    /// the one that counts.
    late: HashMap<Key, (HostLabel, Finish)>,
    /// What could not be ended of jobs' attempts.
    survivors: HashMap<u32, Vec<u32>>,
}

impl JobTable {
    /// Jobs that are all to be done.
    pub(super) fn new(specs: Vec<Arc<JobSpec>>) -> Self {
        let mut jobs: Vec<Job> = specs.into_iter().map(Job::new).collect();
        (0..).zip(&mut jobs).for_each(|(index, job)| job.index = index);
        JobTable { jobs, late: HashMap::new(), survivors: HashMap::new() }
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
        let jobs = rows.into_iter().zip(specs).map(job).collect();
        JobTable { jobs, late: HashMap::new(), survivors: HashMap::new() }
    }

    pub(super) fn all(&self) -> &[Job] {
        &self.jobs
    }

    /// True when a job has its outcome.
    pub(super) fn has_outcome(&self, index: u32) -> bool {
        self.jobs.get(index as usize).is_some_and(|job| match job.state {
            State::Done | State::Error | State::Unknown => true,
            State::Free | State::Busy => false,
        })
    }

    /// Processes of a job that could not be ended.
    pub(super) fn survivors(&self, index: u32) -> &[u32] {
        self.survivors.get(&index).map_or(&[], Vec::as_slice)
    }

    /// Carries an event over to its job.
    pub(super) fn apply(&mut self, event: &EventKind) {
        let Some(key) = event.key() else { return };
        if let EventKind::JobFinished { finish: Finish { survivors, .. }, .. }
        | EventKind::JobLost { survivors, .. } = event
            && !survivors.is_empty()
        {
            self.survivors.entry(key.index).or_default().extend(survivors);
        }
        let Some(job) = self.jobs.get_mut(key.index as usize) else { return };
        let awaited = job.attempt == key.attempt && job.state == State::Busy;
        match event {
            EventKind::JobAssigned { host, .. } => {
                job.attempt = key.attempt;
                job.host = Some(host.clone());
                (job.id, job.finish, job.reason) = (None, None, None);
                job.state = State::Busy;
            }
            EventKind::JobStarted { id, .. } if awaited => job.id = Some(id.clone()),
            EventKind::JobFinished { finish, .. } if awaited => {
                job.id = Some(finish.id.clone());
                job.finish = Some(Box::new(finish.clone()));
                job.state = State::Free;
            }
            EventKind::JobFinished { host, finish } => {
                self.late.insert(key, (host.clone(), finish.clone()));
            }
            EventKind::JobRefused { .. }
            | EventKind::JobWithdrawn { .. }
            | EventKind::JobAbandoned { .. }
                if awaited =>
            {
                job.state = State::Free;
            }
            EventKind::JobLost { id, .. } if awaited => {
                job.id = job.id.take().or_else(|| id.clone());
                job.state = State::Free;
            }
            EventKind::JobCollecting { .. } => {
                if let Some((host, finish)) = self.late.remove(&key) {
                    take_late(job, key, host, finish);
                }
                job.state = State::Busy;
            }
            EventKind::JobNotCollected { .. } => job.state = State::Free,
            EventKind::JobEnded { state, reason, .. } => {
                if let Some((host, finish)) = self.late.remove(&key) {
                    take_late(job, key, host, finish);
                }
                job.state = *state;
                job.reason.clone_from(reason);
            }
            EventKind::JobReopened { .. } => {
                job.state = State::Free;
                job.reason = None;
            }
            EventKind::JobSuperseded { .. } => drop(self.late.remove(&key)),
            EventKind::JobStarted { .. }
            | EventKind::JobRefused { .. }
            | EventKind::JobWithdrawn { .. }
            | EventKind::JobAbandoned { .. }
            | EventKind::JobLost { .. }
            | EventKind::JobKillAsked { .. }
            | EventKind::JobCollected { .. }
            | EventKind::Transfer { .. }
            | EventKind::JobPaused { .. }
            | EventKind::JobResumed { .. }
            | EventKind::RunBegan { .. }
            | EventKind::HostUp { .. }
            | EventKind::HostUnknown { .. }
            | EventKind::HostError { .. }
            | EventKind::HostPaused { .. }
            | EventKind::HostProbed { .. }
            | EventKind::RunEnded { .. } => {}
        }
    }
}

/// The attempt that counts is one that was not waited for any more.
fn take_late(job: &mut Job, key: Key, host: HostLabel, finish: Finish) {
    (job.attempt, job.host) = (key.attempt, Some(host));
    job.id = Some(finish.id.clone());
    job.finish = Some(Box::new(finish));
}

impl Index<u32> for JobTable {
    type Output = Job;

    fn index(&self, index: u32) -> &Job {
        &self.jobs[index as usize]
    }
}

#[cfg(test)]
mod tests {
    use gjob_core::Event;
    use gjob_core::scheduler::{HostIx, JobInit};

    use super::*;
    use crate::inputs::Inputs;
    use crate::store::tests::{host, lives, specs, temp_run};
    use crate::store::{Store, now};

    /// What is told of the jobs, beside their exit records.
    fn told(jobs: &[Job]) -> Vec<String> {
        let line = |job: &Job| {
            let Job { index, attempt, state, host, id, reason, .. } = job;
            format!("{index}.{attempt} {state} {host:?} {id:?} {reason:?}")
        };
        jobs.iter().map(line).collect()
    }

    #[test]
    fn the_store_the_scheduler_and_the_table_make_the_same_of_every_event() {
        let (_temp, dir) = temp_run();
        let labels = [host(0), host(1)];
        let all = specs(20);
        let mut store = Store::create(&dir, "{}", &labels, &all, &Inputs::default()).unwrap();
        let mut folded: Vec<JobInit> = all.iter().map(|spec| JobInit::of(spec)).collect();
        let mut table = JobTable::new(all.clone());
        for kind in lives() {
            if let Some(key) = kind.key() {
                let at = kind.host().map(|label| HostIx(u32::from(label.as_str() == "h1")));
                folded[key.index as usize].apply(&kind, at);
            }
            table.apply(&kind);
            let text = format!("after {kind:?}");
            store.commit(&[Event { at: now(), kind }], &[], &[]).unwrap();
            let rows = store.jobs().unwrap();
            let inits = rows.iter().zip(&all).map(|(row, spec)| row.to_init(spec));
            inits.zip(&folded).for_each(|(row, init)| assert_eq!(row, *init, "{text}"));
            let restored = JobTable::restore(rows, store.specs().unwrap(), &labels);
            assert_eq!(told(restored.all()), told(table.all()), "{text}");
        }
    }
}
