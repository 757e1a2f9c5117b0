//! What users ask of single jobs: end it, hold it, let it go on, do it again.
//! Nothing is given out and no run is over before [`Scheduler::settle`]: what
//! is asked of several jobs comes about as one.

use super::Scheduler;
use super::action::{Action, HostIx};
use super::job::JobState;
use crate::event::EventKind;
use crate::id::Key;
use crate::outcome::Cause;
use crate::state::State;

impl Scheduler {
    fn last_key(&self, index: u32) -> Option<Key> {
        self.jobs.get(index as usize).map(|job| Key::new(index, job.attempt))
    }

    /// A user ends a job, now or as soon as its host can be told, and with it
    /// what is left of attempts that were given up. False if there is nothing
    /// to be ended.
    pub fn handle_kill(&mut self, index: u32) -> bool {
        let Some(key) = self.last_key(index) else { return false };
        match self.jobs[index as usize].state {
            JobState::Ended(_) => {
                self.end_strays(index, None);
                return self.strays.contains_key(&index);
            }
            JobState::Blocked | JobState::Waiting | JobState::Delayed | JobState::Held => {
                self.end_job(index, State::Error, Some(Cause::Killed.to_string()));
            }
            JobState::Collecting { host, attempt } => {
                let key = Key::new(index, attempt);
                self.out.push_back(Action::ForgetOutputs { host, key });
                self.end_job_by(key, State::Error, Some(Cause::Killed.to_string()));
            }
            JobState::Assigned { host, .. }
            | JobState::Running { host }
            | JobState::Withdrawing { host } => {
                if !std::mem::replace(&mut self.jobs[index as usize].kill, true) {
                    self.emit(EventKind::JobKillAsked { key });
                }
                if self.hosts[host.at()].status.answers() {
                    self.out.push_back(Action::Kill { host, key, cause: Cause::Killed });
                }
                self.end_strays(index, None);
            }
        }
        true
    }

    /// The attempts of a job that may live, with their hosts: the one that is
    /// waited for, and those that were given up.
    #[must_use]
    pub fn attempts_left(&self, index: u32) -> Vec<(HostIx, Key)> {
        let Some(job) = self.jobs.get(index as usize) else { return Vec::new() };
        let awaited = job.state.host().map(|host| (host, job.attempt));
        let strays = self.strays.get(&index).into_iter().flatten().copied();
        let left = awaited.into_iter().chain(strays);
        left.map(|(host, attempt)| (host, Key::new(index, attempt))).collect()
    }

    /// True when a user wants a job ended that has no outcome yet.
    #[must_use]
    pub fn is_to_end(&self, index: u32) -> bool {
        self.jobs
            .get(index as usize)
            .is_some_and(|job| job.kill && !matches!(job.state, JobState::Ended(_)))
    }

    /// A user holds a job: it is not started, or what runs of it is stopped.
    /// False if it has its outcome, is to be ended, is held already, or is none.
    pub fn handle_pause(&mut self, index: u32) -> bool {
        let Some(key) = self.last_key(index) else { return false };
        let job = &mut self.jobs[index as usize];
        if job.paused || job.kill || job.state.is_settled() {
            return false;
        }
        (job.paused, job.resumed) = (true, false);
        self.emit(EventKind::JobPaused { key });
        match self.jobs[index as usize].state {
            JobState::Waiting | JobState::Delayed => {
                self.forget_waiting(index);
                self.set_job_state(index, JobState::Held);
            }
            JobState::Running { host } if self.hosts[host.at()].status.answers() => {
                self.out.push_back(Action::Pause { host, key });
            }
            // Stopped as soon as it is known to run.
            JobState::Running { .. } | JobState::Assigned { .. } | JobState::Withdrawing { .. } => {
            }
            JobState::Blocked
            | JobState::Held
            | JobState::Collecting { .. }
            | JobState::Ended(_) => {}
        }
        true
    }

    /// A user lets a job go on. False if it was not held, or is to be ended.
    pub fn handle_resume(&mut self, index: u32) -> bool {
        let Some(key) = self.last_key(index) else { return false };
        let job = &mut self.jobs[index as usize];
        if job.kill || !std::mem::take(&mut job.paused) {
            return false;
        }
        self.emit(EventKind::JobResumed { key });
        match self.jobs[index as usize].state {
            JobState::Held => self.requeue(index),
            JobState::Running { host } => {
                self.jobs[index as usize].resumed = true;
                if self.hosts[host.at()].status.answers() {
                    self.out.push_back(Action::Resume { host, key });
                }
            }
            JobState::Assigned { .. }
            | JobState::Withdrawing { .. }
            | JobState::Blocked
            | JobState::Waiting
            | JobState::Delayed
            | JobState::Collecting { .. }
            | JobState::Ended(_) => {}
        }
        true
    }

    /// A user wants a job done again that is not `done`. False if it is done,
    /// has no outcome yet, or is none.
    pub fn handle_retry(&mut self, index: u32) -> bool {
        let Some(key) = self.last_key(index) else { return false };
        let job = &mut self.jobs[index as usize];
        let JobState::Ended(State::Error | State::Unknown) = job.state else { return false };
        (job.failures, job.host_failures, job.kill, job.paused) = (0, 0, false, false);
        self.emit(EventKind::JobReopened { key });
        self.note_reopened(index);
        self.requeue(index);
        self.resume_after_failures();
        true
    }
}
