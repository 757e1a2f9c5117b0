//! Attempts that another machine has begun, in a results directory that it shares with
//! this one under one label. That machine appends their ends to the run log if it
//! still can. Nothing else can be known of them from here; when nothing shows that they
//! are alive for a while, or they are to be killed, that is recorded.

use std::collections::BTreeMap;
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
}

impl Agent {
    /// Looks for signs of life, and gives up attempts that show none.
    pub(super) fn look_elsewhere(&mut self) {
        let now = Instant::now();
        if self.elsewhere.next().is_none_or(|next| next > now) {
            return;
        }
        let mut silent = Vec::new();
        for (key, attempt) in &mut self.elsewhere.0 {
            if attempt.look_at <= now {
                let dir = JobDir::reopen_below(self.layout.results(), &attempt.id);
                match dir.and_then(|dir| dir.lock_state()) {
                    Ok(LockState::Free | LockState::Absent) => silent.push(*key),
                    // It lives, or that cannot be seen from here.
                    Ok(LockState::Held) | Err(_) => attempt.look_at = now + SIGN_TIMEOUT,
                }
            }
        }
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
