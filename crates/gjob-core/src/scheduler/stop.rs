//! When a run is over, and how it is brought to an end.

use std::time::Duration;

use super::Scheduler;
use super::action::Action;
use super::job::JobState;
use crate::event::{HostChange, RunEnd, RunEvent, What};
use crate::halt::{Halt, HaltHow};
use crate::order::Order;
use crate::outcome::Cause;
use crate::run::{HostIx, HostStatus};

/// Whether the run continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Jobs are dispatched.
    Running,
    /// Only what users ask of jobs is done; the run does not end by itself.
    Acting,
    /// No more jobs are dispatched; those in flight run to their ends. Then the run ends
    /// for this reason.
    Draining(RunEnd),
    /// No more jobs are dispatched; those in flight are ended. Then the run ends for this
    /// reason.
    Interrupting(RunEnd),
    /// Jobs have ended as far as they will. What was set up is torn down; then the run
    /// ends for this reason.
    Closing(RunEnd),
    /// It is over.
    Stopped,
}

impl Scheduler {
    /// A user interrupts the run: nothing more starts, what runs is ended, and
    /// waits again for a later manager to resume the run.
    pub fn handle_interrupt(&mut self, now: Duration) {
        match self.mode {
            Mode::Stopped | Mode::Closing(_) | Mode::Interrupting(RunEnd::Interrupted) => return,
            // What runs is being ended, for another reason.
            Mode::Interrupting(_) => self.mode = Mode::Interrupting(RunEnd::Interrupted),
            Mode::Running | Mode::Acting | Mode::Draining(_) => {
                let running = self.count_in_flight();
                self.emit(What::Run(RunEvent::Interrupted { running }));
                self.end_in_flight(RunEnd::Interrupted);
            }
        }
        self.settle(now);
    }

    fn count_in_flight(&self) -> u32 {
        self.run.hosts().iter().map(|host| host.in_flight().count() as u32).sum()
    }

    /// Nothing more starts, what runs is ended and waits again, and then the run is over.
    fn end_in_flight(&mut self, end: RunEnd) {
        self.mode = Mode::Interrupting(end);
        for (host, entry) in (0..).map(HostIx).zip(self.run.hosts()) {
            let awaited = entry.in_flight().map(|index| self.run.jobs()[index as usize].last_key());
            for key in awaited.chain(entry.abandoned()) {
                let order = Order::kill(Cause::Interrupted);
                self.out.push_back(Action::Order { host, key, order });
                self.orders.note_sent(host, key);
            }
        }
        self.kill_setups();
    }

    /// True while what runs is being ended.
    pub(super) fn is_interrupting(&self) -> bool {
        matches!(self.mode, Mode::Interrupting(_))
    }

    /// The manager exits; its jobs continue without it. With none left the run is
    /// complete.
    pub fn handle_leave(&mut self) {
        match (self.mode, self.run.tally().left()) {
            (Mode::Stopped, _) => {}
            (Mode::Closing(end), _) => self.stop(end),
            (_, 0) => self.stop(RunEnd::Complete),
            (_, 1..) => self.stop(RunEnd::Left),
        }
    }

    /// From now on only what users ask of jobs is done, for however long that
    /// takes: nothing is dispatched, no host is lost, the run does not end.
    pub fn act_only(&mut self) {
        self.mode = Mode::Acting;
    }

    /// True until some host has answered, as long as one still might, and every one
    /// was tried in vain.
    pub(super) fn nobody_answered(&self) -> bool {
        let totals = self.hosts.totals();
        let all = self.run.hosts().len() as u64;
        totals.reached == 0 && totals.connecting == 0 && totals.out + totals.drained < all
    }

    /// Until when a first answer is waited for.
    pub(super) fn patience_end(&self) -> Duration {
        self.last_progress + self.config.connect_timeout
    }

    /// Withdraws all that was assigned and is not known to have started.
    fn withdraw_unstarted(&mut self, now: Duration) {
        for host in (0..self.run.hosts().len() as u32).map(HostIx) {
            let jobs: Vec<u32> = self.run.hosts()[host.at()].in_flight().collect();
            for index in jobs {
                if matches!(self.state(index), JobState::Assigned { .. }) {
                    self.withdraw(now, host, index);
                }
            }
        }
    }

    /// A user changes when the run is ended early; one that is ending for the limit as it was
    /// goes on. One whose jobs are being killed, or whose hosts are torn down, does when that
    /// is done.
    pub fn handle_new_halt(&mut self, now: Duration, halt: Option<Halt>) {
        self.config.halt = halt;
        self.hosts.set_may_run_ahead(&self.run, halt.is_none());
        self.emit(What::Run(RunEvent::HaltChanged { halt }));
        match self.mode {
            Mode::Draining(_) => self.mode = Mode::Running,
            // What runs is killed, and waits again, before that.
            Mode::Interrupting(end) | Mode::Closing(end) => {
                self.goes_on |= matches!(end, RunEnd::MaxFails | RunEnd::Enough);
            }
            Mode::Running | Mode::Acting | Mode::Stopped => {}
        }
        self.settle(now);
    }

    /// A host is there for jobs again: a run that ends since there was none goes on.
    pub(super) fn go_on_with_host(&mut self) {
        match self.mode {
            Mode::Closing(RunEnd::NoHosts) => self.goes_on = true,
            Mode::Closing(_)
            | Mode::Interrupting(_)
            | Mode::Draining(_)
            | Mode::Running
            | Mode::Acting
            | Mode::Stopped => {}
        }
    }

    /// Why a change of the run would have no effect before another manager resumes it; none
    /// while it has.
    #[must_use]
    pub fn is_past_changes(&self) -> Option<&'static str> {
        match self.mode {
            Mode::Interrupting(RunEnd::Interrupted | RunEnd::Left)
            | Mode::Closing(RunEnd::Interrupted | RunEnd::Left) => Some("is being interrupted"),
            Mode::Stopped => Some("is ending"),
            Mode::Running
            | Mode::Acting
            | Mode::Draining(_)
            | Mode::Interrupting(
                RunEnd::Complete | RunEnd::MaxFails | RunEnd::Enough | RunEnd::NoHosts,
            )
            | Mode::Closing(
                RunEnd::Complete | RunEnd::MaxFails | RunEnd::Enough | RunEnd::NoHosts,
            ) => None,
        }
    }

    /// Fewer jobs have failed than it seemed.
    pub(super) fn resume_after_failures(&mut self) {
        if self.mode == Mode::Draining(RunEnd::MaxFails) {
            self.mode = Mode::Running;
        }
    }

    /// Ends the run once as many jobs have failed, or are done, as is to be.
    pub(super) fn check_limit(&mut self, now: Duration) {
        let Some(halt) = self.config.halt.filter(|_| self.mode == Mode::Running) else { return };
        let tally = self.run.tally();
        let count = halt.count(tally.error - self.untried, tally.done);
        if count < halt.enough(self.run.jobs().len() as u32) {
            return;
        }
        let end = halt.end();
        match halt.how {
            HaltHow::Soon => {
                self.mode = Mode::Draining(end);
                self.withdraw_unstarted(now);
            }
            HaltHow::Now => {
                let running = self.count_in_flight();
                self.emit(What::Run(RunEvent::Halting { end, running }));
                self.end_in_flight(end);
            }
        }
    }

    pub(super) fn stop_if_over(&mut self, now: Duration) {
        if let Mode::Closing(end) = self.mode {
            self.close_hosts(now, end);
        } else if let Some(end) = self.reason_to_stop(now) {
            self.begin_to_close(now, end);
        }
    }

    pub(super) fn stop(&mut self, end: RunEnd) {
        self.mode = Mode::Stopped;
        if end == RunEnd::NoHosts {
            self.count_failed_contacts();
        }
        let jobs = self.run.tally();
        self.emit(What::Run(RunEvent::Ended { end, jobs }));
        self.out.push_back(Action::Stop(end));
    }

    /// Says how often the hosts that never answered were tried: each failure was
    /// reported once only.
    fn count_failed_contacts(&mut self) {
        for host in (0..self.run.hosts().len() as u32).map(HostIx) {
            let reason = self.run.hosts()[host.at()].reason.clone();
            let tries = self.hosts.contacts(host, |contacts| contacts.count()).unwrap_or(0);
            let is_unreachable = self.run.hosts()[host.at()].status == HostStatus::Unreachable;
            if let (Some(reason), true, 2..) = (reason, is_unreachable, tries) {
                let reason = format!("{reason} ({tries} attempts)");
                self.emit_host(host, HostChange::Unreachable { reason });
            }
        }
    }

    fn reason_to_stop(&self, now: Duration) -> Option<RunEnd> {
        if matches!(self.mode, Mode::Stopped | Mode::Acting | Mode::Closing(_)) {
            return None;
        }
        let (jobs, hosts) = (self.run.tally(), self.hosts.totals());
        if jobs.left() == 0 {
            // What has failed, as far as is known here, may have been retried.
            let may_be_retried = jobs.failed() > 0 && self.may_adopt();
            return (!may_be_retried).then_some(RunEnd::Complete);
        }
        let all_out = hosts.stuck == u64::from(jobs.busy);
        match self.mode {
            // Jobs on hosts that are out of the run cannot be waited for.
            Mode::Draining(end) if jobs.busy == 0 || (all_out && self.losses.is_empty()) => {
                return Some(end);
            }
            // Jobs on a host that does not answer cannot be waited for.
            Mode::Interrupting(end)
                if hosts.in_reach == 0
                    && !self.any_task_in_reach()
                    && self.reopening.is_empty() =>
            {
                return Some(end);
            }
            Mode::Running
            | Mode::Acting
            | Mode::Draining(_)
            | Mode::Interrupting(_)
            | Mode::Closing(_)
            | Mode::Stopped => {}
        }
        // What is left is on hosts that are out of the run.
        let none_starts = jobs.free == self.dependants.blocked || self.adopts_in_vain();
        let all_stuck = none_starts && self.losses.is_empty() && all_out;
        let too_long = self.nobody_answered() && hosts.in_reach == 0 && now >= self.patience_end();
        let no_use = hosts.out + hosts.futile + hosts.drained == self.run.hosts().len() as u64;
        (no_use || all_stuck || too_long).then_some(RunEnd::NoHosts)
    }
}
