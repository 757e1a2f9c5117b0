//! `gjob clean --unrecorded`: removes what hosts have of runs that no record here names.

use std::collections::HashSet;
use std::io::Write;

use anyhow::anyhow;
use gjob::Network;
use gjob::disk_usage::{RecordedRun, recorded_runs};
use gjob::network::Answers;
use gjob::settings::{NetworkSettings, RunSettings};
use gjob::store::{RunDir, StateDir, Store};
use gjob_core::RunId;
use gjob_core::plural::counted;
use gjob_core::run::HostIx;
use gjob_core::wire::{DiskUsage, RunUsage};

use crate::cli::{CleanArgs, Cli, Command};
use crate::commands::{config, du, hosts, rounded};
use crate::exit::{ALL_DONE, Failure, NOT_ALL_DONE, print_error};

pub(super) fn run(args: &CleanArgs) -> Result<u8, Failure> {
    let state = StateDir::from_env().map_err(Failure::input)?;
    print_error(&format!(
        "runs that {} does not record may be recorded in another state directory or on another \
         machine",
        state.path().display()
    ));
    let mut all = true;
    for settings in networks(args, &state)? {
        let settings = RunSettings { network: settings, ..RunSettings::default() };
        let mut network = Network::from_settings(&settings).map_err(Failure::input)?;
        all &= clean(&mut network, &state, args.dry_run)?;
    }
    Ok(if all { ALL_DONE } else { NOT_ALL_DONE })
}

/// The hosts that options name, else those of all recorded runs.
fn networks(args: &CleanArgs, state: &StateDir) -> Result<Vec<NetworkSettings>, Failure> {
    let read = config::read(!args.hosts.no_config)?;
    let (Cli { command: Command::Clean(given) }, setup) = read else {
        return Err(Failure::machinery(anyhow!("another command line was read")));
    };
    let named = &given.hosts;
    if !(named.hosts.is_empty() && named.hosts_file.is_empty() && named.cluster.is_empty()) {
        return Ok(vec![hosts::checked_settings(named, &setup)?]);
    }
    let runs = state.runs().map_err(Failure::machinery)?;
    let is_readable = |dir: &RunDir| Store::read(dir).and_then(|store| store.row()).is_ok();
    let dirs = runs.iter().filter_map(|run| state.find(Some(run)).ok());
    let dirs: Vec<RunDir> = dirs.filter(is_readable).collect();
    match dirs.is_empty() {
        true => Err(Failure::input(anyhow!("no run is recorded: name hosts with -H"))),
        false => du::of_runs(&dirs),
    }
}

/// Cleans the hosts of a network; false if something stays.
fn clean(network: &mut Network, state: &StateDir, is_dry: bool) -> Result<bool, Failure> {
    let usage = network.disk_usage().map_err(Failure::machinery)?;
    // Read after the hosts were asked: a run is recorded before it reaches a host.
    let recorded = Recorded::new(recorded_runs(state).map_err(Failure::machinery)?);
    let found = unrecorded(&usage, &recorded);
    let asked = match is_dry {
        true => Vec::new(),
        false => found.iter().map(|(host, runs)| (*host, ids(runs))).collect(),
    };
    let removed = network.purge_runs(asked).map_err(Failure::machinery)?;
    let label = |host: &HostIx| network.hosts()[host.at()].label().clone();
    let mut all = true;
    let mut problem = |text: String| {
        all = false;
        print_error(&text);
    };
    for (host, answer) in &usage {
        let Err(why) = answer else { continue };
        problem(format!("host {}: {why}", label(host)));
    }
    let mut out = std::io::stdout().lock();
    for (host, runs) in &found {
        let label = label(host);
        let kept = match removed.get(host) {
            Some(Err(why)) => {
                problem(format!("host {label}: {why}"));
                continue;
            }
            Some(Ok(kept)) => kept.as_slice(),
            None => &[],
        };
        let gone: Vec<&RunUsage> =
            runs.iter().copied().filter(|run| kept.iter().all(|(id, _)| *id != run.run)).collect();
        let line = format!("host {label}: {}", summary(&gone, is_dry));
        writeln!(out, "{line}").map_err(Failure::machinery)?;
        for (run, why) in kept {
            problem(format!("host {label}: run {run} stays: {why}"));
        }
    }
    Ok(all)
}

/// By the hosts that answered: what they have of runs that no record names. A directory that
/// several hosts share counts for the first of them.
fn unrecorded<'a>(
    usage: &'a Answers<DiskUsage>,
    recorded: &Recorded,
) -> Vec<(HostIx, Vec<&'a RunUsage>)> {
    let mut places = HashSet::new();
    let answered = usage.iter().filter_map(|(host, usage)| Some((*host, usage.as_ref().ok()?)));
    let own = answered.filter(|(_, usage)| usage.place.is_empty() || places.insert(&usage.place));
    let runs = |usage: &'a DiskUsage| {
        usage.runs.iter().filter(|run| !recorded.names(&run.run)).collect::<Vec<_>>()
    };
    own.map(|(host, usage)| (host, runs(usage))).collect()
}

fn ids(runs: &[&RunUsage]) -> Vec<RunId> {
    runs.iter().map(|run| run.run.clone()).collect()
}

fn summary(runs: &[&RunUsage], is_dry: bool) -> String {
    if runs.is_empty() {
        return if is_dry { "would remove nothing" } else { "removed nothing" }.to_owned();
    }
    let jobs = runs.iter().fold(0, |sum: u64, run| sum.saturating_add(run.jobs));
    let bytes = runs.iter().map(|run| run.job_bytes.saturating_add(run.log_bytes));
    let names: Vec<&str> = runs.iter().map(|run| run.run.as_str()).collect();
    format!(
        "{} {} with {}, {}: {}",
        if is_dry { "would remove" } else { "removed" },
        counted(runs.len() as u64, "run"),
        counted(jobs, "job directory"),
        rounded(bytes.fold(0, u64::saturating_add)),
        names.join(", ")
    )
}

/// What the records here name.
struct Recorded {
    on_hosts: HashSet<RunId>,
    /// Runs whose records cannot be read, without the identities that hosts know.
    unreadable: HashSet<RunId>,
}

impl Recorded {
    fn new(runs: Vec<RecordedRun>) -> Self {
        let unreadable = runs.iter().filter(|run| run.on_hosts.is_none());
        let unreadable = unreadable.map(|run| run.run.clone()).collect();
        Recorded { on_hosts: runs.into_iter().filter_map(|run| run.on_hosts).collect(), unreadable }
    }

    fn names(&self, run: &RunId) -> bool {
        let is_unreadable = |id: &RunId| id.as_str() == run.plain();
        self.on_hosts.contains(run) || self.unreadable.iter().any(is_unreadable)
    }
}
