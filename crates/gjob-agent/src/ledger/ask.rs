//! What an agent asks for, and what it can get it from.

use gjob_core::resources::Cpus;

use super::line::Held;
use super::processors::Processors;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    /// Processors.
    pub(crate) cpus: Cpus,
    /// Memory, bytes; 0 for any amount.
    pub(crate) mem: u64,
    /// The number of GPUs.
    pub(crate) gpus: u32,
    /// The number of processors that its job is to be bound to; 0 for one that is not bound.
    pub(crate) bound: u32,
    /// These may be some that other jobs are bound to, those with the fewest: its run has more
    /// slots than there are processors.
    pub(crate) may_overlap: bool,
}

impl Ask {
    /// The number of processors to which no other job is to be bound.
    pub(super) fn bound_alone(&self) -> u32 {
        if self.may_overlap { 0 } else { self.bound }
    }

    /// What it gets of `free`, when nothing else counts.
    pub(super) fn of(&self, free: &Free) -> Held {
        let gpus = free.gpus.iter().take(self.gpus as usize).cloned().collect();
        Held { cpus: self.cpus, mem: self.mem, gpus, bound: free.processors.choose(self.bound) }
    }
}

/// What the jobs of a run leave of what others may have, too, by its names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Free {
    /// GPUs that none of them has.
    pub(crate) gpus: Vec<String>,
    /// All processors, with those of them that are bound to some.
    pub(crate) processors: Processors,
}
