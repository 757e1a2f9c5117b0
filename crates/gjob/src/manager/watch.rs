//! Following a run that another process manages: its events, as that one's
//! handler is notified of them.

use std::time::Duration;

use gjob_core::event::{RunEnd, RunEvent};
use gjob_core::{Run, What};

use super::Handler;
use super::control::{ControlClient, ControlError, Received};
use super::dispatch::dispatch;
use crate::store::{RunDir, Store, StoreError};

/// Follows a run with a living manager.
#[derive(Debug)]
pub struct Watcher {
    client: ControlClient,
    run: Run,
    ended: Option<RunEnd>,
}

/// Why following a run is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// The manager has stopped.
    Ended(RunEnd),
    /// The manager is gone without a word, or could not wait for this watcher.
    CutOff,
}

impl Watcher {
    /// Connects to the manager of a run; none when nobody listens.
    ///
    /// # Errors
    /// When the manager cannot be asked, or the run's store cannot be read.
    pub fn connect(dir: &RunDir) -> Result<Option<Self>, WatchError> {
        let Some(mut client) = ControlClient::connect(dir)? else { return Ok(None) };
        let Some(snapshot) = client.watch()? else { return Ok(None) };
        // The store is read after the manager has begun to send events: so it
        // holds all that is not in them. Those that it holds are known by number.
        let run = Store::read(dir)?.load()?;
        Ok(Some(Watcher { client, run, ended: snapshot.ended }))
    }

    /// The run as far as it is known.
    #[must_use]
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// Notifies `handler` of what happens until the manager stops; jobs' outputs
    /// are no part of it. After `sleep_time` without an event comes a
    /// `handle_sleep`.
    ///
    /// # Errors
    /// When the manager's messages are invalid.
    pub fn follow(
        &mut self,
        sleep_time: Duration,
        handler: &mut impl Handler,
    ) -> Result<Watched, ControlError> {
        if let Some(end) = self.ended {
            return Ok(Watched::Ended(end));
        }
        loop {
            let event = match self.client.next(sleep_time)? {
                Received::Event(event) => event,
                Received::Nothing => {
                    handler.handle_sleep();
                    continue;
                }
                Received::End => return Ok(Watched::CutOff),
            };
            if !event.what.is_durable() || event.seq > self.run.seq() {
                self.run.apply(&event);
                dispatch(&event, &self.run, handler);
            }
            if let What::Run(RunEvent::Ended { end, .. }) = &event.what {
                return Ok(Watched::Ended(*end));
            }
        }
    }
}

/// A run cannot be followed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// The manager.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}
