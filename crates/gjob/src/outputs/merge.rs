//! Puts files into a directory that has others already: those of the same path
//! are replaced, the rest is left as it is. No link is followed.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use cap_std::fs::Dir;
use rustix::fs::{Mode, OFlags, openat, renameat};

use super::refusal::{Refusal, shown};

/// Moves all that is in `from` to `to`. When something can't be put there for
/// what it is, nothing is moved.
pub(super) fn merge(from: &Dir, to: &Dir) -> Result<(), Refusal> {
    walk(from, to, false)?;
    walk(from, to, true)
}

fn walk(from: &Dir, to: &Dir, moves: bool) -> Result<(), Refusal> {
    let mut paths = vec![PathBuf::new()];
    while let Some(path) = paths.pop() {
        let refuse = |error| Refusal::of_io(&path.to_string_lossy(), error);
        let below = |dir| open_below(dir, &path).map_err(refuse);
        let (from, to) = (below(from)?, below(to)?);
        for (name, is_dir) in list(&from).map_err(refuse)? {
            let there = kind(&to, &name).map_err(refuse)?;
            match (is_dir, there) {
                (true, Some(true)) => paths.push(path.join(name)),
                (true, Some(false)) | (false, Some(true)) => {
                    return Err(in_the_way(&path.join(name), is_dir));
                }
                _ if moves => renameat(&from, &name, &to, &name).map_err(|e| refuse(e.into()))?,
                _ => {}
            }
        }
    }
    Ok(())
}

fn in_the_way(path: &Path, is_dir: bool) -> Refusal {
    let found = if is_dir { "what is there is no directory" } else { "a directory is there" };
    let source = io::Error::new(io::ErrorKind::AlreadyExists, found);
    Refusal::Name { path: shown(&path.to_string_lossy()), source }
}

/// What is in a directory, and whether that is a directory itself.
pub(super) fn list(dir: &Dir) -> io::Result<Vec<(OsString, bool)>> {
    let entry = |entry: io::Result<cap_std::fs::DirEntry>| {
        let entry = entry?;
        Ok((entry.file_name(), entry.file_type()?.is_dir()))
    };
    dir.entries()?.map(entry).collect()
}

/// Whether what has this name is a directory, if there is any.
fn kind(dir: &Dir, name: &OsString) -> io::Result<Option<bool>> {
    match dir.symlink_metadata(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        found => Ok(Some(found?.is_dir())),
    }
}

/// The directory at `path`, which leads through directories only.
pub(super) fn open_below(dir: &Dir, path: &Path) -> io::Result<Dir> {
    path.iter().try_fold(dir.try_clone()?, |dir, name| {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Dir::from_std_file(File::from(openat(&dir, name, flags, Mode::empty())?)))
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use cap_std::ambient_authority;

    use super::*;

    fn make(files: &[&str]) -> (tempfile::TempDir, Dir) {
        let temp = tempfile::tempdir().unwrap();
        for file in files {
            let path = temp.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, files[0]).unwrap();
        }
        let dir = Dir::open_ambient_dir(temp.path(), ambient_authority()).unwrap();
        (temp, dir)
    }

    #[test]
    fn files_are_replaced_one_by_one_and_others_stay() {
        let (_temp, from) = make(&["new", "a/b/x", "c/y"]);
        let (temp, to) = make(&["old", "a/b/x", "a/b/z"]);
        merge(&from, &to).unwrap();
        let read = |name: &str| std::fs::read_to_string(temp.path().join(name)).unwrap();
        assert_eq!([read("new"), read("a/b/x"), read("c/y")], ["new"; 3]);
        assert_eq!([read("old"), read("a/b/z")], ["old"; 2]);
    }

    #[test]
    fn what_cannot_be_put_there_leaves_all_as_it_was_and_no_link_is_followed() {
        let elsewhere = tempfile::tempdir().unwrap();
        let (_temp, from) = make(&["new", "d/x"]);
        let (temp, to) = make(&["old"]);
        symlink(elsewhere.path(), temp.path().join("d")).unwrap();
        assert!(merge(&from, &to).is_err());
        assert!(!temp.path().join("new").exists() && !elsewhere.path().join("x").exists());
        std::fs::remove_file(temp.path().join("d")).unwrap();
        symlink(elsewhere.path().join("t"), temp.path().join("new")).unwrap();
        merge(&from, &to).unwrap();
        assert!(temp.path().join("new").symlink_metadata().unwrap().is_file());
        assert!(!elsewhere.path().join("t").exists());
        let (_temp, from) = make(&["d"]);
        assert!(merge(&from, &to).is_err(), "a directory is there");
    }
}
