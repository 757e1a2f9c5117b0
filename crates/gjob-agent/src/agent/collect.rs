//! A job's outputs on their way to the manager: found, read and hashed in small
//! steps, no faster than the link takes them.

mod follow;
mod walk;
mod wanted;

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

use gjob_core::JobId;
use gjob_core::output::{MAX_ENTRIES, PatternError};
use gjob_core::record::Scope;
use gjob_core::wire::{BlobHash, CHUNK, FromAgent, OutputPart, Resume};
use rustix::io::Errno;

use self::walk::{Output, Step, Walk};
use self::wanted::Wanted;
use crate::jobdir::{JobDir, Layout};

/// Entries looked at in one turn.
const STEPS: usize = 256;

/// Bytes that the manager has already, hashed in one turn.
const PREFIX: u64 = 4 * 1024 * 1024;

/// What a part takes besides its path and content, bytes; rather too much.
const PART: usize = 64;

/// Room in a message in which nothing more is begun: the longest path has it.
const LITTLE: usize = 8 * 1024;

/// What the manager wants.
#[derive(Debug)]
pub(super) struct CollectOrder {
    /// Which request it is.
    pub(super) request: u32,
    /// Whose outputs.
    pub(super) id: JobId,
    /// Which of them.
    pub(super) patterns: Vec<String>,
    /// True when each pattern has to match something.
    pub(super) all: bool,
    /// What is there already.
    pub(super) resume: Option<Resume>,
}

/// Why outputs can't be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum CollectError {
    #[error("output {0:?} is missing")]
    Missing(String),
    #[error("output {path:?} {problem}")]
    Unfit { path: String, problem: String },
    #[error("there are more than {MAX_ENTRIES} outputs")]
    TooMany,
    #[error("output {0:?} {1}")]
    Pattern(String, PatternError),
    #[error("read output {path:?}: {source}")]
    Io { path: String, source: io::Error },
    #[error("open the directory of job {id}: {source}")]
    Open { id: JobId, source: io::Error },
}

impl CollectError {
    fn unfit(path: &str, problem: &str) -> Self {
        CollectError::Unfit { path: path.to_owned(), problem: problem.to_owned() }
    }

    fn io(path: &str, source: io::Error) -> Self {
        CollectError::Io { path: path.to_owned(), source }
    }

    /// Whose fault it is: what the job has removed or closed is its own.
    pub(super) fn scope(&self) -> Scope {
        let (CollectError::Io { source, .. } | CollectError::Open { source, .. }) = self else {
            return Scope::Job;
        };
        match Errno::from_io_error(source) {
            Some(Errno::ACCESS | Errno::PERM | Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
                Scope::Job
            }
            _ => Scope::Host,
        }
    }
}

/// What a turn has come to.
#[derive(Debug)]
pub(super) enum Turn {
    /// Nothing to be sent yet.
    On,
    /// A message.
    Send(FromAgent),
    /// Everything was sent; so many files.
    Done(u64),
}

/// Outputs that are being sent.
#[derive(Debug)]
pub(super) struct Collect {
    request: u32,
    all: bool,
    resume: Resume,
    walk: Walk,
    /// The file under way.
    file: Option<Reading>,
    files: u64,
    parts: Vec<OutputPart>,
    /// Room left for more parts, bytes.
    room: usize,
}

/// A file that is being sent.
#[derive(Debug)]
struct Reading {
    path: String,
    file: File,
    size: u64,
    /// Where what is sent begins.
    from: u64,
    /// Up to where it was read.
    at: u64,
    hasher: blake3::Hasher,
}

impl Collect {
    /// Opens the job's directory.
    pub(super) fn open(layout: &Layout, order: CollectOrder) -> Result<Self, CollectError> {
        let CollectOrder { request, id, patterns, all, resume } = order;
        let failed = |source| CollectError::Open { id: id.clone(), source };
        let dir = JobDir::reopen_below(layout.results(), &id).map_err(failed)?;
        let wanted = Wanted::new(&dir, patterns)
            .map_err(|(pattern, error)| CollectError::Pattern(pattern, error))?;
        Ok(Collect {
            request,
            all,
            resume: resume.unwrap_or(Resume { after: None, partial: None }),
            walk: Walk::new(dir, wanted).map_err(failed)?,
            file: None,
            files: 0,
            parts: Vec::new(),
            room: CHUNK,
        })
    }

    /// The request that it answers.
    pub(super) fn request(&self) -> u32 {
        self.request
    }

    /// Goes on until there is a message, or for as long as nobody notices.
    pub(super) fn turn(&mut self) -> Result<Turn, CollectError> {
        for _ in 0..STEPS {
            if self.room < LITTLE {
                return Ok(Turn::Send(self.message()));
            }
            if let Some(mut file) = self.file.take() {
                if file.at < file.from {
                    file.pass_over()?;
                    self.file = Some(file);
                    return Ok(Turn::On);
                }
                self.read(file)?;
                continue;
            }
            match self.walk.step()? {
                Step::On => {}
                Step::Pause => return Ok(Turn::On),
                Step::Output(output) => self.begin(output)?,
                Step::End => return self.end(),
            }
        }
        Ok(Turn::On)
    }

    fn message(&mut self) -> FromAgent {
        self.room = CHUNK;
        FromAgent::Outputs { request: self.request, parts: std::mem::take(&mut self.parts) }
    }

    fn push(&mut self, part: OutputPart, length: usize) {
        self.parts.push(part);
        self.room = self.room.saturating_sub(length + PART);
    }

    fn end(&mut self) -> Result<Turn, CollectError> {
        if self.all
            && let Some(pattern) = self.walk.missing()
        {
            return Err(CollectError::Missing(pattern.to_owned()));
        }
        if self.parts.is_empty() {
            Ok(Turn::Done(self.files))
        } else {
            Ok(Turn::Send(self.message()))
        }
    }

    fn begin(&mut self, output: Output) -> Result<(), CollectError> {
        match output {
            Output::Dir { path, mode } => {
                if !self.is_there(&path) {
                    let length = path.len();
                    self.push(OutputPart::Dir { path, mode }, length);
                }
            }
            Output::File { path, file } => {
                self.files += 1;
                if !self.is_there(&path) {
                    self.begin_file(path, file)?;
                }
            }
        }
        Ok(())
    }

    /// True for what the manager has in whole.
    fn is_there(&self, path: &str) -> bool {
        let after = self.resume.after.as_ref();
        after.is_some_and(|after| path.split('/').le(after.split('/')))
    }

    fn begin_file(&mut self, path: String, file: File) -> Result<(), CollectError> {
        let meta = file.metadata().map_err(|error| CollectError::io(&path, error))?;
        let size = meta.len();
        let partial = self.resume.partial.as_ref().filter(|(partial, _)| *partial == path);
        // One that is shorter is not the same any more.
        let from = partial.map_or(0, |(_, here)| *here);
        let from = if from <= size { from } else { 0 };
        let part = OutputPart::File {
            path: path.clone(),
            mode: meta.mode() & 0o777,
            mtime_ns: meta.mtime().saturating_mul(1_000_000_000).saturating_add(meta.mtime_nsec()),
            size,
            offset: from,
        };
        self.push(part, path.len());
        self.file = Some(Reading { path, file, size, from, at: 0, hasher: blake3::Hasher::new() });
        Ok(())
    }

    /// Reads what there is room for.
    fn read(&mut self, mut file: Reading) -> Result<(), CollectError> {
        let left = file.size - file.at;
        if left == 0 {
            let hash = file.finish()?;
            self.push(OutputPart::End { hash }, 0);
            return Ok(());
        }
        let bytes = file.next((self.room - PART).min(usize::try_from(left).unwrap_or(CHUNK)))?;
        let length = bytes.len();
        self.push(OutputPart::Bytes(bytes), length);
        self.file = Some(file);
        Ok(())
    }
}

impl Reading {
    /// The next bytes, at most so many; at least one.
    fn next(&mut self, most: usize) -> Result<Vec<u8>, CollectError> {
        let mut bytes = vec![0; most];
        let length = match self.file.read_at(&mut bytes, self.at) {
            Ok(0) => return Err(self.changed()),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(error) => return Err(CollectError::io(&self.path, error)),
        };
        bytes.truncate(length);
        self.hasher.update(&bytes);
        self.at += length as u64;
        Ok(bytes)
    }

    /// Hashes more of what the manager has.
    fn pass_over(&mut self) -> Result<(), CollectError> {
        let until = self.from.min(self.at + PREFIX);
        while self.at < until {
            self.next(CHUNK.min((until - self.at) as usize))?;
        }
        Ok(())
    }

    fn finish(self) -> Result<BlobHash, CollectError> {
        let meta = self.file.metadata().map_err(|error| CollectError::io(&self.path, error))?;
        if meta.len() != self.size {
            return Err(self.changed());
        }
        Ok(BlobHash(*self.hasher.finalize().as_bytes()))
    }

    fn changed(&self) -> CollectError {
        CollectError::unfit(&self.path, "changes while it is read")
    }
}
