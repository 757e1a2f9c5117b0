//! Ends what is left of a job whose slot is dead. Its processes are known by
//! three marks: they hold the job's lock, they carry its directory in
//! `GJOB_DIR`, or they descend from one that does (or from its shell). A slot
//! is none of them.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::identity::{Process, ProcessIdentity, Stat};
use crate::jobdir::{JobDir, LockFile, LockState, PidFile};
use crate::processes;

/// How long killed processes get to disappear.
const VANISH: Duration = Duration::from_secs(2);

/// How often the process table is looked at.
const STEP: Duration = Duration::from_millis(20);

/// How often quick ones are looked for between two looks at everything.
const ROUNDS: u32 = 50;

/// Ends the job's processes: TERM, and KILL after `grace` (at once when it is
/// zero). Gives the pids that are still there.
pub(crate) fn end(dir: &JobDir, grace: Duration) -> io::Result<Vec<u32>> {
    if !grace.is_zero() {
        processes::signal_all(&find(dir)?, Signal::TERM);
        processes::signal_all(&find(dir)?, Signal::CONT);
        wait_until_gone(dir, grace)?;
    }
    let deadline = Instant::now() + VANISH;
    loop {
        // Again each time: what one of them forked meanwhile is found as well.
        let left = find(dir)?;
        processes::signal_all(&left, Signal::KILL);
        let is_over = left.is_empty() && !is_held(dir);
        if is_over || Instant::now() >= deadline {
            return Ok(left.iter().map(|process| process.pid).collect());
        }
        if is_held(dir) {
            chase(dir)?;
        } else {
            std::thread::sleep(STEP);
        }
    }
}

/// True while something has the job's lock: it may be too short-lived to be
/// found, always having forked the next.
fn is_held(dir: &JobDir) -> bool {
    matches!(dir.lock_state(), Ok(LockState::Held))
}

fn wait_until_gone(dir: &JobDir, grace: Duration) -> io::Result<()> {
    let deadline = Instant::now() + grace;
    while !find(dir)?.is_empty() && Instant::now() < deadline {
        std::thread::sleep(STEP);
    }
    Ok(())
}

/// Kills what has the job's directory in its environment, each as soon as it is
/// seen, the newest first: one that forks and ends, over and over, is gone
/// before the process table has been read.
fn chase(dir: &JobDir) -> io::Result<()> {
    let marks = Marks::of(dir)?;
    for _ in 0..ROUNDS {
        let mut pids: Vec<u32> = processes::pids().collect();
        pids.reverse();
        pids.into_iter().filter(|pid| marks.is_named_by(*pid)).for_each(|pid| {
            let process = ProcessIdentity::of(pid).ok().and_then(|it| Process::open(&it));
            // Looked at once more, now that it can't become another.
            if let Some(process) = process.filter(|_| marks.is_named_by(pid)) {
                // What can't be signalled is found again, and named.
                let _ = process.signal(Signal::KILL);
            }
        });
        if !is_held(dir) {
            break;
        }
    }
    Ok(())
}

/// The job's living processes.
pub(crate) fn find(dir: &JobDir) -> io::Result<Vec<ProcessIdentity>> {
    let marks = Marks::of(dir)?;
    let table = processes::table();
    let mut roots: HashSet<u32> = shell_group(dir, &table)?.into_iter().collect();
    roots.extend(table.keys().filter(|pid| marks.are_on(**pid)));
    let roots: Vec<u32> = roots.into_iter().collect();
    let mut found = processes::descendants(&table, &roots);
    found.extend(roots.iter().filter_map(|pid| processes::identify(&table, *pid)));
    found.retain(|process| !marks.not_its_own.contains(&process.pid));
    Ok(found)
}

/// What a job's processes have inherited.
struct Marks {
    /// Its entry in their environment.
    variable: Vec<u8>,
    /// The lock's device and inode.
    lock: Option<(u64, u64)>,
    /// Who bears marks and is none of them: its slot, and this process.
    not_its_own: [u32; 2],
}

impl Marks {
    fn of(dir: &JobDir) -> io::Result<Self> {
        let slot = dir.read::<LockFile>(".lock")?;
        let slot = slot.filter(|lock| lock.slot.is_alive());
        Ok(Marks {
            variable: [b"GJOB_DIR=", dir.path().as_os_str().as_bytes()].concat(),
            lock: dir.lock_inode().ok(),
            not_its_own: [std::process::id(), slot.map_or(0, |lock| lock.slot.pid)],
        })
    }

    fn are_on(&self, pid: u32) -> bool {
        self.is_named_by(pid)
            || !self.not_its_own.contains(&pid) && self.lock.is_some_and(|lock| holds(pid, lock))
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
fn shell_group(dir: &JobDir, table: &HashMap<u32, Stat>) -> io::Result<Vec<u32>> {
    let Some(pid) = dir.read::<PidFile>(".pid")?.map(|file| file.job) else {
        return Ok(Vec::new());
    };
    if !pid.is_alive() {
        return Ok(Vec::new());
    }
    let members = table.iter().filter(|(_, stat)| stat.group == pid.pid);
    Ok(members.map(|(member, _)| *member).collect())
}

/// True when the process has the lock open as those do who inherited it: for
/// writing. Who only looks at it opens it for reading.
fn holds(pid: u32, (device, inode): (u64, u64)) -> bool {
    const OWNER_WRITE: u32 = 0o200;
    let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    entries.flatten().any(|entry| {
        let same = std::fs::metadata(entry.path())
            .is_ok_and(|meta| (meta.dev(), meta.ino()) == (device, inode));
        same && std::fs::symlink_metadata(entry.path())
            .is_ok_and(|link| link.mode() & OWNER_WRITE != 0)
    })
}
