//! The shim's own process: it starts one command after another, and tells of their ends.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode, Stdio};

use gjob_core::os_text::{to_os, to_path};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{getpid, set_child_subreaper};

use super::super::reap::{Reap, Reaped, await_any, reap};
use super::message::{Channel, Ended, FromShim, Start};

/// The hidden command that runs a shim.
pub(super) const NAME: &str = "shim";

/// Runs a shim for the slot at the other end of standard input.
pub(crate) fn run() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        // The slot is gone, or ends what is left.
        Err(_) => ExitCode::FAILURE,
    }
}

fn serve() -> io::Result<()> {
    set_child_subreaper(Some(getpid()))?;
    // A copy that no command inherits: standard input is replaced for those.
    let mut channel = Channel::new(UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?));
    loop {
        let (start, descriptors) = match channel.wait::<Start>() {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            received => received?,
        };
        let Ok(pid) = spawn(&start, descriptors) else {
            channel.send(&FromShim::NotStarted, &[])?;
            continue;
        };
        channel.send(&FromShim::Started { pid }, &[])?;
        let ended = wait_for(pid)?;
        channel.send(&FromShim::Ended(ended), &[])?;
        if !ended.is_all {
            while await_any()?.is_some() {}
            return Ok(());
        }
    }
}

/// Starts a command; the descriptors are its job's lock, output and standard error, and this
/// process has none of them any more.
fn spawn(start: &Start, descriptors: Vec<OwnedFd>) -> io::Result<u32> {
    let descriptors: [OwnedFd; 3] =
        descriptors.try_into().map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    let [lock, log, err] = descriptors;
    let mut words = start.words.iter().map(|word| to_os(word));
    // Inherited: the lock is held as long as anything of the job lives.
    fcntl_setfd(&lock, FdFlags::empty())?;
    let mut command = Command::new(to_path(&start.program));
    command
        .arg0(words.next().unwrap_or_default())
        .args(words)
        .current_dir(to_path(&start.dir))
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(err)
        .env_clear()
        .envs(start.environment.iter().map(|(name, value)| (to_os(name), to_os(value))));
    Ok(command.spawn()?.id())
}

/// Waits for the end of a command, and looks whether it has left anything.
fn wait_for(command: u32) -> io::Result<Ended> {
    let child: Reaped = loop {
        match await_any()? {
            Some(child) if child.pid == command => break child,
            Some(_) => {}
            None => return Err(io::ErrorKind::NotFound.into()),
        }
    };
    loop {
        match reap()? {
            Reap::Child(_) => {}
            Reap::NoneYet => return Ok(Ended { child, is_all: false }),
            Reap::NoChildren => return Ok(Ended { child, is_all: true }),
        }
    }
}
