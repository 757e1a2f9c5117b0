//! A local file that jobs need, as it was when its run was made: it is sent as
//! that, or not at all.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use gjob_core::wire::BlobHash;
use rustix::fs::OFlags;

use super::InputError;

/// Bytes hashed at once: fewer would keep the hash's wide instructions waiting.
const PIECE: usize = 256 * 1024;

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
            return Err(InputError::Special { path: path.to_owned(), found });
        }
        InputFile::hash_as(path, &before)
    }

    /// Reads and hashes a file that was seen as `before`.
    pub(super) fn hash_as(path: &Path, before: &Metadata) -> Result<Self, InputError> {
        let fail = |source| InputError::Io { path: path.to_owned(), source };
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

    /// Opens the file, if it is what it was. Reads it all when it looks
    /// touched.
    ///
    /// # Errors
    /// When it is not what it was, or can't be read any more.
    pub fn open(&self) -> Result<File, InputError> {
        let file = open(&self.path).map_err(|source| self.io(source))?;
        if !self.is_untouched(&file)? && InputFile::hash(&self.path)?.hash != self.hash {
            return Err(self.changed());
        }
        Ok(file)
    }

    /// True when `file`, this one opened, looks as it did when it was hashed.
    ///
    /// # Errors
    /// When it can't be asked.
    pub fn is_untouched(&self, file: &File) -> Result<bool, InputError> {
        let now = file.metadata().map_err(|source| self.io(source))?;
        let was = Stamp { size: self.size, mtime_ns: self.mtime_ns, ino: self.ino };
        Ok(now.is_file() && Stamp::of(&now) == was)
    }

    /// Says that the file is not what it was.
    #[must_use]
    pub fn changed(&self) -> InputError {
        InputError::Changed { path: self.path.clone() }
    }

    /// Says that the file can't be read.
    #[must_use]
    pub fn io(&self, source: io::Error) -> InputError {
        InputError::Io { path: self.path.clone(), source }
    }
}

/// What changes whenever a file's content does.
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

/// A FIFO that took a file's place must not be waited for.
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

pub(super) fn describe(kind: std::fs::FileType) -> &'static str {
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
        assert!(file.open().is_ok());
        std::fs::write(&path, "two").unwrap();
        let error = file.open().unwrap_err().to_string();
        assert!(error.ends_with("it must stay as it is until the jobs are done"), "{error}");
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(file.open(), Err(InputError::Io { .. })));
    }
}
