//! Orders for jobs' outputs, and the removal of what jobs leave behind, while a
//! manager uses the network.

use gjob_core::scheduler::HostIx;
use gjob_core::{JobId, Key, RunId};

use super::Network;
use crate::link::RemoveJobs;
use crate::outputs::{CollectOrder, OutputsConfig};

impl Network {
    /// Sets where outputs go, from the next time the network is opened on.
    #[must_use]
    pub fn outputs(mut self, config: Option<OutputsConfig>) -> Self {
        self.outputs = config;
        self
    }

    /// Asks for a job's outputs; [`Report::Output`](super::Report::Output)
    /// says once that they are here and durable, or why not. An order
    /// outlives the ends of its host's connections, but not
    /// [`Report::Failed`](super::Report::Failed): then it is dropped without a
    /// report. Asking for a key that is under way changes nothing.
    pub fn collect(&mut self, host: HostIx, order: CollectOrder) {
        if let Some(open) = &mut self.open {
            open.collect(host, order);
        }
    }

    /// Takes an order back. If its outputs are complete already they stay, and
    /// are reported.
    pub fn forget_collect(&mut self, host: HostIx, key: Key) {
        if let Some(open) = &mut self.open {
            open.hosts[host.at()].collecting.remove(&key);
        }
    }

    /// Has a host remove the directories of jobs of `run` that have ended, if it
    /// answers now. Nothing is reported: what is left stays for `gjob clean`.
    pub fn remove(&mut self, host: HostIx, run: &RunId, jobs: &[(Key, JobId)]) {
        let request = RemoveJobs { run: run.clone(), host: self.label(host), jobs: jobs.to_vec() };
        if let Some(open) = &mut self.open {
            open.remove(host, &request);
        }
    }
}
