//! Blobs as the manager asks for and sends them: received one at a time, hashed
//! as they come, and removed when they take more room than they may. What an
//! earlier link brought of one is hashed in the background meanwhile.

mod budget;
mod part;
pub(super) mod refs;
mod take;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gjob_core::record::{Scope, one_line};
use gjob_core::wire::{BlobHash, FromAgent};

use self::budget::Budget;
pub(super) use self::budget::Trimmed;
pub(super) use self::part::Hashed;
use self::part::{Part, bytes_received};
use self::refs::BlobRefs;
pub(super) use self::take::{TakeRequest, Taken};
use super::background::{Background, Kind, Report};
use crate::blobs::BlobDir;
use crate::jobdir::{Layout, RunDir};
use crate::shortage::Shortage;

/// The blobs of a results directory, for one run.
#[derive(Debug)]
pub(super) struct Blobs {
    layout: Layout,
    hostname: String,
    /// Shared with the thread that removes blobs: one that the run has asked for
    /// is never removed between the answer that it is there and its use.
    refs: SharedRefs,
    budget: Budget,
    /// The one that is being received.
    incoming: Option<Part>,
    /// Those received in whole, and not hashed in whole.
    unhashed: Vec<Part>,
}

/// The blobs that the run has asked for.
#[derive(Clone, Debug)]
struct SharedRefs(Arc<Mutex<BlobRefs>>);

impl SharedRefs {
    fn lock(&self) -> MutexGuard<'_, BlobRefs> {
        // A thread that panics ends the process.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a blob was not stored.
#[derive(Debug, thiserror::Error)]
enum BlobError {
    #[error("it is {0} bytes longer than announced")]
    TooMany(u64),
    #[error("it should continue at byte {offset}, but {received} bytes were received")]
    Offset { offset: u64, received: u64 },
    #[error("its content has the hash {0}")]
    Mismatch(BlobHash),
    #[error("it is {0} bytes long")]
    Length(u64),
    #[error("it is no regular file")]
    Irregular,
    #[error("read {path}: {source}")]
    Read { path: String, source: io::Error },
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
    pub(super) fn new(layout: Layout, run_dir: &RunDir, hostname: String, limit: u64) -> Self {
        Blobs {
            refs: SharedRefs(Arc::new(Mutex::new(BlobRefs::open(run_dir)))),
            budget: Budget::new(limit),
            layout,
            hostname,
            incoming: None,
            unhashed: Vec::new(),
        }
    }

    /// Begins to remove what is too much of them.
    pub(super) fn begin_tidying(&mut self, background: &mut Background) -> io::Result<()> {
        self.budget.begin(&self.layout, &self.refs, background)
    }

    /// Those that are missing, and how much of each was received. Takes note that
    /// the run wants all of them.
    pub(super) fn missing(&mut self, hashes: Vec<BlobHash>) -> FromAgent {
        let mut refs = self.refs.lock();
        refs.add(&hashes);
        let blobs = match BlobDir::open(&self.layout) {
            Ok(dir) => lacking(&dir, hashes)
                .into_iter()
                .map(|hash| (hash, bytes_received(&dir, &hash, &self.hostname)))
                .collect(),
            Err(_) => hashes.into_iter().map(|hash| (hash, 0)).collect(),
        };
        FromAgent::MissingBlobs { blobs }
    }

    /// Begins to receive a blob; one that was under way is left as it is.
    pub(super) fn begin(
        &mut self,
        (hash, size, offset): (BlobHash, u64, u64),
        background: &mut Background,
    ) -> io::Result<Option<FromAgent>> {
        self.leave();
        let opened =
            self.dir().and_then(|blobs| Part::open(&blobs, &self.hostname, (hash, size, offset)));
        match opened {
            Ok(part) => self.go_on(part, background),
            Err(error) => Ok(Some(self.failed(hash, &error))),
        }
    }

    /// Receives more of it. After a failure the rest is passed over.
    pub(super) fn receive(
        &mut self,
        bytes: &[u8],
        background: &mut Background,
    ) -> io::Result<Option<FromAgent>> {
        let Some(mut part) = self.incoming.take() else { return Ok(None) };
        match part.receive(bytes) {
            Ok(()) => self.go_on(part, background),
            Err(error) => Ok(Some(self.fail(part, &error))),
        }
    }

    /// Takes what was hashed in the background; of a part that is gone, nothing.
    pub(super) fn handle_hashed(
        &mut self,
        hashed: Hashed,
        background: &mut Background,
    ) -> io::Result<Option<FromAgent>> {
        let is_it = |part: &Part| part.is_hashed_by(&hashed);
        let unhashed = self.unhashed.iter().position(is_it).map(|at| self.unhashed.remove(at));
        let Some(mut part) = unhashed.or_else(|| self.incoming.take_if(|part| is_it(part))) else {
            return Ok(None);
        };
        match part.take_back(hashed) {
            Ok(()) => self.go_on(part, background),
            Err(error) => Ok(Some(self.fail(part, &error))),
        }
    }

    /// Puts a part where it belongs: stored, or waiting for bytes or their hash.
    fn go_on(
        &mut self,
        mut part: Part,
        background: &mut Background,
    ) -> io::Result<Option<FromAgent>> {
        if let Some(task) = part.lend_hasher() {
            background.submit(Kind::Hashing, move |reporter| {
                if let Some(hashed) = task.run() {
                    reporter.send(Report::Hashed(hashed));
                }
            })?;
        }
        match part.digest() {
            Some(digest) => return self.store(part, digest, background).map(Some),
            None if part.is_complete() => self.unhashed.push(part),
            None => self.incoming = Some(part),
        }
        Ok(None)
    }

    fn store(
        &mut self,
        part: Part,
        digest: BlobHash,
        background: &mut Background,
    ) -> io::Result<FromAgent> {
        let (hash, size) = (part.hash, part.size);
        match self.dir().and_then(|blobs| part.store(digest, &blobs)) {
            Ok(()) => {
                self.budget.note_stored(size, &self.layout, &self.refs, background)?;
                Ok(FromAgent::BlobStored { hash })
            }
            Err(error) => Ok(self.failed(hash, &error)),
        }
    }

    /// Begins to make one of a job's file.
    pub(super) fn take(
        &mut self,
        request: TakeRequest,
        background: &mut Background,
    ) -> io::Result<()> {
        let (layout, hostname) = (self.layout.clone(), self.hostname.clone());
        background.submit(Kind::Hashing, move |reporter| {
            reporter.send(Report::Taken(request.run(&layout, &hostname)));
        })
    }

    /// Says what has come of it.
    pub(super) fn handle_taken(
        &mut self,
        taken: Taken,
        background: &mut Background,
    ) -> io::Result<FromAgent> {
        let Taken { hash, size, result } = taken;
        match result {
            Ok(()) => {
                self.budget.note_stored(size, &self.layout, &self.refs, background)?;
                Ok(FromAgent::BlobStored { hash })
            }
            Err(error) => Ok(self.failed(hash, &error)),
        }
    }

    /// Takes note of how much room is taken after some was made.
    pub(super) fn handle_trimmed(&mut self, trimmed: Trimmed) {
        self.budget.handle_trimmed(trimmed);
    }

    /// Drops the one that is being received.
    pub(super) fn abort(&mut self) {
        if let Some(part) = self.incoming.take() {
            self.discard(part);
        }
    }

    /// Leaves the one that is being received for a later link.
    fn leave(&mut self) {
        if let Some(part) = self.incoming.take()
            && let Ok(blobs) = self.dir()
        {
            part.leave(&blobs);
        }
    }

    fn fail(&self, part: Part, error: &BlobError) -> FromAgent {
        let hash = part.hash;
        self.discard(part);
        self.failed(hash, error)
    }

    fn failed(&self, hash: BlobHash, error: &BlobError) -> FromAgent {
        let (reason, scope) = match Shortage::of(error) {
            Some(shortage) => (shortage.describe(self.layout.results()), Scope::Space),
            None => (error.to_string(), Scope::Host),
        };
        FromAgent::BlobFailed { hash, reason: one_line(&reason), scope }
    }

    fn discard(&self, part: Part) {
        if let Ok(blobs) = self.dir() {
            part.discard(&blobs);
        }
    }

    fn dir(&self) -> Result<BlobDir, BlobError> {
        open_dir(&self.layout)
    }
}

fn open_dir(layout: &Layout) -> Result<BlobDir, BlobError> {
    let path = layout.blobs();
    BlobDir::open(layout).map_err(|error| BlobError::io(&path.display().to_string(), error))
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
