//! The outputs in a job directory, one after the other: sorted, a directory before
//! what is in it. Anything but a file or directory is refused.

use std::collections::VecDeque;
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use gjob_core::os_text::from_bytes;
use gjob_core::output::{MAX_ENTRIES, check_path};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, fstat, openat, statat};

use super::super::background::CancelToken;
use super::CollectError;
use super::follow::{FollowError, follow};
use super::wanted::Wanted;
use crate::jobdir::JobDir;
use crate::open_files::{LEVELS, is_own_shortage};

/// How outputs are opened: without waiting for the other end of a pipe.
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

/// A job directory that is being looked through.
#[derive(Debug)]
pub(super) struct Walk {
    root: JobDir,
    wanted: Wanted,
    levels: Vec<Level>,
    ready: VecDeque<Output>,
    /// Entries looked at.
    count: u64,
    token: CancelToken,
}

/// A directory that is being looked through.
#[derive(Debug)]
struct Level {
    fd: OwnedFd,
    /// Below the job directory; empty for itself.
    path: String,
    /// Its device and inode: one directory may have several paths.
    inode: (u64, u64),
    mode: u32,
    /// True when all of it is wanted.
    whole: bool,
    is_reported: bool,
    /// What is of interest in it and was not looked at yet, the last one first.
    names: Vec<(String, CString)>,
}

impl Level {
    fn open(fd: OwnedFd, path: String, whole: bool, is_reported: bool) -> io::Result<Self> {
        let stat = fstat(&fd)?;
        let (inode, mode) = ((stat.st_dev, stat.st_ino), stat.st_mode & 0o777);
        Ok(Level { fd, path, inode, mode, whole, is_reported, names: Vec::new() })
    }

    fn join(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}/{name}", self.path) }
    }
}

impl Walk {
    /// Begins with a job directory.
    pub(super) fn new(
        root: JobDir,
        wanted: Wanted,
        token: CancelToken,
    ) -> Result<Self, CollectError> {
        let flags = READ | OFlags::DIRECTORY;
        let opened = openat(root.as_fd(), ".", flags, Mode::empty()).map_err(io::Error::from);
        let level = opened.and_then(|fd| Level::open(fd, String::new(), false, true));
        let level = level.map_err(|error| CollectError::io(".", error))?;
        let (levels, ready) = (Vec::new(), VecDeque::new());
        let mut walk = Walk { root, wanted, levels, ready, count: 0, token };
        walk.enter(level)?;
        Ok(walk)
    }

    /// The first pattern that nothing has matched.
    pub(super) fn missing(&self) -> Option<&str> {
        self.wanted.missing()
    }

    /// What an error comes to: a shortage of files that the walk itself makes does not pass.
    pub(super) fn explain(&self, error: CollectError) -> CollectError {
        match (&error, self.levels.last()) {
            (CollectError::Io { source, .. }, Some(level))
                if self.levels.len() > LEVELS && is_own_shortage(source) =>
            {
                let problem = "is in more directories than its host can have open (ulimit -Hn)";
                CollectError::unfit(&level.path, problem)
            }
            _ => error,
        }
    }

    /// The next output; none after the last one.
    pub(super) fn next(&mut self) -> Result<Option<Output>, CollectError> {
        loop {
            if let Some(output) = self.ready.pop_front() {
                return Ok(Some(output));
            }
            let Some(level) = self.levels.last_mut() else { return Ok(None) };
            match level.names.pop() {
                Some((text, name)) => self.look_at(&text, &name)?,
                None => drop(self.levels.pop()),
            }
        }
    }

    /// Reads the names in a directory, and goes on with what is in it.
    fn enter(&mut self, mut level: Level) -> Result<(), CollectError> {
        let failed = |error: rustix::io::Errno| CollectError::io(&level.path, error.into());
        let mut names = Vec::new();
        for entry in Dir::read_from(&level.fd).map_err(failed)? {
            if self.token.is_cancelled() {
                return Err(CollectError::Stopped);
            }
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let text = from_bytes(name.to_bytes());
            let path = level.join(&text);
            let is_file = entry.file_type() == FileType::RegularFile;
            if level.whole
                || self.wanted.matches(&path)
                || !is_file && self.wanted.may_match_below(&path)
            {
                names.push((text.into_owned(), name.to_owned()));
            }
            if names.len() as u64 > MAX_ENTRIES {
                return Err(CollectError::TooMany);
            }
        }
        // By text: outputs come in the order of their paths as text.
        names.sort_unstable_by(|a, b| b.cmp(a));
        level.names = names;
        self.levels.push(level);
        Ok(())
    }

    fn look_at(&mut self, text: &str, name: &CString) -> Result<(), CollectError> {
        let Some(level) = self.levels.last() else { return Ok(()) };
        let path = level.join(text);
        let is_wanted = level.whole || self.wanted.matches(&path);
        if check_path(&path).is_err() {
            let problem = "has a path that is too long";
            return if is_wanted { Err(CollectError::unfit(&path, problem)) } else { Ok(()) };
        }
        self.count += 1;
        if self.count > MAX_ENTRIES {
            return Err(CollectError::TooMany);
        }
        match self.find(name, &path) {
            Ok((fd, kind)) => self.take(fd, kind, path, is_wanted),
            // It is no output itself, and leads to none.
            Err(error) if error.is_shortage() => Err(error),
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

    /// True for a directory that the walk is in already.
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
            self.report_levels();
            self.wanted.note(&path);
        }
        if kind == FileType::Directory {
            let level = Level::open(fd, path.clone(), is_wanted, is_wanted)
                .map_err(|error| CollectError::io(&path, error))?;
            if is_wanted {
                self.ready.push_back(Output::Dir { path, mode: level.mode });
            }
            self.enter(level)?;
        } else if is_wanted {
            self.ready.push_back(Output::File { path, file: fd.into() });
        }
        Ok(())
    }

    /// The directories that lead to an output come before it.
    fn report_levels(&mut self) {
        for level in self.levels.iter_mut().filter(|level| !level.is_reported) {
            level.is_reported = true;
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
