//! The messages to a slot on its standard input, and its answer for a job started
//! by hand. Both ends are the same executable, or the same version.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use gjob_core::wire::Launch;
use gjob_core::{HostLabel, JobRequest, RunId};
use serde::{Deserialize, Serialize};

use crate::lease::LeaseEnd;

/// One message to a slot. The first is [`ToSlot::Serve`] or [`ToSlot::RunHere`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToSlot {
    /// Jobs of a run will follow.
    Serve(Box<ServeConfig>),
    /// Run this attempt.
    Run {
        /// What was requested.
        launch: Box<Launch>,
        /// What it has for itself.
        given: Given,
        /// When the run's lease ends, as it was written last; none for a run without one.
        lease: Option<LeaseEnd>,
    },
    /// The run's lease was renewed: it ends then. Comes while a job runs; jobs cannot
    /// reach this, as they can the file.
    Lease(LeaseEnd),
    /// Run the script in an existing directory, and nothing else.
    RunHere(Box<LocalJob>),
}

/// What a job has for itself, by name.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Given {
    /// GPUs.
    pub(crate) devices: Vec<String>,
    /// Processors that it is bound to; none for one that is not bound.
    pub(crate) processors: Vec<u32>,
}

/// What a slot of a run is started with.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ServeConfig {
    /// The results directory.
    pub(crate) results: PathBytes,
    /// The name of this host's directory below it.
    pub(crate) hostname: String,
    /// The agent that starts the slot, by its pid.
    pub(crate) agent: u32,
    /// The run.
    pub(crate) run: RunId,
    /// What the manager calls this host.
    pub(crate) host: HostLabel,
    /// The slot's number, from 1.
    pub(crate) number: u32,
    /// Processors for each that a job requests.
    pub(crate) cpus: u32,
    /// All processors of the host.
    pub(crate) host_cpus: u32,
    /// The umask its jobs run with.
    pub(crate) umask: u32,
    /// The number of files that its jobs may have open; none for any number.
    pub(crate) open_files: Option<u64>,
    /// The niceness that its jobs have at least.
    pub(crate) nice: Option<u8>,
    /// The shares of this machine in which its jobs run, for runs that they start.
    pub(crate) within: String,
}

/// A job started by hand.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LocalJob {
    /// Its directory, absolute, with the script in it.
    pub(crate) dir: PathBytes,
    /// What is requested for it.
    pub(crate) job: JobRequest,
}

/// The answer to [`ToSlot::RunHere`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromSlot {
    /// The script runs.
    Started {
        /// Its shell.
        pid: u32,
    },
    /// Nothing was started.
    Refused {
        /// Why, in one line.
        reason: String,
    },
}

/// A path as it is, which need not be UTF-8.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct PathBytes(Vec<u8>);

impl From<&Path> for PathBytes {
    fn from(path: &Path) -> Self {
        PathBytes(path.as_os_str().as_bytes().to_vec())
    }
}

impl From<PathBytes> for PathBuf {
    fn from(bytes: PathBytes) -> Self {
        PathBuf::from(OsString::from_vec(bytes.0))
    }
}
