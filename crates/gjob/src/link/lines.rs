//! The far side's lines before the frames begin: ours among a host's noise.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

use super::text::last_lines;

/// The most bytes that may come before a line that is waited for.
pub(super) const NOISE_LIMIT: usize = 64 * 1024;

/// Reads lines and leaves what follows them.
#[derive(Debug)]
pub(super) struct Lines<'a, R> {
    from: &'a mut R,
    buffer: Vec<u8>,
    /// What was skipped; at most [`NOISE_LIMIT`] bytes and one read.
    noise: Vec<u8>,
}

/// Why a line did not come.
#[derive(Debug)]
pub(super) enum NoLine {
    /// The stream ended.
    End,
    /// Too much came before it.
    Noise,
}

impl<'a, R: AsyncRead + Unpin> Lines<'a, R> {
    pub(super) fn new(from: &'a mut R) -> Self {
        Lines { from, buffer: Vec::new(), noise: Vec::new() }
    }

    /// Skips lines up to one that begins with `prefix`; gives back its rest.
    /// May be cancelled and called again.
    pub(super) async fn line_behind(&mut self, prefix: &str) -> Result<String, NoLine> {
        loop {
            while let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                if let Some(rest) = line.strip_prefix(prefix.as_bytes()) {
                    return Ok(String::from_utf8_lossy(rest).trim_end().to_owned());
                }
                self.noise.extend_from_slice(&line);
            }
            if self.noise.len() + self.buffer.len() > NOISE_LIMIT {
                return Err(NoLine::Noise);
            }
            if !matches!(self.fill().await, Ok(1..)) {
                return Err(NoLine::End);
            }
        }
    }

    /// The last of what was skipped, fit to be shown.
    pub(super) fn said(&self) -> String {
        last_lines(&[&self.noise[..], &self.buffer].concat(), 3)
    }

    /// The bytes behind the last line.
    pub(super) fn into_rest(self) -> Vec<u8> {
        self.buffer
    }

    async fn fill(&mut self) -> io::Result<usize> {
        let mut piece = [0; 4096];
        let count = self.from.read(&mut piece).await?;
        self.buffer.extend_from_slice(&piece[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn find(mut bytes: &[u8]) -> (Result<String, NoLine>, String, Vec<u8>) {
        let mut lines = Lines::new(&mut bytes);
        let found = lines.line_behind("magic ").await;
        let said = lines.said();
        (found, said, lines.into_rest())
    }

    #[tokio::test]
    async fn noise_is_skipped_and_what_follows_is_left() {
        let (found, _, rest) = find(b"Welcome!\n\x1b[1mno magic here\nmagic 1\n\0\0\nx").await;
        assert_eq!(found.unwrap(), "1");
        assert_eq!(rest, b"\0\0\nx");
    }

    #[tokio::test]
    async fn endless_noise_is_given_up() {
        let (found, ..) = find(&b"y\n".repeat(NOISE_LIMIT)).await;
        assert!(matches!(found, Err(NoLine::Noise)));
        let (found, ..) = find(&vec![0; 2 * NOISE_LIMIT]).await;
        assert!(matches!(found, Err(NoLine::Noise)));
    }

    #[tokio::test]
    async fn what_was_said_instead_is_kept() {
        let (found, said, _) = find(b"one\ntwo\nthree\nThis account is closed").await;
        assert!(matches!(found, Err(NoLine::End)));
        assert_eq!(said, "two / three / This account is closed");
    }
}
