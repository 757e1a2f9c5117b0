//! `gjob fetch`: fetches output files of jobs later, or again, or other files than
//! the declared ones.

use std::io::Write;
use std::path::Path;

use anyhow::anyhow;
use gjob::Network;
use gjob::outputs::{CollectOrder, OutputProgress, OutputsConfig};
use gjob::settings::OutputSettings;
use gjob_core::jobdir::OwnFile;
use gjob_core::output::OutputPattern;
use gjob_core::plural::counted;
use gjob_core::run::HostIx;
use gjob_core::text::printable;
use gjob_core::{JobSpec, Run, State};

use super::{Recorded, find_run, read_run, selection};
use crate::cli::FetchArgs;
use crate::exit::{ALL_DONE, Failure, NOT_ALL_DONE, print_error};

const NAME_OUTPUTS: &str = "help: say what to fetch with -o GLOB";

pub(crate) fn run(args: &FetchArgs) -> Result<u8, Failure> {
    check_patterns(&args.output)?;
    let dir = find_run(args.run.word())?;
    let Recorded { run, row, settings } = read_run(&dir)?;
    let into = match &args.into {
        Some(into) => std::path::absolute(into).map_err(Failure::input)?,
        None => settings.outputs.dir(dir.run()),
    };
    let orders = orders(args, &run, &settings.outputs).map_err(Failure::input)?;
    let config = OutputsConfig {
        tag: Some(row.on_hosts.to_string()),
        follows: settings.outputs.follows.clone(),
        ..OutputsConfig::new(into.clone(), settings.outputs.max_bytes)
    };
    let network = Network::from_settings(&settings).map_err(Failure::machinery)?;
    if orders.is_empty() {
        return Err(Failure::input(match args.output.is_empty() {
            true => anyhow!("nothing to fetch: no ended job declares outputs\n{NAME_OUTPUTS}"),
            false => {
                let patterns = args.output.join(", ");
                anyhow!("nothing to fetch for {patterns}: no job that was started has ended")
            }
        }));
    }
    fetch(network.outputs(Some(config)), orders, &into)
}

fn check_patterns(patterns: &[String]) -> Result<(), Failure> {
    let wrong = |pattern: &String| match OutputPattern::new(pattern) {
        Ok(_) => None,
        Err(error) => Some(format!("--output {pattern:?} {error}")),
    };
    let errors: Vec<String> = patterns.iter().filter_map(wrong).collect();
    if errors.is_empty() { Ok(()) } else { Err(Failure::input(anyhow!(errors.join("\n")))) }
}

/// What to fetch from which jobs: the named ones, or all ended jobs that declare
/// outputs.
fn orders(
    args: &FetchArgs,
    run: &Run,
    settings: &OutputSettings,
) -> anyhow::Result<Vec<(HostIx, CollectOrder)>> {
    let named = !args.jobs.is_empty();
    let chosen: Vec<_> = match named {
        true => selection::select(run.jobs(), &args.jobs)?,
        false => run.jobs().iter().collect(),
    };
    let mut orders = Vec::new();
    for job in chosen {
        let (index, patterns) = (job.index, patterns(args, &job.spec));
        let host = job.host().and_then(|host| run.position(host));
        let (Some(host), Some(key), Some(id), true) = (host, job.key(), job.id(), job.has_ended())
        else {
            if named {
                let why = if job.has_ended() { "was never started" } else { "has not ended" };
                return Err(anyhow!("job {index} {why}"));
            }
            continue;
        };
        if patterns.is_empty() {
            if named {
                return Err(anyhow!("job {index} declares no outputs\n{NAME_OUTPUTS}"));
            }
            continue;
        }
        let order = CollectOrder {
            key,
            id: id.clone(),
            dir_name: settings.job_dir_name(job.name(), index),
            patterns,
            all: job.state() == State::Done && args.output.is_empty(),
            merge: true,
            recorded: Vec::new(),
            may_be_in_place: false,
        };
        orders.push((host, order));
    }
    orders.sort_by_key(|(_, order)| order.key);
    orders.dedup_by_key(|(_, order)| order.key);
    Ok(orders)
}

fn patterns(args: &FetchArgs, spec: &JobSpec) -> Vec<String> {
    let mut patterns =
        if args.output.is_empty() { spec.outputs.clone() } else { args.output.clone() };
    if args.results {
        patterns.extend(OwnFile::STREAMS.map(|file| file.name().to_owned()));
    }
    patterns
}

fn fetch(
    mut network: Network,
    orders: Vec<(HostIx, CollectOrder)>,
    into: &Path,
) -> Result<u8, Failure> {
    let jobs = orders.len();
    let (mut fetched, mut files, mut bytes) = (0, 0, 0);
    for (_, progress) in network.fetch_outputs(orders).map_err(Failure::machinery)? {
        let OutputProgress::Collected { key, result } = progress else { continue };
        match result {
            Ok(outputs) => {
                fetched += 1;
                files += outputs.files.len();
                bytes += outputs.bytes;
            }
            Err(error) => print_error(&format!("job {}: {}", key.index, error.reason)),
        }
    }
    let summary = format!(
        "fetched {fetched} of {}: {}, {} in {}",
        counted(jobs as u64, "job"),
        counted(files as u64, "file"),
        counted(bytes, "byte"),
        into.display()
    );
    writeln!(std::io::stdout(), "{}", printable(&summary)).map_err(Failure::machinery)?;
    Ok(if fetched == jobs { ALL_DONE } else { NOT_ALL_DONE })
}
