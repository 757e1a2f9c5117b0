//! Manages a run to its end, for `run` and `attach`.

use std::time::{Duration, Instant};

use gjob::store::{RunDir, StoreError};
use gjob::{Manager, ManagerError};
use gjob_core::event::RunEnd;
use gjob_core::{RunId, Tally};

use crate::exit::{self, Failure};
use crate::report::Reporters;
use crate::signals;

/// A dot is shown after this time without events.
pub(super) const SLEEP_TIME: Duration = Duration::from_secs(10);

/// Runs a manager that is set up, and prints the summary at the end.
pub(super) fn to_the_end(mut manager: Manager<Reporters>) -> Result<u8, Failure> {
    let began = Instant::now();
    let controller =
        manager.controller().ok_or(ManagerError::NotSetUp).map_err(Failure::machinery)?;
    signals::listen(controller).map_err(Failure::machinery)?;
    if let Some(problem) = manager.control_problem() {
        let text =
            format!("other gjob processes cannot act on this run: no control socket: {problem}");
        manager.handler_mut().print_line(&text);
    }
    let result = manager.process_jobs();
    manager.handler_mut().finish();
    let end = match (result, manager.run_dir()) {
        (Ok(end), _) => end,
        (Err(error), Some(dir)) => return Err(stopped(dir, error)),
        (Err(error), None) => return Err(Failure::machinery(error)),
    };
    if let (Some(dir), Some(run)) = (manager.run_dir(), manager.run()) {
        let summary = summary(dir.run(), run.tally(), end, began.elapsed());
        manager.handler_mut().print_line(&summary);
    }
    Ok(exit::of_run(end, manager.all_done(), manager.handler().has_failed()))
}

/// What stopped a manager; after a failure of its store, how to resume.
pub(super) fn stopped(dir: &RunDir, error: ManagerError) -> Failure {
    let first = match &error {
        ManagerError::Store(StoreError::Outdated { .. } | StoreError::Version { .. }) => {
            return Failure::input(error);
        }
        ManagerError::Store(StoreError::TakenUp { .. }) => {
            let run = dir.run();
            return Failure::machinery(anyhow::anyhow!("run {run}: {error}"));
        }
        ManagerError::Store(store) if store.is_full() => {
            format!("free space in {}, then ", dir.path().display())
        }
        ManagerError::Store(_) => "when its store is usable again, ".to_owned(),
        ManagerError::Outputs(_) => "when outputs can be written again, ".to_owned(),
        ManagerError::Unfit(_) => {
            return Failure::input(anyhow::anyhow!("{error}\nnothing was started"));
        }
        _ => return Failure::machinery(error),
    };
    let run = dir.run();
    Failure::machinery(anyhow::anyhow!(
        "run {run}: {error}\nrunning jobs continue\nhelp: {first}resume the run with `gjob attach {run}`"
    ))
}

/// A run's last line.
pub(super) fn summary(run: &RunId, jobs: Tally, end: RunEnd, took: Duration) -> String {
    let counts = [
        (jobs.done, "done"),
        (jobs.error, "error"),
        (jobs.unknown, "unknown"),
        (jobs.left(), "left"),
    ];
    let counts: Vec<String> = counts
        .iter()
        .filter(|(number, word)| *number > 0 || *word == "done")
        .map(|(number, word)| format!("{number} {word}"))
        .collect();
    let why = match end {
        RunEnd::Complete => String::new(),
        RunEnd::MaxFails => " (stopped: too many failures)".into(),
        RunEnd::NoHosts => {
            format!(" (stopped: no usable host; resume with `gjob attach {run}`)")
        }
        RunEnd::Interrupted => format!(" (interrupted; resume with `gjob attach {run}`)"),
        RunEnd::Left if jobs.busy == 0 => format!(" (stopped; resume with `gjob attach {run}`)"),
        RunEnd::Left => format!(" (jobs keep running; resume with `gjob attach {run}`)"),
    };
    let took = gjob::units::format_duration(took);
    format!("run {run}: {} in {took}{why}", counts.join(", "))
}
