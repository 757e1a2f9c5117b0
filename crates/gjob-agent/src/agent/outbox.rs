//! What goes to the manager: a bounded queue of frames before a standard
//! output that never blocks the agent.

use std::io;
use std::time::{Duration, Instant};

use gjob_core::wire::{Encoder, FromAgent, magic_line};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

/// Bytes queued before nothing more is read, neither requests nor records.
const FULL: usize = 4 * 1024 * 1024;

/// Bytes queued before no more outputs are added.
const BULK: usize = 256 * 1024;

/// The frames on their way out.
#[derive(Debug)]
pub(crate) struct Outbox {
    encoder: Encoder,
    bytes: Vec<u8>,
    /// Where what was not written yet begins.
    start: usize,
}

impl Outbox {
    /// Makes standard output non-blocking and queues the magic line.
    pub(crate) fn open() -> io::Result<Self> {
        let stdout = rustix::stdio::stdout();
        let flags = fcntl_getfl(stdout)?;
        fcntl_setfl(stdout, flags | OFlags::NONBLOCK)?;
        Ok(Outbox { encoder: Encoder::default(), bytes: magic_line().into_bytes(), start: 0 })
    }

    /// Queues a message.
    pub(crate) fn send(&mut self, message: &FromAgent) {
        self.encoder.encode_into(message, &mut self.bytes);
    }

    /// True when what makes more of it has to wait.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() - self.start >= FULL
    }

    /// True when there is room for what is plenty: on a slow link, what is said in
    /// between is not to wait long behind it.
    pub(crate) fn has_room_for_bulk(&self) -> bool {
        self.bytes.len() - self.start < BULK
    }

    /// True when everything was written.
    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    /// Writes what can be written at once. An error means that nobody reads.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while !self.is_empty() {
            match rustix::io::write(rustix::stdio::stdout(), &self.bytes[self.start..]) {
                Ok(written) => self.start += written,
                Err(rustix::io::Errno::AGAIN) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if self.is_empty() {
            self.bytes.clear();
            self.start = 0;
        } else if self.start >= FULL {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        Ok(())
    }

    /// Writes the rest, however long the reader takes up to `limit`.
    pub(crate) fn drain(&mut self, limit: Duration) {
        let deadline = Instant::now() + limit;
        while self.flush().is_ok() && !self.is_empty() && Instant::now() < deadline {
            let step = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
            // Woken or not, the next flush tells.
            let _ = poll(&mut [PollFd::new(&rustix::stdio::stdout(), PollFlags::OUT)], Some(&step));
        }
    }
}
