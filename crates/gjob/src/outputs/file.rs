//! One file of a job's outputs while it comes, and the list of those that have
//! come: kept in memory while it is short and in an unnamed file when not, so
//! that many long ones fill none.

use std::fs::{File, Permissions};
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use gjob_core::os_text::to_path;
use gjob_core::wire::BlobHash;
use tempfile::SpooledTempFile;

use super::OutputFile;
use super::mode::within_umask;
use super::refusal::{Refusal, Violation, shown};

/// A list longer than this is kept in a file, bytes.
const IN_MEMORY: usize = 64 * 1024;

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
        let file = dir.open_with(to_path(&announced.path), &options)?.into_std();
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
        let mode = within_umask(mode);
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

/// The files of a job that have come.
#[derive(Debug)]
pub(crate) struct Listing {
    spool: SpooledTempFile,
    files: u64,
}

impl Default for Listing {
    fn default() -> Self {
        Listing { spool: SpooledTempFile::new(IN_MEMORY), files: 0 }
    }
}

impl Listing {
    pub(super) fn add(&mut self, file: &OutputFile) -> io::Result<()> {
        let OutputFile { path, size, hash, mode } = file;
        let mut entry = Vec::with_capacity(path.len() + 64);
        entry.extend((path.len() as u32).to_le_bytes());
        entry.extend(path.as_bytes());
        entry.extend(size.to_le_bytes());
        entry.extend(mode.to_le_bytes());
        entry.extend(hash.0);
        self.files += 1;
        self.spool.write_all(&entry)
    }

    pub(super) fn files(&self) -> u64 {
        self.files
    }

    /// The list as it was added.
    pub(crate) fn read(mut self) -> io::Result<Vec<OutputFile>> {
        self.spool.rewind()?;
        let mut reader = BufReader::new(self.spool);
        let mut files = Vec::new();
        while !reader.fill_buf()?.is_empty() {
            let mut path = vec![0; u32::from_le_bytes(bytes(&mut reader)?) as usize];
            reader.read_exact(&mut path)?;
            files.push(OutputFile {
                path: String::from_utf8(path).map_err(io::Error::other)?,
                size: u64::from_le_bytes(bytes(&mut reader)?),
                mode: u32::from_le_bytes(bytes(&mut reader)?),
                hash: BlobHash(bytes(&mut reader)?),
            });
        }
        Ok(files)
    }
}

fn bytes<const N: usize>(reader: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_reads_back_as_it_was_added() {
        let file = |n: u32| OutputFile {
            path: format!("d/{n}"),
            size: u64::from(n),
            hash: BlobHash([n as u8; 32]),
            mode: 0o644,
        };
        let files: Vec<_> = (0..5000).map(file).collect();
        let mut listing = Listing::default();
        files.iter().for_each(|file| listing.add(file).unwrap());
        assert_eq!(listing.files(), 5000);
        assert_eq!(listing.read().unwrap(), files);
    }
}
