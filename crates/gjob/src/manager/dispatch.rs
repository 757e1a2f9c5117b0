//! From events to handlers: the one way, for a manager and for a process that
//! follows it.

use std::borrow::Cow;

use gjob_core::event::{AttemptChange, AttemptEvent, JobChange, JobEvent};
use gjob_core::{Event, HostLabel, Job, JobId, Key, Run, What};

use super::Handler;

/// Notifies a handler of an event. `run` is as after the event, or later: events
/// are committed in batches, and the run is ahead of them meanwhile.
pub(super) fn dispatch(event: &Event, run: &Run, handler: &mut (impl Handler + ?Sized)) {
    handler.handle_event(event, run);
    match &event.what {
        What::Attempt(AttemptEvent { key, host, change: AttemptChange::Started { id, .. } }) => {
            if let Some(job) = launched(run, *key, host, id) {
                handler.handle_job_launch(&job);
            }
        }
        What::Job(JobEvent { key, change: JobChange::Ended { .. } }) => {
            if let Some(job) = run.job(key.index) {
                handler.handle_job_done(job);
            }
        }
        What::Run(_) | What::Host(_) | What::Attempt(_) | What::Job(_) | What::Transfer(_) => {}
    }
}

/// The job as it was when its attempt started, even if the run has gone on to
/// another attempt since.
fn launched<'a>(run: &'a Run, key: Key, host: &HostLabel, id: &JobId) -> Option<Cow<'a, Job>> {
    let job = run.job(key.index)?;
    if job.key() == Some(key) {
        return Some(Cow::Borrowed(job));
    }
    Some(Cow::Owned(Job::launched(job.spec.clone(), key, host.clone(), id.clone())))
}
