//! Removes what this host knows of a run: its directory, then the blobs that no
//! other run has asked for.

use std::collections::HashSet;
use std::ffi::CString;
use std::fs::{File, OpenOptions, ReadDir};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use gjob_core::Key;
use gjob_core::record::one_line;
use gjob_core::wire::{BlobHash, FromAgent};
use rustix::fs::{FlockOperation, Mode, OFlags, flock};

use super::removal::Removal;
use super::remove::is_alive;
use super::uses;
use crate::blobs::{BlobDir, parse_file_name};
use crate::claims::{Claim, Claims};
use crate::jobdir::{JobDir, Layout, LockState, RunDir};

/// Claims or blobs looked at in one step.
const STEP: usize = 256;

/// A run that is being forgotten.
#[derive(Debug)]
pub(super) struct Forget {
    request: u32,
    run_dir: RunDir,
    stage: Stage,
    /// Keeps agents from taking the run up meanwhile.
    _lock: Option<File>,
    blobs: u64,
    bytes: u64,
}

#[derive(Debug)]
enum Stage {
    /// Nothing done yet.
    New,
    /// Does a job of it live?
    Jobs(std::vec::IntoIter<Key>),
    /// Its directory goes.
    Directory(Removal),
    /// What have the others asked for?
    Lists(std::vec::IntoIter<RunDir>, HashSet<BlobHash>),
    /// The rest goes.
    Blobs(ReadDir, HashSet<BlobHash>),
    /// All done.
    Over,
}

/// Why a run is not forgotten.
#[derive(Debug, thiserror::Error)]
enum ForgetError {
    #[error("another gjob attends to it")]
    Attended,
    #[error("its job {0} still runs")]
    Alive(String),
    #[error("remove {path}: {source}")]
    Io { path: String, source: io::Error },
}

impl ForgetError {
    fn io(path: &Path, source: impl Into<io::Error>) -> Self {
        ForgetError::Io { path: path.display().to_string(), source: source.into() }
    }
}

impl Forget {
    /// The run of this directory, which need not be there.
    pub(super) fn new(request: u32, run_dir: RunDir) -> Self {
        Forget { request, run_dir, stage: Stage::New, _lock: None, blobs: 0, bytes: 0 }
    }

    /// Does a step; the answer when all is done, or can't be.
    pub(super) fn step(&mut self, layout: &Layout) -> Option<FromAgent> {
        let stage = std::mem::replace(&mut self.stage, Stage::Over);
        let result = match self.go_on(stage, layout) {
            Ok(Stage::Over) => Ok((self.blobs, self.bytes)),
            Ok(stage) => {
                self.stage = stage;
                return None;
            }
            Err(error) => Err(one_line(&error.to_string())),
        };
        Some(FromAgent::Forgotten { request: self.request, result })
    }

    fn go_on(&mut self, stage: Stage, layout: &Layout) -> Result<Stage, ForgetError> {
        match stage {
            Stage::New => self.begin(layout),
            Stage::Jobs(keys) => self.look_at_jobs(keys, layout),
            Stage::Directory(mut removal) => {
                match removal.step() {
                    Ok(false) => return Ok(Stage::Directory(removal)),
                    Ok(true) => {}
                    Err(error) => return Err(ForgetError::io(self.run_dir.path(), error)),
                }
                if let Some(run) = self.run_dir.path().parent() {
                    // It stays while it is known under another label.
                    let _ = std::fs::remove_dir(run);
                }
                Ok(lists(layout))
            }
            Stage::Lists(mut runs, mut named) => match runs.next() {
                Some(run) => {
                    named.extend(uses::read(&run.blobs()));
                    Ok(Stage::Lists(runs, named))
                }
                None => match std::fs::read_dir(layout.blobs()) {
                    Ok(entries) => Ok(Stage::Blobs(entries, named)),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Stage::Over),
                    Err(error) => Err(ForgetError::io(&layout.blobs(), error)),
                },
            },
            Stage::Blobs(entries, named) => self.remove_blobs(entries, named, layout),
            Stage::Over => Ok(Stage::Over),
        }
    }

    /// Takes the run's lock, if there is anything of it.
    fn begin(&mut self, layout: &Layout) -> Result<Stage, ForgetError> {
        let path = self.run_dir.lock();
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32)
            .open(&path);
        match opened {
            Ok(lock) => {
                flock(&lock, FlockOperation::NonBlockingLockExclusive)
                    .map_err(|_| ForgetError::Attended)?;
                self._lock = Some(lock);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(ForgetError::io(&path, error)),
        }
        match Claims::new(self.run_dir.keys()).all() {
            Ok(keys) => Ok(Stage::Jobs(keys.into_iter())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.begin_removal(layout),
            Err(error) => Err(ForgetError::io(&self.run_dir.keys(), error)),
        }
    }

    /// Without an agent, a slot lives only while its job does.
    fn look_at_jobs(
        &self,
        mut keys: std::vec::IntoIter<Key>,
        layout: &Layout,
    ) -> Result<Stage, ForgetError> {
        let claims = Claims::new(self.run_dir.keys());
        for key in keys.by_ref().take(STEP) {
            let Ok(Some(Claim::Job(id, slot))) = claims.read(key) else { continue };
            let dir = JobDir::reopen_below(layout.results(), &id);
            let state = dir.and_then(|dir| dir.lock_state());
            if is_alive(slot.as_ref()) || matches!(state, Ok(LockState::Held)) {
                return Err(ForgetError::Alive(id.to_string()));
            }
        }
        if keys.as_slice().is_empty() { self.begin_removal(layout) } else { Ok(Stage::Jobs(keys)) }
    }

    fn begin_removal(&self, layout: &Layout) -> Result<Stage, ForgetError> {
        let path = self.run_dir.path();
        let failed = |error: io::Error| ForgetError::io(path, error);
        let (parent, name) = (path.parent().unwrap_or(path), path.file_name().unwrap_or_default());
        let name = CString::new(name.as_encoded_bytes()).map_err(|error| failed(error.into()))?;
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let begun = rustix::fs::open(parent, flags, Mode::empty())
            .map_err(io::Error::from)
            .and_then(|parent| Removal::begin(parent, &name, "lock"));
        match begun {
            Ok(removal) => Ok(Stage::Directory(removal)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(lists(layout)),
            Err(error) => Err(failed(error)),
        }
    }

    fn remove_blobs(
        &mut self,
        mut entries: ReadDir,
        named: HashSet<BlobHash>,
        layout: &Layout,
    ) -> Result<Stage, ForgetError> {
        let failed = |error: io::Error| ForgetError::io(&layout.blobs(), error);
        let dir = BlobDir::open(layout).map_err(failed)?;
        for _ in 0..STEP {
            let Some(entry) = entries.next() else { return Ok(Stage::Over) };
            let Ok(name) = entry.map_err(failed)?.file_name().into_string() else { continue };
            let Some(hash) = parse_file_name(&name) else { continue };
            if !named.contains(&hash) {
                let length = dir.length(&name);
                dir.remove(&name).map_err(failed)?;
                self.blobs += 1;
                self.bytes += length;
            }
        }
        Ok(Stage::Blobs(entries, named))
    }
}

fn lists(layout: &Layout) -> Stage {
    Stage::Lists(uses::run_dirs(layout).into_iter(), HashSet::new())
}
