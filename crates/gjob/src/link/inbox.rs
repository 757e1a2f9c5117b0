//! The way from the links to their owner: bounded in messages and in bytes, so
//! that hosts which flood fill no memory; they are held back instead. Parts of
//! jobs' outputs have a way of their own to whoever writes them down.

use std::sync::Arc;

use gjob_core::wire::{BlobHash, FromAgent, MAX_AGENT_FRAME, OutputPart};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::LinkEvent;

/// The most memory one message from an agent may take. What an agent has
/// reason to send takes half of it; what is made to grow in memory, more.
pub(super) const HEAVIEST: usize = 8 * MAX_AGENT_FRAME;

/// The unit in which room is counted, bytes.
const UNIT: usize = 1024;

/// How much memory what waits in some queues may take together.
#[derive(Clone, Debug)]
pub struct Budget {
    room: Arc<Semaphore>,
    units: usize,
}

impl Budget {
    /// Room for about `bytes`, and for one message at least.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let units = (bytes.max(HEAVIEST) / UNIT).min(u32::MAX as usize);
        Budget { room: Arc::new(Semaphore::new(units)), units }
    }

    /// Waits for room; it is given back when the answer is dropped.
    async fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let units = bytes.div_ceil(UNIT).min(self.units) as u32;
        // The semaphore is never closed.
        Arc::clone(&self.room).acquire_many_owned(units).await.ok()
    }
}

/// One event of a link, which keeps its room until it is taken.
#[derive(Debug)]
pub struct Arrival {
    /// The link's number.
    pub host: usize,
    /// What it says.
    pub event: LinkEvent,
    /// Dropped with the rest.
    _room: OwnedSemaphorePermit,
}

/// A queue of events, and the room that it shares with others.
#[derive(Clone, Debug)]
pub struct Lane {
    sender: mpsc::Sender<Arrival>,
    budget: Budget,
}

impl Lane {
    /// A way to whoever has the receiver.
    #[must_use]
    pub fn new(sender: mpsc::Sender<Arrival>, budget: Budget) -> Self {
        Lane { sender, budget }
    }
}

/// Where a link puts what comes.
#[derive(Clone, Debug)]
pub struct Outlets {
    inbox: Lane,
    outputs: Option<Lane>,
}

impl Outlets {
    /// Everything into one lane.
    #[must_use]
    pub fn new(inbox: Lane) -> Self {
        Outlets { inbox, outputs: None }
    }

    /// The answers to [`ToAgent::Collect`](gjob_core::wire::ToAgent::Collect)
    /// into another: when it is full only this link waits.
    #[must_use]
    pub fn outputs_to(self, outputs: Lane) -> Self {
        Outlets { outputs: Some(outputs), ..self }
    }
}

/// The outlets of one link.
#[derive(Clone, Debug)]
pub(super) struct Inbox {
    pub(super) host: usize,
    pub(super) outlets: Outlets,
}

/// What an event needs before it can be put.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Claim {
    is_output: bool,
    bytes: usize,
}

/// Room for one event where it belongs.
#[derive(Debug)]
pub(super) struct Room<'a> {
    host: usize,
    place: mpsc::Permit<'a, Arrival>,
    room: OwnedSemaphorePermit,
}

impl Inbox {
    /// Waits for room; none when nobody listens any more.
    pub(super) async fn reserve(&self, claim: Claim) -> Option<Room<'_>> {
        let lane = match &self.outlets.outputs {
            Some(outputs) if claim.is_output => outputs,
            _ => &self.outlets.inbox,
        };
        // The place first: room is not held by those who wait for a place.
        let place = lane.sender.reserve().await.ok()?;
        let room = lane.budget.take(claim.bytes).await?;
        Some(Room { host: self.host, place, room })
    }

    /// Puts `event` where it belongs, in its time; false when nobody listens.
    pub(super) async fn put(&self, event: LinkEvent) -> bool {
        match self.reserve(Claim::of(&event)).await {
            Some(room) => {
                room.put(event);
                true
            }
            None => false,
        }
    }
}

impl Room<'_> {
    pub(super) fn put(self, event: LinkEvent) {
        let Room { host, place, room } = self;
        place.send(Arrival { host, event, _room: room });
    }
}

impl Claim {
    pub(super) fn of(event: &LinkEvent) -> Self {
        match event {
            LinkEvent::Message(message) => Claim {
                is_output: matches!(
                    message,
                    FromAgent::Outputs { .. }
                        | FromAgent::Collected { .. }
                        | FromAgent::CollectFailed { .. }
                ),
                bytes: weight(message),
            },
            _ => Claim { is_output: false, bytes: UNIT },
        }
    }
}

/// About how much memory a message takes, bytes.
pub(super) fn weight(message: &FromAgent) -> usize {
    let content = match message {
        FromAgent::Records { lines, .. } => lines.len(),
        FromAgent::Data { bytes, .. } => bytes.len(),
        FromAgent::MissingBlobs { blobs } => blobs.len() * size_of::<(BlobHash, u64)>(),
        FromAgent::Statuses { states, .. } => states.len(),
        FromAgent::Outputs { parts, .. } => parts.iter().map(part_weight).sum(),
        FromAgent::Removed { kept, .. } => kept.iter().map(|(_, reason)| 128 + reason.size()).sum(),
        FromAgent::Welcome(_)
        | FromAgent::BlobStored { .. }
        | FromAgent::BlobFailed { .. }
        | FromAgent::ReadFailed { .. }
        | FromAgent::Collected { .. }
        | FromAgent::CollectFailed { .. }
        | FromAgent::Forgotten { .. }
        | FromAgent::Echo { .. }
        | FromAgent::Pong { .. }
        | FromAgent::Fault { .. } => UNIT,
    };
    size_of::<LinkEvent>() + content
}

fn part_weight(part: &OutputPart) -> usize {
    let content = match part {
        OutputPart::Dir { path, .. } | OutputPart::File { path, .. } => 16 + path.len(),
        OutputPart::Bytes(bytes) => bytes.len(),
        OutputPart::End { .. } => 0,
    };
    size_of::<OutputPart>() + content
}
