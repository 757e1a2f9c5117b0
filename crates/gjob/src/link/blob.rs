//! Files on their way to a host: read piece by piece, one file at a time, and
//! no faster than the link carries them.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use gjob_core::text::Shown;
use gjob_core::wire::BlobHash;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use crate::inputs::{Content, InputError, InputFile};

/// One blob to be sent.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) content: Content,
    /// Bytes of it that are there.
    pub(super) from: u64,
    /// Whether to make sure that what is read is what was hashed.
    pub(super) verify: bool,
    /// Set when the host has no use for it any more.
    pub(super) dropped: Arc<AtomicBool>,
}

/// What reading the files brings, in the order to be sent.
#[derive(Debug)]
pub(super) enum SourceStep {
    Begin {
        hash: BlobHash,
        size: u64,
        offset: u64,
    },
    Piece(Vec<u8>),
    /// The file under way, or that was to begin, is not what it was said to be.
    Failed {
        hash: BlobHash,
        reason: String,
        begun: bool,
    },
    /// The one under way is not wanted any more.
    Dropped,
}

/// Why a blob is not sent to its end.
enum SourceEnd {
    /// It is not what it was.
    Failed(InputError),
    /// The host has given it up.
    Dropped,
    /// The link is gone.
    Gone,
}

impl From<InputError> for SourceEnd {
    fn from(error: InputError) -> Self {
        SourceEnd::Failed(error)
    }
}

/// Reads the sources one after another until either end is dropped, in pieces
/// of `piece` bytes.
pub(super) async fn read_sources(
    mut sources: mpsc::UnboundedReceiver<Source>,
    steps: mpsc::Sender<SourceStep>,
    piece: Arc<AtomicUsize>,
) {
    while let Some(source) = sources.recv().await {
        let mut reader = Reader { source: &source, steps: &steps, piece: &piece, begun: false };
        let last = match reader.read().await {
            Ok(()) => continue,
            Err(SourceEnd::Gone) => return,
            Err(SourceEnd::Dropped) => SourceStep::Dropped,
            Err(SourceEnd::Failed(error)) => SourceStep::Failed {
                hash: source.content.hash(),
                reason: Shown::new(&error.to_string()).into(),
                begun: reader.begun,
            },
        };
        if steps.send(last).await.is_err() {
            return;
        }
    }
}

struct Reader<'a> {
    source: &'a Source,
    steps: &'a mpsc::Sender<SourceStep>,
    piece: &'a AtomicUsize,
    begun: bool,
}

impl Reader<'_> {
    async fn read(&mut self) -> Result<(), SourceEnd> {
        match &self.source.content {
            Content::List(directory) => {
                self.begin().await?;
                let mut at = self.source.from as usize;
                loop {
                    let end = (at + self.piece_size()).min(directory.list.len());
                    self.send(directory.list[at..end].to_vec()).await?;
                    at = end;
                    if at == directory.list.len() {
                        return Ok(());
                    }
                }
            }
            Content::File(file) => self.read_file(file).await,
        }
    }

    async fn read_file(&mut self, file: &Arc<InputFile>) -> Result<(), SourceEnd> {
        let from = self.source.from;
        let opened = on_a_thread(file, move |file| {
            let mut opened = file.open()?;
            opened.seek(SeekFrom::Start(from)).map_err(|error| file.io(error))?;
            Ok(Arc::new(opened))
        })
        .await?;
        self.begin().await?;
        let mut verifier = self.source.verify.then(blake3::Hasher::new);
        let mut at = from;
        loop {
            let want = (file.size - at).min(self.piece_size() as u64) as usize;
            let is_last = at + want as u64 == file.size;
            let opened = Arc::clone(&opened);
            let mut hasher = verifier.take();
            let (bytes, hasher) = on_a_thread(file, move |file| {
                let bytes = read_piece(file, &opened, want)?;
                if let Some(hasher) = &mut hasher {
                    hasher.update(&bytes);
                }
                let is_right = match &hasher {
                    Some(hasher) if is_last => *hasher.finalize().as_bytes() == file.hash.0,
                    _ => !is_last || file.is_untouched(&opened)? || file.open().is_ok(),
                };
                if is_right { Ok((bytes, hasher)) } else { Err(file.changed()) }
            })
            .await?;
            verifier = hasher;
            at += want as u64;
            self.send(bytes).await?;
            if is_last {
                return Ok(());
            }
        }
    }

    fn piece_size(&self) -> usize {
        self.piece.load(Ordering::Relaxed)
    }

    async fn begin(&mut self) -> Result<(), SourceEnd> {
        let content = &self.source.content;
        let (hash, size) = (content.hash(), content.size());
        self.step(SourceStep::Begin { hash, size, offset: self.source.from }).await?;
        self.begun = true;
        Ok(())
    }

    async fn send(&self, piece: Vec<u8>) -> Result<(), SourceEnd> {
        if self.source.dropped.load(Ordering::Relaxed) {
            return Err(SourceEnd::Dropped);
        }
        self.step(SourceStep::Piece(piece)).await
    }

    async fn step(&self, step: SourceStep) -> Result<(), SourceEnd> {
        self.steps.send(step).await.map_err(|_| SourceEnd::Gone)
    }
}

fn read_piece(file: &InputFile, mut opened: &File, size: usize) -> Result<Vec<u8>, InputError> {
    let mut bytes = Vec::with_capacity(size);
    let read = opened.by_ref().take(size as u64).read_to_end(&mut bytes);
    match read.map_err(|error| file.io(error))? {
        read if read == size => Ok(bytes),
        _ => Err(file.changed()),
    }
}

/// Disks may be slow: nothing else is to wait for them.
async fn on_a_thread<T: Send + 'static>(
    file: &Arc<InputFile>,
    work: impl FnOnce(&InputFile) -> Result<T, InputError> + Send + 'static,
) -> Result<T, SourceEnd> {
    let file = Arc::clone(file);
    match spawn_blocking(move || work(&file)).await {
        Ok(done) => Ok(done?),
        // The runtime is being shut down.
        Err(_) => Err(SourceEnd::Gone),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::window::PIECE;
    use super::*;

    /// The file at `path` as it would be had it been hashed with this content.
    fn input(path: &Path, content: &[u8]) -> InputFile {
        let hash = BlobHash(*blake3::hash(content).as_bytes());
        let path = path.to_owned();
        InputFile { path, hash, size: content.len() as u64, mode: 0o600, mtime_ns: 0, ino: 0 }
    }

    async fn steps_of(file: InputFile, from: u64, verify: bool) -> Vec<SourceStep> {
        let content = Content::File(Arc::new(file));
        let dropped = Arc::default();
        steps_of_source(Source { content, from, verify, dropped }).await
    }

    async fn steps_of_source(source: Source) -> Vec<SourceStep> {
        let (sources, waiting) = mpsc::unbounded_channel();
        let (steps, mut made) = mpsc::channel(100);
        sources.send(source).unwrap();
        drop(sources);
        read_sources(waiting, steps, Arc::new(AtomicUsize::new(PIECE))).await;
        let mut all = Vec::new();
        while let Some(step) = made.recv().await {
            all.push(step);
        }
        all
    }

    fn sizes(pieces: &[SourceStep]) -> Vec<usize> {
        let size = |step: &SourceStep| match step {
            SourceStep::Piece(piece) => piece.len(),
            other => panic!("{other:?}"),
        };
        pieces.iter().map(size).collect()
    }

    #[tokio::test]
    async fn a_file_is_read_in_pieces_from_where_it_is_wanted_and_an_empty_one_in_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        for (size, from) in [(0, 0), (1, 0), (PIECE, 0), (PIECE + 1, 0), (3 * PIECE, 5), (9, 9)] {
            std::fs::write(&path, vec![7; size]).unwrap();
            let file = InputFile::hash(&path).unwrap();
            let steps = steps_of(file, from as u64, false).await;
            assert!(matches!(steps[0], SourceStep::Begin { offset, .. } if offset == from as u64));
            let sizes = sizes(&steps[1..]);
            assert_eq!(sizes.iter().sum::<usize>(), size - from);
            assert_eq!(sizes.len(), (size - from).div_ceil(PIECE).max(1));
        }
    }

    #[tokio::test]
    async fn a_changed_file_a_missing_one_and_a_directory_fail_before_they_begin() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, "abc").unwrap();
        for (path, said) in [
            (path.as_path(), "f\" changed: "),
            (Path::new("/no/such/file"), "file \"/no/such/file\" does not exist"),
            (dir.path(), "is a directory"),
        ] {
            let steps = steps_of(input(path, b"abcd"), 0, false).await;
            match &steps[..] {
                [SourceStep::Failed { reason, begun: false, .. }] => {
                    assert!(reason.contains(said), "{reason}");
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn a_change_that_shows_in_the_content_alone_is_found_when_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, "abc").unwrap();
        let real = InputFile::hash(&path).unwrap();
        let changed = InputFile { hash: BlobHash([1; 32]), ..real };
        let steps = steps_of(changed.clone(), 0, true).await;
        assert!(
            matches!(&steps[..], [_, SourceStep::Failed { reason, begun: true, .. }] if reason.contains(" changed: ")),
            "{steps:?}"
        );
        assert_eq!(sizes(&steps_of(changed, 0, false).await[1..]), [3]);
    }

    #[tokio::test]
    async fn what_the_host_has_given_up_is_not_read_to_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, vec![7; 3 * PIECE]).unwrap();
        let content = Content::File(Arc::new(InputFile::hash(&path).unwrap()));
        let dropped = Arc::new(AtomicBool::new(true));
        let steps = steps_of_source(Source { content, from: 0, verify: false, dropped }).await;
        assert!(matches!(steps[..], [SourceStep::Begin { .. }, SourceStep::Dropped]), "{steps:?}");
    }

    #[tokio::test]
    async fn the_list_of_a_directory_is_sent_from_memory() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("f"), "x").unwrap();
        let spec = gjob_core::JobSpec::new(["true"]).unwrap();
        let spec = spec.files([dir.path().to_str().unwrap()]);
        let inputs = crate::inputs::Inputs::hash([&spec]).unwrap();
        let content = inputs.content(&inputs.of(&spec, 0)[0].hash).unwrap().clone();
        drop(dir);
        let size = content.size() as usize;
        for from in [0, 5, size] {
            let (content, dropped) = (content.clone(), Arc::default());
            let source = Source { content, from: from as u64, verify: false, dropped };
            assert_eq!(sizes(&steps_of_source(source).await[1..]), [size - from]);
        }
    }
}
