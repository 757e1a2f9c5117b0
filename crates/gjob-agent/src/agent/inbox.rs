//! What the manager sends, and how long it has been silent.

use std::time::{Duration, Instant};

use gjob_core::wire::{DecodeError, FrameBuffer, ToAgent};

/// A manager that has said nothing for so long is gone: it says something every
/// 10 s. It gives its agents up after as long, so what comes later still is a
/// remainder that the network has held up, and is not obeyed.
pub(crate) const SILENCE: Duration = Duration::from_secs(30);

/// The messages on standard input.
#[derive(Debug)]
pub(crate) struct Inbox {
    buffer: FrameBuffer,
    chunk: Vec<u8>,
    last_heard: Instant,
    at_end: bool,
}

impl Inbox {
    /// Nothing read yet.
    pub(crate) fn new() -> Self {
        Inbox {
            buffer: FrameBuffer::new(),
            chunk: vec![0; 128 * 1024],
            last_heard: Instant::now(),
            at_end: false,
        }
    }

    /// Reads once, when there is something to read.
    pub(crate) fn read(&mut self) {
        if self.is_over() {
            self.at_end = true;
            return;
        }
        match rustix::io::read(rustix::stdio::stdin(), &mut self.chunk) {
            Ok(0) => self.at_end = true,
            Ok(length) => {
                self.buffer.extend(&self.chunk[..length]);
                self.last_heard = Instant::now();
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            // A link that can't be read is one that has ended.
            Err(_) => self.at_end = true,
        }
    }

    /// The next message that is here in whole.
    pub(crate) fn next(&mut self) -> Result<Option<ToAgent>, DecodeError> {
        self.buffer.next()
    }

    /// True when the manager has closed the link or fallen silent.
    pub(crate) fn is_over(&self) -> bool {
        self.at_end || self.last_heard.elapsed() >= SILENCE
    }

    /// Until the manager counts as gone.
    pub(crate) fn time_left(&self) -> Duration {
        SILENCE.saturating_sub(self.last_heard.elapsed())
    }
}
