//! The ledger's directory: `LEDGER/BOOT`, with a file for each slot (`share.NAME`) and each
//! agent that waits (`wait.NAME`). A file counts as long as it is locked (flock): the kernel
//! ends that with the last process that has it open, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::inotify;

use super::line::Line;
use super::verdict::Others;
use crate::host;
use crate::jobdir::Layout;
use crate::own_file;

/// Names the directory of the ledger, instead of one below the home directory.
pub(crate) const PLACE: &str = "GJOB_LEDGER_DIR";

/// The names of shares begin with it.
const SHARE: &str = "share.";

/// The names of waiters begin with it.
const WAIT: &str = "wait.";

/// The end of names under which files are made: nobody looks at them.
const NEW: &str = ".new";

/// Who takes something has it locked meanwhile.
const LOCK: &str = "lock";

/// More than this is no line of the ledger, bytes.
const MAX_LINE: u64 = 64 * 1024;

/// The ledger of this boot of this machine.
#[derive(Debug)]
pub(super) struct Book {
    dir: PathBuf,
    lock: File,
    inotify: OwnedFd,
}

/// A file of one's own in the ledger, which counts while anybody has it open.
#[derive(Debug)]
pub(super) struct OwnLine {
    pub(super) file: File,
    pub(super) name: String,
    path: PathBuf,
}

/// What has happened in the ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// Anything.
    pub(super) any: bool,
    /// Somebody has begun to wait, or ceased to.
    pub(super) waiters: bool,
}

impl Book {
    /// Opens the one below `base`, and makes it if need be.
    pub(super) fn open(base: &Path) -> io::Result<Self> {
        let boot = host::boot_id();
        if boot.is_empty() {
            return Err(io::Error::other("this machine does not name its boots"));
        }
        let layout = Layout::create(base).map_err(io::Error::other)?;
        let dir = layout.results().join(boot);
        let is_new = !dir.exists();
        layout.make_private(&dir).map_err(io::Error::other)?;
        if is_new {
            sweep(layout.results(), boot);
        }
        let mut options = OpenOptions::new();
        let lock = own_file::open_in_place(
            &dir.join(LOCK),
            options.read(true).write(true).create(true).mode(0o600),
        )?;
        let inotify =
            inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
        let flags = inotify::WatchFlags::MODIFY
            | inotify::WatchFlags::MOVED_TO
            | inotify::WatchFlags::DELETE
            | inotify::WatchFlags::CLOSE_WRITE;
        inotify::add_watch(&inotify, &dir, flags)?;
        Ok(Book { dir, lock, inotify })
    }

    /// A share for a slot, which holds nothing yet.
    pub(super) fn new_share(&self) -> io::Result<OwnLine> {
        let share = self.create(SHARE)?;
        share.publish()?;
        Ok(share)
    }

    /// Makes a waiter's file that says this.
    pub(super) fn new_waiter(&self, line: &Line) -> io::Result<OwnLine> {
        let waiter = self.create(WAIT)?;
        waiter.write(line)?;
        waiter.publish()?;
        Ok(waiter)
    }

    /// It is locked before anybody looks at it.
    fn create(&self, kind: &str) -> io::Result<OwnLine> {
        let name = format!("{kind}{}.{}", machine(), host::random_text()?);
        let path = self.dir.join(&name);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        let file = own_file::open(&new_path(&path), &mut options)?;
        file.try_lock()?;
        Ok(OwnLine { file, name, path })
    }

    /// Does `act` while nobody else takes anything; none when somebody does just now.
    pub(super) fn locked<T>(&self, act: impl FnOnce() -> T) -> io::Result<Option<T>> {
        match self.lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let done = act();
        self.lock.unlock()?;
        Ok(Some(done))
    }

    /// All that others have written, without the files of these names. What counts no more
    /// is removed.
    pub(super) fn others(&self, own: &[&str]) -> io::Result<Others> {
        let names_here = format!("{SHARE}{}.", machine());
        let mut others = Others { names_here, ..Others::default() };
        for entry in std::fs::read_dir(&self.dir)? {
            let name = entry?.file_name();
            let Some(name) = name.to_str().filter(|name| is_line(name)) else { continue };
            if own.contains(&name) {
                continue;
            }
            let is_share = name.starts_with(SHARE);
            let Some(line) = self.read(name) else { continue };
            match is_share {
                true => others.shares.push((name.to_owned(), line)),
                false => others.waiters.push(line),
            }
        }
        Ok(others)
    }

    /// True if anybody else waits.
    pub(super) fn has_waiters(&self, own: Option<&str>) -> io::Result<bool> {
        for entry in std::fs::read_dir(&self.dir)? {
            let name = entry?.file_name();
            let is_waiter = |name: &&str| is_line(name) && name.starts_with(WAIT);
            let name = name.to_str().filter(is_waiter).filter(|name| Some(*name) != own);
            if name.is_some_and(|name| self.read(name).is_some()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What a file says that counts. Anything may have its place.
    fn read(&self, name: &str) -> Option<Line> {
        let path = self.dir.join(name);
        // Not to write: others would be woken when it is closed.
        let file = own_file::open_to_read(&path).ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => {}
            Ok(()) => {
                // Nobody has it any more.
                let _ = std::fs::remove_file(&path);
                return None;
            }
            Err(TryLockError::Error(_)) => return None,
        }
        let mut bytes = Vec::new();
        file.take(MAX_LINE).read_to_end(&mut bytes).ok()?;
        // An empty one holds nothing.
        serde_json::from_slice(&bytes).ok()
    }

    /// What becomes readable when the ledger changes.
    pub(super) fn pollable(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }

    /// Takes notice of what has changed.
    pub(super) fn changes(&self) -> Changes {
        let mut changes = Changes::default();
        let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&self.inotify, &mut buffer);
        while let Ok(event) = reader.next() {
            let name = event.file_name().map(|name| name.to_string_lossy());
            // Without a name, events were lost.
            changes.waiters |= name.is_none_or(|name| name.starts_with(WAIT));
            changes.any = true;
        }
        changes
    }
}

/// This machine, and its boot, in the names of its files.
fn machine() -> &'static str {
    let boot = host::boot_id();
    boot.get(..8).unwrap_or(boot)
}

fn is_line(name: &str) -> bool {
    (name.starts_with(SHARE) || name.starts_with(WAIT)) && !name.ends_with(NEW)
}

/// The name that a file has until it is locked.
fn new_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(NEW);
    name.into()
}

impl OwnLine {
    fn publish(&self) -> io::Result<()> {
        std::fs::rename(new_path(&self.path), &self.path)
    }

    /// Takes it away.
    pub(super) fn remove(self) {
        // One that stays counts for nothing without its lock.
        let _ = std::fs::remove_file(&self.path);
    }

    /// Writes what it says.
    pub(super) fn write(&self, line: &Line) -> io::Result<()> {
        let bytes = serde_json::to_vec(line)?;
        self.file.write_all_at(&bytes, 0)?;
        self.file.set_len(bytes.len() as u64)
    }

    /// Makes it say nothing.
    pub(super) fn clear(&self) -> io::Result<()> {
        self.file.set_len(0)
    }
}

/// Where the ledger is.
pub(super) fn place() -> io::Result<PathBuf> {
    if let Some(place) = std::env::var_os(PLACE).map(PathBuf::from).filter(|it| it.is_absolute()) {
        return Ok(place);
    }
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
    let home = home.ok_or_else(|| io::Error::other("HOME is no absolute path"))?;
    Ok(home.join(".local/state/gjob/ledger"))
}

/// Removes what is left of other boots of this machine, or of others that share the home
/// directory, when it is old.
fn sweep(base: &Path, boot: &str) {
    const OLD: std::time::Duration = std::time::Duration::from_secs(30 * 24 * 3600);
    let Ok(entries) = std::fs::read_dir(base) else { return };
    for entry in entries.flatten() {
        let age = entry.metadata().and_then(|meta| meta.modified()).map(|at| at.elapsed());
        let is_old = matches!(age, Ok(Ok(age)) if age > OLD);
        let is_dir = entry.file_type().is_ok_and(|it| it.is_dir());
        if entry.file_name() != boot && is_old && is_dir {
            // What cannot be removed is in nobody's way.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
