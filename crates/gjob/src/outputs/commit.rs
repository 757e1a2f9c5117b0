//! Puts outputs in their place: all jobs' that have become complete meanwhile
//! together, since making a disk keep something takes as long for one as for
//! many.

use std::io;

use gjob_core::Key;
use gjob_core::scheduler::HostIx;
use tokio::sync::mpsc;

use super::dir::OutputsDir;
use super::file::Listing;
use super::incoming::Complete;
use super::progress::{CollectReport, CollectReports, OutputProgress};
use super::refusal::Refusal;
use super::{CollectError, CollectedOutputs};

/// Jobs put in their place together, at most.
const BATCH: usize = 256;

/// A job's outputs that are complete.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) host: HostIx,
    pub(super) key: Key,
    pub(super) dir_name: String,
    /// Put it into what is there already, instead of replacing that.
    pub(super) merge: bool,
    pub(super) complete: Complete,
}

/// Outputs that are in their place; what came is read when it is handed on.
#[derive(Debug)]
pub(crate) struct Committed {
    pub(super) listing: Listing,
    pub(super) bytes: u64,
}

impl Committed {
    /// What came.
    pub(crate) fn read(self) -> io::Result<CollectedOutputs> {
        Ok(CollectedOutputs { files: self.listing.read()?, bytes: self.bytes })
    }
}

/// Commits what comes until either end is gone.
pub(super) async fn commit_all(mut waiting: mpsc::Receiver<Waiting>, reports: CollectReports) {
    let mut batch = Vec::new();
    while waiting.recv_many(&mut batch, BATCH).await > 0 {
        let taken = std::mem::take(&mut batch);
        let whose: Vec<_> = taken.iter().map(|waiting| (waiting.host, waiting.key)).collect();
        let done = tokio::task::spawn_blocking(move || commit(taken)).await;
        let done = done.unwrap_or_else(|panic| {
            let failed = |(host, key)| {
                let (what, source) = ("outputs".to_owned(), io::Error::other(panic.to_string()));
                (host, key, Err(Refusal::Here { what, source }.into_error()))
            };
            whose.into_iter().map(failed).collect()
        });
        for (host, key, result) in done {
            let report = CollectReport::Progress(OutputProgress::Collected { key, result });
            if reports.send((host, report)).await.is_err() {
                return;
            }
        }
    }
}

type Done = (HostIx, Key, Result<Committed, CollectError>);

/// Content first, then names: after a crash no name leads to what is not there,
/// or is not known to be of this run.
fn commit(mut batch: Vec<Waiting>) -> Vec<Done> {
    // All are in one directory as long as the network is open.
    let Some(dir) = batch.first().map(|first| first.complete.part.parent().clone()) else {
        return Vec::new();
    };
    let synced = claim(&dir, &batch).and_then(|()| dir.sync_content());
    let synced = synced.map_err(|error| error.to_string());
    let publish = |waiting: &mut Waiting| match &synced {
        Ok(()) => waiting.complete.part.publish(&waiting.dir_name, waiting.merge),
        Err(error) => Err(dir.here(&waiting.dir_name, io::Error::other(error.clone()))),
    };
    let published: Vec<_> = batch.iter_mut().map(publish).collect();
    let merges = batch.iter().any(|waiting| waiting.merge);
    let named = if merges { dir.sync_content() } else { dir.sync_names() };
    let named = named.map_err(|error| error.to_string());
    let settle = |(waiting, published): (Waiting, Result<(), Refusal>)| {
        let Waiting { host, key, dir_name, complete, .. } = waiting;
        let Complete { part, listing, bytes, .. } = complete;
        // With it goes what was there before: only now, behind the names.
        drop(part);
        let named = named.clone().map_err(|error| dir.here(&dir_name, io::Error::other(error)));
        let result = published.and(named).map(|()| Committed { listing, bytes });
        (host, key, result.map_err(Refusal::into_error))
    };
    batch.into_iter().zip(published).map(settle).collect()
}

/// Notes whose these directories are, whatever comes of them.
fn claim(dir: &OutputsDir, batch: &[Waiting]) -> io::Result<()> {
    dir.claim(batch.iter().map(|waiting| (waiting.dir_name.as_str(), &waiting.complete.part)))
}
