//! The agent's end of the link: frames on standard input and output. What is sent
//! waits in a bounded queue, before a standard output that never blocks the agent.

use std::fs::File;
use std::io;
use std::time::{Duration, Instant};

use gjob_core::wire::{DecodeError, Encoder, FrameBuffer, FromAgent, ToAgent, magic_line};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::stdio::{dup2_stdout, stdin, stdout};

/// A manager that is silent for so long is gone: it sends something every 10 s. It
/// gives up its agents after as long, so that what comes even later is a remainder
/// that the network has held up, and is not acted on.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes read at once.
const READ_SIZE: usize = 128 * 1024;

/// Bytes queued before nothing more is read, neither requests nor records.
const FULL: usize = 4 * 1024 * 1024;

/// Bytes queued before no more outputs are added.
const FULL_FOR_OUTPUTS: usize = 256 * 1024;

/// The link to the manager.
#[derive(Debug)]
pub(super) struct Link {
    received: FrameBuffer,
    chunk: Vec<u8>,
    last_received: Instant,
    is_at_end: bool,
    /// True when messages may wait that there was no room to answer.
    is_held_back: bool,
    encoder: Encoder,
    queued: Vec<u8>,
    /// Where what was not written yet begins in `queued`.
    start: usize,
}

impl Link {
    /// Makes standard output non-blocking and queues the magic line.
    pub(super) fn open() -> io::Result<Self> {
        fcntl_setfl(stdout(), fcntl_getfl(stdout())? | OFlags::NONBLOCK)?;
        Ok(Link {
            received: FrameBuffer::new(),
            chunk: vec![0; READ_SIZE],
            last_received: Instant::now(),
            is_at_end: false,
            is_held_back: false,
            encoder: Encoder::default(),
            queued: magic_line().into_bytes(),
            start: 0,
        })
    }

    /// The next message that was received in whole; none while there is no room
    /// for an answer.
    pub(super) fn next(&mut self) -> Result<Option<ToAgent>, DecodeError> {
        self.is_held_back = self.is_full();
        if self.is_held_back { Ok(None) } else { self.received.next() }
    }

    /// True when the manager has closed the link or fallen silent.
    pub(super) fn is_over(&self) -> bool {
        self.is_at_end || self.last_received.elapsed() >= SILENCE_TIMEOUT
    }

    /// Queues a message.
    pub(super) fn send(&mut self, message: &FromAgent) {
        self.encoder.encode_into(message, &mut self.queued);
    }

    /// True when whatever makes more to be sent has to wait.
    pub(super) fn is_full(&self) -> bool {
        self.unwritten() >= FULL
    }

    /// True when there is room for outputs: on a slow link, what is sent in between
    /// is not to wait long for them.
    pub(super) fn has_room_for_outputs(&self) -> bool {
        self.unwritten() < FULL_FOR_OUTPUTS
    }

    fn unwritten(&self) -> usize {
        self.queued.len() - self.start
    }

    /// Writes what can be written at once. An error means that nobody reads.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        while self.unwritten() > 0 {
            match rustix::io::write(stdout(), &self.queued[self.start..]) {
                Ok(written) => self.start += written,
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if self.unwritten() == 0 {
            self.queued.clear();
            self.start = 0;
        } else if self.start >= FULL {
            self.queued.drain(..self.start);
            self.start = 0;
        }
        Ok(())
    }

    /// Writes the rest, however slow the reader, for up to `limit`.
    pub(super) fn drain(&mut self, limit: Duration) {
        let deadline = Instant::now() + limit;
        while self.flush().is_ok() && self.unwritten() > 0 && Instant::now() < deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            // Woken or not, the next flush tells.
            let _ = poll_for(&mut [PollFd::new(&stdout(), PollFlags::OUT)], left);
        }
    }

    /// Writes the rest, and ends what the manager reads.
    pub(super) fn close(&mut self, limit: Duration) {
        self.drain(limit);
        // Otherwise it ends with this process.
        if let Ok(null) = File::options().write(true).open("/dev/null") {
            let _ = dup2_stdout(null);
        }
    }

    /// Waits until the manager sends something or takes something, one of `others`
    /// is ready, or `limit` is over. Gives which of the others are ready.
    pub(super) fn wait(
        &mut self,
        others: Vec<PollFd<'_>>,
        limit: Duration,
    ) -> io::Result<Vec<bool>> {
        let (count, mut fds) = (others.len(), others);
        let (stdin, stdout) = (stdin(), stdout());
        let reads = !self.is_full();
        if reads {
            fds.push(PollFd::new(&stdin, PollFlags::IN));
        }
        if self.unwritten() > 0 {
            fds.push(PollFd::new(&stdout, PollFlags::OUT));
        }
        let limit = if self.is_held_back && reads { Duration::ZERO } else { limit };
        let silence_left = SILENCE_TIMEOUT.saturating_sub(self.last_received.elapsed());
        poll_for(&mut fds, limit.min(silence_left))?;
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        if reads && ready[count] {
            self.read();
        }
        Ok(ready[..count].to_vec())
    }

    /// Reads once, when there is something to read.
    fn read(&mut self) {
        if self.is_over() {
            self.is_at_end = true;
            return;
        }
        match rustix::io::read(stdin(), &mut self.chunk) {
            Ok(0) => self.is_at_end = true,
            Ok(length) => {
                self.received.extend(&self.chunk[..length]);
                self.last_received = Instant::now();
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            // A link that cannot be read is one that has ended.
            Err(_) => self.is_at_end = true,
        }
    }
}

fn poll_for(fds: &mut [PollFd<'_>], limit: Duration) -> io::Result<()> {
    let limit = Timespec {
        tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: limit.subsec_nanos().into(),
    };
    match poll(fds, Some(&limit)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
