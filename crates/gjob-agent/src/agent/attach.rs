//! From the first message to an agent that is attached: directories, the lock
//! on the run, the run log and where in it the manager is.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gjob_core::os_text::to_path;
use gjob_core::record::{ParseRecordError, RECORD_VERSION, RecordSummary};
use gjob_core::wire::Attach;
use gjob_core::{HostLabel, Record, RunId};

use super::lock::{self, LockError};
use super::tail::{Tail, TailError};
use crate::host;
use crate::jobdir::{Layout, RunDir};
use crate::lease::KeptLease;
use crate::runlog::RunLog;
use crate::trust::DirError;

/// How long a line without an end may still be one that a slot is writing.
const TORN_LINE_DELAY: Duration = Duration::from_millis(20);

/// An attachment to a run.
#[derive(Debug)]
pub(crate) struct Attached {
    pub(crate) run: RunId,
    pub(crate) host: HostLabel,
    pub(crate) layout: Layout,
    pub(crate) run_dir: RunDir,
    pub(crate) hostname: String,
    pub(crate) cpus: u32,
    pub(crate) slots: u32,
    pub(crate) blob_budget: u64,
    pub(crate) log: RunLog,
    pub(crate) tail: Tail,
    pub(crate) lease: Option<KeptLease>,
}

/// Why an attachment failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum AttachError {
    /// A relative path has no base.
    #[error("results directory {0:?} is relative, and HOME is no absolute path")]
    NoHome(String),
    /// A directory is missing and cannot be made, or another user could have made it.
    #[error("use directory {0}")]
    Directory(#[from] DirError),
    /// Another manager has the run.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The run log cannot be followed.
    #[error(transparent)]
    Tail(#[from] TailError),
    /// The run log cannot be written.
    #[error("write the run log {path}: {source}")]
    Log {
        /// The file.
        path: String,
        /// What went wrong.
        source: io::Error,
    },
    /// The lease cannot be written: no slot would act on it.
    #[error("write the lease {path}: {source}")]
    Lease {
        /// The file.
        path: String,
        /// What went wrong.
        source: io::Error,
    },
    /// The run log is another version's.
    #[error(transparent)]
    Version(#[from] ParseRecordError),
}

impl AttachError {
    /// True when trying again cannot help.
    pub(crate) fn is_permanent(&self) -> bool {
        match self {
            AttachError::NoHome(_) | AttachError::Version(_) => true,
            AttachError::Lock(LockError::Outdated { .. }) => true,
            AttachError::Lock(LockError::Stuck { .. }) => false,
            AttachError::Tail(TailError::Io(source))
            | AttachError::Lock(LockError::Io { source, .. })
            | AttachError::Directory(DirError { source, .. })
            | AttachError::Log { source, .. }
            | AttachError::Lease { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::PermissionDenied
                    | io::ErrorKind::NotADirectory
                    | io::ErrorKind::ReadOnlyFilesystem
            ),
            AttachError::Tail(_) => true,
        }
    }
}

impl Attached {
    /// Attaches to `run`. A lease runs from `since_ms`, milliseconds since boot.
    pub(crate) fn new(run: RunId, attach: Attach, since_ms: u64) -> Result<Self, AttachError> {
        let layout = Layout::create(&results_dir(&attach)?)?;
        let run_dir = layout.run_dir(&run, &attach.host);
        let hostname = host::hostname();
        make_directories(&layout, &run_dir, &hostname)?;
        lock::take(&run_dir.lock(), attach.epoch)?;
        let log = open_log(&run_dir.log(), &run, &attach.host)?;
        let tail = Tail::open(&run_dir.log(), attach.offset)?;
        let lease = begin_lease(&run_dir.lease(), attach.lease_ms, since_ms)?;
        let cpus = host::cpus();
        Ok(Attached {
            run,
            slots: attach.slots.unwrap_or(cpus).max(1),
            host: attach.host,
            layout,
            run_dir,
            hostname,
            cpus,
            blob_budget: attach.blob_budget,
            log,
            tail,
            lease,
        })
    }
}

/// The results directory that the manager names, for one that looks at it only.
pub(crate) fn layout(attach: &Attach) -> Result<Layout, AttachError> {
    Ok(Layout::open(&results_dir(attach)?)?)
}

fn results_dir(attach: &Attach) -> Result<PathBuf, AttachError> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    expand(&attach.results_dir, home.as_deref())
        .ok_or_else(|| AttachError::NoHome(attach.results_dir.clone()))
}

/// An absolute results directory; a relative one, and `~/…`, is below `home`.
fn expand(results: &str, home: Option<&Path>) -> Option<PathBuf> {
    let path = to_path(results.strip_prefix("~/").unwrap_or(results));
    if path.is_absolute() {
        return Some(path);
    }
    home.filter(|home| home.is_absolute()).map(|home| home.join(path))
}

fn make_directories(layout: &Layout, run: &RunDir, hostname: &str) -> Result<(), AttachError> {
    let private = [
        layout.private(),
        layout.bin(),
        layout.blobs(),
        run.keys(),
        run.orders(),
        layout.host_dir(hostname),
    ];
    Ok(private.iter().try_for_each(|path| layout.make_private(path))?)
}

fn begin_lease(
    path: &Path,
    lease_ms: Option<u64>,
    since_ms: u64,
) -> Result<Option<KeptLease>, AttachError> {
    KeptLease::begin(path, lease_ms, since_ms)
        .map_err(|source| AttachError::Lease { path: path.display().to_string(), source })
}

/// Opens the run log for appending: with its first line, and ending in a newline.
fn open_log(path: &Path, run: &RunId, host: &HostLabel) -> Result<RunLog, AttachError> {
    let named = |source| AttachError::Log { path: path.display().to_string(), source };
    let mut log = RunLog::open(path).map_err(named)?;
    if std::fs::metadata(path).map_err(named)?.len() == 0 {
        log.append(&Record::Log { version: RECORD_VERSION, run: run.clone(), host: host.clone() });
        log.flush().map_err(named)?;
        return Ok(log);
    }
    if let Err(error @ ParseRecordError::Version { .. }) = first_line(path).map_err(named)? {
        return Err(error.into());
    }
    if log.is_torn().map_err(named)? {
        std::thread::sleep(TORN_LINE_DELAY);
        if log.is_torn().map_err(named)? {
            // On a full disk, the next record begins with the newline.
            let _ = log.end_torn_line();
        }
    }
    Ok(log)
}

fn first_line(path: &Path) -> io::Result<Result<RecordSummary, ParseRecordError>> {
    use std::io::BufRead as _;
    let mut line = Vec::new();
    let file = io::Read::take(std::fs::File::open(path)?, 16 * 1024);
    io::BufReader::new(file).read_until(b'\n', &mut line)?;
    Ok(RecordSummary::parse(line.trim_ascii_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_results_directory_is_below_the_home_directory() {
        let home = Some(Path::new("/home/a"));
        assert_eq!(expand("r", home), Some("/home/a/r".into()));
        assert_eq!(expand("~/r", home), Some("/home/a/r".into()));
        assert_eq!(expand("/r", None), Some("/r".into()));
        assert_eq!(expand("r", None), None);
    }
}
