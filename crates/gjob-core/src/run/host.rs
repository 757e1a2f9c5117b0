//! A host of a run, with all that is known of it.

use std::collections::BTreeSet;

use super::{HostTask, HostTasks, Pace, Usage};
use crate::event::{ClockOffset, HostChange, HostFacts};
use crate::id::{HostLabel, Key};
use crate::resources::{Ask, Cpus, Offer};
use crate::state::State;
use crate::time::Timestamp;
use crate::words::words;

/// A host by its position in the run's list of hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostIx(pub u32);

impl HostIx {
    /// The position as an index.
    #[must_use]
    pub fn at(self) -> usize {
        self.0 as usize
    }
}

/// A host of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Host {
    /// What the manager calls it.
    pub label: HostLabel,
    /// Labels by which jobs can be bound to it.
    pub labels: Vec<String>,
    /// Whether it can be used now.
    pub status: HostStatus,
    /// What users want of it.
    pub duty: HostDuty,
    /// Why it cannot, in one line; of a host that is up, that it is silent.
    pub reason: Option<String>,
    /// What jobs that were sent to it wait for, in a few words: others use it.
    pub waits_for: Option<String>,
    /// What it said of itself when it was last reached; none before.
    pub facts: Option<HostFacts>,
    /// How far its clock is from the manager's, once measured.
    pub clock: Option<ClockOffset>,
    /// Whether all that it has begun is known.
    pub history: History,
    /// What it has done so far.
    pub totals: HostTotals,
    /// How long the jobs took that are done on it.
    pub pace: Pace,
    /// What is run once on it besides its jobs.
    pub(super) tasks: HostTasks,
    /// What its jobs use of it now.
    pub(super) usage: Usage,
    /// Jobs it was assigned that have not ended, by index.
    pub(super) in_flight: BTreeSet<u32>,
    /// Jobs that succeeded on it and whose outputs are not local yet, by index.
    pub(super) collecting: BTreeSet<u32>,
    /// Attempts on it that are no longer waited for and may be alive.
    pub(super) abandoned: BTreeSet<Key>,
}

/// Whether a host can be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostStatus {
    /// Not reached yet by this manager.
    #[default]
    Connecting,
    /// It answers.
    Up,
    /// It answers, but gets no jobs for a while.
    Paused,
    /// It does not answer now.
    Unreachable,
    /// It is out of the run.
    Failed,
}

/// Whether all that a host has begun is known. It may not be once a copy of a run is taken
/// up in the place of its original.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum History {
    /// It is.
    #[default]
    Known,
    /// The host has yet to say what it has begun, and nothing starts before.
    Awaited,
    /// It has said that, and nothing starts before all hosts have.
    Told,
    /// It has yet to say it, but the host was lost, so that jobs start without its word.
    Missed,
}

impl History {
    /// True while what it tells is kept, and not applied to the run.
    #[must_use]
    pub fn is_kept(self) -> bool {
        match self {
            History::Awaited | History::Told => true,
            History::Known | History::Missed => false,
        }
    }
}

/// What users want of a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostDuty {
    /// It gets jobs.
    #[default]
    Serving,
    /// It ends the jobs that it has, and gets no others (`gjob hosts drain`).
    Draining,
    /// It is to have no jobs (`gjob hosts remove`): what runs there is killed and runs again
    /// elsewhere.
    Removed,
}

/// What a host has done in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostTotals {
    /// Times it was reached.
    pub logins: u32,
    /// Attempts that started on it.
    pub started: u32,
    /// Attempts that succeeded on it.
    pub succeeded: u32,
    /// Attempts that failed on it by themselves.
    pub failed: u32,
    /// Attempts that it failed: refused or lost.
    pub host_failures: u32,
    /// Bytes sent to it: the program and large files.
    pub bytes_sent: u64,
    /// Bytes of outputs fetched from it.
    pub bytes_fetched: u64,
}

impl Host {
    /// A host that is yet to be reached.
    #[must_use]
    pub fn new(label: HostLabel) -> Self {
        Host {
            label,
            labels: Vec::new(),
            status: HostStatus::Connecting,
            duty: HostDuty::Serving,
            reason: None,
            waits_for: None,
            facts: None,
            clock: None,
            history: History::Known,
            totals: HostTotals::default(),
            pace: Pace::default(),
            tasks: HostTasks::default(),
            usage: Usage::default(),
            in_flight: BTreeSet::new(),
            collecting: BTreeSet::new(),
            abandoned: BTreeSet::new(),
        }
    }

    /// Jobs of one processor that it runs at once: its processors, or what its
    /// user gave it; 1 before it is known.
    #[must_use]
    pub fn slots(&self) -> u32 {
        self.offer().cpus
    }

    /// True if it may be given a job that asks for this, as far as is known: what it has
    /// offered counts, whether it answers now or not.
    #[must_use]
    pub fn may_offer(&self, ask: &Ask) -> bool {
        self.duty != HostDuty::Removed && (self.facts.is_none() || self.offer().fits(ask))
    }

    /// What it offers to jobs; one processor before it is known.
    #[must_use]
    pub fn offer(&self) -> Offer {
        let offer = self.facts.as_ref().map_or(Offer::cpus(1), |facts| facts.offer);
        Offer { cpus: offer.cpus.max(1), ..offer }
    }

    /// True when all that is asked for is free now, and it is set up.
    #[must_use]
    pub fn has_free(&self, ask: &Ask) -> bool {
        let offer = self.offer();
        if !self.is_ready() {
            return false;
        }
        if self.in_flight.is_empty() {
            return offer.fits(ask);
        }
        match ask.cpus {
            Cpus::All => false,
            Cpus::Count(count) => {
                u64::from(self.load()) + u64::from(count) <= offer.cpus.into()
                    && self.usage.leaves_memory_and_gpus(ask, &offer)
            }
        }
    }

    /// Processors that its jobs use, or that are promised to them.
    #[must_use]
    pub fn load(&self) -> u32 {
        self.usage.cpus(self.slots())
    }

    /// Jobs it was assigned that have not ended, in their order.
    pub fn in_flight(&self) -> impl DoubleEndedIterator<Item = u32> + ExactSizeIterator + '_ {
        self.in_flight.iter().copied()
    }

    /// Jobs that succeeded on it and whose outputs are not local yet.
    pub fn collecting(&self) -> impl ExactSizeIterator<Item = u32> + '_ {
        self.collecting.iter().copied()
    }

    /// Attempts on it that are no longer waited for and may be alive.
    pub fn abandoned(&self) -> impl Iterator<Item = Key> + '_ {
        self.abandoned.iter().copied()
    }

    /// True when it has this attempt, and nobody waits for it.
    #[must_use]
    pub fn has_abandoned(&self, key: Key) -> bool {
        self.abandoned.contains(&key)
    }

    /// Jobs that cannot end without it.
    #[must_use]
    pub fn needed_by(&self) -> u32 {
        (self.in_flight.len() + self.collecting.len()) as u32
    }

    /// True when it answers and jobs may be dispatched to it.
    #[must_use]
    pub fn takes_jobs(&self) -> bool {
        self.status == HostStatus::Up && self.duty == HostDuty::Serving
    }

    /// True when it was removed, and has nothing left that the run could wait for.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        let has_left = self.needed_by() == 0 && self.abandoned.is_empty();
        let has_task = self.tasks.under_way().is_some() || self.is_teardown_due();
        self.duty == HostDuty::Removed && has_left && !has_task && !self.history.is_kept()
    }

    /// How far it is with ending its work for the run, in one word; none for one that
    /// serves.
    #[must_use]
    pub fn leaving(&self) -> Option<&'static str> {
        match self.duty {
            HostDuty::Serving => None,
            HostDuty::Draining if self.needed_by() == 0 => Some("drained"),
            HostDuty::Draining => Some("draining"),
            HostDuty::Removed if self.is_gone() => Some("removed"),
            HostDuty::Removed => Some("removing"),
        }
    }

    /// True when it is connected, and has said nothing for a while: it may be away.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.status == HostStatus::Up && self.reason.is_some()
    }

    /// Whether it can be used now, in one word.
    #[must_use]
    pub fn condition(&self) -> &'static str {
        let task = self.tasks.under_way().filter(|_| self.status == HostStatus::Up);
        let connection = match task.map(|it| it.task) {
            _ if self.is_silent() => "silent",
            None if self.status == HostStatus::Up && self.waits_for.is_some() => "waiting",
            Some(HostTask::Setup) => "setting up",
            Some(HostTask::Teardown) => "tearing down",
            None => self.status.as_str(),
        };
        self.leaving().unwrap_or(connection)
    }

    /// Its state in the seed's words: `free` with room, `busy` without or while
    /// it is paused, `unknown` while it does not answer, `error` when it is out
    /// of the run.
    #[must_use]
    pub fn state(&self) -> State {
        match self.status {
            HostStatus::Up
                if self.takes_jobs() && self.is_ready() && self.load() < self.slots() =>
            {
                State::Free
            }
            HostStatus::Up | HostStatus::Paused => State::Busy,
            HostStatus::Connecting | HostStatus::Unreachable => State::Unknown,
            HostStatus::Failed => State::Error,
        }
    }

    pub(super) fn apply(&mut self, at: Timestamp, change: &HostChange) {
        let (status, reason) = match change {
            HostChange::Added { labels } => {
                // It is connected to anew.
                if self.is_gone() || self.status == HostStatus::Failed {
                    (self.status, self.reason) = (HostStatus::Connecting, None);
                }
                self.labels.clone_from(labels);
                return self.duty = HostDuty::Serving;
            }
            HostChange::Draining => return self.duty = HostDuty::Draining,
            HostChange::Removed => return self.duty = HostDuty::Removed,
            HostChange::Slots { slots } => {
                return self.facts.iter_mut().for_each(|facts| facts.offer.cpus = *slots);
            }
            HostChange::Up(facts) => {
                self.totals.logins += 1;
                self.facts = Some(facts.clone());
                self.waits_for = None;
                (HostStatus::Up, None)
            }
            HostChange::Connecting { doing } => (HostStatus::Connecting, Some(doing)),
            HostChange::Probed => (HostStatus::Up, None),
            HostChange::Paused { reason, .. } | HostChange::Full { reason, .. } => {
                (HostStatus::Paused, Some(reason))
            }
            HostChange::Unreachable { reason } => {
                // Once it is reached again, it says it again.
                self.waits_for = None;
                (HostStatus::Unreachable, Some(reason))
            }
            HostChange::Failed { reason, .. } => {
                self.waits_for = None;
                (HostStatus::Failed, Some(reason))
            }
            HostChange::Waiting { what, .. } => return self.waits_for = Some(what.clone()),
            HostChange::Continues => return self.waits_for = None,
            HostChange::Silent { seconds } => {
                if self.status == HostStatus::Up {
                    self.reason = Some(format!("no answer for {seconds} s or more"));
                }
                return;
            }
            HostChange::Heard { .. } => {
                self.reason.take_if(|_| self.status == HostStatus::Up);
                return;
            }
            HostChange::Limited { .. }
            | HostChange::LogSpoiled { .. }
            | HostChange::LogDamaged { .. }
            | HostChange::Restarted { .. }
            | HostChange::Oversubscribed { .. }
            | HostChange::TaskSkipped { .. } => return,
            HostChange::Told => {
                return self.history = match self.history {
                    History::Awaited | History::Told => History::Told,
                    History::Known | History::Missed => History::Known,
                };
            }
            HostChange::Untold => return self.history = History::Missed,
            HostChange::TaskAssigned { task, key, revision } => {
                return self.task_assigned(at, *task, *key, *revision);
            }
            HostChange::TaskStarted { task, key, id, started } => {
                return self.task_started(*task, *key, id, *started);
            }
            HostChange::TaskEnded { task, key, end, reason } => {
                return self.task_ended(at, (*task, *key), end, reason.as_ref());
            }
            HostChange::Clock(offset) => return self.clock = Some(*offset),
            HostChange::ProgramSent { bytes } => return self.totals.bytes_sent += bytes,
        };
        self.status = status;
        self.reason = reason.cloned();
    }
}

impl HostStatus {
    /// True when it can be sent something now.
    #[must_use]
    pub fn answers(self) -> bool {
        match self {
            HostStatus::Up | HostStatus::Paused => true,
            HostStatus::Connecting | HostStatus::Unreachable | HostStatus::Failed => false,
        }
    }
}

words!(HostDuty, "duty of a host",
    Serving => "serving",
    Draining => "draining",
    Removed => "removed",
);

words!(HostStatus, "status of a host",
    Connecting => "connecting",
    Up => "up",
    Paused => "paused",
    Unreachable => "unreachable",
    Failed => "failed",
);

words!(History, "history of a host",
    Known => "known",
    Awaited => "awaited",
    Told => "told",
    Missed => "missed",
);
