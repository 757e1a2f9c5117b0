//! What users ask of single jobs: kill, pause, resume, retry. Nothing is
//! dispatched and no run is over before [`Scheduler::settle`]: what is asked of
//! several jobs takes effect as one.

use std::collections::HashSet;
use std::time::Duration;

use super::Scheduler;
use super::action::Action;
use super::job::{JobState, Wait};
use crate::event::{JobChange, RunEvent, What};
use crate::id::Key;
use crate::job::Job;
use crate::order::Order;
use crate::outcome::Cause;
use crate::run::HostIx;
use crate::state::State;

impl Scheduler {
    /// A user kills a job, now or as soon as its host can be reached, and with
    /// it what is left of abandoned attempts. False if nothing is left to kill.
    pub fn handle_kill(&mut self, index: u32) -> bool {
        let Some(key) = self.run.job(index).map(crate::Job::last_key) else { return false };
        let killed = || Some(Cause::Killed.to_string());
        match self.state(index) {
            JobState::Ended(_) => {
                self.end_abandoned(index);
                return !self.run.abandoned(index).is_empty();
            }
            // A host may have begun it.
            JobState::Waiting(_) if self.is_adopting() => {
                if !self.job(index).kill {
                    self.emit_job(key, JobChange::KillRequested);
                }
            }
            JobState::Waiting(_) => self.end_job(index, State::Error, killed()),
            JobState::Collecting { host, attempt } => {
                let key = Key::new(index, attempt);
                self.out.push_back(Action::ForgetOutputs { host, key });
                self.end_job_by(key, State::Error, killed());
            }
            JobState::Assigned { host, .. }
            | JobState::Running { host }
            | JobState::Withdrawing { host } => {
                if !self.job(index).kill {
                    self.emit_job(key, JobChange::KillRequested);
                }
                if self.answers(host) {
                    self.order(host, key, Order::kill(Cause::Killed));
                }
                self.end_abandoned(index);
            }
        }
        true
    }

    /// The attempts of a job that may be alive, with their hosts: the one that
    /// is waited for, and abandoned ones.
    #[must_use]
    pub fn attempts_left(&self, index: u32) -> Vec<(HostIx, Key)> {
        self.run.live_attempts(index)
    }

    /// True when a user has killed a job that has no outcome yet.
    #[must_use]
    pub fn is_kill_pending(&self, index: u32) -> bool {
        self.run.job(index).is_some_and(|job| job.kill && !job.has_ended())
    }

    /// A user pauses a job: it does not start, or its processes are stopped.
    /// False if it has its outcome, is being killed, is paused already, or does
    /// not exist.
    pub fn handle_pause(&mut self, index: u32) -> bool {
        let Some(job) = self.run.job(index) else { return false };
        if job.paused || job.kill || job.phase.is_settled() {
            return false;
        }
        let key = job.last_key();
        self.emit_job(key, JobChange::Paused);
        match self.state(index) {
            JobState::Waiting(Wait::Ready | Wait::Delayed) => {
                self.forget_waiting(index);
                self.set_wait(index, Wait::Held);
            }
            JobState::Running { host } if self.answers(host) => {
                self.order(host, key, Order::Pause);
            }
            // Stopped as soon as it is known to run.
            JobState::Running { .. } | JobState::Assigned { .. } | JobState::Withdrawing { .. } => {
            }
            JobState::Waiting(Wait::Undecided | Wait::Blocked | Wait::Held | Wait::Inputs)
            | JobState::Collecting { .. }
            | JobState::Ended(_) => {}
        }
        true
    }

    /// A user resumes a job. False if it was not paused, or is being killed.
    pub fn handle_resume(&mut self, index: u32) -> bool {
        let Some(job) = self.run.job(index) else { return false };
        if job.kill || !job.paused {
            return false;
        }
        let key = job.last_key();
        self.emit_job(key, JobChange::Resumed);
        match self.state(index) {
            JobState::Waiting(Wait::Held) => self.requeue(index),
            JobState::Running { host } if self.answers(host) => {
                self.order(host, key, Order::Resume);
            }
            JobState::Running { .. }
            | JobState::Assigned { .. }
            | JobState::Withdrawing { .. }
            | JobState::Waiting(
                Wait::Undecided | Wait::Blocked | Wait::Ready | Wait::Delayed | Wait::Inputs,
            )
            | JobState::Collecting { .. }
            | JobState::Ended(_) => {}
        }
        true
    }

    /// A user retries a job that is not `done`, and with it the jobs that failed
    /// since they wait for it: these are returned with it. None if it is done, has no
    /// outcome yet, or does not exist.
    pub fn handle_retry(&mut self, index: u32) -> Vec<u32> {
        let mut reopened = Vec::new();
        if self.job_exists(index) && self.reopen(index) {
            reopened.push(index);
        }
        let mut next = 0;
        while let Some(index) = reopened.get(next).copied() {
            for dependant in self.dependants.of(index) {
                if self.has_failed_untried(dependant)
                    && self.failed_dependency(dependant).is_none()
                    && self.reopen(dependant)
                {
                    reopened.push(dependant);
                }
            }
            next += 1;
        }
        if !reopened.is_empty() {
            self.resume_after_failures();
        }
        reopened
    }

    /// Input files were replaced: what is assigned from now on gets the new ones. What was
    /// assigned with the old ones, and has not started, is taken back.
    pub fn handle_new_files(&mut self, now: Duration, files: Vec<String>) {
        let replaced: HashSet<&String> = files.iter().collect();
        let has_replaced = |job: &Job| job.spec.files.iter().any(|file| replaced.contains(file));
        let unstarted: Vec<u32> = (0..self.run.hosts().len() as u32)
            .flat_map(|host| self.run.hosts()[host as usize].in_flight())
            .filter(|index| self.run.job(*index).is_some_and(has_replaced))
            .collect();
        let revision = self.run.revision() + 1;
        self.emit(What::Run(RunEvent::FilesReplaced { revision, files }));
        for index in unstarted {
            if let JobState::Assigned { host, .. } = self.state(index) {
                self.withdraw(now, host, index);
            }
        }
    }

    fn reopen(&mut self, index: u32) -> bool {
        let JobState::Ended(State::Error | State::Unknown) = self.state(index) else {
            return false;
        };
        self.jobs[index as usize].host_failures = 0;
        self.emit_job(self.job(index).last_key(), JobChange::Reopened);
        self.note_reopened(index);
        self.requeue(index);
        true
    }

    fn job_exists(&self, index: u32) -> bool {
        self.run.job(index).is_some()
    }
}
