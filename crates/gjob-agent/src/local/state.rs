//! The state of a job, as its directory shows it.

use std::io;
use std::path::{Path, PathBuf};

use gjob_core::jobdir::OwnFile;
use gjob_core::{Finish, Order, State};
use rustix::io::Errno;

use super::directory::open;
use crate::control;
use crate::jobdir::{JobDir, LockFile, PidFile};

/// Why a job's state could not be read.
#[derive(Debug, thiserror::Error)]
#[error("read the state of the job in {path}: {source}")]
pub struct StatusError {
    /// Its directory.
    pub path: PathBuf,
    /// What went wrong.
    pub source: io::Error,
}

/// The state of a job, from its directory alone: free before it was started,
/// unknown when it was but its slot died or its host was restarted.
///
/// # Errors
/// When the directory, or a file in it, cannot be read.
pub fn status(dir: &Path) -> Result<State, StatusError> {
    open(dir)
        .and_then(|dir| state_of(&dir))
        .map_err(|source| StatusError { path: dir.to_owned(), source })
}

/// The state that the files of an open job directory show.
pub(crate) fn state_of(dir: &JobDir) -> io::Result<State> {
    if let Some(state) = end_of(dir)? {
        return Ok(state);
    }
    let Some(lock) = dir.read::<LockFile>(OwnFile::Lock.name())? else {
        // Without a lock nothing was begun, or the slot is just writing it.
        return Ok(match dir.read::<PidFile>(OwnFile::Pid.name())? {
            None => State::Free,
            Some(_) => State::Unknown,
        });
    };
    if lock.slot.is_alive() {
        return Ok(State::Busy);
    }
    // It may have written the record just before it ended.
    Ok(end_of(dir)?.unwrap_or(State::Unknown))
}

fn end_of(dir: &JobDir) -> io::Result<Option<State>> {
    let finish: Option<Finish> = match dir.read(OwnFile::Done.name()) {
        // If the job has put something else there, no record was written.
        Err(error) if is_no_file(&error) => None,
        read => read?,
    };
    Ok(finish.map(|finish| if finish.is_success() { State::Done } else { State::Error }))
}

fn is_no_file(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidInput || Errno::from_io_error(error) == Some(Errno::LOOP)
}

/// True when a job runs and is paused.
///
/// # Errors
/// When its directory cannot be read.
pub fn is_paused(dir: &Path) -> Result<bool, StatusError> {
    let read = || {
        let dir = open(dir)?;
        let last = control::read(&dir, OwnFile::OrderDone.name())?;
        Ok(state_of(&dir)? == State::Busy && last == Some(Order::Pause))
    };
    read().map_err(|source| StatusError { path: dir.to_owned(), source })
}
