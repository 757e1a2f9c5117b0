//! Reads the run log, twice: once to know what became of each attempt, and once to
//! send it, from the manager's offset and only as fast as the link takes it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use gjob_core::record::RecordSummary;
use gjob_core::wire::{CHUNK, FromAgent};
use rustix::fs::inotify;

/// The run log as it grows.
#[derive(Debug)]
pub(crate) struct Tail {
    file: File,
    /// Up to where records were read.
    read: u64,
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
    /// A line is longer than any writer makes it.
    #[error("byte {0} of the run log begins a line longer than {CHUNK} bytes")]
    LongLine(u64),
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
        Ok(Tail { file, read: 0, sent: offset, inotify: watch(path).ok(), chunk: vec![0; CHUNK] })
    }

    /// Records that were not read yet. Lines that are no records are skipped.
    pub(crate) fn next_records(&mut self) -> Result<Vec<RecordSummary>, TailError> {
        let length = self.whole_lines_at(self.read)?;
        self.read += length as u64;
        let lines = self.chunk[..length].split(|byte| *byte == b'\n');
        Ok(lines.filter_map(|line| RecordSummary::parse(line).ok()).collect())
    }

    /// Lines not sent yet, as a message.
    pub(crate) fn next_message(&mut self) -> Result<Option<FromAgent>, TailError> {
        let length = self.whole_lines_at(self.sent)?;
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

    /// Fills the chunk from `offset`; gives the number of bytes in whole lines.
    fn whole_lines_at(&mut self, offset: u64) -> Result<usize, TailError> {
        let length = self.file.read_at(&mut self.chunk, offset)?;
        let end =
            self.chunk[..length].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if end == 0 && length == CHUNK {
            return Err(TailError::LongLine(offset));
        }
        Ok(end)
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
    inotify::add_watch(&inotify, path, inotify::WatchFlags::MODIFY)?;
    Ok(inotify)
}
