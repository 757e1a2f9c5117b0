//! The launches of one host that wait for files, and what each still lacks.

use std::collections::{HashMap, HashSet};

use gjob_core::wire::{BlobHash, InputKind, Launch};
use gjob_core::{Key, Record};

use super::blobs::Blobs;
use crate::inputs::Inputs;

/// A file or directory that launches place.
type Placed = (BlobHash, InputKind);

/// One host, for as long as its link lasts.
#[derive(Debug, Default)]
pub(super) struct Host {
    pub(super) blobs: Blobs,
    /// All of these is there.
    complete: HashSet<Placed>,
    /// What is not there yet of the others that are waited for.
    lacking: HashMap<Placed, HashSet<BlobHash>>,
    waiting: Vec<Launch>,
    /// Launches with files that were sent, until the host says what came of them.
    launched: HashMap<Key, Vec<Placed>>,
    /// How often the host has dropped launches.
    dropped: HashMap<Key, u32>,
}

impl Host {
    /// Takes a launch; gives back what to ask the host for it.
    pub(super) fn launch(&mut self, mut launch: Launch, inputs: &Inputs) -> Vec<Vec<BlobHash>> {
        launch.dropped = self.dropped.get(&launch.key).copied().unwrap_or(0);
        if self.waiting.iter().any(|waiting| waiting.key == launch.key) {
            return Vec::new();
        }
        let mut wanted = Vec::new();
        for placed in placed(&launch) {
            if self.complete.contains(&placed) || self.lacking.contains_key(&placed) {
                continue;
            }
            let blobs = inputs.blobs(placed.0, placed.1);
            let lacking = blobs.iter().filter(|hash| !self.blobs.is_present(hash)).copied();
            let lacking: HashSet<BlobHash> = lacking.collect();
            if lacking.is_empty() {
                self.complete.insert(placed);
            } else {
                self.lacking.insert(placed, lacking);
                wanted.extend(blobs);
            }
        }
        self.waiting.push(launch);
        self.blobs.want(&wanted)
    }

    /// A launch is not wanted any more.
    pub(super) fn forget(&mut self, key: Key) {
        self.waiting.retain(|launch| launch.key != key);
    }

    /// The host has dropped a launch, that often by now. Returns false if that is known: then
    /// it is no answer to the last launch under that key. A repetition that still waits here
    /// is off as well, for the next launch is another one.
    pub(super) fn handle_dropped(&mut self, key: Key, times: u32) -> bool {
        let known = self.dropped.entry(key).or_insert(0);
        if times <= *known {
            return false;
        }
        *known = times;
        self.launched.remove(&key);
        self.forget(key);
        true
    }

    /// These are there now.
    pub(super) fn handle_present(&mut self, hashes: &[BlobHash]) {
        let complete = self.lacking.extract_if(|_, lacking| {
            for hash in hashes {
                lacking.remove(hash);
            }
            lacking.is_empty()
        });
        self.complete.extend(complete.map(|(placed, _)| placed));
    }

    /// The launches whose files are all there.
    pub(super) fn release(&mut self) -> Vec<Launch> {
        let complete = &self.complete;
        let ready = |launch: &mut Launch| placed(launch).all(|placed| complete.contains(&placed));
        let launches: Vec<Launch> = self.waiting.extract_if(.., ready).collect();
        for launch in launches.iter().filter(|launch| !launch.files.is_empty()) {
            self.launched.insert(launch.key, placed(launch).collect());
        }
        launches
    }

    /// A blob can't be had: gives back the launches that are off.
    pub(super) fn handle_failed(&mut self, hash: BlobHash) -> Vec<Launch> {
        self.blobs.forget(hash);
        let off = self.lacking.extract_if(|_, lacking| lacking.contains(&hash));
        let off: HashSet<Placed> = off.map(|(placed, _)| placed).collect();
        let needs = |launch: &mut Launch| placed(launch).any(|placed| off.contains(&placed));
        self.waiting.extract_if(.., needs).collect()
    }

    /// The host has recorded something. If it could not carry a launch out for
    /// a reason of its own, its files may be gone: they are asked about again.
    pub(super) fn handle_record(&mut self, record: &Record, inputs: &Inputs) {
        use gjob_core::record::Scope;
        let Some(files) = record.key().and_then(|key| self.launched.remove(&key)) else { return };
        if matches!(record, Record::Refused { scope: Scope::Host, .. }) {
            self.complete.clear();
            for hash in files.into_iter().flat_map(|(hash, kind)| inputs.blobs(hash, kind)) {
                if self.blobs.is_present(&hash) {
                    self.blobs.forget(hash);
                }
            }
        }
    }
}

fn placed(launch: &Launch) -> impl Iterator<Item = Placed> {
    launch.files.iter().map(|file| (file.hash, file.kind))
}
