//! The memory that a running job uses: all its processes together, looked at a few times
//! a second, against what it asked for; and whether the kernel has ended one for want of
//! memory. A job that asked for none and is not killed costs no look at anything.

use std::time::{Duration, Instant};

use gjob_core::Ending;

use super::reap::Reaped;
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
}

/// How many processes the kernel has ended for want of memory, of those among which a job's
/// are: read once by a slot, and again after each job that may be one of them.
#[derive(Debug)]
pub(crate) struct KernelKills(Option<u64>);

impl MemoryWatch {
    /// Begins with a job, which asked for this much memory, 0 for any amount.
    pub(super) fn new(limit: u64) -> Self {
        MemoryWatch {
            limit: (limit > 0).then_some(limit),
            next_look: Instant::now() + INTERVAL,
            peak: 0,
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
}

/// What the kernel ends for want of memory is among the largest processes: one that has used
/// a smaller part of the host's memory than this was ended by somebody else.
const LEAST_PART: u64 = 256;

impl KernelKills {
    /// As it is now.
    pub(crate) fn read() -> Self {
        KernelKills(host::out_of_memory_kills())
    }

    /// True if a job ended as those do that the kernel ends for want of memory, or whose
    /// last command it has ended, the kernel has ended some process meanwhile, and one of the
    /// job's was large enough to be that one. Nobody can know that it was: the kernel does not
    /// tell why a process was killed.
    pub(super) fn explain(&mut self, exit: &Reaped) -> bool {
        self.explain_on(exit, host::memory_bytes(), host::out_of_memory_kills)
    }

    fn explain_on(
        &mut self,
        exit: &Reaped,
        memory_bytes: u64,
        kills: impl FnOnce() -> Option<u64>,
    ) -> bool {
        const KILLED: u8 = libc::SIGKILL as u8;
        const SHELL_KILLED: u8 = 128 + KILLED;
        if !matches!(exit.ending, Ending::Exit(SHELL_KILLED) | Ending::Signal(KILLED)) {
            return false;
        }
        let before = std::mem::replace(&mut self.0, kills());
        let was_large = exit.max_rss_kib.saturating_mul(1024) >= memory_bytes / LEAST_PART;
        before < self.0 && was_large
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn exit(ending: Ending, max_rss_kib: u64) -> Reaped {
        let (user_us, system_us, read_bytes, written_bytes) = (0, 0, 0, 0);
        Reaped { pid: 1, ending, user_us, system_us, max_rss_kib, read_bytes, written_bytes }
    }

    #[test]
    fn only_a_kill_of_a_large_process_while_memory_was_short_is_for_want_of_memory() {
        let killed = |ending, max_rss_kib, kills| {
            KernelKills(Some(3)).explain_on(&exit(ending, max_rss_kib), 16 * GIB, || Some(kills))
        };
        let large = 1 << 20;
        assert!(killed(Ending::Signal(9), large, 4) && killed(Ending::Exit(137), large, 4));
        assert!(!killed(Ending::Signal(9), large, 3), "the kernel has ended nothing");
        assert!(!killed(Ending::Signal(9), 4096, 4), "it has ended something else");
        assert!(!killed(Ending::Exit(1), large, 4) && !killed(Ending::Signal(15), large, 4));
    }

    #[test]
    fn what_the_kernel_has_ended_counts_for_one_job_and_is_looked_at_only_after_a_kill() {
        let mut kills = KernelKills(Some(3));
        let unread = || -> Option<u64> { panic!("looked at for a job that ended well") };
        assert!(!kills.explain_on(&exit(Ending::Exit(0), 1 << 20), GIB, unread));
        let killed = exit(Ending::Signal(9), 1 << 20);
        assert!(kills.explain_on(&killed, GIB, || Some(4)));
        assert!(!kills.explain_on(&killed, GIB, || Some(4)));
        assert_eq!(MemoryWatch::new(0).time_left(), None);
    }
}
