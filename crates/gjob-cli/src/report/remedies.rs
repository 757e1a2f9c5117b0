//! What helps jobs that would fail again in the same way.

use gjob_core::{Cause, Job, RunId};

/// A line for each cause that a retry alone does not remove.
pub(crate) fn remedies(jobs: &[Job], id: &RunId) -> Vec<String> {
    let has = |cause: Cause| {
        let mut failed = jobs.iter().filter(|job| job.has_failed());
        failed.any(|job| job.finish().is_some_and(|finish| finish.cause == Some(cause)))
    };
    let out_of_memory = has(Cause::Memory).then(|| {
        format!(
            "help: out of memory: `gjob retry --attach --mem SIZE -R {id}` gives more, `gjob run --retry-mem 2` gives twice what was used by itself"
        )
    });
    let timeout = has(Cause::Timeout).then(|| {
        format!("help: timeout: `gjob run … --only-failed {id} --timeout DURATION` gives more time")
    });
    out_of_memory.into_iter().chain(timeout).collect()
}
