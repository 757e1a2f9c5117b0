//! Reads the run log, twice: once to know each attempt's fate, and once, from
//! the manager's offset and only as fast as it listens, to send it.

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
    /// Up to where records were taken notice of.
    known: u64,
    /// Up to where they were sent.
    sent: u64,
    /// None where the kernel has none left for us: then it is looked at in turns.
    inotify: Option<OwnedFd>,
    chunk: Vec<u8>,
}

/// A run log that can't be followed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum TailError {
    /// The manager has seen more than there is.
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
    /// The manager's place is not one where a line begins.
    #[error("byte {offset} of the run log {path} is not the beginning of a line")]
    MidLine {
        /// The run log.
        path: String,
        /// The manager's offset.
        offset: u64,
    },
    /// It holds what no writer puts there.
    #[error("byte {0} of the run log begins a line longer than {CHUNK} bytes")]
    LongLine(u64),
    /// It can't be read.
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
        Ok(Tail { file, known: 0, sent: offset, inotify: watch(path).ok(), chunk: vec![0; CHUNK] })
    }

    /// Records not taken notice of yet. Lines that are none are passed over.
    pub(crate) fn next_records(&mut self) -> Result<Vec<RecordSummary>, TailError> {
        let length = self.whole_lines_at(self.known)?;
        self.known += length as u64;
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

    /// True when records that were taken notice of still have to be sent.
    pub(crate) fn is_behind(&self) -> bool {
        self.sent < self.known
    }

    /// Fills the chunk from `offset`; how many bytes of it are whole lines.
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
            // Non-blocking; what it says is known: the log has grown.
            let _ = rustix::io::read(inotify, &mut [0; 4096]);
        }
    }
}

fn watch(path: &Path) -> io::Result<OwnedFd> {
    let inotify = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
    inotify::add_watch(&inotify, path, inotify::WatchFlags::MODIFY)?;
    Ok(inotify)
}
