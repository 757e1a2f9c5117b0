//! The machine's process table, read from `/proc`: which processes descend from
//! which, and signals to all of them. It is slow, with one file for each process of
//! the machine, and used only where jobs have to be ended.

use std::collections::{HashMap, HashSet};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, kill_process, pidfd_open, pidfd_send_signal, waitpid,
};

use crate::host;
use crate::identity::{Process, ProcessIdentity, Stat};

/// The pids of all processes, one after another.
pub(crate) fn pids() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// One pass over the process table; what ended meanwhile is not in it.
pub(crate) fn table() -> HashMap<u32, Stat> {
    pids().filter_map(|pid| Some((pid, Stat::of(pid).ok()?))).collect()
}

/// This process's children, those that have ended included, whichever of its
/// threads the kernel counts them with.
pub(crate) fn own_children() -> Vec<u32> {
    children_of(std::process::id())
}

/// Those of any process.
fn children_of(parent: u32) -> Vec<u32> {
    listed_children(parent).unwrap_or_else(|| {
        // A kernel without that list.
        table().into_iter().filter(|(_, it)| it.parent == parent).map(|(pid, _)| pid).collect()
    })
}

/// The memory that this process's descendants have for themselves, bytes: what they
/// share, such as the text of programs, is left out. Those that run as other users may
/// be hidden, and one that ends meanwhile counts nothing.
pub(crate) fn memory_below_self() -> u64 {
    let mut unvisited = own_children();
    let mut kib: u64 = 0;
    while let Some(pid) = unvisited.pop() {
        kib = kib.saturating_add(anonymous_kib(pid).unwrap_or(0));
        unvisited.extend(children_of(pid));
    }
    kib.saturating_mul(1024)
}

/// The resident memory of a process that no file stands for, KiB.
fn anonymous_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let found = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    found.trim().strip_suffix(" kB")?.parse().ok()
}

/// The children that a process table does not show: with `hidepid`, those that run as
/// other users.
pub(crate) fn hidden_children(table: &HashMap<u32, Stat>) -> Vec<u32> {
    own_children().into_iter().filter(|child| !table.contains_key(child)).collect()
}

/// Signals a child whose identity cannot be read. One that cannot be signalled shows
/// in the next look.
pub(crate) fn signal_child(child: u32, signal: Signal) {
    let Some(pid) = Pid::from_raw(child as i32) else { return };
    let opened = pidfd_open(pid, PidfdFlags::empty());
    // Looked at once more after it was opened: then it cannot become another.
    if !own_children().contains(&child) {
        return;
    }
    let _ = match opened {
        Ok(process) => pidfd_send_signal(process, signal),
        // Its pid is its own until it is reaped.
        Err(_) => kill_process(pid, signal),
    };
}

fn listed_children(parent: u32) -> Option<Vec<u32>> {
    let mut children = Vec::new();
    // One that has ended has none.
    let threads = std::fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten();
    for thread in threads.flatten() {
        let list = match std::fs::read_to_string(thread.path().join("children")) {
            Ok(list) => list,
            // A thread that has ended has left its children to another.
            Err(_) if !thread.path().exists() => continue,
            Err(_) => return None,
        };
        children.extend(list.split_ascii_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    Some(children)
}

/// Which file an open descriptor of a process is of: device and inode.
pub(crate) fn inode_of(fd: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(fd).ok().map(|meta| (meta.dev(), meta.ino()))
}

/// True when a process has a file open for writing, as those do who inherited a
/// job's lock; who only looks at a lock opens it for reading. `is_it` gets the name
/// of each descriptor below `/proc`.
pub(crate) fn has_open_for_writing(pid: u32, mut is_it: impl FnMut(&Path) -> bool) -> bool {
    const OWNER_WRITE: u32 = 0o200;
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten();
    entries.flatten().map(|entry| entry.path()).any(|fd| {
        let is_writable = |meta: Metadata| meta.mode() & OWNER_WRITE != 0;
        is_it(&fd) && std::fs::symlink_metadata(&fd).is_ok_and(is_writable)
    })
}

/// Reaps a child, if it has ended.
pub(crate) fn reap(child: u32) -> bool {
    let child = Pid::from_raw(child as i32);
    child.is_some_and(|child| matches!(waitpid(Some(child), WaitOptions::NOHANG), Ok(Some(_))))
}

/// Those of the table that descend from one of `roots`, the roots not
/// included, in the order of their pids.
pub(crate) fn descendants(table: &HashMap<u32, Stat>, roots: &[u32]) -> Vec<ProcessIdentity> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for (pid, stat) in table {
        children.entry(stat.parent).or_default().push(*pid);
    }
    let mut seen: HashSet<u32> = roots.iter().copied().collect();
    let mut unvisited = roots.to_vec();
    let mut found = Vec::new();
    while let Some(pid) = unvisited.pop() {
        for child in children.get(&pid).into_iter().flatten() {
            if seen.insert(*child) {
                unvisited.push(*child);
                found.push(*child);
            }
        }
    }
    found.sort_unstable();
    found.iter().filter_map(|pid| identify(table, *pid)).collect()
}

/// The identity of a process of the table that has not ended.
pub(crate) fn identify(table: &HashMap<u32, Stat>, pid: u32) -> Option<ProcessIdentity> {
    let stat = table.get(&pid)?;
    (!stat.is_over()).then(|| ProcessIdentity {
        boot_id: host::boot_id().to_owned(),
        pid,
        start: stat.start,
    })
}

/// Signals every process that is still the one named. One that cannot be
/// signalled shows in the next look.
pub(crate) fn signal_all<'a>(
    processes: impl IntoIterator<Item = &'a ProcessIdentity>,
    signal: Signal,
) {
    for identity in processes {
        if let Some(process) = Process::open(identity) {
            let _ = process.signal(signal);
        }
    }
}
