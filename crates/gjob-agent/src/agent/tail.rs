//! Reads the run log, twice: once to know what became of each attempt, and once to
//! send it, from the manager's offset and only as fast as the link takes it.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use gjob_core::record::{MAX_LINE, RecordSummary};
use gjob_core::wire::{CHUNK, FromAgent};
use rustix::fs::inotify;

use crate::own_file;

/// How many bytes are compared with what was read there.
const REMEMBERED: usize = 64;

/// More than this without a record, bytes, is no part of a log.
pub(super) const MAX_BARREN: u64 = 16 << 20;

/// The run log as it grows.
#[derive(Debug)]
pub(crate) struct Tail {
    file: File,
    path: PathBuf,
    /// Where the manager goes on.
    begin: u64,
    /// Up to where records were read.
    read: u64,
    /// Bytes behind the last record, beyond where the manager goes on.
    barren: u64,
    /// The last bytes before that, as they were read.
    last_read: Vec<u8>,
    /// True when that is within a line that is longer than a chunk.
    in_long_line: bool,
    /// Up to where they were sent.
    sent: u64,
    /// None where the kernel has none left: then the file is looked at from time to time.
    inotify: Option<OwnedFd>,
    chunk: Vec<u8>,
}

/// Why a run log cannot be followed any more.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum TailError {
    /// What was appended to it may never be found. The next agent replaces it.
    #[error("the run log {path} {what}")]
    Damaged {
        /// The run log.
        path: String,
        /// What has happened to it.
        what: &'static str,
    },
    /// It cannot be read.
    #[error("read the run log: {0}")]
    Io(#[from] io::Error),
}

impl Tail {
    /// Opens the log at `path`, which is sent from `offset` on.
    pub(crate) fn open(path: &Path, offset: u64) -> Result<Self, TailError> {
        Ok(Tail {
            file: own_file::open_to_read(path)?,
            begin: offset,
            barren: 0,
            path: path.to_owned(),
            read: 0,
            last_read: Vec::new(),
            in_long_line: false,
            sent: offset,
            inotify: watch(path).ok(),
            chunk: vec![0; CHUNK],
        })
    }

    /// Records that were not read yet, with where they begin. Lines that are no records are
    /// skipped.
    pub(crate) fn next_records(&mut self) -> Result<Vec<(u64, RecordSummary)>, TailError> {
        loop {
            self.check_last_read()?;
            let mut at = self.read;
            let length = self.lines_at(at)?;
            self.read += length as u64;
            let chunk = &self.chunk[..length];
            if length > 0 {
                self.last_read = chunk[length.saturating_sub(REMEMBERED)..].to_vec();
            }
            let rest_of_long = std::mem::replace(
                &mut self.in_long_line,
                length > 0 && chunk.last() != Some(&b'\n'),
            );
            let lines = chunk.split(|byte| *byte == b'\n').map(|line| {
                let begin = at;
                at += line.len() as u64 + 1;
                (begin, line)
            });
            let records: Vec<_> = lines
                .skip(usize::from(rest_of_long))
                .filter_map(|(begin, line)| Some((begin, RecordSummary::parse(line).ok()?)))
                .collect();
            self.note_barren(length, records.is_empty())?;
            // Empty says that all was read.
            if length == 0 || !records.is_empty() {
                return Ok(records);
            }
        }
    }

    /// Makes sure that what was read has records in it now and then: what a job has put
    /// there without any has no end that is worth waiting for. A fresh log has a gap before
    /// what the manager has not read.
    fn note_barren(&mut self, length: usize, is_barren: bool) -> Result<(), TailError> {
        let is_new = self.read > self.begin;
        self.barren = if is_barren && is_new { self.barren + length as u64 } else { 0 };
        if self.barren >= MAX_BARREN { self.damaged("has no records for 16 MiB") } else { Ok(()) }
    }

    /// Lines not sent yet, as a message. Of a line that is longer than any writer
    /// makes it, each message has a part; the manager passes over it.
    pub(crate) fn next_message(&mut self) -> Result<Option<FromAgent>, TailError> {
        let length = self.lines_at(self.sent)?;
        if length == 0 {
            return Ok(None);
        }
        let offset = self.sent;
        self.sent += length as u64;
        Ok(Some(FromAgent::Records { offset, lines: self.chunk[..length].to_vec() }))
    }

    /// The line that begins at `offset`, if it was sent, or need not be. One that is longer
    /// than any writer makes it is cut.
    pub(crate) fn sent_line(&self, offset: u64) -> io::Result<Option<Vec<u8>>> {
        if offset < self.sent { self.line_at(offset).map(Some) } else { Ok(None) }
    }

    /// The line that begins at `offset`.
    pub(crate) fn line_at(&self, offset: u64) -> io::Result<Vec<u8>> {
        let mut line = vec![0; MAX_LINE];
        let length = self.file.read_at(&mut line, offset)?;
        let end = line[..length].iter().position(|byte| *byte == b'\n');
        line.truncate(end.unwrap_or(length));
        Ok(line)
    }

    /// True when records that were read still have to be sent.
    pub(crate) fn has_unsent(&self) -> bool {
        self.sent < self.read
    }

    /// Fills the chunk from `offset`; gives the number of bytes in whole lines, or
    /// of the part of a line that fills it.
    fn lines_at(&mut self, offset: u64) -> Result<usize, TailError> {
        let length = self.file.read_at(&mut self.chunk, offset)?;
        if length == 0 {
            self.check(offset)?;
        }
        let end = self.chunk[..length].iter().rposition(|byte| *byte == b'\n');
        Ok(end.map_or(if length == CHUNK { CHUNK } else { 0 }, |at| at + 1))
    }

    /// Makes sure that this is still the log, with all that was read of it: what
    /// becomes of jobs would not be heard of.
    fn check(&self, offset: u64) -> Result<(), TailError> {
        let meta = self.file.metadata()?;
        let is_same = |named: Metadata| (named.dev(), named.ino()) == (meta.dev(), meta.ino());
        if !std::fs::symlink_metadata(&self.path).is_ok_and(is_same) {
            return self.damaged("was removed or replaced");
        }
        if meta.len() < offset {
            return self.damaged("is shorter than it was");
        }
        Ok(())
    }

    /// Makes sure that what follows was appended to what was read.
    fn check_last_read(&self) -> Result<(), TailError> {
        let mut there = [0; REMEMBERED];
        let there = &mut there[..self.last_read.len()];
        match self.file.read_exact_at(there, self.read - self.last_read.len() as u64) {
            Ok(()) if *there == *self.last_read => Ok(()),
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error.into()),
            _ => self.damaged("is not what it was"),
        }
    }

    fn damaged<T>(&self, what: &'static str) -> Result<T, TailError> {
        Err(TailError::Damaged { path: self.path.display().to_string(), what })
    }

    /// What becomes readable when the log has grown.
    pub(crate) fn pollable(&self) -> Option<BorrowedFd<'_>> {
        self.inotify.as_ref().map(|inotify| inotify.as_fd())
    }

    /// Takes notice of having been woken.
    pub(crate) fn clear_wakeup(&self) {
        if let Some(inotify) = &self.inotify {
            // Non-blocking. All it can say is that the log has grown.
            let _ = rustix::io::read(inotify, &mut [0; 4096]);
        }
    }
}

fn watch(path: &Path) -> io::Result<OwnedFd> {
    let inotify = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
    let changes =
        inotify::WatchFlags::MODIFY | inotify::WatchFlags::ATTRIB | inotify::WatchFlags::MOVE_SELF;
    inotify::add_watch(&inotify, path, changes)?;
    Ok(inotify)
}
