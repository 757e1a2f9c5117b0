//! One slot as the agent sees it: a process that it has started, or one of an
//! earlier agent that still runs a job.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use gjob_core::Key;
use gjob_core::text::Shown;
use gjob_core::wire::{Launch, encode};
use rustix::event::Timespec;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::Signal;

use crate::host::program;
use crate::identity::{Process, ProcessIdentity};
use crate::lease::LeaseEnd;
use crate::ledger::Share;
use crate::open_files;
use crate::own_file;
use crate::shortage::Shortage;
use crate::slot::{Given, ServeConfig, ToSlot};

/// The most bytes of slots' standard error that are read.
const MAX_STDERR: usize = 4096;

/// How long an idle slot may take to end.
const DISMISS_TIMEOUT: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// A slot that this agent has started.
#[derive(Debug)]
pub(super) struct OwnSlot {
    child: Child,
    /// For its pidfd; none when it ended before it could be looked at.
    process: Option<Process>,
    /// Its standard input. The kernel closes it when this agent ends.
    pipe: OwnedFd,
    /// Bytes that the pipe has not taken yet.
    unsent: Vec<u8>,
    /// Its number, from 1.
    pub(super) number: u32,
    /// The launch that it was handed, until that is over.
    pub(super) launch: Option<Box<Launch>>,
    /// What it has of this machine; none without a ledger.
    pub(super) share: Option<Share>,
    /// Processes of its last job that it could not end, and has named.
    pub(super) survivors: Vec<u32>,
    stderr: SlotStderr,
    /// How it ended.
    status: Option<ExitStatus>,
}

impl OwnSlot {
    /// Starts a slot whose standard error is appended to the file at `path`. Its standard
    /// output is its share: so that counts as long as the slot lives.
    pub(super) fn spawn(
        config: ServeConfig,
        path: &Path,
        share: Option<Share>,
    ) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let stderr = own_file::open_in_place(path, options.append(true).create(true).mode(0o600))?;
        let messages = SlotStderr { path: path.to_owned(), from: stderr.metadata()?.len() };
        let number = config.number;
        let stdout = share.as_ref().map_or_else(|| Ok(Stdio::null()), Share::for_slot)?;
        // Nothing that needs more than posix_spawn: a fork would copy the agent.
        let mut child = Command::new(program()?)
            .arg("slot")
            .env_remove(open_files::BEFORE)
            .stdin(Stdio::piped())
            .stdout(stdout)
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
            share,
            survivors: Vec::new(),
            stderr: messages,
            status: None,
        };
        slot.send(&ToSlot::Serve(Box::new(config)));
        Ok(slot)
    }

    /// Hands it a job, what the job has for itself, and the end of the run's lease.
    pub(super) fn hand(&mut self, launch: Box<Launch>, given: Given, lease: Option<LeaseEnd>) {
        self.launch = Some(launch.clone());
        self.send(&ToSlot::Run { launch, given, lease });
    }

    /// Tells it how long its job may run, if it has one and takes what it is told.
    pub(super) fn renew_lease(&mut self, end: LeaseEnd) {
        if self.launch.is_some() && self.unsent.is_empty() {
            self.send(&ToSlot::Lease(end));
        }
    }

    fn send(&mut self, message: &ToSlot) {
        self.unsent.extend(encode(message));
        self.flush();
    }

    /// Writes what the pipe takes. A broken pipe shows in the slot's end.
    pub(super) fn flush(&mut self) {
        while !self.unsent.is_empty() {
            match rustix::io::write(&self.pipe, &self.unsent) {
                Ok(written) => drop(self.unsent.drain(..written)),
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }

    /// Its pid, which is its own until it is reaped.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The attempt it has.
    pub(super) fn key(&self) -> Option<Key> {
        self.launch.as_ref().map(|launch| launch.key)
    }

    /// What to wait for until it can be sent more.
    pub(super) fn blocked_pipe(&self) -> Option<&OwnedFd> {
        (!self.unsent.is_empty()).then_some(&self.pipe)
    }

    /// Its process, where its end can be waited for.
    pub(super) fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }

    /// Ends an idle slot, and reaps it: where process 1 reaps nobody, as in
    /// many containers, a zombie would be left.
    pub(super) fn dismiss(self) {
        let OwnSlot { mut child, process, pipe, share, .. } = self;
        drop(pipe);
        share.into_iter().for_each(Share::remove);
        if let Some(process) = &process {
            // One that was stopped would not notice.
            let _ = process.signal(Signal::CONT);
        }
        if process.is_none_or(|process| process.ends_within(&DISMISS_TIMEOUT)) {
            let _ = child.try_wait();
        }
    }

    /// True once it has ended; reaps it.
    pub(super) fn has_ended(&mut self) -> bool {
        match self.child.try_wait() {
            Ok(None) => false,
            Ok(status) => {
                self.status = status;
                true
            }
            Err(_) => true,
        }
    }

    /// Why it could not begin the launch, if that is for want of space.
    pub(super) fn shortage(&self) -> Option<Shortage> {
        self.status.and_then(Shortage::of_slot)
    }

    /// How it ended, and the last message of it.
    pub(super) fn describe_end(&self) -> String {
        let status = self.status.map(|status| (status.code(), status.signal()));
        let ended = match status {
            Some((Some(code), _)) => format!("exit {code}"),
            Some((None, Some(signal))) => format!("signal {signal}"),
            Some((None, None)) | None => "unknown end".to_owned(),
        };
        match self.stderr.last_message(self.child.id()) {
            Some(line) => format!("{ended}: {line}"),
            None => ended,
        }
    }
}

/// The standard error of all slots of a run, as far as it may be one slot's.
#[derive(Debug)]
struct SlotStderr {
    path: PathBuf,
    /// Its length when that slot was started.
    from: u64,
}

impl SlotStderr {
    /// The last line that is the slot's, if there is any: one that begins with its
    /// name, or one that begins with no slot's.
    fn last_message(&self, pid: u32) -> Option<String> {
        let file = own_file::open_to_read(&self.path).ok()?;
        let length = file.metadata().ok()?.len();
        let mut bytes = vec![0; MAX_STDERR];
        let read =
            file.read_at(&mut bytes, self.from.max(length.saturating_sub(MAX_STDERR as u64)));
        bytes.truncate(read.ok()?);
        let text = String::from_utf8_lossy(&bytes);
        let mut lines = text.lines().rev().filter(|line| !line.trim().is_empty());
        let own = format!("gjob slot {pid}: ");
        let named = lines.clone().find_map(|line| line.strip_prefix(&own));
        let line = named.or_else(|| lines.find(|line| !line.starts_with("gjob slot ")))?;
        Some(Shown::new(line).into())
    }
}

/// A slot of an earlier agent, with the attempt that it runs. It ends by
/// itself after that.
#[derive(Debug)]
pub(super) struct AdoptedSlot {
    /// What it runs.
    pub(super) key: Key,
    /// Its process.
    pub(super) process: Process,
    /// Its number.
    pub(super) number: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_message_of_a_slot_is_its_own_and_one_plain_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("slots.err");
        let last = |from: usize, text: &str| {
            std::fs::write(&path, text).unwrap();
            SlotStderr { path: path.clone(), from: from as u64 }.last_message(7)
        };
        assert_eq!(SlotStderr { path: path.clone(), from: 0 }.last_message(7), None);
        assert_eq!(last(0, ""), None);
        assert_eq!(last(0, "gjob slot 8: b\n"), None);
        assert_eq!(last(0, "gjob slot 7: a\ngjob slot 8: b\n\n").unwrap(), "a");
        assert_eq!(last(0, "cannot load libx\ngjob slot 8: b\n").unwrap(), "cannot load libx");
        assert_eq!(last(2, "a\n"), None);
        assert_eq!(last(2, "a\nb\x1b[31m\x07c").unwrap(), "b [31m c");
        assert_eq!(last(0, &"x".repeat(3 * MAX_STDERR)).unwrap().len(), gjob_core::text::MAX_SHOWN);
    }
}
