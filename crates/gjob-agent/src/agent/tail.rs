//! Reads the run log, twice: once to know what became of each attempt, and once to
//! send it, from the manager's offset and only as fast as the link takes it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use gjob_core::record::RecordSummary;
use gjob_core::wire::{CHUNK, FromAgent};
use rustix::fs::inotify;

/// The run log as it grows.
#[derive(Debug)]
pub(crate) struct Tail {
    file: File,
    path: PathBuf,
    /// Up to where records were read.
    read: u64,
    /// True when that is within a line that is longer than a chunk.
    in_long_line: bool,
    /// Up to where they were sent.
    sent: u64,
    /// None where the kernel has none left: then the file is looked at from time to time.
    inotify: Option<OwnedFd>,
    chunk: Vec<u8>,
}

/// Why a run log cannot be followed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum TailError {
    /// The manager has read more than there is.
    #[error(
        "the run log {path} ends at byte {length}, but the manager has read it up to byte {offset}: it is not the same file"
    )]
    Beyond {
        /// The run log.
        path: String,
        /// The manager's offset.
        offset: u64,
        /// The file's length.
        length: u64,
    },
    /// No line begins at the manager's offset.
    #[error("byte {offset} of the run log {path} is not the beginning of a line")]
    MidLine {
        /// The run log.
        path: String,
        /// The manager's offset.
        offset: u64,
    },
    /// Nothing that is appended to it can be found again.
    #[error("the run log {path} was removed or replaced")]
    Removed {
        /// The run log.
        path: String,
    },
    /// It cannot be read.
    #[error("read the run log: {0}")]
    Io(#[from] io::Error),
}

impl Tail {
    /// Opens the log at `path`, which is sent from `offset` on.
    pub(crate) fn open(path: &Path, offset: u64) -> Result<Self, TailError> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let name = || path.display().to_string();
        if offset > length {
            return Err(TailError::Beyond { path: name(), offset, length });
        }
        let mut before = [b'\n'];
        if offset > 0 {
            file.read_exact_at(&mut before, offset - 1)?;
        }
        if before != [b'\n'] {
            return Err(TailError::MidLine { path: name(), offset });
        }
        Ok(Tail {
            file,
            path: path.to_owned(),
            read: 0,
            in_long_line: false,
            sent: offset,
            inotify: watch(path).ok(),
            chunk: vec![0; CHUNK],
        })
    }

    /// Records that were not read yet. Lines that are no records are skipped.
    pub(crate) fn next_records(&mut self) -> Result<Vec<RecordSummary>, TailError> {
        loop {
            let length = self.lines_at(self.read)?;
            self.read += length as u64;
            let chunk = &self.chunk[..length];
            let rest_of_long = std::mem::replace(
                &mut self.in_long_line,
                length > 0 && chunk.last() != Some(&b'\n'),
            );
            let mut lines = chunk.split(|byte| *byte == b'\n');
            if rest_of_long {
                lines.next();
            }
            let records: Vec<_> =
                lines.filter_map(|line| RecordSummary::parse(line).ok()).collect();
            // Empty says that all was read.
            if length == 0 || !records.is_empty() {
                return Ok(records);
            }
        }
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
        let (meta, path) = (self.file.metadata()?, self.path.display().to_string());
        if meta.nlink() == 0 {
            return Err(TailError::Removed { path });
        }
        if meta.len() < offset {
            return Err(TailError::Beyond { path, offset, length: meta.len() });
        }
        Ok(())
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
    inotify::add_watch(&inotify, path, inotify::WatchFlags::MODIFY | inotify::WatchFlags::ATTRIB)?;
    Ok(inotify)
}
