//! Watching a run that another process manages: its events, as that one's
//! handler hears them.

use std::time::Duration;

use gjob_core::event::RunEnd;
use gjob_core::{EventKind, HostLabel, Job};

use super::Handler;
use super::control::{ControlClient, ControlError, Said, Snapshot};
use super::job_table::JobTable;
use crate::store::{RunDir, Store, StoreError};

/// Watches a living run.
#[derive(Debug)]
pub struct Watcher {
    client: ControlClient,
    jobs: JobTable,
    snapshot: Snapshot,
}

/// How watching came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// The manager has stopped.
    Ended(RunEnd),
    /// The manager is gone without a word, or could not wait for this watcher.
    CutOff,
}

impl Watcher {
    /// Connects to the manager of a run; none when nobody listens.
    ///
    /// # Errors
    /// When the manager can't be asked, or the run's store can't be read.
    pub fn connect(dir: &RunDir) -> Result<Option<Self>, WatchError> {
        let Some(mut client) = ControlClient::connect(dir)? else { return Ok(None) };
        let Some(snapshot) = client.watch()? else { return Ok(None) };
        // The store is read behind the snapshot: so it holds all that is not in
        // the events to come; those it holds already change nothing.
        let store = Store::read(dir)?;
        let labels: Vec<HostLabel> = store.hosts()?.into_iter().map(|host| host.label).collect();
        let jobs = JobTable::restore(store.jobs()?, store.specs()?, &labels);
        Ok(Some(Watcher { client, jobs, snapshot }))
    }

    /// How the run stood when this began.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The jobs as they now stand.
    #[must_use]
    pub fn jobs(&self) -> &[Job] {
        self.jobs.all()
    }

    /// Tells `handler` what happens until the manager stops; jobs' outputs are
    /// no part of it. `sleep_time` is how long nothing has to happen for a
    /// `handle_sleep`.
    ///
    /// # Errors
    /// When the manager can't be understood.
    pub fn run(
        &mut self,
        sleep_time: Duration,
        handler: &mut impl Handler,
    ) -> Result<Watched, ControlError> {
        if let Some(end) = self.snapshot.ended {
            return Ok(Watched::Ended(end));
        }
        loop {
            let event = match self.client.next(sleep_time)? {
                Said::Event(event) => event,
                Said::Nothing => {
                    handler.handle_sleep();
                    continue;
                }
                Said::End => return Ok(Watched::CutOff),
            };
            self.jobs.apply(&event.kind);
            handler.handle_event(&event, self.jobs.all());
            match &event.kind {
                EventKind::JobStarted { key, .. } => self.with(key.index, |job| {
                    handler.handle_job_launch(job);
                }),
                EventKind::JobEnded { key, .. } => self.with(key.index, |job| {
                    handler.handle_job_done(job);
                }),
                EventKind::RunEnded { end, .. } => return Ok(Watched::Ended(*end)),
                _ => {}
            }
        }
    }

    fn with(&self, index: u32, tell: impl FnOnce(&Job)) {
        if let Some(job) = self.jobs.all().get(index as usize) {
            tell(job);
        }
    }
}

/// A run can't be watched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// The manager.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}
