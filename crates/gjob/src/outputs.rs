//! Jobs' outputs on this side: written below one directory that no host can
//! lead out of, verified, and put in their place whole. No host is trusted
//! here; which outputs are wanted, and when, is not this module's business.
//!
//! # Theory of operation
//!
//! 1. Each order has a task that asks the host's agent for the job's outputs,
//!    a few jobs at once for each host. The link hands it what comes in a short
//!    queue: while it writes, that link alone is not read.
//! 2. A job's outputs are written below a temporary name. An agent that
//!    sends what none has reason to is a host to be put out.
//! 3. What is complete goes to the one task that commits: content made durable
//!    with one `syncfs` for all jobs that are complete, then each directory
//!    renamed to its name, then the names made durable. Only then is it
//!    reported. Whatever crashes, a job's outputs are there whole or not at all.
//! 4. What a run puts there is noted before in a file next to it. Nothing is
//!    replaced or removed that isn't noted there.
//! 5. Where a job's directory is gone, and the original of a copied run may have
//!    fetched its outputs before, they are those that are in their place.

mod collector;
mod commit;
mod dir;
mod file;
mod in_place;
mod incoming;
mod job;
mod ledger;
mod merge;
mod mode;
mod names;
mod progress;
mod refusal;

use std::io;
use std::path::{Path, PathBuf};

use gjob_core::wire::BlobHash;
use gjob_core::{JobId, Key, RunId};

use self::dir::Destination;
use crate::settings::Follows;
pub(crate) use collector::{Collecting, Collector};
pub use names::{job_dir_name, used_names};
pub use progress::OutputProgress;
pub(crate) use progress::{CollectReport, Shared};

/// The most that one job's outputs may come to when nothing else is said, bytes.
pub const DEFAULT_MAX_BYTES: u64 = 64 << 30;

/// Where outputs go.
#[derive(Clone, Debug)]
pub struct OutputsConfig {
    /// The directory that the jobs' directories are made in; it is made itself
    /// when the first outputs come.
    pub dir: PathBuf,
    /// The most that one job's outputs may come to, bytes.
    pub max_bytes: u64,
    /// The run whose outputs they are: what it has put there may be replaced.
    /// None for the one that the network is opened for.
    pub tag: Option<String>,
    /// The runs before it, whose outputs are in the same directory, and what of them may be
    /// replaced.
    pub follows: Follows,
}

impl OutputsConfig {
    /// Outputs go below `dir`; a job's may come to `max_bytes`, none for
    /// [`DEFAULT_MAX_BYTES`].
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>, max_bytes: Option<u64>) -> Self {
        let max_bytes = max_bytes.unwrap_or(DEFAULT_MAX_BYTES);
        OutputsConfig { dir: dir.into(), max_bytes, tag: None, follows: Follows::default() }
    }
}

/// Takes back what may be in its place already of a job of `run` that is not
/// done after all.
pub(crate) fn retract(config: &OutputsConfig, run: &RunId, dir_name: &str) -> io::Result<()> {
    // Behind the run's own tag, so that what a crash leaves of it is found.
    let config = OutputsConfig { tag: Some(run.to_string()), ..config.clone() };
    Destination::new(Some(config), format!("{run}.gone")).retract(dir_name)
}

/// Makes the directory, if it isn't there, and finds out whether files can be.
pub(crate) fn check_writable(dir: &Path) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    tempfile::Builder::new().prefix(".gjob-try").tempfile_in(dir)?.close()
}

/// One job's outputs, to be brought here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectOrder {
    /// The attempt that wrote them.
    pub key: Key,
    /// The job as its host knows it.
    pub id: JobId,
    /// What its directory is called here, see [`job_dir_name`]; one that the
    /// same run has put there is replaced, or added to.
    pub dir_name: String,
    /// What is wanted, see [`OutputPattern`](gjob_core::output::OutputPattern).
    pub patterns: Vec<String>,
    /// True when each pattern has to match something.
    pub all: bool,
    /// Put files into the directory of a job that has some already, instead of
    /// replacing it; an order that matches nothing fails.
    pub merge: bool,
    /// If any: exactly these are accepted, with the content that is recorded of them.
    pub recorded: Vec<OutputFile>,
    /// An earlier manager may have put them in their place, and removed the job's directory.
    pub may_be_in_place: bool,
}

/// A job's outputs, all here and durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectedOutputs {
    /// The files, in the order of their paths' components.
    pub files: Vec<OutputFile>,
    /// What they come to, bytes.
    pub bytes: u64,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputFile {
    /// Below the job's directory. Without control characters, but a host's
    /// word for the rest.
    pub path: String,
    /// Its length, bytes.
    pub size: u64,
    /// The hash of its content, verified here.
    pub hash: BlobHash,
    /// Its permission bits.
    pub mode: u32,
}

/// Why a job's outputs are not here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct CollectError {
    /// Whose fault it is.
    pub scope: CollectScope,
    /// Why, in one line fit to be shown.
    pub reason: String,
}

/// Whose fault it is that outputs are not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CollectScope {
    /// Nobody's who is known: the job's directory was removed, after an earlier manager may
    /// have fetched what was in it; and that is not here.
    Gone,
    /// The job's: it did not write what it said, or more than is accepted.
    Job,
    /// The host's.
    Host,
    /// This side's: a full disk, a directory that can't be written. The same
    /// awaits other jobs.
    Here,
}
