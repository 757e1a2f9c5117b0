//! Removes a directory with everything in it, from descriptor to descriptor and
//! through no symbolic link, whatever permissions were taken away in it.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, Mode, OFlags, renameat, unlinkat};
use rustix::io::Errno;

use crate::jobdir::{open_dir_at, restore_permissions};

/// Directories open at once: what is deeper is moved up first.
const MAX_OPEN: usize = 64;

/// Removes the directory `name` of `parent`. Its entry `last` goes last: while it
/// is there, the directory can be recognized for what it was. Nothing is done when
/// there is no such directory.
pub(super) fn remove_dir(parent: OwnedFd, name: &CStr, last: &'static str) -> io::Result<()> {
    let mut removal = Removal { parent, levels: Vec::new(), last, moved: 0 };
    match removal.enter(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        entered => entered.and_then(|()| removal.run()),
    }
}

/// Removes the directory at `path` likewise.
pub(super) fn remove_dir_at(path: &Path, last: &'static str) -> io::Result<()> {
    let (parent, name) = (path.parent().unwrap_or(path), path.file_name().unwrap_or_default());
    let name = CString::new(name.as_encoded_bytes())?;
    let parent = rustix::fs::open(parent, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    remove_dir(parent, &name, last)
}

/// Removes whatever is at `path`.
pub(super) fn remove_any(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => remove_dir_at(path, ""),
        removed => removed,
    }
}

/// A directory that is being removed.
#[derive(Debug)]
struct Removal {
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
    name: CString,
    /// True when it has lost something since it was last read from its begin.
    is_less: bool,
    /// True when it was read to its end before.
    is_read: bool,
}

impl Removal {
    fn run(&mut self) -> io::Result<()> {
        while let Some(level) = self.levels.last_mut() {
            let Some(entry) = level.dir.read().transpose()? else {
                self.leave()?;
                continue;
            };
            let (name, is_read) = (entry.file_name(), level.is_read);
            let is_last = name.to_bytes() == self.last.as_bytes() && self.levels.len() == 1;
            let is_itself = matches!(name.to_bytes(), b"." | b"..");
            if !is_itself && (is_read || !is_last) {
                self.remove(name)?;
            }
        }
        Ok(())
    }

    fn remove(&mut self, name: &CStr) -> io::Result<()> {
        let Some(level) = self.levels.last_mut() else { return Ok(()) };
        let fd = level.dir.fd()?;
        let unlink = || unlinkat(fd, name, AtFlags::empty());
        let removed = match unlink() {
            Err(Errno::ACCESS | Errno::PERM) if restore_permissions(fd) => unlink(),
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
        restore_permissions(&open_dir_at(self.innermost()?, name)?);
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
            Err(Errno::ACCESS | Errno::PERM)
                if !self.levels.is_empty() && restore_permissions(above) =>
            {
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
