//! A local directory that jobs need: a sorted list of its entries, made once.

use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gjob_core::os_text::{from_os, to_path};
use gjob_core::output::check_path;
use gjob_core::tree::{Links, MAX_TREE_ENTRIES, Tree, TreeEntry};
use gjob_core::wire::BlobHash;

use super::file::{mode, mtime_ns, special};
use super::{InputError, InputFile};

/// A directory to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputDirectory {
    /// Its absolute path.
    pub path: PathBuf,
    /// The hash of its list.
    pub hash: BlobHash,
    /// Its permission bits.
    pub mode: u32,
    /// When it was last modified, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// The text of its [`Tree`], which is sent as a blob.
    pub list: Arc<[u8]>,
    /// The files in it.
    pub files: Vec<Arc<InputFile>>,
}

impl InputDirectory {
    /// The directory at `path`, of this mode and time, with these entries and the files
    /// among them.
    pub(super) fn new(
        path: PathBuf,
        (mode, mtime_ns): (u32, i64),
        entries: Vec<TreeEntry>,
        files: Vec<Arc<InputFile>>,
    ) -> Self {
        let list: Arc<[u8]> = Tree { entries }.to_text().into();
        let hash = BlobHash(*blake3::hash(&list).as_bytes());
        InputDirectory { path, hash, mode, mtime_ns, list, files }
    }

    /// True if its files are there as they were, as far as their metadata tells.
    pub(crate) fn is_untouched(&self) -> bool {
        self.files.iter().all(|file| file.is_in_place())
    }

    /// The blobs that a host needs for it.
    pub fn blobs(&self) -> impl Iterator<Item = BlobHash> {
        std::iter::once(self.hash).chain(self.files.iter().map(|file| file.hash))
    }
}

/// A directory whose files are not hashed yet.
#[derive(Debug)]
pub(super) struct Walked {
    path: PathBuf,
    mode: u32,
    mtime_ns: i64,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    /// Below the directory.
    path: String,
    what: What,
}

#[derive(Debug)]
enum What {
    Dir { mode: u32, mtime_ns: i64 },
    File(Metadata),
    Link { target: String },
}

impl Walked {
    /// Lists the directory `path`.
    pub(super) fn new(path: &Path, meta: &Metadata) -> Result<Self, Vec<InputError>> {
        let mut walk = Walk { root: path, entries: Vec::new(), errors: Vec::new() };
        walk.list("");
        walk.check_links();
        match std::path::absolute(path) {
            Err(source) => walk.errors.push(InputError::io(path, source)),
            Ok(path) if walk.errors.is_empty() => {
                let (mode, mtime_ns) = (mode(meta), mtime_ns(meta));
                return Ok(Walked { path, mode, mtime_ns, entries: walk.entries });
            }
            Ok(_) => {}
        }
        Err(walk.errors)
    }

    /// The files to hash, in order.
    pub(super) fn files(&self) -> impl Iterator<Item = (PathBuf, &Metadata)> {
        self.entries.iter().filter_map(|entry| match &entry.what {
            What::File(meta) => Some((self.path.join(to_path(&entry.path)), meta)),
            What::Dir { .. } | What::Link { .. } => None,
        })
    }

    /// Makes the list, given the hashed [`Walked::files`].
    pub(super) fn finish(self, files: Vec<Arc<InputFile>>) -> InputDirectory {
        let mut hashed = files.iter();
        let entry = |Entry { path, what }| match what {
            What::Dir { mode, mtime_ns } => Some(TreeEntry::Dir { path, mode, mtime_ns }),
            What::Link { target } => Some(TreeEntry::Link { path, target }),
            What::File(_) => hashed.next().map(|file| file_entry(path, file)),
        };
        let entries = self.entries.into_iter().filter_map(entry).collect();
        InputDirectory::new(self.path, (self.mode, self.mtime_ns), entries, files)
    }
}

/// A file of a list.
pub(super) fn file_entry(path: String, file: &InputFile) -> TreeEntry {
    let InputFile { mode, mtime_ns, size, hash, .. } = *file;
    TreeEntry::File { path, mode, mtime_ns, size, hash }
}

/// A walk through a directory.
struct Walk<'a> {
    root: &'a Path,
    entries: Vec<Entry>,
    errors: Vec<InputError>,
}

impl Walk<'_> {
    fn list(&mut self, below: &str) {
        let path = self.root.join(to_path(below));
        match names(&path) {
            Ok(names) => names.into_iter().for_each(|name| self.add(&path, below, &name)),
            Err(source) => self.errors.push(InputError::io(&path, source)),
        }
    }

    fn add(&mut self, dir: &Path, below: &str, name: &std::ffi::OsStr) {
        let found = dir.join(name);
        let path = match below {
            "" => from_os(name).into_owned(),
            below => format!("{below}/{}", from_os(name)),
        };
        if check_path(&path).is_err() {
            return self.errors.push(InputError::Name { path: found });
        }
        if self.entries.len() == MAX_TREE_ENTRIES {
            let full = |error: &InputError| matches!(error, InputError::TooMany { .. });
            if !self.errors.iter().any(full) {
                self.errors.push(InputError::TooMany { path: self.root.to_owned() });
            }
            return;
        }
        match what(&found) {
            Ok(what) => {
                let is_dir = matches!(what, What::Dir { .. });
                self.entries.push(Entry { path: path.clone(), what });
                if is_dir {
                    self.list(&path);
                }
            }
            Err(error) => self.errors.push(error),
        }
    }

    fn check_links(&mut self) {
        let links: Vec<(&str, &str)> = self
            .entries
            .iter()
            .filter_map(|entry| match &entry.what {
                What::Link { target } => Some((entry.path.as_str(), target.as_str())),
                What::Dir { .. } | What::File(_) => None,
            })
            .collect();
        let known = Links::new(links.iter().copied());
        let outside = links.iter().filter(|(link, _)| !known.stays_inside(link));
        let errors = outside.map(|(link, target)| InputError::LinkOutside {
            path: self.root.join(to_path(link)),
            target: to_path(target),
        });
        self.errors.extend(errors);
    }
}

/// The names in a directory, sorted.
pub(super) fn names(path: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    let names = std::fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.file_name()));
    let mut names = names.collect::<io::Result<Vec<_>>>()?;
    names.sort_unstable();
    Ok(names)
}

fn what(path: &Path) -> Result<What, InputError> {
    let fail = |source| InputError::io(path, source);
    let meta = std::fs::symlink_metadata(path).map_err(fail)?;
    let kind = meta.file_type();
    if kind.is_dir() {
        Ok(What::Dir { mode: mode(&meta), mtime_ns: mtime_ns(&meta) })
    } else if kind.is_file() {
        Ok(What::File(meta))
    } else if kind.is_symlink() {
        let target = std::fs::read_link(path).map_err(fail)?;
        Ok(What::Link { target: from_os(target.as_os_str()).into_owned() })
    } else {
        Err(special(path, &meta))
    }
}
