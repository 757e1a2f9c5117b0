//! A run as one value: its jobs, its hosts, and how many jobs are in which state.
//! Everything that is known of a run follows from its events, and
//! [`Run::apply`] is the only code that knows what an event changes. The
//! scheduler owns one and decides by it; the store saves and loads its rows;
//! handlers, watchers and commands read it.

mod apply;
mod bounds;
mod host;
mod pace;
mod shown;
mod tasks;
#[cfg(test)]
mod tests;
mod usage;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::dependency::Dependencies;
use crate::event::RunEnd;
use crate::id::{HostLabel, Key};
use crate::job::{Job, Phase};
use crate::spec::JobSpec;
use crate::time::Timestamp;

pub use crate::attempt::{Attempt, Outcome};
pub use crate::tally::Tally;
pub use apply::Touched;
pub use bounds::Bounds;
pub use host::{History, Host, HostDuty, HostIx, HostStatus, HostTotals};
pub use pace::Pace;
pub use shown::{WaitReason, run_state, shown_state};
pub use tasks::{HostTask, HostTasks, TaskAttempt, TaskSpecs};
pub use usage::Usage;

/// A run.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    jobs: Vec<Job>,
    hosts: Vec<Host>,
    positions: HashMap<HostLabel, HostIx>,
    dependencies: Arc<Dependencies>,
    tally: Tally,
    /// Attempts that are not shown and may still matter, by job: they may be
    /// alive, or one of them may be the one that counts.
    others: BTreeMap<u32, Vec<Attempt>>,
    /// Processes that could not be ended, by job.
    survivors: BTreeMap<u32, Vec<u32>>,
    ended: Option<RunEnd>,
    over_at: Option<Timestamp>,
    revision: u32,
    seq: u64,
    /// The attempt that exited with the event of this number: if its job ends
    /// with the next one, that exit is why.
    last_exit: Option<(Key, u64)>,
}

/// What a store keeps of a run.
#[derive(Clone, Debug)]
pub struct RunParts {
    /// The hosts, in their order.
    pub hosts: Vec<Host>,
    /// The jobs, in their order.
    pub jobs: Vec<Job>,
    /// Attempts that are not shown and may be alive.
    pub others: Vec<Attempt>,
    /// Who waits for whom.
    pub dependencies: Dependencies,
    /// Why the last manager stopped.
    pub ended: Option<RunEnd>,
    /// When a manager first stopped after every job had ended.
    pub over_at: Option<Timestamp>,
    /// How often input files were replaced.
    pub revision: u32,
    /// The number of the last event.
    pub seq: u64,
}

impl Run {
    /// A run that has not begun.
    pub fn new(
        hosts: impl IntoIterator<Item = HostLabel>,
        specs: impl IntoIterator<Item = Arc<JobSpec>>,
        dependencies: Dependencies,
    ) -> Self {
        let jobs = (0..).zip(specs).map(|(index, spec)| Job { index, ..Job::new(spec) });
        Run::from_parts(RunParts {
            hosts: hosts.into_iter().map(Host::new).collect(),
            jobs: jobs.collect(),
            others: Vec::new(),
            dependencies,
            ended: None,
            over_at: None,
            revision: 0,
            seq: 0,
        })
    }

    /// A run as a store has it.
    #[must_use]
    pub fn from_parts(parts: RunParts) -> Self {
        let RunParts { hosts, jobs, others, dependencies, ended, over_at, revision, seq } = parts;
        let positions = (0..).map(HostIx).zip(&hosts).map(|(ix, host)| (host.label.clone(), ix));
        let mut run = Run {
            positions: positions.collect(),
            tally: jobs.iter().map(Job::state).collect(),
            jobs,
            hosts,
            dependencies: Arc::new(dependencies),
            others: BTreeMap::new(),
            survivors: BTreeMap::new(),
            ended,
            over_at,
            revision,
            seq,
            last_exit: None,
        };
        for attempt in others {
            run.others.entry(attempt.key.index).or_default().push(attempt);
        }
        for index in 0..run.jobs.len() {
            run.enter_phase(index);
            run.index_abandoned(index as u32);
        }
        run
    }

    /// The jobs, in their order.
    #[must_use]
    pub fn jobs(&self) -> &[Job] {
        &self.jobs
    }

    /// How long the run has taken: from when it was submitted until it was over, every job
    /// ended and all that comes after the last one done, or until now.
    #[must_use]
    pub fn elapsed(&self, submitted: Timestamp, now: Timestamp) -> Duration {
        let end = self.over_at.unwrap_or(now);
        Duration::from_millis(end.0.saturating_sub(submitted.0))
    }

    /// A job.
    #[must_use]
    pub fn job(&self, index: u32) -> Option<&Job> {
        self.jobs.get(index as usize)
    }

    /// The hosts, in their order.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// A host.
    #[must_use]
    pub fn host(&self, ix: HostIx) -> Option<&Host> {
        self.hosts.get(ix.at())
    }

    /// The position of a host.
    #[must_use]
    pub fn position(&self, label: &HostLabel) -> Option<HostIx> {
        self.positions.get(label).copied()
    }

    /// Jobs by state; those of hosts that do not answer are `busy`, too.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Who waits for whom.
    #[must_use]
    pub fn dependencies(&self) -> &Arc<Dependencies> {
        &self.dependencies
    }

    /// Why its manager stopped, if it did so in order.
    #[must_use]
    pub fn ended(&self) -> Option<RunEnd> {
        self.ended
    }

    /// How often its input files were replaced (`gjob retry --new-files`): an attempt gets
    /// those of the revision in which it is assigned.
    #[must_use]
    pub fn revision(&self) -> u32 {
        self.revision
    }

    /// The number of its last event.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// An attempt that is shown, or that still matters.
    #[must_use]
    pub fn attempt(&self, key: Key) -> Option<&Attempt> {
        let shown = self.job(key.index)?.attempt.as_deref().filter(|shown| shown.key == key);
        shown.or_else(|| self.others.get(&key.index)?.iter().find(|other| other.key == key))
    }

    /// The host that has a job's latest attempt, while that is waited for.
    #[must_use]
    pub fn host_in_flight(&self, index: u32) -> Option<HostIx> {
        let job = self.job(index).filter(|job| job.phase.is_in_flight())?;
        self.position(job.host()?)
    }

    /// The host without which a job cannot end.
    #[must_use]
    pub fn host_needed(&self, index: u32) -> Option<HostIx> {
        let job = self.job(index)?;
        match job.phase {
            Phase::Assigned | Phase::Running | Phase::Collecting => self.position(job.host()?),
            Phase::Waiting | Phase::Ended(_) => None,
        }
    }

    /// Attempts of a job that are no longer waited for and may be alive, with
    /// their hosts, in their order.
    #[must_use]
    pub fn abandoned(&self, index: u32) -> Vec<(HostIx, Key)> {
        let Some(job) = self.job(index) else { return Vec::new() };
        let shown = job.attempt.as_deref().filter(|_| !job.phase.is_in_flight());
        let all = self.others.get(&index).into_iter().flatten().chain(shown);
        let live = all.filter(|attempt| attempt.may_live());
        let mut live: Vec<_> =
            live.filter_map(|attempt| Some((self.position(&attempt.host)?, attempt.key))).collect();
        live.sort_unstable_by_key(|(_, key)| *key);
        live
    }

    /// The attempts of a job that may be alive, with their hosts: the one that
    /// is waited for, and those that no longer are.
    #[must_use]
    pub fn live_attempts(&self, index: u32) -> Vec<(HostIx, Key)> {
        let awaited = self.host_in_flight(index).zip(self.job(index).map(Job::last_key));
        awaited.into_iter().chain(self.abandoned(index)).collect()
    }

    /// Jobs with attempts that are no longer waited for and may be alive.
    pub fn jobs_with_abandoned(&self) -> impl Iterator<Item = u32> + '_ {
        let mut jobs: Vec<u32> =
            self.hosts.iter().flat_map(|host| host.abandoned.iter().map(|key| key.index)).collect();
        jobs.sort_unstable();
        jobs.dedup();
        jobs.into_iter()
    }

    /// Processes of a job that could not be ended, as far as this manager knows.
    #[must_use]
    pub fn survivors(&self, index: u32) -> &[u32] {
        self.survivors.get(&index).map_or(&[], Vec::as_slice)
    }

    /// Its hosts have yet to say what they have begun.
    #[cfg(test)]
    pub(crate) fn await_histories(&mut self) {
        self.hosts.iter_mut().for_each(|host| host.history = History::Awaited);
    }

    /// True when every job is `done`.
    #[must_use]
    pub fn is_all_done(&self) -> bool {
        self.tally.done as usize == self.jobs.len()
    }
}
