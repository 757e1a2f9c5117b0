//! Jobs that ran out of memory, and are retried with more of it.

use std::time::Duration;

use super::Scheduler;
use super::job::JobState;
use crate::event::JobChange;
use crate::id::Key;
use crate::resources::Ask;
use crate::state::State;

impl Scheduler {
    /// Retries a job that ran out of memory with more than it had. False if that is not
    /// wanted, or no host offers so much.
    pub(super) fn retry_with_more_memory(
        &mut self,
        now: Duration,
        key: Key,
        peak_kib: u64,
    ) -> bool {
        let job = self.job(key.index);
        let Some(factor) = job.spec.retry_mem.filter(|_| !job.kill) else { return false };
        let ask = job.spec.ask();
        // A job may use more than it asked for, between two looks or without having asked.
        let peak = peak_kib.saturating_mul(1024);
        let used = if peak > ask.mem { rounded_up(peak) } else { ask.mem };
        let mem = (used as f64 * factor) as u64;
        let ask = Ask { mem, ..ask };
        if mem <= used || !self.may_ever_fit(key.index, &ask) {
            return false;
        }
        self.change_memory(key, ask);
        self.retry_later(now, key.index);
        true
    }

    /// A user gives a job `mem` bytes of memory from its next attempt on, if it was tried and is
    /// not done. False if no host offers so much.
    pub fn handle_new_memory(&mut self, index: u32, mem: u64) -> bool {
        let Some(job) = self.run.job(index) else { return true };
        let may_change = match self.state(index) {
            JobState::Ended(State::Error | State::Unknown) => !self.has_failed_untried(index),
            JobState::Waiting(_)
            | JobState::Assigned { .. }
            | JobState::Withdrawing { .. }
            | JobState::Running { .. }
            | JobState::Collecting { .. }
            | JobState::Ended(_) => false,
        };
        let ask = Ask { mem, ..job.spec.ask() };
        if !may_change || job.spec.mem == Some(mem) {
            return true;
        }
        let key = job.last_key();
        let fits = self.hosts_for(index).any(|(_, host)| host.may_offer(&ask));
        if fits {
            self.change_memory(key, ask);
        }
        fits
    }

    fn change_memory(&mut self, key: Key, ask: Ask) {
        self.emit_job(key, JobChange::MemoryRaised { mem: ask.mem });
        let group = self.group_of(key.index);
        self.jobs[key.index as usize].class = self.classes.class(ask, group, key.index);
    }
}

/// At most an eighth more, so that jobs which had different amounts ask for few different
/// ones: what waits is kept by what it asks for.
fn rounded_up(bytes: u64) -> u64 {
    let step = bytes.checked_ilog2().map_or(1, |log| 1 << log.saturating_sub(3));
    bytes.checked_next_multiple_of(step).unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::rounded_up;

    #[test]
    fn amounts_are_rounded_to_few() {
        assert_eq!([0, 1, 7, 8, 9, 17].map(rounded_up), [0, 1, 7, 8, 9, 18]);
        assert_eq!(rounded_up(3 << 30), 3 << 30);
        assert_eq!(rounded_up((4 << 30) + 1), 9 << 29);
        assert_eq!(rounded_up(u64::MAX), u64::MAX);
    }
}
