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

use super::Requests;
use crate::lease::{Lease, LeaseEnd};

/// How a job's slot hears that the lease was renewed.
#[derive(Debug)]
pub(crate) struct Renewals<'a> {
    /// What any agent of the run writes. Jobs can put anything in its place.
    pub(crate) file: &'a Lease,
    /// What the agent that has started this slot says.
    pub(crate) requests: &'a mut Requests,
}

/// A job's time under the lease; it has no end without a lease.
#[derive(Debug)]
pub(crate) struct LeaseTimer<'a> {
    lease: Option<Renewals<'a>>,
    /// When to look at the lease again.
    until: Option<LeaseEnd>,
    /// None without an end, and where the kernel has no such timer.
    timer: Option<OwnedFd>,
}

impl<'a> LeaseTimer<'a> {
    /// The timer of a job that starts now, under a lease whose end is known, or without one.
    /// A later agent may give it another.
    pub(crate) fn new(lease: Option<Renewals<'a>>, until: Option<LeaseEnd>) -> Self {
        let mut timer = LeaseTimer { lease, until: None, timer: None };
        timer.end_at(until);
        timer
    }

    /// Reads the lease again: a later agent may have made it shorter.
    pub(crate) fn refresh(&mut self) {
        let Some(lease) = &mut self.lease else { return };
        // What an agent has said that is gone by now does not count any more.
        let said = lease.requests.take_lease();
        // If it cannot be read now, it is read when the known time is over.
        match lease.file.end() {
            Ok(until) => self.end_at(until),
            Err(_) => said.into_iter().for_each(|until| self.end_at(Some(until))),
        }
    }

    /// Takes the lease as its own agent renews it, and else as it is written.
    fn renew(&mut self) {
        let said = self.lease.as_mut().and_then(|lease| lease.requests.take_lease());
        match said.filter(|until| !until.is_over()) {
            Some(until) => self.end_at(Some(until)),
            None => self.refresh(),
        }
    }

    /// By which time it has run out, and how long ago, once: then it is asked for again, and
    /// one that is neither said nor written was not extended.
    pub(crate) fn has_run_out(&mut self) -> Option<(Cause, Duration)> {
        if self.time_left() != Some(Duration::ZERO) {
            return None;
        }
        self.renew();
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
