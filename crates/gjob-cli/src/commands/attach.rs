//! `gjob attach`: resumes a run without a manager, with the settings it was started
//! with; follows a run that has one.

use std::time::{Duration, Instant};

use anyhow::anyhow;
use gjob::manager::Watcher;
use gjob::settings::RunSettings;
use gjob::store::{RunDir, Store, StoreError};
use gjob::{Manager, ManagerError};
use gjob_core::event::RunEnd;
use gjob_core::plural::counted;
use gjob_core::{Job, State};

use super::{find_run, manage, watch};
use crate::cli::{AttachArgs, MaxFails, ReportArgs, Show};
use crate::exit::Failure;
use crate::report::reporters;

/// How long another process may use the run without being a manager to follow: it
/// starts, ends, or acts on jobs.
const BUSY_TIMEOUT: Duration = Duration::from_secs(150);

/// How often to try again meanwhile.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

pub(crate) fn run(args: &AttachArgs) -> Result<u8, Failure> {
    let take_up = if args.moved { Store::take_up_moved } else { Store::take_up };
    to_the_end(&find_run(args.run.word())?, &args.report, take_up, args.max_fails)
}

/// How a run comes into this process's hands.
pub(super) type TakeUp = fn(&RunDir) -> Result<Store, StoreError>;

/// Resumes or follows a run until it is over.
pub(super) fn to_the_end(
    dir: &RunDir,
    report: &ReportArgs,
    take_up: TakeUp,
    max_fails: Option<MaxFails>,
) -> Result<u8, Failure> {
    let reporters = || reporters(report, Show::Failed, true).map_err(Failure::input);
    let began = Instant::now();
    loop {
        if let Some(watcher) = Watcher::connect(dir).map_err(Failure::machinery)? {
            refuse_change(max_fails, dir)?;
            return watch::to_the_end(dir, watcher, reporters()?);
        }
        check_max_fails(max_fails, dir)?;
        let mut manager = Manager::with_handler(manage::SLEEP_TIME, reporters()?);
        let change = |settings: &mut RunSettings| {
            if let Some(MaxFails(most)) = max_fails {
                settings.max_fails = most;
            }
        };
        match manager.attach_with(dir, take_up, change) {
            Ok(()) => return manage::to_the_end(manager, true),
            Err(error) if error.is_managed_already() && began.elapsed() < BUSY_TIMEOUT => {
                std::thread::sleep(POLL_INTERVAL);
            }
            Err(error @ ManagerError::Network(_)) => return Err(Failure::input(error)),
            Err(error) => return Err(manage::stopped(dir, error)),
        }
    }
}

/// Settings are changed by the process that manages the run.
fn refuse_change(max_fails: Option<MaxFails>, dir: &RunDir) -> Result<(), Failure> {
    if max_fails.is_none() {
        return Ok(());
    }
    Err(Failure::input(anyhow!(
        "another gjob process manages run {}: --max-fails can be changed once it has stopped",
        dir.run()
    )))
}

/// A run that was stopped by its failures would stop again at once.
fn check_max_fails(max_fails: Option<MaxFails>, dir: &RunDir) -> Result<(), Failure> {
    // What cannot be read here, the manager reports.
    let Ok(store) = Store::read(dir) else { return Ok(()) };
    let (Ok(run), Ok(row)) = (store.load(), store.row()) else { return Ok(()) };
    let Ok(settings) = RunSettings::from_json(&row.settings) else { return Ok(()) };
    let most = max_fails.map_or(settings.max_fails, |MaxFails(most)| most);
    let has_been_tried = |job: &&Job| job.state() == State::Error && job.last_attempt > 0;
    let failed = run.jobs().iter().filter(has_been_tried).count() as u64;
    let is_stopped = run.ended() == Some(RunEnd::MaxFails) || max_fails.is_some();
    match most.filter(|most| is_stopped && failed >= u64::from(*most)) {
        None => Ok(()),
        Some(most) => Err(Failure::input(anyhow!(
            "run {run}: {} (--max-fails {most}): no more jobs would start\n\
             help: to go on, `gjob attach {run} --max-fails N` with N above {failed}, or none\n\
             help: to retry failed jobs first, `gjob retry -R {run}`",
            counted(failed, "failure"),
            run = dir.run(),
        ))),
    }
}
