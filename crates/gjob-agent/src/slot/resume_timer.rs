//! Resumes this slot again and again while a job runs. A job can stop the slot that it
//! depends on, and a stopped process acts on no order, timeout or lease: only the kernel
//! acts for it. Its timers run all the same, and the signal of this one is SIGCONT.

use std::io;

/// How long a stopped slot stays so, seconds. Each time also wakes it, so that it finds
/// a lease that has ended while the machine itself was stopped.
const INTERVAL: libc::time_t = 1;

/// The timer, which ends when it is dropped.
#[derive(Debug)]
pub(super) struct ResumeTimer(libc::timer_t);

impl ResumeTimer {
    /// Starts it; none where the kernel has no timer left.
    pub(super) fn start() -> Option<Self> {
        create().ok().map(ResumeTimer)
    }
}

#[expect(unsafe_code, reason = "rustix has no timers that send signals")]
fn create() -> io::Result<libc::timer_t> {
    // SAFETY: a sigevent of zeros is a valid one; all pointers are to live locals of the
    // right types, or null where that is allowed.
    unsafe {
        let mut event: libc::sigevent = std::mem::zeroed();
        event.sigev_notify = libc::SIGEV_SIGNAL;
        event.sigev_signo = libc::SIGCONT;
        let mut timer = std::mem::zeroed();
        if libc::timer_create(libc::CLOCK_BOOTTIME, &mut event, &mut timer) != 0 {
            return Err(io::Error::last_os_error());
        }
        let interval = libc::timespec { tv_sec: INTERVAL, tv_nsec: 0 };
        let times = libc::itimerspec { it_interval: interval, it_value: interval };
        if libc::timer_settime(timer, 0, &times, std::ptr::null_mut()) != 0 {
            let error = io::Error::last_os_error();
            libc::timer_delete(timer);
            return Err(error);
        }
        Ok(timer)
    }
}

impl Drop for ResumeTimer {
    #[expect(unsafe_code, reason = "rustix has no timers that send signals")]
    fn drop(&mut self) {
        // SAFETY: it was created, and is deleted once.
        unsafe {
            libc::timer_delete(self.0);
        }
    }
}
