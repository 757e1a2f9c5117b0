//! What a job has written to stdout or stderr, once it has ended: fetched in
//! pieces, kept in memory while small and in an unnamed file when not. No more of
//! it is fetched than the job's exit record says there is, and of a large one only
//! its first and its last part: a job, or a host, that writes without end must not
//! fill this machine's disk.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gjob_core::JobId;
use gjob_core::wire::Stream;
use tempfile::SpooledTempFile;
use tokio::time::timeout;

use crate::link::{self, LinkSender, Piece};

/// Outputs fetched at once from one host.
pub(super) const AT_ONCE: usize = 8;

/// An output larger than this is kept in a file, bytes. This much is kept of any.
const IN_MEMORY: usize = 64 * 1024;

/// The most that is kept of one output, bytes.
const MOST: u64 = 32 << 20;

/// The most that all outputs take on this machine at once, bytes, but for those
/// that are kept in memory.
const MOST_IN_ALL: u64 = 1 << 30;

/// As much of an output's last line is looked at, bytes.
const LAST_LINE: u64 = 4096;

/// What was fetched: all of an output, or its first and its last part.
pub struct Output {
    spool: SpooledTempFile,
    gap: Option<Gap>,
    /// Gives the room back.
    _room: Room,
}

/// What is missing of an output between its first and its last part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Gap {
    /// Bytes before it.
    pub after: u64,
    /// Bytes in it.
    pub bytes: u64,
}

impl Output {
    /// What is left out, if anything is.
    #[must_use]
    pub fn gap(&self) -> Option<Gap> {
        self.gap
    }

    /// The hash (blake3) of what is local of it. It can be read from its beginning
    /// afterwards.
    ///
    /// # Errors
    /// When the file that keeps it cannot be read.
    pub fn digest(&mut self) -> io::Result<[u8; 32]> {
        let mut hasher = blake3::Hasher::new();
        self.spool.rewind()?;
        io::copy(&mut self.spool, &mut hasher)?;
        self.spool.rewind()?;
        Ok(*hasher.finalize().as_bytes())
    }

    /// The last line of it that is not empty, or the end of that. It can be read from its
    /// beginning afterwards.
    ///
    /// # Errors
    /// When the file that keeps it cannot be read.
    pub fn last_line(&mut self) -> io::Result<Vec<u8>> {
        let size = self.spool.seek(SeekFrom::End(0))?;
        self.spool.seek(SeekFrom::Start(size.saturating_sub(LAST_LINE)))?;
        let mut end = Vec::new();
        self.spool.read_to_end(&mut end)?;
        self.spool.rewind()?;
        let line = end.trim_ascii_end().rsplit(|byte| *byte == b'\n').next();
        Ok(line.unwrap_or_default().to_vec())
    }
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").field("gap", &self.gap).finish_non_exhaustive()
    }
}

impl Read for Output {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.spool.read(buf)
    }
}

/// An output that was asked for.
#[derive(Debug)]
pub struct Fetched {
    /// The job.
    pub id: JobId,
    /// Which of its outputs.
    pub stream: Stream,
    /// The output, or why it can't be had.
    pub output: Result<Output, String>,
}

/// How long a piece is waited for: a job can take the request from its host's agent, which
/// has never seen it then.
pub(super) const PIECE_TIMEOUT: Duration = Duration::from_secs(300);

/// Room on this machine for outputs.
#[derive(Clone, Debug)]
pub(super) struct Rooms(Arc<AtomicU64>);

impl Rooms {
    pub(super) fn new() -> Self {
        Rooms(Arc::new(AtomicU64::new(MOST_IN_ALL)))
    }

    /// Room for an output of so many bytes, or for a part of it.
    fn take(&self, wanted: u64) -> Room {
        let wanted = wanted.min(MOST);
        let take = |left: u64| Some(left - wanted.min(left));
        // It always succeeds: there is always a new value.
        let left = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        let bytes = wanted.min(left.unwrap_or(0));
        Room { rooms: self.clone(), bytes }
    }
}

/// Room that was taken.
struct Room {
    rooms: Rooms,
    bytes: u64,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.rooms.0.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

/// The parts of an output of `size` bytes that are kept in `room`, and what is
/// left out between them.
fn parts(size: u64, room: u64) -> ([Range<u64>; 2], Option<Gap>) {
    let kept = room.max(IN_MEMORY as u64);
    if size <= kept {
        return ([0..size, size..size], None);
    }
    let first = kept / 2;
    let last = size - (kept - first);
    ([0..first, last..size], Some(Gap { after: first, bytes: last - first }))
}

/// Fetches an output of `size` bytes. When the connection ends, it is begun
/// again over the next one, and likewise after `piece_timeout` without an answer.
///
/// # Errors
/// Why it can't be had, in one line.
pub(super) async fn fetch(
    link: &LinkSender,
    id: &JobId,
    stream: Stream,
    size: u64,
    rooms: &Rooms,
    piece_timeout: Duration,
) -> Result<Output, String> {
    let room = rooms.take(size);
    let (parts, gap) = parts(size, room.bytes);
    loop {
        link.up(None).await.map_err(|error| error.reason)?;
        if let Some(spool) = fetch_once(link, id, stream, &parts, piece_timeout).await? {
            return Ok(Output { spool, gap, _room: room });
        }
    }
}

/// None when the connection ended before the output did, or a piece does not come.
async fn fetch_once(
    link: &LinkSender,
    id: &JobId,
    stream: Stream,
    parts: &[Range<u64>],
    piece_timeout: Duration,
) -> Result<Option<SpooledTempFile>, String> {
    let mut spool = SpooledTempFile::new(IN_MEMORY);
    let mut total = 0;
    let here = |error| format!("cannot keep the output on this machine: {error}");
    for part in parts {
        let mut offset = part.start;
        while offset < part.end {
            let most = part.end - offset;
            let read = link::ReadOutput { id: id.clone(), stream, offset, most };
            let answer = timeout(piece_timeout, link.call(&read)).await;
            let Ok(Ok(answer)) = answer else { return Ok(None) };
            let Piece { mut bytes, size: _ } = answer.map_err(String::from)?;
            if bytes.is_empty() {
                // It has become shorter.
                break;
            }
            bytes.truncate(usize::try_from(most).unwrap_or(usize::MAX));
            offset += bytes.len() as u64;
            total += bytes.len();
            keep(&mut spool, &bytes, total).map_err(here)?;
        }
    }
    spool.rewind().map_err(here)?;
    Ok(Some(spool))
}

/// Adds a piece, which makes `total` bytes. Those that go to a file may wait for
/// a disk, and the links are not to wait with them.
fn keep(spool: &mut SpooledTempFile, bytes: &[u8], total: usize) -> io::Result<()> {
    match total > IN_MEMORY {
        true => tokio::task::block_in_place(|| spool.write_all(bytes)),
        false => spool.write_all(bytes),
    }
}

#[cfg(test)]
mod tests {
    use gjob_core::wire::{CHUNK, FromAgent, ToAgent};

    use super::*;
    use crate::link::played;

    fn id() -> JobId {
        "h/2026-11-22-1".parse().unwrap()
    }

    async fn asked(link: &mut played::PlayedLink) -> (u32, u64, u32) {
        match link.asked().await {
            ToAgent::Read { request, offset, max, .. } => (request, offset, max),
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

    type Fetch = tokio::task::JoinHandle<Result<Output, String>>;

    fn begin(size: u64) -> (Fetch, played::PlayedLink) {
        begin_within(size, PIECE_TIMEOUT)
    }

    fn begin_within(size: u64, piece_timeout: Duration) -> (Fetch, played::PlayedLink) {
        let (sender, link) = played::link();
        let fetching = async move {
            let rooms = Rooms::new();
            fetch(&sender, &id(), Stream::Stdout, size, &rooms, piece_timeout).await
        };
        (tokio::spawn(fetching), link)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn piece_that_does_not_come_is_asked_for_again() {
        let (fetching, mut link) = begin_within(2, Duration::from_millis(50));
        for number in 0..3 {
            assert_eq!(asked(&mut link).await, (number, 0, 2));
        }
        link.fail("it is enough");
        assert_eq!(fetching.await.unwrap().unwrap_err(), "it is enough");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_output_comes_in_pieces_and_from_its_beginning_when_the_connection_ends() {
        let (fetching, mut link) = begin(5);
        assert_eq!(asked(&mut link).await, (0, 0, 5));
        link.answer(data(0, b"abc", 5));
        assert_eq!(asked(&mut link).await, (1, 3, 2));
        link.reconnect();
        assert_eq!(asked(&mut link).await, (2, 0, 5));
        link.answer(data(2, b"abcd", 5));
        assert_eq!(asked(&mut link).await, (3, 4, 1));
        link.answer(data(3, b"e", 5));
        assert_eq!(text(fetching.await.unwrap()), "abcde");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_large_output_goes_to_a_file_and_one_that_shrinks_ends() {
        let (fetching, mut link) = begin(1 << 20);
        let piece = vec![b'x'; IN_MEMORY + 1];
        asked(&mut link).await;
        link.answer(data(0, &piece, u64::MAX));
        asked(&mut link).await;
        link.answer(data(1, b"", 3));
        assert_eq!(text(fetching.await.unwrap()).len(), piece.len());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn no_more_is_taken_than_the_exit_record_says() {
        let (fetching, mut link) = begin(10);
        asked(&mut link).await;
        link.answer(data(0, &vec![b'x'; CHUNK], u64::MAX));
        assert_eq!(text(fetching.await.unwrap()), "x".repeat(10));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn of_a_huge_output_the_first_and_the_last_part_are_kept() {
        let size = 15 << 40;
        let (fetching, mut link) = begin(size);
        let (mut offset, mut taken) = (0, 0);
        while taken < MOST {
            let (request, from, max) = asked(&mut link).await;
            taken += u64::from(max);
            offset = from + u64::from(max);
            link.answer(data(request, &vec![b'x'; max as usize], size));
        }
        assert_eq!((offset, taken), (size, MOST));
        let mut output = fetching.await.unwrap().unwrap();
        assert_eq!(output.gap(), Some(Gap { after: MOST / 2, bytes: size - MOST }));
        assert_eq!(io::copy(&mut output, &mut io::sink()).unwrap(), MOST);
    }

    #[test]
    fn outputs_that_wait_to_be_shown_do_not_fill_the_disk_together() {
        let rooms = Rooms::new();
        let taken: Vec<Room> = (0..100).map(|_| rooms.take(u64::MAX)).collect();
        assert_eq!(taken.iter().map(|room| room.bytes).sum::<u64>(), MOST_IN_ALL);
        let small = IN_MEMORY as u64;
        assert_eq!(parts(small, rooms.take(small).bytes), ([0..small, small..small], None));
        drop(taken);
        assert_eq!(rooms.take(u64::MAX).bytes, MOST);
    }

    #[tokio::test]
    async fn an_output_that_cannot_be_read_is_an_error() {
        let (fetching, mut link) = begin(1);
        asked(&mut link).await;
        link.answer(FromAgent::ReadFailed { request: 0, reason: "no\nsuch file".into() });
        assert_eq!(fetching.await.unwrap().unwrap_err(), "no such file");
    }
}
