//! One output while it comes.

use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use gjob_core::wire::BlobHash;

use super::OutputFile;
use super::refusal::{Refusal, Violation, shown};

/// What a host says of a file before its content comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Announced {
    pub(super) path: String,
    pub(super) mode: u32,
    pub(super) mtime_ns: i64,
    pub(super) size: u64,
}

#[derive(Debug)]
pub(super) struct OpenFile {
    pub(super) announced: Announced,
    pub(super) got: u64,
    file: File,
    /// Boxed: it is large, and this is moved about.
    hasher: Box<blake3::Hasher>,
    /// The link broke since; whether it goes on from here is the host's choice.
    pub(super) interrupted: bool,
    /// Its content came in more than one session.
    resumed: bool,
}

impl OpenFile {
    /// A new file: nobody else's until it is complete.
    pub(super) fn create(dir: &Dir, announced: Announced) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let file = dir.open_with(&announced.path, &options)?.into_std();
        Ok(OpenFile {
            announced,
            got: 0,
            file,
            hasher: Box::new(blake3::Hasher::new()),
            interrupted: false,
            resumed: false,
        })
    }

    /// True when this is what was asked to go on from `offset`; it may not be
    /// the same file any more.
    pub(super) fn goes_on(&self, announced: &Announced, offset: u64) -> bool {
        let is_it = announced.path == self.announced.path;
        self.interrupted && offset > 0 && offset == self.got && is_it
    }

    pub(super) fn go_on(&mut self) {
        self.interrupted = false;
        self.resumed = true;
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let Announced { path, size, .. } = &self.announced;
        if bytes.len() as u64 > size - self.got {
            return Err(Violation::TooLong { path: shown(path), size: *size }.into());
        }
        self.file.write_all(bytes).map_err(|error| Refusal::of_io(path, error))?;
        self.hasher.update(bytes);
        self.got += bytes.len() as u64;
        Ok(())
    }

    /// The file is complete: its content is verified, its mode and time are set.
    pub(super) fn end(self, hash: BlobHash) -> Result<OutputFile, Refusal> {
        let Announced { path, mode, mtime_ns, size } = self.announced;
        if self.got != size {
            let got = self.got;
            return Err(Violation::TooShort { path: shown(&path), got, size }.into());
        }
        if *self.hasher.finalize().as_bytes() != hash.0 {
            let path = shown(&path);
            return Err(match self.resumed {
                true => Refusal::Changed { path },
                false => Violation::Hash { path }.into(),
            });
        }
        let mode = mode & 0o777;
        // Some file systems have neither; the content is what counts.
        if let Some(time) = time(mtime_ns) {
            let _ = self.file.set_modified(time);
        }
        let _ = self.file.set_permissions(Permissions::from_mode(mode));
        Ok(OutputFile { path, size, hash, mode })
    }
}

/// Nanoseconds since 1970 as a time.
fn time(ns: i64) -> Option<SystemTime> {
    let distance = Duration::from_nanos(ns.unsigned_abs());
    match ns {
        0.. => SystemTime::UNIX_EPOCH.checked_add(distance),
        _ => SystemTime::UNIX_EPOCH.checked_sub(distance),
    }
}
