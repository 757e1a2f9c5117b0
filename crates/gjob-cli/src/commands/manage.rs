//! Manages a run to its end, for `run` and `attach`.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gjob::settings::RunSettings;
use gjob::store::{RunDir, Store, StoreError, now};
use gjob::units::format_duration;
use gjob::{Manager, ManagerError};
use gjob_core::event::RunEnd;
use gjob_core::halt::Halt;
use gjob_core::run::{Host, HostStatus};
use gjob_core::wire::TAKEN_OVER;
use gjob_core::{Job, Run, RunId, State, Tally};

use super::misnamed::{self, is_misnamed};
use super::notify::{Outcome, notify};
use super::{background, top};
use crate::cli::ReportArgs;
use crate::exit::{self, Failure, print_error};
use crate::report::{Keys, Reporters, with_gaps};
use crate::signals;

/// A dot is shown after this time without events.
pub(super) const SLEEP_TIME: Duration = Duration::from_secs(10);

/// Runs a manager that is set up, and prints the summary at the end. `has_keys` says that
/// standard input is not used for anything else. `is_new` says that the run has just been
/// made: it is not kept if nothing can come of it. `d` leaves the run to a manager in the
/// background, which reports as `report` says.
pub(super) fn to_the_end(
    mut manager: Manager<Reporters>,
    report: &ReportArgs,
    has_keys: bool,
    is_new: bool,
) -> Result<u8, Failure> {
    let controller =
        manager.controller().ok_or(ManagerError::NotSetUp).map_err(Failure::machinery)?;
    signals::listen(controller.clone()).map_err(Failure::machinery)?;
    let detached = Arc::new(AtomicBool::new(false));
    if let Some(problem) = manager.control_problem() {
        let text =
            format!("other gjob processes cannot act on this run: no control socket: {problem}");
        manager.handler_mut().print_line(&text);
    }
    if let Some(dir) = manager.run_dir().cloned() {
        let flag = Arc::clone(&detached);
        let detach = Box::new(move || {
            flag.store(true, Ordering::SeqCst);
            controller.leave();
        });
        let keys = has_keys.then_some(Keys { top: top::beside_the_run, detach });
        manager.handler_mut().begin(&dir, keys);
    }
    let result = manager.process_jobs();
    manager.handler_mut().finish();
    let dir = manager.run_dir().cloned().ok_or(ManagerError::NotSetUp);
    let dir = dir.map_err(Failure::machinery)?;
    let end = match result {
        Ok(end) => end,
        Err(error) => {
            drop(manager);
            return Err(notified(&dir, stopped(&dir, error)));
        }
    };
    if end == RunEnd::Left && detached.load(Ordering::SeqCst) {
        // The other one needs the run and its files.
        drop(manager);
        return background::start(&dir, report, &[]);
    }
    if is_new && end == RunEnd::NoHosts && manager.run().is_some_and(is_misnamed) {
        drop(manager);
        let failure = notified(&dir, misnamed::failure(&dir));
        dir.remove().map_err(Failure::machinery)?;
        return Err(failure);
    }
    let status = |failed| exit::of_run(end, manager.all_done(), failed);
    let has_failed = manager.handler().has_failed();
    let (status, if_failed) = (status(has_failed), status(true));
    if let Some(run) = manager.run() {
        let lines = last_lines(manager.handler(), &dir, run, end);
        let succeeds = succeeds(status, run);
        manager.handler_mut().print_end(&lines, succeeds);
    }
    // The command may want to act on the run.
    drop(manager);
    Ok(match notify(&dir, &Outcome::Ended(end), status) {
        Ok(()) => status,
        Err(error) => {
            print_error(&format!("{error:#}"));
            if_failed
        }
    })
}

/// True if nothing of a run needs a look.
pub(super) fn succeeds(status: u8, run: &Run) -> bool {
    status == exit::ALL_DONE && run.tally().failed() == 0
}

/// What is said when a manager's own means have failed, once who is to be notified of the
/// end was notified.
fn notified(dir: &RunDir, failure: Failure) -> Failure {
    if let Err(error) = notify(dir, &Outcome::Failed(&failure.error), failure.code) {
        print_error(&format!("{error:#}"));
    }
    failure
}

/// What became of a run, and its last line.
pub(super) fn last_lines(
    reporters: &Reporters,
    dir: &RunDir,
    run: &Run,
    end: RunEnd,
) -> Vec<String> {
    let store = Store::read(dir).ok();
    let row = store.as_ref().and_then(|store| store.row().ok());
    let settings = row.as_ref().and_then(|row| RunSettings::from_json(&row.settings).ok());
    let outputs = settings.as_ref().and_then(|settings| outputs_dir(dir, settings, run));
    let mut lines = reporters.outcome(dir.run(), run, outputs.as_deref());
    let halt = settings.and_then(|settings| settings.halt);
    let gaps = store.and_then(|store| store.gaps(true, now()).ok()).unwrap_or_default();
    let took = row.map(|row| {
        let took = run.elapsed(row.created, now());
        with_gaps(&format_duration(took), gaps.within(row.created, took))
    });
    let taken_over = |host: &Host| {
        host.status == HostStatus::Failed
            && host.reason.as_ref().is_some_and(|it| it.contains(TAKEN_OVER))
    };
    if end == RunEnd::NoHosts && run.hosts().iter().any(taken_over) {
        lines.push(format!(
            "run {}: {TAKEN_OVER}, as `gjob attach --moved` does with a copy of it: it goes on \
             there, and nothing more is done here",
            dir.run()
        ));
        return lines;
    }
    lines.push(summary(dir.run(), run.tally(), end, halt, took));
    lines
}

/// Where the outputs of jobs are, if any are done that have some.
fn outputs_dir(dir: &RunDir, settings: &RunSettings, run: &Run) -> Option<PathBuf> {
    let outputs = &settings.outputs;
    let has_outputs = |job: &Job| outputs.results || !job.spec.outputs.is_empty();
    let mut done = run.jobs().iter().filter(|job| job.state() == State::Done);
    done.any(has_outputs).then(|| outputs.dir(dir.run()))
}

/// What stopped a manager; after a failure of its store, how to resume.
pub(super) fn stopped(dir: &RunDir, error: ManagerError) -> Failure {
    let first = match &error {
        ManagerError::Store(
            StoreError::Outdated { .. } | StoreError::Version { .. } | StoreError::Copy { .. },
        ) => return Failure::input(error),
        ManagerError::Store(StoreError::TakenUp { .. }) => {
            let run = dir.run();
            return Failure::machinery(anyhow::anyhow!("run {run}: {error}"));
        }
        ManagerError::Store(store) if store.is_full() => {
            format!("free space in {}, then ", dir.path().display())
        }
        ManagerError::Store(_) => "when its store is usable again, ".to_owned(),
        ManagerError::Outputs(_) => "when outputs can be written again, ".to_owned(),
        ManagerError::UnknownHosts { .. } => return Failure::input(error),
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

/// The option with which a run goes on that was ended early.
fn without_limit(halt: Option<Halt>) -> &'static str {
    match halt.and_then(Halt::max_fails) {
        Some(_) => "--max-fails N",
        None => "--halt never",
    }
}

/// A run's last line.
fn summary(
    run: &RunId,
    jobs: Tally,
    end: RunEnd,
    halt: Option<Halt>,
    took: Option<String>,
) -> String {
    let counts = [
        (jobs.done, "done"),
        (jobs.error, "failed"),
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
        RunEnd::MaxFails => {
            let option = without_limit(halt);
            format!(" (stopped: too many failures; resume with `gjob attach {run} {option}`)")
        }
        RunEnd::Enough => {
            let option = without_limit(halt);
            format!(" (stopped: enough jobs are done; resume with `gjob attach {run} {option}`)")
        }
        RunEnd::NoHosts => {
            format!(" (stopped: no usable host; resume with `gjob attach {run}`)")
        }
        RunEnd::Interrupted => format!(" (interrupted; resume with `gjob attach {run}`)"),
        RunEnd::Left if jobs.busy == 0 => format!(" (stopped; resume with `gjob attach {run}`)"),
        RunEnd::Left => format!(" (jobs keep running; resume with `gjob attach {run}`)"),
    };
    let took = took.map(|took| format!(" in {took}")).unwrap_or_default();
    format!("run {run}: {}{took}{why}", counts.join(", "))
}
