//! How other processes of the user reach a manager: a unix socket in the run's
//! directory. This is the engine's side: who is connected, who follows the run,
//! and who waits for an answer. What is asked for, the engine does.
//!
//! # Theory of operation
//!
//! One thread accepts, and each client has one that reads and one that writes.
//! Readers put requests into one bounded channel and wake the engine; writers
//! empty a bounded queue each. The engine never waits for any of them: a client
//! whose queue is full is cut off.
//!
//! A request that is not answered was not carried out to its end: a manager
//! that stops closes the connection instead, and the client goes another way.

mod client;
mod protocol;
mod server;
mod socket;

use std::collections::BTreeMap;

use gjob_core::Event;
use serde::Serialize;

use crate::network::Waker;
use crate::store::RunDir;
pub use client::{ControlClient, ControlError, Received};
use protocol::Fault;
pub use protocol::{
    Act, Answer, CONTROL_VERSION, Change, Changed, MAX_JOBS, MAX_LINE, Refusal, Request, Snapshot,
};
pub(super) use server::ClientId;
use server::{Incoming, Outbox, Server};

/// The clients of a manager.
#[derive(Debug, Default)]
pub(super) struct Control {
    server: Option<Server>,
    clients: BTreeMap<ClientId, Client>,
    problem: Option<String>,
}

#[derive(Debug)]
struct Client {
    outbox: Outbox,
    watches: bool,
}

impl Control {
    /// Listens in the run's directory, whose lock this process holds. A run
    /// continues without, if that fails: [`Control::problem`] says so.
    pub(super) fn listen(dir: &RunDir, waker: Waker) -> Self {
        match Server::start(dir, waker) {
            Ok(server) => Control { server: Some(server), ..Control::default() },
            Err(error) => Control { problem: Some(error.to_string()), ..Control::default() },
        }
    }

    /// Why nobody can connect.
    pub(super) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// The next request, if there is one.
    pub(super) fn next(&mut self) -> Option<(ClientId, Request)> {
        loop {
            match self.server.as_ref()?.next()? {
                Incoming::Connected(id, outbox) => {
                    self.clients.insert(id, Client { outbox, watches: false });
                }
                Incoming::Invalid(id, error) => {
                    self.answer(id, &Fault { error });
                    self.dismiss(id);
                }
                Incoming::Disconnected(id) => drop(self.clients.remove(&id)),
                Incoming::Request(id, request) => return Some((id, request)),
            }
        }
    }

    /// Answers a request.
    pub(super) fn answer(&mut self, id: ClientId, answer: &impl Serialize) {
        let Ok(line) = protocol::line(answer) else { return };
        if let Some(client) = self.clients.get(&id)
            && !client.outbox.put(line)
        {
            self.clients.remove(&id);
        }
    }

    /// From here on the client gets every event.
    pub(super) fn watch(&mut self, id: ClientId, snapshot: &Snapshot) {
        self.answer(id, snapshot);
        if let Some(client) = self.clients.get_mut(&id) {
            client.watches = true;
        }
    }

    /// Cuts a client off, without an answer.
    pub(super) fn dismiss(&mut self, id: ClientId) {
        self.clients.remove(&id);
    }

    /// Hands an event to the clients that follow the run; one that cannot keep up
    /// is cut off.
    pub(super) fn notify(&mut self, event: &Event) {
        if !self.clients.values().any(|client| client.watches) {
            return;
        }
        let Ok(line) = protocol::line(event) else { return };
        self.clients.retain(|_, client| !client.watches || client.outbox.put(line.clone()));
    }

    /// Disconnects everyone, with what is still to be sent to them.
    pub(super) fn close(&mut self) {
        self.clients.clear();
        if let Some(server) = self.server.take() {
            server.close();
        }
    }
}

#[cfg(test)]
mod tests;
