//! Follows a run that another gjob process manages, for `attach`. Ctrl-C ends
//! this process, and nothing else.

use std::time::Duration;

use anyhow::anyhow;
use gjob::manager::{Watched, Watcher};
use gjob::store::{RunDir, Store};

use super::manage::{SLEEP_TIME, last_lines, succeeds};
use super::top;
use crate::exit::{self, Failure};
use crate::report::{Keys, Reporters};
use crate::signals;

/// How long to wait for the manager's end after its connection has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Follows the run until its manager stops, and prints the summary.
pub(super) fn to_the_end(
    dir: &RunDir,
    mut watcher: Watcher,
    mut reporters: Reporters,
) -> Result<u8, Failure> {
    signals::end_at_interrupt().map_err(Failure::machinery)?;
    reporters.print_line(&format!("following run {}: another gjob process manages it", dir.run()));
    let run = dir.run().clone();
    let detach = Box::new(move || signals::leave(&format!("run {run} goes on")));
    reporters.begin(dir, Some(Keys { top: top::beside_the_run, detach }));
    let end = loop {
        match watcher.follow(SLEEP_TIME, &mut reporters).map_err(Failure::machinery)? {
            Watched::Ended(end) => break Some(end),
            Watched::CutOff => {}
        }
        std::thread::sleep(POLL_INTERVAL);
        match Watcher::connect(dir).map_err(Failure::machinery)? {
            Some(again) => {
                reporters.print_line("some events were missed");
                watcher = again;
            }
            None => break None,
        }
    };
    reporters.finish();
    // A follower that was too slow for the manager's last words finds the end in
    // the store.
    let run = match end {
        Some(_) => watcher.run().clone(),
        None => Store::read(dir).and_then(|store| store.load()).map_err(Failure::machinery)?,
    };
    let Some(end) = end.or(run.ended()) else {
        return Err(Failure::machinery(anyhow!(
            "the manager of run {run} has ended\nhelp: resume the run with `gjob attach {run}`",
            run = dir.run()
        )));
    };
    let lines = last_lines(&reporters, dir, &run, end);
    let status = exit::of_run(end, run.is_all_done(), reporters.has_failed());
    reporters.print_end(&lines, succeeds(status, &run));
    Ok(status)
}
