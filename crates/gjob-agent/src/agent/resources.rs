//! What jobs have of this host while they run: no two jobs of a run have the
//! same processor or GPU.

use std::collections::HashMap;

use gjob_core::Key;
use gjob_core::resources::Cpus;
use gjob_core::wire::Launch;

use crate::host;
use crate::ledger::{Held, Processors};

/// What a job has of its host while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Allocation {
    cpus: Cpus,
    mem: u64,
    /// GPUs, as `CUDA_VISIBLE_DEVICES` names them.
    devices: Vec<String>,
    /// Processors that it is bound to.
    bound: Vec<u32>,
}

impl Allocation {
    /// Processors, memory in bytes, GPUs, and the processors that it is bound to.
    pub(crate) fn new(cpus: Cpus, mem: u64, devices: Vec<String>, bound: Vec<u32>) -> Self {
        Allocation { cpus, mem, devices, bound }
    }
}

/// The host's processors, memory and GPUs, as far as this run is concerned.
#[derive(Debug)]
pub(crate) struct Resources {
    /// Jobs of one processor at once.
    cpus: u32,
    mem: u64,
    devices: Vec<String>,
    held: HashMap<Key, Allocation>,
}

impl Resources {
    pub(crate) fn new(slots: u32) -> Self {
        let (mem, devices) = (host::memory_bytes(), host::gpus());
        Resources { cpus: slots, mem, devices, held: HashMap::new() }
    }

    /// True when everything that a launch requests is free.
    pub(crate) fn fits(&self, launch: &Launch) -> bool {
        if self.held.values().any(|held| held.cpus == Cpus::All) {
            return false;
        }
        // What an earlier agent's jobs have is read in their own directories, which
        // they can write to: the sums must not overflow.
        let used: u64 =
            self.held.values().filter_map(|held| held.cpus.count()).map(u64::from).sum();
        let request = &launch.request;
        let cpus = match request.cpus {
            Cpus::Count(count) => used + u64::from(count) <= self.cpus.into(),
            Cpus::All => self.held.is_empty(),
        };
        let mem: u128 = self.held.values().map(|held| u128::from(held.mem)).sum();
        cpus && (request.mem == 0 || mem + u128::from(request.mem) <= self.mem.into())
            && self.free_devices().count() >= request.gpus as usize
    }

    /// True when nothing is held.
    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// The GPUs that no job of this run has.
    pub(crate) fn free_devices(&self) -> impl Iterator<Item = &String> {
        let held = |device: &String| self.held.values().any(|held| held.devices.contains(device));
        self.devices.iter().filter(move |device| !held(device))
    }

    /// The most memory that jobs may ask for together, bytes.
    pub(crate) fn memory(&self) -> u64 {
        self.mem
    }

    /// Takes note in `processors` of the jobs of this run that are bound to some.
    pub(crate) fn note_bound(&self, processors: &mut Processors) {
        self.held.values().for_each(|held| processors.note(&held.bound));
    }

    /// Gives a launch what it requests, with these GPUs and processors.
    pub(crate) fn take(&mut self, launch: &Launch, held: Held) {
        let (request, Held { gpus, bound, .. }) = (&launch.request, held);
        let allocation = Allocation::new(request.cpus, request.mem, gpus, bound);
        self.held.insert(launch.key, allocation);
    }

    /// Takes note of what a job has that an earlier agent has begun. Without an
    /// allocation, since the job has removed its record, it may have any GPU.
    pub(crate) fn keep(&mut self, key: Key, allocation: Option<Allocation>) {
        let any = || Allocation::new(Cpus::default(), 0, self.devices.clone(), Vec::new());
        let allocation = allocation.unwrap_or_else(any);
        self.held.insert(key, allocation);
    }

    pub(crate) fn release(&mut self, key: Key) {
        self.held.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use gjob_core::JobRequest;

    use super::*;

    fn launch(index: u32, gpus: u32) -> Launch {
        Launch {
            key: Key::new(index, 1),
            request: JobRequest { mem: 1, gpus, ..JobRequest::default() },
            script: String::new(),
            files: Vec::new(),
            is_task: false,
            dropped: 0,
        }
    }

    #[test]
    fn no_gpu_is_free_while_a_job_may_have_any() {
        let devices = ["0", "1"].map(str::to_owned).to_vec();
        let mut resources = Resources { cpus: 4, mem: 1 << 30, devices, held: HashMap::new() };
        resources.keep(Key::new(0, 1), None);
        assert!(resources.fits(&launch(1, 0)) && !resources.fits(&launch(1, 1)));
        resources.release(Key::new(0, 1));
        assert!(resources.fits(&launch(1, 2)));
        resources.take(&launch(1, 1), Held { gpus: vec!["1".to_owned()], ..Held::nothing() });
        assert_eq!(resources.free_devices().collect::<Vec<_>>(), ["0"]);
    }

    #[test]
    fn changed_records_of_jobs_leave_no_room_and_do_no_harm() {
        let mut resources =
            Resources { cpus: 4, mem: 1 << 30, devices: Vec::new(), held: HashMap::new() };
        let cpus = Cpus::Count(u32::MAX);
        let most = || Allocation::new(cpus, u64::MAX, Vec::new(), Vec::new());
        resources.keep(Key::new(0, 1), Some(most()));
        resources.keep(Key::new(1, 1), Some(most()));
        let launch = launch(2, 0);
        assert!(!resources.fits(&launch));
        resources.release(Key::new(0, 1));
        assert!(!resources.fits(&launch));
        resources.release(Key::new(1, 1));
        assert!(resources.fits(&launch));
    }
}
