//! The slots that jobs run in: those this agent has started, and those of an
//! earlier agent that still run a job.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use gjob_core::Key;
use gjob_core::wire::{Launch, encode};
use rustix::event::Timespec;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use crate::identity::{Process, ProcessIdentity};
use crate::slot::{ServeConfig, ToSlot};

/// How long an idle slot may take to end.
const DISMISSAL: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// A slot that this agent has started.
#[derive(Debug)]
pub(crate) struct OwnSlot {
    child: Child,
    /// For its pidfd; none when it ended before it could be looked at.
    process: Option<Process>,
    /// Its requests. Closed with this agent, whatever ends it.
    pipe: OwnedFd,
    /// What the pipe has not taken yet.
    unsent: Vec<u8>,
    /// Its number, from 1.
    pub(crate) number: u32,
    /// What it was handed and has not ended.
    pub(crate) launch: Option<Box<Launch>>,
}

impl OwnSlot {
    /// Starts a slot.
    pub(crate) fn spawn(config: ServeConfig, stderr: &Path) -> io::Result<Self> {
        let stderr = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(OFlags::NOFOLLOW.bits() as i32)
            .open(stderr)?;
        let number = config.number;
        // Nothing here that would need more than posix_spawn.
        let mut child = Command::new(program()?)
            .arg("slot")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()?;
        let stdin = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let pipe = OwnedFd::from(stdin);
        fcntl_setfl(&pipe, fcntl_getfl(&pipe)? | OFlags::NONBLOCK)?;
        let identity = ProcessIdentity::of(child.id());
        let mut slot = OwnSlot {
            process: identity.ok().and_then(|identity| Process::open(&identity)),
            child,
            pipe,
            unsent: Vec::new(),
            number,
            launch: None,
        };
        slot.send(&ToSlot::Serve(Box::new(config)));
        Ok(slot)
    }

    /// Hands it a job.
    pub(crate) fn hand(&mut self, launch: Box<Launch>) {
        self.launch = Some(launch.clone());
        self.send(&ToSlot::Run(launch));
    }

    fn send(&mut self, message: &ToSlot) {
        self.unsent.extend(encode(message));
        self.flush();
    }

    /// Writes what the pipe takes. That it is broken shows in the slot's end.
    pub(crate) fn flush(&mut self) {
        while !self.unsent.is_empty() {
            match rustix::io::write(&self.pipe, &self.unsent) {
                Ok(written) => drop(self.unsent.drain(..written)),
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }

    /// The attempt it has.
    pub(crate) fn key(&self) -> Option<Key> {
        self.launch.as_ref().map(|launch| launch.key)
    }

    /// What to wait for until it can be sent more.
    pub(crate) fn blocked_pipe(&self) -> Option<&OwnedFd> {
        (!self.unsent.is_empty()).then_some(&self.pipe)
    }

    /// Its process, where it can be waited for.
    pub(crate) fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }

    /// Ends an idle slot, and reaps it: where process 1 reaps nobody, as in
    /// many containers, a zombie would be left.
    pub(crate) fn dismiss(self) {
        let OwnSlot { mut child, process, pipe, .. } = self;
        drop(pipe);
        if process.is_none_or(|process| process.ends_within(&DISMISSAL)) {
            let _ = child.try_wait();
        }
    }

    /// True once it has ended; reaps it.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

/// A slot of an earlier agent, with the attempt that it runs. It ends by
/// itself after that.
#[derive(Debug)]
pub(crate) struct AdoptedSlot {
    /// What it runs.
    pub(crate) key: Key,
    /// Its process.
    pub(crate) process: Process,
    /// Its number.
    pub(crate) number: u32,
}

/// This program's own executable, or what is left of it when its name is gone.
fn program() -> io::Result<PathBuf> {
    let path = std::env::current_exe()?;
    if path.exists() { Ok(path) } else { Ok(PathBuf::from("/proc/self/exe")) }
}
