//! How the fetching of jobs' outputs goes on, and what all hosts' collectors
//! have in common.

use std::io;
use std::sync::Arc;

use gjob_core::Key;
use gjob_core::scheduler::HostIx;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};

use super::commit::{Committed, Waiting, commit_all};
use super::dir::Destination;
use super::refusal::Refusal;
use super::{CollectError, CollectedOutputs, OutputsConfig};
use crate::open_files;

/// Jobs of all hosts that may wait to be put in their place.
const COMPLETE: usize = 256;

/// Hosts whose outputs are written at one moment: more don't make a disk faster.
const WRITERS: usize = 8;

/// What happens while outputs are fetched.
#[derive(Debug)]
pub enum OutputProgress<T = CollectedOutputs> {
    /// How far a large file has come; at most once a second for each host.
    Collecting {
        /// The order's.
        key: Key,
        /// Below the job's directory; fit to be shown.
        path: String,
        /// Bytes that are here.
        bytes: u64,
        /// Bytes in all.
        size: u64,
    },
    /// An order is carried out, or can't be.
    Collected {
        /// The order's.
        key: Key,
        /// What came, or why not.
        result: Result<T, CollectError>,
    },
}

/// What a task that fetches outputs reports. The list of what came is read when
/// it is handed on: until then a long one takes no memory.
#[derive(Debug)]
pub(crate) enum CollectReport {
    Progress(OutputProgress<Committed>),
    /// The host's agent does not keep to the protocol.
    Violation(String),
}

/// Where these reports go.
pub(crate) type CollectReports = mpsc::Sender<(HostIx, CollectReport)>;

/// What the collectors of all hosts have in common.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    place: Arc<Destination>,
    /// Turns at the disk.
    writers: Arc<Semaphore>,
    complete: mpsc::Sender<Waiting>,
    pub(super) reports: CollectReports,
}

impl Shared {
    /// Starts the task that commits; `tag` tells this process's unfinished
    /// directories from those of others that use the same one.
    pub(crate) fn start(
        handle: &Handle,
        config: Option<&OutputsConfig>,
        tag: String,
        reports: CollectReports,
    ) -> Self {
        let (complete, waiting) = mpsc::channel(COMPLETE);
        handle.spawn(commit_all(waiting, reports.clone()));
        let place = Arc::new(Destination::new(config.cloned(), tag));
        // What can't be done now is said when outputs come.
        let _ = place.sweep();
        let writers = Arc::new(Semaphore::new(WRITERS));
        Shared { place, writers, complete, reports }
    }

    /// Hands on what is complete. Nobody takes it only when the network is
    /// being closed.
    pub(super) async fn commit(&self, waiting: Waiting) {
        let _ = self.complete.send(waiting).await;
    }

    /// The path of the directory of outputs, for a message.
    pub(super) fn shown_place(&self) -> String {
        self.place.shown()
    }

    /// Does what may wait for a disk where that holds back no link.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Destination) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        // The semaphore is never closed.
        let _turn = self.writers.acquire().await;
        let place = Arc::clone(&self.place);
        let work = move || {
            open_files::wait_to_write();
            work(&place)
        };
        tokio::task::spawn_blocking(work).await.map_err(|error| {
            let what = "outputs".to_owned();
            Refusal::Here { what, source: io::Error::other(error) }
        })
    }
}
