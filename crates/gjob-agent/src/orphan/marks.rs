//! What the processes of jobs have inherited: the marks by which they are known.

use std::collections::{HashMap, HashSet};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use gjob_core::jobdir::OwnFile;

use super::Traces;
use crate::identity::ProcessIdentity;
use crate::jobdir::{LockFile, PidFile};

/// The variable that names a job's directory.
const DIR_VARIABLE: &[u8] = b"GJOB_DIR=";

/// The marks of several jobs. Each leads to a job's position among them.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// By the directory named in the environment.
    by_dir: HashMap<Vec<u8>, usize>,
    /// By the lock's device and inode.
    by_lock: HashMap<(u64, u64), usize>,
    /// By what the kernel calls a lock that was removed.
    by_removed_lock: HashMap<PathBuf, usize>,
    /// By the process group of the job's shell, while that very shell lives.
    by_group: HashMap<u32, usize>,
    /// Processes that bear marks and are no orphans: living slots, and this process.
    exempt: HashSet<u32>,
}

impl Marks {
    /// Those of `jobs` as they are now.
    pub(super) fn of(jobs: &[Traces<'_>]) -> Self {
        let mut marks = Marks::default();
        marks.exempt.insert(std::process::id());
        for (at, job) in jobs.iter().enumerate() {
            marks.by_dir.insert(job.path.as_os_str().as_bytes().to_vec(), at);
            marks.by_removed_lock.extend(removed_lock(job.path).map(|name| (name, at)));
            let lock = job.dir.and_then(|dir| dir.lock_inode().ok());
            marks.by_lock.extend(lock.map(|inode| (inode, at)));
            let shell = job.read::<PidFile>(OwnFile::Pid).map(|file| file.job);
            let shell = shell.filter(ProcessIdentity::is_alive);
            marks.by_group.extend(shell.map(|shell| (shell.pid, at)));
            let slot = job.read::<LockFile>(OwnFile::Lock).map(|lock| lock.slot);
            let slot = slot.filter(ProcessIdentity::is_alive);
            marks.exempt.extend(slot.map(|slot| slot.pid));
        }
        marks
    }

    /// True for a process that is no orphan whatever it bears.
    pub(super) fn is_exempt(&self, pid: u32) -> bool {
        self.exempt.contains(&pid)
    }

    /// The job whose shell leads this process group.
    pub(super) fn job_of_group(&self, group: u32) -> Option<usize> {
        self.by_group.get(&group).copied()
    }

    /// The job that the process bears a mark of.
    pub(super) fn job_of(&self, pid: u32) -> Option<usize> {
        self.job_named_by(pid).or_else(|| self.job_locked_by(pid))
    }

    /// The job whose directory was in the environment that the process was started with.
    pub(super) fn job_named_by(&self, pid: u32) -> Option<usize> {
        if self.is_exempt(pid) {
            return None;
        }
        let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
        let mut dirs = environment.split(|byte| *byte == 0).filter_map(|entry| {
            let dir = entry.strip_prefix(DIR_VARIABLE)?;
            self.by_dir.get(dir)
        });
        dirs.next().copied()
    }

    /// The job whose lock the process has open as those do who inherited it: for
    /// writing. Who only looks at a lock opens it for reading.
    fn job_locked_by(&self, pid: u32) -> Option<usize> {
        const OWNER_WRITE: u32 = 0o200;
        if self.is_exempt(pid) {
            return None;
        }
        let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
        entries.flatten().map(|entry| entry.path()).find_map(|fd| {
            let job = self.job_of_lock(&fd)?;
            let is_writable = std::fs::symlink_metadata(fd).ok()?.mode() & OWNER_WRITE != 0;
            is_writable.then_some(job)
        })
    }

    fn job_of_lock(&self, fd: &Path) -> Option<usize> {
        let meta = std::fs::metadata(fd).ok();
        let job = meta.and_then(|meta| self.by_lock.get(&(meta.dev(), meta.ino())));
        job.or_else(|| self.by_removed_lock.get(&std::fs::read_link(fd).ok()?)).copied()
    }
}

/// What the kernel calls the lock of a job directory once it was removed.
fn removed_lock(dir: &Path) -> Option<PathBuf> {
    let above = dir.parent()?.canonicalize().ok()?;
    let lock = above.join(dir.file_name()?).join(OwnFile::Lock.name());
    let mut name = lock.into_os_string();
    name.push(" (deleted)");
    Some(name.into())
}
