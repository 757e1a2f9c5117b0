//! Paths below the results directory.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use gjob_core::{HostLabel, JobId, RunId};

/// A results directory.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    results: PathBuf,
}

impl Layout {
    /// The layout below `results`, an absolute path.
    pub(crate) fn new(results: PathBuf) -> Self {
        Layout { results }
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

    /// The slots' standard error.
    pub(crate) fn slots_err(&self) -> PathBuf {
        self.path.join("slots.err")
    }
}

/// Makes a directory and those above it with mode 0700. One that exists must not be
/// writable by others.
pub(crate) fn create_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let meta = std::fs::symlink_metadata(path)?;
    if !meta.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    if meta.permissions().mode() & 0o022 != 0 {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "others can write to it"));
    }
    Ok(())
}
