//! The hosts of a run, from the command line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context, anyhow};
use gjob::cluster_file;
use gjob::config::Group;
use gjob::limits::{LIMITS, set_limit};
use gjob::program::Platform;
use gjob::settings::NetworkSettings;
use gjob_core::HostEntry;
use gjob_core::hosts::{
    Cluster, ConnectCommand, HostLimits, HostOptions, HostReader, Place, items,
};
use gjob_core::os_text::{from_os, to_path};
use gjob_core::plain_text::{self, TextError};

use super::config::Setup;
use crate::cli::{HostArgs, TaskArgs, defaults};
use crate::exit::Failure;

/// Collects the clusters that the options name; this machine when they name
/// none. Every error is put into `errors`.
fn clusters(
    args: &HostArgs,
    setup: &Setup,
    given: &HostOptions,
    errors: &mut Vec<anyhow::Error>,
) -> Vec<Cluster> {
    let mut reader = HostReader::new();
    let mut hosts = Vec::new();
    let mut groups = Vec::new();
    for list in &args.hosts {
        for (number, item) in items(list).enumerate() {
            let place = match setup.hosts_from_environment {
                true => Place::File(defaults::HOSTS.to_owned()),
                false => Place::Item(number + 1),
            };
            match item.strip_prefix('@') {
                Some(name) => groups.extend(group(name, &place, setup, &mut reader, errors)),
                None => hosts.extend(reader.list_at(&place, item)),
            }
        }
    }
    for path in &args.hosts_file {
        if let Some((name, text)) = read(path, |path| fs::read(path), &mut reader, errors) {
            hosts.extend(reader.hosts_file(&name, &text));
        }
    }
    let mut from_files = Vec::new();
    for path in &args.cluster {
        if let Some((name, text)) = read(path, cluster_file::contents, &mut reader, errors) {
            from_files.extend(cluster_file::read(&mut reader, &name, &text));
        }
    }
    let is_named =
        !args.hosts.is_empty() || !args.hosts_file.is_empty() || !args.cluster.is_empty();
    match reader.finish() {
        Err(found) => errors.push(found.into()),
        Ok(()) if !is_named => hosts.push(HostEntry::local()),
        Ok(()) => {}
    }
    let named = Group { hosts, ..Group::default() };
    let groups = std::iter::once(named).chain(groups);
    let clusters = groups.flat_map(|group| setup.config.clusters(group, given));
    clusters.chain(from_files).collect()
}

/// The hosts of a group in `gjob.toml` that were not named before.
fn group(
    name: &str,
    place: &Place,
    setup: &Setup,
    reader: &mut HostReader,
    errors: &mut Vec<anyhow::Error>,
) -> Option<Group> {
    let Some(group) = setup.config.group(name) else {
        let file = Path::new(name).is_file();
        let help = format!("\nhelp: --hosts-file {name} reads hosts from the file {name}");
        let help = if file { help.as_str() } else { "" };
        errors.push(anyhow!("{place}: {}{help}", setup.config.no_group(name)));
        return None;
    };
    let hosts = reader.others(group.hosts, place);
    Some(Group { hosts, ..group })
}

/// A file's name, and its text out of its `contents`. What is wrong with the text is for `reader` to say.
fn read(
    path: &Path,
    contents: fn(&Path) -> io::Result<Vec<u8>>,
    reader: &mut HostReader,
    errors: &mut Vec<anyhow::Error>,
) -> Option<(String, String)> {
    let file = from_os(path.as_os_str()).into_owned();
    let bytes = match contents(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            errors.push(anyhow!("{file}: {error}"));
            return None;
        }
    };
    match plain_text::read(&bytes) {
        Ok(text) => Some((file, text)),
        Err(error) => {
            let place = match error {
                TextError::NotUtf8 { line, .. } => Place::Line { file, line },
                _ => Place::File(file),
            };
            reader.error(place, error);
            None
        }
    }
}

fn no_ssh_config(path: &Path, error: &io::Error) -> anyhow::Error {
    let path = path.display();
    anyhow!("--ssh-config {path}: expected an ssh configuration file: {error}")
}

/// The hosts that the options name, and how they are reached. Every error is
/// put into `errors`.
pub(super) fn settings(
    args: &HostArgs,
    tasks: &TaskArgs,
    setup: &Setup,
    errors: &mut Vec<anyhow::Error>,
) -> NetworkSettings {
    let before = errors.len();
    let ssh_config = args.ssh_config.as_deref().and_then(|path| {
        let absolute = std::fs::canonicalize(path);
        absolute.map_err(|error| errors.push(no_ssh_config(path, &error))).ok()
    });
    let options = HostOptions {
        results_dir: Some(args.results_dir.clone()).filter(|dir| !dir.is_empty()),
        connect: connect(args, errors),
        ssh_config,
        slots: args.slots,
        lease: None,
        blob_budget: super::size("--blob-budget", args.blob_budget.as_deref(), errors),
        setup: tasks.setup.clone(),
        teardown: tasks.teardown.clone(),
        env: BTreeMap::new(),
        limits: limits(args, errors),
    };
    let clusters = clusters(args, setup, &setup.given(&options), errors);
    if setup.given(&options).connect.is_some() {
        check_connect(&clusters, errors);
    }
    let mut agents = BTreeMap::new();
    for agent in &args.agent {
        match parse_agent(agent) {
            Ok((platform, path)) => drop(agents.insert(platform, path)),
            Err(error) => errors.push(error),
        }
    }
    let settings = NetworkSettings { clusters, options, agents };
    if errors.len() == before {
        errors.extend(settings.plan_hosts().err().map(anyhow::Error::from));
    }
    settings
}

/// The same, for a command that takes nothing but hosts.
pub(super) fn checked_settings(args: &HostArgs, setup: &Setup) -> Result<NetworkSettings, Failure> {
    let mut errors = Vec::new();
    let network = settings(args, &TaskArgs::default(), setup, &mut errors);
    let lines: Vec<String> = errors.iter().map(|error| format!("{error:#}")).collect();
    match lines.is_empty() {
        true => Ok(network),
        false => Err(Failure::input(anyhow!("{}", lines.join("\n")))),
    }
}

/// What keeps a run from taking all that hosts have.
fn limits(args: &HostArgs, errors: &mut Vec<anyhow::Error>) -> HostLimits {
    let mut limits = HostLimits::default();
    let oversubscribe = args.oversubscribe.then(|| "true".to_owned());
    let texts = [&args.min_free, &args.load, &args.nice, &args.delay, &oversubscribe];
    for (name, text) in LIMITS.iter().zip(texts) {
        if let Some(Err(error)) = text.as_ref().map(|text| set_limit(&mut limits, name, text)) {
            errors.push(anyhow!("--{name}: {error}"));
        }
    }
    limits
}

/// The command that --connect gives.
fn connect(args: &HostArgs, errors: &mut Vec<anyhow::Error>) -> Option<ConnectCommand> {
    let here = std::env::current_dir().unwrap_or_default();
    let parsed = args.connect.as_deref()?.parse::<ConnectCommand>().context("--connect");
    Some(parsed.map_err(|error| errors.push(error)).ok()?.from_dir(&here))
}

/// A command that reaches no host is a mistake.
fn check_connect(clusters: &[Cluster], errors: &mut Vec<anyhow::Error>) {
    let needs_it = |cluster: &Cluster| {
        cluster.options.connect.is_none() && !cluster.workers.iter().all(HostEntry::is_local)
    };
    if !clusters.is_empty() && !clusters.iter().any(needs_it) {
        errors.push(anyhow!("--connect is not used by any host: name hosts with -H"));
    }
}

fn parse_agent(text: &str) -> anyhow::Result<(Platform, PathBuf)> {
    let (platform, path) = text
        .split_once('=')
        .ok_or_else(|| anyhow!("invalid --agent {text:?}: expected OS-ARCH=PATH"))?;
    let platform: Platform = platform.parse().context("--agent")?;
    let path = std::fs::canonicalize(to_path(path)).with_context(|| format!("--agent {path}"))?;
    Ok((platform, path))
}
