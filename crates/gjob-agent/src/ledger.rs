//! What all runs of one user take of one machine, whatever names they reach it by: its
//! processors, memory and GPUs are given out once. Every slot has a share, a locked file that
//! says what its job has, and that counts as long as the slot or its agent lives; an agent
//! whose next launch has no room is a waiter, and is woken when a share changes.
//!
//! A share that is free is kept for the slot's next job, so that jobs which ask for the same
//! cost nothing, until somebody waits. Whatever is wrong with the ledger keeps no job from
//! running: it is left out then.

mod ask;
mod book;
mod lack;
mod line;
mod processors;
#[cfg(test)]
mod tests;
mod turn;
mod verdict;

use std::io;
use std::os::fd::BorrowedFd;
use std::process::Stdio;
use std::time::{Duration, Instant};

use gjob_core::RunId;
use gjob_core::resources::ranges;
use gjob_core::wire::ManagedAt;

pub(crate) use self::ask::{Ask, Free};
pub(crate) use self::book::PLACE;
use self::book::{Book, OwnLine, place};
use self::line::Writer;
pub(crate) use self::line::{Held, Offer};
pub(crate) use self::processors::Processors;
use self::turn::Wait;
use crate::host;

/// A wait that is over sooner is told to nobody.
const TELL_AFTER: Duration = Duration::from_secs(1);

/// The time between two looks at a ledger in which somebody takes something just now.
const LOCK_PAUSE: Duration = Duration::from_millis(2);

/// The ledger, as the agent of one run sees it.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// None while it is left out.
    book: Option<Book>,
    writer: Writer,
    offer: Offer,
    wait: Option<Wait>,
    /// Somebody else waits.
    is_pressed: bool,
    /// It has changed since the last look.
    has_changed: bool,
    /// Since when somebody else has it locked.
    locked_since: Option<Instant>,
    /// Why it was left out, until that is told.
    fault: Option<String>,
    /// What the manager was told of the wait.
    told: Option<String>,
}

/// A slot's share.
#[derive(Debug)]
pub(crate) struct Share {
    line: OwnLine,
    held: Held,
}

/// News for the manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// Launches wait, and for what.
    Waits(String),
    /// They wait no more.
    Goes,
    /// The ledger is left out, and why.
    LeftOut(String),
}

/// There is no room now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoRoom;

impl Ledger {
    /// The ledger for the jobs of `run`, which is `managed` there, has what is offered of this machine, and was
    /// itself started by a job that runs within these shares.
    pub(crate) fn open(run: &RunId, managed: ManagedAt, offer: Offer, within: Vec<String>) -> Self {
        let writer = Writer {
            run: run.to_string(),
            managed,
            agent: std::process::id(),
            processors: ranges(host::processors()),
            within,
        };
        let opened = place().and_then(|place| Book::open(&place));
        let fault = opened.as_ref().err().map(ToString::to_string);
        Ledger { fault, ..Ledger::with(opened.ok(), writer, offer) }
    }

    /// None: its jobs take no notice of others, nor they of them.
    pub(crate) fn absent(offer: Offer) -> Self {
        Ledger::with(None, Writer::default(), offer)
    }

    fn with(book: Option<Book>, writer: Writer, offer: Offer) -> Self {
        Ledger {
            is_pressed: book.as_ref().is_some_and(|book| book.has_waiters(None).unwrap_or(true)),
            book,
            writer,
            offer,
            wait: None,
            has_changed: false,
            locked_since: None,
            fault: None,
            told: None,
        }
    }

    /// A share for a new slot; none without a ledger.
    pub(crate) fn new_share(&mut self) -> Option<Share> {
        match self.book.as_ref()?.new_share() {
            Ok(line) => Some(Share { line, held: Held::nothing() }),
            Err(error) => {
                self.leave_out(&error);
                None
            }
        }
    }

    /// True if a slot can begin a job that asks for this with what its share has.
    pub(crate) fn has_kept(&self, share: Option<&Share>, ask: &Ask) -> bool {
        let Some(share) = share.filter(|_| self.book.is_some()) else { return true };
        !self.is_pressed && share.matches(ask)
    }

    /// Gives a slot what its next job asks for, with some of what is `free`, when all that
    /// can be had. What idle slots have kept was given up before.
    pub(crate) fn take(
        &mut self,
        share: Option<&mut Share>,
        ask: &Ask,
        free: &Free,
        now: Instant,
    ) -> Result<Held, NoRoom> {
        let Some(share) = share.filter(|_| self.book.is_some()) else { return Ok(ask.of(free)) };
        let is_free = |gpu| free.gpus.contains(gpu);
        if self.has_kept(Some(share), ask) && share.held.gpus.iter().all(is_free) {
            return Ok(share.held.clone());
        }
        if self.waits_on(ask, now) {
            return Err(NoRoom);
        }
        match self.look(share, ask, free, now) {
            Ok(taken) => taken,
            Err(error) => {
                self.leave_out(&error);
                Ok(ask.of(free))
            }
        }
    }

    /// Nothing waits any more.
    pub(crate) fn stop_waiting(&mut self) {
        self.locked_since = None;
        if let Some(wait) = self.wait.take() {
            wait.waiter.remove();
        }
    }

    /// Gives up what a slot has that has no job.
    pub(crate) fn give_up(&mut self, share: &mut Share) {
        if share.held == Held::nothing() {
            return;
        }
        share.held = Held::nothing();
        if let Err(error) = share.line.clear() {
            self.leave_out(&error);
        }
    }

    fn leave_out(&mut self, error: &io::Error) {
        self.fault = Some(error.to_string());
        self.stop_waiting();
        self.book = None;
    }

    /// True if somebody else waits: what is not in use is to be given up.
    pub(crate) fn is_pressed(&self) -> bool {
        self.is_pressed
    }

    /// True if there is no ledger, or none any more.
    pub(crate) fn is_left_out(&self) -> bool {
        self.book.is_none()
    }

    /// The shares in which the jobs of a slot run: its own, and those that its run is in.
    pub(crate) fn within(&self, share: Option<&Share>) -> String {
        let own = share.map(|share| share.line.name.as_str());
        let all: Vec<&str> = self.writer.within.iter().map(String::as_str).chain(own).collect();
        all.join(":")
    }

    /// What becomes readable when the ledger changes.
    pub(crate) fn pollable(&self) -> Option<BorrowedFd<'_>> {
        self.book.as_ref().map(Book::pollable)
    }

    /// Takes notice of what has changed.
    pub(crate) fn handle_wakeup(&mut self) {
        let Some(book) = &self.book else { return };
        let changes = book.changes();
        self.has_changed |= changes.any;
        if changes.waiters {
            let own = self.wait.as_ref().map(|wait| wait.waiter.name.as_str());
            // One that cannot be looked at shows when something is taken.
            self.is_pressed = book.has_waiters(own).unwrap_or(true);
        }
    }

    /// When there is something to do though nothing changes.
    pub(crate) fn next_due(&self, now: Instant) -> Option<Instant> {
        let locked = self.locked_since.map(|_| now + LOCK_PAUSE);
        let wait = self.wait.as_ref();
        let tell = wait.map(|wait| wait.since + TELL_AFTER).filter(|at| *at > now);
        [locked, wait.map(|wait| wait.next_look), tell].into_iter().flatten().min()
    }

    /// What the manager does not know yet.
    pub(crate) fn next_notice(&mut self, now: Instant) -> Option<Notice> {
        if let Some(fault) = self.fault.take() {
            return Some(Notice::LeftOut(fault));
        }
        let is_long = |wait: &&Wait| now.duration_since(wait.since) >= TELL_AFTER;
        let waits = self.wait.as_ref().filter(is_long).map(|wait| wait.lack.to_string());
        if waits == self.told {
            return None;
        }
        self.told.clone_from(&waits);
        Some(waits.map_or(Notice::Goes, Notice::Waits))
    }
}

impl Share {
    /// True if it has just what is asked for.
    fn matches(&self, ask: &Ask) -> bool {
        let Held { cpus, mem, gpus, bound } = &self.held;
        // Another processor may have fewer jobs by now than one that has several.
        let has_bound = bound.len() == ask.bound as usize && !ask.may_overlap;
        *cpus == ask.cpus && *mem == ask.mem && gpus.len() == ask.gpus as usize && has_bound
    }

    /// What a slot is to keep open, and jobs cannot reach: the share counts meanwhile.
    pub(crate) fn for_slot(&self) -> io::Result<Stdio> {
        self.line.file.try_clone().map(Stdio::from)
    }

    /// Takes it away, since its slot has ended.
    pub(crate) fn remove(self) {
        self.line.remove();
    }
}
