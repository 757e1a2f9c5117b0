//! Outputs that the original of a copied run has fetched before it removed the job's
//! directory: they are in their place, and recorded anew.

use std::fs::File;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cap_std::fs::Dir;
use gjob_core::jobdir::is_stream;
use gjob_core::output::OutputPattern;
use gjob_core::wire::BlobHash;
use rustix::fs::{Mode, OFlags, openat};

use super::commit::Committed;
use super::dir::Destination;
use super::file::Listing;
use super::merge::{list, open_below};
use super::refusal::Refusal;
use super::{CollectError, CollectOrder, CollectScope, OutputFile};

/// What is in its place of all that an order names; none if some of it is missing.
pub(super) fn find(
    place: &Destination,
    order: &CollectOrder,
) -> Result<Option<Committed>, Refusal> {
    let name = &order.dir_name;
    let here = |source| Refusal::Here { what: format!("to {}", place.shown()), source };
    let Some(dir) = place.find(name).map_err(here)? else { return Ok(None) };
    let found = paths(&dir).map_err(here)?;
    if !is_complete(order, &found) {
        return Ok(None);
    }
    let (mut listing, mut bytes) = (Listing::default(), 0);
    for (path, is_dir) in found {
        if !is_dir && let Some(file) = read(&dir, path).map_err(here)? {
            bytes += file.size;
            listing.add(&file).map_err(here)?;
        }
    }
    Ok(Some(Committed { listing, bytes }))
}

/// Why a job's outputs are neither on its host nor here.
pub(super) fn nowhere(place: &str) -> CollectError {
    let reason = format!(
        "its directory was removed (by --cleanup of the run's original, or gjob clean), and \
         its outputs are not all in {place}"
    );
    CollectError { scope: CollectScope::Gone, reason }
}

/// True when everything is there that is wanted. The streams of a failed attempt may be
/// there, too: alone they say nothing of a later one.
fn is_complete(order: &CollectOrder, found: &[(String, bool)]) -> bool {
    let is_there = |pattern: &String| {
        let pattern = OutputPattern::new(pattern).ok();
        pattern.is_some_and(|pattern| found.iter().any(|(path, _)| pattern.matches(path)))
    };
    let is_own = order.key.attempt == 1 || found.iter().any(|(path, _)| !is_stream(path));
    order.patterns.iter().all(is_there) && is_own
}

/// All paths below a directory and whether they are directories, in the order of their
/// components.
fn paths(dir: &Dir) -> io::Result<Vec<(String, bool)>> {
    let (mut found, mut open) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(path) = open.pop() {
        for (name, is_dir) in list(&open_below(dir, &path)?)? {
            let below = path.join(name);
            let text = below.to_str().ok_or(io::ErrorKind::InvalidFilename)?.to_owned();
            found.push((text, is_dir));
            if is_dir {
                open.push(below);
            }
        }
    }
    found.sort_unstable_by(|(a, _), (b, _)| a.split('/').cmp(b.split('/')));
    Ok(found)
}

/// A file as it is; none for what is no regular file.
fn read(dir: &Dir, path: String) -> io::Result<Option<OutputFile>> {
    let below = Path::new(&path);
    let parent = open_below(dir, below.parent().unwrap_or(Path::new("")))?;
    let name = below.file_name().unwrap_or_default();
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(openat(&parent, name, flags, Mode::empty())?);
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Ok(None);
    }
    let mut hasher = blake3::Hasher::new();
    let size = io::copy(&mut &file, &mut hasher)?;
    let hash = BlobHash(*hasher.finalize().as_bytes());
    Ok(Some(OutputFile { path, size, hash, mode: meta.permissions().mode() & 0o777 }))
}

#[cfg(test)]
mod tests {
    use gjob_core::Key;

    use super::super::OutputsConfig;
    use super::*;

    fn order(attempt: u32, patterns: &[&str]) -> CollectOrder {
        CollectOrder {
            key: Key::new(0, attempt),
            id: "h/2026-11-22-1".parse().unwrap(),
            dir_name: "0".to_owned(),
            patterns: patterns.iter().map(|pattern| (*pattern).to_owned()).collect(),
            all: true,
            merge: false,
            recorded: Vec::new(),
            may_be_in_place: true,
        }
    }

    #[test]
    fn outputs_in_their_place_are_found_only_whole_and_of_this_run() {
        let temp = tempfile::tempdir().unwrap();
        let config = OutputsConfig::new(temp.path().join("out"), None);
        let place = |run: &str| Destination::new(Some(config.clone()), run.to_owned());
        let found = |run: &str, order| {
            let found = find(&place(run), &order).unwrap();
            found.map(|found| found.read().unwrap())
        };
        assert!(found("r", order(1, &["a"])).is_none(), "nothing is there");
        assert!(!config.dir.exists(), "and nothing is made");
        let dir = place("r").open().unwrap();
        let (mut part, below) = dir.begin(Key::new(0, 1)).unwrap();
        below.create_dir("d").unwrap();
        below.write("d/x", "12").unwrap();
        below.write("log", "3").unwrap();
        std::os::unix::fs::symlink("/", config.dir.join("link")).unwrap();
        dir.claim([("0", &part)].into_iter()).unwrap();
        part.publish("0", false).unwrap();

        let all = found("r", order(2, &["d/*", "log"])).unwrap();
        let paths: Vec<_> = all.files.iter().map(|file| (&*file.path, file.size)).collect();
        assert_eq!((paths, all.bytes), (vec![("d/x", 2), ("log", 1)], 3));
        assert_eq!(all.files[0].hash, BlobHash(*blake3::hash(b"12").as_bytes()));
        assert!(found("r", order(1, &["d", "b"])).is_none(), "b is missing");
        assert!(found("s", order(1, &["d"])).is_none(), "another run's");
        std::fs::remove_dir_all(config.dir.join("0/d")).unwrap();
        assert!(found("r", order(1, &["log"])).is_some());
        assert!(found("r", order(2, &["log"])).is_none(), "it may be an earlier attempt's");
    }
}
