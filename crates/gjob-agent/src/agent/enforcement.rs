//! Kills that slots do not carry out. A job can stop or freeze its slot, which then
//! obeys nobody: when a slot has not killed its job in time, it is killed itself, and
//! its job's processes are ended as those of a slot that has died. A slot that not even
//! KILL ends is named, with all that descends from it.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use gjob_core::Key;
use gjob_core::record::Loss;
use rustix::process::Signal;

use super::{Agent, log_error};
use crate::identity::Process;
use crate::orphan::Remains;
use crate::processes;

/// How long a slot may take to kill its job, besides the grace.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a killed slot may take to end.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// The kills that are under way.
#[derive(Debug, Default)]
pub(super) struct Enforcement {
    expected: Vec<Expected>,
    /// The attempts whose slots were killed.
    killed: HashSet<Key>,
}

/// The end of an attempt that is expected.
#[derive(Debug)]
struct Expected {
    key: Key,
    slot: Process,
    /// Until then.
    until: Instant,
}

impl Enforcement {
    /// Expects a slot to end its attempt within the grace and a while.
    pub(super) fn expect_end(&mut self, key: Key, slot: Process, grace: Duration) {
        let until = Instant::now() + grace + KILL_TIMEOUT;
        match self.expected.iter_mut().find(|expected| expected.key == key) {
            // A second kill may leave less time than the first.
            Some(expected) => expected.until = expected.until.min(until),
            None => self.expected.push(Expected { key, slot, until }),
        }
    }

    /// When the next end is overdue.
    pub(super) fn next(&self) -> Option<Instant> {
        self.expected.iter().map(|expected| expected.until).min()
    }

    /// True when the attempt's slot was killed.
    pub(super) fn has_killed(&self, key: Key) -> bool {
        self.killed.contains(&key)
    }

    /// The attempt is over.
    pub(super) fn forget(&mut self, key: Key) {
        self.expected.retain(|expected| expected.key != key);
        self.killed.remove(&key);
    }
}

impl Agent {
    /// Kills the slots that have not killed their jobs in time, and gives up those
    /// that do not end.
    pub(super) fn enforce(&mut self) {
        let now = Instant::now();
        let overdue = self.enforcement.expected.extract_if(.., |it| it.until <= now);
        for mut expected in overdue.collect::<Vec<_>>() {
            let key = expected.key;
            if self.enforcement.killed.insert(key) {
                log_error(&format!("have {key} killed by its slot, which is killed now"));
                // Whether that helped shows in a while.
                let _ = expected.slot.signal(Signal::KILL);
                expected.until = now + END_TIMEOUT;
                self.enforcement.expected.push(expected);
            } else if !expected.slot.is_gone() {
                self.give_up_slot(key, expected.slot.pid());
            }
        }
    }

    fn give_up_slot(&mut self, key: Key, slot: u32) {
        let below = processes::descendants(&processes::table(), &[slot]);
        let survivors: Vec<u32> =
            std::iter::once(slot).chain(below.iter().map(|process| process.pid)).collect();
        self.slots.abandon(key);
        self.recovery.handle_ended_slots(survivors.iter().copied(), self.slots.pids());
        let remains = Remains { survivors, is_held: false };
        self.lose(key, Loss::Slot, None, "its slot cannot be ended", remains);
    }
}
