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

use crate::identity::{ProcessIdentity, Stat};
use crate::jobdir::{JobDir, LockFile, PidFile};
use crate::processes;

/// How long killed processes get to disappear.
const VANISH: Duration = Duration::from_secs(2);

/// How often the process table is looked at.
const STEP: Duration = Duration::from_millis(20);

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
        if left.is_empty() || Instant::now() >= deadline {
            return Ok(left.iter().map(|process| process.pid).collect());
        }
        std::thread::sleep(STEP);
    }
}

fn wait_until_gone(dir: &JobDir, grace: Duration) -> io::Result<()> {
    let deadline = Instant::now() + grace;
    while !find(dir)?.is_empty() && Instant::now() < deadline {
        std::thread::sleep(STEP);
    }
    Ok(())
}

/// The job's living processes.
pub(crate) fn find(dir: &JobDir) -> io::Result<Vec<ProcessIdentity>> {
    let table = processes::table();
    let mut roots: HashSet<u32> = shell_group(dir, &table)?.into_iter().collect();
    let lock = dir.lock_inode().ok();
    let mark = [b"GJOB_DIR=", dir.path().as_os_str().as_bytes()].concat();
    let slot = dir.read::<LockFile>(".lock")?;
    let slot = slot.filter(|lock| lock.slot.is_alive());
    let not_its_own = [std::process::id(), slot.map_or(0, |lock| lock.slot.pid)];
    for pid in table.keys().copied() {
        if not_its_own.contains(&pid) {
            continue;
        }
        if has_mark(pid, &mark) || lock.is_some_and(|lock| holds(pid, lock)) {
            roots.insert(pid);
        }
    }
    let roots: Vec<u32> = roots.into_iter().collect();
    let mut found = processes::descendants(&table, &roots);
    found.extend(roots.iter().filter_map(|pid| processes::identify(&table, *pid)));
    found.retain(|process| !not_its_own.contains(&process.pid));
    Ok(found)
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

/// True when the process was started with the mark in its environment.
fn has_mark(pid: u32, mark: &[u8]) -> bool {
    std::fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|entry| entry == mark))
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
