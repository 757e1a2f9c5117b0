//! When a run is over, and how it is brought to an end.

use std::time::Duration;

use super::action::{Action, HostIx};
use super::job::JobState;
use super::{EventKind, Key, RunEnd, Scheduler};
use crate::outcome::Cause;

/// Whether the run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Jobs are given out.
    Running,
    /// Only what users ask of jobs is done; the run is not over by itself.
    Acting,
    /// No more jobs are given out; those in flight run to their ends.
    Draining,
    /// No more jobs are given out; those in flight are ended.
    Interrupting,
    /// It is over.
    Stopped,
}

impl Scheduler {
    /// A user interrupts the run: nothing more is started, what runs is ended,
    /// and goes back to waiting for whoever takes the run up again.
    pub fn handle_interrupt(&mut self, now: Duration) {
        if matches!(self.mode, Mode::Stopped | Mode::Interrupting) {
            return;
        }
        self.mode = Mode::Interrupting;
        for (at, host) in self.hosts.iter().enumerate() {
            let ix = HostIx(at as u32);
            for index in host.in_flight() {
                let key = Key::new(index, self.jobs[index as usize].attempt);
                self.out.push_back(Action::Kill { host: ix, key, cause: Cause::Interrupted });
            }
        }
        self.settle(now);
    }

    /// The manager is to go; its jobs go on without it. With none left the run
    /// is complete.
    pub fn handle_leave(&mut self) {
        match (self.mode, self.tally.left()) {
            (Mode::Stopped, _) => {}
            (_, 0) => self.stop(RunEnd::Complete),
            (_, 1..) => self.stop(RunEnd::Left),
        }
    }

    /// From now on only what users ask of jobs is done, for however long that
    /// takes: nothing is given out, no host is lost, the run is not over.
    pub fn act_only(&mut self) {
        self.mode = Mode::Acting;
    }

    /// True until some host has answered, so long as one still might.
    pub(super) fn nobody_answered(&self) -> bool {
        self.census.reached == 0 && !self.all_out()
    }

    fn all_out(&self) -> bool {
        self.census.out == self.hosts.len() as u64
    }

    /// Takes back all that was given out and is not known to have begun.
    fn withdraw_unstarted(&mut self) {
        for at in 0..self.hosts.len() {
            let host = HostIx(at as u32);
            let jobs: Vec<u32> = self.hosts[at].in_flight().collect();
            for index in jobs {
                if matches!(self.jobs[index as usize].state, JobState::Assigned { .. }) {
                    let key = Key::new(index, self.jobs[index as usize].attempt);
                    self.set_job_state(index, JobState::Withdrawing { host });
                    self.out.push_back(Action::Withdraw { host, key });
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

    /// Starts no more jobs once as many have failed as may.
    pub(super) fn heed_failures(&mut self) {
        let failed = self.tally.error - self.untried;
        let too_many = self.config.max_fails.is_some_and(|most| failed >= most);
        if too_many && self.mode == Mode::Running {
            self.mode = Mode::Draining;
            self.withdraw_unstarted();
        }
    }

    pub(super) fn stop_if_over(&mut self, now: Duration) {
        if let Some(end) = self.reason_to_stop(now) {
            self.stop(end);
        }
    }

    fn stop(&mut self, end: RunEnd) {
        self.mode = Mode::Stopped;
        let tally = self.tally;
        self.emit(EventKind::RunEnded {
            end,
            done: tally.done,
            error: tally.error,
            unknown: tally.unknown,
            left: tally.left(),
        });
        self.out.push_back(Action::Stop(end));
    }

    fn reason_to_stop(&self, now: Duration) -> Option<RunEnd> {
        if matches!(self.mode, Mode::Stopped | Mode::Acting) {
            return None;
        }
        if self.tally.left() == 0 {
            return Some(RunEnd::Complete);
        }
        match self.mode {
            Mode::Draining if self.tally.busy == 0 => return Some(RunEnd::MaxFails),
            // What runs on a host that can't be asked can't be waited for.
            Mode::Interrupting if self.census.in_reach == 0 => return Some(RunEnd::Interrupted),
            Mode::Running | Mode::Acting | Mode::Draining | Mode::Interrupting | Mode::Stopped => {}
        }
        // What is left lies with hosts that nobody can ask.
        let all_stuck = self.tally.free == self.dependants.blocked
            && self.losses.is_empty()
            && self.census.stuck == u64::from(self.tally.busy);
        let too_long = self.nobody_answered() && now >= self.config.connect_patience;
        let no_use = self.census.out + self.census.useless == self.hosts.len() as u64;
        (no_use || all_stuck || too_long).then_some(RunEnd::NoHosts)
    }
}
