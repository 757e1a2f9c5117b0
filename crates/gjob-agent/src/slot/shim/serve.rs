//! The shim's own process: it starts one command after another, and tells of their ends.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gjob_core::os_text::{to_os, to_path};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{getpid, set_child_subreaper};
use signal_hook::flag;

use super::super::reap::{Awaited, Reap, Reaped, await_any, reap};
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
    let interrupted = take_signals_as_shells_do()?;
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
        let (child, is_all) = wait_for(pid)?;
        let ended = Ended { child, is_all, is_interrupted: interrupted.load(Ordering::Relaxed) };
        channel.send(&FromShim::Ended(ended), &[])?;
        if !ended.is_all {
            while matches!(await_any()?, Some(Awaited::Ended(_))) {}
            return Ok(());
        }
    }
}

/// Has the signals that a shell survives not end this process, and those that it dies of end
/// it. They are handled, not ignored: commands would inherit that. Gives what an interrupt sets.
fn take_signals_as_shells_do() -> io::Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    flag::register(libc::SIGINT, Arc::clone(&interrupted))?;
    flag::register(libc::SIGQUIT, Arc::default())?;
    // Rust's runtime ignores it.
    flag::register_conditional_default(libc::SIGPIPE, Arc::new(AtomicBool::new(true)))?;
    Ok(interrupted)
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

/// Waits for the end of a command, and looks whether that is all of it. One that has asked to
/// be traced stops, since nobody traces it: as to a shell, that is its end.
fn wait_for(command: u32) -> io::Result<(Reaped, bool)> {
    let child: Reaped = loop {
        match await_any()? {
            Some(Awaited::Ended(child)) if child.pid == command => break child,
            Some(Awaited::Traced(child)) => return Ok((child, false)),
            Some(Awaited::Ended(_)) => {}
            None => return Err(io::ErrorKind::NotFound.into()),
        }
    };
    loop {
        match reap()? {
            Reap::Child(_) => {}
            Reap::NoneYet => return Ok((child, false)),
            Reap::NoChildren => return Ok((child, true)),
        }
    }
}
