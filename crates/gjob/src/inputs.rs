//! The local files and directories that jobs need. Each is found and hashed once,
//! before anything starts; outputs of other jobs are found once these are done, and were
//! hashed when they came. How they get to a host is `network`'s business.

mod directory;
mod error;
mod file;
mod hashing;
mod outputs;
mod past;

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use gjob_core::JobSpec;
use gjob_core::os_text::to_path;
use gjob_core::spec::base_name;
use gjob_core::wire::{BlobHash, Input, InputKind};

pub use directory::InputDirectory;
use directory::Walked;
pub use error::InputError;
pub use file::InputFile;
pub(crate) use file::check;
use hashing::hash_all;
pub(crate) use outputs::{UnfitOutputs, gather, verify};
pub use past::{PastInput, PastInputs};

/// A file or directory that a job names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    /// A file.
    File(Arc<InputFile>),
    /// A directory.
    Directory(Arc<InputDirectory>),
}

/// The local source of a blob's content.
#[derive(Clone, Debug)]
pub enum Content {
    /// A file.
    File(Arc<InputFile>),
    /// The list of a directory, in memory.
    List(Arc<InputDirectory>),
}

impl Content {
    /// Its hash.
    #[must_use]
    pub fn hash(&self) -> BlobHash {
        match self {
            Content::File(file) => file.hash,
            Content::List(directory) => directory.hash,
        }
    }

    /// Its length, bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Content::File(file) => file.size,
            Content::List(directory) => directory.list.len() as u64,
        }
    }

    /// The path of the file or of the directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Content::File(file) => &file.path,
            Content::List(directory) => &directory.path,
        }
    }
}

/// Every file and directory that some job needs.
#[derive(Debug, Default)]
pub struct Inputs {
    /// By their paths as jobs name them, each with the revisions in which it was replaced,
    /// in their order.
    roots: HashMap<String, Vec<(u32, Root)>>,
    contents: HashMap<BlobHash, Content>,
    /// The directories, by their lists' hashes.
    trees: HashMap<BlobHash, Arc<InputDirectory>>,
    /// Outputs of past runs' jobs.
    past: PastInputs,
}

impl Inputs {
    /// Finds and hashes the files and directories of all `specs`, each distinct
    /// path once.
    ///
    /// # Errors
    /// All files and directories that cannot be sent.
    pub fn hash<'a>(specs: impl IntoIterator<Item = &'a JobSpec>) -> Result<Self, Vec<InputError>> {
        let mut seen = HashSet::new();
        let paths = specs.into_iter().flat_map(|spec| spec.local_files());
        let paths: Vec<&String> = paths.filter(|path| seen.insert(*path)).collect();
        let found: Vec<_> = paths.iter().map(|path| find(&to_path(path))).collect();
        let unhashed = found.iter().flatten().flat_map(|found| match found {
            Found::File(path, meta) => vec![(path.clone(), meta)],
            Found::Directory(walked) => walked.files().collect(),
        });
        let unhashed: Vec<_> = unhashed.collect();
        let mut hashed = hash_all(&unhashed).into_iter();
        let (mut inputs, mut errors) = (Inputs::default(), Vec::new());
        for (path, found) in paths.into_iter().zip(found) {
            match found.and_then(|found| found.finish(&mut hashed)) {
                Ok(root) => inputs.add(path.clone(), 0, root),
                Err(more) => errors.extend(more),
            }
        }
        if errors.is_empty() { Ok(inputs) } else { Err(errors) }
    }

    /// The files and directories of a run that was created before.
    #[must_use]
    pub fn restore(roots: impl IntoIterator<Item = (String, u32, Root)>) -> Self {
        let mut inputs = Inputs::default();
        roots.into_iter().for_each(|(path, revision, root)| inputs.add(path, revision, root));
        inputs
    }

    /// The same files and directories as those of a later revision.
    #[must_use]
    pub fn in_revision(self, revision: u32) -> Self {
        let roots = self.roots.into_iter().filter_map(|(path, roots)| {
            let (_, root) = roots.into_iter().next_back()?;
            Some((path, revision, root))
        });
        Inputs::restore(roots)
    }

    /// What is at these paths now, of those that these inputs have: where they were, whatever
    /// the working directory is.
    ///
    /// # Errors
    /// All files and directories that cannot be sent.
    pub fn hash_again(&self, paths: &[&str]) -> Result<Self, Vec<InputError>> {
        let (mut now, mut errors) = (Inputs::default(), Vec::new());
        for path in paths {
            let Some(was) = self.last(path) else { continue };
            match hash(was.path()) {
                Ok(root) => now.add((*path).to_owned(), 0, root),
                Err(more) => errors.extend(more),
            }
        }
        if errors.is_empty() { Ok(now) } else { Err(errors) }
    }

    fn last(&self, path: &str) -> Option<&Root> {
        self.roots.get(path)?.last().map(|(_, root)| root)
    }

    /// What is at this path for attempts of a revision.
    fn at(&self, path: &str, revision: u32) -> Option<&Root> {
        let mut roots = self.roots.get(path)?.iter().rev();
        roots.find(|(since, _)| *since <= revision).map(|(_, root)| root)
    }

    /// The files and directories that `specs` need.
    #[must_use]
    pub fn only_for<'a>(self, specs: impl IntoIterator<Item = &'a JobSpec>) -> Self {
        let needed: HashSet<&String> =
            specs.into_iter().flat_map(|spec| spec.local_files()).collect();
        let kept = self.roots.into_iter().filter(|(path, _)| needed.contains(path));
        let kept = Inputs::restore(kept.flat_map(|(path, roots)| {
            let roots = roots.into_iter();
            roots.map(move |(revision, root)| (path.clone(), revision, root))
        }));
        kept.with_past(self.past)
    }

    /// The same with outputs of past runs' jobs.
    #[must_use]
    pub fn with_past(self, past: PastInputs) -> Self {
        Inputs { past, ..self }
    }

    /// Outputs of past runs' jobs.
    #[must_use]
    pub fn past(&self) -> &PastInputs {
        &self.past
    }

    /// The paths of those that jobs with these specifications name and that are not what
    /// they were in the last revision, or are gone.
    pub fn changed<'a>(&self, specs: impl IntoIterator<Item = &'a JobSpec>) -> Vec<&'a str> {
        let named: HashSet<&String> =
            specs.into_iter().flat_map(|spec| spec.local_files()).collect();
        let named = named.into_iter().map(String::as_str);
        let has_changed = |path: &&str| self.last(path).is_some_and(has_changed);
        let mut changed: Vec<&str> = named.filter(has_changed).collect();
        changed.sort_unstable();
        changed
    }

    /// Each path that jobs name, with the file or directory there since a revision.
    pub fn roots(&self) -> impl Iterator<Item = (&str, u32, &Root)> {
        self.roots.iter().flat_map(|(path, roots)| {
            roots.iter().map(|(revision, root)| (path.as_str(), *revision, root))
        })
    }

    pub(crate) fn extend(&mut self, other: Inputs) {
        for (path, roots) in other.roots {
            roots.into_iter().for_each(|(revision, root)| self.add(path.clone(), revision, root));
        }
    }

    fn add(&mut self, path: String, revision: u32, root: Root) {
        match &root {
            Root::File(file) => add_file(&mut self.contents, file),
            Root::Directory(directory) => self.add_directory(directory),
        }
        let roots = self.roots.entry(path).or_default();
        roots.retain(|(other, _)| *other != revision);
        let at = roots.partition_point(|(other, _)| *other < revision);
        roots.insert(at, (revision, root));
    }

    /// Adds a directory that no path of a job leads to.
    pub(crate) fn add_directory(&mut self, directory: &Arc<InputDirectory>) {
        directory.files.iter().for_each(|file| add_file(&mut self.contents, file));
        self.contents.insert(directory.hash, Content::List(Arc::clone(directory)));
        self.trees.insert(directory.hash, Arc::clone(directory));
    }

    /// The inputs of an attempt's launch, as they were in its revision.
    #[must_use]
    pub fn of(&self, spec: &JobSpec, revision: u32) -> Vec<Input> {
        let input = |path: &String| {
            let (hash, mode, mtime_ns, kind) = match self.at(path, revision)? {
                Root::File(file) => (file.hash, file.mode, file.mtime_ns, InputKind::File),
                Root::Directory(dir) => (dir.hash, dir.mode, dir.mtime_ns, InputKind::Tree),
            };
            let name = base_name(path)?.to_owned();
            Some(Input { name, hash, mode, mtime_ns, kind, hard_link: spec.link })
        };
        spec.local_files().filter_map(input).collect()
    }

    /// The blobs that a host needs for an input of a launch.
    pub(crate) fn blobs(&self, hash: BlobHash, kind: InputKind) -> Vec<BlobHash> {
        match self.trees.get(&hash) {
            Some(directory) if kind == InputKind::Tree => directory.blobs().collect(),
            _ => vec![hash],
        }
    }

    /// The local source of a blob's content.
    pub(crate) fn content(&self, hash: &BlobHash) -> Option<&Content> {
        self.contents.get(hash)
    }
}

fn add_file(contents: &mut HashMap<BlobHash, Content>, file: &Arc<InputFile>) {
    contents.insert(file.hash, Content::File(Arc::clone(file)));
}

impl Root {
    /// Where it was.
    fn path(&self) -> &Path {
        match self {
            Root::File(file) => &file.path,
            Root::Directory(directory) => &directory.path,
        }
    }
}

fn has_changed(root: &Root) -> bool {
    match root {
        Root::File(file) => file.has_changed(),
        // Its list has the modes of what is in it.
        Root::Directory(was) => !matches!(
            hash(&was.path),
            Ok(Root::Directory(now)) if (now.hash, now.mode) == (was.hash, was.mode)
        ),
    }
}

/// Finds and hashes what is at a path.
fn hash(path: &Path) -> Result<Root, Vec<InputError>> {
    let found = find(path)?;
    let hashed = match &found {
        Found::File(path, meta) => hash_all(&[(path.clone(), meta)]),
        Found::Directory(walked) => hash_all(&walked.files().collect::<Vec<_>>()),
    };
    found.finish(&mut hashed.into_iter())
}

/// A file or directory that is not hashed yet.
#[derive(Debug)]
enum Found {
    File(std::path::PathBuf, std::fs::Metadata),
    Directory(Walked),
}

fn find(path: &Path) -> Result<Found, Vec<InputError>> {
    let meta = std::fs::metadata(path).map_err(|source| vec![InputError::io(path, source)])?;
    if meta.is_dir() {
        Walked::new(path, &meta).map(Found::Directory)
    } else if meta.is_file() {
        Ok(Found::File(path.to_owned(), meta))
    } else {
        Err(vec![file::special(path, &meta)])
    }
}

impl Found {
    /// Completes it with its hashed files.
    fn finish(
        self,
        hashed: &mut impl Iterator<Item = Result<InputFile, InputError>>,
    ) -> Result<Root, Vec<InputError>> {
        let count = match &self {
            Found::File(..) => 1,
            Found::Directory(walked) => walked.files().count(),
        };
        let (mut files, mut errors) = (Vec::with_capacity(count), Vec::new());
        for result in hashed.take(count) {
            match result {
                Ok(file) => files.push(Arc::new(file)),
                Err(error) => errors.push(error),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        match self {
            Found::File(..) => files.pop().map(Root::File).ok_or_else(Vec::new),
            Found::Directory(walked) => Ok(Root::Directory(Arc::new(walked.finish(files)))),
        }
    }
}

#[cfg(test)]
mod tests;
