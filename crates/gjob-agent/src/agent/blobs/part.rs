//! A blob that is being received: written and hashed as it comes, kept when the
//! link breaks, and only under its own name when every byte is right.
//!
//! What an earlier link brought has to be hashed first. Its hasher is lent to the
//! background for that, and comes back; what has come meanwhile is hashed after
//! it, again in the background, until there is nothing left to catch up with.

use std::fs::{File, TryLockError};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;

use gjob_core::wire::BlobHash;
use rustix::fs::{AtFlags, Mode, OFlags, fstat, ioctl_ficlone, openat, statat};
use rustix::io::Errno;

use super::super::background::{CancelToken, TaskHandle};
use super::BlobError;
use crate::blobs::{BlobDir, PART, Variant};

/// Bytes that are read at once to be hashed.
const READ_SIZE: usize = 1024 * 1024;

/// How often a file that vanishes while it is opened is opened again.
const MAX_TRIES: u32 = 8;

/// The name of a part that is kept: this host's, of which one agent has it.
fn kept_name(hash: &BlobHash, hostname: &str) -> String {
    format!("{hash}.{hostname}{PART}")
}

/// The name of one that is copied from a job's file: it does not end what was received.
fn copied_name(hash: &BlobHash, hostname: &str) -> String {
    format!("{hash}.{hostname}.copy{PART}")
}

/// Bytes of a blob that were received, and can be continued.
pub(super) fn bytes_received(blobs: &BlobDir, hash: &BlobHash, hostname: &str) -> u64 {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = openat(blobs, kept_name(hash, hostname), flags, Mode::empty());
    let Ok(file) = opened.map(File::from) else { return 0 };
    let is_free = file.try_lock().is_ok();
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
    hashing: Hashing,
    /// Locked while it is ours.
    file: File,
    name: String,
    /// False for one that no later agent will continue.
    is_kept: bool,
}

/// How far it was hashed: less far than it was received while there is something
/// from an earlier link.
#[derive(Debug)]
enum Hashing {
    /// Up to there.
    Until(u64, Box<blake3::Hasher>),
    /// The hasher is in the background, which goes on while the handle is kept.
    Lent(TaskHandle),
}

impl Part {
    /// Takes up a blob of which `offset` bytes were received before.
    pub(super) fn open(
        blobs: &BlobDir,
        hostname: &str,
        (hash, size, offset): (BlobHash, u64, u64),
    ) -> Result<Self, BlobError> {
        let mut part = Part::create(blobs, kept_name(&hash, hostname), (hash, size))?;
        part.received = offset;
        let received = part.file.metadata().map_err(|error| part.io(error))?.len();
        if received == offset && offset <= size {
            return Ok(part);
        }
        part.discard(blobs);
        Err(BlobError::Offset { offset, received })
    }

    /// Makes all of a blob of a file, and gives its hash. The copy shares its bytes with it where
    /// the file system can do that, and is no hard link: what is written to the file later does
    /// not change it.
    pub(super) fn copy(
        blobs: &BlobDir,
        hostname: &str,
        (hash, size): (BlobHash, u64),
        source: &File,
    ) -> Result<(Self, BlobHash), BlobError> {
        let part = Part::create(blobs, copied_name(&hash, hostname), (hash, size))?;
        match part.fill(source) {
            Ok(digest) => Ok((part, digest)),
            Err(error) => {
                part.discard(blobs);
                Err(error)
            }
        }
    }

    /// An empty one, or what was left of it; under another name while an agent has this one.
    fn create(
        blobs: &BlobDir,
        name: String,
        (hash, size): (BlobHash, u64),
    ) -> Result<Self, BlobError> {
        let (file, name, is_kept) = match open_kept(blobs, &name)? {
            Some(file) => (file, name, true),
            None => {
                let stem = name.strip_suffix(PART).unwrap_or(&name);
                let name = format!("{stem}.{}{PART}", std::process::id());
                // Ours by its pid: another process of that pid has left what is there.
                blobs.remove(&name).map_err(|error| BlobError::io(&name, error))?;
                (create(blobs, &name).map_err(|error| BlobError::io(&name, error))?, name, false)
            }
        };
        let hashing = Hashing::Until(0, Box::default());
        Ok(Part { hash, size, received: 0, hashing, file, name, is_kept })
    }

    fn fill(&self, source: &File) -> Result<BlobHash, BlobError> {
        // Another agent may have left a part of it.
        self.file.set_len(0).map_err(|error| self.io(error))?;
        let is_cloned = ioctl_ficlone(&self.file, source).is_ok();
        let from = if is_cloned { &self.file } else { source };
        let (mut hasher, mut buffer, mut at) = (blake3::Hasher::new(), vec![0; READ_SIZE], 0);
        // One that grows is not read to its end.
        while at <= self.size
            && let length @ 1.. = from.read_at(&mut buffer, at).map_err(|error| self.io(error))?
        {
            if !is_cloned {
                let written = self.file.write_all_at(&buffer[..length], at);
                written.map_err(|error| self.io(error))?;
            }
            hasher.update(&buffer[..length]);
            at += length as u64;
        }
        match at == self.size {
            true => Ok(BlobHash(*hasher.finalize().as_bytes())),
            false => Err(BlobError::Length(at)),
        }
    }

    /// Takes the next bytes.
    pub(super) fn receive(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        let (length, left) = (bytes.len() as u64, self.size - self.received);
        if length > left {
            return Err(BlobError::TooMany(length - left));
        }
        self.file.write_all_at(bytes, self.received).map_err(|error| self.io(error))?;
        match &mut self.hashing {
            Hashing::Until(hashed, hasher) if *hashed == self.received => {
                hasher.update(bytes);
                *hashed += length;
            }
            Hashing::Until(..) | Hashing::Lent(_) => {}
        }
        self.received += length;
        Ok(())
    }

    /// True when nothing more will come.
    pub(super) fn is_complete(&self) -> bool {
        self.received == self.size
    }

    /// The hash of all of it, once all of it was received and hashed.
    pub(super) fn digest(&self) -> Option<BlobHash> {
        match &self.hashing {
            Hashing::Until(hashed, hasher) if self.is_complete() && *hashed == self.size => {
                Some(BlobHash(*hasher.finalize().as_bytes()))
            }
            Hashing::Until(..) | Hashing::Lent(_) => None,
        }
    }

    /// The task for the background, if there is something to catch up with.
    pub(super) fn lend_hasher(&mut self) -> Option<HashTask> {
        let Hashing::Until(hashed, hasher) = &mut self.hashing else { return None };
        if *hashed == self.received {
            return None;
        }
        let (handle, token) = TaskHandle::new();
        // Opened anew: the lock is let go of with this part, not with the task.
        let file = File::open(format!("/proc/self/fd/{}", self.file.as_raw_fd()));
        let (range, hasher) = ((*hashed, self.received), std::mem::take(hasher));
        self.hashing = Hashing::Lent(handle);
        Some(HashTask { file, hasher, range, token })
    }

    /// True for what was hashed of this part.
    pub(super) fn is_hashed_by(&self, hashed: &Hashed) -> bool {
        matches!(&self.hashing, Hashing::Lent(handle) if handle.is_of(&hashed.token))
    }

    /// Takes the hasher back.
    pub(super) fn take_back(&mut self, hashed: Hashed) -> Result<(), BlobError> {
        let until = hashed.until.map_err(|error| self.io(error))?;
        self.hashing = Hashing::Until(until, hashed.hasher);
        Ok(())
    }

    /// Gives it its own name if `digest` is what it should be; otherwise it is removed.
    pub(super) fn store(self, digest: BlobHash, blobs: &BlobDir) -> Result<(), BlobError> {
        let stored = if digest == self.hash {
            blobs
                .store(&self.file, &self.name, &self.hash, Variant::Plain)
                .map_err(|error| self.io(error))
        } else {
            Err(BlobError::Mismatch(digest))
        };
        if stored.is_err() {
            self.discard(blobs);
        }
        stored
    }

    /// Leaves it for a later agent, if one can continue it.
    pub(super) fn leave(self, blobs: &BlobDir) {
        if !self.is_kept {
            self.discard(blobs);
        }
    }

    /// Removes it.
    pub(super) fn discard(self, blobs: &BlobDir) {
        // Otherwise it is removed one day as stale.
        let _ = blobs.remove(&self.name);
    }

    fn io(&self, source: io::Error) -> BlobError {
        BlobError::io(&self.name, source)
    }
}

/// Hashes bytes of a part that an earlier link brought.
#[derive(Debug)]
pub(super) struct HashTask {
    file: io::Result<File>,
    hasher: Box<blake3::Hasher>,
    range: (u64, u64),
    token: CancelToken,
}

/// What has come of it.
#[derive(Debug)]
pub(in super::super) struct Hashed {
    hasher: Box<blake3::Hasher>,
    /// Up to where the part was hashed.
    until: io::Result<u64>,
    token: CancelToken,
}

impl HashTask {
    /// Does it; none when the part is gone.
    pub(super) fn run(self) -> Option<Hashed> {
        let HashTask { file, mut hasher, range: (mut at, end), token } = self;
        let mut buffer = vec![0; READ_SIZE];
        let mut next = |file: &File| {
            let length = (end - at).min(READ_SIZE as u64) as usize;
            file.read_exact_at(&mut buffer[..length], at)?;
            hasher.update(&buffer[..length]);
            at += length as u64;
            Ok(at)
        };
        let until = file.and_then(|file| {
            loop {
                match next(&file) {
                    Ok(until) if until < end && !token.is_cancelled() => {}
                    done => break done,
                }
            }
        });
        (!token.is_cancelled()).then_some(Hashed { hasher, until, token })
    }
}

/// Opens and locks the part that is kept; none when another agent has it.
fn open_kept(blobs: &BlobDir, name: &str) -> Result<Option<File>, BlobError> {
    for _ in 0..MAX_TRIES {
        // A job may have put anything there.
        blobs.clear_place(name).map_err(|error| BlobError::io(name, error))?;
        let file = match create(blobs, name) {
            // A job has taken its mode from it: it begins anew.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                blobs.put_aside(name).map_err(|_| BlobError::io(name, error))?;
                continue;
            }
            created => created.map_err(|error| BlobError::io(name, error))?,
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(BlobError::io(name, error)),
        }
        // The agent that had it may just have given it the blob's own name.
        if is_named(blobs, name, &file).map_err(|error| BlobError::io(name, error))? {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

fn create(blobs: &BlobDir, name: &str) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(blobs, name, flags | OFlags::NONBLOCK, Mode::from_raw_mode(0o600))?.into())
}

fn is_named(blobs: &BlobDir, name: &str, file: &File) -> io::Result<bool> {
    let named = match statat(blobs, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(false),
        named => named?,
    };
    let file = fstat(file)?;
    Ok((named.st_dev, named.st_ino) == (file.st_dev, file.st_ino))
}
