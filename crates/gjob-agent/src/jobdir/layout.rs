//! Paths below the results directory.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use gjob_core::{HostLabel, JobId, RunId};
use rustix::fs::{Mode, OFlags};

use crate::own_file;
use crate::trust::{self, DirError};

/// A results directory.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    results: PathBuf,
}

impl Layout {
    /// The layout below `results`, which was opened before.
    pub(crate) fn new(results: PathBuf) -> Self {
        Layout { results }
    }

    /// Opens the results directory at `path`, an absolute path, and makes it if need
    /// be. Nothing in it is used when another user could have put it there.
    pub(crate) fn create(path: &Path) -> Result<Self, DirError> {
        let missing = path.ancestors().take_while(|dir| !dir.exists());
        let missing: Vec<&Path> = missing.collect();
        missing.iter().rev().try_for_each(|dir| make_dir(dir))?;
        Layout::open(path)
    }

    /// The same; one that does not exist is not made.
    pub(crate) fn open(path: &Path) -> Result<Self, DirError> {
        let results = match path.canonicalize() {
            // From here on no symbolic link leads anywhere else.
            Ok(results) => results,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Layout::new(path.to_owned()));
            }
            Err(error) => return Err(DirError::at(path)(error)),
        };
        let layout = Layout::new(results);
        match check_private_dir(&layout.private()) {
            Err(error) if error.source.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(layout),
        }
    }

    /// Makes a directory below the results directory, and those above it. What exists
    /// must be a directory that no other user can write to; what is none is put aside in
    /// gjob's own directory.
    pub(crate) fn make_private(&self, path: &Path) -> Result<(), DirError> {
        let mut at = self.results.clone();
        for component in path.strip_prefix(&self.results).unwrap_or(path).components() {
            at.push(component);
            let is_own = at.starts_with(self.private()) && at != self.private();
            if is_own && std::fs::symlink_metadata(&at).is_ok_and(|meta| !meta.is_dir()) {
                // A job has put that there: nobody else can.
                own_file::put_aside(&at).map_err(DirError::at(&at))?;
            }
            make_dir(&at)?;
            check_private_dir(&at)?;
        }
        Ok(())
    }

    /// The results directory itself.
    pub(crate) fn results(&self) -> &Path {
        &self.results
    }

    /// Where the job directories of a host are.
    pub(crate) fn host_dir(&self, hostname: &str) -> PathBuf {
        self.results.join(hostname)
    }

    /// A job's directory.
    pub(crate) fn job_dir(&self, id: &JobId) -> PathBuf {
        self.results.join(id.as_str())
    }

    /// gjob's own directory.
    pub(crate) fn private(&self) -> PathBuf {
        self.results.join(".gjob")
    }

    /// Copies of the program, by hash.
    pub(crate) fn bin(&self) -> PathBuf {
        self.private().join("bin")
    }

    /// Staged input files.
    pub(crate) fn blobs(&self) -> PathBuf {
        self.private().join("blobs")
    }

    /// The symbolic link that names this results directory.
    pub(crate) fn place(&self) -> PathBuf {
        self.private().join("place")
    }

    /// What belongs to runs: a directory each, and in that one for each label.
    pub(crate) fn runs(&self) -> PathBuf {
        self.private().join("runs")
    }

    /// What belongs to one run under one of its manager's host labels.
    pub(crate) fn run_dir(&self, run: &RunId, host: &HostLabel) -> RunDir {
        RunDir { path: self.runs().join(run.as_str()).join(host.to_file_name()) }
    }
}

/// A run's own directory on a host.
#[derive(Clone, Debug)]
pub(crate) struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// The directory at `path`.
    pub(crate) fn at(path: PathBuf) -> Self {
        RunDir { path }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The run log.
    pub(crate) fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    /// Held by the agent that serves the run.
    pub(crate) fn lock(&self) -> PathBuf {
        self.path.join("lock")
    }

    /// Until when its jobs may run, with `--on-lost lease`.
    pub(crate) fn lease(&self) -> PathBuf {
        self.path.join("lease")
    }

    /// The claims.
    pub(crate) fn keys(&self) -> PathBuf {
        self.path.join("keys")
    }

    /// Orders to slots.
    pub(crate) fn orders(&self) -> PathBuf {
        self.path.join("orders")
    }

    /// The blobs it has asked for.
    pub(crate) fn blobs(&self) -> PathBuf {
        self.path.join("blobs")
    }

    /// The number of hosts that the run has had.
    pub(crate) fn hosts(&self) -> PathBuf {
        self.path.join("hosts")
    }

    /// The slots' standard error.
    pub(crate) fn slots_err(&self) -> PathBuf {
        self.path.join("slots.err")
    }
}

/// Makes a directory for this user alone, unless something is there already.
fn make_dir(path: &Path) -> Result<(), DirError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => withdraw(path).map_err(DirError::at(path)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(DirError::at(path)(error)),
    }
}

/// Takes back what a list of the directory above has granted others in a new one, on
/// file systems where the mode that it is made with does not.
pub(super) fn withdraw(path: &Path) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let dir = rustix::fs::open(path, flags, Mode::empty())?;
    if rustix::fs::fstat(&dir)?.st_mode & 0o077 != 0 {
        // Where modes cannot be changed, what it has is checked.
        let _ = rustix::fs::fchmod(&dir, Mode::RWXU);
    }
    Ok(())
}

fn check_private_dir(path: &Path) -> Result<(), DirError> {
    let meta = std::fs::symlink_metadata(path).map_err(DirError::at(path))?;
    if !meta.is_dir() {
        return Err(DirError::at(path)(io::ErrorKind::NotADirectory.into()));
    }
    trust::check_place(path)
}
