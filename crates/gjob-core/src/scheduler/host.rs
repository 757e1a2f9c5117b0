//! What the scheduler knows of one host.

use std::collections::BTreeSet;
use std::time::Duration;

use super::census::Census;
use crate::id::{HostLabel, Key};
use crate::resources::{Ask, Cpus, Offer};

/// From a job's end to its successor's launch: the manager's own share of the
/// way, on top of the link's.
const TURNAROUND: Duration = Duration::from_millis(20);

/// Jobs handed ahead of need, at most, per slot.
const MAX_AHEAD: u32 = 8;

/// A host that has been paused so often in a row, and has never begun a job,
/// is not waited for.
const USELESS: u32 = 5;

#[derive(Debug)]
pub(super) struct Host {
    pub(super) label: HostLabel,
    pub(super) status: Status,
    /// Jobs of one processor that it runs at once.
    pub(super) slots: u32,
    /// All that it offers.
    pub(super) offer: Offer,
    pub(super) ever_up: bool,
    /// Times in a row that it was paused.
    pub(super) strikes: u32,
    /// It has begun a job under this manager, or runs one from before.
    pub(super) ever_began: bool,
    /// Readmitted after a pause: it gets one job at a time until one succeeds.
    pub(super) on_probation: bool,
    /// Jobs that have succeeded here.
    pub(super) successes: u64,
    /// Jobs in a row that have failed here, and the successes elsewhere when
    /// the first of them did.
    pub(super) failing: (u32, u64),
    /// Jobs that it was asked to give back.
    pub(super) asked_back: u32,
    /// What it adds to the census.
    pub(super) counted: Census,
    /// Abandoned attempts that may live here still.
    pub(super) strays: BTreeSet<Key>,
    /// Jobs it was given that have no outcome, by index.
    in_flight: BTreeSet<u32>,
    /// What these have of it.
    used: Used,
    /// Jobs that have succeeded here and whose outputs are waited for, by index.
    collecting: BTreeSet<u32>,
    /// Smoothed length of its jobs, seconds.
    mean_length: Option<f64>,
}

/// What jobs have of a host. What they had when it offered more may be more than
/// it could ever offer.
#[derive(Debug, Default)]
struct Used {
    cpus: u64,
    mem: u128,
    gpus: u64,
    /// Jobs that have all of it.
    whole: u32,
}

impl Used {
    fn add(&mut self, ask: &Ask) {
        match ask.cpus {
            Cpus::Count(count) => self.cpus += u64::from(count),
            Cpus::All => self.whole += 1,
        }
        self.mem += u128::from(ask.mem);
        self.gpus += u64::from(ask.gpus);
    }

    fn remove(&mut self, ask: &Ask) {
        match ask.cpus {
            Cpus::Count(count) => self.cpus -= u64::from(count),
            Cpus::All => self.whole -= 1,
        }
        self.mem -= u128::from(ask.mem);
        self.gpus -= u64::from(ask.gpus);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// Not reached yet.
    Connecting,
    /// Answers.
    Up,
    /// Answers, but gets no jobs until then.
    Paused { until: Duration },
    /// Can't be asked now.
    Unknown,
    /// Out of the run.
    Error,
}

impl Host {
    pub(super) fn new(label: HostLabel) -> Self {
        Host {
            label,
            status: Status::Connecting,
            slots: 1,
            offer: Offer::cpus(1),
            ever_up: false,
            strikes: 0,
            ever_began: false,
            on_probation: false,
            successes: 0,
            failing: (0, 0),
            asked_back: 0,
            counted: Census::default(),
            strays: BTreeSet::new(),
            in_flight: BTreeSet::new(),
            used: Used::default(),
            collecting: BTreeSet::new(),
            mean_length: None,
        }
    }

    pub(super) fn take(&mut self, index: u32, ask: &Ask) {
        if self.in_flight.insert(index) {
            self.used.add(ask);
        }
    }

    pub(super) fn release(&mut self, index: u32, ask: &Ask) {
        if self.in_flight.remove(&index) {
            self.used.remove(ask);
        }
    }

    /// True when all that is asked for is free now.
    pub(super) fn has_free(&self, ask: &Ask) -> bool {
        if self.in_flight.is_empty() {
            return self.offer.fits(ask);
        }
        let cpus = match ask.cpus {
            Cpus::All => return false,
            Cpus::Count(count) => count,
        };
        !self.on_probation
            && u64::from(self.load()) + u64::from(cpus) <= self.slots.into()
            && self.used.mem + u128::from(ask.mem) <= self.offer.mem.into()
            && self.used.gpus + u64::from(ask.gpus) <= self.offer.gpus.into()
    }

    pub(super) fn in_flight(&self) -> impl DoubleEndedIterator<Item = u32> + '_ {
        self.in_flight.iter().copied()
    }

    pub(super) fn keep_outputs(&mut self, index: u32) {
        self.collecting.insert(index);
    }

    pub(super) fn let_outputs_go(&mut self, index: u32) {
        self.collecting.remove(&index);
    }

    pub(super) fn collecting(&self) -> impl Iterator<Item = u32> + '_ {
        self.collecting.iter().copied()
    }

    /// Jobs that can't end without it.
    pub(super) fn needed_by(&self) -> u32 {
        (self.in_flight.len() + self.collecting.len()) as u32
    }

    /// Processors in use, or promised.
    pub(super) fn load(&self) -> u32 {
        let cpus = u32::try_from(self.used.cpus).unwrap_or(u32::MAX);
        match self.used.whole {
            0 => cpus,
            1.. => self.slots.max(cpus),
        }
    }

    /// Learns from a job that ran for `length`.
    pub(super) fn learn(&mut self, length: Duration) {
        let length = length.as_secs_f64();
        self.mean_length = Some(match self.mean_length {
            Some(mean) => mean + (length - mean) / 8.0,
            None => length,
        });
    }

    /// Jobs it may hold: its slots, and as many ahead as short jobs need to
    /// hide the way to the manager and back.
    pub(super) fn capacity(&self) -> u32 {
        if self.on_probation {
            return 1;
        }
        let Some(mean) = self.mean_length else {
            return self.slots;
        };
        let ahead = f64::from(self.slots) * TURNAROUND.as_secs_f64() / mean.max(0.001);
        let ahead = (ahead.round() as u32).min(self.slots.saturating_mul(MAX_AHEAD));
        self.slots.saturating_add(ahead)
    }

    /// True while it rests after failing to begin job after job.
    fn is_useless(&self) -> bool {
        let rests = matches!(self.status, Status::Paused { .. });
        rests && !self.ever_began && self.strikes >= USELESS && self.in_flight.is_empty()
    }

    /// What it adds to the census, with room for so many jobs.
    pub(super) fn count(&self, room_for: u32) -> Census {
        let load = u64::from(self.load());
        let (up, out) = (self.status == Status::Up, self.status == Status::Error);
        let only = |is_so: bool, number: u64| if is_so { number } else { 0 };
        Census {
            up: u64::from(up),
            reached: u64::from(self.ever_up),
            out: u64::from(out),
            useless: u64::from(self.is_useless()),
            stuck: only(out, self.needed_by().into()),
            in_reach: only(self.status.answers(), self.in_flight.len() as u64),
            idle: only(up, u64::from(room_for.min(self.slots)).saturating_sub(load)),
            asked_back: only(up && self.load() > self.slots, self.asked_back.into()),
        }
    }

    /// How full it is; hosts of any size compare.
    pub(super) fn fullness(&self) -> u32 {
        let fullness = u64::from(self.load()) * 1024 / u64::from(self.slots);
        u32::try_from(fullness).unwrap_or(u32::MAX)
    }
}
