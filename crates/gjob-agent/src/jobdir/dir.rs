//! One open job directory. Every file in it is reached from the directory's own
//! descriptor, and never through a symbolic link.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use gjob_core::JobId;
use gjob_core::jobdir::OwnFile;
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, chmod, fchmod, fstat, openat, readlinkat, renameat, statat,
    symlinkat, unlinkat,
};
use rustix::io::Errno;
use rustix::path::Arg;
use rustix::process::geteuid;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::files::{read_json, to_json};

/// The longest of gjob's own files that is read, bytes.
const MAX_OWN_FILE: u64 = 4 * 1024 * 1024;

/// Bytes kept free for a record that must be written when the disk is full.
const RESERVE: [u8; 1024] = [b' '; 1024];

/// How directories are opened.
const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// An open job directory.
#[derive(Debug)]
pub(crate) struct JobDir {
    path: PathBuf,
    fd: OwnedFd,
}

/// Whether anything of a job still holds its lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LockState {
    /// There is no lock: the job was never begun.
    Absent,
    /// Nobody holds it: the job is over.
    Free,
    /// Its slot, or a process of its own, lives.
    Held,
}

impl JobDir {
    /// Opens an existing directory.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let fd = rustix::fs::open(path, DIRECTORY, Mode::empty())?;
        Ok(JobDir { path: path.to_owned(), fd })
    }

    /// Opens the directory of `id` below `results`, through no symbolic link.
    pub(crate) fn open_below(results: &Path, id: &JobId) -> io::Result<Self> {
        let top = DIRECTORY.difference(OFlags::NOFOLLOW);
        let mut fd = rustix::fs::open(results, top, Mode::empty())?;
        for component in id.as_str().split('/') {
            fd = openat(&fd, component, DIRECTORY, Mode::empty())?;
        }
        Ok(JobDir { path: results.join(id.as_str()), fd })
    }

    /// The same. Permissions that its job has taken away are restored first.
    pub(crate) fn reopen_below(results: &Path, id: &JobId) -> io::Result<Self> {
        let opened = JobDir::open_below(results, id);
        if !matches!(&opened, Err(error) if error.kind() == io::ErrorKind::PermissionDenied) {
            return opened;
        }
        let path = results.join(id.as_str());
        let host_dir = JobDir::open(path.parent().unwrap_or(results))?;
        let fd = open_dir_at(&host_dir, path.file_name().unwrap_or_default())?;
        Ok(JobDir { path, fd })
    }

    /// Restores the owner's permissions that its job has taken away; true when some
    /// were missing and are there again.
    pub(crate) fn restore_permissions(&self) -> bool {
        restore_permissions(&self.fd)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where it really is, as a process in it sees it.
    pub(crate) fn real_path(&self) -> Option<PathBuf> {
        std::fs::read_link(format!("/proc/self/fd/{}", self.fd.as_raw_fd())).ok()
    }

    /// Makes a file that must not exist yet.
    pub(crate) fn create(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        Ok(openat(&self.fd, name, flags, Mode::from_raw_mode(0o600))?.into())
    }

    /// Makes an empty file for a job's output, even if a start that failed has left
    /// one.
    pub(crate) fn create_output(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::WRONLY
            | OFlags::CREATE
            | OFlags::TRUNC
            | OFlags::APPEND
            | OFlags::NOFOLLOW
            | OFlags::CLOEXEC;
        Ok(openat(&self.fd, name, flags, Mode::from_raw_mode(0o600))?.into())
    }

    /// Makes `.lock` and takes it, on a descriptor that the processes started
    /// from here on inherit: it is held while one of them lives.
    pub(crate) fn take_lock(&self) -> io::Result<File> {
        // No CLOEXEC, on this one descriptor.
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        let fd = openat(&self.fd, OwnFile::Lock.name(), flags, Mode::from_raw_mode(0o600))?;
        let file = File::from(fd);
        file.lock()?;
        Ok(file)
    }

    /// Whether anything of the job is alive.
    pub(crate) fn lock_state(&self) -> io::Result<LockState> {
        let Some(file) = self.open_file(OwnFile::Lock.name())? else {
            return Ok(LockState::Absent);
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(LockState::Free),
            Err(TryLockError::WouldBlock) => Ok(LockState::Held),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Opens a regular file for reading; none when there is none.
    pub(crate) fn open_file(&self, name: &str) -> io::Result<Option<File>> {
        // NONBLOCK: not to wait for the other end of a pipe that the job has put there.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = match openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if FileType::from_raw_mode(fstat(&fd)?.st_mode) != FileType::RegularFile {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{name} is no regular file"),
            ));
        }
        Ok(Some(fd.into()))
    }

    /// Reads one of the JSON files; none when it does not exist or is still empty.
    pub(crate) fn read<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        let Some(file) = self.open_file(name)? else {
            return Ok(None);
        };
        let mut json = Vec::new();
        file.take(MAX_OWN_FILE).read_to_end(&mut json)?;
        if json.trim_ascii().is_empty() {
            return Ok(None);
        }
        read_json(&json).map(Some)
    }

    /// Writes one of the JSON files as a whole or not at all.
    pub(crate) fn replace<T: Serialize>(&self, name: &str, temp: &str, body: T) -> io::Result<()> {
        // Not into what a job may have put there, such as a pipe or a hard link.
        self.remove(temp)?;
        let written = self.create(temp).and_then(|file| file.write_all_at(&to_json(body)?, 0));
        written.and_then(|()| self.rename(temp, name)).inspect_err(|_| drop(self.remove(temp)))
    }

    /// True when there is something under this name.
    pub(crate) fn has(&self, name: &str) -> io::Result<bool> {
        match statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(rustix::io::Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes a symbolic link, in place of what had the name.
    pub(crate) fn symlink(&self, name: &str, temp: &str, target: &str) -> io::Result<()> {
        symlinkat(target, &self.fd, temp)?;
        self.rename(temp, name)
    }

    /// The target of a symbolic link; none when the name is not that of one.
    pub(crate) fn symlink_target(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match readlinkat(&self.fd, name, Vec::new()) {
            Ok(target) => Ok(Some(target.into_bytes())),
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes a file with room for a record in it.
    pub(crate) fn reserve(&self, name: &str) -> io::Result<Reserved> {
        let file = self.create(name)?;
        file.write_all_at(&RESERVE, 0)?;
        Ok(Reserved { file })
    }

    /// True when the name is still that of the file that was reserved under it.
    pub(crate) fn names(&self, name: &str, reserved: &Reserved) -> io::Result<bool> {
        let named = match statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(rustix::io::Errno::NOENT) => return Ok(false),
            named => named?,
        };
        let file = fstat(&reserved.file)?;
        Ok((named.st_dev, named.st_ino) == (file.st_dev, file.st_ino))
    }

    /// Renames a file.
    pub(crate) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(renameat(&self.fd, from, &self.fd, to)?)
    }

    /// Removes a file if it exists.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        match unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// A file's length in bytes; 0 when it is unknown.
    pub(crate) fn length(&self, name: &str) -> u64 {
        statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW).map_or(0, |stat| stat.st_size as u64)
    }

    /// Which file `.lock` is: device and inode.
    pub(crate) fn lock_inode(&self) -> io::Result<(u64, u64)> {
        let stat = statat(&self.fd, OwnFile::Lock.name(), AtFlags::SYMLINK_NOFOLLOW)?;
        Ok((stat.st_dev, stat.st_ino))
    }

    /// Removes a directory in which nothing was begun, with what was placed in it.
    pub(crate) fn discard(self) -> io::Result<()> {
        std::fs::remove_dir_all(&self.path)
    }
}

impl AsFd for JobDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Opens a directory in another, through no symbolic link. Permissions that were
/// taken away in one of this user's are restored first.
pub(crate) fn open_dir_at(parent: impl AsFd, name: impl Arg + Copy) -> io::Result<OwnedFd> {
    let opened = openat(&parent, name, DIRECTORY, Mode::empty());
    if !matches!(opened, Err(Errno::ACCESS)) {
        return Ok(opened?);
    }
    let closed = openat(&parent, name, DIRECTORY | OFlags::PATH, Mode::empty())?;
    if let Some(mode) = complete_mode(&closed)? {
        // What such a descriptor stands for can be changed only by name.
        chmod(format!("/proc/self/fd/{}", closed.as_raw_fd()), mode)?;
    }
    Ok(openat(&parent, name, DIRECTORY, Mode::empty())?)
}

/// Restores the owner's permissions of an open directory; true when some were
/// missing and are there again.
pub(crate) fn restore_permissions(fd: impl AsFd) -> bool {
    let missing = complete_mode(&fd).unwrap_or(None);
    missing.is_some_and(|mode| fchmod(&fd, mode).is_ok())
}

/// The mode that a directory of this user should have; none when it lacks nothing
/// or is another user's.
fn complete_mode(fd: impl AsFd) -> io::Result<Option<Mode>> {
    let stat = fstat(fd)?;
    let mode = Mode::from_raw_mode(stat.st_mode);
    let ours = stat.st_uid == geteuid().as_raw();
    Ok((ours && !mode.contains(Mode::RWXU)).then_some(mode | Mode::RWXU))
}

/// A file that already has the room its content will need.
#[derive(Debug)]
pub(crate) struct Reserved {
    file: File,
}

impl Reserved {
    /// Writes the content in place of the room.
    pub(crate) fn fill<T: Serialize>(&self, body: T) -> io::Result<()> {
        let json = to_json(body)?;
        // Its job may have taken the permissions away.
        fchmod(&self.file, Mode::from_raw_mode(0o600))?;
        self.file.write_all_at(&json, 0)?;
        self.file.set_len(json.len() as u64)
    }
}
