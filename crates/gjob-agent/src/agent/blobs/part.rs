//! A blob that is being received: written and hashed as it comes, kept when the
//! link breaks, and only under its own name when every byte is right.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use gjob_core::wire::BlobHash;
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, flock, fstat, openat, statat};
use rustix::io::Errno;

use super::BlobError;
use crate::blobs::{BlobDir, PART, Variant};

/// The most bytes that are hashed from the disk in one turn.
const STEP: usize = 4 * 1024 * 1024;

/// How often a file that vanishes while it is opened is opened again.
const TRIES: u32 = 8;

/// The name of a part that is kept: this host's, of which one agent has it.
fn kept_name(hash: &BlobHash, hostname: &str) -> String {
    format!("{hash}.{hostname}{PART}")
}

/// Bytes of a blob that are here, and can be gone on with.
pub(super) fn bytes_here(blobs: &BlobDir, hash: &BlobHash, hostname: &str) -> u64 {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = openat(blobs, kept_name(hash, hostname), flags, Mode::empty());
    let Ok(file) = opened.map(File::from) else { return 0 };
    let is_free = flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
    let meta = file.metadata().ok().filter(|meta| meta.is_file() && is_free);
    meta.map_or(0, |meta| meta.len())
}

/// A blob that is being received.
#[derive(Debug)]
pub(super) struct Part {
    /// What it is to be.
    pub(super) hash: BlobHash,
    /// Its length in the end, bytes.
    pub(super) size: u64,
    received: u64,
    /// Up to where it was hashed: behind what was received while there is
    /// something from an earlier link.
    hashed: u64,
    hasher: blake3::Hasher,
    /// Locked while it is ours.
    file: File,
    name: String,
    /// False for one that no later agent will go on with.
    is_kept: bool,
}

impl Part {
    /// Takes up a blob of which `offset` bytes are here.
    pub(super) fn open(
        blobs: &BlobDir,
        hostname: &str,
        (hash, size, offset): (BlobHash, u64, u64),
    ) -> Result<Self, BlobError> {
        let (file, name, is_kept) = match open_kept(blobs, &hash, hostname)? {
            Some((file, name)) => (file, name, true),
            None => {
                let name = format!("{hash}.{hostname}.{}{PART}", std::process::id());
                // Ours by its pid: what is there, another process of that pid has left.
                blobs.remove(&name).map_err(|error| BlobError::io(&name, error))?;
                (create(blobs, &name)?, name, false)
            }
        };
        let hasher = blake3::Hasher::new();
        let part = Part { hash, size, received: offset, hashed: 0, hasher, file, name, is_kept };
        let here = part.file.metadata().map_err(|error| part.io(error))?.len();
        if here == offset && offset <= size {
            return Ok(part);
        }
        part.discard(blobs);
        Err(BlobError::Offset { offset, here })
    }

    /// Takes the next bytes.
    pub(super) fn receive(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        let (length, left) = (bytes.len() as u64, self.size - self.received);
        if length > left {
            return Err(BlobError::TooMany(length - left));
        }
        self.file.write_all_at(bytes, self.received).map_err(|error| self.io(error))?;
        if self.hashed == self.received {
            self.hasher.update(bytes);
            self.hashed += length;
        }
        self.received += length;
        Ok(())
    }

    /// True when nothing more will come.
    pub(super) fn is_here(&self) -> bool {
        self.received == self.size
    }

    /// True when what is here was not hashed yet.
    pub(super) fn is_behind(&self) -> bool {
        self.hashed < self.received
    }

    /// Hashes more of what is here.
    pub(super) fn catch_up(&mut self, buffer: &mut Vec<u8>) -> Result<(), BlobError> {
        let length = (self.received - self.hashed).min(STEP as u64) as usize;
        buffer.resize(STEP, 0);
        self.file
            .read_exact_at(&mut buffer[..length], self.hashed)
            .map_err(|error| self.io(error))?;
        self.hasher.update(&buffer[..length]);
        self.hashed += length as u64;
        Ok(())
    }

    /// Gives it its own name if it is what it should be; else it is removed.
    pub(super) fn store(self, blobs: &BlobDir) -> Result<(), BlobError> {
        let found = BlobHash(*self.hasher.finalize().as_bytes());
        let stored = if found == self.hash {
            blobs
                .store(&self.file, &self.name, &self.hash, Variant::Plain)
                .map_err(|error| self.io(error))
        } else {
            Err(BlobError::Mismatch(found))
        };
        if stored.is_err() {
            self.discard(blobs);
        }
        stored
    }

    /// Leaves it for a later agent, if one can go on with it.
    pub(super) fn leave(self, blobs: &BlobDir) {
        if !self.is_kept {
            self.discard(blobs);
        }
    }

    /// Removes it.
    pub(super) fn discard(self, blobs: &BlobDir) {
        // Else it is removed as stale one day.
        let _ = blobs.remove(&self.name);
    }

    fn io(&self, source: io::Error) -> BlobError {
        BlobError::io(&self.name, source)
    }
}

/// Opens and locks the part that is kept; none when another agent has it.
fn open_kept(
    blobs: &BlobDir,
    hash: &BlobHash,
    hostname: &str,
) -> Result<Option<(File, String)>, BlobError> {
    let name = kept_name(hash, hostname);
    for _ in 0..TRIES {
        let file = create(blobs, &name)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(None),
            Err(error) => return Err(BlobError::io(&name, error.into())),
        }
        // Who had it may just have given it the blob's own name.
        if is_named(blobs, &name, &file).map_err(|error| BlobError::io(&name, error))? {
            return Ok(Some((file, name)));
        }
    }
    Ok(None)
}

fn create(blobs: &BlobDir, name: &str) -> Result<File, BlobError> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = openat(blobs, name, flags | OFlags::NONBLOCK, Mode::from_raw_mode(0o600));
    fd.map(File::from).map_err(|error| BlobError::io(name, error.into()))
}

fn is_named(blobs: &BlobDir, name: &str, file: &File) -> io::Result<bool> {
    let named = match statat(blobs, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(false),
        named => named?,
    };
    let file = fstat(file)?;
    Ok((named.st_dev, named.st_ino) == (file.st_dev, file.st_ino))
}
