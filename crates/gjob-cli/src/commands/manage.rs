//! Manages a run to its end, for `run` and `attach`.

use std::time::{Duration, Instant};

use gjob::store::RunDir;
use gjob::{Manager, ManagerError};
use gjob_core::event::RunEnd;
use gjob_core::{Job, RunId, State};

use crate::exit::{self, Failure};
use crate::report::Reporter;
use crate::signals;

/// A dot is shown after this time without events.
pub(super) const SLEEP_TIME: Duration = Duration::from_secs(10);

/// Runs a manager that is set up, and prints the summary at the end.
pub(super) fn to_the_end(mut manager: Manager<Reporter>) -> Result<u8, Failure> {
    let began = Instant::now();
    let controller =
        manager.controller().ok_or(ManagerError::NotSetUp).map_err(Failure::machinery)?;
    signals::listen(controller).map_err(Failure::machinery)?;
    if let Some(problem) = manager.control_problem() {
        let text =
            format!("other gjob processes cannot act on this run: no control socket: {problem}");
        manager.handler_mut().say(&text);
    }
    let result = manager.process_jobs();
    manager.handler_mut().finish();
    let end = match (result, manager.run_dir()) {
        (Ok(end), _) => end,
        (Err(error), Some(dir)) => return Err(stopped(dir, error)),
        (Err(error), None) => return Err(Failure::machinery(error)),
    };
    if let Some(dir) = manager.run_dir() {
        let summary = summary(dir.run(), manager.jobs(), end, began.elapsed());
        manager.handler_mut().say(&summary);
    }
    let complete = manager.all_done() && !manager.handler().output_failed();
    Ok(exit::of_run(end, complete))
}

/// Why a manager stopped; after a failure of its store, how to resume the run.
pub(super) fn stopped(dir: &RunDir, error: ManagerError) -> Failure {
    let until = match &error {
        ManagerError::Store(store) if store.is_full() => {
            format!("free space in {}, then", dir.path().display())
        }
        ManagerError::Store(_) => "when its store is usable again,".to_owned(),
        ManagerError::Outputs(_) => "when outputs can be written again,".to_owned(),
        ManagerError::Unfit(_) => {
            return Failure::input(anyhow::anyhow!("{error}\nnothing was started"));
        }
        _ => return Failure::machinery(error),
    };
    let run = dir.run();
    Failure::machinery(anyhow::anyhow!(
        "run {run}: {error}\nrunning jobs continue\nhelp: {until} resume with `gjob attach {run}`"
    ))
}

/// A run's last line.
pub(super) fn summary(run: &RunId, jobs: &[Job], end: RunEnd, took: Duration) -> String {
    let count = |state: State| jobs.iter().filter(|job| job.state == state).count();
    let left = count(State::Free) + count(State::Busy);
    let counts = [
        (count(State::Done), "done"),
        (count(State::Error), "error"),
        (count(State::Unknown), "unknown"),
        (left, "left"),
    ];
    let counts: Vec<String> = counts
        .iter()
        .filter(|(number, word)| *number > 0 || *word == "done")
        .map(|(number, word)| format!("{number} {word}"))
        .collect();
    let why = match end {
        RunEnd::Complete => String::new(),
        RunEnd::MaxFails => " (stopped after too many failures)".into(),
        RunEnd::NoHosts => {
            format!(" (stopped: no usable host; resume with `gjob attach {run}`)")
        }
        RunEnd::Interrupted => format!(" (interrupted; resume with `gjob attach {run}`)"),
        RunEnd::Left => format!(" (exited; jobs keep running, resume with `gjob attach {run}`)"),
    };
    let took = gjob::units::format_duration(took);
    format!("run {run}: {} in {took}{why}", counts.join(", "))
}
