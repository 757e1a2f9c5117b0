//! Ends what is left of a job whose slot is dead. Its processes are known by
//! three marks: they hold the job's lock, they carry its directory in
//! `GJOB_DIR`, or they descend from one that does (or from its shell). The
//! directory need not be there any more. Where this process reaps what dead
//! slots leave, being its child is the fourth. A slot is none of them.

use std::collections::{HashMap, HashSet};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gjob_core::jobdir::OwnFile;
use rustix::process::Signal;
use serde::de::DeserializeOwned;

use crate::identity::{Process, ProcessIdentity, Stat};
use crate::jobdir::{JobDir, LockFile, LockState, PidFile};
use crate::processes;

/// How long killed processes get to disappear.
const VANISH: Duration = Duration::from_secs(2);

/// How often the process table is looked at.
const STEP: Duration = Duration::from_millis(20);

/// How often quick ones are looked for between two looks at everything.
const ROUNDS: u32 = 50;

/// What leads to a job's processes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traces<'a> {
    /// Where its directory is, or was.
    path: &'a Path,
    /// Its directory; none when there is none that can be opened.
    dir: Option<&'a JobDir>,
    /// This process's children that are none of the job's, when all others are.
    others: Option<&'a HashSet<u32>>,
}

impl<'a> Traces<'a> {
    /// Those of a job whose directory is or was at `path`.
    pub(crate) fn new(path: &'a Path, dir: Option<&'a JobDir>) -> Self {
        Traces { path, dir, others: None }
    }

    /// The same, and this process's children but for `others`; none of them when
    /// those are not known.
    pub(crate) fn with_children(self, others: Option<&'a HashSet<u32>>) -> Self {
        Traces { others, ..self }
    }
}

/// Ends the job's processes: TERM, and KILL after `grace` (at once when it is
/// zero). Gives the pids that are still there.
pub(crate) fn end(job: Traces<'_>, grace: Duration) -> Vec<u32> {
    if !grace.is_zero() {
        processes::signal_all(&find(job), Signal::TERM);
        processes::signal_all(&find(job), Signal::CONT);
        wait_until_gone(job, grace);
    }
    let deadline = Instant::now() + VANISH;
    loop {
        // Again each time: what one of them forked meanwhile is found as well.
        let left = find(job);
        processes::signal_all(&left, Signal::KILL);
        let is_over = left.is_empty() && is_quiet(job);
        if is_over || Instant::now() >= deadline {
            return left.iter().map(|process| process.pid).collect();
        }
        if job.is_held() || left.is_empty() {
            chase(job);
        } else {
            std::thread::sleep(STEP);
        }
    }
}

/// True when nothing of the job is there that is too short-lived to be found in
/// one look, always having forked the next.
fn is_quiet(job: Traces<'_>) -> bool {
    match job.lock_state() {
        LockState::Held => false,
        LockState::Free => !chase_children(job),
        // The job has removed it: another look has to do.
        LockState::Absent => !chase(job),
    }
}

impl Traces<'_> {
    /// True while something has the job's lock.
    pub(crate) fn is_held(self) -> bool {
        self.lock_state() == LockState::Held
    }

    /// What this process has inherited of the job, dead or alive.
    fn children(self) -> Vec<u32> {
        self.others.map_or(Vec::new(), |others| {
            let children = processes::own_children().into_iter();
            children.filter(|pid| !others.contains(pid)).collect()
        })
    }

    fn lock_state(self) -> LockState {
        self.dir.and_then(|dir| dir.lock_state().ok()).unwrap_or(LockState::Absent)
    }

    /// One of the directory's files; one that can't be read leads nowhere.
    fn read<T: DeserializeOwned>(self, name: &str) -> Option<T> {
        self.dir?.read(name).ok().flatten()
    }
}

fn wait_until_gone(job: Traces<'_>, grace: Duration) {
    let deadline = Instant::now() + grace;
    while !find(job).is_empty() && Instant::now() < deadline {
        std::thread::sleep(STEP);
    }
}

/// Kills what has the job's directory in its environment, each as soon as it is
/// seen, the newest first: one that forks and ends, over and over, is gone
/// before the process table has been read. True if there was any.
fn chase(job: Traces<'_>) -> bool {
    let marks = Marks::of(job);
    let mut any = false;
    for _ in 0..ROUNDS {
        let inherited = chase_children(job);
        any |= inherited;
        let mut pids: Vec<u32> = processes::pids().collect();
        pids.reverse();
        pids.into_iter().filter(|pid| marks.is_named_by(*pid)).for_each(|pid| {
            let process = ProcessIdentity::of(pid).ok().and_then(|it| Process::open(&it));
            // Looked at once more, now that it can't become another.
            if let Some(process) = process.filter(|_| marks.is_named_by(pid)) {
                // What can't be signalled is found again, and named.
                let _ = process.signal(Signal::KILL);
                any = true;
            }
        });
        if !inherited && !job.is_held() {
            break;
        }
    }
    any
}

/// Kills and reaps what this process has inherited of the job. True if there was
/// any, so that what it has left is still to be looked for.
fn chase_children(job: Traces<'_>) -> bool {
    let mut any = false;
    for child in job.children() {
        any = true;
        let process = ProcessIdentity::of(child).ok().and_then(|it| Process::open(&it));
        if let Some(process) = process {
            let _ = process.signal(Signal::KILL);
        }
        processes::reap(child);
    }
    any
}

/// The job's living processes.
fn find(job: Traces<'_>) -> Vec<ProcessIdentity> {
    let marks = Marks::of(job);
    let table = processes::table();
    let mut roots: HashSet<u32> = shell_group(job, &table).into_iter().collect();
    roots.extend(table.keys().filter(|pid| marks.are_on(**pid)));
    roots.extend(job.children());
    let roots: Vec<u32> = roots.into_iter().collect();
    let mut found = processes::descendants(&table, &roots);
    found.extend(roots.iter().filter_map(|pid| processes::identify(&table, *pid)));
    found.retain(|process| !marks.not_its_own.contains(&process.pid));
    found
}

/// What a job's processes have inherited.
struct Marks {
    /// Its entry in their environment.
    variable: Vec<u8>,
    /// The lock's device and inode.
    lock: Option<(u64, u64)>,
    /// What the lock is called where it was removed.
    removed_lock: Option<PathBuf>,
    /// Who bears marks and is none of them: its slot, and this process.
    not_its_own: [u32; 2],
}

impl Marks {
    fn of(job: Traces<'_>) -> Self {
        let slot = job.read::<LockFile>(OwnFile::Lock.name());
        let slot = slot.filter(|lock| lock.slot.is_alive());
        Marks {
            variable: [b"GJOB_DIR=", job.path.as_os_str().as_bytes()].concat(),
            lock: job.dir.and_then(|dir| dir.lock_inode().ok()),
            removed_lock: removed_lock(job.path),
            not_its_own: [std::process::id(), slot.map_or(0, |lock| lock.slot.pid)],
        }
    }

    fn are_on(&self, pid: u32) -> bool {
        self.is_named_by(pid) || !self.not_its_own.contains(&pid) && self.is_lock_held_by(pid)
    }

    /// True when the process has the lock open as those do who inherited it: for
    /// writing. Who only looks at it opens it for reading.
    fn is_lock_held_by(&self, pid: u32) -> bool {
        const OWNER_WRITE: u32 = 0o200;
        let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/fd")) else {
            return false;
        };
        entries.flatten().map(|entry| entry.path()).any(|fd| {
            self.is_lock(&fd)
                && std::fs::symlink_metadata(fd).is_ok_and(|link| link.mode() & OWNER_WRITE != 0)
        })
    }

    fn is_lock(&self, fd: &Path) -> bool {
        let inode = || std::fs::metadata(fd).ok().map(|meta| (meta.dev(), meta.ino()));
        self.lock.is_some() && self.lock == inode()
            || self.removed_lock.is_some() && self.removed_lock == std::fs::read_link(fd).ok()
    }

    /// True when the process was started with the job's directory in its environment.
    fn is_named_by(&self, pid: u32) -> bool {
        let environ = || std::fs::read(format!("/proc/{pid}/environ"));
        !self.not_its_own.contains(&pid)
            && environ().is_ok_and(|environ| {
                environ.split(|byte| *byte == 0).any(|entry| entry == self.variable)
            })
    }
}

/// The process group of the job's shell, if that very shell still lives.
fn shell_group(job: Traces<'_>, table: &HashMap<u32, Stat>) -> Vec<u32> {
    let shell = job.read::<PidFile>(OwnFile::Pid.name()).map(|file| file.job);
    let Some(shell) = shell.filter(ProcessIdentity::is_alive) else {
        return Vec::new();
    };
    let members = table.iter().filter(|(_, stat)| stat.group == shell.pid);
    members.map(|(member, _)| *member).collect()
}

/// What the kernel calls the lock of a job directory once it was removed.
fn removed_lock(dir: &Path) -> Option<PathBuf> {
    let above = dir.parent()?.canonicalize().ok()?;
    let mut name = above.join(dir.file_name()?).join(OwnFile::Lock.name()).into_os_string();
    name.push(" (deleted)");
    Some(name.into())
}
