//! The hosts of a run, from the command line.

use std::path::Path;

use anyhow::{Context, anyhow};
use gjob::NetworkError;
use gjob::program::Platform;
use gjob::settings::{RunSettings, SavedHost};
use gjob_core::HostEntry;
use gjob_core::hosts::HostReader;

use crate::cli::HostArgs;

/// Collects the hosts that the options name; this machine when they name none.
/// Every error is put into `errors`.
pub(super) fn collect(args: &HostArgs, errors: &mut Vec<anyhow::Error>) -> Vec<HostEntry> {
    let mut reader = HostReader::new();
    let mut hosts: Vec<HostEntry> = args.hosts.iter().flat_map(|list| reader.list(list)).collect();
    for path in &args.hosts_file {
        if let Some((name, text)) = read(path, errors) {
            hosts.extend(reader.hosts_file(&name, &text));
        }
    }
    for path in &args.cluster {
        if let Some((name, text)) = read(path, errors) {
            hosts.extend(reader.cluster_file(&name, &text).into_iter().flat_map(|c| c.workers));
        }
    }
    match reader.finish() {
        Err(found) => errors.push(found.into()),
        Ok(())
            if args.hosts.is_empty() && args.hosts_file.is_empty() && args.cluster.is_empty() =>
        {
            hosts.push(HostEntry::local());
        }
        Ok(()) => {}
    }
    hosts
}

fn read(path: &Path, errors: &mut Vec<anyhow::Error>) -> Option<(String, String)> {
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => Some((name, text)),
        Err(error) => {
            errors.push(anyhow!("{name}: {error}"));
            None
        }
    }
}

/// The settings that a run's hosts are reached with.
pub(super) fn settings(
    args: &HostArgs,
    hosts: &[HostEntry],
    errors: &mut Vec<anyhow::Error>,
) -> RunSettings {
    if args.results_dir.contains(['\n', '\0']) {
        errors.push(NetworkError::ResultsDir(args.results_dir.clone()).into());
    }
    let ssh_config = args.ssh_config.as_deref().and_then(|path| {
        let absolute = std::fs::canonicalize(path);
        absolute.map_err(|error| errors.push(anyhow!("{}: {error}", path.display()))).ok()
    });
    let blob_budget = super::size("--blob-budget", args.blob_budget.as_deref(), errors);
    let mut agents = Vec::new();
    for agent in &args.agent {
        match parse_agent(agent) {
            Ok(parsed) => agents.push(parsed),
            Err(error) => errors.push(error),
        }
    }
    RunSettings {
        hosts: hosts.iter().map(SavedHost::from).collect(),
        results_dir: args.results_dir.clone(),
        ssh_config,
        slots: args.slots,
        blob_budget,
        agents,
        ..RunSettings::default()
    }
}

fn parse_agent(text: &str) -> anyhow::Result<(String, std::path::PathBuf)> {
    let (platform, path) = text
        .split_once('=')
        .ok_or_else(|| anyhow!("--agent {text:?}: OS-ARCH=PATH is expected"))?;
    let platform: Platform = platform.parse().context("--agent")?;
    let path = std::fs::canonicalize(path).with_context(|| format!("--agent {path}"))?;
    Ok((platform.to_string(), path))
}
