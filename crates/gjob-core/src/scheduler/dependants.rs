//! Jobs that wait for others: they are blocked until these are done, and fail
//! with them.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Scheduler;
use super::job::Wait;
use crate::dependency::Dependencies;
use crate::job::Phase;
use crate::run::Run;
use crate::state::State;

/// What is known of the groups of jobs that are waited for.
#[derive(Debug)]
pub(super) struct Dependants {
    dependencies: Arc<Dependencies>,
    groups: Vec<Progress>,
    /// Jobs to be rechecked: a dependency of theirs has failed, or may have.
    recheck: VecDeque<u32>,
    /// Jobs that are blocked.
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
    failed_member: u32,
}

impl Dependants {
    pub(super) fn new(run: &Run) -> Self {
        let dependencies = Arc::clone(run.dependencies());
        let progress = |members: &[u32]| {
            let mut progress = Progress::default();
            for job in members.iter().filter_map(|member| run.job(*member)) {
                progress.open += u32::from(job.phase != Phase::Ended(State::Done));
                if job.has_failed() {
                    progress.failed += 1;
                    progress.failed_member = job.index;
                }
            }
            progress
        };
        let groups = dependencies.groups().iter().map(|group| progress(&group.members)).collect();
        Dependants { dependencies, groups, recheck: VecDeque::new(), blocked: 0 }
    }

    pub(super) fn is_blocked(&self, index: u32) -> bool {
        self.waits(index).any(|(_, progress)| progress.open > 0)
    }

    /// Looks at a job again: a dependency of it may have failed.
    pub(super) fn recheck(&mut self, index: u32) {
        self.recheck.push_back(index);
    }

    /// The jobs that wait for one, without those that wait for these.
    pub(super) fn of(&self, index: u32) -> Vec<u32> {
        let groups = self.dependencies.member_of(index).iter();
        let groups = groups.map(|group| &self.dependencies.groups()[*group as usize]);
        groups.flat_map(|group| group.dependants.iter().copied()).collect()
    }

    /// The groups that a job waits for, with their numbers.
    fn waits(&self, index: u32) -> impl Iterator<Item = (u32, Progress)> + '_ {
        self.dependencies.waits(index).iter().map(|group| (*group, self.groups[*group as usize]))
    }
}

impl Scheduler {
    /// A job has its outcome: jobs that waited for the last of a group continue.
    pub(super) fn note_outcome(&mut self, index: u32, state: State) {
        let dependencies = Arc::clone(&self.dependants.dependencies);
        for group in dependencies.member_of(index) {
            let progress = &mut self.dependants.groups[*group as usize];
            let members = &dependencies.groups()[*group as usize];
            if state != State::Done {
                progress.failed += 1;
                if progress.failed == 1 {
                    progress.failed_member = index;
                    self.dependants.recheck.extend(&members.dependants);
                }
                continue;
            }
            progress.open -= 1;
            if progress.open == 0 {
                for dependant in &members.dependants {
                    if self.is_waiting_blocked(*dependant) {
                        self.requeue(*dependant);
                    }
                }
            }
        }
    }

    fn is_waiting_blocked(&self, index: u32) -> bool {
        self.jobs[index as usize].wait == Wait::Blocked
    }

    /// A job that had failed runs again.
    pub(super) fn note_reopened(&mut self, index: u32) {
        for group in self.dependants.dependencies.member_of(index) {
            self.dependants.groups[*group as usize].failed -= 1;
        }
        self.dependants.recheck(index);
    }

    /// Fails the jobs that wait for what has failed, and those that wait for these.
    pub(super) fn fail_dependants(&mut self) {
        while let Some(index) = self.dependants.recheck.pop_front() {
            if !self.is_waiting_blocked(index) {
                continue;
            }
            let Some(member) = self.failed_dependency(index) else { continue };
            let reason = format!("dependency: {} is not done", self.run.job_title(member));
            self.end_job(index, State::Error, Some(reason));
        }
    }

    /// A job that has failed and must be done before this one.
    pub fn failed_dependency(&mut self, index: u32) -> Option<u32> {
        self.run.job(index)?;
        let failed = self.dependants.waits(index).find(|(_, progress)| progress.failed > 0);
        let (group, _) = failed?;
        Some(self.failed_member(group))
    }

    /// A member of a group that has failed.
    fn failed_member(&mut self, group: u32) -> u32 {
        let last = self.dependants.groups[group as usize].failed_member;
        let failed = |member: u32| self.job(member).has_failed();
        if failed(last) {
            return last;
        }
        // That one is being retried.
        let members = &self.dependants.dependencies.groups()[group as usize].members;
        let found = members.iter().copied().find(|member| failed(*member)).unwrap_or(last);
        self.dependants.groups[group as usize].failed_member = found;
        found
    }
}
