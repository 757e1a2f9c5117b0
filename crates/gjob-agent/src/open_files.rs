//! How many files may be open: as many as the kernel lets this process have, since
//! each slot takes two. Jobs get the limit that was there before.

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What a manager on the same machine says was the limit before it raised its own.
pub(crate) const BEFORE: &str = "GJOB_OPEN_FILES";

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
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}
