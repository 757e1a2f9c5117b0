//! Processes, found through /proc and identified by pid and start time.

use std::fs;
use std::path::Path;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

use crate::tools::{TIMEOUT, wait_within};

/// The environment variable that holds the directory of a process's bed. No
/// GJOB_ name: gjob takes those out of its jobs' environment.
pub(crate) const BED_MARK: &str = "TESTBED_DIR";
/// The environment variable that holds the alias of a process's host.
pub(crate) const HOST_MARK: &str = "TESTBED_HOST";

/// A process as it was when it was found.
///
/// It stays that one process: after its end, and after its number has been
/// given to another, it [is not alive](Process::is_alive) and can't be hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    pid: u32,
    started: u64,
    argv: Vec<String>,
}

impl Process {
    /// The process with this number, unless it has ended.
    #[must_use]
    pub fn find(pid: u32) -> Option<Self> {
        let stat = Stat::read(pid)?;
        let cmdline = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let argv = cmdline.split(|&byte| byte == 0).filter(|arg| !arg.is_empty());
        let argv = argv.map(|arg| String::from_utf8_lossy(arg).into_owned()).collect();
        Some(Self { pid, started: stat.started, argv })
    }

    /// Its number, in the namespace of the test.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// When it started, in clock ticks since boot, as in `/proc/PID/stat`.
    #[must_use]
    pub fn started(&self) -> u64 {
        self.started
    }

    /// The number of the process that it is a child of, unless it has ended.
    #[must_use]
    pub fn parent(&self) -> Option<u32> {
        let stat = Stat::read(self.pid)?;
        (stat.started == self.started).then_some(stat.parent)
    }

    /// Its program and arguments.
    #[must_use]
    pub fn argv(&self) -> &[String] {
        &self.argv
    }

    /// Whether it still runs; a zombie does not.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        Stat::read(self.pid).is_some_and(|stat| stat.started == self.started)
    }

    /// Ends it at once, with SIGKILL. Nothing happens if it has ended.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Sends it a signal: to this process and no other, also when its number is
    /// reused in between. False, and nothing happens, if it has ended.
    pub fn signal(&self, signal: Signal) -> bool {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else { return false };
        let handle = pidfd_open(pid, PidfdFlags::empty());
        if !self.is_alive() {
            return false;
        }
        // Either can only fail because the process has ended meanwhile. Kernels
        // before 5.3 have no handles.
        let sent = match handle {
            Ok(handle) => pidfd_send_signal(handle, signal),
            Err(_) => kill_process(pid, signal),
        };
        sent.is_ok()
    }
}

/// All living processes that carry the marks of this bed and host.
pub(crate) fn marked(bed: &Path, alias: &str) -> Vec<Process> {
    let bed = format!("{BED_MARK}={}", bed.display());
    let host = format!("{HOST_MARK}={alias}");
    let is_marked = |pid: &u32| {
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let has = |mark: &str| environ.split(|&byte| byte == 0).any(|var| var == mark.as_bytes());
        has(&bed) && has(&host)
    };
    all().into_iter().filter(is_marked).filter_map(Process::find).collect()
}

/// The sshd processes below `root`: those that serve its connections.
pub(crate) fn connections(root: u32) -> Vec<Process> {
    let stats: Vec<(u32, Stat)> =
        all().into_iter().filter_map(|pid| Some((pid, Stat::read(pid)?))).collect();
    let mut family = vec![root];
    let mut next = 0;
    while let Some(&parent) = family.get(next) {
        // `sshd`, or since OpenSSH 9.8 `sshd-session` and `sshd-auth`.
        let served = |stat: &Stat| stat.parent == parent && stat.name.starts_with("sshd");
        family.extend(stats.iter().filter(|(_, stat)| served(stat)).map(|(pid, _)| *pid));
        next += 1;
    }
    family.into_iter().skip(1).filter_map(Process::find).collect()
}

/// Ends them all, sees them gone, and says how many they were.
pub(crate) fn kill_all(processes: &[Process]) -> usize {
    processes.iter().for_each(Process::kill);
    let gone = || !processes.iter().any(Process::is_alive);
    wait_within(TIMEOUT, "killed processes to end", gone);
    processes.len()
}

/// The processes started by `parent` itself.
pub(crate) fn children(parent: u32) -> Vec<Process> {
    let is_child = |pid: &u32| Stat::read(*pid).is_some_and(|stat| stat.parent == parent);
    all().into_iter().filter(is_child).filter_map(Process::find).collect()
}

fn all() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// What `/proc/PID/stat` says of a process that has not ended.
struct Stat {
    name: String,
    parent: u32,
    started: u64,
}

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The name stands in parentheses and may hold any character, also `)`.
    fn parse(line: &str) -> Option<Self> {
        let (head, tail) = line.rsplit_once(')')?;
        let (_, name) = head.split_once('(')?;
        let fields: Vec<&str> = tail.split_whitespace().collect();
        if matches!(*fields.first()?, "Z" | "X") {
            return None;
        }
        let parent = fields.get(1)?.parse().ok()?;
        let started = fields.get(19)?.parse().ok()?;
        Some(Self { name: name.to_owned(), parent, started })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_process_is_found_with_its_arguments_and_ended() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::find(child.id()).unwrap();
        assert!(process.is_alive());
        assert_eq!(process.parent(), Some(std::process::id()));
        assert!(process.signal(Signal::KILL));
        child.wait().unwrap();
        assert!(!process.is_alive());
        assert!(!process.signal(Signal::KILL));
    }

    #[test]
    fn another_process_with_the_same_number_is_left_alone() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let mut other = Process::find(child.id()).unwrap();
        other.started += 1;
        other.kill();
        assert!(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_name_may_hold_parentheses_and_a_zombie_is_no_process() {
        let line = |name: &str, state: &str| {
            format!("7 ({name}) {state} 3 7 7 0 -1 4 0 0 0 0 1 2 0 0 20 0 1 0 4711 0 0")
        };
        let stat = Stat::parse(&line("a) R 1 (b", "S")).unwrap();
        assert_eq!((stat.name.as_str(), stat.parent, stat.started), ("a) R 1 (b", 3, 4711));
        assert!(Stat::parse(&line("sh", "Z")).is_none());
    }
}
