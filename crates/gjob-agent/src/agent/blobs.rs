//! Blobs as the manager asks for and sends them: received one at a time, hashed
//! in steps, so that nobody waits for it, and removed when they take more room
//! than they may.

mod budget;
mod part;

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use gjob_core::record::one_line;
use gjob_core::wire::{BlobHash, FromAgent};
use rustix::fs::{FlockOperation, flock};

use self::budget::Budget;
use self::part::{Part, bytes_here};
use super::uses::Uses;
use crate::blobs::{BlobDir, PART};
use crate::jobdir::{Layout, RunDir};

/// Parts that nobody has gone on with for so long belong to nobody any more.
const STALE: Duration = Duration::from_secs(24 * 3600);

/// The blobs of a results directory, for one run.
#[derive(Debug)]
pub(crate) struct Blobs {
    layout: Layout,
    hostname: String,
    uses: Uses,
    budget: Budget,
    incoming: Option<Part>,
    /// Those all here, but not all hashed.
    settling: VecDeque<Part>,
    buffer: Vec<u8>,
}

/// Why a blob was not stored.
#[derive(Debug, thiserror::Error)]
enum BlobError {
    #[error("{0} bytes more than announced")]
    TooMany(u64),
    #[error("it was to go on at byte {offset}, but {here} bytes of it are here")]
    Offset { offset: u64, here: u64 },
    #[error("its content hashes to {0}")]
    Mismatch(BlobHash),
    #[error("write {path}: {source}")]
    Io { path: String, source: io::Error },
}

impl BlobError {
    fn io(path: &str, source: io::Error) -> Self {
        BlobError::Io { path: path.to_owned(), source }
    }
}

impl Blobs {
    /// The blobs below an existing directory, of at most `limit` bytes.
    pub(crate) fn new(layout: Layout, run_dir: &RunDir, hostname: String, limit: u64) -> Self {
        // What can't be cleaned up only takes space.
        let _ = remove_stale(&layout);
        Blobs {
            uses: Uses::open(run_dir),
            budget: Budget::new(&layout, limit),
            layout,
            hostname,
            incoming: None,
            settling: VecDeque::new(),
            buffer: Vec::new(),
        }
    }

    /// Those that are not here, and how much of each is. Takes note that the run
    /// wants all of them.
    pub(crate) fn missing(&mut self, hashes: Vec<BlobHash>) -> FromAgent {
        self.uses.add(&hashes);
        let blobs = match BlobDir::open(&self.layout) {
            Ok(dir) => lacking(&dir, hashes)
                .into_iter()
                .map(|hash| (hash, bytes_here(&dir, &hash, &self.hostname)))
                .collect(),
            Err(_) => hashes.into_iter().map(|hash| (hash, 0)).collect(),
        };
        FromAgent::MissingBlobs { blobs }
    }

    /// Begins to receive a blob; one that was under way is left as it is.
    pub(crate) fn begin(&mut self, hash: BlobHash, size: u64, offset: u64) -> Option<FromAgent> {
        self.leave();
        let opened =
            self.dir().and_then(|blobs| Part::open(&blobs, &self.hostname, (hash, size, offset)));
        match opened {
            Ok(part) => {
                self.incoming = Some(part);
                self.settle_if_here()
            }
            Err(error) => Some(failed(hash, &error)),
        }
    }

    /// Receives more of it. After a failure the rest is passed over.
    pub(crate) fn receive(&mut self, bytes: &[u8]) -> Option<FromAgent> {
        let part = self.incoming.as_mut()?;
        match part.receive(bytes) {
            Ok(()) => self.settle_if_here(),
            Err(error) => {
                let hash = part.hash;
                self.abort();
                Some(failed(hash, &error))
            }
        }
    }

    /// Drops what is under way.
    pub(crate) fn abort(&mut self) {
        if let Some(part) = self.incoming.take()
            && let Ok(blobs) = self.dir()
        {
            part.discard(&blobs);
        }
    }

    /// Leaves what is under way for a later link.
    fn leave(&mut self) {
        if let Some(part) = self.incoming.take()
            && let Ok(blobs) = self.dir()
        {
            part.leave(&blobs);
        }
    }

    fn settle_if_here(&mut self) -> Option<FromAgent> {
        let part = self.incoming.take_if(|part| part.is_here())?;
        if part.is_behind() {
            self.settling.push_back(part);
            return None;
        }
        Some(self.store(part))
    }

    fn store(&mut self, part: Part) -> FromAgent {
        let (hash, size) = (part.hash, part.size);
        match self.dir().and_then(|blobs| part.store(&blobs)) {
            Ok(()) => {
                self.budget.note_stored(&self.layout, size);
                FromAgent::BlobStored { hash }
            }
            Err(error) => failed(hash, &error),
        }
    }

    /// True when there is something to do without being asked.
    pub(crate) fn is_busy(&self) -> bool {
        let is_behind = self.incoming.as_ref().is_some_and(Part::is_behind);
        is_behind || !self.settling.is_empty() || self.budget.is_busy()
    }

    /// Does one step of that.
    pub(crate) fn work(&mut self) -> Option<FromAgent> {
        if let Some(mut part) = self.settling.pop_front() {
            return match self.catch_up(&mut part) {
                Some(failure) => Some(failure),
                None if part.is_behind() => {
                    self.settling.push_front(part);
                    None
                }
                None => Some(self.store(part)),
            };
        }
        if let Some(mut part) = self.incoming.take_if(|part| part.is_behind()) {
            let failure = self.catch_up(&mut part);
            if failure.is_none() {
                self.incoming = Some(part);
            }
            return failure;
        }
        self.budget.work(&self.layout, &self.uses);
        None
    }

    fn catch_up(&mut self, part: &mut Part) -> Option<FromAgent> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let caught_up = part.catch_up(&mut buffer);
        if part.is_behind() {
            self.buffer = buffer;
        }
        caught_up.err().map(|error| failed(part.hash, &error))
    }

    fn dir(&self) -> Result<BlobDir, BlobError> {
        let path = self.layout.blobs();
        BlobDir::open(&self.layout)
            .map_err(|error| BlobError::io(&path.display().to_string(), error))
    }
}

impl Drop for Blobs {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Those that are not there. A client of a network file system remembers for a
/// while that a name was not there; only reading the directory shows that a peer
/// has stored it since.
fn lacking(dir: &BlobDir, mut hashes: Vec<BlobHash>) -> Vec<BlobHash> {
    let lacks = |hash: &BlobHash| !dir.has(hash).unwrap_or(false);
    hashes.retain(lacks);
    if !hashes.is_empty()
        && let Ok(listed) = dir.list()
    {
        hashes.retain(|hash| !listed.contains(hash) || lacks(hash));
    }
    hashes
}

fn remove_stale(layout: &Layout) -> io::Result<()> {
    for entry in std::fs::read_dir(layout.blobs())?.flatten() {
        if !entry.file_name().to_string_lossy().ends_with(PART) {
            continue;
        }
        let age = entry.metadata()?.modified()?.elapsed().unwrap_or_default();
        let is_held = || {
            let file = std::fs::File::open(entry.path());
            file.is_ok_and(|file| flock(&file, FlockOperation::NonBlockingLockShared).is_err())
        };
        if age >= STALE && !is_held() {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn failed(hash: BlobHash, error: &BlobError) -> FromAgent {
    FromAgent::BlobFailed { hash, reason: one_line(&error.to_string()) }
}
