//! Attempts that another machine has begun, in a results directory that it shares with
//! this one under one label. That machine appends their ends to the run log if it
//! still can. Nothing else can be known of them from here; when nothing shows that they
//! are alive for a while, or they are to be killed, that is recorded.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use gjob_core::record::Loss;
use gjob_core::{JobId, Key};

use super::Agent;
use crate::jobdir::{JobDir, LockState};
use crate::orphan::Remains;

/// How long is waited for a sign of life.
const SIGN_TIMEOUT: Duration = Duration::from_secs(60);

/// The attempts of other machines.
#[derive(Debug, Default)]
pub(super) struct Elsewhere(BTreeMap<Key, Attempt>);

#[derive(Debug)]
struct Attempt {
    id: JobId,
    /// Its slot, if that is named: a process of that machine.
    slot: Option<u32>,
    /// When to look for a sign of life.
    look_at: Instant,
}

impl Elsewhere {
    /// Takes note of an attempt that is not this machine's.
    pub(super) fn note(&mut self, key: Key, id: JobId, slot: Option<u32>) {
        let look_at = Instant::now() + SIGN_TIMEOUT;
        self.0.entry(key).or_insert(Attempt { id, slot, look_at });
    }

    /// When to look at them again.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.values().map(|attempt| attempt.look_at).min()
    }

    /// Those that have shown no sign of life for a while; `lock_of` looks for one.
    fn silent(
        &mut self,
        now: Instant,
        lock_of: impl Fn(&JobId) -> io::Result<LockState>,
    ) -> Vec<Key> {
        let mut silent = Vec::new();
        for (key, attempt) in self.0.iter_mut().filter(|(_, attempt)| attempt.look_at <= now) {
            match lock_of(&attempt.id) {
                Ok(LockState::Free | LockState::Absent) => silent.push(*key),
                Err(error) if error.kind() == io::ErrorKind::NotFound => silent.push(*key),
                // It lives, or that cannot be seen from here.
                Ok(LockState::Held) | Err(_) => attempt.look_at = now + SIGN_TIMEOUT,
            }
        }
        silent
    }
}

impl Agent {
    /// Looks for signs of life, and gives up attempts that show none.
    pub(super) fn look_elsewhere(&mut self) {
        let results = self.layout.results();
        let lock_of = |id: &JobId| JobDir::reopen_below(results, id)?.lock_state();
        let silent = self.elsewhere.silent(Instant::now(), lock_of);
        silent.into_iter().for_each(|key| self.give_up_elsewhere(key));
    }

    /// Records that nothing can be known of an attempt, if it is another machine's.
    pub(super) fn give_up_elsewhere(&mut self, key: Key) {
        let Some(Attempt { id, slot, .. }) = self.elsewhere.0.remove(&key) else { return };
        if self.journal.attempts().is_over(key) {
            return;
        }
        let there = id.as_str().split('/').next().unwrap_or_default();
        let reason = if there == self.hostname {
            format!("it was started on another machine of the name {there}")
        } else {
            format!("it was started on {there}, which is another machine than {}", self.hostname)
        };
        let remains = Remains { survivors: slot.into_iter().collect(), is_held: false };
        self.lose(key, Loss::Slot, Some(id), &reason, remains);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempt_is_given_up_after_a_while_unless_its_lock_is_held_or_cannot_be_seen() {
        let mut elsewhere = Elsewhere::default();
        let key = Key::new(3, 1);
        elsewhere.note(key, "h/2026-11-22-1".parse().unwrap(), Some(7));
        let first = elsewhere.next().unwrap();
        let early = first - Duration::from_millis(1);
        assert_eq!(elsewhere.silent(early, |_| Ok(LockState::Free)), []);
        assert_eq!(elsewhere.silent(first, |_| Ok(LockState::Held)), []);
        assert_eq!(elsewhere.next(), Some(first + SIGN_TIMEOUT));
        let later = first + SIGN_TIMEOUT;
        assert_eq!(elsewhere.silent(later, |_| Err(io::ErrorKind::Unsupported.into())), []);
        let last = later + SIGN_TIMEOUT;
        assert_eq!(elsewhere.silent(last, |_| Ok(LockState::Free)), [key]);
    }
}
