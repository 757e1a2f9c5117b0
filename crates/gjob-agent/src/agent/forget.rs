//! Removes what this host knows of a run: its directory, then the blobs that no
//! other run has asked for.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::time::Duration;

use gjob_core::record::one_line;
use gjob_core::text::Foreign;
use gjob_core::wire::BlobHash;

use super::blobs::refs;
use super::removal::{remove_any, remove_dir_at};
use super::remove::is_alive;
use crate::blobs::{BlobDir, RunTag, is_of_run, parse_file_name};
use crate::claims::{Claim, Claims};
use crate::jobdir::{JobDir, Layout, LockState, RunDir};
use crate::own_file;

/// How long an agent that has said farewell to its manager may take to end.
const FAREWELL: Duration = Duration::from_secs(2);

/// Why a run is not forgotten.
#[derive(Debug, thiserror::Error)]
pub(super) enum ForgetError {
    #[error("the run is in use by another gjob")]
    InUse,
    #[error("its job {0} is still running")]
    Alive(String),
    #[error("remove {path}: {source}")]
    Io { path: String, source: io::Error },
}

impl ForgetError {
    fn io(path: &Path, source: impl Into<io::Error>) -> Self {
        ForgetError::Io { path: path.display().to_string(), source: source.into() }
    }
}

/// Forgets the run of this directory, which need not be there. Gives the number of
/// blobs removed and their bytes; or why nothing was, in one line.
pub(super) fn forget(layout: &Layout, run_dir: &RunDir) -> Result<(u64, u64), Foreign> {
    // Held to the end: no agent takes up the run meanwhile.
    let _lock = lock(run_dir).map_err(|error| one_line(&error.to_string()))?;
    check_jobs(layout, run_dir)
        .and_then(|()| remove_run_dir(run_dir))
        .and_then(|()| remove_blobs(layout, run_dir))
        .map_err(|error| one_line(&error.to_string()))
}

/// Takes the run's lock, if there is anything of the run. What has its place and is no file
/// is no agent's, and is removed with the rest.
pub(super) fn lock(run_dir: &RunDir) -> Result<Option<File>, ForgetError> {
    let path = run_dir.lock();
    match own_file::open(&path, OpenOptions::new().read(true).write(true)) {
        Ok(file) => {
            if !super::lock::take_within(&file, FAREWELL) {
                return Err(ForgetError::InUse);
            }
            Ok(Some(file))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(_) if std::fs::symlink_metadata(&path).is_ok_and(|meta| !meta.is_file()) => Ok(None),
        Err(error) => Err(ForgetError::io(&path, error)),
    }
}

/// Refuses to forget a run with a job that lives. Without an agent, a slot lives
/// only while its job does.
pub(super) fn check_jobs(layout: &Layout, run_dir: &RunDir) -> Result<(), ForgetError> {
    let claims = Claims::new(run_dir.keys());
    let keys = match claims.all() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        keys => keys.map_err(|error| ForgetError::io(&run_dir.keys(), error))?,
    };
    for key in keys {
        let Ok(Some(Claim::Job(id, slot))) = claims.read(key) else { continue };
        let dir = JobDir::reopen_below(layout.results(), &id);
        let state = dir.and_then(|dir| dir.lock_state());
        if is_alive(slot.as_ref()) || matches!(state, Ok(LockState::Held)) {
            return Err(ForgetError::Alive(id.to_string()));
        }
    }
    Ok(())
}

pub(super) fn remove_run_dir(run_dir: &RunDir) -> Result<(), ForgetError> {
    let path = run_dir.path();
    let failed = |error: io::Error| ForgetError::io(path, error);
    let of_run = path.parent().unwrap_or(path);
    // The lock goes last: who finds the rest without it takes it for no run.
    match remove_dir_at(path, "lock") {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    remove_aside(path).map_err(failed)?;
    // It stays while the run is known under another label.
    let _ = std::fs::remove_dir(of_run);
    remove_aside(of_run).map_err(failed)
}

/// Removes what had the place of this directory, and was put aside.
fn remove_aside(path: &Path) -> io::Result<()> {
    let name = path.file_name().and_then(|name| name.to_str());
    let siblings = path.parent().map(std::fs::read_dir).into_iter().flatten().flatten().flatten();
    for sibling in siblings {
        let before =
            sibling.file_name().to_str().and_then(own_file::name_before).map(str::to_owned);
        if before.is_some() && before.as_deref() == name {
            remove_any(&sibling.path())?;
        }
    }
    Ok(())
}

/// Removes the blobs that no run has asked for, and what was made of others for the
/// hard links of this one.
pub(super) fn remove_blobs(layout: &Layout, run_dir: &RunDir) -> Result<(u64, u64), ForgetError> {
    let failed = |error: io::Error| ForgetError::io(&layout.blobs(), error);
    let run = run_dir.path().parent().and_then(Path::file_name).unwrap_or_default();
    let run = RunTag::of(&run.to_string_lossy());
    let runs = refs::run_dirs(layout).into_iter();
    let named: HashSet<BlobHash> = runs.flat_map(|run| refs::read(&run.blobs())).collect();
    let entries = match std::fs::read_dir(layout.blobs()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((0, 0)),
        entries => entries.map_err(failed)?,
    };
    let dir = BlobDir::open(layout).map_err(failed)?;
    let (mut blobs, mut bytes) = (0, 0);
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if let Some(hash) = own_file::name_before(&name).and_then(hash_in)
            && !named.contains(&hash)
        {
            remove_any(&entry.path()).map_err(failed)?;
        }
        let Some(hash) = parse_file_name(&name) else { continue };
        if !named.contains(&hash) || is_of_run(&name, run) {
            let length = dir.length(&name);
            dir.remove(&name).map_err(failed)?;
            blobs += 1;
            bytes += length;
        }
    }
    Ok((blobs, bytes))
}

/// The blob that a name is of, or one of its parts.
fn hash_in(name: &str) -> Option<BlobHash> {
    name.split('.').next()?.parse().ok()
}
