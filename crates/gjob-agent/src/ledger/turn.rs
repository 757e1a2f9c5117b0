//! One look at the ledger: an ask has its turn and takes what it needs, or begins to wait.

use std::io;
use std::time::{Duration, Instant};

use super::ask::{Ask, Free};
use super::book::{Book, OwnLine};
use super::lack::Lack;
use super::line::{Held, Line, Turn};
use super::{Ledger, NoRoom, Share};

/// How long it takes at first until a waiter looks again by itself: the kernel says that a
/// file was closed a moment before its lock is gone.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// The longest time between two such looks.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Nobody has a reason to keep the ledger locked for so long.
pub(super) const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// What an ask waits for.
#[derive(Debug)]
pub(super) struct Wait {
    pub(super) waiter: OwnLine,
    ticket: u64,
    ask: Ask,
    pub(super) lack: Lack,
    pub(super) since: Instant,
    pub(super) next_look: Instant,
    pause: Duration,
}

impl Ledger {
    /// True if nothing has changed since this ask had to wait.
    pub(super) fn waits_on(&self, ask: &Ask, now: Instant) -> bool {
        let waits = |wait: &Wait| wait.ask == *ask && now < wait.next_look;
        self.wait.as_ref().is_some_and(waits) && !self.has_changed
    }

    /// Looks at the ledger, takes what is asked for if that can be had, and else waits.
    pub(super) fn look(
        &mut self,
        share: &mut Share,
        ask: &Ask,
        free: &Free,
        now: Instant,
    ) -> io::Result<Result<Held, NoRoom>> {
        let Some(book) = &self.book else { return Ok(Err(NoRoom)) };
        let waiting = self.wait.as_ref().map(|wait| (wait.waiter.name.as_str(), wait.ticket));
        let own = [Some(share.line.name.as_str()), waiting.map(|it| it.0)];
        let own: Vec<&str> = own.into_iter().flatten().collect();
        let ticket = waiting.map(|it| it.1);
        let looked = book.locked(|| -> io::Result<_> {
            let others = book.others(&own)?;
            let verdict = others.judge(&self.writer, ticket, ask, &self.offer, free);
            if let Ok(held) = &verdict {
                share.line.write(&self.line(held, None))?;
            }
            let last = others.waiters.iter().filter_map(|line| line.turn).map(|turn| turn.ticket);
            let ticket =
                ticket.unwrap_or_else(|| last.max().map_or(1, |last| last.saturating_add(1)));
            // Before anybody else can take what is asked for.
            let waiter = match &verdict {
                Err(_) => self.announce(book, ask, ticket)?,
                Ok(_) => None,
            };
            Ok((verdict, ticket, waiter, !others.waiters.is_empty()))
        })?;
        let Some(looked) = looked else {
            let since = *self.locked_since.get_or_insert(now);
            return match now.duration_since(since) < LOCK_TIMEOUT {
                true => Ok(Err(NoRoom)),
                false => Err(io::Error::other("another process keeps it locked")),
            };
        };
        let (verdict, ticket, waiter, is_pressed) = looked?;
        (self.locked_since, self.is_pressed) = (None, is_pressed);
        let has_changed = std::mem::take(&mut self.has_changed);
        match verdict {
            Ok(held) => {
                share.held = held;
                self.stop_waiting();
                Ok(Ok(share.held.clone()))
            }
            Err(lack) => {
                if let Some(waiter) = waiter {
                    let (ask, pause) = (ask.clone(), FIRST_PAUSE);
                    let next_look = now + pause;
                    let wait = Wait { waiter, ticket, ask, lack, since: now, next_look, pause };
                    self.wait = Some(wait);
                } else if let Some(wait) = &mut self.wait {
                    let longer = LONGEST_PAUSE.min(wait.pause * 2);
                    wait.pause = if has_changed { FIRST_PAUSE } else { longer };
                    wait.next_look = now + wait.pause;
                    (wait.lack, wait.ask) = (lack, ask.clone());
                }
                Ok(Err(NoRoom))
            }
        }
    }

    /// Makes it known that this ask waits; returns the new file, if there was none.
    fn announce(&self, book: &Book, ask: &Ask, ticket: u64) -> io::Result<Option<OwnLine>> {
        let held = Held { cpus: ask.cpus, mem: ask.mem, ..Held::nothing() };
        let turn = Turn { ticket, offer: self.offer, gpus: ask.gpus, bound: ask.bound_alone() };
        let line = self.line(&held, Some(turn));
        match &self.wait {
            None => book.new_waiter(&line).map(Some),
            Some(wait) if wait.ask != *ask => wait.waiter.write(&line).map(|()| None),
            Some(_) => Ok(None),
        }
    }

    fn line(&self, held: &Held, turn: Option<Turn>) -> Line {
        Line { writer: self.writer.clone(), held: held.clone(), turn }
    }
}
