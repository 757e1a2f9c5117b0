//! Identifies processes by boot id, pid and start time, since a pid alone is given
//! to others later. A [`Process`] was alive and the right one when it was opened;
//! where the kernel has pidfds it cannot become another.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use crate::host;

/// Names one process of one boot of one machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessIdentity {
    /// The kernel's boot id.
    pub(crate) boot_id: String,
    /// The process id.
    pub(crate) pid: u32,
    /// When it began: clock ticks since boot, field 22 of `/proc/PID/stat`.
    pub(crate) start: u64,
}

/// The content of `/proc/PID/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    /// `R`, `S`, `Z` and so on.
    pub(crate) state: u8,
    /// The parent's pid.
    pub(crate) parent: u32,
    /// The process group.
    pub(crate) group: u32,
    /// The session.
    pub(crate) session: u32,
    /// Clock ticks since boot.
    pub(crate) start: u64,
}

impl Stat {
    /// Reads it; an error when there is no such process.
    pub(crate) fn of(pid: u32) -> io::Result<Stat> {
        let mut buffer = [0; 1024];
        let length = File::open(format!("/proc/{pid}/stat"))?.read(&mut buffer)?;
        Stat::parse(&buffer[..length]).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn parse(line: &[u8]) -> Option<Stat> {
        // The name, in parentheses, may itself hold blanks and parentheses.
        let name_end = line.iter().rposition(|byte| *byte == b')')?;
        let rest = std::str::from_utf8(line.get(name_end + 2..)?).ok()?;
        let fields: Vec<&str> = rest.split(' ').take(20).collect();
        Some(Stat {
            state: *fields.first()?.as_bytes().first()?,
            parent: fields.get(1)?.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            session: fields.get(3)?.parse().ok()?,
            start: fields.get(19)?.parse().ok()?,
        })
    }

    /// True when it has ended and only waits to be reaped.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state, b'Z' | b'X')
    }
}

impl ProcessIdentity {
    /// This process.
    pub(crate) fn of_self() -> io::Result<Self> {
        Self::of(std::process::id())
    }

    /// The process that has this pid now.
    pub(crate) fn of(pid: u32) -> io::Result<Self> {
        Ok(ProcessIdentity {
            boot_id: host::boot_id().to_owned(),
            pid,
            start: Stat::of(pid)?.start,
        })
    }

    /// True when the machine was restarted since, or this is another machine.
    pub(crate) fn is_of_another_boot(&self) -> bool {
        self.boot_id != host::boot_id()
    }

    /// True while the process runs.
    pub(crate) fn is_alive(&self) -> bool {
        !self.is_of_another_boot()
            && Stat::of(self.pid).is_ok_and(|stat| stat.start == self.start && !stat.is_over())
    }

    /// True while a signal or a debugger keeps the process from running.
    pub(crate) fn is_stopped(&self) -> bool {
        let is_it = |stat: Stat| stat.start == self.start && matches!(stat.state, b'T' | b't');
        !self.is_of_another_boot() && Stat::of(self.pid).is_ok_and(is_it)
    }
}

/// A process that was alive when it was opened.
#[derive(Debug)]
pub(crate) struct Process {
    identity: ProcessIdentity,
    /// None where the kernel has no pidfds.
    pidfd: Option<OwnedFd>,
}

impl Process {
    /// Opens the process, if it is still alive.
    pub(crate) fn open(identity: &ProcessIdentity) -> Option<Process> {
        let pid = Pid::from_raw(i32::try_from(identity.pid).ok()?)?;
        let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => Some(pidfd),
            Err(rustix::io::Errno::SRCH) => return None,
            Err(_) => None,
        };
        // Checked after the pidfd was opened, which holds on to the process checked.
        identity.is_alive().then(|| Process { identity: identity.clone(), pidfd })
    }

    /// The same process once more, if it is still alive.
    pub(crate) fn reopen(&self) -> Option<Process> {
        Process::open(&self.identity)
    }

    /// Its pid.
    pub(crate) fn pid(&self) -> u32 {
        self.identity.pid
    }

    /// Sends a signal; nothing happens when the process is gone.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        let sent = match &self.pidfd {
            Some(pidfd) => pidfd_send_signal(pidfd, signal),
            None => match Pid::from_raw(self.identity.pid as i32) {
                Some(pid) if self.identity.is_alive() => kill_process(pid, signal),
                _ => Ok(()),
            },
        };
        match sent {
            Err(rustix::io::Errno::SRCH) | Ok(()) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// What becomes readable when the process ends; none without pidfds.
    pub(crate) fn pollable(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.as_ref().map(|pidfd| pidfd.as_fd())
    }

    /// True once the process has ended.
    pub(crate) fn is_gone(&self) -> bool {
        self.ends_within(&Timespec::default())
    }

    /// Waits for the process's end where the kernel has pidfds; true once it has ended.
    pub(crate) fn ends_within(&self, limit: &Timespec) -> bool {
        match &self.pidfd {
            Some(pidfd) => {
                let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
                poll(&mut fds, Some(limit)).is_ok_and(|ready| ready > 0)
            }
            None => !self.identity.is_alive(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_name_with_parentheses_is_read_past() {
        let line = b"12 (a) b (c) S 1 12 13 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 777 0 0\n";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.state, stat.parent, stat.start), (b'S', 1, 777));
        assert_eq!((stat.group, stat.session), (12, 13));
        assert_eq!(Stat::parse(b"12 (a"), None);
    }

    #[test]
    fn pid_with_another_start_time_is_another_process() {
        let me = ProcessIdentity::of_self().unwrap();
        assert!(Process::open(&me).is_some_and(|process| !process.is_gone()));
        let earlier = ProcessIdentity { start: me.start - 1, ..me.clone() };
        assert!(Process::open(&earlier).is_none());
        let other_boot = ProcessIdentity { boot_id: "x".into(), ..me };
        assert!(Process::open(&other_boot).is_none());
    }
}
