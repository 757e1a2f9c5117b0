//! From the first message to an agent that is attached: directories, the lock
//! on the run, the run log and where in it the manager is.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gjob_core::hosts::HostLimits;
use gjob_core::os_text::to_path;
use gjob_core::record::{ParseRecordError, one_line};
use gjob_core::wire::{Attach, Damage, ManagedAt};
use gjob_core::{HostLabel, RunId};

use super::damage::{self, LogState};
use super::lock::{self, LockError};
use super::tail::{Tail, TailError};
use crate::claims::Claims;
use crate::host;
use crate::jobdir::{Layout, RunDir};
use crate::lease::KeptLease;
use crate::open_files::{self, TooFewFiles};
use crate::runlog::RunLog;
use crate::trust::DirError;

/// How long a line without an end may still be one that a slot is writing.
const TORN_LINE_DELAY: Duration = Duration::from_millis(20);

/// The longest name of a share, bytes.
const MAX_NAME: usize = 100;

/// The most shares that a run may be in: runs that start each other.
const MAX_WITHIN: usize = 64;

/// An attachment to a run.
#[derive(Debug)]
pub(crate) struct Attached {
    pub(crate) run: RunId,
    pub(crate) host: HostLabel,
    pub(crate) layout: Layout,
    pub(crate) run_dir: RunDir,
    pub(crate) hostname: String,
    pub(crate) cpus: u32,
    /// Jobs at once: those wanted, or fewer where few files may be open.
    pub(crate) slots: u32,
    pub(crate) blob_budget: u64,
    pub(crate) limits: HostLimits,
    /// The shares in which the run itself runs; none to leave the ledger out.
    pub(crate) within: Option<Vec<String>>,
    /// Where the run is managed.
    pub(crate) managed: ManagedAt,
    /// The manager knows of an earlier attachment.
    pub(crate) has_begun: bool,
    pub(crate) log: RunLog,
    /// What had happened to the log before.
    pub(crate) damage: Option<Damage>,
    pub(crate) tail: Tail,
    pub(crate) lease: Option<KeptLease>,
}

/// Why an attachment failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum AttachError {
    /// No job could be run.
    #[error(transparent)]
    OpenFiles(#[from] TooFewFiles),
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
            AttachError::OpenFiles(_) | AttachError::NoHome(_) | AttachError::Version(_) => true,
            AttachError::Lock(LockError::Outdated { .. }) => true,
            AttachError::Lock(LockError::Stuck { .. }) => false,
            AttachError::Directory(DirError { source, .. }) => matches!(
                source.kind(),
                io::ErrorKind::PermissionDenied
                    | io::ErrorKind::NotADirectory
                    | io::ErrorKind::ReadOnlyFilesystem
            ),
            // They were there before: what has become read-only may be writable again.
            AttachError::Tail(TailError::Io(source))
            | AttachError::Lock(LockError::Io { source, .. })
            | AttachError::Log { source, .. }
            | AttachError::Lease { source, .. } => {
                matches!(
                    source.kind(),
                    io::ErrorKind::PermissionDenied | io::ErrorKind::NotADirectory
                )
            }
            AttachError::Tail(TailError::Damaged { .. }) => false,
        }
    }
}

impl Attached {
    /// Attaches to `run`. A lease runs from `since_ms`, milliseconds since boot.
    pub(crate) fn new(run: RunId, attach: Attach, since_ms: u64) -> Result<Self, AttachError> {
        let cpus = host::cpus();
        let slots = open_files::slots(attach.slots.unwrap_or(cpus).max(1))?;
        let layout = Layout::create(&results_dir(&attach)?)?;
        let run_dir = layout.run_dir(&run, &attach.host);
        let hostname = host::hostname();
        make_directories(&layout, &run_dir, &hostname)?;
        lock::take(&run_dir.lock(), attach.epoch)?;
        let (log, damage) = open_log(&run_dir, (&run, &attach.host), attach.offset)?;
        let tail = Tail::open(&run_dir.log(), attach.offset)?;
        let lease = begin_lease(&run_dir.lease(), attach.lease_ms, since_ms)?;
        Ok(Attached {
            run,
            slots,
            host: attach.host,
            layout,
            run_dir,
            hostname,
            cpus,
            blob_budget: attach.blob_budget,
            within: (attach.limits.oversubscribe != Some(true)).then(|| names(attach.within)),
            managed: attach.managed.bounded(),
            limits: attach.limits,
            has_begun: attach.offset > 0,
            log,
            damage,
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

/// Names of shares, which a job's environment has said.
fn names(within: Vec<String>) -> Vec<String> {
    let is_name = |name: &String| (1..=MAX_NAME).contains(&name.len());
    within.into_iter().filter(is_name).take(MAX_WITHIN).collect()
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

/// Opens the run log for appending: with its first line, and ending in a newline. One
/// that was damaged is replaced.
fn open_log(
    run_dir: &RunDir,
    (run, host): (&RunId, &HostLabel),
    offset: u64,
) -> Result<(RunLog, Option<Damage>), AttachError> {
    let path = run_dir.log();
    let named = |source| AttachError::Log { path: path.display().to_string(), source };
    let claims = Claims::new(run_dir.keys());
    let state = damage::examine(&path, offset, &claims)?;
    if state != LogState::Whole {
        damage::put_fresh(&path, (run, host), offset).map_err(named)?;
    }
    let mut log = RunLog::open(&path).map_err(named)?;
    end_torn_line(&mut log).map_err(named)?;
    let claims_lost = offset > 0 && !claims.are_marked().map_err(named)?;
    if !claims_lost {
        claims.mark().map_err(named)?;
    }
    let (reason, log_lost) = match &state {
        LogState::Damaged(reason) => (reason.as_str(), true),
        LogState::New | LogState::Whole if claims_lost => ("its claims were removed", false),
        LogState::New | LogState::Whole => return Ok((log, None)),
    };
    Ok((log, Some(Damage { reason: one_line(reason), log_lost, claims_lost })))
}

fn end_torn_line(log: &mut RunLog) -> io::Result<()> {
    if log.is_torn()? {
        std::thread::sleep(TORN_LINE_DELAY);
        if log.is_torn()? {
            // On a full disk, the next record begins with the newline.
            let _ = log.end_torn_line();
        }
    }
    Ok(())
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
