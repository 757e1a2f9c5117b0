//! `wait4`: the end of a child, with the resources it used.

use std::io;

use gjob_core::Ending;
use serde::{Deserialize, Serialize};

/// A child that has ended and was reaped.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Reaped {
    /// Its pid.
    pub(crate) pid: u32,
    /// How it ended.
    pub(crate) ending: Ending,
    /// Processor time in user mode, microseconds.
    pub(crate) user_us: u64,
    /// Processor time in the kernel, microseconds.
    pub(crate) system_us: u64,
    /// Largest resident set, KiB.
    pub(crate) max_rss_kib: u64,
    /// Read from disks, bytes.
    pub(crate) read_bytes: u64,
    /// Written for disks, bytes.
    pub(crate) written_bytes: u64,
}

/// What the kernel counts reads and writes of disks in, bytes.
const BLOCK: u64 = 512;

/// What there was to reap.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reap {
    /// This child.
    Child(Reaped),
    /// There are children, but none has ended.
    NoneYet,
    /// There are no children.
    NoChildren,
}

/// What a child has done that was waited for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Awaited {
    /// It has ended.
    Ended(Reaped),
    /// It has stopped for this process to trace it, and would have ended to a shell.
    Traced(Reaped),
}

/// Waits until any child has ended, and reaps it; none when there are no children.
pub(super) fn await_any() -> io::Result<Option<Awaited>> {
    loop {
        let (pid, status, usage) = wait4_any(0);
        match (pid, ending(status)) {
            (1.., Some(ending)) => {
                return Ok(Some(Awaited::Ended(reaped(pid as u32, ending, &usage))));
            }
            // Others are not told of.
            (1.., None) => {
                let ending = Ending::Exit(128 | libc::WSTOPSIG(status) as u8);
                return Ok(Some(Awaited::Traced(reaped(pid as u32, ending, &usage))));
            }
            _ => match io::Error::last_os_error() {
                error if error.raw_os_error() == Some(libc::ECHILD) => return Ok(None),
                error if error.raw_os_error() == Some(libc::EINTR) => {}
                error => return Err(error),
            },
        }
    }
}

/// Reaps any one child that has ended, without waiting.
pub(crate) fn reap() -> io::Result<Reap> {
    loop {
        let (pid, status, usage) = wait4_any(libc::WNOHANG);
        match pid {
            0 => return Ok(Reap::NoneYet),
            1.. => match ending(status) {
                Some(ending) => return Ok(Reap::Child(reaped(pid as u32, ending, &usage))),
                None => continue,
            },
            _ => {
                let error = io::Error::last_os_error();
                match error.raw_os_error() {
                    Some(libc::ECHILD) => return Ok(Reap::NoChildren),
                    Some(libc::EINTR) => {}
                    _ => return Err(error),
                }
            }
        }
    }
}

fn ending(status: i32) -> Option<Ending> {
    if libc::WIFEXITED(status) {
        Some(Ending::Exit(libc::WEXITSTATUS(status) as u8))
    } else if libc::WIFSIGNALED(status) {
        Some(Ending::Signal(libc::WTERMSIG(status) as u8))
    } else {
        None
    }
}

fn reaped(pid: u32, ending: Ending, usage: &libc::rusage) -> Reaped {
    let micros = |time: libc::timeval| time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64;
    Reaped {
        pid,
        ending,
        user_us: micros(usage.ru_utime),
        system_us: micros(usage.ru_stime),
        max_rss_kib: usage.ru_maxrss as u64,
        read_bytes: (usage.ru_inblock as u64).saturating_mul(BLOCK),
        written_bytes: (usage.ru_oublock as u64).saturating_mul(BLOCK),
    }
}

#[expect(
    unsafe_code,
    reason = "rustix has no wait4, the only call that gives one child's resource usage"
)]
fn wait4_any(options: i32) -> (i32, i32, libc::rusage) {
    let mut status = 0;
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both pointers are to live locals of the right types; a zeroed
    // rusage, plain integers, is a valid one.
    unsafe {
        let pid = libc::wait4(-1, &mut status, options, usage.as_mut_ptr());
        (pid, status, usage.assume_init())
    }
}
