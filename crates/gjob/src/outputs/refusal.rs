//! Why a job's outputs are not taken as they come.

use std::io;

use gjob_core::output::{MAX_ENTRIES, PathError};
use gjob_core::text::Shown;

use super::{CollectError, CollectScope};

/// Why outputs were refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// The host's agent does what none has reason to.
    #[error("the host's agent {0}")]
    Violation(#[from] Violation),
    /// They are more than is accepted.
    #[error("its outputs come to more than the {limit} bytes that are accepted")]
    TooLarge { limit: u64 },
    /// Their names are.
    #[error("its outputs' paths come to more than the {limit} bytes that are accepted")]
    TooMuchPath { limit: u64 },
    /// A name that this side's file system does not take.
    #[error("its output {path:?} cannot be kept here: {source}")]
    Name { path: String, source: io::Error },
    /// A file was changed between two connections: what is here may be no part
    /// of it. It is to be asked for anew.
    #[error("{path:?} was changed while it was fetched")]
    Changed { path: String },
    /// Files came or went between two connections, among those that are here.
    /// All is to be asked for anew.
    #[error("files were added or removed while they were fetched")]
    Altered,
    /// What comes is not what is recorded.
    #[error("its host has something else now: output {path:?} changed since it was fetched")]
    Unrecorded { path: String },
    /// Nothing is there that was asked for.
    #[error("nothing matches {patterns}")]
    Nothing { patterns: String },
    /// Somebody else has put something there.
    #[error("{path} exists and was not created by this run: move it, or choose another --into")]
    InTheWay { path: String },
    /// This side's disk.
    #[error("cannot write {what}: {source}")]
    Here { what: String, source: io::Error },
}

/// What no agent has reason to send. Reads on from "the host's agent".
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Violation {
    #[error("sent an output {path:?}, which {source}")]
    Path { path: String, source: PathError },
    #[error("sent the output {path:?} out of order, behind {last:?}")]
    Order { path: String, last: String },
    #[error("sent the output {path:?} below a file")]
    BelowFile { path: String },
    #[error("sent more than {MAX_ENTRIES} outputs of one job")]
    TooMany,
    #[error("sent content that belongs to no output")]
    Stray,
    #[error("sent {path:?} behind an output that was not complete")]
    Unfinished { path: String },
    #[error("sent more of the output {path:?} than the {size} bytes it had announced")]
    TooLong { path: String, size: u64 },
    #[error("ended the output {path:?} after {got} of {size} bytes")]
    TooShort { path: String, got: u64, size: u64 },
    #[error("sent the output {path:?} from byte {offset} on, which was not asked for")]
    Offset { path: String, offset: u64 },
    #[error("sent the output {path:?} with a hash that is not its content's")]
    Hash { path: String },
    #[error("counts {said} files among a job's outputs, having sent {sent}")]
    Count { said: u64, sent: u64 },
    #[error("ended a job's outputs within one")]
    Cut,
}

/// A path from a host, for a message.
pub(super) fn shown(path: &str) -> String {
    Shown::new(path).into()
}

impl Refusal {
    /// What failed on this side: the disk, unless it is about the name.
    pub(super) fn of_io(path: &str, source: io::Error) -> Self {
        use io::ErrorKind::{
            AlreadyExists, InvalidFilename, InvalidInput, IsADirectory, NotADirectory,
        };
        let path = shown(path);
        match source.kind() {
            AlreadyExists | InvalidFilename | InvalidInput | IsADirectory | NotADirectory => {
                Refusal::Name { path, source }
            }
            _ => Refusal::Here { what: format!("output {path:?}"), source },
        }
    }

    pub(super) fn into_error(self) -> CollectError {
        let scope = match &self {
            Refusal::Violation(_) | Refusal::Changed { .. } | Refusal::Altered => {
                CollectScope::Host
            }
            Refusal::TooLarge { .. }
            | Refusal::TooMuchPath { .. }
            | Refusal::Name { .. }
            | Refusal::Unrecorded { .. }
            | Refusal::Nothing { .. } => CollectScope::Job,
            Refusal::InTheWay { .. } | Refusal::Here { .. } => CollectScope::Here,
        };
        CollectError { scope, reason: self.to_string() }
    }
}
