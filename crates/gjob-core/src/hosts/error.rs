//! What can be wrong with the hosts a user names, each with its place.

use std::fmt;

use super::{MAX_HOSTS, MAX_SLOTS};

/// Everything that is wrong with the hosts a user named; printed one a line.
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
            Place::Line { file, line } => write!(f, "{file}:{line}"),
            Place::File(file) => f.write_str(file),
        }
    }
}

/// What is wrong with an entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostProblem {
    /// Nothing between two commas, or at an end of the list.
    #[error("empty entry: [SLOTS/][USER@]NAME[:PORT] is expected")]
    Empty,
    /// Slots that are no number, 0, or too many.
    #[error("slots {0:?} are not accepted: a number from 1 to {MAX_SLOTS} is")]
    Slots(String),
    /// A user name that ssh or a shell could misread.
    #[error("user {0:?} is not accepted: letters, digits and -._@ are, not beginning with a dash")]
    User(String),
    /// A host name that ssh or a shell could misread.
    #[error(
        "host name {0:?} is not accepted: letters, digits and -._ are, not beginning with a dash, up to 200 of them"
    )]
    Name(String),
    /// A port that is no number, 0, or too large.
    #[error("port {0:?} is not accepted: a number from 1 to 65535 is")]
    Port(String),
    /// Brackets that hold no range.
    #[error(
        "range {0:?} is not accepted: numbers and ascending pairs in brackets are, such as [01-32,40]"
    )]
    Range(String),
    /// A range whose end comes before its start.
    #[error("range {start}-{end} is reversed: {end}-{start} would be accepted")]
    ReversedRange {
        /// The number before the dash.
        start: String,
        /// The number behind it.
        end: String,
    },
    /// Brackets that hold no IPv6 address.
    #[error("{0:?} is not an IPv6 address: one such as [fe80::1%eth0] is expected")]
    Ipv6(String),
    /// An IPv6 address that can't be told from a name with a port.
    #[error("{0:?} has more than one colon: an IPv6 address is written in brackets, [::1]")]
    BareIpv6(String),
    /// This machine with a user or a port.
    #[error("{0:?} is not accepted: this machine is written : or SLOTS/:")]
    Local(String),
    /// More hosts than a run may have.
    #[error("{0} hosts or more up to here: at most {MAX_HOSTS} are accepted in all")]
    TooMany(usize),
    /// Hosts that were named before.
    #[error("host {name:?} {}was named before, at {first}: each is named once", others(more))]
    Duplicate {
        /// The first of them.
        name: String,
        /// How many more of the entry's hosts were named before.
        more: usize,
        /// Where that first one stands already.
        first: Place,
    },
    /// A file without hosts.
    #[error("no host in it: one a line is expected, [SLOTS/][USER@]NAME[:PORT]")]
    NoHost,
    /// A cluster file of one line.
    #[error(
        "no worker in it: the first line is the management node, the following ones are its workers"
    )]
    NoWorker,
    /// A first line that names several hosts.
    #[error("the management node is given as {0} hosts: the first line names one")]
    SeveralManagementNodes(usize),
    /// Slots for a node that runs no jobs.
    #[error(
        "slots are given for the management node, which runs no jobs: [USER@]NAME[:PORT] is expected"
    )]
    ManagementSlots,
}

fn others(more: &usize) -> String {
    match more {
        0 => String::new(),
        more => format!("(and {more} more of this entry) "),
    }
}
