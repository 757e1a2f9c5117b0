//! When a run is over, and how it is brought to an end.

use std::time::Duration;

use super::Scheduler;
use super::action::Action;
use super::job::JobState;
use crate::event::{HostChange, RunEnd, RunEvent, What};
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
    /// No more jobs are dispatched; those in flight run to their ends.
    Draining,
    /// No more jobs are dispatched; those in flight are ended.
    Interrupting,
    /// It is over.
    Stopped,
}

impl Scheduler {
    /// A user interrupts the run: nothing more starts, what runs is ended, and
    /// waits again for a later manager to resume the run.
    pub fn handle_interrupt(&mut self, now: Duration) {
        if matches!(self.mode, Mode::Stopped | Mode::Interrupting) {
            return;
        }
        self.mode = Mode::Interrupting;
        let running = self.run.hosts().iter().map(|host| host.in_flight().count() as u32).sum();
        self.emit(What::Run(RunEvent::Interrupted { running }));
        for (host, entry) in (0..).map(HostIx).zip(self.run.hosts()) {
            let awaited = entry.in_flight().map(|index| self.run.jobs()[index as usize].last_key());
            for key in awaited.chain(entry.abandoned()) {
                let order = Order::kill(Cause::Interrupted);
                self.out.push_back(Action::Order { host, key, order });
                self.kills.note_sent(host, key);
            }
        }
        self.settle(now);
    }

    /// The manager exits; its jobs continue without it. With none left the run is
    /// complete.
    pub fn handle_leave(&mut self) {
        match (self.mode, self.run.tally().left()) {
            (Mode::Stopped, _) => {}
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
        totals.reached == 0 && totals.connecting == 0 && totals.out < all
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

    /// Fewer jobs have failed than it seemed.
    pub(super) fn resume_after_failures(&mut self) {
        if self.mode == Mode::Draining {
            self.mode = Mode::Running;
        }
    }

    /// Stops starting jobs once as many have failed as may.
    pub(super) fn check_failures(&mut self, now: Duration) {
        let failed = self.run.tally().error - self.untried;
        let too_many = self.config.max_fails.is_some_and(|most| failed >= most);
        if too_many && self.mode == Mode::Running {
            self.mode = Mode::Draining;
            self.withdraw_unstarted(now);
        }
    }

    pub(super) fn stop_if_over(&mut self, now: Duration) {
        if let Some(end) = self.reason_to_stop(now) {
            self.stop(end);
        }
    }

    fn stop(&mut self, end: RunEnd) {
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
        if matches!(self.mode, Mode::Stopped | Mode::Acting) {
            return None;
        }
        let (jobs, hosts) = (self.run.tally(), self.hosts.totals());
        if jobs.left() == 0 {
            return Some(RunEnd::Complete);
        }
        let all_out = hosts.stuck == u64::from(jobs.busy);
        match self.mode {
            // Jobs on hosts that are out of the run cannot be waited for.
            Mode::Draining if jobs.busy == 0 || (all_out && self.losses.is_empty()) => {
                return Some(RunEnd::MaxFails);
            }
            // Jobs on a host that does not answer cannot be waited for.
            Mode::Interrupting if hosts.in_reach == 0 => return Some(RunEnd::Interrupted),
            Mode::Running | Mode::Acting | Mode::Draining | Mode::Interrupting | Mode::Stopped => {}
        }
        // What is left is on hosts that are out of the run.
        let all_stuck = jobs.free == self.dependants.blocked && self.losses.is_empty() && all_out;
        let too_long = self.nobody_answered() && now >= self.patience_end();
        let no_use = hosts.out + hosts.futile == self.run.hosts().len() as u64;
        (no_use || all_stuck || too_long).then_some(RunEnd::NoHosts)
    }
}
