//! The run log as the agent knows it: what it says of each attempt, what of it the
//! manager has, and what the agent has found out itself. Slots append to the same
//! file, and the agent learns of that by reading it, too.

use std::collections::{BTreeSet, HashSet};
use std::os::fd::BorrowedFd;

use gjob_core::record::{RecordKind, RecordSummary};
use gjob_core::wire::FromAgent;
use gjob_core::{Key, Record};

use super::tail::{Tail, TailError};
use crate::runlog::RunLog;

/// The run log, read and written.
#[derive(Debug)]
pub(super) struct Journal {
    log: RunLog,
    tail: Tail,
    attempts: Attempts,
    /// Why the log cannot be read any more.
    failure: Option<TailError>,
}

impl Journal {
    /// A log of which nothing was read yet.
    pub(super) fn new(log: RunLog, tail: Tail) -> Self {
        Journal { log, tail, attempts: Attempts::default(), failure: None }
    }

    /// What the log says of each attempt, as far as it was read.
    pub(super) fn attempts(&self) -> &Attempts {
        &self.attempts
    }

    /// Reads more of what was appended; empty when all was read.
    pub(super) fn read_more(&mut self) -> Vec<RecordSummary> {
        match self.tail.next_records() {
            Ok(records) => {
                records.iter().for_each(|record| self.attempts.note(record.kind, record.key));
                records
            }
            Err(error) => {
                self.failure = Some(error);
                Vec::new()
            }
        }
    }

    /// Adds a record of the agent's own finding. It counts from now on; what the
    /// disk does not take at once is written later.
    pub(super) fn append(&mut self, record: &Record) {
        self.log.append(record);
        self.attempts.note(record.kind(), record.key());
    }

    /// Writes what the disk did not take before.
    pub(super) fn flush(&mut self) {
        // What it does not take now either is tried again later.
        let _ = self.log.flush();
    }

    /// True when something could not be written yet.
    pub(super) fn has_unwritten(&self) -> bool {
        self.log.has_pending()
    }

    /// The next lines for the manager.
    pub(super) fn next_message(&mut self) -> Result<Option<FromAgent>, TailError> {
        self.tail.next_message()
    }

    /// True when records that were read still have to be sent.
    pub(super) fn has_unsent(&self) -> bool {
        self.tail.has_unsent()
    }

    /// Fails once the log could not be read.
    pub(super) fn check(&mut self) -> Result<(), TailError> {
        self.failure.take().map_or(Ok(()), Err)
    }

    /// What becomes readable when the log has grown; none where that has to be
    /// looked for in turns.
    pub(super) fn pollable(&self) -> Option<BorrowedFd<'_>> {
        self.tail.pollable()
    }

    /// Takes notice of having been woken.
    pub(super) fn clear_wakeup(&self) {
        self.tail.clear_wakeup();
    }
}

/// The attempts that the run log speaks of.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    running: BTreeSet<Key>,
    over: HashSet<Key>,
}

impl Attempts {
    fn note(&mut self, kind: RecordKind, key: Option<Key>) {
        let Some(key) = key else { return };
        if kind.is_end() {
            self.running.remove(&key);
            self.over.insert(key);
        } else if !self.is_over(key) {
            self.running.insert(key);
        }
    }

    /// True when nothing more will be said of the attempt.
    pub(super) fn is_over(&self, key: Key) -> bool {
        self.over.contains(&key)
    }

    /// True when the log speaks of the attempt at all.
    pub(super) fn is_known(&self, key: Key) -> bool {
        self.is_over(key) || self.running.contains(&key)
    }

    /// Attempts that were started and have no end yet, in order.
    pub(super) fn running(&self) -> impl Iterator<Item = Key> {
        self.running.iter().copied()
    }
}
