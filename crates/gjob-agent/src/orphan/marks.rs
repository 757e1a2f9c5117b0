//! What the processes of jobs have inherited: the marks by which they are known.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use gjob_core::jobdir::OwnFile;

use super::Traces;
use crate::identity::Stat;
use crate::jobdir::{LockFile, PidFile};
use crate::processes;

/// The variable that names a job's directory.
const DIR_VARIABLE: &[u8] = b"GJOB_DIR=";

/// The marks of several jobs. A process that bears one leads to the job's position.
#[derive(Debug)]
pub(super) struct Marks {
    jobs: Vec<JobMarks>,
    /// Processes that bear marks and are no orphans: living slots, and this process.
    exempt: Vec<u32>,
}

/// The marks of one job.
#[derive(Debug)]
struct JobMarks {
    /// Its directory, as the environment names it.
    dir: Vec<u8>,
    /// The lock's device and inode.
    lock: Option<(u64, u64)>,
    /// What the kernel calls the lock where it was removed.
    removed_lock: Option<PathBuf>,
    /// The process group of the job's shell, while that very shell lives.
    group: Option<u32>,
}

impl Marks {
    /// Those of `jobs` as they are now.
    pub(super) fn of(jobs: &[Traces<'_>]) -> Self {
        let slots = jobs.iter().filter_map(|job| {
            let slot = job.read::<LockFile>(OwnFile::Lock)?.slot;
            slot.is_alive().then_some(slot.pid)
        });
        let mut marks = Marks {
            exempt: slots.chain([std::process::id()]).collect(),
            jobs: jobs.iter().map(|job| JobMarks::of(*job)).collect(),
        };
        for (position, job) in jobs.iter().enumerate() {
            let group = job.read(OwnFile::Pid).and_then(|file| marks.shell(position, file));
            marks.jobs[position].group = group;
        }
        marks
    }

    /// The pid of a job's shell, if it lives. A file alone names no process: it bears
    /// a mark, or is in its slot's session.
    fn shell(&self, position: usize, file: PidFile) -> Option<u32> {
        let PidFile { job, slot, .. } = file;
        let session = job.is_alive().then(|| Stat::of(job.pid).ok())??.session;
        (self.job_of(job.pid) == Some(position) || session == slot.pid).then_some(job.pid)
    }

    /// True for a process that is no orphan whatever it bears.
    pub(super) fn is_exempt(&self, pid: u32) -> bool {
        self.exempt.contains(&pid)
    }

    /// The job whose shell leads this process group.
    pub(super) fn job_of_group(&self, group: u32) -> Option<usize> {
        self.jobs.iter().position(|job| job.group == Some(group))
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
        environment.split(|byte| *byte == 0).find_map(|entry| {
            let dir = entry.strip_prefix(DIR_VARIABLE)?;
            self.jobs.iter().position(|job| job.dir == dir)
        })
    }

    /// The job whose lock the process has open as those do who inherited it.
    fn job_locked_by(&self, pid: u32) -> Option<usize> {
        if self.is_exempt(pid) {
            return None;
        }
        let mut job = None;
        processes::has_open_for_writing(pid, |fd| {
            job = self.job_of_lock(fd);
            job.is_some()
        })
        .then_some(job)
        .flatten()
    }

    fn job_of_lock(&self, fd: &Path) -> Option<usize> {
        let inode = processes::inode_of(fd);
        let is_lock = |job: &JobMarks| job.lock.is_some() && job.lock == inode;
        self.jobs.iter().position(is_lock).or_else(|| {
            let name = std::fs::read_link(fd).ok()?;
            self.jobs.iter().position(|job| job.removed_lock.as_ref() == Some(&name))
        })
    }
}

impl JobMarks {
    fn of(job: Traces<'_>) -> Self {
        JobMarks {
            dir: job.path.as_os_str().as_bytes().to_vec(),
            lock: job.dir.and_then(|dir| dir.lock_inode().ok()),
            removed_lock: removed_lock(job.path),
            group: None,
        }
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
