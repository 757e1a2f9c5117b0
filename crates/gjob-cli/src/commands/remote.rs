//! `gjob remote`: the original's commands for jobs on other machines: what `gjob local`
//! does with job directories, over ssh.

mod name;
mod start;

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitStatus;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use gjob::Network;
use gjob::link::HostPlan;
use gjob::remote::job_shell;
use gjob::settings::RunSettings;
use gjob_core::JobId;
use gjob_core::wire::{ByHand, ByHandAnswer};

use super::config::Setup;
use super::hosts;
use crate::cli::{HostArgs, JobIdArgs, RemoteCommand, TaskArgs};
use crate::exit::{ALL_DONE, Failure, NOT_ALL_DONE};
use name::RemoteJob;

pub(crate) fn run(command: &RemoteCommand) -> Result<u8, Failure> {
    match command {
        RemoteCommand::Cmd { interactive, id, host, reach } => {
            let job = parse(id, host.given())?;
            shell(&job.id, &reach.to(&job.host), *interactive)
        }
        RemoteCommand::Start { cluster, tail, host, files, timeout, reach } => {
            let args = if *cluster { reach.to_cluster(host.into()) } else { reach.to(host) };
            start::run(&args, files, timeout.as_deref(), *tail)
        }
        RemoteCommand::Status(jobs) => each(jobs, ByHand::Status),
        RemoteCommand::Kill { jobs, grace } => {
            let grace =
                gjob::units::parse_duration(grace).context("--grace").map_err(Failure::input)?;
            each(jobs, ByHand::Kill { grace })
        }
        RemoteCommand::Pause(jobs) => each(jobs, ByHand::Pause),
        RemoteCommand::Unpause(jobs) => each(jobs, ByHand::Unpause),
        RemoteCommand::IsPaused(jobs) => each(jobs, ByHand::IsPaused),
    }
}

/// The hosts that arguments name.
fn settings(args: &HostArgs) -> Result<RunSettings, Failure> {
    let setup = Setup::of_hosts(!args.no_config)?;
    let mut errors = Vec::new();
    let network = hosts::settings(args, &TaskArgs::default(), &setup, &mut errors);
    let lines: Vec<String> = errors.iter().map(|error| format!("{error:#}")).collect();
    match lines.is_empty() {
        true => Ok(RunSettings { network, ..RunSettings::default() }),
        false => Err(Failure::input(anyhow!("{}", lines.join("\n")))),
    }
}

/// A network of the host of some jobs, and its plan.
fn network(args: &HostArgs) -> Result<(Network, Arc<HostPlan>), Failure> {
    let network = Network::from_settings(&settings(args)?).map_err(Failure::input)?;
    match network.hosts() {
        [plan] => {
            let plan = Arc::clone(plan);
            Ok((network, plan))
        }
        _ => Err(Failure::input(anyhow!("expected one host: name it with -H"))),
    }
}

/// A job by its name, on the host that is `given`, or else named there.
fn parse(name: &str, given: Option<&str>) -> Result<RemoteJob, Failure> {
    let job: RemoteJob = name.parse().map_err(Failure::input)?;
    Ok(RemoteJob { host: given.map_or(job.host, str::to_owned), id: job.id })
}

fn shell(id: &JobId, args: &HostArgs, is_interactive: bool) -> Result<u8, Failure> {
    let (_, plan) = network(args)?;
    let shell = job_shell(&plan, id, is_interactive).map_err(Failure::input)?;
    let status = shell.run().context("cannot open a shell");
    Ok(code(status.map_err(Failure::machinery)?))
}

/// A status as a shell has it.
fn code(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt;
    let number = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    number.and_then(|number| u8::try_from(number).ok()).unwrap_or(u8::MAX)
}

/// Does `work` with each job, host by host, prints the answers in the order of the jobs,
/// and reports all failures.
fn each(jobs: &JobIdArgs, work: ByHand) -> Result<u8, Failure> {
    let named = jobs.ids.iter().map(|id| parse(id, jobs.host.given()));
    let named = named.collect::<Result<Vec<_>, _>>()?;
    let mut by_host: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, job) in named.iter().enumerate() {
        by_host.entry(&job.host).or_default().push(at);
    }
    let mut answers: BTreeMap<usize, Result<ByHandAnswer, String>> = BTreeMap::new();
    for (host, places) in by_host {
        let (mut network, plan) = network(&jobs.reach.to(host))?;
        let there: Vec<JobId> = places.iter().map(|at| named[*at].id.clone()).collect();
        match network.work_by_hand(plan.label(), &there, work) {
            Ok(found) => answers.extend(places.into_iter().zip(found)),
            Err(error) => {
                let error = error.to_string();
                answers.extend(places.into_iter().map(|at| (at, Err(error.clone()))));
            }
        }
    }
    report(answers.into_values())
}

fn report(answers: impl Iterator<Item = Result<ByHandAnswer, String>>) -> Result<u8, Failure> {
    let (mut errors, mut is_all) = (Vec::new(), true);
    let mut out = std::io::stdout().lock();
    for answer in answers {
        let written = match answer {
            Ok(ByHandAnswer::State(state)) => writeln!(out, "{state}"),
            Ok(ByHandAnswer::IsPaused(is)) => {
                is_all &= is;
                writeln!(out, "{is}")
            }
            Ok(ByHandAnswer::Done) => Ok(()),
            Err(error) => {
                errors.push(error);
                Ok(())
            }
        };
        written.map_err(Failure::machinery)?;
    }
    match errors.is_empty() {
        true if is_all => Ok(ALL_DONE),
        true => Ok(NOT_ALL_DONE),
        false => {
            // Jobs of a host that cannot be reached have one reason.
            errors.dedup();
            Err(Failure { code: NOT_ALL_DONE, error: anyhow!("{}", errors.join("\n")) })
        }
    }
}
