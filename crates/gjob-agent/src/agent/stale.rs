//! Removes what nobody wants any more: parts of blobs that no agent continues, and what was
//! put aside (`own_file`) outside of any run's directory.

use std::fs::{DirEntry, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::removal::remove_any;
use crate::blobs::PART;
use crate::jobdir::Layout;
use crate::own_file;

/// It is removed after so long.
const STALE_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Removes all of it. What cannot be removed only takes room.
pub(super) fn remove_stale(layout: &Layout) {
    remove_older(layout, STALE_AFTER);
}

fn remove_older(layout: &Layout, age: Duration) {
    for entry in entries(&layout.blobs()).filter(|entry| is_stale_part(entry, age)) {
        let _ = remove_any(&entry.path());
    }
    let places = [layout.private(), layout.bin(), layout.blobs(), layout.runs()];
    let runs: Vec<PathBuf> = entries(&layout.runs()).map(|entry| entry.path()).collect();
    for entry in places.iter().chain(&runs).flat_map(|place| entries(place)) {
        if is_stale_aside(&entry, age) {
            let _ = remove_any(&entry.path());
        }
    }
}

/// What is in a directory; nothing behind a link, which leads elsewhere.
fn entries(dir: &Path) -> impl Iterator<Item = DirEntry> + use<> {
    let is_dir = std::fs::symlink_metadata(dir).is_ok_and(|meta| meta.is_dir());
    let read = is_dir.then(|| std::fs::read_dir(dir));
    read.into_iter().flatten().flatten().flatten()
}

/// True for a part that was written to so long ago, and that no agent has.
fn is_stale_part(entry: &DirEntry, age: Duration) -> bool {
    let is_part = entry.file_name().to_string_lossy().ends_with(PART);
    let modified = |meta: Metadata| meta.modified().ok();
    let since = entry.metadata().ok().filter(|_| is_part).and_then(modified);
    let is_old = since.is_some_and(|since| since.elapsed().unwrap_or_default() >= age);
    let file = || own_file::open_to_read(&entry.path());
    is_old && !file().is_ok_and(|file| file.try_lock_shared().is_err())
}

/// True for what was put aside so long ago: that has changed its inode.
fn is_stale_aside(entry: &DirEntry, age: Duration) -> bool {
    let is_aside = entry.file_name().to_str().and_then(own_file::name_before).is_some();
    let changed = |meta: Metadata| Duration::from_secs(meta.ctime().max(0).cast_unsigned());
    let since = entry.metadata().ok().filter(|_| is_aside).map(changed);
    since.is_some_and(|since| (SystemTime::UNIX_EPOCH + since).elapsed().unwrap_or_default() >= age)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_aside_goes_after_a_while_wherever_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().join("results"));
        let run = layout.runs().join("2026-11-22-1");
        let kept = [layout.blobs().join("aside"), layout.bin().join("b"), run.join("h.x.part")];
        let mut aside = Vec::new();
        for place in [layout.private(), layout.bin(), layout.blobs(), layout.runs(), run] {
            std::fs::create_dir_all(&place).unwrap();
            let path = place.join("odd");
            std::fs::create_dir_all(path.join("deep/er")).unwrap();
            own_file::put_aside(&path).unwrap();
            std::os::unix::fs::symlink(dir.path(), place.join("link")).unwrap();
            aside.extend(entries(&place).filter(|it| is_stale_aside(it, Duration::ZERO)));
        }
        kept.iter().for_each(|path| std::fs::write(path, "").unwrap());
        // A link leads to what is not gjob's.
        let outside = dir.path().join("mine.x.aside");
        std::fs::write(&outside, "").unwrap();
        std::os::unix::fs::symlink(dir.path(), layout.runs().join("elsewhere")).unwrap();
        assert_eq!(aside.len(), 5);
        remove_stale(&layout);
        assert!(aside.iter().all(|entry| entry.path().exists()));
        remove_older(&layout, Duration::ZERO);
        assert!(!aside.iter().any(|entry| entry.path().exists()));
        assert!(kept.iter().chain([&outside]).all(|path| path.exists()));
    }
}
