//! Outputs of a run that goes on with the directory of past runs: a job that is run again has
//! the directory that its outputs had, and no other job gets one that is in use.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use gjob_core::{JobSpec, State};

use super::PastJob;
use crate::outputs::job_dir_name;
use crate::settings::{Follows, OutputSettings, RunSettings, SettingsError};
use crate::store::{RunDir, Store, StoreError};

/// Why it is not known what past runs have in a directory.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub enum FollowError {
    /// Their store cannot be read.
    Store(#[from] StoreError),
    /// Their settings cannot.
    Settings(#[from] SettingsError),
}

/// What the directories in `into` of a new run's jobs are called. Each is given with the job
/// that it runs again, of the past runs `runs`.
///
/// # Errors
/// When a past run cannot be read.
pub fn follow(
    runs: &[RunDir],
    into: &Path,
    jobs: &[(Arc<JobSpec>, Option<PastJob>)],
) -> Result<Follows, FollowError> {
    let mut follows = Follows::default();
    // By name: false for what is to stay, such as outputs of a job that is done.
    let mut used: BTreeMap<String, bool> = BTreeMap::new();
    let mut names: Vec<Vec<String>> = Vec::new();
    for dir in runs {
        let store = Store::read(dir)?;
        let row = store.row()?;
        let outputs = RunSettings::from_json(&row.settings)?.outputs;
        if !is_same(&outputs.dir(dir.run()), into) {
            names.push(Vec::new());
            continue;
        }
        follows.runs.push(row.on_hosts);
        let of_run = names_of(&outputs, &store.specs()?);
        for (name, (state, _)) in of_run.iter().zip(store.job_states()?) {
            let is_over = matches!(state, State::Error | State::Unknown);
            *used.entry(name.clone()).or_insert(true) &= is_over;
        }
        names.push(of_run);
    }
    if follows.runs.is_empty() {
        return Ok(follows);
    }
    // Numbers of directories that no past run has.
    let mut free = used.len() as u32;
    let mut given = BTreeSet::new();
    for (index, (spec, past)) in (0..).zip(jobs) {
        let past = past.and_then(|past| names.get(past.run)?.get(past.index as usize));
        let again = past.filter(|name| used.get(*name) == Some(&true) && !given.contains(*name));
        let name = again.cloned().unwrap_or_else(|| {
            loop {
                let name = job_dir_name(spec.name.as_deref(), free);
                free += 1;
                if !used.contains_key(&name) {
                    break name;
                }
            }
        });
        follows.replaced.extend(again.cloned());
        given.insert(name.clone());
        follows.names.insert(index, name);
    }
    Ok(follows)
}

fn names_of(outputs: &OutputSettings, specs: &[Arc<JobSpec>]) -> Vec<String> {
    let name =
        |(index, spec): (u32, &Arc<JobSpec>)| outputs.job_dir_name(spec.name.as_deref(), index);
    (0..).zip(specs).map(name).collect()
}

fn is_same(a: &Path, b: &Path) -> bool {
    let found = |path: &Path| path.canonicalize().ok();
    a == b || (found(a).is_some() && found(a) == found(b))
}
