//! A run log that is not what the manager has read of it: its jobs can write there,
//! as their user can. What it held is lost, and is found out again from the claims and
//! the job directories: the manager passes over what it knows. A fresh log takes its
//! place. It goes on at the manager's offset, behind a gap that nobody reads, so that
//! an offset never means two things.
//!
//! Slots that still have the old file write their last record into it, which nobody
//! reads either: when they have ended, their jobs are found out about as well.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use gjob_core::record::{MAX_LINE, ParseRecordError, RECORD_VERSION, RecordKind, RecordSummary};
use gjob_core::{HostLabel, Record, RunId};

use super::attach::AttachError;
use super::tail::MAX_BARREN;
use crate::claims::Claims;
use crate::own_file;

/// The state of a run log.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LogState {
    /// Nothing was ever recorded.
    New,
    /// It can be followed from the manager's offset.
    Whole,
    /// It is not what it was, and why that is certain.
    Damaged(String),
}

/// Looks at the log at `path`, which the manager has read up to `offset`.
pub(super) fn examine(path: &Path, offset: u64, claims: &Claims) -> Result<LogState, AttachError> {
    let named = |source| AttachError::Log { path: path.display().to_string(), source };
    let damaged = |what: String| Ok(LogState::Damaged(what));
    let marked = claims.are_marked().map_err(named)?;
    let was_used = offset > 0 || marked;
    let file = match open(path) {
        Ok(Some(file)) => file,
        Ok(None) if was_used => return damaged("it was removed or replaced".to_owned()),
        Ok(None) => return Ok(LogState::New),
        Err(error) => return Err(named(error)),
    };
    let length = file.metadata().map_err(named)?.len();
    match first_line(&file).map_err(named)? {
        Ok(first) if first.kind == RecordKind::Log => {}
        Err(error @ ParseRecordError::Version { .. }) if !marked => return Err(error.into()),
        Ok(_) | Err(_) if was_used => return damaged("its first line is another".to_owned()),
        Ok(_) | Err(_) => return Ok(LogState::New),
    }
    if offset > length {
        return damaged(format!("it ends at byte {length}, and was read up to byte {offset}"));
    }
    if !is_line_end(&file, offset).map_err(named)? {
        return damaged(format!("no line begins at byte {offset}, up to which it was read"));
    }
    if let Some(from) = barren_from(&file, offset, length).map_err(named)? {
        return damaged(format!("it has no records behind byte {from}"));
    }
    Ok(LogState::Whole)
}

/// Where more than [`MAX_BARREN`] bytes without a record begin, if they do anywhere behind
/// `offset`: there may be records before them that nobody has read.
fn barren_from(file: &File, offset: u64, length: u64) -> io::Result<Option<u64>> {
    let (mut at, mut bytes) = (offset, Vec::new());
    while length.saturating_sub(at) > MAX_BARREN {
        bytes.resize(MAX_BARREN as usize, 0);
        file.read_exact_at(&mut bytes, at)?;
        let (mut end, mut last_record) = (0, 0);
        for line in bytes.split(|byte| *byte == b'\n') {
            end += line.len() as u64 + 1;
            if RecordSummary::parse(line).is_ok() {
                last_record = end;
            }
        }
        if last_record == 0 {
            return Ok(Some(at));
        }
        at += last_record;
    }
    Ok(None)
}

/// Puts a log in place, as a whole or not at all, whose records begin at `offset`, or
/// behind its first line.
pub(super) fn put_fresh(
    path: &Path,
    (run, host): (&RunId, &HostLabel),
    offset: u64,
) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = own_file::open_in_place(&new, options)?;
    let first = Record::Log { version: RECORD_VERSION, run: run.clone(), host: host.clone() };
    let first = first.to_line();
    file.write_all(&first)?;
    if offset > first.len() as u64 {
        file.write_all_at(b"\n", offset - 1)?;
    }
    match std::fs::rename(&new, path) {
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
            own_file::put_aside(path)?;
            std::fs::rename(&new, path)
        }
        renamed => renamed,
    }
}

/// The log, if what has its name is a regular file.
fn open(path: &Path) -> io::Result<Option<File>> {
    match std::fs::symlink_metadata(path) {
        Ok(meta) if meta.is_file() => own_file::open_to_read(path).map(Some),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn first_line(file: &File) -> io::Result<Result<RecordSummary, ParseRecordError>> {
    let mut line = Vec::new();
    io::BufReader::new(file.take(MAX_LINE as u64)).read_until(b'\n', &mut line)?;
    Ok(RecordSummary::parse(line.trim_ascii_end()))
}

fn is_line_end(file: &File, offset: u64) -> io::Result<bool> {
    let mut before = [b'\n'];
    if let Some(at) = offset.checked_sub(1) {
        file.read_exact_at(&mut before, at)?;
    }
    Ok(before == [b'\n'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_log_goes_on_where_the_manager_has_read_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let (path, keys) = (dir.path().join("log"), dir.path().join("keys"));
        std::fs::create_dir(&keys).unwrap();
        let claims = Claims::new(keys);
        let (run, host) = ("2026-11-22-1".parse().unwrap(), ":".parse().unwrap());
        let state = |offset| examine(&path, offset, &claims).unwrap();
        assert_eq!(state(0), LogState::New);
        assert!(matches!(state(1), LogState::Damaged(_)));
        claims.mark().unwrap();
        assert!(matches!(state(0), LogState::Damaged(_)));
        for offset in [0, 500, 1_000_000] {
            put_fresh(&path, (&run, &host), offset).unwrap();
            assert_eq!(state(offset), LogState::Whole);
            assert_eq!(std::fs::metadata(&path).unwrap().len().max(500), offset.max(500));
            // One from before has its offset in the gap.
            assert_eq!(state(300) == LogState::Whole, offset == 300);
        }
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(matches!(state(0), LogState::Damaged(_)));
        put_fresh(&path, (&run, &host), 500).unwrap();
        assert_eq!(state(500), LogState::Whole);
    }

    #[test]
    fn log_that_has_records_before_a_stretch_without_any_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let record = |index| Record::Withdrawn {
            key: gjob_core::Key::new(index, 1),
            at: gjob_core::Timestamp(0),
        };
        let head = Record::Log {
            version: RECORD_VERSION,
            run: "2026-11-22-1".parse().unwrap(),
            host: "h1".parse().unwrap(),
        };
        let lines = [head.to_line(), record(0).to_line(), record(1).to_line()];
        std::fs::write(&path, lines.concat()).unwrap();
        let claims = Claims::new(dir.path().to_owned());
        let offset = (lines[0].len() + lines[1].len()) as u64;
        assert_eq!(examine(&path, offset, &claims).unwrap(), LogState::Whole);
        OpenOptions::new().write(true).open(&path).unwrap().set_len(5 << 30).unwrap();
        let end = lines.concat().len();
        let expected = LogState::Damaged(format!("it has no records behind byte {end}"));
        assert_eq!(examine(&path, offset, &claims).unwrap(), expected);
    }
}
