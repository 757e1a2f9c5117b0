//! A local file that jobs need, as it was when its run was made: it is sent as
//! that, or not at all.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use gjob_core::wire::BlobHash;

/// A file that can't be sent.
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
    /// Something else than a file.
    #[error("file {path} is {found}: a regular file is accepted")]
    NotAFile {
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
}

/// One file as it is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputFile {
    /// Where it is, absolute.
    pub path: PathBuf,
    /// What its content hashes to.
    pub hash: BlobHash,
    /// Its length, bytes.
    pub size: u64,
    /// Its permission bits.
    pub mode: u32,
    /// When it was last modified, nanoseconds since 1970: as long as this, its
    /// length and `ino` are the same, so is its content.
    pub mtime_ns: i64,
    /// Its inode.
    pub ino: u64,
}

impl InputFile {
    /// Reads and hashes a file.
    ///
    /// # Errors
    /// When it can't be read, is no regular file, or changes meanwhile.
    pub fn hash(path: &Path) -> Result<Self, InputError> {
        let fail = |source| InputError::Io { path: path.to_owned(), source };
        let before = std::fs::metadata(path).map_err(fail)?;
        if !before.is_file() {
            let found = describe(before.file_type());
            return Err(InputError::NotAFile { path: path.to_owned(), found });
        }
        let mut hasher = blake3::Hasher::new();
        let mut file = File::open(path).map_err(fail)?;
        let read = io::copy(&mut file, &mut hasher).map_err(fail)?;
        let after = file.metadata().map_err(fail)?;
        if stamp(&before) != stamp(&after) || read != after.len() {
            return Err(InputError::Changed { path: path.to_owned() });
        }
        let (size, mtime_ns, ino) = stamp(&after);
        Ok(InputFile {
            path: std::path::absolute(path).map_err(fail)?,
            hash: BlobHash(*hasher.finalize().as_bytes()),
            size,
            mode: after.mode() & 0o777,
            mtime_ns,
            ino,
        })
    }

    /// Makes sure that the file is what it was.
    ///
    /// # Errors
    /// When it is not, or can't be read any more.
    pub fn check(&self) -> Result<(), InputError> {
        let fail = |source| InputError::Io { path: self.path.clone(), source };
        let now = std::fs::metadata(&self.path).map_err(fail)?;
        if stamp(&now) == (self.size, self.mtime_ns, self.ino) {
            Ok(())
        } else {
            self.check_content()
        }
    }

    /// The same, whatever the file's times say.
    ///
    /// # Errors
    /// As [`InputFile::check`].
    pub fn check_content(&self) -> Result<(), InputError> {
        if InputFile::hash(&self.path)?.hash == self.hash {
            Ok(())
        } else {
            Err(InputError::Changed { path: self.path.clone() })
        }
    }
}

fn stamp(meta: &Metadata) -> (u64, i64, u64) {
    let mtime_ns = meta.mtime().saturating_mul(1_000_000_000).saturating_add(meta.mtime_nsec());
    (meta.len(), mtime_ns, meta.ino())
}

fn describe(kind: std::fs::FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_touched_passes_and_one_that_was_changed_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, "one").unwrap();
        let file = InputFile::hash(&path).unwrap();
        std::fs::write(&path, "one").unwrap();
        assert!(file.check().is_ok());
        std::fs::write(&path, "two").unwrap();
        let error = file.check().unwrap_err().to_string();
        assert!(error.ends_with("it must stay as it is until the jobs are done"), "{error}");
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(file.check(), Err(InputError::Io { .. })));
    }
}
