//! What jobs use of a host. What they were given when it offered more may be
//! more than it offers now.

use crate::resources::{Ask, Cpus, Offer};

/// The sum of what jobs have of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    cpus: u64,
    mem: u128,
    gpus: u64,
    /// Jobs that have all of it.
    whole: u32,
}

impl Usage {
    pub(super) fn add(&mut self, ask: &Ask) {
        match ask.cpus {
            Cpus::Count(count) => self.cpus += u64::from(count),
            Cpus::All => self.whole += 1,
        }
        self.mem += u128::from(ask.mem);
        self.gpus += u64::from(ask.gpus);
    }

    pub(super) fn remove(&mut self, ask: &Ask) {
        match ask.cpus {
            Cpus::Count(count) => self.cpus -= u64::from(count),
            Cpus::All => self.whole -= 1,
        }
        self.mem -= u128::from(ask.mem);
        self.gpus -= u64::from(ask.gpus);
    }

    /// Processors in use on a host with this many slots.
    #[must_use]
    pub fn cpus(&self, slots: u32) -> u32 {
        let cpus = u32::try_from(self.cpus).unwrap_or(u32::MAX);
        match self.whole {
            0 => cpus,
            1.. => slots.max(cpus),
        }
    }

    /// True when memory and GPUs are left for this as well.
    #[must_use]
    pub fn leaves_memory_and_gpus(&self, ask: &Ask, offer: &Offer) -> bool {
        self.mem + u128::from(ask.mem) <= offer.mem.into()
            && self.gpus + u64::from(ask.gpus) <= offer.gpus.into()
    }
}
