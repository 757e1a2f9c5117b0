//! Blobs take no more room than they may: those used longest ago go first, those
//! of runs that are attended to never. The directory is looked through in steps,
//! for it may be large, and slow.

use std::collections::HashSet;
use std::fs::ReadDir;
use std::os::unix::fs::MetadataExt as _;

use gjob_core::wire::BlobHash;

use super::super::uses::{self, Uses};
use crate::blobs::{BlobDir, parse_file_name};
use crate::jobdir::Layout;

/// Files looked at or removed in one turn.
const STEP: usize = 256;

/// The room that blobs take, and what is done about it.
#[derive(Debug)]
pub(super) struct Budget {
    limit: u64,
    /// As far as is known: others add to it too.
    taken: u64,
    /// When it is looked at again: later than at the limit where all are in use.
    look_at: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    Idle,
    Looking {
        entries: ReadDir,
        found: Vec<Found>,
    },
    /// What may go, the first to go last.
    Removing {
        found: Vec<Found>,
        in_use: HashSet<BlobHash>,
    },
}

#[derive(Debug)]
struct Found {
    hash: BlobHash,
    name: String,
    size: u64,
    /// When it was used, in nanoseconds since 1970.
    used: i128,
}

impl Budget {
    /// Begins to look how much there is.
    pub(super) fn new(layout: &Layout, limit: u64) -> Self {
        let mut budget = Budget { limit, taken: 0, look_at: limit, state: State::Idle };
        if limit < u64::MAX {
            budget.look(layout);
        }
        budget
    }

    fn look(&mut self, layout: &Layout) {
        // What can't be read is looked at again with the next blob.
        if let Ok(entries) = std::fs::read_dir(layout.blobs()) {
            self.taken = 0;
            self.state = State::Looking { entries, found: Vec::new() };
        }
    }

    /// Takes notice of a new blob.
    pub(super) fn note_stored(&mut self, layout: &Layout, size: u64) {
        self.taken = self.taken.saturating_add(size);
        if self.taken > self.look_at && !self.is_busy() {
            self.look(layout);
        }
    }

    /// True when there is something to do.
    pub(super) fn is_busy(&self) -> bool {
        !matches!(self.state, State::Idle)
    }

    /// Does a step of it.
    pub(super) fn work(&mut self, layout: &Layout, uses: &Uses) {
        self.state = match std::mem::replace(&mut self.state, State::Idle) {
            State::Idle => State::Idle,
            State::Looking { entries, found } => self.look_on(entries, found, layout),
            State::Removing { found, in_use } => self.remove(found, in_use, layout, uses),
        };
    }

    fn look_on(&mut self, entries: ReadDir, found: Vec<Found>, layout: &Layout) -> State {
        let (mut entries, mut found) = (entries, found);
        for _ in 0..STEP {
            let Some(entry) = entries.next() else {
                return self.judge(found, layout);
            };
            if let Some(blob) = entry.ok().and_then(|entry| look_at(&entry)) {
                self.taken = self.taken.saturating_add(blob.size);
                found.push(blob);
            }
        }
        State::Looking { entries, found }
    }

    fn judge(&mut self, mut found: Vec<Found>, layout: &Layout) -> State {
        self.look_at = self.limit;
        if self.taken <= self.limit {
            return State::Idle;
        }
        let runs = uses::run_dirs(layout).into_iter().filter(uses::is_attended);
        let in_use = runs.flat_map(|run| uses::read(&run.blobs())).collect();
        found.sort_unstable_by_key(|blob| std::cmp::Reverse(blob.used));
        State::Removing { found, in_use }
    }

    fn remove(
        &mut self,
        mut found: Vec<Found>,
        in_use: HashSet<BlobHash>,
        layout: &Layout,
        uses: &Uses,
    ) -> State {
        let Ok(blobs) = BlobDir::open(layout) else { return State::Idle };
        for _ in 0..STEP {
            if self.taken <= self.limit {
                return State::Idle;
            }
            let Some(blob) = found.pop() else {
                // What is left is in use: not worth another look with every blob.
                self.look_at = self.taken.saturating_add(self.limit / 8).max(self.limit);
                return State::Idle;
            };
            let may_go = !in_use.contains(&blob.hash) && !uses.contains(&blob.hash);
            if may_go && blobs.remove(&blob.name).is_ok() {
                self.taken = self.taken.saturating_sub(blob.size);
            }
        }
        State::Removing { found, in_use }
    }
}

fn look_at(entry: &std::fs::DirEntry) -> Option<Found> {
    let name = entry.file_name().into_string().ok()?;
    let hash = parse_file_name(&name)?;
    let meta = entry.metadata().ok()?;
    let used = i128::from(meta.atime()) * 1_000_000_000 + i128::from(meta.atime_nsec());
    Some(Found { hash, name, size: meta.len(), used })
}
