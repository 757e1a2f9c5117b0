//! A local file that jobs need, in the state that it had when its run was created.
//! It is sent in that state or not at all.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use gjob_core::wire::BlobHash;
use rustix::fs::OFlags;

use super::InputError;

/// Bytes hashed at once. Smaller pieces leave the hash's wide instructions idle.
const PIECE: usize = 256 * 1024;

/// A file to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputFile {
    /// Its absolute path.
    pub path: PathBuf,
    /// The hash of its content.
    pub hash: BlobHash,
    /// Its length, bytes.
    pub size: u64,
    /// Its permission bits.
    pub mode: u32,
    /// When it was last modified, nanoseconds since 1970. As long as this, the size
    /// and the inode are the same, the content is taken to be the same.
    pub mtime_ns: i64,
    /// Its inode.
    pub ino: u64,
}

impl InputFile {
    /// Reads and hashes a file.
    ///
    /// # Errors
    /// When it cannot be read, is not a regular file, or changes meanwhile.
    pub fn hash(path: &Path) -> Result<Self, InputError> {
        let before = std::fs::metadata(path).map_err(|source| InputError::io(path, source))?;
        if !before.is_file() {
            return Err(special(path, &before));
        }
        InputFile::hash_as(path, &before)
    }

    /// Reads and hashes a file that had this metadata before.
    pub(super) fn hash_as(path: &Path, before: &Metadata) -> Result<Self, InputError> {
        let fail = |source| InputError::io(path, source);
        let mut file = open(path).map_err(fail)?;
        let (hash, read) = hash_all(&mut file).map_err(fail)?;
        let after = file.metadata().map_err(fail)?;
        if Stamp::of(before) != Stamp::of(&after) || read != after.len() {
            return Err(InputError::Changed { path: path.to_owned() });
        }
        Ok(InputFile {
            path: std::path::absolute(path).map_err(fail)?,
            hash,
            size: after.len(),
            mode: mode(&after),
            mtime_ns: mtime_ns(&after),
            ino: after.ino(),
        })
    }

    /// Opens the file if it is unchanged. Hashes it again if it was touched.
    ///
    /// # Errors
    /// When it changed or cannot be read.
    pub fn open(&self) -> Result<File, InputError> {
        let file = open(&self.path).map_err(|source| self.io(source))?;
        if !self.is_untouched(&file)? && InputFile::hash(&self.path)?.hash != self.hash {
            return Err(self.changed());
        }
        Ok(file)
    }

    /// True if what is there now has other content or another mode, or cannot be read.
    pub(super) fn has_changed(&self) -> bool {
        let now = self.open().and_then(|file| file.metadata().map_err(|source| self.io(source)));
        now.map_or(true, |now| mode(&now) != self.mode)
    }

    /// True if `file`, which is this one opened, has the metadata that it had when it
    /// was hashed.
    ///
    /// # Errors
    /// When its metadata cannot be read.
    pub fn is_untouched(&self, file: &File) -> Result<bool, InputError> {
        let now = file.metadata().map_err(|source| self.io(source))?;
        Ok(now.is_file() && Stamp::of(&now) == self.stamp())
    }

    /// True if what is at its path has the metadata that it had.
    pub(super) fn is_in_place(&self) -> bool {
        std::fs::symlink_metadata(&self.path)
            .is_ok_and(|now| now.is_file() && Stamp::of(&now) == self.stamp())
    }

    fn stamp(&self) -> Stamp {
        Stamp { size: self.size, mtime_ns: self.mtime_ns, ino: self.ino }
    }

    /// The error of a file that changed.
    #[must_use]
    pub fn changed(&self) -> InputError {
        InputError::Changed { path: self.path.clone() }
    }

    /// The error of a file that cannot be read.
    #[must_use]
    pub fn io(&self, source: io::Error) -> InputError {
        InputError::io(&self.path, source)
    }
}

/// Metadata that changes with a file's content.
#[derive(PartialEq, Eq)]
struct Stamp {
    size: u64,
    mtime_ns: i64,
    ino: u64,
}

impl Stamp {
    fn of(meta: &Metadata) -> Self {
        Stamp { size: meta.len(), mtime_ns: mtime_ns(meta), ino: meta.ino() }
    }
}

/// Opens a file without waiting, should a FIFO have replaced it.
fn open(path: &Path) -> io::Result<File> {
    let nonblock = OFlags::NONBLOCK.bits() as i32;
    OpenOptions::new().read(true).custom_flags(nonblock).open(path)
}

fn hash_all(file: &mut File) -> io::Result<(BlobHash, u64)> {
    use io::Read as _;
    let mut hasher = blake3::Hasher::new();
    let mut piece = vec![0; PIECE];
    let mut read = 0;
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok((BlobHash(*hasher.finalize().as_bytes()), read)),
            Ok(count) => {
                hasher.update(&piece[..count]);
                read += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

pub(super) fn mode(meta: &Metadata) -> u32 {
    meta.mode() & 0o777
}

pub(super) fn mtime_ns(meta: &Metadata) -> i64 {
    meta.mtime().saturating_mul(1_000_000_000).saturating_add(meta.mtime_nsec())
}

/// Verifies that a path leads to a regular file or a directory that can be read.
/// The content of a directory is not checked.
pub(crate) fn check(path: &Path) -> Result<(), InputError> {
    let fail = |source| InputError::io(path, source);
    let meta = std::fs::metadata(path).map_err(fail)?;
    if meta.is_dir() {
        std::fs::read_dir(path).map(drop).map_err(fail)
    } else if meta.is_file() {
        open(path).map(drop).map_err(fail)
    } else {
        Err(special(path, &meta))
    }
}

/// The error of something that is neither a regular file nor a directory.
pub(super) fn special(path: &Path, meta: &Metadata) -> InputError {
    InputError::Special { path: path.to_owned(), found: kind(meta) }
}

/// What something is.
pub(super) fn kind(meta: &Metadata) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    let kind = meta.file_type();
    if kind.is_dir() {
        "a directory"
    } else if kind.is_file() {
        "a file"
    } else if kind.is_symlink() {
        "a symlink"
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
    fn touched_file_is_accepted_and_changed_file_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, "one").unwrap();
        let file = InputFile::hash(&path).unwrap();
        std::fs::write(&path, "one").unwrap();
        assert!(file.open().is_ok());
        std::fs::write(&path, "two").unwrap();
        let error = file.open().unwrap_err().to_string();
        assert!(
            error.ends_with(" changed: it must stay the same until the jobs are done"),
            "{error}"
        );
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(file.open(), Err(InputError::Missing { .. })));
    }
}
