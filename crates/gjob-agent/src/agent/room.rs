//! What jobs have of this host while they run, so that no two of a run have
//! the same, and which devices a job gets.

use std::collections::HashMap;

use gjob_core::Key;
use gjob_core::wire::Launch;

use crate::host;
use crate::jobdir::Asked;

/// The host's processors, memory and GPUs, as far as this run is concerned.
#[derive(Debug)]
pub(crate) struct Room {
    /// Jobs of one processor at once.
    cpus: u32,
    mem: u64,
    devices: Vec<String>,
    held: HashMap<Key, Asked>,
}

impl Room {
    pub(crate) fn new(slots: u32) -> Self {
        let (mem, devices) = (host::memory_bytes(), host::gpus());
        Room { cpus: slots, mem, devices, held: HashMap::new() }
    }

    /// True when all that a launch asks for is free.
    pub(crate) fn fits(&self, launch: &Launch) -> bool {
        if self.held.values().any(|held| held.cpus.is_none()) {
            return false;
        }
        let used: u32 = self.held.values().filter_map(|held| held.cpus).sum();
        let cpus = match launch.cpus {
            Some(cpus) => used.saturating_add(cpus) <= self.cpus,
            None => self.held.is_empty(),
        };
        let mem: u64 = self.held.values().map(|held| held.mem).sum();
        cpus && (launch.mem == 0 || mem.saturating_add(launch.mem) <= self.mem)
            && self.free_devices().count() >= launch.gpus as usize
    }

    /// True when nothing is held.
    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    fn free_devices(&self) -> impl Iterator<Item = &String> {
        let held = |device: &String| self.held.values().any(|held| held.devices.contains(device));
        self.devices.iter().filter(move |device| !held(device))
    }

    /// Gives a launch what it asks for; the devices are named.
    pub(crate) fn take(&mut self, launch: &Launch) -> Vec<String> {
        let devices: Vec<String> =
            self.free_devices().take(launch.gpus as usize).cloned().collect();
        let held = Asked { cpus: launch.cpus, mem: launch.mem, devices: devices.clone() };
        self.held.insert(launch.key, held);
        devices
    }

    /// A job that an earlier agent has begun has this.
    pub(crate) fn keep(&mut self, key: Key, asked: Asked) {
        self.held.insert(key, asked);
    }

    pub(crate) fn release(&mut self, key: Key) {
        self.held.remove(&key);
    }
}
