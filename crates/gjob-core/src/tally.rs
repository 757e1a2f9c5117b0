//! Jobs by state: one type for every place that counts them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::state::State;

/// How many jobs are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Jobs that wait: for a host, another job, a user, or a time to try again.
    pub free: u32,
    /// Jobs with an attempt under way, or whose outputs are being fetched.
    pub busy: u32,
    /// Jobs that ended with exit status 0 and whose outputs are local.
    pub done: u32,
    /// Jobs whose host cannot be reached now, or whose outcome nobody can know.
    pub unknown: u32,
    /// Jobs that failed for good.
    pub error: u32,
}

impl Tally {
    /// Counts more jobs.
    pub fn add(&mut self, state: State, jobs: u32) {
        *self.slot(state) += jobs;
    }

    /// Counts jobs under another state than before.
    pub fn shift(&mut self, from: State, to: State, jobs: u32) {
        *self.slot(from) -= jobs;
        *self.slot(to) += jobs;
    }

    fn slot(&mut self, state: State) -> &mut u32 {
        match state {
            State::Free => &mut self.free,
            State::Busy => &mut self.busy,
            State::Done => &mut self.done,
            State::Unknown => &mut self.unknown,
            State::Error => &mut self.error,
        }
    }

    /// Jobs that have no outcome yet.
    #[must_use]
    pub fn left(&self) -> u32 {
        self.free + self.busy
    }

    /// Jobs that have their outcome, and are not done.
    #[must_use]
    pub fn failed(&self) -> u32 {
        self.error + self.unknown
    }

    /// All jobs.
    #[must_use]
    pub fn total(&self) -> u32 {
        self.free + self.busy + self.done + self.unknown + self.error
    }
}

impl FromIterator<State> for Tally {
    fn from_iter<I: IntoIterator<Item = State>>(states: I) -> Self {
        let mut tally = Tally::default();
        states.into_iter().for_each(|state| tally.add(state, 1));
        tally
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { free, busy, done, unknown, error } = self;
        write!(f, "{free} free, {busy} busy, {done} done, {unknown} unknown, {error} error")
    }
}
