//! Watching a run that another gjob manages, for `attach`. Ctrl-C ends the
//! watching, and nothing else.

use std::time::{Duration, Instant};

use anyhow::anyhow;
use gjob::manager::{Watched, Watcher};
use gjob::store::RunDir;
use gjob_core::event::RunEnd;
use gjob_core::{Job, State};

use super::manage::{SLEEP_TIME, summary};
use crate::exit::{self, Failure};
use crate::report::Reporter;
use crate::signals;

/// How long the manager's end is waited for once its connection has ended.
const LOOK: Duration = Duration::from_millis(200);

/// Watches until the run's manager stops, and says how it went.
pub(super) fn to_the_end(
    dir: &RunDir,
    mut watcher: Watcher,
    mut reporter: Reporter,
) -> Result<u8, Failure> {
    let began = Instant::now();
    signals::end_at_interrupt().map_err(Failure::machinery)?;
    reporter.say(&format!("run {}: watching; another gjob manages it", dir.run()));
    let end = loop {
        match watcher.run(SLEEP_TIME, &mut reporter).map_err(Failure::machinery)? {
            Watched::Ended(end) => break Some(end),
            Watched::CutOff => {}
        }
        std::thread::sleep(LOOK);
        match Watcher::connect(dir).map_err(Failure::machinery)? {
            Some(again) => {
                reporter.say("some events were missed");
                watcher = again;
            }
            None => break None,
        }
    };
    reporter.finish();
    let Some(end) = end else {
        return Err(Failure::machinery(anyhow!(
            "the manager of run {run} is gone; `gjob attach {run}` takes the run up",
            run = dir.run()
        )));
    };
    reporter.say(&summary(dir.run(), watcher.jobs(), end, began.elapsed()));
    Ok(status(end, watcher.jobs()))
}

fn status(end: RunEnd, jobs: &[Job]) -> u8 {
    exit::of_run(end, jobs.iter().all(|job| job.state == State::Done))
}
