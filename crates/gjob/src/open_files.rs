//! How many files this process may have open: as many as the kernel lets it, since
//! each link takes several. What there are too few for waits.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::fd::OwnedFd;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Says to an agent on this machine what the limit was before: its jobs get that.
pub(crate) const BEFORE: &str = "GJOB_OPEN_FILES";

/// Files that are not links': the store, sockets, programs that are started.
const RESERVE: u64 = 64;

/// A link's pipes and process, and an output that comes over it.
const PER_LINK: u64 = 5;

/// With fewer files, a run would come to a stop: one link, the rest of the manager, and
/// what outputs need.
const LEAST: u64 = 48;

/// Files that writing outputs may need at one moment.
const TO_WRITE: usize = 16;

/// How long to wait for these.
const TO_WRITE_TIMEOUT: Duration = Duration::from_secs(60);

const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// The limit as it was when the first network was opened, and as it is since.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenFiles {
    /// None for no limit.
    pub(crate) before: Option<u64>,
    now: Option<u64>,
}

/// Raises the limit to the highest, the first time.
pub(crate) fn raise() -> OpenFiles {
    static LIMIT: OnceLock<OpenFiles> = OnceLock::new();
    *LIMIT.get_or_init(|| {
        let limit = getrlimit(Resource::Nofile);
        let most = Rlimit { current: limit.maximum, maximum: limit.maximum };
        let raised = setrlimit(Resource::Nofile, most).is_ok();
        OpenFiles { before: limit.current, now: if raised { limit.maximum } else { limit.current } }
    })
}

/// This process may have too few files open for a run.
#[derive(Debug, thiserror::Error)]
#[error(
    "at most {0} open files are allowed on this machine (ulimit -Hn): expected {LEAST} or more"
)]
pub struct TooFewFiles(u64);

/// Checks that the highest limit is enough.
pub(crate) fn check() -> Result<(), TooFewFiles> {
    let most = getrlimit(Resource::Nofile).maximum;
    most.filter(|most| *most < LEAST).map_or(Ok(()), |most| Err(TooFewFiles(most)))
}

impl OpenFiles {
    /// The number of links that can be up at once; the rest has to wait.
    pub(crate) fn links(self) -> usize {
        let links = self.now.map_or(u64::MAX, |now| now.saturating_sub(RESERVE) / PER_LINK);
        links.clamp(1, tokio::sync::Semaphore::MAX_PERMITS as u64) as usize
    }
}

/// Waits until files can be opened: outputs that have come are not refused for want
/// of them. After a while it is tried all the same.
pub(crate) fn wait_to_write() {
    let began = Instant::now();
    while !has_room() && began.elapsed() < TO_WRITE_TIMEOUT {
        std::thread::sleep(CHECK_INTERVAL);
    }
}

fn has_room() -> bool {
    let stderr = std::io::stderr();
    let open = |_| rustix::io::fcntl_dupfd_cloexec(&stderr, 3);
    let opened: Vec<rustix::io::Result<OwnedFd>> = (0..TO_WRITE).map(open).collect();
    !opened
        .iter()
        .any(|opened| opened.as_ref().is_err_and(|error| *error == rustix::io::Errno::MFILE))
}
