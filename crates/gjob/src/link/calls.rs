//! Requests to an agent and their answers. A link numbers what it asks, and
//! each answer finds the one who asked: once for most requests, in parts for a
//! job's outputs.
//!
//! An answer comes in the order of everything else that the link delivers: when
//! it is there, what the agent had sent before it has been delivered, too.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use gjob_core::record::Scope;
use gjob_core::text::Foreign;
use gjob_core::wire::{FromAgent, OutputPart, ToAgent};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

/// A request that is answered once.
pub(crate) trait Request: Clone + Send + 'static {
    /// What the answer says.
    type Answer: Send + 'static;

    /// The message that asks, under this number.
    fn to_message(&self, request: u32) -> ToAgent;

    /// Reads the answer; none if the message answers something else.
    fn read(answer: FromAgent) -> Option<Self::Answer>;
}

/// The connection ended before the answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection ended before the answer came")]
pub(crate) struct NoAnswer;

/// An answer on its way.
#[derive(Debug)]
pub(crate) struct Call<A>(oneshot::Receiver<A>);

impl<A> Call<A> {
    /// The answer, if it has come; an error if it will not.
    pub(crate) fn try_answer(&mut self) -> Option<Result<A, NoAnswer>> {
        match self.0.try_recv() {
            Ok(answer) => Some(Ok(answer)),
            Err(oneshot::error::TryRecvError::Empty) => None,
            Err(oneshot::error::TryRecvError::Closed) => Some(Err(NoAnswer)),
        }
    }
}

impl<A> Future for Call<A> {
    type Output = Result<A, NoAnswer>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|answer| answer.map_err(|_| NoAnswer))
    }
}

/// A job's outputs on their way. Dropped, it stops them.
#[derive(Debug)]
pub(crate) struct OutputStream(mpsc::Receiver<StreamItem>);

/// What comes of a job's outputs; the last two kinds end the stream.
#[derive(Debug)]
pub(crate) enum StreamPart {
    Parts(Vec<OutputPart>),
    /// All were sent; so many are regular files.
    End {
        files: u64,
    },
    Failed {
        reason: Foreign,
        scope: Scope,
        /// There is no directory of the job.
        is_gone: bool,
    },
}

/// A part that waits to be read, and the room it takes.
pub(super) type StreamItem = (StreamPart, OwnedSemaphorePermit);

impl OutputStream {
    /// The next part; an error when the connection has ended.
    pub(crate) async fn next(&mut self) -> Result<StreamPart, NoAnswer> {
        // The room is given back here: a part is written down before the next
        // one is asked for.
        self.0.recv().await.map(|(part, _room)| part).ok_or(NoAnswer)
    }
}

/// A request on its way to the link.
pub struct NewCall {
    pub(super) request: u32,
    pub(super) message: ToAgent,
    pub(super) reply: Reply,
}

impl fmt::Debug for NewCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewCall").field("message", &self.message).finish_non_exhaustive()
    }
}

/// Where an answer goes.
pub(super) enum Reply {
    /// False when the message is no answer to what was asked.
    Once(Box<dyn FnOnce(FromAgent) -> bool + Send>),
    Stream(mpsc::Sender<StreamItem>),
}

/// An answer that waits to be delivered.
pub struct LinkAnswer {
    pub(super) message: FromAgent,
    deliver: Box<dyn FnOnce(FromAgent) -> bool + Send>,
}

impl LinkAnswer {
    /// Hands it to the one who asked, who may be gone. False when it is an
    /// answer to something else.
    #[must_use]
    pub fn deliver(self) -> bool {
        (self.deliver)(self.message)
    }
}

impl fmt::Debug for LinkAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LinkAnswer").field(&self.message).finish()
    }
}

/// Makes a call of `request` under this number.
pub(super) fn once<R: Request>(request: &R, number: u32) -> (NewCall, Call<R::Answer>) {
    let (sender, receiver) = oneshot::channel();
    let deliver = |message| {
        let answer = R::read(message);
        let fits = answer.is_some();
        // An error says that nobody waits for it any more.
        answer.map(|answer| sender.send(answer));
        fits
    };
    let reply = Reply::Once(Box::new(deliver));
    let call = NewCall { request: number, message: request.to_message(number), reply };
    (call, Call(receiver))
}

/// Makes a call that is answered in parts, of which `ahead` may wait to be read.
pub(super) fn stream(message: ToAgent, number: u32, ahead: usize) -> (NewCall, OutputStream) {
    let (sender, receiver) = mpsc::channel(ahead);
    let call = NewCall { request: number, message, reply: Reply::Stream(sender) };
    (call, OutputStream(receiver))
}

/// The calls of one connection that are not answered yet.
#[derive(Default)]
pub(super) struct Calls {
    open: HashMap<u32, Reply>,
}

/// A message from the agent, and where it is to go.
#[derive(Debug)]
pub(super) enum Delivery {
    /// To the link's owner.
    Message(FromAgent),
    /// Through the owner to the one who asked.
    Answer(LinkAnswer),
    /// To the reader of a stream.
    Part { request: u32, to: mpsc::Sender<StreamItem>, part: StreamPart },
    /// Nobody wants it any more.
    Dropped,
    /// A request was answered in a way that no agent has reason to.
    Unexpected,
}

impl Calls {
    /// Notes a call that is sent.
    pub(super) fn add(&mut self, call: NewCall) -> ToAgent {
        self.open.insert(call.request, call.reply);
        call.message
    }

    /// Drops a call whose reader is gone.
    pub(super) fn remove(&mut self, request: u32) {
        self.open.remove(&request);
    }

    /// Finds the one who waits for a message.
    pub(super) fn route(&mut self, message: FromAgent) -> Delivery {
        let Some(request) = request_of(&message) else { return Delivery::Message(message) };
        match self.open.remove(&request) {
            None => Delivery::Dropped,
            Some(Reply::Once(deliver)) => Delivery::Answer(LinkAnswer { message, deliver }),
            Some(Reply::Stream(to)) => match stream_part(message) {
                None => Delivery::Unexpected,
                Some(part) => {
                    if let StreamPart::Parts(_) = part {
                        self.open.insert(request, Reply::Stream(to.clone()));
                    }
                    Delivery::Part { request, to, part }
                }
            },
        }
    }
}

fn stream_part(message: FromAgent) -> Option<StreamPart> {
    match message {
        FromAgent::Outputs { parts, .. } => Some(StreamPart::Parts(parts)),
        FromAgent::Collected { files, .. } => Some(StreamPart::End { files }),
        FromAgent::CollectFailed { reason, scope, is_gone, .. } => {
            Some(StreamPart::Failed { reason, scope, is_gone })
        }
        _ => None,
    }
}

/// The number of the request that a message answers.
fn request_of(message: &FromAgent) -> Option<u32> {
    match message {
        FromAgent::Data { request, .. }
        | FromAgent::ReadFailed { request, .. }
        | FromAgent::Statuses { request, .. }
        | FromAgent::Outputs { request, .. }
        | FromAgent::Collected { request, .. }
        | FromAgent::CollectFailed { request, .. }
        | FromAgent::Removed { request, .. }
        | FromAgent::Forgotten { request, .. }
        | FromAgent::Purged { request, .. }
        | FromAgent::ByHand { request, .. }
        | FromAgent::Description { request, .. }
        | FromAgent::Usage { request, .. }
        | FromAgent::ProbeStarted { request, .. }
        | FromAgent::ProbeEnded { request, .. }
        | FromAgent::Echo { request } => Some(*request),
        FromAgent::Welcome(_)
        | FromAgent::Records { .. }
        | FromAgent::MissingBlobs { .. }
        | FromAgent::BlobStored { .. }
        | FromAgent::BlobFailed { .. }
        | FromAgent::NotNow { .. }
        | FromAgent::Told { .. }
        | FromAgent::Sharing(_)
        | FromAgent::HostCount { .. }
        | FromAgent::Recorded { .. }
        | FromAgent::Pong { .. }
        | FromAgent::Fault { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::requests::RequestEcho;

    #[tokio::test]
    async fn an_answer_finds_the_one_who_asked() {
        let mut calls = Calls::default();
        let (first, first_answer) = once(&RequestEcho, 1);
        let (second, second_answer) = once(&RequestEcho, 2);
        assert_eq!(calls.add(first), ToAgent::Echo { request: 1 });
        assert_eq!(calls.add(second), ToAgent::Echo { request: 2 });
        match calls.route(FromAgent::Echo { request: 2 }) {
            Delivery::Answer(answer) => assert!(answer.deliver()),
            other => panic!("{other:?}"),
        }
        assert_eq!(second_answer.await, Ok(()));
        // The connection ends.
        drop(calls);
        assert_eq!(first_answer.await, Err(NoAnswer));
    }

    #[test]
    fn an_answer_to_something_else_is_told_apart_and_one_that_nobody_waits_for_dropped() {
        let mut calls = Calls::default();
        let (call, answer) = once(&RequestEcho, 1);
        calls.add(call);
        match calls.route(FromAgent::Statuses { request: 1, states: Vec::new() }) {
            Delivery::Answer(answer) => assert!(!answer.deliver()),
            other => panic!("{other:?}"),
        }
        assert!(matches!(calls.route(FromAgent::Echo { request: 1 }), Delivery::Dropped));
        let (call, unread) = once(&RequestEcho, 2);
        calls.add(call);
        drop((answer, unread));
        match calls.route(FromAgent::Echo { request: 2 }) {
            Delivery::Answer(answer) => assert!(answer.deliver()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_stream_is_open_until_its_end() {
        let mut calls = Calls::default();
        let (call, _stream) = stream(ToAgent::CollectStop { request: 9 }, 9, 1);
        calls.add(call);
        for _ in 0..2 {
            let parts = calls.route(FromAgent::Outputs { request: 9, parts: Vec::new() });
            assert!(matches!(parts, Delivery::Part { part: StreamPart::Parts(_), .. }));
        }
        let end = calls.route(FromAgent::Collected { request: 9, files: 0 });
        assert!(matches!(end, Delivery::Part { part: StreamPart::End { files: 0 }, .. }));
        let late = calls.route(FromAgent::Outputs { request: 9, parts: Vec::new() });
        assert!(matches!(late, Delivery::Dropped));
    }
}
