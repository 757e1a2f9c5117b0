//! The owner's end of a link: commands to it, requests over it, and its state.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use gjob_core::JobId;
use gjob_core::wire::{Resume, ToAgent};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::calls::{self, Call, OutputStream, Request};
use super::{LinkCommand, LinkState};

/// Why nothing comes over a link that its owner has closed.
pub(super) const CLOSED: &str = "the link was closed";

/// Parts of a job's outputs that may wait to be read.
const PARTS_AHEAD: usize = 2;

/// Owns a link's task. Dropped, it closes the link.
#[derive(Debug)]
pub struct LinkHandle {
    pub(super) sender: LinkSender,
    pub(super) closing: watch::Sender<Option<String>>,
    pub(super) task: JoinHandle<()>,
}

impl LinkHandle {
    /// Sends a command to the link, without waiting. While there is no
    /// connection this does nothing: what matters is sent again after
    /// [`LinkEvent::Up`](super::LinkEvent::Up).
    ///
    /// A message may reach the connection after the one it was meant for, when
    /// that one has broken unnoticed: messages are made to bear it.
    pub fn send(&self, command: LinkCommand) {
        match command {
            LinkCommand::Close => self.close(),
            other => self.sender.command(other),
        }
    }

    /// Begins to close the link, without waiting.
    pub fn close(&self) {
        self.reject(CLOSED);
    }

    /// The same; those who wait for the link are given this reason.
    pub(crate) fn reject(&self, reason: &str) {
        self.closing.send_replace(Some(reason.to_owned()));
    }

    /// Another end of the link, which does not keep it open.
    #[must_use]
    pub fn sender(&self) -> LinkSender {
        self.sender.clone()
    }

    /// Waits for the end of the link's task and of its child process.
    pub async fn ended(self) {
        let LinkHandle { sender, closing, task } = self;
        // An error is a panic in the task, or a runtime that is shut down.
        let _ = task.await;
        drop((sender, closing));
    }
}

/// Sends messages and asks over a link that another owns.
#[derive(Clone, Debug)]
pub struct LinkSender {
    commands: mpsc::UnboundedSender<LinkCommand>,
    /// Numbers requests. One counter for all connections: a late answer of an
    /// older one is nobody's.
    next_request: Arc<AtomicU32>,
    state: watch::Receiver<LinkState>,
}

/// A host does not answer, and why, in one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct Unreachable {
    pub(crate) reason: String,
}

impl LinkSender {
    pub(super) fn new(
        commands: mpsc::UnboundedSender<LinkCommand>,
        state: watch::Receiver<LinkState>,
    ) -> Self {
        LinkSender { commands, next_request: Arc::default(), state }
    }

    /// Sends a message, without waiting; see [`LinkHandle::send`].
    pub fn send(&self, message: ToAgent) {
        self.command(LinkCommand::Send(message));
    }

    fn command(&self, command: LinkCommand) {
        // An error says that the link has ended, and so does its last event.
        drop(self.commands.send(command));
    }

    /// Asks over the present connection.
    pub(crate) fn call<R: Request>(&self, request: &R) -> Call<R::Answer> {
        let (call, answer) = calls::once(request, self.number());
        self.command(LinkCommand::Call(call));
        answer
    }

    /// Asks for a job's outputs over the present connection.
    pub(crate) fn collect(
        &self,
        id: &JobId,
        patterns: &[String],
        all: bool,
        resume: Option<Resume>,
    ) -> OutputStream {
        let request = self.number();
        let (id, patterns) = (id.clone(), patterns.to_vec());
        let message = ToAgent::Collect { request, id, patterns, all, resume };
        let (call, parts) = calls::stream(message, request, PARTS_AHEAD);
        self.command(LinkCommand::Call(call));
        parts
    }

    fn number(&self) -> u32 {
        self.next_request.fetch_add(1, Ordering::Relaxed)
    }

    /// Asks as often as it takes: again over the next connection when one ends
    /// before the answer has come.
    ///
    /// # Errors
    /// When the link has given up, or was down for all of `limit`; with a limit also as
    /// soon as it is down for what others must mend first.
    pub(crate) async fn ask<R: Request>(
        &self,
        request: &R,
        limit: Option<Duration>,
    ) -> Result<R::Answer, Unreachable> {
        loop {
            self.up(limit).await?;
            if let Ok(answer) = self.call(request).await {
                return Ok(answer);
            }
        }
    }

    /// Waits until the link is up.
    ///
    /// # Errors
    /// As [`LinkSender::ask`].
    pub(crate) async fn up(&self, limit: Option<Duration>) -> Result<(), Unreachable> {
        let is_settled = |state: &LinkState| match state {
            LinkState::Up | LinkState::Failed { .. } => true,
            LinkState::Down { may_pass_soon, .. } => limit.is_some() && !may_pass_soon,
            LinkState::Connecting { .. } => false,
        };
        let mut state = self.state.clone();
        let mut seen = state.borrow().clone();
        loop {
            let settled = async { state.wait_for(is_settled).await.is_ok() };
            let in_time = match limit {
                Some(limit) => timeout(limit, settled).await.unwrap_or(false),
                None => settled.await,
            };
            let now = self.state.borrow().clone();
            let is_further = now != seen;
            let reason = match &now {
                // It may be down again already: then a call gets no answer.
                LinkState::Up => return Ok(()),
                LinkState::Down { reason, may_pass_soon: false } if limit.is_some() => {
                    reason.clone()
                }
                _ if in_time && !matches!(now, LinkState::Failed { .. }) => return Ok(()),
                // A host that is heard of is waited for on.
                LinkState::Connecting { stage, .. } if stage.is_progress() && is_further => {
                    seen = now;
                    continue;
                }
                LinkState::Connecting { stage, last, .. } => {
                    last.clone().unwrap_or_else(|| stage.to_string())
                }
                LinkState::Down { reason, .. } | LinkState::Failed { reason } => reason.clone(),
            };
            return Err(Unreachable { reason });
        }
    }
}

/// A link without a host: a test plays the agent.
#[cfg(test)]
pub(crate) mod played {
    use gjob_core::wire::FromAgent;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::link::calls::{Calls, Delivery};

    pub(crate) struct PlayedLink {
        commands: mpsc::UnboundedReceiver<LinkCommand>,
        state: watch::Sender<LinkState>,
        calls: Calls,
    }

    /// A link that is up.
    pub(crate) fn link() -> (LinkSender, PlayedLink) {
        let (sender, commands) = mpsc::unbounded_channel();
        let (state, states) = watch::channel(LinkState::Up);
        let played = PlayedLink { commands, state, calls: Calls::default() };
        (LinkSender::new(sender, states), played)
    }

    impl PlayedLink {
        /// The next request.
        pub(crate) async fn asked(&mut self) -> ToAgent {
            match self.commands.recv().await {
                Some(LinkCommand::Call(call)) => self.calls.add(call),
                other => panic!("{other:?}"),
            }
        }

        pub(crate) fn answer(&mut self, answer: FromAgent) {
            match self.calls.route(answer) {
                Delivery::Answer(answer) => assert!(answer.deliver()),
                Delivery::Part { to, part, .. } => {
                    let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
                    // An error says that it was asked for again.
                    drop(to.try_send((part, permit)));
                }
                other => panic!("{other:?}"),
            }
        }

        /// The connection ends, and another one begins.
        pub(crate) fn reconnect(&mut self) {
            self.calls = Calls::default();
            self.fall("broken");
            self.state.send_replace(LinkState::Up);
        }

        pub(crate) fn fall(&mut self, reason: &str) {
            self.calls = Calls::default();
            let reason = reason.to_owned();
            self.state.send_replace(LinkState::Down { reason, may_pass_soon: true });
        }

        pub(crate) fn refuse(&mut self, reason: &str) {
            let reason = reason.to_owned();
            self.state.send_replace(LinkState::Down { reason, may_pass_soon: false });
        }

        pub(crate) fn fail(&mut self, reason: &str) {
            self.calls = Calls::default();
            self.state.send_replace(LinkState::Failed { reason: reason.to_owned() });
        }
    }
}

#[cfg(test)]
mod tests {
    use gjob_core::wire::FromAgent;

    use super::played::link;
    use super::*;
    use crate::link::RequestEcho;

    #[tokio::test]
    async fn a_request_is_sent_again_over_the_next_connection() {
        let (sender, mut played) = link();
        let asking = tokio::spawn(async move { sender.ask(&RequestEcho, None).await });
        assert_eq!(played.asked().await, ToAgent::Echo { request: 0 });
        played.reconnect();
        assert_eq!(played.asked().await, ToAgent::Echo { request: 1 });
        played.answer(FromAgent::Echo { request: 1 });
        assert_eq!(asking.await.unwrap(), Ok(()));
    }

    #[tokio::test]
    async fn a_link_that_gives_up_or_stays_down_is_not_waited_for() {
        let unreachable = |reason: &str| Err(Unreachable { reason: reason.to_owned() });
        let (sender, mut played) = link();
        played.fall("no route to host");
        let limit = Some(Duration::from_millis(20));
        assert_eq!(sender.ask(&RequestEcho, limit).await, unreachable("no route to host"));
        played.refuse("connection refused");
        let limit = Some(Duration::MAX);
        assert_eq!(sender.ask(&RequestEcho, limit).await, unreachable("connection refused"));
        let asking = tokio::spawn(async move { sender.ask(&RequestEcho, None).await });
        played.fail("authentication failed");
        assert_eq!(asking.await.unwrap(), unreachable("authentication failed"));
    }
}
