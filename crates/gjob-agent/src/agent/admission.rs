//! When this host starts another job: while its disk has the space and its processors have
//! the time that users want to keep, and not too soon after the one before.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use gjob_core::Key;
use gjob_core::hosts::HostLimits;
use gjob_core::record::Scope;
use gjob_core::size::shown_size;

use super::welcome::free_bytes;
use crate::host;
use crate::shortage::Shortage;

/// The kernel's 1-minute load takes in a new process with this time constant.
const LOAD_PERIOD: Duration = Duration::from_secs(60);

/// Why a host starts nothing for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NotNow {
    /// [`Scope::Space`] or [`Scope::Load`].
    pub(super) scope: Scope,
    pub(super) reason: String,
}

impl NotNow {
    /// The results directory takes nothing more.
    pub(super) fn full(shortage: Shortage, results: &Path) -> Self {
        NotNow { scope: Scope::Space, reason: shortage.describe(results) }
    }
}

/// What users have said of when jobs start, and what that depends on.
#[derive(Debug)]
pub(super) struct Admission {
    limits: HostLimits,
    cpus: u32,
    /// When the jobs that run were started, and how many processors they have.
    starts: HashMap<Key, (Instant, u32)>,
    /// No job starts before.
    not_before: Option<Instant>,
}

impl Admission {
    /// For a host with this number of processors. `has_begun` if an earlier agent may have started
    /// a job right before.
    pub(super) fn new(limits: HostLimits, cpus: u32, has_begun: bool, now: Instant) -> Self {
        let not_before = limits.delay.filter(|_| has_begun).map(|delay| now + delay);
        Admission { limits, cpus, starts: HashMap::new(), not_before }
    }

    /// Why no job can start now, if it would be so for a while.
    pub(super) fn refusal(&self, now: Instant, results: &Path) -> Option<NotNow> {
        let free = self.limits.min_free.map(|least| (free_bytes(results), least));
        if let Some((free, least)) = free.filter(|(free, least)| free < least) {
            let (free, least) = (shown_size(free), shown_size(least));
            let reason = format!("its results disk has {free} free, less than --min-free {least}");
            return Some(NotNow { scope: Scope::Space, reason });
        }
        let limit = self.limits.load?;
        let load = host::load_milli() + self.young_load_milli(now);
        (load >= limit.milli(self.cpus)).then(|| {
            let load = load as f64 / 1000.0;
            NotNow {
                scope: Scope::Load,
                reason: format!("its load is {load:.1}, not below --load {limit}"),
            }
        })
    }

    /// What the jobs that were started lately add to a load that does not show them yet.
    fn young_load_milli(&self, now: Instant) -> u64 {
        let share = |(start, cpus): &(Instant, u32)| {
            let age = now.saturating_duration_since(*start).as_secs_f64();
            f64::from(*cpus) * (-age / LOAD_PERIOD.as_secs_f64()).exp()
        };
        (self.starts.values().map(share).sum::<f64>() * 1000.0) as u64
    }

    /// When the next job may start, if that is later than now.
    pub(super) fn later(&self, now: Instant) -> Option<Instant> {
        self.not_before.filter(|then| *then > now)
    }

    /// A job has started that has this number of processors; none means all of them.
    pub(super) fn note_start(&mut self, now: Instant, key: Key, cpus: Option<u32>) {
        self.not_before = self.limits.delay.map(|delay| now + delay);
        if self.limits.load.is_some() {
            self.starts.insert(key, (now, cpus.unwrap_or(self.cpus)));
        }
    }

    /// A job has ended.
    pub(super) fn note_end(&mut self, key: Key) {
        self.starts.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(limits: HostLimits, now: Instant) -> Admission {
        Admission::new(limits, 4, false, now)
    }

    #[test]
    fn jobs_that_were_just_started_count_as_load() {
        let now = Instant::now();
        let load = Some("100%".parse().unwrap());
        let mut admission = admission(HostLimits { load, ..HostLimits::default() }, now);
        admission.note_start(now, Key::new(0, 1), Some(2));
        admission.note_start(now, Key::new(1, 1), None);
        assert_eq!(admission.young_load_milli(now), 6000);
        // The kernel's own figure has taken in 63 % of it by then.
        assert_eq!(admission.young_load_milli(now + LOAD_PERIOD), 2207);
        admission.note_end(Key::new(1, 1));
        assert_eq!(admission.young_load_milli(now), 2000);
    }

    #[test]
    fn next_job_starts_after_the_delay() {
        let now = Instant::now();
        let delay = Some(Duration::from_secs(2));
        let limits = HostLimits { delay, ..HostLimits::default() };
        let mut admission = admission(limits.clone(), now);
        assert_eq!(admission.later(now), None);
        admission.note_start(now, Key::new(0, 1), Some(1));
        let then = now + Duration::from_secs(2);
        assert_eq!((admission.later(now), admission.later(then)), (Some(then), None));
        // After a lost connection, nobody knows when the last one was started.
        assert_eq!(Admission::new(limits, 4, true, now).later(now), Some(then));
    }
}
