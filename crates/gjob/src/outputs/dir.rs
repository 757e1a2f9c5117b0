//! The directory of a run's outputs: opened once, and everything below it made,
//! renamed and removed through that handle.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, File};
use gjob_core::Key;
use rustix::fs::{RenameFlags, fsync, renameat_with, syncfs};
use rustix::io::Errno;

use super::OutputsConfig;
use super::ledger::{Identity, Ledger};
use super::merge::{self, open_below};
use super::refusal::{Refusal, shown};

/// What the names of unfinished directories begin with.
const PART: &str = ".gjob-part";

fn shown_path(path: &Path) -> String {
    shown(&path.to_string_lossy())
}

/// Where outputs go, opened when the first come.
#[derive(Debug)]
pub(super) struct Destination {
    config: Option<OutputsConfig>,
    /// Tells this process's unfinished directories from others'.
    tag: String,
    opened: Mutex<Option<Arc<OutputsDir>>>,
}

impl Destination {
    pub(super) fn new(config: Option<OutputsConfig>, tag: String) -> Self {
        Destination { config, tag, opened: Mutex::default() }
    }

    /// The most that one job's outputs may come to, bytes.
    pub(super) fn max_bytes(&self) -> u64 {
        self.config.as_ref().map_or(0, |config| config.max_bytes)
    }

    /// The directory's path, for a message.
    pub(super) fn shown(&self) -> String {
        self.config.as_ref().map_or_else(String::new, |config| shown_path(&config.dir))
    }

    /// Removes what an earlier process of the same tag left unfinished, even if
    /// no more outputs come. Makes nothing.
    pub(super) fn sweep(&self) -> io::Result<()> {
        let Some(config) = &self.config else { return Ok(()) };
        if config.dir.try_exists()? { self.open().map(drop) } else { Ok(()) }
    }

    /// Removes a job's directory, if there is one of this run: at once, whatever
    /// crashes.
    pub(super) fn retract(&self, name: &str) -> io::Result<()> {
        let Some(config) = &self.config else { return Ok(()) };
        if !config.dir.try_exists()? {
            return Ok(());
        }
        let dir = self.open()?;
        let number = dir.parts.fetch_add(1, Ordering::Relaxed);
        if !dir.owns(name, name)? {
            return Ok(());
        }
        let mut part = UnfinishedDir::new(format!("{}{number}", dir.prefix), &dir);
        match dir.rename(name, &part.name, RenameFlags::empty()) {
            Ok(()) if dir.owns(&part.name, name).unwrap_or(false) => dir.sync_names(),
            Ok(()) => part.give_back(name, RenameFlags::NOREPLACE),
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// What this run has put there under a name before.
    pub(super) fn find(&self, name: &str) -> io::Result<Option<Dir>> {
        let Some(config) = &self.config else { return Ok(None) };
        if !config.dir.try_exists()? {
            return Ok(None);
        }
        let dir = self.open()?;
        if dir.owns(name, name)? {
            open_below(&dir.dir, Path::new(name)).map(Some)
        } else {
            Ok(None)
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
        let OutputsConfig { dir: path, tag: run, follows, .. } =
            self.config.as_ref().ok_or_else(|| io::Error::other("none was named"))?;
        std::fs::create_dir_all(path)?;
        let dir = Dir::open_ambient_dir(path, ambient_authority())?;
        // A handle for paths only can't be synced.
        let sync = dir.open(".")?;
        let prefix = format!("{PART}.{}.", self.tag);
        let ledger = Mutex::new(Ledger::new(run.as_ref().unwrap_or(&self.tag)));
        let earlier = follows.runs.iter().map(|run| Ledger::new(run.as_str())).collect();
        let (earlier, replaced) = (Mutex::new(earlier), follows.replaced.clone());
        let (path, parts) = (path.clone(), AtomicU64::new(0));
        let dir = OutputsDir { path, dir, sync, prefix, parts, ledger, earlier, replaced };
        let dir = Arc::new(dir);
        dir.remove_stale()?;
        *opened = Some(Arc::clone(&dir));
        Ok(dir)
    }
}

/// The directory of a run's outputs.
#[derive(Debug)]
pub(super) struct OutputsDir {
    path: PathBuf,
    dir: Dir,
    /// The same.
    sync: File,
    /// Of the names of unfinished directories.
    prefix: String,
    parts: AtomicU64,
    /// What this run has put here.
    ledger: Mutex<Ledger>,
    /// What the runs before it have put here.
    earlier: Mutex<Vec<Ledger>>,
    /// Names of what may be replaced of that.
    replaced: BTreeSet<String>,
}

impl OutputsDir {
    /// Begins a directory under a temporary name.
    pub(super) fn begin(self: &Arc<Self>, key: Key) -> io::Result<(UnfinishedDir, Dir)> {
        loop {
            let number = self.parts.fetch_add(1, Ordering::Relaxed);
            let name = format!("{}{key}.{number}", self.prefix);
            match self.dir.create_dir(&name) {
                // Someone else's, whatever it is.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
                Ok(()) => {
                    let part = UnfinishedDir::new(name, self);
                    let dir = self.dir.open_dir(&part.name)?;
                    return Ok((part, dir));
                }
            }
        }
    }

    /// Notes what is to get these names.
    pub(super) fn claim<'a>(
        &self,
        parts: impl Iterator<Item = (&'a str, &'a UnfinishedDir)>,
    ) -> io::Result<()> {
        let entry = |(name, part): (&'a str, &UnfinishedDir)| {
            Ok((name, Identity::of(&self.dir.symlink_metadata(&part.name)?)))
        };
        let entries = parts.map(entry).collect::<io::Result<Vec<_>>>()?;
        self.ledger().add(&self.dir, entries)
    }

    /// Makes sure that there is nothing of that name but what this run has put
    /// there.
    pub(super) fn check_name(&self, name: &str) -> Result<(), Refusal> {
        match self.dir.symlink_metadata(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(self.here(name, error)),
            Ok(_) if self.may_replace(name, name).map_err(|error| self.here(name, error))? => {
                Ok(())
            }
            Ok(_) => Err(self.in_the_way(name)),
        }
    }

    /// True when what is `at` a name is what this run has put there as `name`.
    fn owns(&self, at: &str, name: &str) -> io::Result<bool> {
        match self.dir.symlink_metadata(at) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
            Ok(found) => self.ledger().has(&self.dir, name, Identity::of(&found)),
        }
    }

    /// True for what may be replaced: this run's own, and what is left of jobs of the runs
    /// before it that this run runs again.
    fn may_replace(&self, at: &str, name: &str) -> io::Result<bool> {
        if self.owns(at, name)? {
            return Ok(true);
        }
        if !self.replaced.contains(name) {
            return Ok(false);
        }
        let found = match self.dir.symlink_metadata(at) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            found => Identity::of(&found?),
        };
        let mut earlier = self.earlier.lock().unwrap_or_else(PoisonError::into_inner);
        for ledger in earlier.iter_mut() {
            if ledger.has(&self.dir, name, found)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn in_the_way(&self, name: &str) -> Refusal {
        Refusal::InTheWay { path: shown_path(&self.path.join(name)) }
    }

    /// Why a name's directory can't be written.
    pub(super) fn here(&self, name: &str, source: io::Error) -> Refusal {
        Refusal::Here { what: format!("to {}", shown_path(&self.path.join(name))), source }
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
pub(super) struct UnfinishedDir {
    name: String,
    parent: Arc<OutputsDir>,
    /// What has that name is not to be removed.
    is_anothers: bool,
}

impl UnfinishedDir {
    fn new(name: String, parent: &Arc<OutputsDir>) -> Self {
        UnfinishedDir { name, parent: Arc::clone(parent), is_anothers: false }
    }

    pub(super) fn parent(&self) -> &Arc<OutputsDir> {
        &self.parent
    }

    /// Gives it its name, which has to be noted. What this run has put there
    /// takes the temporary one, and is removed with it; or it is `merge`d with.
    pub(super) fn publish(&mut self, name: &str, merge: bool) -> Result<(), Refusal> {
        let parent = Arc::clone(&self.parent);
        let here = |error| parent.here(name, error);
        if self.take_free_name(name).map_err(here)? {
            return Ok(());
        }
        if !parent.may_replace(name, name).map_err(here)? {
            return Err(parent.in_the_way(name));
        }
        // What an earlier run has left is not this run's to add to.
        if merge && parent.owns(name, name).map_err(here)? {
            let open = |name: &str| open_below(&parent.dir, Path::new(name)).map_err(here);
            return merge::merge(&open(&self.name)?, &open(name)?);
        }
        if self.replace(name).map_err(here)? { Ok(()) } else { Err(parent.in_the_way(name)) }
    }

    /// False when something has that name.
    fn take_free_name(&self, name: &str) -> io::Result<bool> {
        let OutputsDir { dir, .. } = &*self.parent;
        match self.parent.rename(&self.name, name, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            // A file system without such flags.
            Err(Errno::INVAL) if dir.symlink_metadata(name).is_err() => {
                dir.rename(&self.name, dir, name).map(|()| true)
            }
            Err(Errno::INVAL) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// False when what has that name is another's after all: it keeps it.
    fn replace(&mut self, name: &str) -> io::Result<bool> {
        match self.parent.rename(&self.name, name, RenameFlags::EXCHANGE) {
            Ok(()) if self.parent.may_replace(&self.name, name).unwrap_or(false) => Ok(true),
            Ok(()) => self.give_back(name, RenameFlags::EXCHANGE).map(|()| false),
            Err(Errno::INVAL) => self.replace_in_steps(name),
            Err(error) => Err(error.into()),
        }
    }

    /// The same on a file system without such flags.
    fn replace_in_steps(&self, name: &str) -> io::Result<bool> {
        let OutputsDir { dir, .. } = &*self.parent;
        let aside = format!("{}.old", self.name);
        dir.rename(name, dir, &aside)?;
        if !self.parent.may_replace(&aside, name).unwrap_or(false) {
            dir.rename(&aside, dir, name)?;
            return Ok(false);
        }
        dir.rename(&self.name, dir, name)?;
        self.parent.remove(&aside)?;
        Ok(true)
    }

    /// What has the temporary name gets back its own. It is not removed if that
    /// can't be done.
    fn give_back(&mut self, name: &str, flags: RenameFlags) -> io::Result<()> {
        let given = self.parent.rename(&self.name, name, flags);
        self.is_anothers = given.is_err();
        Ok(given?)
    }
}

impl Drop for UnfinishedDir {
    fn drop(&mut self) {
        if self.is_anothers {
            return;
        }
        // What can't be removed is named as what it is, and in nobody's way.
        let _ = self.parent.remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn place(dir: &tempfile::TempDir) -> Destination {
        place_of(dir, "r")
    }

    fn place_of(dir: &tempfile::TempDir, run: &str) -> Destination {
        let config = OutputsConfig::new(dir.path().join("a/out"), None);
        Destination::new(Some(config), run.to_owned())
    }

    fn put(outputs: &Arc<OutputsDir>, file: &str, name: &str, merge: bool) -> Result<(), String> {
        let (mut part, below) = outputs.begin(Key::new(0, 1)).unwrap();
        below.write(file, file).unwrap();
        outputs.claim([(name, &part)].into_iter()).unwrap();
        outputs.sync_content().unwrap();
        part.publish(name, merge).map_err(|refusal| refusal.to_string())
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
        put(&outputs, "old", "0", false).unwrap();
        put(&outputs, "new", "0", false).unwrap();
        assert_eq!(names(&dir), [".gjob-run.r", "0"]);
        assert!(dir.path().join("a/out/0/new").exists());
        assert!(!dir.path().join("a/out/0/old").exists());
    }

    #[test]
    fn what_another_run_or_the_user_put_there_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("a/out");
        let (r, s) = (place_of(&dir, "r").open().unwrap(), place_of(&dir, "s").open().unwrap());
        put(&r, "x", "0", false).unwrap();
        for merge in [false, true] {
            let path = out.join("0").display().to_string();
            let reason = format!(
                "{path} exists and was not created by this run: move it, or choose another --into"
            );
            assert_eq!(put(&s, "y", "0", merge), Err(reason.clone()));
            assert_eq!(s.check_name("0").unwrap_err().to_string(), reason);
        }
        place_of(&dir, "s").retract("0").unwrap();
        assert_eq!(names(&dir), [".gjob-run.r", ".gjob-run.s", "0"]);
        assert!(out.join("0/x").exists() && !out.join("0/y").exists());
        // What was moved away was the run's; what is there now is not.
        std::fs::rename(out.join("0"), out.join("mine")).unwrap();
        std::fs::write(out.join("0"), "precious").unwrap();
        assert!(put(&r, "y", "0", false).is_err());
        std::fs::remove_file(out.join("0")).unwrap();
        put(&s, "y", "0", false).unwrap();
        assert!(put(&r, "x", "0", false).is_err());
        assert!(out.join("0/y").exists() && out.join("mine/x").exists());
    }

    #[test]
    fn run_replaces_of_the_runs_before_it_what_it_runs_again_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let before = place_of(&dir, "2026-11-22-1").open().unwrap();
        ["0", "1"].iter().for_each(|name| put(&before, "old", name, false).unwrap());
        let mut config = OutputsConfig::new(dir.path().join("a/out"), None);
        config.follows.runs = vec!["2026-11-22-1".parse().unwrap()];
        config.follows.replaced = ["1".to_owned()].into();
        let after = Destination::new(Some(config), "s".to_owned()).open().unwrap();
        assert!(after.check_name("1").is_ok() && after.check_name("0").is_err());
        put(&after, "new", "1", true).unwrap();
        assert!(put(&after, "new", "0", false).is_err());
        let out = dir.path().join("a/out");
        let has = |path: &str| out.join(path).exists();
        assert!(has("0/old") && has("1/new") && !has("1/old"));
        // The run before finds what is not its own any more.
        assert!(put(&before, "late", "1", false).is_err());
        put(&after, "more", "1", true).unwrap();
        assert!(has("1/new") && has("1/more"));
    }

    #[test]
    fn another_process_of_the_run_adds_to_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        put(&place(&dir).open().unwrap(), "x", "0", false).unwrap();
        let config = OutputsConfig::new(dir.path().join("a/out"), None);
        let config = OutputsConfig { tag: Some("r".to_owned()), ..config };
        let looking = Destination::new(Some(config), "look-1".to_owned()).open().unwrap();
        put(&looking, "y", "0", true).unwrap();
        assert!(["x", "y"].iter().all(|name| dir.path().join("a/out/0").join(name).exists()));
        put(&place(&dir).open().unwrap(), "z", "0", false).unwrap();
        assert_eq!(names(&dir), [".gjob-run.r", "0"]);
        assert_eq!(std::fs::read_dir(dir.path().join("a/out/0")).unwrap().count(), 1);
    }

    #[test]
    fn a_link_planted_in_the_way_is_neither_followed_nor_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::fs::write(elsewhere.path().join("precious"), "x").unwrap();
        let out = dir.path().join("a/out");
        std::fs::create_dir_all(&out).unwrap();
        symlink(elsewhere.path(), out.join("0")).unwrap();
        symlink(elsewhere.path(), out.join(".gjob-part.r.0.1.0")).unwrap();
        let outputs = place(&dir).open().unwrap();
        symlink(elsewhere.path(), out.join(".gjob-part.r.0.1.0")).unwrap();
        assert!(put(&outputs, "f", "0", false).is_err());
        assert!(out.join("0").symlink_metadata().unwrap().is_symlink());
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
        put(&place(&dir).open().unwrap(), "x", "3", false).unwrap();
        for name in [".gjob-part.r.3.1.0", "4"] {
            std::fs::create_dir_all(dir.path().join("a/out").join(name)).unwrap();
        }
        let config = OutputsConfig::new(dir.path().join("a/out"), None);
        let config = OutputsConfig { tag: Some("r".to_owned()), ..config };
        let place = Destination::new(Some(config), "r.gone".to_owned());
        ["3", "4", "5"].iter().for_each(|name| place.retract(name).unwrap());
        assert_eq!(names(&dir), [".gjob-part.r.3.1.0", ".gjob-run.r", "4"]);
    }

    #[test]
    fn no_directory_is_made_before_outputs_come() {
        let dir = tempfile::tempdir().unwrap();
        place(&dir).sweep().unwrap();
        assert!(!dir.path().join("a").exists());
    }
}
