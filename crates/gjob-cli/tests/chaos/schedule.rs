//! What is done to a run, and in which order: all of it follows from a seed.

use crate::seed::Random;

/// One kind of harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Blow {
    KillManager,
    KillAgent,
    KillSsh,
    KillSession,
    KillSlot,
    FreezeManager,
    FreezeAgent,
    CutOff,
    Crash,
}

impl Blow {
    /// Whether something dies of it: a process by SIGKILL, or a whole host.
    pub(crate) fn kills(self) -> bool {
        match self {
            Blow::KillManager
            | Blow::KillAgent
            | Blow::KillSsh
            | Blow::KillSession
            | Blow::KillSlot
            | Blow::Crash => true,
            Blow::FreezeManager | Blow::FreezeAgent | Blow::CutOff => false,
        }
    }
}

/// Out of a hundred: on any bed, and with hosts in namespaces.
const WEIGHTS: [(Blow, u64, u64); 9] = [
    (Blow::KillManager, 26, 24),
    (Blow::KillAgent, 21, 18),
    (Blow::KillSsh, 17, 15),
    (Blow::KillSession, 17, 14),
    (Blow::KillSlot, 5, 5),
    (Blow::FreezeManager, 7, 6),
    (Blow::FreezeAgent, 7, 6),
    (Blow::CutOff, 0, 8),
    (Blow::Crash, 0, 4),
];

/// What is done next, to whom, for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) blow: Blow,
    /// Taken modulo the number of hosts.
    pub(crate) host: u64,
    /// Taken modulo the number of processes that it may hit.
    pub(crate) process: u64,
    /// From 0 to 1: how much of the longest duration of its kind.
    pub(crate) extent: f64,
}

/// Steps without end.
pub(crate) struct Schedule {
    random: Random,
    net: bool,
}

impl Schedule {
    pub(crate) fn new(seed: u64, net: bool) -> Self {
        Schedule { random: Random(seed), net }
    }
}

impl Iterator for Schedule {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        let mut dart = self.random.next() % 100;
        let hit = WEIGHTS.iter().find(|(_, plain, net)| {
            let weight = if self.net { *net } else { *plain };
            let hit = dart < weight;
            dart = dart.wrapping_sub(weight);
            hit
        });
        let (blow, ..) = *hit.unwrap();
        let (host, process) = (self.random.next(), self.random.next());
        let extent = (self.random.next() % 1001) as f64 / 1000.0;
        Some(Step { blow, host, process, extent })
    }
}
