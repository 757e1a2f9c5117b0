//! `gjob attach`: resumes a run without a manager, with the settings it was started
//! with; follows a run that has one.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use gjob::manager::{Change, Watcher};
use gjob::settings::RunSettings;
use gjob::store::{RunDir, Store};
use gjob::{Manager, ManagerError};
use gjob_core::event::RunEnd;
use gjob_core::halt::{Halt, HaltOn};
use gjob_core::os_text::to_os;
use gjob_core::plural::counted;
use gjob_core::{Job, RunId, State};

use super::{background, change_hosts, find_run, manage, read_run, watch};
use crate::cli::{AttachArgs, HostArgs, NewHalt, ReportArgs, Show};
use crate::exit::{Failure, print_error};
use crate::report::reporters;

/// How long another process may use the run without being a manager to follow: it
/// starts, ends, or acts on jobs.
const BUSY_TIMEOUT: Duration = Duration::from_secs(150);

/// How often to try again meanwhile.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

pub(crate) fn run(args: &AttachArgs) -> Result<u8, Failure> {
    let dir = find_run(args.run.word())?;
    if args.in_background {
        background::leave_terminal()?;
    }
    let mut resume = Resume {
        moved: args.moved,
        halt: args.max_fails.or(args.halt),
        notify: args.background.notify.clone(),
        in_background: args.in_background,
        of_hosts: changes_of_hosts(args, &dir)?,
    };
    if args.background.detach {
        let changes = std::mem::take(&mut resume.of_hosts);
        if !changes.is_empty() {
            if resume.moved {
                take_over_copy(&dir)?;
            }
            change_hosts::make(&dir, &changes, |note| {
                print_error(note);
                Ok(())
            })?;
        }
        return background::start(&dir, &args.report, &resume.words());
    }
    to_the_end(&dir, &args.report, &resume)
}

/// What options want of the hosts of the run. New ones come first: a run without hosts is
/// over.
fn changes_of_hosts(args: &AttachArgs, dir: &RunDir) -> Result<Vec<Change>, Failure> {
    let HostArgs { hosts, hosts_file, cluster, slots, .. } = &args.hosts;
    let is_named = !(hosts.is_empty() && hosts_file.is_empty() && cluster.is_empty());
    if !is_named && slots.is_none() {
        return Ok(Vec::new());
    }
    let run = read_run(dir)?.run;
    let mut changes = Vec::new();
    if is_named {
        let clusters = change_hosts::clusters(&args.hosts, hosts.clone())?;
        let unused = change_hosts::never_up(&run, &clusters);
        changes.push(Change::Add { clusters });
        if args.replace && !unused.is_empty() {
            changes.push(Change::Remove { hosts: unused });
        }
    }
    let slots = slots.map(|slots| Change::Slots { hosts: change_hosts::in_use(&run), slots });
    changes.extend(slots);
    Ok(changes)
}

/// What is changed is recorded in the copy, which has to be the one in use by then.
fn take_over_copy(dir: &RunDir) -> Result<(), Failure> {
    match Store::take_up_moved(dir).map(drop).map_err(ManagerError::from) {
        Err(error) if !error.is_managed_already() => Err(manage::stopped(dir, error)),
        // The process that has it is asked for the changes.
        Ok(()) | Err(_) => Ok(()),
    }
}

/// How a run is resumed, and what is changed for the rest of it.
#[derive(Debug, Default)]
pub(super) struct Resume {
    /// It is a copy of a run that is used no more.
    moved: bool,
    halt: Option<NewHalt>,
    notify: Option<String>,
    in_background: bool,
    of_hosts: Vec<Change>,
}

/// Resumes or follows a run until it is over.
pub(super) fn to_the_end(
    dir: &RunDir,
    report: &ReportArgs,
    resume: &Resume,
) -> Result<u8, Failure> {
    let reporters = || reporters(report, Show::Failed, true).map_err(Failure::input);
    let take_up = if resume.moved { Store::take_up_moved } else { Store::take_up };
    let began = Instant::now();
    loop {
        if let Some(watcher) = Watcher::connect(dir).map_err(Failure::machinery)? {
            refuse_change(resume, dir)?;
            if resume.in_background {
                return Err(managed_already(dir));
            }
            let changes = resume.changes();
            if !changes.is_empty() {
                // What is changed is among the events that are followed.
                change_hosts::make(dir, &changes, |_| Ok(()))?;
            }
            return watch::to_the_end(dir, watcher, reporters()?);
        }
        check_limit(resume.halt, dir)?;
        let mut manager = Manager::with_handler(manage::SLEEP_TIME, reporters()?);
        match manager.attach_with(
            dir,
            take_up,
            |settings| resume.change(settings),
            &resume.changes(),
        ) {
            Ok(()) => {
                if resume.in_background {
                    background::go_on_alone(dir)?;
                }
                return manage::to_the_end(manager, report, true, false);
            }
            Err(error) if error.is_managed_already() && began.elapsed() < BUSY_TIMEOUT => {
                std::thread::sleep(POLL_INTERVAL);
            }
            Err(error @ (ManagerError::Network(_) | ManagerError::Refused(_))) => {
                return Err(Failure::input(error));
            }
            Err(error) => return Err(manage::stopped(dir, error)),
        }
    }
}

impl Resume {
    /// The same as words of a command line.
    fn words(&self) -> Vec<OsString> {
        let halt = self.halt.map(|NewHalt(halt)| {
            let halt = halt.map_or("never".to_owned(), |halt| halt.to_string());
            format!("--halt={halt}").into()
        });
        let command = self.notify.as_ref();
        let command = command.map(|command| to_os(&format!("--notify={command}")).into_owned());
        let moved = self.moved.then(|| "--moved".into());
        moved.into_iter().chain(halt).chain(command).collect()
    }

    /// What these options change of a run, whether it has a manager or not.
    fn changes(&self) -> Vec<Change> {
        let halt = self.halt.map(|NewHalt(halt)| Change::Halt { halt });
        self.of_hosts.iter().cloned().chain(halt).collect()
    }

    /// What these options change of a run that is resumed.
    fn change(&self, settings: &mut RunSettings) {
        if let Some(command) = &self.notify {
            settings.notify = Some(command.clone()).filter(|command| !command.is_empty());
        }
    }
}

/// A run has one manager, and a follower needs no background.
fn managed_already(dir: &RunDir) -> Failure {
    Failure::input(anyhow!(
        "another gjob process manages run {run}\nhelp: follow it with `gjob attach {run}`",
        run = dir.run()
    ))
}

/// The command is that of the process that manages the run.
fn refuse_change(resume: &Resume, dir: &RunDir) -> Result<(), Failure> {
    if resume.notify.is_none() {
        return Ok(());
    }
    Err(Failure::input(anyhow!(
        "another gjob process manages run {}: --notify can be changed once it has stopped",
        dir.run()
    )))
}

/// A run that was ended early would end again at once.
fn check_limit(halt: Option<NewHalt>, dir: &RunDir) -> Result<(), Failure> {
    // What cannot be read here, the manager reports.
    let Ok(store) = Store::read(dir) else { return Ok(()) };
    let (Ok(run), Ok(row)) = (store.load(), store.row()) else { return Ok(()) };
    let Ok(settings) = RunSettings::from_json(&row.settings) else { return Ok(()) };
    let has_ended_early = matches!(run.ended(), Some(RunEnd::MaxFails | RunEnd::Enough));
    if !(has_ended_early || halt.is_some()) {
        return Ok(());
    }
    let Some(halt) = halt.map_or(settings.halt, |NewHalt(halt)| halt) else { return Ok(()) };
    let has_been_tried = |job: &&Job| job.state() == State::Error && job.last_attempt > 0;
    let failed = run.jobs().iter().filter(has_been_tried).count() as u32;
    let count = halt.count(failed, run.tally().done);
    if count < halt.enough(run.jobs().len() as u32) || run.tally().left() == 0 {
        return Ok(());
    }
    Err(Failure::input(anyhow!(already_reached(dir.run(), halt, count))))
}

fn already_reached(run: &RunId, halt: Halt, count: u32) -> String {
    match (halt.on, halt.max_fails()) {
        (HaltOn::Fail, Some(most)) => format!(
            "run {run}: {} (--max-fails {most}): no more jobs would start\n\
             help: to go on, `gjob attach {run} --max-fails N` with N above {count}, or none\n\
             help: to retry failed jobs first, `gjob retry -R {run}`",
            counted(count.into(), "failure"),
        ),
        (HaltOn::Fail, None) => format!(
            "run {run}: {} (--halt {halt}): no more jobs would start\n\
             help: to go on, `gjob attach {run} --halt never`, or with another limit\n\
             help: to retry failed jobs first, `gjob retry -R {run}`",
            counted(count.into(), "failure"),
        ),
        (HaltOn::Success, ..) => format!(
            "run {run}: {} done (--halt {halt}): no more jobs would start\n\
             help: to go on, `gjob attach {run} --halt never`, or with another limit",
            counted(count.into(), "job"),
        ),
    }
}
