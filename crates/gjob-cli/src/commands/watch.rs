//! Follows a run that another gjob process manages, for `attach`. Ctrl-C ends
//! this process, and nothing else.

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

/// How long to wait for the manager's end after its connection has ended.
const END_TIMEOUT: Duration = Duration::from_millis(200);

/// Follows the run until its manager stops, and prints the summary.
pub(super) fn to_the_end(
    dir: &RunDir,
    mut watcher: Watcher,
    mut reporter: Reporter,
) -> Result<u8, Failure> {
    let began = Instant::now();
    signals::end_at_interrupt().map_err(Failure::machinery)?;
    reporter.say(&format!("following run {}, which another gjob process manages", dir.run()));
    let end = loop {
        match watcher.run(SLEEP_TIME, &mut reporter).map_err(Failure::machinery)? {
            Watched::Ended(end) => break Some(end),
            Watched::CutOff => {}
        }
        std::thread::sleep(END_TIMEOUT);
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
            "the manager of run {run} has ended\nhelp: resume the run with `gjob attach {run}`",
            run = dir.run()
        )));
    };
    reporter.say(&summary(dir.run(), watcher.jobs(), end, began.elapsed()));
    Ok(status(end, watcher.jobs()))
}

fn status(end: RunEnd, jobs: &[Job]) -> u8 {
    exit::of_run(end, jobs.iter().all(|job| job.state == State::Done))
}
