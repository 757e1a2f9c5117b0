//! What the manager wants done that takes a while: done in small steps between
//! everything else, each kind first come first served.

use std::collections::VecDeque;

use gjob_core::record::one_line;
use gjob_core::wire::{FromAgent, ToAgent};

use super::collect::{Collect, CollectError, CollectOrder, Turn};
use super::forget::Forget;
use super::outbox::Outbox;
use super::remove::Remove;
use super::{AgentError, check_asked};
use crate::claims::Claims;
use crate::host;
use crate::jobdir::Layout;

/// The most that waits to be done.
const MAX_ERRANDS: usize = 100_000;

/// What is to be done.
#[derive(Debug)]
pub(super) struct Errands {
    layout: Layout,
    orders: VecDeque<CollectOrder>,
    collect: Option<Collect>,
    chores: VecDeque<Chore>,
}

/// Something to be removed.
#[derive(Debug)]
enum Chore {
    Remove(Box<Remove>),
    Forget(Box<Forget>),
}

/// When to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// Nothing is to be done before something else happens.
    Idle,
    /// Something may have come about in a while.
    Soon,
    /// At once.
    Now,
}

impl Errands {
    /// Nothing to be done yet.
    pub(super) fn new(layout: Layout) -> Self {
        let (orders, chores) = (VecDeque::new(), VecDeque::new());
        Errands { layout, orders, collect: None, chores }
    }

    /// Takes an order; gives back what is none.
    pub(super) fn take(&mut self, message: ToAgent) -> Result<Option<ToAgent>, AgentError> {
        if self.orders.len() + self.chores.len() >= MAX_ERRANDS {
            return Err(AgentError::Protocol("it asks for too much at once"));
        }
        match message {
            ToAgent::Collect { request, id, patterns, all, resume } => {
                check_asked(patterns.len())?;
                self.orders.push_back(CollectOrder { request, id, patterns, all, resume });
            }
            ToAgent::CollectStop { request } => {
                self.orders.retain(|order| order.request != request);
                self.collect.take_if(|collect| collect.request() == request);
            }
            ToAgent::Remove { request, run, host, jobs } => {
                check_asked(jobs.len())?;
                let claims = Claims::new(self.layout.run_dir(&run, &host).keys());
                let remove = Remove::new((request, run), host::hostname(), claims, jobs);
                self.chores.push_back(Chore::Remove(Box::new(remove)));
            }
            ToAgent::Forget { request, run, host } => {
                let forget = Forget::new(request, self.layout.run_dir(&run, &host));
                self.chores.push_back(Chore::Forget(Box::new(forget)));
            }
            other => return Ok(Some(other)),
        }
        Ok(None)
    }

    /// Does a step of each kind.
    pub(super) fn work(&mut self, out: &mut Outbox) {
        if out.has_room_for_bulk() {
            self.go_on_collecting(out);
        }
        let done = match self.chores.front_mut() {
            Some(Chore::Remove(remove)) => remove.step(&self.layout),
            Some(Chore::Forget(forget)) => forget.step(&self.layout),
            None => None,
        };
        if let Some(answer) = done {
            self.chores.pop_front();
            out.send(&answer);
        }
    }

    fn go_on_collecting(&mut self, out: &mut Outbox) {
        if self.collect.is_none()
            && let Some(order) = self.orders.pop_front()
        {
            let request = order.request;
            match Collect::open(&self.layout, order) {
                Ok(collect) => self.collect = Some(collect),
                Err(error) => out.send(&failed(request, &error)),
            }
        }
        let Some(collect) = &mut self.collect else { return };
        let request = collect.request();
        let last = match collect.turn() {
            Ok(Turn::On) => return,
            Ok(Turn::Send(message)) => return out.send(&message),
            Ok(Turn::Done(files)) => FromAgent::Collected { request, files },
            Err(error) => failed(request, &error),
        };
        self.collect = None;
        out.send(&last);
    }

    /// When there is more to do.
    pub(super) fn pace(&self, out: &Outbox) -> Pace {
        let collects = self.collect.is_some() || !self.orders.is_empty();
        let waits = match self.chores.front() {
            Some(Chore::Remove(remove)) => Some(remove.is_waiting()),
            Some(Chore::Forget(_)) => Some(false),
            None => None,
        };
        if collects && out.has_room_for_bulk() || waits == Some(false) {
            Pace::Now
        } else if waits == Some(true) {
            Pace::Soon
        } else {
            Pace::Idle
        }
    }
}

fn failed(request: u32, error: &CollectError) -> FromAgent {
    let reason = one_line(&error.to_string());
    FromAgent::CollectFailed { request, reason, scope: error.scope() }
}
