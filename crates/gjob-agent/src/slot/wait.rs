//! Waits for a running job, and ends it when it has to be ended.
//!
//! The slot is the reaper of everything its job leaves behind (a subreaper), so
//! "no children" is the proof that nothing of the job lives any more. A shim, which has a
//! shell's place, is such a reaper as well, and says so.

use std::io;
use std::time::{Duration, Instant};

use gjob_core::{Cause, Order};
use rustix::process::{Pid, Signal, kill_process_group};

use super::direct::Direct;
use super::lease_timer::{LeaseTimer, Renewals};
use super::memory::{KernelKills, MemoryWatch};
use super::orders::Orders;
use super::reap::{Reap, Reaped, reap};
use super::shim::Shim;
use super::signals::Signals;
use crate::lease::LeaseEnd;
use crate::processes;

/// Between TERM and KILL of a job that ran out of time.
const TIMEOUT_GRACE: Duration = Duration::from_secs(10);

/// Between TERM and KILL of a job whose run's lease has run out.
const LEASE_GRACE: Duration = Duration::from_secs(5);

/// Between TERM and KILL of what a job that ended by itself left running.
const LEFTOVER_GRACE: Duration = Duration::from_secs(2);

/// How long killed processes may take to disappear before they are named instead.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// How often killing is repeated: what was forked meanwhile must go as well.
const KILL_INTERVAL: Duration = Duration::from_millis(20);

/// The pause between two rounds of killing, as a multiple of how long a round took: a
/// round reads the whole process table.
const KILL_COST: u32 = 4;

/// The most children that are reaped before orders, timeouts and leases are looked at
/// again: a job may fork faster than they can be reaped.
const MAX_REAPED: u32 = 1000;

/// What ends a job that does not end by itself.
#[derive(Debug)]
pub(crate) struct Limits<'a> {
    /// The longest it may run, pauses not counted.
    pub(crate) timeout: Option<Duration>,
    /// The most memory that all its processes may use, bytes; 0 for any amount.
    pub(crate) memory: u64,
    /// What the kernel has ended for want of memory.
    pub(crate) kernel_kills: &'a mut KernelKills,
    /// Its run's lease.
    pub(crate) lease: Option<Renewals<'a>>,
    /// When that ends.
    pub(crate) lease_end: Option<LeaseEnd>,
}

/// A job whose shell runs.
#[derive(Debug)]
pub(crate) struct Running<'a> {
    orders: Orders<'a>,
    shell: u32,
    /// What has the shell's place, if it has none.
    direct: Option<Direct>,
    phase: Phase,
    /// When its timeout is over.
    deadline: Option<Instant>,
    /// How long its run's lease permits it to run.
    lease_timer: LeaseTimer<'a>,
    memory: MemoryWatch,
    kernel_kills: &'a mut KernelKills,
    /// Since when it is paused.
    paused: Option<Instant>,
    /// Why gjob ends it.
    cause: Option<Cause>,
    exit: Option<Reaped>,
    /// True when there may be more to be reaped.
    has_more: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    /// TERM was sent.
    Ending {
        kill_at: Instant,
    },
    /// KILL was sent.
    Killing {
        give_up_at: Instant,
        again_at: Instant,
    },
}

/// How a job ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Its shell's end; none when that could not be ended.
    pub(crate) exit: Option<Reaped>,
    /// Why gjob ended it, if it did.
    pub(crate) cause: Option<Cause>,
    /// The most memory that its processes were seen to use together, KiB; 0 when nobody looked.
    pub(crate) peak_kib: u64,
    /// Processes that could not be ended.
    pub(crate) survivors: Vec<u32>,
    /// False when something could not be ended, be it seen or not.
    pub(crate) is_clean: bool,
    /// The shim that ran it, if that is left.
    pub(super) shim: Option<Shim>,
}

impl<'a> Running<'a> {
    /// A job that has just been started.
    pub(crate) fn new(
        orders: Orders<'a>,
        shell: u32,
        direct: Option<Direct>,
        limits: Limits<'a>,
    ) -> Self {
        Running {
            orders,
            shell,
            direct,
            phase: Phase::Running,
            deadline: limits.timeout.and_then(|timeout| Instant::now().checked_add(timeout)),
            lease_timer: LeaseTimer::new(limits.lease, limits.lease_end),
            memory: MemoryWatch::new(limits.memory),
            kernel_kills: limits.kernel_kills,
            paused: None,
            cause: None,
            exit: None,
            has_more: false,
        }
    }

    /// Waits for its end. `meanwhile` is called again after the time that it gives.
    pub(crate) fn wait(
        mut self,
        signals: &Signals,
        mut meanwhile: impl FnMut() -> Option<Duration>,
    ) -> io::Result<Outcome> {
        loop {
            if self.take_end_of_direct() {
                let outcome = self.outcome(true);
                return Ok(Outcome { shim: self.free_shim(), ..outcome });
            }
            let alive = self.reap_some()?;
            if self.exit.is_some() && !alive || self.gives_up() {
                return Ok(self.outcome(!alive));
            }
            if signals.take_control() {
                self.handle_orders();
                self.lease_timer.refresh();
            }
            if let Some((cause, ago)) = self.lease_timer.has_run_out() {
                // It is begun elsewhere soon, whether or not this machine was asleep.
                self.end_for(cause, LEASE_GRACE.saturating_sub(ago));
            }
            if self.exit.is_none() && self.phase == Phase::Running && self.memory.is_exceeded() {
                self.end_for(Cause::Memory, Duration::ZERO);
            }
            self.advance();
            let limits = [self.time_left(), self.lease_timer.time_left(), meanwhile()];
            let shim = self.direct.as_ref().filter(|_| self.exit.is_none());
            let shim = shim.map(|direct| direct.shim.pollable());
            let others = self.lease_timer.pollable().into_iter().chain(shim);
            signals.wait_with(limits.into_iter().flatten().min(), others);
        }
    }

    fn outcome(&mut self, is_clean: bool) -> Outcome {
        let survivors = if is_clean {
            Vec::new()
        } else {
            let table = processes::table();
            let below = processes::descendants(&table, &[std::process::id()]);
            // Children are known even where the table does not show others' processes.
            let mut pids = processes::hidden_children(&table);
            pids.extend(below.iter().map(|process| process.pid));
            pids.sort_unstable();
            pids
        };
        let exit = self.exit.map(|exit| match &self.direct {
            Some(direct) if exit.pid == self.shell => direct.end_of_shim(exit),
            Some(_) | None => exit,
        });
        let kernel_kills = &mut self.kernel_kills;
        let by_kernel = exit.filter(|exit| kernel_kills.explain(exit));
        let cause = self.cause.or(by_kernel.map(|_| Cause::Memory));
        let peak_kib = self.memory.peak_kib();
        Outcome { exit, cause, peak_kib, survivors, is_clean, shim: None }
    }

    /// Takes note of what its shim says. True when the job has ended and left nothing.
    fn take_end_of_direct(&mut self) -> bool {
        let Some(direct) = self.direct.as_mut().filter(|_| self.exit.is_none()) else {
            return false;
        };
        let Some(ended) = direct.shim.take_end() else { return false };
        let exit = if self.cause.is_none() { direct.as_of_shell(ended) } else { ended.child };
        self.exit = Some(exit);
        ended.is_all
    }

    /// The shim, for the next job. One that may have been signalled is ended.
    fn free_shim(&mut self) -> Option<Shim> {
        let shim = self.direct.take()?.shim;
        if self.phase == Phase::Running && self.paused.is_none() {
            return Some(shim);
        }
        shim.dismiss();
        None
    }

    /// Reaps children that have ended; true when any may be left.
    fn reap_some(&mut self) -> io::Result<bool> {
        for _ in 0..MAX_REAPED {
            match reap()? {
                // A shim ends after its command, if it says how that has ended.
                Reap::Child(child) if child.pid == self.shell => {
                    self.exit.get_or_insert(child);
                }
                // Another process of the job, whose parent has ended.
                Reap::Child(child) => {
                    self.direct.iter_mut().for_each(|direct| direct.note_reaped(child));
                }
                Reap::NoneYet => return Ok(true),
                Reap::NoChildren => return Ok(false),
            }
        }
        self.has_more = true;
        Ok(true)
    }

    fn gives_up(&self) -> bool {
        matches!(self.phase, Phase::Killing { give_up_at, .. } if Instant::now() >= give_up_at)
    }

    /// Does what is due.
    fn advance(&mut self) {
        let now = Instant::now();
        match self.phase {
            Phase::Running if self.exit.is_some() => self.end(LEFTOVER_GRACE),
            Phase::Running => {
                if self.paused.is_none() && self.deadline.is_some_and(|deadline| now >= deadline) {
                    self.cause = Some(Cause::Timeout);
                    self.end(TIMEOUT_GRACE);
                }
            }
            Phase::Ending { kill_at } => {
                if now >= kill_at {
                    self.kill(now + KILL_TIMEOUT);
                }
            }
            Phase::Killing { give_up_at, again_at } => {
                if now >= again_at {
                    self.kill(give_up_at);
                }
            }
        }
    }

    /// Kills it, until it is given up.
    fn kill(&mut self, give_up_at: Instant) {
        let began = Instant::now();
        self.signal(Signal::KILL);
        let again_at = Instant::now() + KILL_INTERVAL.max(KILL_COST * began.elapsed());
        self.phase = Phase::Killing { give_up_at, again_at };
    }

    /// Begins to end it.
    fn end(&mut self, grace: Duration) {
        self.phase = Phase::Ending { kill_at: Instant::now() + grace };
        self.signal(Signal::TERM);
        // A stopped process could not act on it.
        self.signal(Signal::CONT);
        self.paused = None;
    }

    fn time_left(&mut self) -> Option<Duration> {
        let now = Instant::now();
        if std::mem::take(&mut self.has_more) {
            return Some(Duration::ZERO);
        }
        match self.phase {
            Phase::Running if self.paused.is_some() => None,
            Phase::Running => {
                let deadline = self.deadline.map(|at| at.saturating_duration_since(now));
                deadline.into_iter().chain(self.memory.time_left()).min()
            }
            Phase::Ending { kill_at } => Some(kill_at.saturating_duration_since(now)),
            Phase::Killing { again_at, .. } => Some(again_at.saturating_duration_since(now)),
        }
    }

    fn handle_orders(&mut self) {
        let orders = self.orders;
        orders.handle(|order| match order {
            Order::Kill { cause, grace } => self.end_for(cause, grace),
            Order::Pause => self.pause(),
            Order::Resume => self.resume(),
        });
    }

    /// Begins to end it for a reason of gjob's, or brings its end forward.
    fn end_for(&mut self, cause: Cause, grace: Duration) {
        match self.phase {
            Phase::Running => {
                if self.exit.is_none() {
                    self.cause = Some(cause);
                }
                self.end(grace);
            }
            // The second reason may leave less time than the first.
            Phase::Ending { kill_at } => {
                let kill_at = kill_at.min(Instant::now() + grace);
                self.phase = Phase::Ending { kill_at };
            }
            Phase::Killing { .. } => {}
        }
    }

    /// Stops it, and the clock of its timeout.
    fn pause(&mut self) {
        if self.phase == Phase::Running && self.paused.is_none() {
            self.signal(Signal::STOP);
            self.paused = Some(Instant::now());
        }
    }

    fn resume(&mut self) {
        if let Some(since) = self.paused.take() {
            self.deadline = self.deadline.map(|deadline| deadline + since.elapsed());
            self.signal(Signal::CONT);
        }
    }

    /// Signals, once each, the shell's process group and everything else that
    /// descends from this slot.
    fn signal(&self, signal: Signal) {
        // Until the shell is reaped, its pid and its group cannot be another's.
        let group = if self.exit.is_none() { self.shell } else { 0 };
        if let Some(group) = Pid::from_raw(group as i32) {
            // It may just have ended.
            let _ = kill_process_group(group, signal);
        }
        let table = processes::table();
        let mut others = processes::descendants(&table, &[std::process::id()]);
        others.retain(|process| {
            table.get(&process.pid).is_some_and(|stat| group == 0 || stat.group != group)
        });
        // A process that cannot be signalled is named as a survivor in the end.
        processes::signal_all(&others, signal);
        processes::hidden_children(&table)
            .into_iter()
            .for_each(|child| processes::signal_child(child, signal));
    }
}
