//! Blobs take no more room than they may: those used longest ago go first, those
//! of runs that are in use never. The directory may be large, and slow: it is
//! looked through in the background.

use std::collections::HashSet;
use std::io;
use std::os::unix::fs::MetadataExt as _;

use gjob_core::wire::BlobHash;

use super::super::background::{Background, Kind, Report};
use super::super::stale::remove_stale;
use super::{SharedRefs, refs};
use crate::blobs::{BlobDir, parse_file_name};
use crate::jobdir::Layout;

/// The room that blobs take.
#[derive(Debug)]
pub(super) struct Budget {
    limit: u64,
    /// As far as is known: others add to it too.
    taken: u64,
    /// When it is looked at again: later than at the limit where all are in use.
    threshold: u64,
    /// Bytes stored since the look that is under way began.
    stored_meanwhile: Option<u64>,
}

/// How much room is left taken.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Trimmed {
    taken: u64,
    /// True when everything else that could go is in use.
    is_rest_in_use: bool,
}

impl Budget {
    pub(super) fn new(limit: u64) -> Self {
        Budget { limit, taken: 0, threshold: limit, stored_meanwhile: None }
    }

    /// Removes what nobody will continue, and looks how much there is.
    pub(super) fn begin(
        &mut self,
        layout: &Layout,
        refs: &SharedRefs,
        background: &mut Background,
    ) -> io::Result<()> {
        let stale_layout = layout.clone();
        background.submit(Kind::Cleanup, move |_| remove_stale(&stale_layout))?;
        // Without a limit there is nothing to look for.
        if self.limit < u64::MAX { self.trim(layout, refs, background) } else { Ok(()) }
    }

    /// Takes notice of a new blob.
    pub(super) fn note_stored(
        &mut self,
        size: u64,
        layout: &Layout,
        refs: &SharedRefs,
        background: &mut Background,
    ) -> io::Result<()> {
        if let Some(stored) = &mut self.stored_meanwhile {
            *stored = stored.saturating_add(size);
            return Ok(());
        }
        self.taken = self.taken.saturating_add(size);
        if self.taken > self.threshold { self.trim(layout, refs, background) } else { Ok(()) }
    }

    fn trim(
        &mut self,
        layout: &Layout,
        refs: &SharedRefs,
        background: &mut Background,
    ) -> io::Result<()> {
        self.stored_meanwhile = Some(0);
        let (layout, refs, limit) = (layout.clone(), refs.clone(), self.limit);
        background.submit(Kind::Cleanup, move |reporter| {
            // What cannot be read is looked at again with the next blob.
            let unknown = Trimmed { taken: 0, is_rest_in_use: false };
            let trimmed = trim(&layout, &refs, limit).unwrap_or(unknown);
            reporter.send(Report::Trimmed(trimmed));
        })
    }

    /// Takes note of what was found.
    pub(super) fn handle_trimmed(&mut self, trimmed: Trimmed) {
        let stored = self.stored_meanwhile.take().unwrap_or(0);
        self.taken = trimmed.taken.saturating_add(stored);
        self.threshold = match trimmed.is_rest_in_use {
            // Not worth another look with every blob.
            true => self.taken.saturating_add(self.limit / 8).max(self.limit),
            false => self.limit,
        };
    }
}

/// A blob that might go.
#[derive(Debug)]
struct Found {
    hash: BlobHash,
    name: String,
    size: u64,
    /// When it was used, in nanoseconds since 1970.
    used: i128,
}

fn trim(layout: &Layout, refs: &SharedRefs, limit: u64) -> io::Result<Trimmed> {
    let entries = std::fs::read_dir(layout.blobs())?.flatten();
    let mut found: Vec<Found> = entries.filter_map(|entry| look_at(&entry)).collect();
    let mut taken = found.iter().fold(0, |sum: u64, blob| sum.saturating_add(blob.size));
    if taken <= limit {
        return Ok(Trimmed { taken, is_rest_in_use: false });
    }
    let runs = refs::run_dirs(layout).into_iter().filter(refs::is_in_use);
    let in_use: HashSet<BlobHash> = runs.flat_map(|run| refs::read(&run.blobs())).collect();
    found.sort_unstable_by_key(|blob| blob.used);
    let blobs = BlobDir::open(layout)?;
    for blob in found.iter().filter(|blob| !in_use.contains(&blob.hash)) {
        if taken <= limit {
            return Ok(Trimmed { taken, is_rest_in_use: false });
        }
        // Locked until it is removed: else its run might be told that it is there.
        let own = refs.lock();
        if !own.contains(&blob.hash) && blobs.remove(&blob.name).is_ok() {
            taken = taken.saturating_sub(blob.size);
        }
    }
    Ok(Trimmed { taken, is_rest_in_use: taken > limit })
}

fn look_at(entry: &std::fs::DirEntry) -> Option<Found> {
    let name = entry.file_name().into_string().ok()?;
    let hash = parse_file_name(&name)?;
    let meta = entry.metadata().ok()?;
    let used = i128::from(meta.atime()) * 1_000_000_000 + i128::from(meta.atime_nsec());
    Some(Found { hash, name, size: meta.len(), used })
}
