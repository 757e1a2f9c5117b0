//! Making and deleting job directories.

use std::io;
use std::path::{Path, PathBuf};

use gjob_core::jobdir::OwnFile;
use gjob_core::{JobId, State};

use super::state_of;
use crate::host;
use crate::jobdir::{Allocator, JobDir, Layout};
use crate::trust::{self, DirError};

/// Why a job directory was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MkdirError {
    /// The results directory cannot be used.
    #[error("make a job directory in {path}: {source}")]
    Io {
        /// The results directory.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
}

/// Why a job directory was not deleted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeleteError {
    /// Its path is not that of one.
    #[error("delete {path}: not a job directory, expected RESULTS/HOSTNAME/DATE-N")]
    NotAJobDirectory {
        /// The path.
        path: PathBuf,
    },
    /// Its job is running.
    #[error("delete {path}: its job is running; kill it first")]
    Busy {
        /// The path.
        path: PathBuf,
    },
    /// It cannot be removed.
    #[error("delete {path}: {source}")]
    Io {
        /// The path.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
}

/// The id of the job whose directory `path` is: its last two components.
#[must_use]
pub fn job_id(path: &Path) -> Option<JobId> {
    let name = path.file_name()?.to_str()?;
    let hostname = path.parent()?.file_name()?.to_str()?;
    format!("{hostname}/{name}").parse().ok()
}

/// Opens a job directory, and nothing else.
pub(crate) fn open(path: &Path) -> io::Result<JobDir> {
    let path = path.canonicalize()?;
    if job_id(&path).is_none() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a job directory, expected RESULTS/HOSTNAME/DATE-N",
        ));
    }
    JobDir::open(&path)
}

/// The same, to act on what the files in it say: nobody else may have written them.
pub(crate) fn open_trusted(path: &Path) -> io::Result<JobDir> {
    let dir = open(path)?;
    trust::check_place(dir.path()).map_err(named)?;
    for file in OwnFile::ALL {
        match trust::check_place(&dir.path().join(file.name())) {
            Err(error) if error.source.kind() != io::ErrorKind::NotFound => {
                return Err(named(error));
            }
            _ => {}
        }
    }
    Ok(dir)
}

/// Makes the next job directory of this host below `results`.
///
/// # Errors
/// When the directory cannot be made.
pub fn mkdir(results: &Path) -> Result<JobId, MkdirError> {
    make_job_dir(results).map_err(|source| MkdirError::Io { path: results.to_owned(), source })
}

fn make_job_dir(results: &Path) -> io::Result<JobId> {
    let layout = Layout::create(&std::path::absolute(results)?).map_err(named)?;
    layout.make_private(&layout.private()).map_err(named)?;
    let allocator = Allocator::open(layout, host::hostname()).map_err(named)?;
    let (id, _) = allocator.allocate(&host::now().date_string())?;
    Ok(id)
}

fn named(error: DirError) -> io::Error {
    io::Error::new(error.source.kind(), error)
}

/// Removes a job directory with everything in it.
///
/// # Errors
/// When it is no job directory, or its job is running.
pub fn delete(dir: &Path) -> Result<(), DeleteError> {
    let path = || dir.to_owned();
    let io_error = |source| DeleteError::Io { path: path(), source };
    let absolute = dir.canonicalize().map_err(io_error)?;
    if job_id(&absolute).is_none() || !absolute.is_dir() {
        return Err(DeleteError::NotAJobDirectory { path: path() });
    }
    let open = open_trusted(&absolute).map_err(io_error)?;
    if state_of(&open).map_err(io_error)? == State::Busy {
        return Err(DeleteError::Busy { path: path() });
    }
    std::fs::remove_dir_all(&absolute).map_err(io_error)
}
