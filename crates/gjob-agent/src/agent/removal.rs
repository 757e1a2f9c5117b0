//! Removes a directory with everything in it, in steps, from handle to handle and
//! through no symbolic link, whatever rights were taken away in it.

use std::ffi::CStr;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, renameat, unlinkat};
use rustix::io::Errno;

use crate::jobdir::{mend_dir, open_dir_at};

/// Entries removed in one step.
const STEP: usize = 256;

/// Directories open at once: what is deeper is moved up first.
const MAX_OPEN: usize = 64;

/// A directory that is being removed.
#[derive(Debug)]
pub(super) struct Removal {
    parent: OwnedFd,
    levels: Vec<Level>,
    /// The entry of it that goes last.
    last: &'static str,
    /// Directories moved up.
    moved: u32,
}

#[derive(Debug)]
struct Level {
    dir: Dir,
    /// Its name in the one above.
    name: std::ffi::CString,
    /// True when it has lost something since it was last read from its begin.
    is_less: bool,
    /// True when it was read to its end before.
    is_read: bool,
}

impl Removal {
    /// Begins to remove the directory `name` of `parent`. Its entry `last` goes
    /// last: while it is there, the directory can be told for what it was.
    pub(super) fn begin(parent: OwnedFd, name: &CStr, last: &'static str) -> io::Result<Self> {
        let mut removal = Removal { parent, levels: Vec::new(), last, moved: 0 };
        removal.enter(name)?;
        Ok(removal)
    }

    /// Removes some of it; true when nothing is left.
    pub(super) fn step(&mut self) -> io::Result<bool> {
        for _ in 0..STEP {
            let is_top = self.levels.len() == 1;
            let Some(level) = self.levels.last_mut() else { return Ok(true) };
            let Some(entry) = level.dir.read().transpose()? else {
                self.leave()?;
                continue;
            };
            let name = entry.file_name();
            let waits = is_top && name.to_bytes() == self.last.as_bytes() && !level.is_read;
            if !waits && !matches!(name.to_bytes(), b"." | b"..") {
                self.remove(name)?;
            }
        }
        Ok(self.levels.is_empty())
    }

    fn remove(&mut self, name: &CStr) -> io::Result<()> {
        let Some(level) = self.levels.last_mut() else { return Ok(()) };
        let fd = level.dir.fd()?;
        let unlink = || unlinkat(fd, name, AtFlags::empty());
        let removed = match unlink() {
            Err(Errno::ACCESS | Errno::PERM) if mend_dir(fd) => unlink(),
            removed => removed,
        };
        match removed {
            Ok(()) | Err(Errno::NOENT) => {
                level.is_less = true;
                Ok(())
            }
            Err(Errno::ISDIR) => self.descend(name),
            Err(error) => Err(error.into()),
        }
    }

    fn descend(&mut self, name: &CStr) -> io::Result<()> {
        if self.levels.len() < MAX_OPEN {
            return self.enter(name);
        }
        // It has to be writable to get another directory above it.
        mend_dir(&open_dir_at(self.innermost()?, name)?);
        self.moved += 1;
        let up = format!(".gjob.{}.{}", std::process::id(), self.moved);
        let Some(top) = self.levels.first() else { return Ok(()) };
        renameat(self.innermost()?, name, top.dir.fd()?, up)?;
        for level in [0, self.levels.len() - 1] {
            self.levels[level].is_less = true;
        }
        Ok(())
    }

    fn enter(&mut self, name: &CStr) -> io::Result<()> {
        let fd = open_dir_at(self.innermost()?, name)?;
        let dir = Dir::new(fd)?;
        self.levels.push(Level { dir, name: name.to_owned(), is_less: true, is_read: false });
        Ok(())
    }

    /// The directory that is being emptied, or the one above them all.
    fn innermost(&self) -> io::Result<BorrowedFd<'_>> {
        use std::os::fd::AsFd as _;
        match self.levels.last() {
            Some(level) => Ok(level.dir.fd()?),
            None => Ok(self.parent.as_fd()),
        }
    }

    /// Removes the innermost directory, which was read to its end.
    fn leave(&mut self) -> io::Result<()> {
        let Some(mut level) = self.levels.pop() else { return Ok(()) };
        let above = self.innermost()?;
        let remove = || unlinkat(above, &level.name, AtFlags::REMOVEDIR);
        let removed = match remove() {
            Err(Errno::ACCESS | Errno::PERM) if !self.levels.is_empty() && mend_dir(above) => {
                remove()
            }
            removed => removed,
        };
        match removed {
            Ok(()) | Err(Errno::NOENT) => {
                if let Some(above) = self.levels.last_mut() {
                    above.is_less = true;
                }
                Ok(())
            }
            // While entries go, some may have been passed over.
            Err(Errno::NOTEMPTY | Errno::EXIST) if level.is_less || !level.is_read => {
                level.dir.rewind();
                level.is_read = true;
                level.is_less = false;
                self.levels.push(level);
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}
