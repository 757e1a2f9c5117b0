//! Why a file or directory cannot be sent to the hosts.

use std::io;
use std::path::{Path, PathBuf};

use gjob_core::tree::MAX_TREE_ENTRIES;

/// A file or directory that cannot be sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// It does not exist.
    #[error("file {path:?} does not exist")]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// It cannot be read.
    #[error("file {path:?} cannot be read: {source}")]
    Io {
        /// The path.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// Something without content.
    #[error("file {path:?} is {found}: expected a regular file or a directory")]
    Special {
        /// The path.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// Something else is in its place.
    #[error("file {path:?} was replaced by {found}: it must stay the same until the jobs are done")]
    Replaced {
        /// The path.
        path: PathBuf,
        /// What it is now.
        found: &'static str,
    },
    /// It was modified meanwhile.
    #[error("file {path:?} changed: it must stay the same until the jobs are done")]
    Changed {
        /// The path.
        path: PathBuf,
    },
    /// A name that hosts may not be able to create.
    #[error(
        "invalid name of file {path:?}: expected at most 255 bytes, at most 64 names deep and 4096 bytes in all"
    )]
    Name {
        /// The path.
        path: PathBuf,
    },
    /// A symbolic link to something that the hosts would not have.
    #[error(
        "symlink {path:?} leads out of its directory, to {target:?}: expected a relative one that stays inside"
    )]
    LinkOutside {
        /// The link.
        path: PathBuf,
        /// Its target.
        target: PathBuf,
    },
    /// More than can be listed.
    #[error("directory {path:?} has too many entries: expected at most {MAX_TREE_ENTRIES}")]
    TooMany {
        /// The directory.
        path: PathBuf,
    },
}

impl InputError {
    /// What is wrong now with a file that is looked at before anything depends on it.
    pub(crate) fn now(&self) -> String {
        match self {
            InputError::Changed { path } => format!("file {path:?} has changed"),
            InputError::Replaced { path, found } => format!("file {path:?} is {found} now"),
            other => other.to_string(),
        }
    }

    /// The error of reading a path.
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => InputError::Missing { path },
            _ => InputError::Io { path, source },
        }
    }
}
