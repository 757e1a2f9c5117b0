//! What the run log says of each attempt.

use std::collections::{BTreeMap, HashSet};

use gjob_core::{JobId, Key, Record};

/// The attempts that the run log speaks of.
#[derive(Debug, Default)]
pub(crate) struct Fates {
    running: BTreeMap<Key, JobId>,
    over: HashSet<Key>,
}

impl Fates {
    /// Takes notice of a record.
    pub(crate) fn note(&mut self, record: &Record) {
        match record {
            Record::Log { .. } => {}
            Record::Started { key, id, .. } => {
                if !self.over.contains(key) {
                    self.running.insert(*key, id.clone());
                }
            }
            Record::Finished(finish) => {
                if let Some(key) = finish.key {
                    self.end(key);
                }
            }
            Record::Refused { key, .. }
            | Record::Withdrawn { key, .. }
            | Record::Lost { key, .. } => self.end(*key),
        }
    }

    fn end(&mut self, key: Key) {
        self.running.remove(&key);
        self.over.insert(key);
    }

    /// True when nothing more will be said of the attempt.
    pub(crate) fn is_over(&self, key: Key) -> bool {
        self.over.contains(&key)
    }

    /// True when the log speaks of the attempt at all.
    pub(crate) fn is_known(&self, key: Key) -> bool {
        self.is_over(key) || self.running.contains_key(&key)
    }

    /// Attempts that were started and have no end yet, in order.
    pub(crate) fn running(&self) -> Vec<Key> {
        self.running.keys().copied().collect()
    }
}
