//! The blobs of a results directory: read-only files named by their content's hash.
//! A job that has one as a hard link could change it all the same: then its mode, size
//! or time is not what it was stored with, and it counts as missing. Since a job could
//! restore these, hard links are to files of their own, and of their run (`Variant`).
//!
//! Receiving and removing them is left to `agent/blobs`.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, SystemTime};

use gjob_core::wire::BlobHash;
use rustix::fs::{
    AtFlags, Dir, DirEntry, FileType, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_NOW,
    UTIME_OMIT, fchmod, fstat, futimens, openat, renameat, statat, unlinkat, utimensat,
};
use rustix::io::Errno;

use crate::jobdir::Layout;
use crate::own_file;

/// When an empty blob was last modified, seconds since 1970; no real one's time.
const STAMP: i64 = 1_000_000_000;

/// Twice a size is added to the stamp, modulo this: a blob that a crash of its host
/// has cut shows. Twice, for some file systems keep no odd seconds.
const STAMP_SPAN: u64 = 50_000_000;

/// A use is noted at most this often.
const USE_INTERVAL: Duration = Duration::from_secs(60);

/// The end of the names of files that are being made.
pub(crate) const PART: &str = ".part";

/// The kinds of files that a blob is kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    /// What was received. Jobs get copies of it, and never the file itself: who has a
    /// hard link can write to it, and restore its mode and time.
    Plain,
    /// One for the hard links of a run: a file of its own, made when it is wanted.
    Linked(RunTag),
    /// The same, which can be run as well.
    Executable(RunTag),
}

/// Stands for a run in a file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunTag([u8; 8]);

impl RunTag {
    /// That of a run.
    pub(crate) fn of(run: &str) -> Self {
        let mut tag = [0; 8];
        tag.copy_from_slice(&blake3::hash(run.as_bytes()).as_bytes()[..8]);
        RunTag(tag)
    }
}

impl std::fmt::Display for RunTag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl Variant {
    /// Its permission bits.
    pub(crate) fn mode(self) -> u32 {
        match self {
            Variant::Plain | Variant::Linked(_) => 0o444,
            Variant::Executable(_) => 0o555,
        }
    }
}

/// A blob's file name.
pub(crate) fn file_name(hash: &BlobHash, variant: Variant) -> String {
    match variant {
        Variant::Plain => hash.to_string(),
        Variant::Linked(run) => format!("{hash}.{run}.l"),
        Variant::Executable(run) => format!("{hash}.{run}.x"),
    }
}

/// Which blob has a file name; none when it is no blob's.
pub(crate) fn parse_file_name(name: &str) -> Option<BlobHash> {
    match name.split_once('.') {
        Some((hash, rest)) if rest.ends_with(".l") || rest.ends_with(".x") => hash.parse().ok(),
        Some(_) => None,
        None => name.parse().ok(),
    }
}

/// True for the name of a file that was made for the hard links of a run.
pub(crate) fn is_of_run(name: &str, run: RunTag) -> bool {
    parse_file_name(name).is_some() && name.contains(&format!(".{run}."))
}

/// The directory of the blobs. It is opened for every look: on a network file
/// system, only a directory newly opened shows what other hosts have done.
#[derive(Debug)]
pub(crate) struct BlobDir {
    fd: OwnedFd,
}

impl BlobDir {
    /// Opens the blobs' directory; makes it anew if it was removed or replaced.
    pub(crate) fn open(layout: &Layout) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = || rustix::fs::open(layout.blobs(), flags, Mode::empty());
        let fd = match open() {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
                layout.make_private(&layout.blobs()).map_err(|error| error.source)?;
                open()?
            }
            opened => opened?,
        };
        Ok(BlobDir { fd })
    }

    /// True when a blob is there as it was stored; anything else under its name is
    /// removed. Notes that it is used.
    pub(crate) fn has(&self, hash: &BlobHash) -> io::Result<bool> {
        let name = file_name(hash, Variant::Plain);
        let stat = match statat(&self.fd, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(false),
            stat => stat?,
        };
        if !is_intact(&stat, Variant::Plain) {
            self.remove(&name)?;
            return Ok(false);
        }
        if is_old_use(&stat) {
            // A use that cannot be noted only makes it look older than it is.
            let _ = utimensat(&self.fd, &name, &used_now(), AtFlags::SYMLINK_NOFOLLOW);
        }
        Ok(true)
    }

    /// The blobs that the directory names, read from its disk or its server.
    pub(crate) fn list(&self) -> io::Result<HashSet<BlobHash>> {
        let names = Dir::read_from(&self.fd)?;
        let hash = |entry: DirEntry| entry.file_name().to_str().ok()?.parse().ok();
        names.filter_map(|entry| entry.map(hash).transpose()).map(|hash| Ok(hash?)).collect()
    }

    /// Opens a blob as it was stored; anything else under its name is removed. Notes
    /// that it is used.
    pub(crate) fn find(&self, hash: &BlobHash, variant: Variant) -> io::Result<Option<File>> {
        let name = file_name(hash, variant);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = match openat(&self.fd, &name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP | Errno::ACCESS | Errno::NXIO) => {
                self.remove(&name)?;
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let stat = fstat(&fd)?;
        if !is_intact(&stat, variant) {
            self.remove(&name)?;
            return Ok(None);
        }
        if is_old_use(&stat) {
            // The same.
            let _ = futimens(&fd, &used_now());
        }
        Ok(Some(fd.into()))
    }

    /// Gives a file that is complete, under the name `part`, a blob's own.
    pub(crate) fn store(
        &self,
        file: &File,
        part: &str,
        hash: &BlobHash,
        variant: Variant,
    ) -> io::Result<()> {
        fchmod(file, Mode::from_raw_mode(variant.mode()))?;
        let stamp = Timespec { tv_sec: stamp(file.metadata()?.len()), tv_nsec: 0 };
        futimens(file, &Timestamps { last_modification: stamp, ..used_now() })?;
        if !is_as_stored(file, variant)? {
            return Err(io::Error::other("this file system keeps no modes or times"));
        }
        Ok(renameat(&self.fd, part, &self.fd, file_name(hash, variant))?)
    }

    /// A file's length in bytes; 0 when it is unknown.
    pub(crate) fn length(&self, name: &str) -> u64 {
        statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW).map_or(0, |stat| stat.st_size as u64)
    }

    /// Removes a file if it exists; a directory in its place is put aside.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        match unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(Errno::ISDIR) => self.put_aside(name),
            Err(error) => Err(error.into()),
        }
    }

    /// Puts aside what is no regular file.
    pub(crate) fn clear_place(&self, name: &str) -> io::Result<()> {
        match statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if !is_regular(&stat) => self.put_aside(name),
            _ => Ok(()),
        }
    }

    /// Gives what has a name another one (`own_file`).
    pub(crate) fn put_aside(&self, name: &str) -> io::Result<()> {
        match renameat(&self.fd, name, &self.fd, own_file::aside(name.as_ref())?) {
            // Another agent was first.
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for BlobDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// True for an open blob that is still as it was stored.
pub(crate) fn is_as_stored(file: &File, variant: Variant) -> io::Result<bool> {
    Ok(is_intact(&fstat(file)?, variant))
}

fn is_intact(stat: &Stat, variant: Variant) -> bool {
    is_regular(stat)
        // Others' rights are as their file system has them.
        && stat.st_mode & 0o200 == 0
        && stat.st_mode & 0o700 & variant.mode() == 0o700 & variant.mode()
        && stat.st_mtime == stamp(stat.st_size as u64)
        && stat.st_mtime_nsec == 0
}

fn is_regular(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

fn stamp(size: u64) -> i64 {
    STAMP + 2 * (size % STAMP_SPAN) as i64
}

fn is_old_use(stat: &Stat) -> bool {
    let used = SystemTime::UNIX_EPOCH + Duration::from_secs(stat.st_atime.max(0) as u64);
    used.elapsed().map_or(true, |ago| ago >= USE_INTERVAL)
}

/// Another use, and no other change.
fn used_now() -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
        last_modification: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_of_a_run_names_its_blob() {
        let (hash, run) = (BlobHash([7; 32]), RunTag::of("2026-11-22-1"));
        for variant in [Variant::Plain, Variant::Linked(run), Variant::Executable(run)] {
            let name = file_name(&hash, variant);
            assert_eq!(parse_file_name(&name), Some(hash), "{name}");
            assert_eq!(is_of_run(&name, run), variant != Variant::Plain, "{name}");
            assert!(!is_of_run(&name, RunTag::of("another")), "{name}");
            assert_eq!(parse_file_name(&format!("{name}.h.7.part")), None);
        }
    }

    #[test]
    fn listing_names_what_was_stored_after_the_directory_was_opened() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().to_owned());
        std::fs::create_dir_all(layout.blobs()).unwrap();
        let blobs = BlobDir::open(&layout).unwrap();
        let hash = BlobHash([7; 32]);
        assert_eq!(blobs.list().unwrap(), HashSet::new());
        let part = layout.blobs().join("x.part");
        std::fs::write(&part, "x").unwrap();
        blobs.store(&File::open(&part).unwrap(), "x.part", &hash, Variant::Plain).unwrap();
        assert_eq!(blobs.list().unwrap(), HashSet::from([hash]));
        assert!(blobs.has(&hash).unwrap());
    }
}
