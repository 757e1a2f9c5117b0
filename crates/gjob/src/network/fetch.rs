//! What a job has written to stdout or stderr: fetched in pieces, kept in memory
//! while small and in an unnamed file when not.

use std::io::{self, Read, Seek, Write};
use std::time::Duration;

use gjob_core::JobId;
use gjob_core::wire::Stream;
use tempfile::SpooledTempFile;

use crate::link::{self, LinkSender, Piece};

/// Outputs fetched at once from one host.
pub(super) const AT_ONCE: usize = 8;

/// An output larger than this is kept in a file, bytes.
const IN_MEMORY: usize = 64 * 1024;

/// What was fetched.
pub struct Output(SpooledTempFile);

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Output")
    }
}

impl Read for Output {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

/// An output that was asked for.
#[derive(Debug)]
pub struct Fetched {
    /// The job.
    pub id: JobId,
    /// Which of its outputs.
    pub stream: Stream,
    /// The output from the byte asked for, or why it can't be had.
    pub output: Result<Output, String>,
}

/// Fetches an output from a byte on. When the connection ends, it is begun
/// again over the next one. `limit` is how long there may be none.
///
/// # Errors
/// Why it can't be had, in one line.
pub(super) async fn fetch(
    link: &LinkSender,
    id: &JobId,
    stream: Stream,
    from: u64,
    limit: Option<Duration>,
) -> Result<Output, String> {
    loop {
        link.up(limit).await.map_err(|error| error.reason)?;
        if let Some(output) = fetch_once(link, id, stream, from).await? {
            return Ok(output);
        }
    }
}

/// None when the connection ended before the output did.
async fn fetch_once(
    link: &LinkSender,
    id: &JobId,
    stream: Stream,
    from: u64,
) -> Result<Option<Output>, String> {
    let mut spool = SpooledTempFile::new(IN_MEMORY);
    let mut offset = from;
    loop {
        let read = link::ReadOutput { id: id.clone(), stream, offset };
        let Ok(answer) = link.call(&read).await else { return Ok(None) };
        let Piece { bytes, size } = answer.map_err(String::from)?;
        offset += bytes.len() as u64;
        let ends = bytes.is_empty() || offset >= size;
        let kept = keep(&mut spool, &bytes, offset - from).and_then(|()| match ends {
            true => spool.rewind(),
            false => Ok(()),
        });
        kept.map_err(|error| format!("cannot keep the output on this machine: {error}"))?;
        if ends {
            return Ok(Some(Output(spool)));
        }
    }
}

/// Adds a piece, which makes `total` bytes. Those that go to a file may wait for
/// a disk, and the links are not to wait with them.
fn keep(spool: &mut SpooledTempFile, bytes: &[u8], total: u64) -> io::Result<()> {
    match total > IN_MEMORY as u64 {
        true => tokio::task::block_in_place(|| spool.write_all(bytes)),
        false => spool.write_all(bytes),
    }
}

#[cfg(test)]
mod tests {
    use gjob_core::wire::{FromAgent, ToAgent};

    use super::*;
    use crate::link::played;

    fn id() -> JobId {
        "h/2026-11-22-1".parse().unwrap()
    }

    async fn offset_asked(link: &mut played::PlayedLink) -> (u32, u64) {
        match link.asked().await {
            ToAgent::Read { request, offset, .. } => (request, offset),
            other => panic!("{other:?}"),
        }
    }

    fn data(request: u32, bytes: &[u8], size: u64) -> FromAgent {
        FromAgent::Data { request, bytes: bytes.to_vec(), size }
    }

    fn text(output: Result<Output, String>) -> String {
        let mut text = String::new();
        output.unwrap().read_to_string(&mut text).unwrap();
        text
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_output_comes_in_pieces_and_from_its_beginning_when_the_connection_ends() {
        let (sender, mut link) = played::link();
        let fetching =
            tokio::spawn(async move { fetch(&sender, &id(), Stream::Stdout, 10, None).await });
        assert_eq!(offset_asked(&mut link).await, (0, 10));
        link.answer(data(0, b"abc", 15));
        assert_eq!(offset_asked(&mut link).await, (1, 13));
        link.reconnect();
        assert_eq!(offset_asked(&mut link).await, (2, 10));
        link.answer(data(2, b"abcd", 15));
        assert_eq!(offset_asked(&mut link).await, (3, 14));
        link.answer(data(3, b"e", 15));
        assert_eq!(text(fetching.await.unwrap()), "abcde");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_large_output_goes_to_a_file_and_one_that_shrinks_ends() {
        let (sender, mut link) = played::link();
        let fetching =
            tokio::spawn(async move { fetch(&sender, &id(), Stream::Stderr, 0, None).await });
        let piece = vec![b'x'; IN_MEMORY + 1];
        offset_asked(&mut link).await;
        link.answer(data(0, &piece, u64::MAX));
        offset_asked(&mut link).await;
        link.answer(data(1, b"", 3));
        assert_eq!(text(fetching.await.unwrap()).len(), piece.len());
    }

    #[tokio::test]
    async fn an_output_that_cannot_be_read_is_an_error() {
        let (sender, mut link) = played::link();
        let fetching =
            tokio::spawn(async move { fetch(&sender, &id(), Stream::Stdout, 0, None).await });
        offset_asked(&mut link).await;
        link.answer(FromAgent::ReadFailed { request: 0, reason: "no\nsuch file".into() });
        assert_eq!(fetching.await.unwrap().unwrap_err(), "no such file");
    }
}
