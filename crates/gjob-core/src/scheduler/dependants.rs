//! Jobs that wait for others: they are blocked until these are done, and fail
//! with them.

use std::collections::VecDeque;

use super::Scheduler;
use super::job::JobState;
use crate::dependency::Dependencies;
use crate::state::State;

/// What is known of the groups of jobs that are waited for.
#[derive(Debug, Default)]
pub(super) struct Dependants {
    dependencies: Dependencies,
    groups: Vec<Progress>,
    /// Jobs to be looked at: something they wait for has failed, or may have.
    doubtful: VecDeque<u32>,
    /// Jobs in state `Blocked`.
    pub(super) blocked: u32,
}

/// How far the members of a group are.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// Those that are not done.
    open: u32,
    /// Those of them that have ended otherwise.
    failed: u32,
    /// One of those, or one that was.
    culprit: u32,
}

impl Dependants {
    fn is_blocked(&self, index: u32) -> bool {
        self.waits(index).any(|(_, progress)| progress.open > 0)
    }

    /// The groups that a job waits for, with their numbers.
    fn waits(&self, index: u32) -> impl Iterator<Item = (u32, Progress)> + '_ {
        self.dependencies.waits(index).iter().map(|group| (*group, self.groups[*group as usize]))
    }
}

impl Scheduler {
    /// Sets which jobs wait for which others. To be called once, before any input.
    pub fn set_dependencies(&mut self, dependencies: Dependencies) {
        let progress = |members: &[u32]| {
            let mut progress = Progress::default();
            for member in members {
                let state = self.jobs[*member as usize].state;
                progress.open += u32::from(state != JobState::Ended(State::Done));
                if has_failed(state) {
                    progress.failed += 1;
                    progress.culprit = *member;
                }
            }
            progress
        };
        let groups = dependencies.groups().iter().map(|group| progress(&group.members)).collect();
        self.dependants = Dependants { dependencies, groups, ..Dependants::default() };
        for index in 0..self.jobs.len() as u32 {
            let waits =
                matches!(self.jobs[index as usize].state, JobState::Waiting | JobState::Held);
            if waits && self.is_blocked(index) {
                self.forget_waiting(index);
                self.set_job_state(index, JobState::Blocked);
                self.dependants.doubtful.push_back(index);
            }
        }
    }

    pub(super) fn is_blocked(&self, index: u32) -> bool {
        self.dependants.is_blocked(index)
    }

    /// A job has its outcome: who has waited for the last of a group goes on.
    pub(super) fn note_outcome(&mut self, index: u32, state: State) {
        let groups = self.dependants.dependencies.member_of(index).to_vec();
        for group in groups {
            let progress = &mut self.dependants.groups[group as usize];
            let members = &self.dependants.dependencies.groups()[group as usize];
            if state != State::Done {
                progress.failed += 1;
                if progress.failed == 1 {
                    progress.culprit = index;
                    self.dependants.doubtful.extend(&members.dependants);
                }
                continue;
            }
            progress.open -= 1;
            if progress.open == 0 {
                for dependant in members.dependants.clone() {
                    if self.jobs[dependant as usize].state == JobState::Blocked {
                        self.requeue(dependant);
                    }
                }
            }
        }
    }

    /// A job that had failed is to be done again.
    pub(super) fn note_reopened(&mut self, index: u32) {
        for group in self.dependants.dependencies.member_of(index) {
            self.dependants.groups[*group as usize].failed -= 1;
        }
        self.dependants.doubtful.push_back(index);
    }

    /// Fails the jobs that wait for what has failed, and those that wait for these.
    pub(super) fn fail_dependants(&mut self) {
        while let Some(index) = self.dependants.doubtful.pop_front() {
            if self.jobs[index as usize].state != JobState::Blocked {
                continue;
            }
            let failed = self.dependants.waits(index).find(|(_, progress)| progress.failed > 0);
            let Some((group, _)) = failed else { continue };
            let culprit = self.culprit(group);
            let reason = format!("dependency: job {culprit} is not done");
            self.end_job(index, State::Error, Some(reason));
        }
    }

    /// A member of a group that has failed.
    fn culprit(&mut self, group: u32) -> u32 {
        let last = self.dependants.groups[group as usize].culprit;
        let failed = |member: u32| has_failed(self.jobs[member as usize].state);
        if failed(last) {
            return last;
        }
        // That one is to be done again.
        let members = &self.dependants.dependencies.groups()[group as usize].members;
        let culprit = members.iter().copied().find(|member| failed(*member)).unwrap_or(last);
        self.dependants.groups[group as usize].culprit = culprit;
        culprit
    }
}

fn has_failed(state: JobState) -> bool {
    matches!(state, JobState::Ended(State::Error | State::Unknown))
}
