//! How many bytes of files may be on their way, and how far they have come.

use std::collections::VecDeque;
use std::time::Duration;

use gjob_core::wire::{BlobHash, CHUNK};
use tokio::time::Instant;

/// Bytes in one message: a quarter of the most allowed, so that what is to go
/// between two pieces does not wait long on a slow link.
pub(super) const PIECE: usize = CHUNK / 4;

/// Files of less than this are there before anybody would ask, bytes.
const WORTH_TELLING: u64 = 8 << 20;

/// How often a host's progress is told.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// How many bytes of files may be on their way. A ping follows each piece; its
/// answer says that the piece has arrived. The window is grown while answers
/// are quick and shrunk when they are slow: a link's deep buffers would
/// otherwise hold what else is to be sent behind megabytes of file, and the
/// heartbeat's answer until the host is taken for dead.
#[derive(Debug)]
pub(super) struct Window {
    size: usize,
    on_the_way: usize,
    pieces: VecDeque<(u64, usize, Instant)>,
}

impl Window {
    const SMALLEST: usize = PIECE;
    const LARGEST: usize = 16 * 1024 * 1024;
    /// From here on pieces are as large as they may be.
    const WIDE: usize = 4 * 1024 * 1024;
    const QUICK: Duration = Duration::from_secs(1);
    const SLOW: Duration = Duration::from_secs(2);

    pub(super) fn new() -> Self {
        Window { size: Self::SMALLEST, on_the_way: 0, pieces: VecDeque::new() }
    }

    /// Bytes to be put into one message.
    pub(super) fn piece(&self) -> usize {
        if self.size < Self::WIDE { PIECE } else { CHUNK }
    }

    /// True when another piece may be sent.
    pub(super) fn is_open(&self) -> bool {
        self.on_the_way < self.size
    }

    /// A piece of `bytes` was queued, followed by the ping `nonce`.
    pub(super) fn handle_sent(&mut self, nonce: u64, bytes: usize, now: Instant) {
        self.on_the_way += bytes;
        self.pieces.push_back((nonce, bytes, now));
    }

    /// The answer to the ping `nonce`; others' are ignored.
    pub(super) fn handle_answer(&mut self, nonce: u64, now: Instant) {
        let Some(&(next, bytes, sent)) = self.pieces.front() else {
            return;
        };
        if next != nonce {
            return;
        }
        self.pieces.pop_front();
        self.on_the_way -= bytes;
        let took = now.duration_since(sent);
        if took <= Self::QUICK {
            self.size = (self.size + bytes).min(Self::LARGEST);
        } else if took >= Self::SLOW {
            self.size = self.size.saturating_sub(bytes).max(Self::SMALLEST);
        }
    }
}

/// How far the larger files have come, by what the agent has answered.
#[derive(Debug, Default)]
pub(super) struct SendProgress {
    pieces: VecDeque<(u64, Sent)>,
    told: Option<Instant>,
}

/// A part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) hash: BlobHash,
    /// Bytes of it that are there.
    pub(super) sent: u64,
    pub(super) size: u64,
}

impl SendProgress {
    /// A piece was queued, followed by the ping `nonce`.
    pub(super) fn handle_sent(&mut self, nonce: u64, sent: Sent) {
        if sent.size >= WORTH_TELLING {
            self.pieces.push_back((nonce, sent));
        }
    }

    /// The answer to the ping `nonce`; gives back what is worth telling.
    pub(super) fn handle_answer(&mut self, nonce: u64, now: Instant) -> Option<Sent> {
        let &(next, sent) = self.pieces.front()?;
        if next != nonce {
            return None;
        }
        self.pieces.pop_front();
        let is_due = self.told.is_none_or(|told| now.duration_since(told) >= TELL_EVERY);
        if !is_due && sent.sent < sent.size {
            return None;
        }
        self.told = Some(now);
        Some(sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends for `duration` over a link of `rate` bytes a second that buffers
    /// without limit; gives back the longest an answer took and the bytes sent.
    fn send_over(rate: f64, duration: Duration) -> (Duration, usize) {
        let start = Instant::now();
        let (mut window, mut now, mut line_free, mut sent) = (Window::new(), start, start, 0);
        let (mut answers, mut slowest) = (VecDeque::new(), Duration::ZERO);
        for nonce in 0.. {
            if now > start + duration {
                break;
            }
            if window.is_open() {
                let piece = window.piece();
                window.handle_sent(nonce, piece, now);
                line_free = line_free.max(now) + Duration::from_secs_f64(piece as f64 / rate);
                let answered = line_free + Duration::from_millis(20);
                answers.push_back((nonce, piece, now, answered));
            } else if let Some((nonce, piece, queued, answered)) = answers.pop_front() {
                now = now.max(answered);
                slowest = slowest.max(answered - queued);
                sent += piece;
                window.handle_answer(nonce, now);
            }
        }
        (slowest, sent)
    }

    #[test]
    fn a_slow_link_is_not_filled_until_its_agent_looks_dead() {
        let (slowest, _) = send_over(6e3, Duration::from_secs(300));
        assert!(slowest < Duration::from_secs(25), "{slowest:?}");
        let (slowest, sent) = send_over(125e3, Duration::from_secs(300));
        assert!(slowest < Duration::from_secs(4), "{slowest:?}");
        assert!(sent as f64 > 0.9 * 125e3 * 300.0, "{sent}");
    }

    #[test]
    fn a_fast_link_is_filled() {
        let (_, sent) = send_over(100e6, Duration::from_secs(20));
        assert!(sent as f64 > 0.9 * 100e6 * 20.0, "{sent}");
    }

    #[test]
    fn progress_is_told_once_a_second_and_at_the_end_and_not_of_small_files() {
        let start = Instant::now();
        let size = WORTH_TELLING;
        let mut progress = SendProgress::default();
        let mut told = Vec::new();
        for nonce in 1..=32 {
            let sent = Sent { hash: BlobHash([1; 32]), sent: nonce * size / 32, size };
            progress.handle_sent(nonce, sent);
            let now = start + Duration::from_millis(100) * nonce as u32;
            told.extend(progress.handle_answer(nonce, now).map(|sent| sent.sent * 32 / size));
        }
        assert_eq!(told, [1, 11, 21, 31, 32]);
        let small = Sent { hash: BlobHash([2; 32]), sent: 1, size: size - 1 };
        progress.handle_sent(33, small);
        assert_eq!(progress.handle_answer(33, start + Duration::from_secs(9)), None);
    }
}
