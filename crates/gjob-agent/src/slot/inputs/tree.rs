//! A directory as an input: made from its list, entry by entry. Every entry is
//! reached from the job directory's own descriptor and through no symbolic link,
//! and no symbolic link is made that leads out of the directory.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use gjob_core::os_text::to_os;
use gjob_core::output::is_within;
use gjob_core::tree::{Links, Tree, TreeEntry};
use gjob_core::wire::Input;
use rustix::fs::{Mode, OFlags, mkdirat, openat, symlinkat};
use rustix::io::Errno;

use super::file::{Content, InputError, Placer, finish};

/// How directories are opened.
const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Places a directory with this list in `dir`.
pub(super) fn place(
    placer: &Placer,
    dir: &impl AsFd,
    input: &Input,
    list: &[u8],
) -> Result<(), InputError> {
    let tree = Tree::parse(list)?;
    let links = tree.links();
    let name = to_os(&input.name);
    mkdirat(dir, &*name, Mode::RWXU)?;
    let mut descent = Descent::new(openat(dir, &*name, DIRECTORY, Mode::empty())?);
    for entry in &tree.entries {
        place_entry(placer, &mut descent, entry, input.hard_link, &links)
            .map_err(|error| with_path(error, entry.path()))?;
    }
    // Only now: they may be closed, and whatever is put into one changes its time.
    for entry in tree.entries.iter().rev() {
        if let TreeEntry::Dir { path, mode, mtime_ns } = entry {
            finish(descent.enter(path)?, *mode, *mtime_ns)?;
        }
    }
    finish(&descent.root, input.mode, input.mtime_ns)
}

fn place_entry(
    placer: &Placer,
    descent: &mut Descent,
    entry: &TreeEntry,
    hard_link: bool,
    links: &Links<'_>,
) -> Result<(), InputError> {
    let (parent, name) = entry.path().rsplit_once('/').unwrap_or(("", entry.path()));
    let dir = descent.enter(parent)?;
    match entry {
        TreeEntry::Dir { .. } => Ok(mkdirat(dir, &*to_os(name), Mode::RWXU)?),
        TreeEntry::File { mode, mtime_ns, hash, .. } => {
            let content = Content { hash: *hash, mode: *mode, mtime_ns: *mtime_ns, hard_link };
            placer.place(dir, name, &content)
        }
        TreeEntry::Link { path, .. } if !links.stays_inside(path) => Err(InputError::Entry {
            path: path.clone(),
            problem: "is a symbolic link that leads out of the directory",
        }),
        TreeEntry::Link { target, .. } => Ok(symlinkat(&*to_os(target), dir, &*to_os(name))?),
    }
}

/// The error with the entry's path, if the list causes it: then it is not the
/// host's fault.
fn with_path(error: InputError, path: &str) -> InputError {
    let InputError::Io(error) = error else { return error };
    let problem = match Errno::from_io_error(&error) {
        Some(Errno::EXIST) => "appears twice",
        Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => "is not in a directory of the list",
        _ => return InputError::Io(error),
    };
    InputError::Entry { path: path.to_owned(), problem }
}

/// The directories that lead to where the last entry was placed.
#[derive(Debug)]
struct Descent {
    root: OwnedFd,
    open: Vec<(String, OwnedFd)>,
}

impl Descent {
    fn new(root: OwnedFd) -> Self {
        Descent { root, open: Vec::new() }
    }

    /// Opens the directory `path` below the root.
    fn enter(&mut self, path: &str) -> Result<&OwnedFd, Errno> {
        while self.open.pop_if(|(dir, _)| !is_within(path, dir)).is_some() {}
        let mut at = self.open.last().map_or(0, |(dir, _)| dir.len());
        while at < path.len() {
            let begin = if at == 0 { 0 } else { at + 1 };
            let end = path[begin..].find('/').map_or(path.len(), |length| begin + length);
            let fd = openat(self.last(), &*to_os(&path[begin..end]), DIRECTORY, Mode::empty())?;
            self.open.push((path[..end].to_owned(), fd));
            at = end;
        }
        Ok(self.open.last().map_or(&self.root, |(_, fd)| fd))
    }

    fn last(&self) -> BorrowedFd<'_> {
        self.open.last().map_or(self.root.as_fd(), |(_, fd)| fd.as_fd())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symlink_may_only_lead_to_what_is_below_the_root() {
        let leads_out = |target: &str| {
            let link = |path: &str, target: &str| TreeEntry::Link {
                path: path.to_owned(),
                target: target.to_owned(),
            };
            let entries = vec![link("a/up", ".."), link("deep", "a/b"), link("a/l", target)];
            !Tree { entries }.links().stays_inside("a/l")
        };
        for inside in ["x", "..", "../c", "./b//../x", "up/c", "../deep/..", "no/such", "l"] {
            assert!(!leads_out(inside), "{inside}");
        }
        for outside in ["/etc/passwd", "../..", "b/../../..", "up/../x", "../deep/../../.."] {
            assert!(leads_out(outside), "{outside}");
        }
    }
}
