//! The local files that jobs need: hashed once each, before anything starts.

use std::collections::HashMap;
use std::path::Path;

use gjob_core::JobSpec;
use gjob_core::spec::base_name;
use gjob_core::wire::{BlobHash, Input, InputKind};

use crate::input_file::{InputError, InputFile};

/// Every file that some job needs.
#[derive(Debug, Default)]
pub struct Inputs {
    by_path: HashMap<String, InputFile>,
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
            match InputFile::hash(Path::new(path)) {
                Ok(source) => inputs.add(path, source),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() { Ok(inputs) } else { Err(errors) }
    }

    /// The files of a run that was made before.
    #[must_use]
    pub fn restore(files: Vec<(String, InputFile)>) -> Self {
        let mut inputs = Inputs::default();
        files.into_iter().for_each(|(path, file)| inputs.add(&path, file));
        inputs
    }

    /// Each path that jobs name, with its file.
    pub fn files(&self) -> impl Iterator<Item = (&str, &InputFile)> {
        self.by_path.iter().map(|(path, file)| (path.as_str(), file))
    }

    pub(super) fn extend(&mut self, other: Inputs) {
        self.by_path.extend(other.by_path);
        self.by_hash.extend(other.by_hash);
    }

    fn add(&mut self, path: &str, source: InputFile) {
        self.by_hash.insert(source.hash, path.to_owned());
        self.by_path.insert(path.to_owned(), source);
    }

    /// The files of a job as a launch names them.
    #[must_use]
    pub fn of(&self, spec: &JobSpec) -> Vec<Input> {
        let input = |path: &String| {
            let source = self.by_path.get(path)?;
            let name = base_name(path)?.to_owned();
            Some(Input {
                name,
                hash: source.hash,
                mode: source.mode,
                mtime_ns: source.mtime_ns,
                kind: InputKind::File,
                link: spec.link,
            })
        };
        spec.files.iter().filter_map(input).collect()
    }

    /// Where a blob's content is found here.
    pub(super) fn source(&self, hash: &BlobHash) -> Option<&InputFile> {
        self.by_path.get(self.by_hash.get(hash)?)
    }
}
