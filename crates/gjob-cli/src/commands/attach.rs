//! `gjob attach`: resumes a run without a manager, with the settings it was started
//! with; follows a run that has one.

use std::time::{Duration, Instant};

use gjob::manager::Watcher;
use gjob::{Manager, ManagerError};

use super::{find_run, manage, watch};
use crate::cli::{AttachArgs, Show};
use crate::exit::Failure;
use crate::report::reporters;

/// How long another process may use the run without being a manager to follow: it
/// starts, ends, or acts on jobs.
const BUSY_TIMEOUT: Duration = Duration::from_secs(150);

/// How often to try again meanwhile.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

pub(crate) fn run(args: &AttachArgs) -> Result<u8, Failure> {
    let dir = find_run(args.run.word())?;
    let reporters = || reporters(&args.report, Show::Failed, true).map_err(Failure::input);
    let began = Instant::now();
    loop {
        if let Some(watcher) = Watcher::connect(&dir).map_err(Failure::machinery)? {
            return watch::to_the_end(&dir, watcher, reporters()?);
        }
        let mut manager = Manager::with_handler(manage::SLEEP_TIME, reporters()?);
        match manager.attach(&dir) {
            Ok(()) => return manage::to_the_end(manager, true),
            Err(error) if error.is_managed_already() && began.elapsed() < BUSY_TIMEOUT => {
                std::thread::sleep(POLL_INTERVAL);
            }
            Err(error @ ManagerError::Network(_)) => return Err(Failure::input(error)),
            Err(error) => return Err(manage::stopped(&dir, error)),
        }
    }
}
