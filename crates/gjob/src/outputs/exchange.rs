//! What collectors are told, what they say, and what those of all hosts have
//! in common.

use std::io;
use std::sync::Arc;

use gjob_core::Key;
use gjob_core::scheduler::HostIx;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};

use super::commit::{Committed, Waiting, commit_all};
use super::dir::Place;
use super::refusal::Refusal;
use super::{CollectError, CollectOrder, OutputsConfig};

/// Jobs of all hosts that may wait to be put in their place.
const COMPLETE: usize = 256;

/// Hosts whose outputs are written at one moment: more don't make a disk faster.
const WRITERS: usize = 8;

/// What a collector is told, in order.
#[derive(Debug)]
pub(crate) enum Order {
    /// Bring these; a key that is under way already is left as it is.
    Collect(CollectOrder),
    /// Don't bring these, unless they are complete.
    Forget(Key),
    /// The link is up, another than before.
    Up,
    /// The link broke.
    Down,
    /// The link is gone for good: no order is kept.
    Gone,
}

/// What collectors say.
#[derive(Debug)]
pub(crate) enum News {
    /// An order is carried out, or can't be.
    Collected { key: Key, result: Result<Committed, CollectError> },
    /// How far a large file has come.
    Collecting { key: Key, path: String, bytes: u64, size: u64 },
    /// The host's agent doesn't keep to the protocol. It is not listened to
    /// until another link is up.
    Violation(String),
}

/// What the collectors of all hosts have in common.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    place: Arc<Place>,
    /// Turns at the disk.
    writers: Arc<Semaphore>,
    complete: mpsc::Sender<Waiting>,
    pub(super) news: mpsc::Sender<(HostIx, News)>,
}

impl Shared {
    /// Starts the task that commits; `tag` tells this process's unfinished
    /// directories from those of others that use the same one.
    pub(crate) fn start(
        handle: &Handle,
        config: Option<&OutputsConfig>,
        tag: String,
        news: mpsc::Sender<(HostIx, News)>,
    ) -> Self {
        let (complete, waiting) = mpsc::channel(COMPLETE);
        handle.spawn(commit_all(waiting, news.clone()));
        let place = Arc::new(Place::new(config.cloned(), tag));
        // What can't be done now is said when outputs come.
        let _ = place.sweep();
        let writers = Arc::new(Semaphore::new(WRITERS));
        Shared { place, writers, complete, news }
    }

    /// Hands on what is complete. Nobody takes it only when the network is
    /// being closed.
    pub(super) async fn commit(&self, waiting: Waiting) {
        let _ = self.complete.send(waiting).await;
    }

    /// Does what may wait for a disk where that holds back no link.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Place) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        // The semaphore is never closed.
        let _turn = self.writers.acquire().await;
        let place = Arc::clone(&self.place);
        tokio::task::spawn_blocking(move || work(&place)).await.map_err(|error| {
            let what = "outputs".to_owned();
            Refusal::Here { what, source: io::Error::other(error) }
        })
    }
}
