//! Attempts that were begun and whose claims are gone: a job can remove its claim, and kill
//! its slot before that has recorded the start. The job's directory still names the attempt.

use gjob_core::jobdir::OwnFile;
use gjob_core::{JobId, Key, RunId};

use crate::jobdir::{JobDir, JobSummary, Layout, PidFile};

/// The newest of a host's job directories, of which one may be the attempt's.
const MAX_LOOKED_AT: usize = 1000;

/// The job that was begun for an attempt without a claim, as its directory shows.
pub(super) fn begun_job(layout: &Layout, hostname: &str, run: &RunId, key: Key) -> Option<JobId> {
    let entries = std::fs::read_dir(layout.host_dir(hostname)).ok()?.flatten();
    let mut ids: Vec<(String, u64, JobId)> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let (date, number) = name.split_at_checked("YYYY-MM-DD".len())?;
            let number = number.strip_prefix('-')?.parse().ok()?;
            Some((date.to_owned(), number, JobId::new(hostname, date, number).ok()?))
        })
        .collect();
    ids.sort_unstable_by(|a, b| (&b.0, b.1).cmp(&(&a.0, a.1)));
    let mut ids = ids.into_iter().take(MAX_LOOKED_AT).map(|(.., id)| id);
    ids.find(|id| {
        JobDir::reopen_below(layout.results(), id).is_ok_and(|dir| has_begun(&dir, run, key))
    })
}

/// True for the directory of an attempt whose script was started.
fn has_begun(dir: &JobDir, run: &RunId, key: Key) -> bool {
    let is_its = |job: JobSummary| job.key == Some(key) && job.run.as_ref() == Some(run);
    JobSummary::read(dir).is_some_and(is_its)
        && matches!(dir.read::<PidFile>(OwnFile::Pid.name()), Ok(Some(_)))
}
