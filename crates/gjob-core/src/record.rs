//! The lines of the run log: on each host, one append-only file per run records what
//! really happened there. Each line is a JSON object; the first one names the
//! format's version.
//!
//! A record is written with a single `O_APPEND` write, so lines of several
//! slots never mix. The agent sends the file's bytes as they are; the manager
//! reads them with [`Record::parse`].

use serde::{Deserialize, Serialize};

use crate::id::{HostLabel, JobId, Key, RunId};
use crate::outcome::Finish;
use crate::text::{Foreign, Shown};
use crate::time::Timestamp;

/// The version of the run log and of the job directory's JSON files.
pub const RECORD_VERSION: u32 = 4;

/// The longest line that a reader accepts, bytes; writers stay far below it.
pub const MAX_LINE: usize = 16 * 1024;

/// The most processors that a record names.
pub const MAX_PROCESSORS: usize = 1024;

/// One line of a run log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Record {
    /// The first line.
    Log {
        /// [`RECORD_VERSION`] of the writer.
        version: u32,
        /// The run that this log is of.
        run: RunId,
        /// What the manager calls this host.
        host: HostLabel,
    },
    /// A job's script was started.
    Started {
        /// Which attempt.
        key: Key,
        /// The job directory it got.
        id: JobId,
        /// The process id of its shell.
        pid: u32,
        /// When, by the host's clock.
        at: Timestamp,
        /// The processors that it is bound to; none for a job that is not bound.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        processors: Vec<u32>,
    },
    /// A job's script ended.
    Finished(Finish),
    /// A launch was not carried out: no process of the job was started.
    Refused {
        /// Which attempt.
        key: Key,
        /// What went wrong, in one line.
        reason: Foreign,
        /// Whose fault it is.
        scope: Scope,
        /// When, by the host's clock.
        at: Timestamp,
    },
    /// A tombstone: this key never starts on this host, however late its launch arrives.
    Withdrawn {
        /// Which attempt.
        key: Key,
        /// When, by the host's clock.
        at: Timestamp,
    },
    /// The attempt was started, but its slot died without an exit record, so that its
    /// outcome cannot be known. What was left of it has been ended or is named.
    Lost {
        /// Which attempt.
        key: Key,
        /// What happened to its slot.
        how: Loss,
        /// Its job directory, if it had one already.
        id: Option<JobId>,
        /// What is known of it, in one line.
        reason: Foreign,
        /// Processes of it that could not be ended, as in [`Finish`].
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        survivors: Vec<u32>,
        /// When that was found, by the host's clock.
        at: Timestamp,
    },
}

/// The kinds of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordKind {
    /// [`Record::Log`].
    Log,
    /// [`Record::Started`].
    Started,
    /// [`Record::Finished`].
    Finished,
    /// [`Record::Refused`].
    Refused,
    /// [`Record::Withdrawn`].
    Withdrawn,
    /// [`Record::Lost`].
    Lost,
}

impl RecordKind {
    /// True for one after which nothing more is recorded of the attempt.
    #[must_use]
    pub const fn is_end(self) -> bool {
        match self {
            RecordKind::Log | RecordKind::Started => false,
            RecordKind::Finished
            | RecordKind::Refused
            | RecordKind::Withdrawn
            | RecordKind::Lost => true,
        }
    }
}

/// A part of a [`Record`]: what the agent on its host goes by. To read all of it
/// takes several times as much code.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RecordSummary {
    /// Its kind.
    #[serde(rename = "event")]
    pub kind: RecordKind,
    /// The attempt it is about; none for the first line.
    pub key: Option<Key>,
    /// Processes that could not be ended.
    #[serde(default)]
    pub survivors: Vec<u32>,
    /// Of the first line.
    version: Option<u32>,
}

impl RecordSummary {
    /// Reads one line, without its newline.
    ///
    /// # Errors
    /// When the line is too long, no record, or another version's first line.
    pub fn parse(line: &[u8]) -> Result<RecordSummary, ParseRecordError> {
        if line.len() > MAX_LINE {
            return Err(ParseRecordError::TooLong(line.len()));
        }
        let summary: RecordSummary = serde_json::from_slice(line)?;
        match (summary.kind, summary.version) {
            (RecordKind::Log, Some(found)) if found != RECORD_VERSION => {
                Err(ParseRecordError::Version { found })
            }
            _ => Ok(summary),
        }
    }
}

/// What happened to a slot that left no exit record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Loss {
    /// It died while its host was running: its job may have done everything.
    Slot,
    /// Its host was restarted: nothing of the job can be alive.
    Restart,
}

/// Whose fault it is that a launch was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The job's own: it would be refused everywhere.
    Job,
    /// The host's: a missing bash, too many processes.
    Host,
    /// The host's, whose results directory takes nothing more for now: it may have room
    /// later. It has kept nothing of the launch.
    Space,
    /// The host's, which is busier than the run's users want it to be. It has kept nothing
    /// of the launch.
    Load,
}

/// Why a line of a run log was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParseRecordError {
    /// Longer than any writer makes it.
    #[error("run log line of {0} bytes is longer than {MAX_LINE}")]
    TooLong(usize),
    /// Not a record.
    #[error("malformed run log line: {0}")]
    Malformed(#[from] serde_json::Error),
    /// The log has another version.
    #[error("run log has version {found}, this gjob reads version {RECORD_VERSION}")]
    Version {
        /// The version the log names.
        found: u32,
    },
}

impl Record {
    /// Reads one line, without its newline.
    ///
    /// # Errors
    /// When the line is too long, no record, or another version's first line.
    pub fn parse(line: &[u8]) -> Result<Record, ParseRecordError> {
        if line.len() > MAX_LINE {
            return Err(ParseRecordError::TooLong(line.len()));
        }
        let record: Record = serde_json::from_slice(line)?;
        match record {
            Record::Log { version, .. } if version != RECORD_VERSION => {
                Err(ParseRecordError::Version { found: version })
            }
            other => Ok(other.bounded()),
        }
    }

    /// The record with numbers that can be added, stored and shown: a host can
    /// write any.
    fn bounded(mut self) -> Self {
        match &mut self {
            Record::Log { .. } => {}
            Record::Finished(finish) => finish.bound(),
            Record::Started { at, processors, .. } => {
                *at = at.bounded();
                processors.truncate(MAX_PROCESSORS);
            }
            Record::Refused { at, .. } | Record::Withdrawn { at, .. } | Record::Lost { at, .. } => {
                *at = at.bounded();
            }
        }
        self
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> RecordKind {
        match self {
            Record::Log { .. } => RecordKind::Log,
            Record::Started { .. } => RecordKind::Started,
            Record::Finished(_) => RecordKind::Finished,
            Record::Refused { .. } => RecordKind::Refused,
            Record::Withdrawn { .. } => RecordKind::Withdrawn,
            Record::Lost { .. } => RecordKind::Lost,
        }
    }

    /// The record as one line, with its newline.
    #[must_use]
    pub fn to_line(&self) -> Vec<u8> {
        // A record holds no map and no non-finite number: it always serializes.
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }

    /// The attempt the record is about; none for the first line.
    #[must_use]
    pub fn key(&self) -> Option<Key> {
        match self {
            Record::Log { .. } => None,
            Record::Finished(finish) => finish.key,
            Record::Started { key, .. }
            | Record::Refused { key, .. }
            | Record::Withdrawn { key, .. }
            | Record::Lost { key, .. } => Some(*key),
        }
    }
}

/// What a host says in a record or a message: one line of bounded length.
#[must_use]
pub fn one_line(text: &str) -> Foreign {
    Shown::new(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Cause, Ending};

    fn finished() -> Record {
        Record::Finished(Finish {
            key: Some(Key::new(3, 1)),
            id: "h/2026-11-22-4".parse().unwrap(),
            ending: Ending::Exit(7),
            cause: Some(Cause::Timeout),
            started: Timestamp(1),
            ended: Timestamp(2),
            user_us: 3,
            system_us: 4,
            max_rss_kib: 5,
            read_bytes: 0,
            written_bytes: 0,
            stdout_bytes: 6,
            stderr_bytes: 7,
            survivors: vec![8, 9],
        })
    }

    /// The format on disk: changing this line needs a new RECORD_VERSION, unless it is by a field
    /// that may be missing.
    #[test]
    fn format_of_a_finished_line_is_pinned() {
        let line = String::from_utf8(finished().to_line()).unwrap();
        assert_eq!(
            line,
            "{\"event\":\"finished\",\"key\":\"3.1\",\"id\":\"h/2026-11-22-4\",\
             \"ending\":{\"exit\":7},\"cause\":\"timeout\",\"started\":1,\"ended\":2,\
             \"user_us\":3,\"system_us\":4,\"max_rss_kib\":5,\"read_bytes\":0,\"written_bytes\":0,\
             \"stdout_bytes\":6,\"stderr_bytes\":7,\"survivors\":[8,9]}\n"
        );
        assert_eq!(RECORD_VERSION, 4);
    }

    #[test]
    fn every_record_reads_back() {
        let key = Key::new(1, 2);
        let at = Timestamp(9);
        let id: JobId = "h/2026-11-22-1".parse().unwrap();
        let records = [
            Record::Log {
                version: RECORD_VERSION,
                run: "2026-11-22-1".parse().unwrap(),
                host: ":".parse().unwrap(),
            },
            Record::Started { key, id: id.clone(), pid: 77, at, processors: Vec::new() },
            finished(),
            Record::Refused { key, reason: "no bash".into(), scope: Scope::Host, at },
            Record::Withdrawn { key, at },
            Record::Lost {
                key,
                how: Loss::Slot,
                id: Some(id),
                reason: "slot died".into(),
                survivors: vec![5],
                at,
            },
        ];
        for record in records {
            let line = record.to_line();
            let (end, body) = line.split_last().unwrap();
            assert_eq!(*end, b'\n');
            assert_eq!(Record::parse(body).unwrap(), record);
            let summary = RecordSummary::parse(body).unwrap();
            assert_eq!((summary.kind, summary.key), (record.kind(), record.key()));
            let survivors = match record {
                Record::Finished(finish) => finish.survivors,
                Record::Lost { survivors, .. } => survivors,
                _ => Vec::new(),
            };
            assert_eq!(summary.survivors, survivors);
        }
    }

    #[test]
    fn numbers_of_a_record_can_be_added_stored_and_shown() {
        let line = String::from_utf8(finished().to_line()).unwrap();
        let most = |field: &str, value: &str| {
            line.replace(&format!("\"{field}\":{value},"), &format!("\"{field}\":{},", u64::MAX))
        };
        let sizes = most("stdout_bytes", "6");
        let Record::Finished(finish) = Record::parse(sizes.trim().as_bytes()).unwrap() else {
            panic!("{sizes}")
        };
        assert_eq!(finish.stdout_bytes, i64::MAX as u64);
        let times = most("ended", "2");
        let Record::Finished(finish) = Record::parse(times.trim().as_bytes()).unwrap() else {
            panic!("{times}")
        };
        assert_eq!(finish.ended.to_string(), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn log_of_another_version_is_refused_naming_both() {
        let line = br#"{"event":"log","version":9,"run":"2026-11-22-1","host":"a"}"#;
        let error = Record::parse(line).unwrap_err().to_string();
        assert_eq!(error, RecordSummary::parse(line).unwrap_err().to_string());
        assert_eq!(error, "run log has version 9, this gjob reads version 4");
    }
}
