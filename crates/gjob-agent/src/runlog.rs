//! Appends to the run log: whole lines, each in a single `O_APPEND` write, so
//! that those of several slots never mix. Reading it is `agent/tail`.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use gjob_core::Record;

use crate::own_file;

/// A run log opened for appending. What a full disk would not take is kept and
/// goes first the next time.
#[derive(Debug)]
pub(crate) struct RunLog {
    file: File,
    pending: Vec<u8>,
}

impl RunLog {
    /// Opens the log; makes it if it does not exist.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let options = options.read(true).append(true).create(true).mode(0o600);
        let file = own_file::open(path, options)?;
        Ok(RunLog { file, pending: Vec::new() })
    }

    /// Adds a record and writes what can be written; true when all of it was.
    pub(crate) fn append(&mut self, record: &Record) -> bool {
        self.hold(record);
        self.flush().is_ok()
    }

    /// Adds a record that is written with the next one, or by [`RunLog::flush`].
    pub(crate) fn hold(&mut self, record: &Record) {
        self.pending.extend(record.to_line());
    }

    /// True when the file does not end in a newline.
    pub(crate) fn is_torn(&self) -> io::Result<bool> {
        let mut last = [b'\n'];
        if let Some(before_last) = self.file.metadata()?.len().checked_sub(1) {
            // Nothing is read from a device that takes the file's place.
            self.file.read_at(&mut last, before_last)?;
        }
        Ok(last != [b'\n'])
    }

    /// Adds a newline after a line that was left torn.
    pub(crate) fn end_torn_line(&mut self) -> io::Result<()> {
        self.file.write_all(b"\n")
    }

    /// Writes what is pending.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while !self.pending.is_empty() {
            // A full disk may have cut this writer's last line or another's. A record
            // written after it on the same line would be lost.
            if self.is_torn()? {
                self.end_torn_line()?;
            }
            match self.file.write(&self.pending) {
                Ok(written) => self.take_off(written)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Forgets the whole lines of what was written: a torn one is written again.
    fn take_off(&mut self, written: usize) -> io::Result<()> {
        let all = written == self.pending.len();
        let lines_end =
            self.pending[..written].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        self.pending.drain(..lines_end);
        if all { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }

    /// True when something could not be written yet.
    pub(crate) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use gjob_core::{Key, Timestamp};

    use super::*;

    fn record(index: u32) -> Record {
        Record::Withdrawn { key: Key::new(index, 1), at: Timestamp(0) }
    }

    #[test]
    fn line_that_a_full_disk_has_cut_is_written_again_in_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = RunLog::open(&path).unwrap();
        let (first, second) = (record(1).to_line(), record(2).to_line());
        log.pending = [first.clone(), second.clone()].concat();
        // What a short write does: the first line, and a part of the second.
        let written = first.len() + 5;
        let cut = log.pending[..written].to_vec();
        log.file.write_all(&cut).unwrap();
        assert!(log.take_off(written).is_err());
        assert!(log.has_pending());
        assert!(log.append(&record(3)));
        let third = record(3).to_line();
        let expected = [&first[..], &second[..5], b"\n", &second, &third].concat();
        assert_eq!(std::fs::read(&path).unwrap(), expected);
    }

    #[test]
    fn record_after_a_line_that_another_writer_left_torn_begins_a_new_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, "{\"torn").unwrap();
        assert!(RunLog::open(&path).unwrap().append(&record(1)));
        let expected = [b"{\"torn\n".to_vec(), record(1).to_line()].concat();
        assert_eq!(std::fs::read(&path).unwrap(), expected);
    }

    #[test]
    fn record_that_the_disk_does_not_take_is_kept() {
        let full = OpenOptions::new().read(true).append(true).open("/dev/full").unwrap();
        let mut log = RunLog { file: full, pending: Vec::new() };
        assert!(!log.append(&record(1)));
        let error = log.flush().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(log.pending, record(1).to_line());
    }
}
