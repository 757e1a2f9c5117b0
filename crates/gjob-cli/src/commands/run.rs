//! `gjob run`: jobs and hosts from the command line, all of them checked before
//! anything is started.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use gjob::settings::{OutputSettings, RunSettings, TaskSettings};
use gjob::store::StateDir;
use gjob::{Manager, ManagerError};
use gjob_core::halt::Halt;
use gjob_core::scheduler::OnLost;

use super::config::{self, Setup};
use super::{background, dry_run, each_host, hosts, jobs, manage, notes, skip_done};
use crate::cli::{Cli, Command, NewHalt, OutputArgs, RunArgs, Show};
use crate::exit::{ALL_DONE, Failure, print_error};
use crate::report::reporters;

/// A lease is half of this. It must outlast the pauses between a link's pings, and
/// leave time to kill the jobs.
const SHORTEST_LEASED: Duration = Duration::from_secs(60);

pub(crate) fn run(args: &RunArgs) -> Result<u8, Failure> {
    match config::read(!args.hosts.no_config)? {
        (Cli { command: Command::Run(args) }, setup) => run_with(*args, &setup),
        (_, setup) => Err(Failure::machinery(anyhow::anyhow!("not a run: {setup:?}"))),
    }
}

fn run_with(args: RunArgs, setup: &Setup) -> Result<u8, Failure> {
    let mut errors = Vec::new();
    let network = hosts::settings(&args.hosts, &args.tasks, setup, &mut errors);
    let mut settings = RunSettings { network, ..RunSettings::default() };
    let after_failures = args.failures.max_fails.map(Halt::after_failures);
    settings.halt = after_failures.or(args.failures.halt.and_then(|NewHalt(halt)| halt));
    settings.on_lost = args.failures.on_lost.into();
    match gjob::units::parse_duration_above_zero(&args.failures.lost_after) {
        Ok(lost_after) if settings.on_lost == OnLost::Lease && lost_after < SHORTEST_LEASED => {
            errors.push(anyhow::anyhow!(
                "invalid --lost-after {}: expected at least 1m with --on-lost lease",
                args.failures.lost_after
            ));
        }
        Ok(lost_after) => settings.lost_after = Some(lost_after),
        Err(error) => errors.push(anyhow::anyhow!("--lost-after: {error}")),
    }
    settings.host_tasks = host_tasks(&args, &mut errors);
    settings.seed = u64::from(std::process::id());
    settings.notify.clone_from(&args.background.notify);
    settings.outputs = outputs(&args.files.outputs, &mut errors);
    let past = skip_done::read(&args.options, &mut errors);
    let jobs::Collected { specs, has_read_stdin } = jobs::collect(&args, &mut errors);
    if !errors.is_empty() {
        return Err(all_at_once(&errors));
    }
    let specs = match args.options.each_host {
        true => each_host::spread(&specs, &settings.network).map_err(|e| all_at_once(&[e]))?,
        false => specs,
    };
    let (specs, hashed) = match past {
        None => (specs, None),
        Some(past) => {
            settings.skipped_for = past.runs().to_vec();
            let left = skip_done::leave_out(past, specs, &args.report)?;
            let runs = settings.skipped_for.clone();
            skip_done::follow_outputs(&mut settings.outputs, &runs, &left)?;
            (left.specs, Some(left.inputs))
        }
    };
    if specs.is_empty() {
        return Ok(ALL_DONE);
    }
    if args.report.verbose {
        setup.print_files();
    }
    if !args.report.is_quiet() {
        let notes = notes::on_hosts(&args.hosts, &settings.network.clusters);
        let notes = notes.into_iter().chain(notes::on_files(&specs));
        notes.for_each(|note| print_error(&format!("help: {note}")));
    }
    if args.dry_run {
        let hosts = settings.network.plan_hosts().map_err(Failure::input)?;
        let result = if args.json { dry_run::json(&specs) } else { dry_run::text(&hosts, &specs) };
        return result.context("cannot write").map(|()| ALL_DONE).map_err(Failure::machinery);
    }
    let is_template = args.jobs.is_none() && !args.command.is_empty();
    let default_show = if is_template { Show::All } else { Show::Failed };
    let reporters = reporters(&args.report, default_show, false).map_err(Failure::input)?;
    let reporters = if is_template { reporters.of_words() } else { reporters };
    let reporters = if args.options.each_host { reporters.gather() } else { reporters };
    let state = StateDir::from_env().map_err(Failure::machinery)?;
    if args.background.detach {
        // It was known to be writable.
        drop(reporters);
        let dir = Manager::record(&state, specs, hashed, &settings).map_err(not_begun)?;
        return background::start(&dir, &args.report, &[]);
    }
    let mut manager = Manager::with_handler(manage::SLEEP_TIME, reporters);
    manager.setup_with(&state, specs, hashed, &settings).map_err(not_begun)?;
    let report = args.report;
    drop((args.jobs, args.command));
    manage::to_the_end(manager, &report, !has_read_stdin, true)
}

fn not_begun(error: ManagerError) -> Failure {
    match error {
        ManagerError::Store(_) | ManagerError::RunDir(_) => {
            Failure::machinery(anyhow::anyhow!("{error}\nnothing was started"))
        }
        gjob::ManagerError::NoSuchHost(_) => {
            Failure::input(anyhow::anyhow!("{error}\nnothing was started"))
        }
        other => Failure::input(other),
    }
}

/// How set-ups and teardowns of hosts are run. Variables that are wrong are named with the
/// jobs'.
fn host_tasks(args: &RunArgs, errors: &mut Vec<anyhow::Error>) -> TaskSettings {
    let timeout = gjob::units::parse_duration_above_zero(&args.tasks.setup_timeout);
    let timeout = timeout.map_err(|error| errors.push(anyhow::anyhow!("--setup-timeout: {error}")));
    let env = args.options.env.iter().filter_map(|pair| pair.split_once('='));
    TaskSettings {
        files: args.files.files.clone(),
        link: args.files.link_files,
        env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        timeout: timeout.ok(),
    }
}

/// Where outputs go.
fn outputs(args: &OutputArgs, errors: &mut Vec<anyhow::Error>) -> OutputSettings {
    let mut absolute = |path: &Path| {
        let made = std::path::absolute(path);
        made.map_err(|error| errors.push(anyhow::anyhow!("{}: {error}", path.display()))).ok()
    };
    let into = args.into.as_deref().and_then(&mut absolute);
    let here = absolute(Path::new(".")).unwrap_or_default();
    let max_bytes = super::size("--max-output", args.max_output.as_deref(), errors);
    let (results, cleanup) = (args.results, args.cleanup);
    OutputSettings { into, here, results, cleanup, max_bytes, ..OutputSettings::default() }
}

fn all_at_once(errors: &[anyhow::Error]) -> Failure {
    let lines: Vec<String> = errors.iter().map(|error| format!("{error:#}")).collect();
    Failure::input(anyhow::anyhow!("{}\nnothing was started", lines.join("\n")))
}
