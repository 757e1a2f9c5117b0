//! How long a running job may still run by its run's lease. The timer runs on
//! `CLOCK_BOOTTIME`: a host that was suspended ends the job as soon as it wakes. The end
//! by the wall clock has no timer: the slot is woken every second (`resume_timer`).

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::Duration;

use gjob_core::Cause;
use rustix::event::Timespec;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};

use crate::lease::{Lease, LeaseEnd};

/// A job's time under the lease; it has no end without a lease.
#[derive(Debug)]
pub(crate) struct LeaseTimer<'a> {
    lease: Option<&'a Lease>,
    /// When to look at the lease again.
    until: Option<LeaseEnd>,
    /// None without an end, and where the kernel has no such timer.
    timer: Option<OwnedFd>,
}

impl<'a> LeaseTimer<'a> {
    /// The timer of a job that starts now, under a lease whose end is known, or without one.
    /// A later agent may give it another.
    pub(crate) fn new(lease: Option<&'a Lease>, until: Option<LeaseEnd>) -> Self {
        let mut timer = LeaseTimer { lease, until: None, timer: None };
        timer.end_at(until);
        timer
    }

    /// Reads the lease again: it may have been made shorter.
    pub(crate) fn refresh(&mut self) {
        // If it cannot be read now, it is read when the known time is over.
        if let Some(Ok(until)) = self.lease.map(Lease::end) {
            self.end_at(until);
        }
    }

    /// By which time it has run out, and how long ago, once: then the lease is read again, and one that
    /// cannot be read was not extended.
    pub(crate) fn has_run_out(&mut self) -> Option<(Cause, Duration)> {
        if self.time_left() != Some(Duration::ZERO) {
            return None;
        }
        self.refresh();
        let until = self.until.filter(LeaseEnd::is_over)?;
        *self = LeaseTimer { lease: None, until: None, timer: None };
        Some((until.cause(), until.ago()))
    }

    /// Until its end, as far as is known.
    pub(crate) fn time_left(&self) -> Option<Duration> {
        self.until.as_ref().map(LeaseEnd::time_left)
    }

    /// What becomes readable at its end.
    pub(crate) fn pollable(&self) -> Option<BorrowedFd<'_>> {
        self.timer.as_ref().map(|timer| timer.as_fd())
    }

    fn end_at(&mut self, until: Option<LeaseEnd>) {
        if until != self.until {
            self.until = until;
            self.timer = until.and_then(|until| timer_at(until.boot_ms));
        }
    }
}

/// A timer that fires at a time since boot.
fn timer_at(at_ms: u64) -> Option<OwnedFd> {
    let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
    let timer = timerfd_create(TimerfdClockId::Boottime, flags).ok()?;
    let it_value = Timespec {
        tv_sec: i64::try_from(at_ms / 1000).ok()?,
        // Zero would disarm it.
        tv_nsec: ((at_ms % 1000) * 1_000_000).max(1) as _,
    };
    let once = Itimerspec { it_interval: Timespec::default(), it_value };
    timerfd_settime(&timer, TimerfdTimerFlags::ABSTIME, &once).ok()?;
    Some(timer)
}
