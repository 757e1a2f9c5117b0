//! A job's outputs on their way to the manager: found, read, hashed and sent, no
//! faster than the link takes them.

mod follow;
mod walk;
mod wanted;

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::time::Duration;

use gjob_core::JobId;
use gjob_core::output::{MAX_ENTRIES, PatternError};
use gjob_core::record::{Scope, one_line};
use gjob_core::wire::{BlobHash, CHUNK, FromAgent, OutputPart, Resume};
use rustix::fs::FileType;
use rustix::io::Errno;

use self::follow::{FollowError, follow};
use self::walk::{Output, Walk};
use self::wanted::Wanted;
use super::tasks::Outlet;
use crate::jobdir::{JobDir, Layout};
use crate::open_files;

/// What a part takes besides its path and content, bytes; rather too much.
const PART_OVERHEAD: usize = 64;

/// A message with less room than this is sent: the longest path needs it.
const LEAST_ROOM: usize = 20 * 1024;

/// Between two attempts to open what could not be opened.
const SHORTAGE_INTERVAL: Duration = Duration::from_millis(200);

/// What the manager wants.
#[derive(Clone, Debug)]
pub(super) struct CollectRequest {
    /// Whose outputs.
    pub(super) id: JobId,
    /// Which of them.
    pub(super) patterns: Vec<String>,
    /// True when each pattern has to match something.
    pub(super) all: bool,
    /// What the manager has already.
    pub(super) resume: Option<Resume>,
}

/// Why outputs cannot be sent.
#[derive(Debug, thiserror::Error)]
enum CollectError {
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
    #[error("the request was stopped")]
    Stopped,
}

impl CollectError {
    fn unfit(path: &str, problem: &str) -> Self {
        CollectError::Unfit { path: path.to_owned(), problem: problem.to_owned() }
    }

    fn io(path: &str, source: io::Error) -> Self {
        CollectError::Io { path: path.to_owned(), source }
    }

    /// True when the host has too many files open now: then nothing is wrong with
    /// the outputs.
    fn is_shortage(&self) -> bool {
        match self {
            CollectError::Io { source, .. } | CollectError::Open { source, .. } => {
                open_files::is_shortage(source)
            }
            CollectError::Missing(_)
            | CollectError::Unfit { .. }
            | CollectError::TooMany
            | CollectError::Pattern(..)
            | CollectError::Stopped => false,
        }
    }

    /// True when there is no directory of the job.
    fn is_gone(&self) -> bool {
        match self {
            CollectError::Open { source, .. } => source.kind() == io::ErrorKind::NotFound,
            CollectError::Missing(_)
            | CollectError::Unfit { .. }
            | CollectError::TooMany
            | CollectError::Pattern(..)
            | CollectError::Io { .. }
            | CollectError::Stopped => false,
        }
    }

    /// Whose fault it is: what the job has removed or closed is its own.
    fn scope(&self) -> Scope {
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

/// Sends the outputs of a job, and what has come of it.
pub(super) fn collect(layout: &Layout, wanted: CollectRequest, outlet: &Outlet<'_>) {
    let request = outlet.request;
    match send(layout, wanted, outlet) {
        Ok(files) => outlet.end(FromAgent::Collected { request, files }),
        Err(CollectError::Stopped) => {}
        Err(error) => {
            let reason = one_line(&error.to_string());
            let (scope, is_gone) = (error.scope(), error.is_gone());
            outlet.end(FromAgent::CollectFailed { request, reason, scope, is_gone });
        }
    }
}

/// Opens what an output's path leads to; a symbolic link is followed while it stays inside the
/// job directory.
pub(super) fn open_output(
    layout: &Layout,
    id: &JobId,
    path: &str,
) -> io::Result<(OwnedFd, FileType)> {
    let dir = JobDir::reopen_below(layout.results(), id)?;
    follow(&dir, path).map_err(|error| match error {
        FollowError::Io(error) => error,
        error => io::Error::other(format!("it {error}")),
    })
}

/// Sends all outputs; gives the number of files. What it cannot open now, it tries
/// again: a job that is done is not repeated for that.
fn send(
    layout: &Layout,
    mut wanted: CollectRequest,
    outlet: &Outlet<'_>,
) -> Result<u64, CollectError> {
    loop {
        let sent = Collect::open(layout, wanted.clone(), outlet).and_then(|mut collect| {
            let sent = collect.send_all().map_err(|error| collect.walk.explain(error));
            wanted.resume = Some(collect.resume);
            sent
        });
        match sent {
            Err(error) if error.is_shortage() => {
                std::thread::sleep(SHORTAGE_INTERVAL);
                if outlet.token.is_cancelled() {
                    return Err(CollectError::Stopped);
                }
            }
            done => return done,
        }
    }
}

/// Outputs that are being sent.
#[derive(Debug)]
struct Collect<'a> {
    outlet: &'a Outlet<'a>,
    all: bool,
    /// What the manager has, or has been sent.
    resume: Resume,
    walk: Walk,
    files: u64,
    parts: Vec<OutputPart>,
    /// Room left for more parts, bytes.
    room: usize,
}

impl<'a> Collect<'a> {
    /// Opens the job's directory.
    fn open(
        layout: &Layout,
        wanted: CollectRequest,
        outlet: &'a Outlet<'a>,
    ) -> Result<Self, CollectError> {
        let CollectRequest { id, patterns, all, resume } = wanted;
        let failed = |source| CollectError::Open { id: id.clone(), source };
        let dir = JobDir::reopen_below(layout.results(), &id).map_err(failed)?;
        let wanted = Wanted::new(&dir, patterns)
            .map_err(|(pattern, error)| CollectError::Pattern(pattern, error))?;
        Ok(Collect {
            outlet,
            all,
            resume: resume.unwrap_or(Resume { after: None, partial: None }),
            walk: Walk::new(dir, wanted, outlet.token.clone())?,
            files: 0,
            parts: Vec::new(),
            room: CHUNK,
        })
    }

    /// Sends everything; gives the number of files, those included that the
    /// manager has already.
    fn send_all(&mut self) -> Result<u64, CollectError> {
        while let Some(output) = self.next()? {
            match output {
                Output::Dir { path, mode } => {
                    if !self.is_received(&path) {
                        let length = path.len();
                        self.push(OutputPart::Dir { path: path.clone(), mode }, length)?;
                        self.resume.after = Some(path);
                    }
                }
                Output::File { path, file } => {
                    self.files += 1;
                    if !self.is_received(&path) {
                        self.send_file(path.clone(), file)?;
                        self.resume.after = Some(path);
                    }
                }
            }
        }
        if self.all
            && let Some(pattern) = self.walk.missing()
        {
            return Err(CollectError::Missing(pattern.to_owned()));
        }
        self.flush()?;
        Ok(self.files)
    }

    fn next(&mut self) -> Result<Option<Output>, CollectError> {
        let next = self.walk.next();
        if next.as_ref().is_err_and(CollectError::is_shortage) {
            self.flush()?;
        }
        next
    }

    /// True for what the manager has in whole.
    fn is_received(&self, path: &str) -> bool {
        let after = self.resume.after.as_ref();
        after.is_some_and(|after| path.split('/').le(after.split('/')))
    }

    fn push(&mut self, part: OutputPart, length: usize) -> Result<(), CollectError> {
        self.parts.push(part);
        self.room = self.room.saturating_sub(length + PART_OVERHEAD);
        if self.room < LEAST_ROOM { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), CollectError> {
        if self.outlet.token.is_cancelled() {
            return Err(CollectError::Stopped);
        }
        let parts = std::mem::take(&mut self.parts);
        if !parts.is_empty() {
            self.room = CHUNK;
            self.outlet.send(FromAgent::Outputs { request: self.outlet.request, parts });
        }
        Ok(())
    }

    fn send_file(&mut self, path: String, file: File) -> Result<(), CollectError> {
        let meta = file.metadata().map_err(|error| CollectError::io(&path, error))?;
        let size = meta.len();
        let partial = self.resume.partial.as_ref().filter(|(partial, _)| *partial == path);
        // A file that has become shorter is not the same any more.
        let offset = partial.map_or(0, |(_, received)| *received);
        let offset = if offset <= size { offset } else { 0 };
        let length = path.len();
        let part = OutputPart::File {
            path: path.clone(),
            mode: meta.mode() & 0o777,
            mtime_ns: meta.mtime().saturating_mul(1_000_000_000).saturating_add(meta.mtime_nsec()),
            size,
            offset,
        };
        self.push(part, length)?;
        let mut file = Reading { path, file, size, at: 0, hasher: blake3::Hasher::new() };
        // The hash is that of all of it.
        while file.at < offset {
            if self.outlet.token.is_cancelled() {
                return Err(CollectError::Stopped);
            }
            file.next((offset - file.at).min(CHUNK as u64) as usize)?;
        }
        while file.at < size {
            let room = (self.room - PART_OVERHEAD) as u64;
            let bytes = file.next((size - file.at).min(room) as usize)?;
            let length = bytes.len();
            self.push(OutputPart::Bytes(bytes), length)?;
        }
        let hash = file.finish()?;
        self.push(OutputPart::End { hash }, 0)
    }
}

/// A file that is being sent.
#[derive(Debug)]
struct Reading {
    path: String,
    file: File,
    size: u64,
    /// Up to where it was read.
    at: u64,
    hasher: blake3::Hasher,
}

impl Reading {
    /// The next bytes, at most `most` of them.
    fn next(&mut self, most: usize) -> Result<Vec<u8>, CollectError> {
        let mut bytes = vec![0; most];
        let length = loop {
            match self.file.read_at(&mut bytes, self.at) {
                Ok(0) => return Err(self.changed()),
                Ok(length) => break length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(CollectError::io(&self.path, error)),
            }
        };
        bytes.truncate(length);
        self.hasher.update(&bytes);
        self.at += length as u64;
        Ok(bytes)
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
