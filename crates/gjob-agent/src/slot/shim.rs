//! The shim: what has a shell's place in a slot's jobs that need none. It is one process for
//! all of them, so such a job costs one process that is its own command.
//!
//! To a command the shim is what a shell would be: its parent, and the leader of its process
//! group. A job that kills its parent, or its group, ends the shim as it would end a shell.
//! The slot then starts another for its next job.
//!
//! The shim reaps all that its command leaves behind. As long as there is nothing, it says how
//! the command ended and is kept. Else it is ended with the rest.

mod message;
mod serve;

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use self::message::{Channel, FromShim};
pub(super) use self::message::{Ended, Start};
pub(crate) use self::serve::run;
use crate::host::program;
use crate::identity::ProcessIdentity;

/// How often a shim is resumed that does not answer.
const ANSWER_INTERVAL: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// The descriptors that a command is started with.
#[derive(Debug)]
pub(super) struct Descriptors<'a> {
    pub(super) lock: &'a File,
    pub(super) log: &'a File,
    pub(super) err: &'a File,
}

/// A shim as its slot sees it.
#[derive(Debug)]
pub(super) struct Shim {
    /// It leads its process group.
    pub(super) identity: ProcessIdentity,
    channel: Channel,
}

/// What became of a command that a shim was to start.
#[derive(Clone, Copy, Debug)]
pub(super) enum Begun {
    /// It runs, or may have run: the shim was ended before it could say.
    Yes {
        /// Its pid, if that is known.
        pid: Option<u32>,
    },
    /// It cannot be started so.
    No,
}

impl Shim {
    /// Starts one in the environment that all jobs of the slot have; it has the umask that
    /// this process has now.
    pub(super) fn spawn(environment: &[(OsString, OsString)]) -> io::Result<Self> {
        let (own, other) = UnixStream::pair()?;
        // Nothing that needs more than posix_spawn: a fork would copy the slot.
        let child = Command::new(program()?)
            .arg(serve::NAME)
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .process_group(0)
            .stdin(OwnedFd::from(other))
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Shim { identity: ProcessIdentity::of(child.id())?, channel: Channel::new(own) })
    }

    /// Has it start a command; an error when it is not there to do so.
    pub(super) fn start(&mut self, start: &Start, given: &Descriptors<'_>) -> io::Result<Begun> {
        self.channel.send(start, &[given.lock.as_fd(), given.log.as_fd(), given.err.as_fd()])?;
        loop {
            match self.channel.receive() {
                Ok(Some(FromShim::Started { pid })) => return Ok(Begun::Yes { pid: Some(pid) }),
                Ok(Some(FromShim::NotStarted)) => return Ok(Begun::No),
                Ok(None) => self.wait_for_answer(),
                Ok(Some(FromShim::Ended(_))) | Err(_) => return Ok(Begun::Yes { pid: None }),
            }
        }
    }

    fn wait_for_answer(&self) {
        let mut fds = [PollFd::from_borrowed_fd(self.pollable(), PollFlags::IN)];
        if matches!(poll(&mut fds, Some(&ANSWER_INTERVAL)), Ok(0)) {
            // Somebody has stopped it. It has no job yet, so this ends no pause.
            let _ = self.pid().map(|pid| kill_process(pid, Signal::CONT));
        }
    }

    /// How its command has ended; none while it runs, and when the shim was ended.
    pub(super) fn take_end(&mut self) -> Option<Ended> {
        match self.channel.receive() {
            Ok(Some(FromShim::Ended(ended))) => Some(ended),
            Ok(_) | Err(_) => None,
        }
    }

    /// What becomes readable when its command has ended.
    pub(super) fn pollable(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }

    /// Ends one that has nothing to do, and reaps it.
    pub(super) fn dismiss(self) {
        let Some(pid) = self.pid() else { return };
        // It is a child that was not reaped: its pid is its own.
        let _ = kill_process(pid, Signal::KILL);
        let _ = waitpid(Some(pid), WaitOptions::empty());
    }

    fn pid(&self) -> Option<Pid> {
        Pid::from_raw(self.identity.pid as i32)
    }
}
