//! `gjob fetch`: brings outputs of jobs here later, or again, or others than
//! were asked for.

use std::io::Write;
use std::path::Path;

use anyhow::anyhow;
use gjob::Network;
use gjob::outputs::{CollectOrder, OutputProgress, OutputsConfig, job_dir_name};
use gjob::settings::RunSettings;
use gjob::store::{JobRow, Store};
use gjob_core::jobdir::OwnFile;
use gjob_core::output::OutputPattern;
use gjob_core::scheduler::HostIx;
use gjob_core::text::printable;
use gjob_core::{JobSpec, Key, State};

use super::{find_run, selection};
use crate::cli::FetchArgs;
use crate::exit::{ALL_DONE, Failure, NOT_ALL_DONE, print_error};

pub(crate) fn run(args: &FetchArgs) -> Result<u8, Failure> {
    check_patterns(&args.output)?;
    let dir = find_run(args.run.as_deref())?;
    let store = Store::read(&dir).map_err(Failure::machinery)?;
    let rows = store.jobs().map_err(Failure::machinery)?;
    let specs = store.specs().map_err(Failure::machinery)?;
    let row = store.run().map_err(Failure::machinery)?;
    drop(store);
    let settings = RunSettings::from_json(&row.settings).map_err(Failure::machinery)?;
    let into = match &args.into {
        Some(into) => std::path::absolute(into).map_err(Failure::input)?,
        None => settings.outputs.dir(dir.run()),
    };
    let orders = orders(args, &rows, |row| &specs[row.index as usize]).map_err(Failure::input)?;
    let config = OutputsConfig {
        merge: true,
        tag: Some(row.on_hosts.to_string()),
        ..OutputsConfig::new(into.clone(), settings.outputs.max_bytes)
    };
    let network = Network::from_settings(&settings).map_err(Failure::machinery)?;
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

/// What is to be brought of which jobs: of those that were named, or of all that
/// have ended and declare outputs.
fn orders<'a>(
    args: &FetchArgs,
    rows: &[JobRow],
    spec: impl Fn(&JobRow) -> &'a JobSpec,
) -> anyhow::Result<Vec<(HostIx, CollectOrder)>> {
    let named = !args.jobs.is_empty();
    let chosen: Vec<&JobRow> =
        if named { selection::select(rows, &args.jobs)? } else { rows.iter().collect() };
    let mut orders = Vec::new();
    for row in chosen {
        let patterns = patterns(args, spec(row));
        let ended = matches!(row.state, State::Done | State::Error | State::Unknown);
        let (Some(host), Some(id), true) = (row.host, &row.id, ended) else {
            if named {
                return Err(anyhow!("job {} has not ended: there is nothing to fetch", row.index));
            }
            continue;
        };
        if patterns.is_empty() {
            if named {
                let index = row.index;
                return Err(anyhow!("job {index} declares no outputs: -o GLOB says what to fetch"));
            }
            continue;
        }
        let order = CollectOrder {
            key: Key::new(row.index, row.attempt),
            id: id.clone(),
            dir_name: job_dir_name(row.name.as_deref(), row.index),
            patterns,
            all: row.state == State::Done && args.output.is_empty(),
        };
        orders.push((HostIx(host), order));
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
    if jobs == 0 {
        return Err(Failure::input(anyhow!(
            "nothing to fetch: no job that has ended declares outputs; -o GLOB says what to fetch"
        )));
    }
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
        "fetched {fetched} of {jobs} jobs: {files} files, {bytes} bytes in {}",
        into.display()
    );
    writeln!(std::io::stdout(), "{}", printable(&summary)).map_err(Failure::machinery)?;
    Ok(if fetched == jobs { ALL_DONE } else { NOT_ALL_DONE })
}
