//! The local files that jobs need: hashed once each, before anything starts.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use gjob_core::JobSpec;
use gjob_core::spec::base_name;
use gjob_core::wire::{BlobHash, Input};

/// A file that can't be sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// It can't be read.
    #[error("file {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// Something else than a file.
    #[error("file {path} is {found}: a regular file is accepted")]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// Somebody writes to it.
    #[error("file {path} changed while it was read: it must stay as it is until the jobs are done")]
    Changed {
        /// The file.
        path: PathBuf,
    },
}

/// One file as it is to be sent.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) hash: BlobHash,
    pub(super) size: u64,
    mode: u32,
}

/// Every file that some job needs.
#[derive(Debug, Default)]
pub struct Inputs {
    by_path: HashMap<String, Source>,
    /// A path of each content.
    by_hash: HashMap<BlobHash, String>,
}

impl Inputs {
    /// Hashes the files of all `specs`, each distinct path once.
    ///
    /// # Errors
    /// All files that can't be read or are no regular files.
    pub fn hash<'a>(specs: impl IntoIterator<Item = &'a JobSpec>) -> Result<Self, Vec<InputError>> {
        let mut inputs = Inputs::default();
        let mut errors = Vec::new();
        for path in specs.into_iter().flat_map(|spec| &spec.files) {
            if inputs.by_path.contains_key(path) {
                continue;
            }
            match hash_file(Path::new(path)) {
                Ok(source) => inputs.add(path, source),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() { Ok(inputs) } else { Err(errors) }
    }

    pub(super) fn extend(&mut self, other: Inputs) {
        self.by_path.extend(other.by_path);
        self.by_hash.extend(other.by_hash);
    }

    fn add(&mut self, path: &str, source: Source) {
        self.by_hash.insert(source.hash, path.to_owned());
        self.by_path.insert(path.to_owned(), source);
    }

    /// The files of a job as a launch names them.
    #[must_use]
    pub fn of(&self, spec: &JobSpec) -> Vec<Input> {
        let input = |path: &String| {
            let source = self.by_path.get(path)?;
            let name = base_name(path)?.to_owned();
            Some(Input { name, hash: source.hash, mode: source.mode })
        };
        spec.files.iter().filter_map(input).collect()
    }

    /// Where a blob's content is found here.
    pub(super) fn source(&self, hash: &BlobHash) -> Option<&Source> {
        self.by_path.get(self.by_hash.get(hash)?)
    }
}

fn hash_file(path: &Path) -> Result<Source, InputError> {
    let fail = |source| InputError::Io { path: path.to_owned(), source };
    let before = std::fs::metadata(path).map_err(fail)?;
    if !before.is_file() {
        let found = describe(before.file_type());
        return Err(InputError::NotAFile { path: path.to_owned(), found });
    }
    let mut hasher = blake3::Hasher::new();
    let mut file = File::open(path).map_err(fail)?;
    let read = io::copy(&mut file, &mut hasher).map_err(fail)?;
    let after = file.metadata().map_err(fail)?;
    let stamp =
        |meta: &std::fs::Metadata| (meta.len(), meta.mtime(), meta.mtime_nsec(), meta.ino());
    if stamp(&before) != stamp(&after) || read != after.len() {
        return Err(InputError::Changed { path: path.to_owned() });
    }
    let hash = BlobHash(*hasher.finalize().as_bytes());
    let path = std::path::absolute(path).map_err(fail)?;
    Ok(Source { path, hash, size: read, mode: after.mode() & 0o777 })
}

fn describe(kind: std::fs::FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}
