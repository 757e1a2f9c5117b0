//! Removes all that this host has of runs that nobody wants any more: the directories of
//! their jobs, their own directories under every label, and blobs that no other run uses.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;

use gjob_core::record::one_line;
use gjob_core::text::Foreign;
use gjob_core::{HostLabel, JobId, Key, RunId};

use super::blobs::refs;
use super::forget::{ForgetError, check_jobs, lock, remove_blobs, remove_run_dir};
use super::remove::{RemoveRequest, remove};
use crate::jobdir::{JobDir, JobSummary, Layout, RunDir};

/// Removes runs, but for those that an agent serves and those with a job that runs: these,
/// and why they stay.
pub(super) fn purge(layout: &Layout, runs: Vec<RunId>) -> Vec<(RunId, Foreign)> {
    let mut jobs = jobs_of(layout, &runs);
    let mut dirs = run_dirs(layout);
    let mut kept = Vec::new();
    for run in runs {
        let jobs = jobs.remove(&run).unwrap_or_default();
        let dirs = dirs.remove(run.as_str()).unwrap_or_default();
        if let Err(why) = purge_one(layout, &run, jobs, &dirs) {
            kept.push((run, why));
        }
    }
    kept
}

fn purge_one(
    layout: &Layout,
    run: &RunId,
    jobs: Vec<(Key, JobId)>,
    dirs: &[RunDir],
) -> Result<(), Foreign> {
    let reason = |error: ForgetError| one_line(&error.to_string());
    // Held to the end: no agent takes up the run meanwhile.
    let _locks = dirs.iter().map(lock).collect::<Result<Vec<_>, _>>().map_err(reason)?;
    dirs.iter().try_for_each(|dir| check_jobs(layout, dir)).map_err(reason)?;
    if let Some(why) = remove_jobs(layout, run, jobs) {
        return Err(why);
    }
    for dir in dirs {
        remove_run_dir(dir).and_then(|()| remove_blobs(layout, dir)).map_err(reason)?;
    }
    Ok(())
}

/// Removes directories of jobs; why one of them stays, if so.
#[expect(clippy::expect_used, reason = "the name of this machine is a label")]
fn remove_jobs(layout: &Layout, run: &RunId, jobs: Vec<(Key, JobId)>) -> Option<Foreign> {
    // Jobs are known by what their directories say, whatever the host was called.
    let host = HostLabel::LOCAL.parse().expect("this machine has a label");
    let (_, kept) = remove(layout, RemoveRequest { run: run.clone(), host, jobs });
    let (id, why) = kept.into_iter().next()?;
    Some(one_line(&format!("job {id}: {}", why.shown())))
}

/// The directories of all runs, by the runs' names.
fn run_dirs(layout: &Layout) -> BTreeMap<String, Vec<RunDir>> {
    let mut found: BTreeMap<String, Vec<RunDir>> = BTreeMap::new();
    for dir in refs::run_dirs(layout) {
        let of_run = dir.path().parent().and_then(Path::file_name);
        if let Some(run) = of_run.and_then(|name| name.to_str()) {
            found.entry(run.to_owned()).or_default().push(dir);
        }
    }
    found
}

/// The jobs whose directories name one of these runs.
fn jobs_of(layout: &Layout, runs: &[RunId]) -> BTreeMap<RunId, Vec<(Key, JobId)>> {
    let wanted: HashSet<&RunId> = runs.iter().collect();
    let below = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten();
    let mut found: BTreeMap<RunId, Vec<(Key, JobId)>> = BTreeMap::new();
    for host in below(layout.results()).filter(|host| host.path() != layout.private()) {
        for job in below(&host.path()) {
            let (host, name) = (host.file_name(), job.file_name());
            let id = host.to_str().zip(name.to_str());
            let Some(id) = id.and_then(|(host, name)| format!("{host}/{name}").parse().ok()) else {
                continue;
            };
            let dir = JobDir::open_below(layout.results(), &id).ok();
            let Some(job) = dir.and_then(|dir| JobSummary::read(&dir)) else { continue };
            if let (Some(run), Some(key)) = (job.run, job.key)
                && wanted.contains(&run)
            {
                found.entry(run).or_default().push((key, id));
            }
        }
    }
    found
}
