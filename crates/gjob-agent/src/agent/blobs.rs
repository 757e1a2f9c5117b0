//! Staged input files: received one at a time, hashed on the way to the disk,
//! and only under their name when every byte is right.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use gjob_core::wire::{BlobHash, FromAgent};

use crate::jobdir::Layout;

/// Half-received blobs older than this belong to nobody any more.
const STALE: Duration = Duration::from_secs(24 * 3600);

/// What half-received blobs end in.
const PART: &str = ".part";

/// The blobs of a results directory.
#[derive(Debug)]
pub(crate) struct Blobs {
    layout: Layout,
    incoming: Option<Incoming>,
}

#[derive(Debug)]
struct Incoming {
    hash: BlobHash,
    left: u64,
    hasher: blake3::Hasher,
    file: File,
    path: PathBuf,
}

/// Why a blob was not stored.
#[derive(Debug, thiserror::Error)]
enum BlobError {
    #[error("{0} bytes more than announced")]
    TooMany(u64),
    #[error("its content hashes to {0}")]
    Mismatch(BlobHash),
    #[error("write {path}: {source}")]
    Io { path: String, source: io::Error },
}

impl Blobs {
    /// The blobs below an existing directory.
    pub(crate) fn new(layout: Layout) -> Self {
        let blobs = Blobs { layout, incoming: None };
        // What can't be cleaned up only takes space.
        let _ = blobs.remove_stale();
        blobs
    }

    fn remove_stale(&self) -> io::Result<()> {
        for entry in std::fs::read_dir(self.layout.blobs())?.flatten() {
            let is_part = entry.file_name().to_string_lossy().ends_with(PART);
            let age = entry.metadata()?.modified()?.elapsed().unwrap_or_default();
            if is_part && age >= STALE {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Those that are not here.
    pub(crate) fn missing(&self, mut hashes: Vec<BlobHash>) -> Vec<BlobHash> {
        hashes.retain(|hash| {
            let meta = std::fs::symlink_metadata(self.layout.blob(hash));
            !meta.is_ok_and(|meta| meta.is_file())
        });
        hashes
    }

    /// Begins to receive a blob; one that was under way is dropped.
    pub(crate) fn begin(&mut self, hash: BlobHash, size: u64) -> Option<FromAgent> {
        self.abort();
        match self.create(hash, size) {
            Ok(incoming) => {
                self.incoming = Some(incoming);
                self.finish_if_complete()
            }
            Err(error) => Some(failed(hash, &error)),
        }
    }

    fn create(&self, hash: BlobHash, size: u64) -> Result<Incoming, BlobError> {
        let name = format!("{hash}.{}{PART}", std::process::id());
        let path = self.layout.blobs().join(name);
        // Ours by its pid: what is there was left by another process of that pid.
        let _ = std::fs::remove_file(&path);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|source| BlobError::Io { path: path.display().to_string(), source })?;
        Ok(Incoming { hash, left: size, hasher: blake3::Hasher::new(), file, path })
    }

    /// Receives more of it. After a failure the rest is passed over.
    pub(crate) fn receive(&mut self, bytes: &[u8]) -> Option<FromAgent> {
        let incoming = self.incoming.as_mut()?;
        match incoming.write(bytes) {
            Ok(()) => self.finish_if_complete(),
            Err(error) => {
                let hash = incoming.hash;
                self.abort();
                Some(failed(hash, &error))
            }
        }
    }

    /// Drops what is under way.
    pub(crate) fn abort(&mut self) {
        if let Some(incoming) = self.incoming.take() {
            // Else it is removed as stale one day.
            let _ = std::fs::remove_file(&incoming.path);
        }
    }

    fn finish_if_complete(&mut self) -> Option<FromAgent> {
        if self.incoming.as_ref()?.left > 0 {
            return None;
        }
        let incoming = self.incoming.take()?;
        let hash = incoming.hash;
        Some(match incoming.store(&self.layout) {
            Ok(()) => FromAgent::BlobStored { hash },
            Err(error) => failed(hash, &error),
        })
    }
}

impl Incoming {
    fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        let length = bytes.len() as u64;
        if length > self.left {
            return Err(BlobError::TooMany(length - self.left));
        }
        self.hasher.update(bytes);
        self.file.write_all(bytes).map_err(|error| self.io(error))?;
        self.left -= length;
        Ok(())
    }

    fn store(self, layout: &Layout) -> Result<(), BlobError> {
        let found = BlobHash(*self.hasher.finalize().as_bytes());
        let stored = if found == self.hash {
            std::fs::rename(&self.path, layout.blob(&self.hash)).map_err(|error| self.io(error))
        } else {
            Err(BlobError::Mismatch(found))
        };
        if stored.is_err() {
            // Else it is removed as stale one day.
            let _ = std::fs::remove_file(&self.path);
        }
        stored
    }

    fn io(&self, source: io::Error) -> BlobError {
        BlobError::Io { path: self.path.display().to_string(), source }
    }
}

impl Drop for Blobs {
    fn drop(&mut self) {
        self.abort();
    }
}

fn failed(hash: BlobHash, error: &BlobError) -> FromAgent {
    FromAgent::BlobFailed { hash, reason: gjob_core::record::one_line(&error.to_string()) }
}
