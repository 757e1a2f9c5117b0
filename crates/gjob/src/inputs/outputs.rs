//! Outputs of a job as a directory that another job gets: the fetched files, as they are
//! recorded. Their content is verified when it is sent, by the hash that is recorded.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use gjob_core::os_text::{from_os, to_path};
use gjob_core::output::OutputPattern;
use gjob_core::tree::TreeEntry;

use super::directory::{file_entry, names};
use super::file::{kind, mode, mtime_ns};
use super::hashing::hash_all;
use super::{InputDirectory, InputError, InputFile};
use crate::outputs::OutputFile;

/// Outputs that cannot be another job's files.
#[derive(Debug)]
pub(crate) enum UnfitOutputs {
    /// None matches this pattern.
    None(String),
    /// These are not where they were put.
    Missing(Vec<OutputFile>),
    /// One is not what it was.
    Changed(InputError),
}

/// The outputs that match, of those that a job is recorded to have in `dir`.
pub(crate) fn gather(
    dir: &Path,
    outputs: Vec<OutputFile>,
    paths: &[&OutputPattern],
) -> Result<InputDirectory, UnfitOutputs> {
    let is_taken = |path: &str| paths.iter().any(|pattern| pattern.takes(path));
    let mut taken: Vec<OutputFile> = outputs;
    taken.retain(|file| is_taken(&file.path));
    let parents = parents(&taken);
    check_directories(dir, &parents).map_err(UnfitOutputs::Changed)?;
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for output in taken {
        match input(dir, &output) {
            Ok(file) => found.push((output.path, file)),
            Err(InputError::Missing { .. }) => missing.push(output),
            Err(error) => return Err(UnfitOutputs::Changed(error)),
        }
    }
    if !missing.is_empty() {
        return Err(UnfitOutputs::Missing(missing));
    }
    let mut dirs = Vec::new();
    // What cannot be listed has no file among these.
    let _ = list_dirs(dir, "", paths, &mut dirs);
    dirs.retain(|path| parents.contains(path) || is_taken(path));
    let matches = |pattern: &&&OutputPattern| {
        let files = found.iter().map(|(path, _)| path);
        files.chain(&dirs).any(|path| pattern.takes(path))
    };
    if let Some(pattern) = paths.iter().find(|pattern| !matches(pattern)) {
        return Err(UnfitOutputs::None(pattern.to_string()));
    }
    directory(dir, dirs, found).map_err(UnfitOutputs::Changed)
}

/// Makes sure that the content of files is what is recorded of it.
pub(crate) fn verify(directory: &InputDirectory) -> Result<(), UnfitOutputs> {
    let stat = |file: &Arc<InputFile>| {
        std::fs::symlink_metadata(&file.path).map_err(|source| file.io(source))
    };
    let found = directory.files.iter().map(stat).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(UnfitOutputs::Changed)?;
    let unhashed = directory.files.iter().zip(&found);
    let unhashed: Vec<_> = unhashed.map(|(file, meta)| (file.path.clone(), meta)).collect();
    for (file, now) in directory.files.iter().zip(hash_all(&unhashed)) {
        if now.map_err(UnfitOutputs::Changed)?.hash != file.hash {
            return Err(UnfitOutputs::Changed(file.changed()));
        }
    }
    Ok(())
}

/// The directories that files are in.
fn parents(files: &[OutputFile]) -> BTreeSet<String> {
    let parents = files.iter().flat_map(|OutputFile { path, .. }| {
        path.match_indices('/').map(|(end, _)| path[..end].to_owned())
    });
    parents.collect()
}

/// Makes sure that no directory was replaced: a symlink could lead to any files.
fn check_directories(root: &Path, dirs: &BTreeSet<String>) -> Result<(), InputError> {
    for dir in dirs {
        let path = root.join(to_path(dir));
        // A file that is not there is noticed as such.
        if let Ok(found) = std::fs::symlink_metadata(&path)
            && !found.is_dir()
        {
            return Err(InputError::Replaced { path, found: kind(&found) });
        }
    }
    Ok(())
}

/// A fetched file, if it may be what it was.
fn input(dir: &Path, output: &OutputFile) -> Result<InputFile, InputError> {
    let path = dir.join(to_path(&output.path));
    let found = std::fs::symlink_metadata(&path).map_err(|source| InputError::io(&path, source))?;
    if !found.is_file() {
        return Err(InputError::Replaced { path, found: kind(&found) });
    }
    if found.len() != output.size {
        return Err(InputError::Changed { path });
    }
    Ok(InputFile {
        path,
        hash: output.hash,
        size: output.size,
        mode: output.mode,
        mtime_ns: mtime_ns(&found),
        ino: found.ino(),
    })
}

/// The directories below one in which something may match; no link is followed.
fn list_dirs(
    root: &Path,
    below: &str,
    paths: &[&OutputPattern],
    dirs: &mut Vec<String>,
) -> std::io::Result<()> {
    let dir = root.join(to_path(below));
    for name in names(&dir)? {
        if !std::fs::symlink_metadata(dir.join(&name))?.is_dir() {
            continue;
        }
        let path = match below {
            "" => from_os(&name).into_owned(),
            below => format!("{below}/{}", from_os(&name)),
        };
        if paths.iter().any(|pattern| pattern.takes(&path) || pattern.may_match_below(&path)) {
            dirs.push(path.clone());
            list_dirs(root, &path, paths, dirs)?;
        }
    }
    Ok(())
}

fn directory(
    root: &Path,
    dirs: Vec<String>,
    found: Vec<(String, InputFile)>,
) -> Result<InputDirectory, InputError> {
    let stat = |path: &Path| {
        std::fs::symlink_metadata(path).map_err(|source| InputError::io(path, source))
    };
    let mut entries = Vec::with_capacity(dirs.len() + found.len());
    for path in dirs {
        let meta = stat(&root.join(to_path(&path)))?;
        entries.push(TreeEntry::Dir { path, mode: mode(&meta), mtime_ns: mtime_ns(&meta) });
    }
    let mut files = Vec::with_capacity(found.len());
    for (path, file) in found {
        entries.push(file_entry(path, &file));
        files.push(Arc::new(file));
    }
    entries.sort_unstable_by(|a, b| a.path().split('/').cmp(b.path().split('/')));
    let meta = stat(root)?;
    let of = (mode(&meta), mtime_ns(&meta));
    Ok(InputDirectory::new(root.to_owned(), of, entries, files))
}

#[cfg(test)]
mod tests {
    use gjob_core::tree::Tree;
    use gjob_core::wire::BlobHash;

    use super::*;

    fn output(path: &str) -> OutputFile {
        let hash = BlobHash(*blake3::hash(path.as_bytes()).as_bytes());
        OutputFile { path: path.to_owned(), size: path.len() as u64, hash, mode: 0o750 }
    }

    fn gather_in(dir: &Path, paths: &[&str]) -> Result<Vec<String>, String> {
        let outputs = ["a/b/x", "a/y", "z", "\u{10ffe9}"].map(output).to_vec();
        let paths: Vec<_> = paths.iter().map(|path| OutputPattern::new(path).unwrap()).collect();
        match gather(dir, outputs, &paths.iter().collect::<Vec<_>>()) {
            Ok(found) => {
                let tree = Tree::parse(&found.list).unwrap();
                Ok(tree.entries.iter().map(|entry| entry.path().to_owned()).collect())
            }
            Err(error) => Err(match error {
                UnfitOutputs::None(pattern) => format!("none matches {pattern}"),
                UnfitOutputs::Missing(files) => format!("missing {}", files[0].path),
                UnfitOutputs::Changed(error) => error.to_string(),
            }),
        }
    }

    #[test]
    fn matching_outputs_are_taken_with_their_directories_and_as_recorded_or_not_at_all() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path();
        std::fs::create_dir_all(dir.join("a/b")).unwrap();
        std::fs::create_dir_all(dir.join("a/empty")).unwrap();
        std::fs::create_dir_all(dir.join("other")).unwrap();
        for path in ["a/b/x", "a/y", "z", "\u{10ffe9}"] {
            std::fs::write(dir.join(to_path(path)), path).unwrap();
        }
        std::fs::write(dir.join("a/unknown"), "not an output").unwrap();
        let of = |paths: &[&str]| gather_in(dir, paths);
        assert_eq!(of(&["a"]).unwrap(), ["a", "a/b", "a/b/x", "a/empty", "a/y"]);
        assert_eq!(of(&["**/x", "z"]).unwrap(), ["a", "a/b", "a/b/x", "z"]);
        assert_eq!(of(&["\u{10ffe9}"]).unwrap(), ["\u{10ffe9}"]);
        assert_eq!(of(&["z", "a/unknown"]), Err("none matches a/unknown".to_owned()));
        std::fs::write(dir.join("z"), "changed").unwrap();
        assert!(of(&["z"]).unwrap_err().contains("/z\" changed: "));
        std::fs::remove_file(dir.join("a/y")).unwrap();
        assert_eq!(of(&["a"]), Err("missing a/y".to_owned()));
        assert_eq!(of(&["a/b"]).unwrap(), ["a", "a/b", "a/b/x"]);
    }
}
