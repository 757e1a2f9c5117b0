//! Orders about what jobs leave behind: bring their outputs here, remove their
//! directories, forget a run.

use gjob_core::scheduler::HostIx;
use gjob_core::wire::ToAgent;
use gjob_core::{JobId, Key, RunId};

use super::open::Open;
use super::{Network, Report};
use crate::outputs::{CollectError, CollectOrder, CollectScope, News, Order, OutputsConfig};

/// The most jobs in one request to remove them.
const REMOVED_AT_ONCE: usize = 4096;

impl Network {
    /// Sets where outputs go, from the next time the network is opened on.
    #[must_use]
    pub fn outputs(mut self, config: Option<OutputsConfig>) -> Self {
        self.outputs = config;
        self
    }

    /// Asks for a job's outputs; [`Report::Collected`] says that they are here
    /// and durable, or why not, once an order. An order outlives the breaks of
    /// its host's link, but not [`Report::Failed`]: then it is dropped, and
    /// nothing is said of it. Asking for a key that is under way changes nothing.
    pub fn collect(&mut self, host: HostIx, order: CollectOrder) {
        if let Some(open) = &mut self.open {
            open.members[host.at()].order(Order::Collect(order));
        }
    }

    /// Takes an order back. If its outputs are complete already they stay, and
    /// are reported.
    pub fn forget_collect(&mut self, host: HostIx, key: Key) {
        if let Some(open) = &mut self.open {
            open.members[host.at()].order(Order::Forget(key));
        }
    }

    /// Has a host remove the directories of jobs of `run`; those that have not
    /// ended are kept. Each request whose number is given back is answered by a
    /// [`Report::Removed`], unless the host's link breaks before: then it is to
    /// be asked again.
    pub fn remove(&mut self, host: HostIx, run: &RunId, jobs: &[(Key, JobId)]) -> Vec<u32> {
        let batches = jobs.chunks(REMOVED_AT_ONCE);
        let ask = |jobs: &[(Key, JobId)]| {
            let (request, run, jobs) = (self.number_request(), run.clone(), jobs.to_vec());
            let label = self.label(host);
            self.send(host, ToAgent::Remove { request, run, host: label, jobs });
            request
        };
        batches.map(ask).collect()
    }

    /// Has a host forget a run, and the files that only this run has used.
    /// [`Report::Forgotten`] answers, unless the host's link breaks before.
    pub fn forget_run(&mut self, host: HostIx, run: &RunId) -> u32 {
        let (request, run) = (self.number_request(), run.clone());
        let label = self.label(host);
        self.send(host, ToAgent::Forget { request, run, host: label });
        request
    }

    pub(super) fn number_request(&mut self) -> u32 {
        let request = self.next_request;
        self.next_request = self.next_request.wrapping_add(1);
        request
    }
}

impl Open {
    pub(super) fn handle_news(&mut self, host: HostIx, news: News) {
        let report = match news {
            News::Violation(what) => return self.reject(host, &what),
            News::Collecting { key, path, bytes, size } => {
                Report::Collecting { key, path, bytes, size }
            }
            News::Collected { key, result } => {
                let result = result.and_then(|committed| {
                    committed.read().map_err(|error| CollectError {
                        scope: CollectScope::Here,
                        reason: format!("can't read the list of its outputs: {error}"),
                    })
                });
                Report::Collected { key, result }
            }
        };
        self.ready.push_back((host, report));
    }
}
