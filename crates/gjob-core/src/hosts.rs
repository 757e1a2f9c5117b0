//! Hosts and clusters as a user names them: host lists, hosts files and the
//! original's cluster files. From text to entries; files are read elsewhere,
//! and cluster files in TOML are taken apart in `gjob`.
//!
//! An entry is `[SLOTS/][USER@]NAME[:PORT]`. A name may hold ranges,
//! `node[01-32,40]`, also several; `:` is this machine; an IPv6 address is
//! written in brackets, `[::1]:22`.

mod choice;
mod connect;
mod entry;
mod error;
mod item;
mod limits;
mod names;
mod options;
mod reader;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub(crate) use choice::bare_name;
pub use choice::{Choice, ChoiceError, MAX_LABEL_BYTES};
pub use connect::{ConnectCommand, ConnectCommandError};
pub use entry::HostEntry;
pub use error::{HostError, HostErrors, HostProblem, Place};
pub use limits::{HostLimits, LoadLimit, LoadLimitError, MAX_NICE};
pub use options::{HostOptions, ResultsDirError, check_results_dir};
pub use reader::{HostReader, items};

/// The most hosts that all lists and files of a run may name.
pub const MAX_HOSTS: usize = 100_000;

/// The most slots that may be given to one host.
pub const MAX_SLOTS: u32 = 10_000;

/// Worker hosts that are reached in the same way, and their management node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cluster {
    /// Its name, if it came from a cluster file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The node by which the workers can be reached, if there is one; it runs
    /// no jobs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub management: Option<HostEntry>,
    /// The hosts that run jobs; at least one.
    pub workers: Vec<HostEntry>,
    /// Options for these hosts; what is none is left to the run's.
    pub options: HostOptions,
}

impl Cluster {
    /// Hosts without a management node.
    #[must_use]
    pub fn of_hosts(workers: Vec<HostEntry>) -> Self {
        Cluster { workers, ..Cluster::default() }
    }

    /// The same hosts with these options.
    #[must_use]
    pub fn with_options(self, options: HostOptions) -> Self {
        Cluster { options, ..self }
    }
}

/// Reads a host list: entries with commas between them.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse_list(list: &str) -> Result<Vec<HostEntry>, HostErrors> {
    let mut reader = HostReader::new();
    let hosts = reader.list(list);
    reader.finish()?;
    Ok(hosts)
}

/// Reads a hosts file's `text`: one entry a line, `#` comments, blank lines. Labels may
/// follow an entry: `node[1-4] labels=a100,big`.
/// Errors call the file `name`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse_hosts_file(name: &str, text: &str) -> Result<Vec<HostEntry>, HostErrors> {
    let mut reader = HostReader::new();
    let hosts = reader.hosts_file(name, text);
    reader.finish()?;
    Ok(hosts)
}

/// Reads a cluster file's `text`: the first line is the management node, the
/// others are the workers; `#` comments, blank lines. Errors call the file
/// `name`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse_cluster_file(name: &str, text: &str) -> Result<Cluster, HostErrors> {
    let mut reader = HostReader::new();
    let cluster = reader.cluster_file(name, text);
    reader.finish()?;
    // A reader without errors has given a cluster.
    cluster.ok_or_else(HostErrors::default)
}
