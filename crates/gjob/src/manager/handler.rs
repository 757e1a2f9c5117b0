//! Who is told what happens. Every method does nothing by default (the seed's
//! `HandleJobLaunch`, `HandleJobDone`, `HandleSleep`); none can fail a run.

use gjob_core::{Event, HostLabel, Job};

use crate::network::Fetched;

/// Which of a job's outputs are to be brought here when it has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
}

/// Is told what happens in a run, in the order in which it was settled.
pub trait Handler {
    /// A job was launched: its host has started it, and it has its id (the
    /// seed's `HandleJobLaunch`).
    fn handle_job_launch(&mut self, _job: &Job) {}

    /// A job has its outcome: `job.state` says which (the seed's `HandleJobDone`).
    fn handle_job_done(&mut self, _job: &Job) {}

    /// Nothing has happened for the manager's sleep time (the seed's `HandleSleep`).
    fn handle_sleep(&mut self) {}

    /// Something has happened. `jobs` are all jobs as they now stand.
    fn handle_event(&mut self, _event: &Event, _jobs: &[Job]) {}

    /// Which outputs of a job that has just got its outcome are wanted.
    fn wanted(&self, _job: &Job) -> Wanted {
        Wanted::default()
    }

    /// Once for every job that has got its outcome: the outputs that were
    /// wanted and have anything in them; each is there, or why it can't be had.
    fn handle_job_output(&mut self, _job: &Job, _outputs: Vec<Fetched>) {}

    /// The worker program, of so many bytes, is being sent to a host.
    fn handle_upload(&mut self, _host: &HostLabel, _bytes: u64) {}
}

/// Listens to nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHandler;

impl Handler for NoHandler {}
