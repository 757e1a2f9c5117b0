//! What may not be as it was meant, though it is valid: said before a run starts.

use std::path::Path;
use std::sync::Arc;

use gjob_core::hosts::{Cluster, HostEntry};
use gjob_core::{JobSpec, os_text::to_path};

use crate::cli::HostArgs;

/// Ports below this one are hardly those of an sshd, and look like numbers of slots.
const LEAST_PORT: u16 = 256;

/// ssh's own.
const SSH_PORT: u16 = 22;

/// As many jobs are looked at.
const LOOKED_AT: usize = 100;

/// Notes on the hosts that the command line names.
pub(super) fn on_hosts(args: &HostArgs, clusters: &[Cluster]) -> Vec<String> {
    let named = |host: &&HostEntry| !host.is_local();
    let hosts = || clusters.iter().flat_map(|cluster| &cluster.workers).filter(named);
    let mut notes = Vec::new();
    for host in hosts() {
        if let Some(port) = host.port.filter(|port| *port < LEAST_PORT && *port != SSH_PORT) {
            let name = host.destination();
            notes.push(format!(
                "{name}:{port} is port {port} of {name}; {port} jobs at once are {port}/{name}"
            ));
        }
    }
    let is_word = |word: &&&str| {
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        word.chars().all(is_name) && Path::new(word).is_file()
    };
    let words: Vec<&str> = args.hosts.iter().flat_map(|list| list.split(',')).collect();
    if let Some(file) = words.iter().find(is_word) {
        notes.push(format!("{file} is a file, too: --hosts-file {file} reads hosts from it"));
    }
    notes
}

/// A note on a relative path that a job's command names as it is here: in the job's
/// directory the file has its base name only.
pub(super) fn on_files(specs: &[Arc<JobSpec>]) -> Option<String> {
    specs.iter().take(LOOKED_AT).find_map(|spec| {
        let files = spec.files.iter().filter(|file| file.contains('/') && !file.starts_with('/'));
        let mut files = files.map(|file| file.trim_end_matches('/').trim_start_matches("./"));
        let is_named =
            |file: &&str| file.contains('/') && spec.cmds.iter().any(|cmd| cmd.contains(file));
        let file = files.find(is_named)?;
        let path = to_path(file);
        let (base, first) = (path.file_name()?.display(), path.components().next()?);
        Some(format!(
            "{file} is {base} in the job's directory; -f {} sends all of that directory",
            first.as_os_str().display()
        ))
    })
}
