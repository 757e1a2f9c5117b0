//! Following a run that another process manages: its events, as that one's
//! handler is notified of them.

use std::time::{Duration, Instant};

use gjob_core::event::{RunEnd, RunEvent};
use gjob_core::{Event, Run, What};

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

    /// Waits up to `wait` for what happens next.
    ///
    /// # Errors
    /// When the manager's messages are invalid.
    pub fn next(&mut self, wait: Duration) -> Result<Happened, ControlError> {
        if let Some(end) = self.ended {
            return Ok(Happened::Over(Watched::Ended(end)));
        }
        let event = match self.client.next(wait)? {
            Received::Event(event) => event,
            Received::Nothing => return Ok(Happened::Nothing),
            Received::End => return Ok(Happened::Over(Watched::CutOff)),
        };
        if let What::Run(RunEvent::Ended { end, .. }) = &event.what {
            self.ended = Some(*end);
        }
        if event.what.is_durable() && event.seq <= self.run.seq() {
            return Ok(Happened::Nothing);
        }
        self.run.apply(&event);
        Ok(Happened::Event(event))
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
        let mut news = Instant::now();
        loop {
            let quiet = sleep_time.saturating_sub(news.elapsed());
            let wait = handler.handle_wait(&self.run).map_or(quiet, |wait| wait.min(quiet));
            // A socket knows no timeout of zero.
            match self.next(wait.max(Duration::from_millis(1)))? {
                Happened::Event(event) => dispatch(&event, &self.run, handler),
                Happened::Nothing if news.elapsed() >= sleep_time => handler.handle_sleep(),
                Happened::Nothing => continue,
                Happened::Over(why) => return Ok(why),
            }
            news = Instant::now();
        }
    }
}

/// What happens next in a run that is followed.
#[derive(Clone, Debug, PartialEq)]
pub enum Happened {
    /// This; the watcher's run is as after it.
    Event(Box<Event>),
    /// Nothing new, so far.
    Nothing,
    /// Nothing more.
    Over(Watched),
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
