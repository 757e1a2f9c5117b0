//! `gjob du`: how much room gjob takes on hosts and on this machine, by run.

mod shown;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use gjob::Network;
use gjob::disk_usage::{RecordedRun, recorded_runs};
use gjob::program::Platform;
use gjob::settings::{NetworkSettings, RunSettings};
use gjob::store::{RunDir, StateDir, Store};
use gjob_core::hosts::Cluster;
use gjob_core::os_text::from_os;
use gjob_core::wire::{DiskUsage, RunUsage};
use gjob_core::{HostOptions, RunId};
use serde::Serialize;

use super::{config, find_run, hosts};
use crate::cli::{Cli, Command, DuArgs, HostArgs};
use crate::exit::{ALL_DONE, Failure, NOT_ALL_DONE};

/// Everything that was measured.
#[derive(Debug, Serialize)]
struct Measured {
    /// The directory that holds the records of runs, and what they take.
    state_dir: String,
    state_bytes: u64,
    hosts: Vec<MeasuredHost>,
    /// Those that take most come first.
    runs: Vec<MeasuredRun>,
}

#[derive(Debug, Serialize)]
struct MeasuredHost {
    host: String,
    #[serde(flatten)]
    answer: HostAnswer,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum HostAnswer {
    Usage(HostUsage),
    Unreachable { error: String },
}

/// Bytes, all of them.
#[derive(Debug, Serialize)]
struct HostUsage {
    results_dir: String,
    /// A host before it in the list that has the same results directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    shared_with: Option<String>,
    total_bytes: u64,
    job_bytes: u64,
    staged_bytes: u64,
    program_bytes: u64,
    log_bytes: u64,
    other_bytes: u64,
    free_bytes: u64,
    /// True if not everything was looked at.
    is_partial: bool,
}

/// A run, or what is left of one.
#[derive(Debug, Serialize)]
struct MeasuredRun {
    run: String,
    /// False if this machine has no record of it.
    is_recorded: bool,
    /// Its job directories on the hosts that answered.
    jobs: u64,
    remote_bytes: u64,
    local_bytes: u64,
}

pub(crate) fn run(args: &DuArgs) -> Result<u8, Failure> {
    let dirs: Vec<RunDir> =
        args.run.iter().map(|word| find_run(Some(word))).collect::<Result<_, _>>()?;
    let networks = match dirs.is_empty() {
        true => vec![of_options(args)?],
        false => of_runs(&dirs)?,
    };
    let mut answers = Vec::new();
    for settings in networks {
        let settings = RunSettings { network: settings, ..RunSettings::default() };
        let mut network = Network::from_settings(&settings).map_err(Failure::input)?;
        let labels: Vec<String> =
            network.hosts().iter().map(|plan| plan.label().to_string()).collect();
        let found = network.disk_usage().map_err(Failure::machinery)?;
        answers.extend(labels.into_iter().zip(found.into_values()));
    }
    let all_answered = answers.iter().all(|(_, answer)| answer.is_ok());
    let state = StateDir::from_env().map_err(Failure::input)?;
    let recorded = recorded_runs(&state).map_err(Failure::machinery)?;
    let mut measured = measured(&state, answers, recorded);
    if !dirs.is_empty() {
        measured.runs.retain(|run| dirs.iter().any(|dir| dir.run().as_str() == run.run));
    }
    let printed = if args.json { shown::json(&measured) } else { shown::tables(&measured) };
    printed.map_err(Failure::machinery)?;
    Ok(if all_answered { ALL_DONE } else { NOT_ALL_DONE })
}

/// The hosts of the command line, or of `gjob.toml`.
fn of_options(args: &DuArgs) -> Result<NetworkSettings, Failure> {
    let (Cli { command: Command::Du(mut args) }, mut setup) = config::read(!args.hosts.no_config)?
    else {
        return Err(Failure::machinery(anyhow::anyhow!("another command line was read")));
    };
    if !args.host.is_empty() {
        setup.hosts_from_environment = false;
        let hosts = std::mem::take(&mut args.host);
        args.hosts = HostArgs { hosts, hosts_file: Vec::new(), cluster: Vec::new(), ..args.hosts };
    }
    hosts::checked_settings(&args.hosts, &setup)
}

/// The hosts of runs: in one network, so that all are asked at once, but for those that
/// runs reach under one name in different ways.
pub(super) fn of_runs(dirs: &[RunDir]) -> Result<Vec<NetworkSettings>, Failure> {
    let mut networks: Vec<NetworkSettings> = Vec::new();
    for dir in dirs {
        let store = Store::read(dir).map_err(Failure::machinery)?;
        let row = store.row().map_err(Failure::machinery)?;
        let settings = RunSettings::from_json(&row.settings).map_err(Failure::machinery)?.network;
        for cluster in settings.clusters {
            let options = cluster.options.or(&settings.options);
            for worker in cluster.workers {
                let one = Cluster {
                    workers: vec![worker],
                    options: options.clone(),
                    ..Cluster::default()
                };
                add(&mut networks, one, &settings.agents);
            }
        }
    }
    Ok(networks)
}

/// Adds a host to the first network that does not have it.
fn add(networks: &mut Vec<NetworkSettings>, one: Cluster, agents: &Agents) {
    for network in &mut *networks {
        let same = network.clusters.iter().find(|cluster| cluster.workers == one.workers);
        match same {
            None => {
                network.agents.extend(agents.clone());
                return network.clusters.push(one);
            }
            Some(same) if way(&same.options) == way(&one.options) => return,
            Some(_) => {}
        }
    }
    let agents = agents.clone();
    networks.push(NetworkSettings { clusters: vec![one], agents, ..NetworkSettings::default() });
}

/// How a host is reached, and where gjob works on it.
fn way(options: &HostOptions) -> HostOptions {
    let HostOptions { results_dir, connect, ssh_config, .. } = options.clone();
    HostOptions { results_dir, connect, ssh_config, ..HostOptions::default() }
}

/// Worker programs for hosts by their platform.
type Agents = BTreeMap<Platform, PathBuf>;

type Answered = (String, Result<DiskUsage, String>);

fn measured(state: &StateDir, answers: Vec<Answered>, recorded: Vec<RecordedRun>) -> Measured {
    let state_bytes = recorded.iter().map(|run| run.bytes).sum();
    let names: HashMap<RunId, RunId> =
        recorded.iter().filter_map(|run| Some((run.on_hosts.clone()?, run.run.clone()))).collect();
    let mut runs: BTreeMap<RunId, MeasuredRun> = BTreeMap::new();
    for RecordedRun { run, bytes, .. } in recorded {
        let measured = MeasuredRun { local_bytes: bytes, ..MeasuredRun::new(&run, true) };
        runs.insert(run, measured);
    }
    let mut places: HashMap<String, String> = HashMap::new();
    let mut hosts = Vec::new();
    for (host, answer) in answers {
        let answer = match answer {
            Err(error) => HostAnswer::Unreachable { error },
            Ok(usage) => {
                let first = places.entry(usage.place.clone()).or_insert_with(|| host.clone());
                let is_shared = !usage.place.is_empty() && *first != host;
                let shared_with = is_shared.then(|| first.clone());
                for run in usage.runs.iter().filter(|_| !is_shared) {
                    let name = names.get(&run.run);
                    let entry = runs.entry(name.unwrap_or(&run.run).clone());
                    let measured = entry.or_insert_with_key(|run| MeasuredRun::new(run, false));
                    measured.jobs = measured.jobs.saturating_add(run.jobs);
                    let bytes = run.job_bytes.saturating_add(run.log_bytes);
                    measured.remote_bytes = measured.remote_bytes.saturating_add(bytes);
                }
                HostAnswer::Usage(HostUsage::new(&usage, shared_with))
            }
        };
        hosts.push(MeasuredHost { host, answer });
    }
    let mut runs: Vec<MeasuredRun> = runs.into_values().collect();
    runs.sort_by_key(|run| Reverse(run.remote_bytes.saturating_add(run.local_bytes)));
    Measured { state_dir: from_os(state.path().as_os_str()).into_owned(), state_bytes, hosts, runs }
}

impl MeasuredRun {
    fn new(run: &RunId, is_recorded: bool) -> Self {
        MeasuredRun { run: run.to_string(), is_recorded, jobs: 0, remote_bytes: 0, local_bytes: 0 }
    }
}

impl HostUsage {
    fn new(usage: &DiskUsage, shared_with: Option<String>) -> Self {
        let sum = |of: fn(&RunUsage) -> u64| usage.runs.iter().map(of).fold(0, u64::saturating_add);
        HostUsage {
            results_dir: usage.results_dir.shown().to_string(),
            shared_with,
            total_bytes: usage.total_bytes(),
            job_bytes: sum(|run| run.job_bytes).saturating_add(usage.by_hand.1),
            staged_bytes: usage.staged_bytes,
            program_bytes: usage.program_bytes,
            log_bytes: sum(|run| run.log_bytes),
            other_bytes: usage.other_bytes,
            free_bytes: usage.free_bytes,
            is_partial: usage.is_partial,
        }
    }
}
