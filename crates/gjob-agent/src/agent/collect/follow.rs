//! Symbolic links in a job directory, followed step by step: from descriptor to
//! descriptor, never by the kernel. So nothing outside is opened, whatever a job
//! changes meanwhile.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use gjob_core::os_text::to_bytes;
use rustix::fs::{FileType, Mode, OFlags, fstat, openat, readlinkat};
use rustix::io::Errno;

use crate::jobdir::JobDir;

/// The most symbolic links followed for one path.
const MAX_SYMLINKS: u32 = 40;

/// How files are identified without being opened.
const PATH: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// How files and directories are opened.
const READ: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// Why a symbolic link leads to no output.
#[derive(Debug, thiserror::Error)]
pub(super) enum FollowError {
    #[error("is a symbolic link that leads out of the job directory")]
    Outside,
    #[error("is a symbolic link to nothing")]
    Dangling,
    #[error("is a symbolic link to itself")]
    Loop,
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<Errno> for FollowError {
    fn from(error: Errno) -> Self {
        match error {
            Errno::NOENT | Errno::NOTDIR => FollowError::Dangling,
            error => FollowError::Io(error.into()),
        }
    }
}

/// Opens what `path`, below the job directory, leads to, and gives its type: it may
/// be no file that can be read.
pub(super) fn follow(root: &JobDir, path: &str) -> Result<(OwnedFd, FileType), FollowError> {
    let mut dirs: Vec<OwnedFd> = Vec::new();
    let mut todo: Vec<Vec<u8>> = components(&to_bytes(path));
    let mut links = 0;
    let top = |dirs: &[OwnedFd]| -> Result<OwnedFd, FollowError> {
        let dir = dirs.last().map_or(root.as_fd(), |dir| dir.as_fd());
        Ok(openat(dir, ".", READ | OFlags::DIRECTORY, Mode::empty())?)
    };
    while let Some(name) = todo.pop() {
        if name == b".." {
            dirs.pop().ok_or(FollowError::Outside)?;
            continue;
        }
        let dir = dirs.last().map_or(root.as_fd(), |dir| dir.as_fd());
        let found = openat(dir, name.as_slice(), PATH, Mode::empty())?;
        match FileType::from_raw_mode(fstat(&found)?.st_mode) {
            FileType::Directory => dirs.push(found),
            FileType::Symlink => {
                links += 1;
                if links > MAX_SYMLINKS {
                    return Err(FollowError::Loop);
                }
                let target = readlinkat(&found, "", Vec::new())?.into_bytes();
                let target = match target.strip_prefix(b"/") {
                    Some(_) => {
                        let inside = below(root, &target).ok_or(FollowError::Outside)?;
                        dirs.clear();
                        inside
                    }
                    None => target,
                };
                todo.extend(components(&target));
            }
            _ if !todo.is_empty() => return Err(FollowError::Dangling),
            FileType::RegularFile => return open_file(dir, &name),
            kind => return Ok((found, kind)),
        }
    }
    Ok((top(&dirs)?, FileType::Directory))
}

fn open_file(dir: BorrowedFd<'_>, name: &[u8]) -> Result<(OwnedFd, FileType), FollowError> {
    let file = openat(dir, name, READ, Mode::empty())?;
    let kind = FileType::from_raw_mode(fstat(&file)?.st_mode);
    Ok((file, kind))
}

/// The components of a path, the first one last.
fn components(path: &[u8]) -> Vec<Vec<u8>> {
    let parts = path.split(|byte| *byte == b'/');
    parts.filter(|part| !matches!(*part, b"" | b".")).rev().map(<[u8]>::to_vec).collect()
}

/// An absolute path as one below the job directory, by either of its names.
fn below(root: &JobDir, target: &[u8]) -> Option<Vec<u8>> {
    use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
    let target = Path::new(std::ffi::OsStr::from_bytes(target));
    let real = std::fs::read_link(format!("/proc/self/fd/{}", root.as_fd().as_raw_fd()));
    let names: [Option<PathBuf>; 2] = [Some(root.path().to_owned()), real.ok()];
    let inside = names.iter().flatten().find_map(|name| target.strip_prefix(name).ok());
    inside.map(|path| path.as_os_str().to_owned().into_vec())
}
