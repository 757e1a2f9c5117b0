//! What can be wrong with the hosts a user names, each with its place.

use std::fmt;

use crate::plain_text::TextError;
use crate::text::printable;

use super::{ConnectCommandError, MAX_HOSTS, MAX_LABEL_BYTES, MAX_SLOTS, ResultsDirError};

/// Everything that is wrong with the hosts a user named; printed one per line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostErrors(pub Vec<HostError>);

impl fmt::Display for HostErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            let line_end = if i == 0 { "" } else { "\n" };
            write!(f, "{line_end}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for HostErrors {}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct HostError {
    /// Where it was found.
    pub place: Place,
    /// What was found, and what would be accepted.
    pub problem: HostProblem,
}

/// Where an entry stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a host list.
    Item(usize),
    /// On a line of a file.
    Line {
        /// The file's name.
        file: String,
        /// The line, from 1.
        line: usize,
    },
    /// In a file as a whole.
    File(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Item(number) => write!(f, "host list, item {number}"),
            Place::Line { file, line } => write!(f, "{}:{line}", printable(file)),
            Place::File(file) => f.write_str(&printable(file)),
        }
    }
}

/// What is wrong with an entry, or with a key of a cluster file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostProblem {
    /// Nothing between two commas, or at an end of the list.
    #[error("empty entry: expected [SLOTS/][USER@]NAME[:PORT]")]
    Empty,
    /// Slots that are no number, 0, or too many.
    #[error("invalid slots {0:?}: expected a number from 1 to {MAX_SLOTS}")]
    Slots(String),
    /// A number of slots after the host instead of before it.
    #[error("invalid host {host}/{slots}: slots come first, expected {slots}/{host}")]
    SlotsLast {
        /// What stands before the slash.
        host: String,
        /// The number after it.
        slots: String,
    },
    /// A group where only hosts are accepted.
    #[error("{0} is a group of gjob.toml: expected a host, or the group in -H, without slots")]
    Group(String),
    /// A user name that ssh or a shell could misread.
    #[error("invalid user {0:?}: expected letters, digits and -._@, not starting with a dash")]
    User(String),
    /// A host name that ssh or a shell could misread.
    #[error(
        "invalid host name {0:?}: expected up to 200 letters, digits and -._, not starting with \
         a dash"
    )]
    Name(String),
    /// A port that is no number, 0, or too large.
    #[error("invalid port {0:?}: expected a number from 1 to 65535")]
    Port(String),
    /// Brackets that hold no range.
    #[error(
        "invalid range {0:?}: expected numbers and ascending ranges in brackets, such as [01-32,40]"
    )]
    Range(String),
    /// A range whose end comes before its start.
    #[error("reversed range {start}-{end}: expected {end}-{start}")]
    ReversedRange {
        /// The number before the dash.
        start: String,
        /// The number after it.
        end: String,
    },
    /// Brackets that hold no IPv6 address.
    #[error("invalid IPv6 address {0:?}: expected one such as [fe80::1%eth0]")]
    Ipv6(String),
    /// An IPv6 address that looks like a name with a port.
    #[error("invalid host {0:?}: an IPv6 address is written in brackets, such as [::1]:22")]
    BareIpv6(String),
    /// This machine with a user or a port.
    #[error("invalid host {0:?}: this machine is written : or SLOTS/:")]
    Local(String),
    /// More hosts than a run may have.
    #[error("too many hosts: {0} or more so far, at most {MAX_HOSTS} are allowed")]
    TooMany(usize),
    /// Hosts that were named before.
    #[error("host {name:?} {}is named twice, first at {first}", others(more))]
    Duplicate {
        /// The first of them.
        name: String,
        /// How many more of the entry's hosts were named before.
        more: usize,
        /// Where that first one was named.
        first: Place,
    },
    /// A file without hosts.
    #[error("no hosts: expected [SLOTS/][USER@]NAME[:PORT], one per line")]
    NoHost,
    /// A cluster file of one line.
    #[error("no workers: expected the management node on the first line, and its workers below")]
    NoWorker,
    /// Several hosts where one is meant.
    #[error("invalid management node: expected one host, found {0}")]
    SeveralManagementNodes(usize),
    /// Slots for a node that runs no jobs.
    #[error("the management node runs no jobs: expected [USER@]NAME[:PORT], without slots")]
    ManagementSlots,
    /// A text in another encoding.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A text that is not TOML.
    #[error("invalid TOML: {0}")]
    Toml(String),
    /// A cluster file in TOML without clusters.
    #[error("no clusters: expected tables [cluster.NAME]")]
    NoCluster,
    /// A cluster's name that could not stand in a label.
    #[error("invalid cluster name {0:?}: expected up to 40 letters, digits and -_")]
    ClusterName(String),
    /// A label that no job could name.
    #[error("invalid label {0:?}: expected up to {MAX_LABEL_BYTES} letters, digits and -_")]
    Label(String),
    /// A variable that no job can have.
    #[error("{0}")]
    Variable(String),
    /// A key that means nothing.
    #[error("unknown key {found:?}: {}", suggestion(nearest.as_deref(), expected))]
    UnknownKey {
        /// The key.
        found: String,
        /// The known key that may have been meant.
        nearest: Option<String>,
        /// All of them.
        expected: &'static str,
    },
    /// A cluster without hosts.
    #[error("cluster {0} has no hosts: expected hosts = \"node[1-4]\" or a list of such texts")]
    MissingHosts(String),
    /// A value of another type.
    #[error("invalid {key}: expected {expected}, found {found}")]
    Type {
        /// Its key.
        key: String,
        /// What it could be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// A directory name that cannot be sent.
    #[error(transparent)]
    ResultsDir(#[from] ResultsDirError),
    /// A command that cannot open a pipe.
    #[error(transparent)]
    Connect(#[from] ConnectCommandError),
}

fn suggestion(nearest: Option<&str>, expected: &str) -> String {
    match nearest {
        Some(nearest) => format!("did you mean {nearest:?}?"),
        None => format!("expected {expected}"),
    }
}

fn others(more: &usize) -> String {
    match more {
        0 => String::new(),
        more => format!("(and {more} more of this entry) "),
    }
}
