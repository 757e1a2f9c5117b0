//! Why something can't be sent to the hosts.

use std::io;
use std::path::PathBuf;

use gjob_core::tree::MAX_TREE_ENTRIES;

/// A file or directory that can't be sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// It can't be read.
    #[error("file {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// Something without content.
    #[error("file {path} is {found}: a regular file or a directory is accepted")]
    Special {
        /// The path.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// Somebody writes to it.
    #[error("file {path} has changed: it must stay as it is until the jobs are done")]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A name that could not be told apart, shown, or made on every host.
    #[error(
        "file {path:?} has a name that is not accepted: in a directory, UTF-8 of up to 255 bytes without control characters is, at most 64 names deep"
    )]
    Name {
        /// The path.
        path: PathBuf,
    },
    /// A symbolic link to something that would not be there.
    #[error(
        "link {path} leads out of its directory, to {target:?}: in a directory, relative links that stay inside are accepted"
    )]
    LinkOutside {
        /// The link.
        path: PathBuf,
        /// What it holds.
        target: PathBuf,
    },
    /// A symbolic link whose words could not be sent.
    #[error(
        "link {path} holds {target:?}: in a directory, UTF-8 without control characters is accepted"
    )]
    LinkText {
        /// The link.
        path: PathBuf,
        /// What it holds.
        target: PathBuf,
    },
    /// More than can be listed.
    #[error("directory {path} holds too much: up to {MAX_TREE_ENTRIES} entries are accepted")]
    TooMany {
        /// The directory.
        path: PathBuf,
    },
}
