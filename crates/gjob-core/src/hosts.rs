//! Hosts and clusters as a user names them: host lists, hosts files and the
//! original's cluster files. From text to entries; files are read elsewhere.
//!
//! An entry is `[SLOTS/][USER@]NAME[:PORT]`. A name may hold ranges,
//! `node[01-32,40]`, also several; `:` is this machine; an IPv6 address is
//! written in brackets, `[::1]:22`.

mod entry;
mod error;
mod item;
mod names;
mod reader;
#[cfg(test)]
mod tests;

pub use entry::HostEntry;
pub use error::{HostError, HostErrors, HostProblem, Place};
pub use reader::HostReader;

/// The most hosts that all lists and files of a run may name.
pub const MAX_HOSTS: usize = 100_000;

/// The most slots that may be given to one host.
pub const MAX_SLOTS: u32 = 10_000;

/// A management node and its worker hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// The node by which the workers can be reached, if there is one; it runs
    /// no jobs.
    pub management: Option<HostEntry>,
    /// The hosts that run jobs; at least one.
    pub workers: Vec<HostEntry>,
}

impl Cluster {
    /// Hosts without a management node.
    #[must_use]
    pub fn of_hosts(workers: Vec<HostEntry>) -> Self {
        Cluster { management: None, workers }
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

/// Reads a hosts file's `text`: one entry a line, `#` comments, blank lines.
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
