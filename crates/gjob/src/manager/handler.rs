//! Who is notified of what happens. Every method does nothing by default (the
//! seed's `HandleJobLaunch`, `HandleJobDone`, `HandleSleep`); none can fail a
//! run. Several handlers together are a handler: a pair, or a `Vec` of boxes.

use std::time::Duration;

use gjob_core::{Event, Job, Run};

use crate::network::Fetched;

/// Which of a job's standard streams are to be fetched when it has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
}

impl Wanted {
    fn or(self, other: Wanted) -> Self {
        Wanted { stdout: self.stdout || other.stdout, stderr: self.stderr || other.stderr }
    }
}

/// Is notified of what happens in a run, in the order in which it was settled.
pub trait Handler {
    /// A job was launched: its host has started it, and it has its id (the
    /// seed's `HandleJobLaunch`).
    fn handle_job_launch(&mut self, _job: &Job) {}

    /// A job has its outcome: `job.state()` says which (the seed's `HandleJobDone`).
    fn handle_job_done(&mut self, _job: &Job) {}

    /// Nothing has happened for the manager's sleep time (the seed's `HandleSleep`).
    fn handle_sleep(&mut self) {}

    /// Something has happened. `run` is as after this event, or later.
    fn handle_event(&mut self, _event: &Event, _run: &Run) {}

    /// All that has happened has been told, and the next thing is waited for: the
    /// time to show how the run is. Returns after what time this is to be called
    /// again even if nothing happens; it may be called earlier.
    fn handle_wait(&mut self, _run: &Run) -> Option<Duration> {
        None
    }

    /// Which streams of a job that has just got its outcome are wanted.
    fn wanted(&self, _job: &Job) -> Wanted {
        Wanted::default()
    }

    /// Once for every job that has got its outcome: the streams that were wanted
    /// and are not empty; each is local, or says why it cannot be fetched. A
    /// handler may take them; those after it get what it left.
    fn handle_job_output(&mut self, _job: &Job, _outputs: &mut Vec<Fetched>) {}
}

/// Ignores everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHandler;

impl Handler for NoHandler {}

impl<H: Handler + ?Sized> Handler for Box<H> {
    fn handle_job_launch(&mut self, job: &Job) {
        (**self).handle_job_launch(job);
    }

    fn handle_job_done(&mut self, job: &Job) {
        (**self).handle_job_done(job);
    }

    fn handle_sleep(&mut self) {
        (**self).handle_sleep();
    }

    fn handle_event(&mut self, event: &Event, run: &Run) {
        (**self).handle_event(event, run);
    }

    fn handle_wait(&mut self, run: &Run) -> Option<Duration> {
        (**self).handle_wait(run)
    }

    fn wanted(&self, job: &Job) -> Wanted {
        (**self).wanted(job)
    }

    fn handle_job_output(&mut self, job: &Job, outputs: &mut Vec<Fetched>) {
        (**self).handle_job_output(job, outputs);
    }
}

impl<H: Handler> Handler for Vec<H> {
    fn handle_job_launch(&mut self, job: &Job) {
        self.iter_mut().for_each(|handler| handler.handle_job_launch(job));
    }

    fn handle_job_done(&mut self, job: &Job) {
        self.iter_mut().for_each(|handler| handler.handle_job_done(job));
    }

    fn handle_sleep(&mut self) {
        self.iter_mut().for_each(Handler::handle_sleep);
    }

    fn handle_event(&mut self, event: &Event, run: &Run) {
        self.iter_mut().for_each(|handler| handler.handle_event(event, run));
    }

    fn handle_wait(&mut self, run: &Run) -> Option<Duration> {
        self.iter_mut().filter_map(|handler| handler.handle_wait(run)).min()
    }

    fn wanted(&self, job: &Job) -> Wanted {
        self.iter().map(|handler| handler.wanted(job)).fold(Wanted::default(), Wanted::or)
    }

    fn handle_job_output(&mut self, job: &Job, outputs: &mut Vec<Fetched>) {
        self.iter_mut().for_each(|handler| handler.handle_job_output(job, outputs));
    }
}

impl<A: Handler, B: Handler> Handler for (A, B) {
    fn handle_job_launch(&mut self, job: &Job) {
        self.0.handle_job_launch(job);
        self.1.handle_job_launch(job);
    }

    fn handle_job_done(&mut self, job: &Job) {
        self.0.handle_job_done(job);
        self.1.handle_job_done(job);
    }

    fn handle_sleep(&mut self) {
        self.0.handle_sleep();
        self.1.handle_sleep();
    }

    fn handle_event(&mut self, event: &Event, run: &Run) {
        self.0.handle_event(event, run);
        self.1.handle_event(event, run);
    }

    fn handle_wait(&mut self, run: &Run) -> Option<Duration> {
        let waits = [self.0.handle_wait(run), self.1.handle_wait(run)];
        waits.into_iter().flatten().min()
    }

    fn wanted(&self, job: &Job) -> Wanted {
        self.0.wanted(job).or(self.1.wanted(job))
    }

    fn handle_job_output(&mut self, job: &Job, outputs: &mut Vec<Fetched>) {
        self.0.handle_job_output(job, outputs);
        self.1.handle_job_output(job, outputs);
    }
}
