//! The way from the links to their owner: bounded in messages and in bytes, so
//! that hosts which flood fill no memory; they are held back instead. Parts of
//! jobs' outputs go straight to the tasks that write them down, each through a
//! short queue of its own.

use gjob_core::Key;
use gjob_core::wire::{BlobHash, FromAgent, MAX_AGENT_FRAME, OutputPart, RunUsage};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::LinkEvent;
use super::calls::{StreamItem, StreamPart};

/// The most memory one message from an agent may take. What an agent has
/// reason to send takes half of it; what is made to grow in memory, more.
pub(super) const HEAVIEST: usize = 8 * MAX_AGENT_FRAME;

/// The unit in which room is counted, bytes.
const UNIT: usize = 1024;

/// How much memory what waits in some queues may take together.
#[derive(Clone, Debug)]
pub struct MemoryBudget {
    room: Arc<Semaphore>,
    units: usize,
}

impl MemoryBudget {
    /// Room for about `bytes`, and for one message at least.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let units = (bytes.max(HEAVIEST) / UNIT).min(u32::MAX as usize);
        MemoryBudget { room: Arc::new(Semaphore::new(units)), units }
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

/// Where a link delivers what comes.
#[derive(Clone, Debug)]
pub struct Channels {
    inbox: mpsc::Sender<Arrival>,
    inbox_room: MemoryBudget,
    output_room: MemoryBudget,
}

impl Channels {
    /// Events into `inbox`, while there is `inbox_room`. Parts of outputs wait
    /// elsewhere, in `output_room`: a disk that is slow does not hold back the
    /// rest.
    #[must_use]
    pub fn new(
        inbox: mpsc::Sender<Arrival>,
        inbox_room: MemoryBudget,
        output_room: MemoryBudget,
    ) -> Self {
        Channels { inbox, inbox_room, output_room }
    }
}

/// The channels of one link.
#[derive(Clone, Debug)]
pub(super) struct Inbox {
    pub(super) host: usize,
    pub(super) channels: Channels,
}

/// What is to be delivered.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// To the link's owner.
    Event(LinkEvent),
    /// To the one who reads the outputs asked for under this number.
    Part { request: u32, to: mpsc::Sender<StreamItem>, part: StreamPart },
}

/// Room for one delivery.
#[derive(Debug)]
pub(super) enum DeliveryPermit<'a> {
    Event(mpsc::Permit<'a, Arrival>, OwnedSemaphorePermit),
    Part(mpsc::OwnedPermit<StreamItem>, OwnedSemaphorePermit),
}

/// What a delivery needs; it can be waited for while the delivery is changed.
#[derive(Debug)]
pub(super) enum Need {
    Event { bytes: usize },
    Part { bytes: usize, to: mpsc::Sender<StreamItem> },
}

/// Why there will be no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    /// The link's owner is gone.
    Owner,
    /// The reader of these outputs is.
    Reader,
}

impl Inbox {
    /// Waits for room.
    pub(super) async fn reserve(&self, need: Need) -> Result<DeliveryPermit<'_>, Closed> {
        let Channels { inbox, inbox_room, output_room } = &self.channels;
        // The place in the queue first: room in memory is not held by those who
        // wait for a place. The semaphores are never closed.
        match need {
            Need::Event { bytes } => {
                let place = inbox.reserve().await.map_err(|_| Closed::Owner)?;
                let room = inbox_room.take(bytes).await.ok_or(Closed::Owner)?;
                Ok(DeliveryPermit::Event(place, room))
            }
            Need::Part { bytes, to } => {
                let place = to.reserve_owned().await.map_err(|_| Closed::Reader)?;
                let room = output_room.take(bytes).await.ok_or(Closed::Reader)?;
                Ok(DeliveryPermit::Part(place, room))
            }
        }
    }

    /// Delivers an event as soon as there is room; false when the owner is gone.
    pub(super) async fn put(&self, event: LinkEvent) -> bool {
        let outgoing = Outgoing::Event(event);
        match self.reserve(outgoing.need()).await {
            Ok(permit) => {
                self.deliver(permit, outgoing);
                true
            }
            Err(_) => false,
        }
    }

    /// Delivers what `permit` was reserved for.
    pub(super) fn deliver(&self, permit: DeliveryPermit<'_>, outgoing: Outgoing) {
        match (permit, outgoing) {
            (DeliveryPermit::Event(place, room), Outgoing::Event(event)) => {
                place.send(Arrival { host: self.host, event, _room: room });
            }
            (DeliveryPermit::Part(place, room), Outgoing::Part { part, .. }) => {
                place.send((part, room));
            }
            (DeliveryPermit::Event(..), Outgoing::Part { .. })
            | (DeliveryPermit::Part(..), Outgoing::Event(_)) => {
                debug_assert!(false, "a permit is of the kind it was reserved for");
            }
        }
    }
}

impl Outgoing {
    /// What it needs to be delivered.
    pub(super) fn need(&self) -> Need {
        match self {
            Outgoing::Event(event) => Need::Event { bytes: event_weight(event) },
            Outgoing::Part { part, to, .. } => {
                let bytes = match part {
                    StreamPart::Parts(parts) => parts.iter().map(part_weight).sum(),
                    StreamPart::End { .. } | StreamPart::Failed { .. } => UNIT,
                };
                Need::Part { bytes: bytes + size_of::<StreamPart>(), to: to.clone() }
            }
        }
    }
}

fn event_weight(event: &LinkEvent) -> usize {
    match event {
        LinkEvent::Message(message) => weight(message),
        LinkEvent::Answer(answer) => weight(&answer.message),
        _ => UNIT,
    }
}

/// About how much memory a message takes, bytes.
pub(super) fn weight(message: &FromAgent) -> usize {
    let content = match message {
        FromAgent::Records { lines, .. } => lines.len(),
        FromAgent::Recorded { line, .. } => line.len(),
        FromAgent::Data { bytes, .. } => bytes.len(),
        FromAgent::MissingBlobs { blobs } => blobs.len() * size_of::<(BlobHash, u64)>(),
        FromAgent::Statuses { states, .. } => states.len(),
        FromAgent::Outputs { parts, .. } => parts.iter().map(part_weight).sum(),
        FromAgent::NotNow { keys, .. } => UNIT + keys.len() * size_of::<(Key, u32)>(),
        FromAgent::Removed { kept, .. } => kept.iter().map(|(_, reason)| 128 + reason.size()).sum(),
        FromAgent::Purged { kept, .. } => kept.iter().map(|(_, reason)| 128 + reason.size()).sum(),
        FromAgent::Usage { usage, .. } => UNIT + usage.runs.len() * (64 + size_of::<RunUsage>()),
        FromAgent::Welcome(_)
        | FromAgent::BlobStored { .. }
        | FromAgent::Told { .. }
        | FromAgent::Sharing(_)
        | FromAgent::HostCount { .. }
        | FromAgent::BlobFailed { .. }
        | FromAgent::ReadFailed { .. }
        | FromAgent::Collected { .. }
        | FromAgent::CollectFailed { .. }
        | FromAgent::Forgotten { .. }
        | FromAgent::ByHand { .. }
        | FromAgent::Description { .. }
        | FromAgent::ProbeStarted { .. }
        | FromAgent::ProbeEnded { .. }
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
