//! Files on their way to a host: read piece by piece, one file at a time, and
//! no faster than the link carries them.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gjob_core::wire::{BlobHash, CHUNK};
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::text::plain_text;

/// Bytes in one message: a quarter of the most allowed, so that what is to go
/// between two pieces does not wait long on a slow link.
const PIECE: usize = CHUNK / 4;

/// One file to be sent.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) hash: BlobHash,
    pub(super) path: PathBuf,
    pub(super) size: u64,
}

/// What reading the files brings, in the order to be sent.
#[derive(Debug)]
pub(super) enum Step {
    Begin {
        hash: BlobHash,
        size: u64,
    },
    Piece(Vec<u8>),
    /// The file under way, or that was to begin, is not what it was said to be.
    Failed {
        hash: BlobHash,
        reason: String,
        begun: bool,
    },
}

/// Reads the sources one after another until either end is dropped.
pub(super) async fn read_sources(
    mut sources: mpsc::UnboundedReceiver<Source>,
    steps: mpsc::Sender<Step>,
) {
    while let Some(source) = sources.recv().await {
        let mut begun = false;
        let Err(error) = read_source(&source, &steps, &mut begun).await else {
            continue;
        };
        let reason = plain_text(&format!("{}: {error}", source.path.display()));
        let hash = source.hash;
        if steps.send(Step::Failed { hash, reason, begun }).await.is_err() {
            return;
        }
    }
}

async fn read_source(
    source: &Source,
    steps: &mpsc::Sender<Step>,
    begun: &mut bool,
) -> io::Result<()> {
    let gone = |_| io::Error::other("the link is gone");
    let mut file = open(&source.path).await?;
    check_size(&file, source.size).await?;
    let begin = Step::Begin { hash: source.hash, size: source.size };
    steps.send(begin).await.map_err(gone)?;
    *begun = true;
    let mut left = source.size;
    loop {
        let want = left.min(PIECE as u64) as usize;
        let mut piece = vec![0; want];
        file.read_exact(&mut piece).await?;
        left -= want as u64;
        if left == 0 {
            check_size(&file, source.size).await?;
        }
        steps.send(Step::Piece(piece)).await.map_err(gone)?;
        if left == 0 {
            return Ok(());
        }
    }
}

/// Opens a regular file; a pipe would be waited for without end.
async fn open(path: &Path) -> io::Result<File> {
    if !tokio::fs::metadata(path).await?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    File::open(path).await
}

async fn check_size(file: &File, expected: u64) -> io::Result<()> {
    match file.metadata().await?.len() {
        found if found == expected => Ok(()),
        found => {
            Err(io::Error::other(format!("its size changed from {expected} to {found} bytes")))
        }
    }
}

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
    const QUICK: Duration = Duration::from_secs(1);
    const SLOW: Duration = Duration::from_secs(2);

    pub(super) fn new() -> Self {
        Window { size: Self::SMALLEST, on_the_way: 0, pieces: VecDeque::new() }
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
                window.handle_sent(nonce, PIECE, now);
                line_free = line_free.max(now) + Duration::from_secs_f64(PIECE as f64 / rate);
                let answered = line_free + Duration::from_millis(20);
                answers.push_back((nonce, now, answered));
            } else if let Some((nonce, queued, answered)) = answers.pop_front() {
                now = now.max(answered);
                slowest = slowest.max(answered - queued);
                sent += PIECE;
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

    async fn steps_of(path: &Path, size: u64) -> Vec<Step> {
        let (sources, waiting) = mpsc::unbounded_channel();
        let (steps, mut made) = mpsc::channel(100);
        let hash = BlobHash([1; 32]);
        let path = path.to_owned();
        sources.send(Source { hash, path, size }).unwrap();
        drop(sources);
        read_sources(waiting, steps).await;
        let mut all = Vec::new();
        while let Some(step) = made.recv().await {
            all.push(step);
        }
        all
    }

    #[tokio::test]
    async fn a_file_is_read_in_pieces_and_an_empty_one_in_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        for size in [0, 1, PIECE, PIECE + 1] {
            std::fs::write(&path, vec![7; size]).unwrap();
            let steps = steps_of(&path, size as u64).await;
            assert!(matches!(steps[0], Step::Begin { .. }));
            let sizes: Vec<usize> = steps[1..]
                .iter()
                .map(|step| match step {
                    Step::Piece(piece) => piece.len(),
                    other => panic!("{other:?}"),
                })
                .collect();
            assert_eq!(sizes.iter().sum::<usize>(), size);
            assert_eq!(sizes.len(), size.div_ceil(PIECE).max(1));
        }
    }

    #[tokio::test]
    async fn a_file_of_another_size_a_missing_one_and_a_directory_fail_before_they_begin() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, "abc").unwrap();
        for (path, said) in [
            (path.as_path(), "size changed from 4 to 3"),
            (Path::new("/no/such/file"), "/no/such/file: No such file"),
            (dir.path(), "not a regular file"),
        ] {
            let steps = steps_of(path, 4).await;
            match &steps[..] {
                [Step::Failed { reason, begun: false, .. }] => {
                    assert!(reason.contains(said), "{reason}");
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
