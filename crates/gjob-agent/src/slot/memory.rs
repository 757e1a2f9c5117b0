//! The memory that a running job uses: all its processes together, looked at a few times
//! a second, against what it asked for. A job that asked for none costs one look at the
//! kernel's counters as it begins.

use std::time::{Duration, Instant};

use gjob_core::Ending;

use crate::host;
use crate::processes;

/// The shortest time between two looks.
const INTERVAL: Duration = Duration::from_millis(250);

/// The shortest time between two looks, as a multiple of how long one takes.
const COST: u32 = 20;

/// What ends a job for want of memory.
#[derive(Debug)]
pub(super) struct MemoryWatch {
    /// Bytes; none for any amount.
    limit: Option<u64>,
    next_look: Instant,
    /// The most that a look has shown, bytes.
    peak: u64,
    /// How many processes the kernel had ended for want of memory when the job began.
    kernel_kills: Option<u64>,
}

impl MemoryWatch {
    /// Begins with a job, which asked for this much memory, 0 for any amount.
    pub(super) fn new(limit: u64) -> Self {
        MemoryWatch {
            limit: (limit > 0).then_some(limit),
            next_look: Instant::now() + INTERVAL,
            peak: 0,
            kernel_kills: host::out_of_memory_kills(),
        }
    }

    /// True if a look is due, and shows that the job uses more than it asked for.
    pub(super) fn is_exceeded(&mut self) -> bool {
        let Some(limit) = self.limit.filter(|_| self.next_look <= Instant::now()) else {
            return false;
        };
        let began = Instant::now();
        let used = processes::memory_below_self();
        let now = Instant::now();
        self.next_look = now + INTERVAL.max(COST * now.duration_since(began));
        self.peak = self.peak.max(used);
        used > limit
    }

    /// The most that a look has shown, KiB; 0 for a job that asked for no memory.
    pub(super) fn peak_kib(&self) -> u64 {
        self.peak.div_ceil(1024)
    }

    /// Until the next look.
    pub(super) fn time_left(&self) -> Option<Duration> {
        self.limit.map(|_| self.next_look.saturating_duration_since(Instant::now()))
    }

    /// True if a job ended as those do that the kernel ends for want of memory, or whose
    /// last command it has ended, and the kernel has ended some process meanwhile.
    pub(super) fn explains(&self, ending: Ending) -> bool {
        const KILLED: u8 = libc::SIGKILL as u8;
        const SHELL_KILLED: u8 = 128 + KILLED;
        let is_killed = matches!(ending, Ending::Exit(SHELL_KILLED) | Ending::Signal(KILLED));
        is_killed && self.kernel_kills < host::out_of_memory_kills()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_kill_while_memory_was_short_is_for_want_of_memory() {
        let watch = |kernel_kills| MemoryWatch { kernel_kills, ..MemoryWatch::new(0) };
        let now = host::out_of_memory_kills();
        let killed = Ending::Signal(9);
        assert!(!watch(now).explains(killed));
        if now.is_some() {
            let before = watch(None);
            assert!(before.explains(killed) && before.explains(Ending::Exit(137)));
            assert!(!before.explains(Ending::Exit(1)) && !before.explains(Ending::Signal(15)));
        }
        assert_eq!(MemoryWatch::new(0).time_left(), None);
    }
}
