//! The run log as the agent knows it: what it says of each attempt, what of it the
//! manager has, and what the agent has found out itself. Slots append to the same
//! file, and the agent learns of that by reading it, too.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::fd::BorrowedFd;

use gjob_core::record::{RecordKind, RecordSummary};
use gjob_core::wire::FromAgent;
use gjob_core::{JobId, Key, Record};

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
                for (at, record) in &records {
                    self.attempts.note(record.kind, record.key, Some(*at));
                }
                records.into_iter().map(|(_, record)| record).collect()
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
        self.attempts.note(record.kind(), record.key(), None);
    }

    /// What the log says of an attempt, for a manager that was sent it before; none when it
    /// says nothing, or what it says is still to be sent.
    pub(super) fn repeat(&self, key: Key) -> io::Result<Option<FromAgent>> {
        let Some(at) = self.attempts.place(key) else { return Ok(None) };
        let line = self.tail.sent_line(at)?;
        Ok(line.map(|line| FromAgent::Recorded { key, line }))
    }

    /// The job directory of a running attempt, as the log names it.
    pub(super) fn job_id(&self, key: Key) -> Option<JobId> {
        let line = self.tail.line_at(self.attempts.place(key)?).ok()?;
        match Record::parse(&line) {
            Ok(Record::Started { key: named, id, .. }) if named == key => Some(id),
            _ => None,
        }
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

/// The attempts that the run log speaks of, each with where it says of it what counts; that
/// is not known of what the log was only given to write.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    running: BTreeMap<Key, Option<u64>>,
    over: HashMap<Key, Option<u64>>,
}

impl Attempts {
    fn note(&mut self, kind: RecordKind, key: Option<Key>, at: Option<u64>) {
        let Some(key) = key else { return };
        let place = if kind.is_end() {
            self.running.remove(&key);
            self.over.entry(key).or_insert(at)
        } else if !self.is_over(key) {
            self.running.entry(key).or_insert(at)
        } else {
            return;
        };
        *place = place.or(at);
    }

    /// Where the log says what counts of an attempt.
    fn place(&self, key: Key) -> Option<u64> {
        *self.over.get(&key).or_else(|| self.running.get(&key))?
    }

    /// True when nothing more will be said of the attempt.
    pub(super) fn is_over(&self, key: Key) -> bool {
        self.over.contains_key(&key)
    }

    /// True when the log speaks of the attempt at all.
    pub(super) fn is_known(&self, key: Key) -> bool {
        self.is_over(key) || self.running.contains_key(&key)
    }

    /// Attempts that were started and have no end yet, in order.
    pub(super) fn running(&self) -> impl Iterator<Item = Key> {
        self.running.keys().copied()
    }
}
