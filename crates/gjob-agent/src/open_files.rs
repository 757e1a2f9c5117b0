//! How many files may be open: as many as the kernel lets this process have, since
//! each slot takes three. Where that is few, there are fewer slots: what slots have they
//! keep, so the agent's own work would wait for ever. Jobs get the limit that was there
//! before.

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What a manager on the same machine says was the limit before it raised its own.
pub(crate) const BEFORE: &str = "GJOB_OPEN_FILES";

/// Files that an agent may need at one moment for all but its slots: its link and the run
/// log, the ledger, outputs that are sent, files that come, a slot that is started.
const RESERVE: u64 = 43;

/// A slot's pipe, process and share of the machine.
const PER_SLOT: u64 = 3;

/// Directories inside each other that the reserve is enough to be in.
pub(crate) const LEVELS: usize = 12;

/// Not even one slot can be kept.
#[derive(Debug, thiserror::Error)]
#[error(
    "at most {0} open files are allowed on this host (ulimit -Hn): expected {least} or more",
    least = RESERVE + PER_SLOT
)]
pub(crate) struct TooFewFiles(u64);

/// As many of the slots that are wanted as can be kept.
pub(crate) fn slots(wanted: u32) -> Result<u32, TooFewFiles> {
    let Some(limit) = getrlimit(Resource::Nofile).current else { return Ok(wanted) };
    match limit.saturating_sub(RESERVE) / PER_SLOT {
        0 => Err(TooFewFiles(limit)),
        most => Ok(wanted.min(u32::try_from(most).unwrap_or(u32::MAX))),
    }
}

/// Raises the limit to the highest. Returns the one before, for jobs.
pub(crate) fn raise() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    set(limit.maximum);
    let said = std::env::var(BEFORE).ok().and_then(|number| number.parse().ok());
    said.or(limit.current)
}

/// Sets the limit, none for no limit.
pub(crate) fn set(current: Option<u64>) {
    let maximum = getrlimit(Resource::Nofile).maximum;
    // A limit that cannot be set stays as it is.
    let _ = setrlimit(Resource::Nofile, Rlimit { current, maximum });
}

/// True for a shortage of this process or of the machine: it passes.
pub(crate) fn is_shortage(error: &std::io::Error) -> bool {
    is_own_shortage(error) || Errno::from_io_error(error) == Some(Errno::NFILE)
}

/// True for one of this process.
pub(crate) fn is_own_shortage(error: &std::io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::MFILE)
}
