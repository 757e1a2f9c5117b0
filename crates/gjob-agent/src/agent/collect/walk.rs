//! The outputs in a job directory, found one after the other: sorted, a directory
//! before what is in it, and whatever is no file or directory refused.

use std::collections::VecDeque;
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use gjob_core::output::{MAX_ENTRIES, check_path};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, fstat, openat, statat};

use super::CollectError;
use super::follow::{FollowError, follow};
use super::wanted::Wanted;
use crate::jobdir::JobDir;

/// Names read from a directory in one step.
const NAMES: usize = 1024;

/// How outputs are opened: a pipe put there must not stop us.
const READ: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// An output.
#[derive(Debug)]
pub(super) enum Output {
    /// A directory.
    Dir {
        /// Below the job directory.
        path: String,
        /// Its permission bits.
        mode: u32,
    },
    /// A file.
    File {
        /// Below the job directory.
        path: String,
        /// It, open.
        file: File,
    },
}

/// What a step has come to.
#[derive(Debug)]
pub(super) enum Step {
    /// The next output.
    Output(Output),
    /// Nothing yet.
    On,
    /// The same, but it has taken a while.
    Pause,
    /// There is nothing more.
    End,
}

/// A job directory that is being looked through.
#[derive(Debug)]
pub(super) struct Walk {
    root: JobDir,
    wanted: Wanted,
    levels: Vec<Level>,
    ready: VecDeque<Output>,
    /// Entries looked at.
    count: u64,
}

/// A directory that is being looked through.
#[derive(Debug)]
struct Level {
    fd: OwnedFd,
    /// Below the job directory; empty for itself.
    path: String,
    /// Which directory it really is.
    inode: (u64, u64),
    mode: u32,
    /// True when all of it is wanted.
    whole: bool,
    is_told: bool,
    /// What was not read yet.
    unread: Option<Dir>,
    /// What was, and is of interest; once all is read, in the opposite order.
    names: Vec<CString>,
}

impl Level {
    fn open(fd: OwnedFd, path: String, whole: bool, is_told: bool) -> io::Result<Self> {
        let stat = fstat(&fd)?;
        let unread = Some(Dir::read_from(&fd)?);
        let (inode, mode) = ((stat.st_dev, stat.st_ino), stat.st_mode & 0o777);
        Ok(Level { fd, path, inode, mode, whole, is_told, unread, names: Vec::new() })
    }

    fn join(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}/{name}", self.path) }
    }
}

impl Walk {
    /// Begins with a job directory.
    pub(super) fn new(root: JobDir, wanted: Wanted) -> io::Result<Self> {
        let fd = openat(root.as_fd(), ".", READ | OFlags::DIRECTORY, Mode::empty())?;
        let levels = vec![Level::open(fd, String::new(), false, true)?];
        Ok(Walk { root, wanted, levels, ready: VecDeque::new(), count: 0 })
    }

    /// The first pattern that nothing has matched.
    pub(super) fn missing(&self) -> Option<&str> {
        self.wanted.missing()
    }

    /// Goes on by a small step.
    pub(super) fn step(&mut self) -> Result<Step, CollectError> {
        if let Some(output) = self.ready.pop_front() {
            return Ok(Step::Output(output));
        }
        let Some(level) = self.levels.last_mut() else { return Ok(Step::End) };
        if level.unread.is_some() {
            self.read_names()?;
            return Ok(Step::Pause);
        }
        match level.names.pop() {
            Some(name) => self.look_at(&name)?,
            None => drop(self.levels.pop()),
        }
        Ok(Step::On)
    }

    /// Reads more names of the innermost directory.
    fn read_names(&mut self) -> Result<(), CollectError> {
        let Some(level) = self.levels.last_mut() else { return Ok(()) };
        let Some(mut unread) = level.unread.take() else { return Ok(()) };
        for _ in 0..NAMES {
            let entry = unread.read().transpose();
            let Some(entry) = entry.map_err(|error| CollectError::io(&level.path, error.into()))?
            else {
                level.names.sort_unstable_by(|a, b| b.cmp(a));
                return Ok(());
            };
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let path = level.join(&name.to_string_lossy());
            let is_file = entry.file_type() == FileType::RegularFile;
            if level.whole
                || self.wanted.matches(&path)
                || !is_file && self.wanted.may_match_below(&path)
            {
                level.names.push(name.to_owned());
            }
        }
        if level.names.len() as u64 > MAX_ENTRIES {
            return Err(CollectError::TooMany);
        }
        level.unread = Some(unread);
        Ok(())
    }

    fn look_at(&mut self, name: &CString) -> Result<(), CollectError> {
        let Some(level) = self.levels.last() else { return Ok(()) };
        let path = level.join(&name.to_string_lossy());
        let is_wanted = level.whole || self.wanted.matches(&path);
        let unfit = match name.to_str() {
            Err(_) => Some("has a name that is not UTF-8"),
            Ok(_) => check_path(&path).is_err().then_some("has no acceptable name"),
        };
        if let Some(problem) = unfit {
            return if is_wanted { Err(CollectError::unfit(&path, problem)) } else { Ok(()) };
        }
        self.count += 1;
        if self.count > MAX_ENTRIES {
            return Err(CollectError::TooMany);
        }
        match self.find(name, &path) {
            Ok((fd, kind)) => self.take(fd, kind, path, is_wanted),
            // Not itself: there is only nothing to be had from it.
            Err(CollectError::Unfit { .. } | CollectError::Io { .. }) if !is_wanted => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Opens an entry of the innermost directory, if it can be an output.
    fn find(&self, name: &CString, path: &str) -> Result<(OwnedFd, FileType), CollectError> {
        let io = |error: rustix::io::Errno| CollectError::io(path, error.into());
        let dir = self.levels.last().map_or(self.root.as_fd(), |level| level.fd.as_fd());
        let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).map_err(io)?;
        let (fd, kind) = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => follow(&self.root, path).map_err(|error| match error {
                FollowError::Io(error) => CollectError::io(path, error),
                error => CollectError::unfit(path, &error.to_string()),
            })?,
            FileType::RegularFile | FileType::Directory => {
                let fd = openat(dir, name, READ, Mode::empty()).map_err(io)?;
                let kind = FileType::from_raw_mode(fstat(&fd).map_err(io)?.st_mode);
                (fd, kind)
            }
            kind => return Err(CollectError::unfit(path, describe(kind))),
        };
        match kind {
            FileType::RegularFile => Ok((fd, kind)),
            FileType::Directory if self.is_within(&fd).map_err(io)? => {
                Err(CollectError::unfit(path, "is a symbolic link to a directory that it is in"))
            }
            FileType::Directory => Ok((fd, kind)),
            kind => Err(CollectError::unfit(path, describe(kind))),
        }
    }

    /// True for a directory that we are in already.
    fn is_within(&self, fd: &impl AsFd) -> rustix::io::Result<bool> {
        let stat = fstat(fd)?;
        Ok(self.levels.iter().any(|level| level.inode == (stat.st_dev, stat.st_ino)))
    }

    fn take(
        &mut self,
        fd: OwnedFd,
        kind: FileType,
        path: String,
        is_wanted: bool,
    ) -> Result<(), CollectError> {
        if is_wanted {
            self.tell_levels();
            self.wanted.note(&path);
        }
        if kind == FileType::Directory {
            let level = Level::open(fd, path.clone(), is_wanted, is_wanted)
                .map_err(|error| CollectError::io(&path, error))?;
            if is_wanted {
                self.ready.push_back(Output::Dir { path, mode: level.mode });
            }
            self.levels.push(level);
        } else if is_wanted {
            self.ready.push_back(Output::File { path, file: fd.into() });
        }
        Ok(())
    }

    /// The directories that lead to an output come before it.
    fn tell_levels(&mut self) {
        for level in self.levels.iter_mut().filter(|level| !level.is_told) {
            level.is_told = true;
            self.ready.push_back(Output::Dir { path: level.path.clone(), mode: level.mode });
        }
    }
}

fn describe(kind: FileType) -> &'static str {
    match kind {
        FileType::Fifo => "is a named pipe",
        FileType::Socket => "is a socket",
        FileType::BlockDevice | FileType::CharacterDevice => "is a device",
        _ => "is no file and no directory",
    }
}
