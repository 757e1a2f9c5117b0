//! The machine's process table, read from `/proc`: which processes descend from
//! which, and signals to all of them. It is slow, with one file for each process of
//! the machine, and used only where jobs have to be ended.

use std::collections::{HashMap, HashSet};

use rustix::process::{Pid, Signal, WaitOptions, waitpid};

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
    listed_children().unwrap_or_else(|| {
        // A kernel without that list.
        let own = std::process::id();
        table().into_iter().filter(|(_, it)| it.parent == own).map(|(pid, _)| pid).collect()
    })
}

fn listed_children() -> Option<Vec<u32>> {
    let mut children = Vec::new();
    for thread in std::fs::read_dir("/proc/self/task").ok()?.flatten() {
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
