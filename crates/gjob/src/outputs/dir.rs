//! The directory of a run's outputs: opened once, and everything below it made,
//! renamed and removed through that handle.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, File};
use gjob_core::Key;
use rustix::fs::{RenameFlags, fsync, renameat_with, syncfs};
use rustix::io::Errno;

use super::OutputsConfig;

/// What the names of unfinished directories begin with.
const PART: &str = ".gjob-part";

/// Where outputs go, opened when the first come.
#[derive(Debug)]
pub(super) struct Place {
    config: Option<OutputsConfig>,
    /// Tells this process's unfinished directories from others'.
    tag: String,
    opened: Mutex<Option<Arc<OutputsDir>>>,
}

impl Place {
    pub(super) fn new(config: Option<OutputsConfig>, tag: String) -> Self {
        Place { config, tag, opened: Mutex::default() }
    }

    /// The most that one job's outputs may come to, bytes.
    pub(super) fn max_bytes(&self) -> u64 {
        self.config.as_ref().map_or(0, |config| config.max_bytes)
    }

    /// Removes what an earlier process of the same tag left unfinished, even if
    /// no more outputs come. Makes nothing.
    pub(super) fn sweep(&self) -> io::Result<()> {
        let Some(config) = &self.config else { return Ok(()) };
        if config.dir.try_exists()? { self.open().map(drop) } else { Ok(()) }
    }

    /// Removes a job's directory, if there is one: at once, whatever crashes.
    pub(super) fn retract(&self, name: &str) -> io::Result<()> {
        let Some(config) = &self.config else { return Ok(()) };
        if !config.dir.try_exists()? {
            return Ok(());
        }
        let dir = self.open()?;
        let number = dir.parts.fetch_add(1, Ordering::Relaxed);
        let part = Part { name: format!("{}{number}", dir.prefix), parent: Arc::clone(&dir) };
        match dir.rename(name, &part.name, RenameFlags::empty()) {
            Ok(()) => dir.sync_names(),
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The directory; made if it isn't there. What an earlier process of the
    /// same tag left unfinished is removed.
    pub(super) fn open(&self) -> io::Result<Arc<OutputsDir>> {
        // What another thread left in there is whole, even if it panicked.
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(dir) = &*opened {
            return Ok(Arc::clone(dir));
        }
        let OutputsConfig { dir: path, .. } =
            self.config.as_ref().ok_or_else(|| io::Error::other("none was named"))?;
        std::fs::create_dir_all(path)?;
        let dir = Dir::open_ambient_dir(path, ambient_authority())?;
        // A handle for paths only can't be synced.
        let sync = dir.open(".")?;
        let prefix = format!("{PART}.{}.", self.tag);
        let dir = Arc::new(OutputsDir { dir, sync, prefix, parts: AtomicU64::new(0) });
        dir.remove_stale()?;
        *opened = Some(Arc::clone(&dir));
        Ok(dir)
    }
}

/// The directory of a run's outputs.
#[derive(Debug)]
pub(super) struct OutputsDir {
    dir: Dir,
    /// The same.
    sync: File,
    /// Of the names of unfinished directories.
    prefix: String,
    parts: AtomicU64,
}

impl OutputsDir {
    /// Begins a directory under a temporary name.
    pub(super) fn begin(self: &Arc<Self>, key: Key) -> io::Result<(Part, Dir)> {
        loop {
            let number = self.parts.fetch_add(1, Ordering::Relaxed);
            let name = format!("{}{key}.{number}", self.prefix);
            match self.dir.create_dir(&name) {
                // Someone else's, whatever it is.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
                Ok(()) => {
                    let part = Part { name, parent: Arc::clone(self) };
                    let dir = self.dir.open_dir(&part.name)?;
                    return Ok((part, dir));
                }
            }
        }
    }

    /// Makes all content below it durable.
    pub(super) fn sync_content(&self) -> io::Result<()> {
        Ok(syncfs(&self.sync)?)
    }

    /// Makes the names in it durable.
    pub(super) fn sync_names(&self) -> io::Result<()> {
        Ok(fsync(&self.sync)?)
    }

    fn remove_stale(&self) -> io::Result<()> {
        for entry in self.dir.entries()? {
            let name = entry?.file_name();
            if name.to_string_lossy().starts_with(&self.prefix) {
                self.remove(&name.to_string_lossy())?;
            }
        }
        Ok(())
    }

    /// Removes whatever has this name; a link itself, not what it leads to.
    fn remove(&self, name: &str) -> io::Result<()> {
        match self.dir.symlink_metadata(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(found) if found.is_dir() => self.dir.remove_dir_all(name),
            Ok(_) => self.dir.remove_file(name),
        }
    }

    fn rename(&self, from: &str, to: &str, flags: RenameFlags) -> Result<(), Errno> {
        let dir = self.dir.as_fd();
        renameat_with(dir, from, dir, to, flags)
    }
}

/// An unfinished directory of one job; removed when dropped.
#[derive(Debug)]
pub(super) struct Part {
    name: String,
    parent: Arc<OutputsDir>,
}

impl Part {
    pub(super) fn parent(&self) -> &Arc<OutputsDir> {
        &self.parent
    }

    /// Gives it its name. What has that name takes the temporary one, and is
    /// removed with it.
    pub(super) fn publish(&self, name: &str) -> io::Result<()> {
        let OutputsDir { dir, .. } = &*self.parent;
        match self.parent.rename(&self.name, name, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(()),
            Err(Errno::EXIST) => {}
            // A file system without such flags.
            Err(Errno::INVAL) if dir.symlink_metadata(name).is_err() => {
                return dir.rename(&self.name, dir, name);
            }
            Err(Errno::INVAL) => {}
            Err(error) => return Err(error.into()),
        }
        match self.parent.rename(&self.name, name, RenameFlags::EXCHANGE) {
            Ok(()) => Ok(()),
            Err(Errno::INVAL) => {
                let aside = format!("{}.old", self.name);
                dir.rename(name, dir, &aside)?;
                dir.rename(&self.name, dir, name)?;
                self.parent.remove(&aside)
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // What can't be removed is named as what it is, and in nobody's way.
        let _ = self.parent.remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn place(dir: &tempfile::TempDir) -> Place {
        let config = OutputsConfig::new(dir.path().join("a/out"), None);
        Place::new(Some(config), "r".to_owned())
    }

    fn names(dir: &tempfile::TempDir) -> Vec<String> {
        let entries = std::fs::read_dir(dir.path().join("a/out")).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_directory_takes_the_place_of_an_older_one_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let outputs = place(&dir).open().unwrap();
        for content in ["old", "new"] {
            let (part, below) = outputs.begin(Key::new(0, 1)).unwrap();
            below.write("f", content).unwrap();
            outputs.sync_content().unwrap();
            part.publish("0").unwrap();
            outputs.sync_names().unwrap();
        }
        assert_eq!(names(&dir), ["0"]);
        assert_eq!(std::fs::read(dir.path().join("a/out/0/f")).unwrap(), b"new");
    }

    #[test]
    fn a_link_planted_in_the_way_is_replaced_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::fs::write(elsewhere.path().join("precious"), "x").unwrap();
        let out = dir.path().join("a/out");
        std::fs::create_dir_all(&out).unwrap();
        symlink(elsewhere.path(), out.join("0")).unwrap();
        symlink(elsewhere.path(), out.join(".gjob-part.r.0.1.0")).unwrap();
        let outputs = place(&dir).open().unwrap();
        symlink(elsewhere.path(), out.join(".gjob-part.r.0.1.0")).unwrap();
        let (part, below) = outputs.begin(Key::new(0, 1)).unwrap();
        below.write("f", "mine").unwrap();
        part.publish("0").unwrap();
        drop(part);
        assert!(out.join("0").symlink_metadata().unwrap().is_dir());
        let left: Vec<_> = std::fs::read_dir(elsewhere.path()).unwrap().collect();
        assert_eq!(left.len(), 1);
        assert!(elsewhere.path().join("precious").exists());
    }

    #[test]
    fn what_a_process_that_died_left_unfinished_is_removed_and_nobody_elses() {
        let dir = tempfile::tempdir().unwrap();
        for name in [".gjob-part.r.3.1.0/x", ".gjob-part.s.3.1.0", "3"] {
            std::fs::create_dir_all(dir.path().join("a/out").join(name)).unwrap();
        }
        place(&dir).sweep().unwrap();
        assert_eq!(names(&dir), [".gjob-part.s.3.1.0", "3"]);
    }

    #[test]
    fn what_is_taken_back_is_gone_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        place(&dir).retract("3").unwrap();
        for name in [".gjob-part.r.3.1.0", "3/d", "4"] {
            std::fs::create_dir_all(dir.path().join("a/out").join(name)).unwrap();
        }
        let config = OutputsConfig::new(dir.path().join("a/out"), None);
        let place = Place::new(Some(config), "r.gone".to_owned());
        place.retract("3").unwrap();
        place.retract("5").unwrap();
        assert_eq!(names(&dir), [".gjob-part.r.3.1.0", "4"]);
    }

    #[test]
    fn no_directory_is_made_before_outputs_come() {
        let dir = tempfile::tempdir().unwrap();
        place(&dir).sweep().unwrap();
        assert!(!dir.path().join("a").exists());
    }
}
