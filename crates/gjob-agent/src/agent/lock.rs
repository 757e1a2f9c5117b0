//! The newest manager wins: one agent serves a run under a host label, and one with
//! a greater epoch takes the run from it by ending it.
//!
//! An older agent may be stopped, or hang in a system call; its link may be half
//! open, so that its manager does not know that it lives. It is fenced all the same:
//! nobody serves the run before the older agent's process has ended and let go of
//! the lock. Its epoch stays in the file, so that an even older manager, whose link
//! was slow, finds that it is late.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::fd::IntoRawFd as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use gjob_core::Epoch;
use gjob_core::wire::TAKEN_OVER;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use crate::identity::{Process, ProcessIdentity};
use crate::jobdir::{read_json, to_json};
use crate::own_file;
use crate::processes;

/// How long the older agent gets after TERM.
const TERM_TIMEOUT: Duration = Duration::from_secs(2);

/// How long taking the lock may take in all.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// How often it is tried.
const LOCK_INTERVAL: Duration = Duration::from_millis(10);

/// The lock file's length, bytes.
const LENGTH: usize = 256;

/// Why the lock was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum LockError {
    /// Another manager took the run later than this one.
    #[error("{TAKEN_OVER} (as its manager of epoch {theirs}, this one is of epoch {ours})")]
    Outdated {
        /// That of this attachment.
        ours: Epoch,
        /// That in the lock file.
        theirs: Epoch,
    },
    /// The older agent cannot be ended.
    #[error("the agent of epoch {theirs} still holds {path}")]
    Stuck {
        /// Its epoch.
        theirs: Epoch,
        /// The lock file.
        path: String,
    },
    /// The lock file cannot be used.
    #[error("lock {path}: {source}")]
    Io {
        /// The lock file.
        path: String,
        /// What went wrong.
        source: io::Error,
    },
}

/// Who is attached.
#[derive(Debug, Serialize, Deserialize)]
struct Holder {
    epoch: Epoch,
    agent: ProcessIdentity,
}

/// Takes the lock at `path` for an attachment of this epoch. It is held until this
/// process ends, and not before: then nothing that was begun in the background can
/// go on beside the next agent.
pub(super) fn take(path: &Path, epoch: Epoch) -> Result<(), LockError> {
    let named = |source| LockError::Io { path: path.display().to_string(), source };
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let file = own_file::open_in_place(path, options).map_err(named)?;
    let began = Instant::now();
    while !is_taken(&file).map_err(named)? {
        let holder = read_holder(&file);
        let theirs = holder.as_ref().map_or(Epoch(0), |holder| holder.epoch);
        // An agent that is just writing its name cannot be read.
        if holder.is_some() && epoch <= theirs {
            return Err(LockError::Outdated { ours: epoch, theirs });
        }
        if began.elapsed() >= LOCK_TIMEOUT {
            let path = path.display().to_string();
            return Err(LockError::Stuck { theirs, path });
        }
        // A file alone names no process: the older agent has the lock open.
        let inode = inode(&file).map_err(named)?;
        let has_it = |agent: &Process| {
            processes::has_open_for_writing(agent.pid(), |fd| processes::inode_of(fd) == inode)
        };
        let agent = holder.and_then(|holder| Process::open(&holder.agent));
        if let Some(agent) = agent.filter(has_it) {
            end(&agent);
        }
        std::thread::sleep(LOCK_INTERVAL);
    }
    if let Some(last) = read_holder(&file)
        && epoch < last.epoch
    {
        let theirs = last.epoch;
        return Err(LockError::Outdated { ours: epoch, theirs });
    }
    write_holder(&file, epoch).map_err(named)?;
    // Never closed.
    let _ = file.into_raw_fd();
    Ok(())
}

/// Takes the lock of a run, waiting until `limit` is over for who has it; false if that does
/// not let go.
pub(super) fn take_within(file: &File, limit: Duration) -> bool {
    let began = Instant::now();
    loop {
        match is_taken(file) {
            Ok(true) => return true,
            Ok(false) if began.elapsed() < limit => std::thread::sleep(LOCK_INTERVAL),
            Ok(false) | Err(_) => return false,
        }
    }
}

fn inode(file: &File) -> io::Result<Option<(u64, u64)>> {
    let meta = file.metadata()?;
    Ok(Some((meta.dev(), meta.ino())))
}

fn is_taken(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn read_holder(file: &File) -> Option<Holder> {
    let mut json = [0; 1024];
    let length = file.read_at(&mut json, 0).ok()?;
    read_json(&json[..length]).ok()
}

fn write_holder(file: &File, epoch: Epoch) -> io::Result<()> {
    let mut json = to_json(Holder { epoch, agent: ProcessIdentity::of_self()? })?;
    // Always of one length, and never shortened: when the disk is full, its room
    // is still its own.
    json.resize(LENGTH.max(json.len()), b' ');
    file.write_all_at(&json, 0)?;
    file.set_len(json.len() as u64)
}

/// Ends an older agent. Its slots and jobs are not touched by that.
fn end(agent: &Process) {
    // If it does not end, the lock stays held.
    let _ = agent.signal(Signal::TERM);
    let deadline = Instant::now() + TERM_TIMEOUT;
    while !agent.is_gone() {
        if Instant::now() >= deadline {
            let _ = agent.signal(Signal::KILL);
            return;
        }
        std::thread::sleep(LOCK_INTERVAL);
    }
}
