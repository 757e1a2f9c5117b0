//! Launches, from the manager's message to a slot: queued in memory, dispatched one
//! at a time, withdrawn or ended on request.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Instant;

use gjob_core::record::{Scope, one_line};
use gjob_core::wire::{FromAgent, Launch, Sharing};
use gjob_core::{Key, Order, Record};

use super::admission::NotNow;
use super::error::{AgentError, MAX_COUNT};
use super::link::Link;
use super::slot_pool::Dispatch;
use super::slot_process::OwnSlot;
use super::unclaimed::begun_job;
use super::{Agent, log_error};
use crate::claims::{Claim, ODD_CLAIM, is_odd};
use crate::control;
use crate::host;
use crate::identity::Process;
use crate::jobdir::JobDir;
use crate::lease::KeptLease;
use crate::ledger::Notice;
use crate::shortage::Shortage;

/// The most launches that wait.
const MAX_QUEUED: usize = 100_000;

/// The most bytes of scripts that wait.
const MAX_QUEUED_BYTES: usize = 256 * 1024 * 1024;

/// How many slots may die over one launch before it is refused.
const MAX_DEATHS: u32 = 3;

/// Launches that wait for a slot, first come first served.
#[derive(Debug, Default)]
pub(super) struct LaunchQueue {
    launches: VecDeque<Box<Launch>>,
    keys: HashSet<Key>,
    bytes: usize,
    /// How often launches were dropped: a repetition of one is answered by that.
    dropped: HashMap<Key, u32>,
    /// The dropped ones that are still to be reported to the manager.
    untold: Vec<(Key, u32)>,
    /// Why the last one was.
    not_now: Option<NotNow>,
    /// Slots that died over a launch before they had claimed it.
    deaths: HashMap<Key, u32>,
}

impl LaunchQueue {
    fn contains(&self, key: Key) -> bool {
        self.keys.contains(&key)
    }

    fn is_full(&self) -> bool {
        self.launches.len() >= MAX_QUEUED || self.bytes >= MAX_QUEUED_BYTES
    }

    fn push(&mut self, launch: Box<Launch>) {
        self.keys.insert(launch.key);
        self.bytes += launch.script.len();
        self.launches.push_back(launch);
    }

    fn push_front(&mut self, launch: Box<Launch>) {
        self.keys.insert(launch.key);
        self.bytes += launch.script.len();
        self.launches.push_front(launch);
    }

    fn pop(&mut self) -> Option<Box<Launch>> {
        let launch = self.launches.pop_front()?;
        self.keys.remove(&launch.key);
        self.bytes -= launch.script.len();
        Some(launch)
    }

    /// Drops a launch of which nothing was begun.
    fn drop_launch(&mut self, key: Key, not_now: &NotNow) {
        self.remove(key);
        let times = self.dropped.entry(key).or_insert(0);
        *times += 1;
        self.untold.push((key, *times));
        self.not_now = Some(not_now.clone());
    }

    /// Drops all that wait as well: it holds for them, too.
    fn drop_all(&mut self, not_now: &NotNow) {
        while let Some(launch) = self.launches.front() {
            self.drop_launch(launch.key, not_now);
        }
    }

    fn remove(&mut self, key: Key) {
        if self.keys.remove(&key)
            && let Some(at) = self.launches.iter().position(|launch| launch.key == key)
            && let Some(launch) = self.launches.remove(at)
        {
            self.bytes -= launch.script.len();
        }
    }
}

/// Whether the first launch waits for what others use of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Queued {
    Goes,
    Waits,
}

impl Agent {
    /// Makes sure that the claims are there: without them, what was begun could begin
    /// once more.
    pub(super) fn check_claims(&mut self) -> Result<(), AgentError> {
        if std::mem::take(&mut self.are_claims_lost) {
            // The manager has settled what was lost with them: it sends more.
            self.claims.mark()?;
        }
        if self.claims.are_marked()? { Ok(()) } else { Err(AgentError::Claims) }
    }

    /// Queues a launch, unless it was queued, begun or withdrawn before. What has become of
    /// it then is the answer: the manager may not know it.
    pub(super) fn launch(&mut self, launch: Box<Launch>) -> Option<FromAgent> {
        let key = launch.key;
        if self.journal.attempts().is_known(key) {
            return self.repeat(key);
        }
        let dropped = self.queue.dropped.get(&key).copied().unwrap_or(0);
        if dropped > launch.dropped {
            // Sent before the manager knew, which may have given it to another host by now.
            self.queue.untold.push((key, dropped));
            return None;
        }
        if self.queue.contains(key) || self.slots.has(key) || self.recovery.has(key) {
            self.record_unheard_start(key);
            return None;
        }
        match self.claims.read(key) {
            Ok(None) if self.queue.is_full() => {
                self.refuse(key, "too many launches wait on this host");
            }
            Ok(None) => self.queue.push(launch),
            Ok(Some(_)) => self.recover(key),
            Err(_) if self.recovery.is_doubtful(key) => self.recover(key),
            Err(error) if is_odd(&error) => self.refuse(key, &format!("{ODD_CLAIM}: {error}")),
            // It may have been begun; the manager sends it again.
            Err(error) => log_error(&format!("read the claim of {key}: {error}")),
        }
        None
    }

    /// What the log says of an attempt, unless the manager is yet to be sent it.
    fn repeat(&self, key: Key) -> Option<FromAgent> {
        self.journal.repeat(key).unwrap_or_else(|error| {
            log_error(&format!("read the run log again: {error}"));
            None
        })
    }

    /// Takes a launch back, if its script was not started; else says what has become of it.
    pub(super) fn withdraw(&mut self, key: Key) -> Option<FromAgent> {
        self.queue.remove(key);
        if self.journal.attempts().is_known(key) {
            return self.repeat(key);
        }
        match self.claims.withdraw(key) {
            Ok(true) => self.append(&Record::Withdrawn { key, at: host::now() }),
            Ok(false) => self.settle_claimed(key),
            Err(error) => match Shortage::of(&error) {
                // Only this agent's slots could begin it, and none of them has it.
                Some(shortage) if !self.slots.has(key) => {
                    self.queue.drop_launch(key, &self.full(shortage));
                }
                _ => log_error(&format!("withdraw {key}: {error}")),
            },
        }
        None
    }

    /// Finds out about an attempt that is to be withdrawn and has a claim already.
    fn settle_claimed(&mut self, key: Key) {
        // What a slot has is in the log, or will be.
        let is_in_hand = self.slots.has(key) || self.recovery.has(key);
        let is_odd = self.claims.read(key).is_err_and(|error| is_odd(&error));
        if !is_in_hand && is_odd && !self.recovery.is_doubtful(key) {
            // Nobody has begun it, and nobody will.
            self.append(&Record::Withdrawn { key, at: host::now() });
        } else if !is_in_hand {
            self.recover(key);
        } else {
            self.record_unheard_start(key);
        }
    }

    /// Hands an order to the slot of a running attempt. One that is to be killed
    /// and was not started is withdrawn.
    pub(super) fn order(&mut self, key: Key, order: Order) -> Option<FromAgent> {
        let (grace, is_known) = match order {
            Order::Kill { grace, .. } => (Some(grace), self.journal.attempts().is_known(key)),
            Order::Pause | Order::Resume => (None, true),
        };
        let answer = if is_known { None } else { self.withdraw(key) };
        if self.journal.attempts().is_over(key) {
            return answer.or_else(|| self.repeat(key));
        }
        let Some(slot) = self.slot_of(key) else {
            if grace.is_some() {
                self.give_up_elsewhere(key);
            }
            return answer;
        };
        let delivered = JobDir::open(&self.run_dir.orders())
            .and_then(|orders| control::write(&orders, &key.to_string(), order))
            .and_then(|()| control::wake(&slot));
        if let Err(error) = delivered {
            log_error(&format!("control {key}: {error}"));
        }
        if let Some(grace) = grace {
            self.enforcement.expect_end(key, slot, grace);
        }
        answer
    }

    /// The slot that runs an attempt; without one, it is found out what became of that.
    fn slot_of(&mut self, key: Key) -> Option<Process> {
        let claimed = match self.claims.read(key) {
            Ok(Some(Claim::Job(_, slot))) => slot.and_then(|slot| Process::open(&slot.slot)),
            Ok(Some(Claim::Withdrawn) | None) | Err(_) => None,
        };
        if claimed.is_none() && self.journal.attempts().is_known(key) {
            self.recover(key);
        }
        claimed.or_else(|| self.slots.process_of(key))
    }

    /// Dispatches what waits, as far as there is room. With a lease that has run
    /// out it goes on waiting: for a new lease, or to be withdrawn.
    pub(super) fn dispatch_all(&mut self) {
        if self.dispatch_queued() == Queued::Goes {
            self.slots.shares.stop_waiting();
        }
        self.slots.settle_shares(self.recovery.is_pending());
    }

    fn dispatch_queued(&mut self) -> Queued {
        // Orphans may still use what the next job would get; and a slot started now
        // would be taken for one of them.
        if self.recovery.is_pending() || self.lease.as_ref().is_some_and(KeptLease::is_over) {
            return Queued::Goes;
        }
        let lease = self.lease.as_ref().map(KeptLease::end);
        while let Some(launch) = self.queue.pop() {
            let (now, key, cpus) = (Instant::now(), launch.key, launch.request.cpus.count());
            if !launch.is_task && self.slots.has_room(&launch) {
                if self.admission.later(now).is_some() {
                    self.queue.push_front(launch);
                    return Queued::Goes;
                }
                if let Some(not_now) = self.admission.refusal(now, self.layout.results()) {
                    self.queue.drop_launch(key, &not_now);
                    self.queue.drop_all(&not_now);
                    return Queued::Goes;
                }
            }
            match self.slots.dispatch(launch, lease) {
                Dispatch::Done => self.admission.note_start(now, key, cpus),
                Dispatch::NoRoom(launch) => {
                    self.queue.push_front(launch);
                    return Queued::Goes;
                }
                Dispatch::Waits(launch) => {
                    self.queue.push_front(launch);
                    return Queued::Waits;
                }
                Dispatch::NoSpace(key, shortage) => {
                    let full = self.full(shortage);
                    self.queue.drop_launch(key, &full);
                    self.queue.drop_all(&full);
                }
                Dispatch::Refused(key, reason) => self.refuse(key, &reason),
            }
        }
        Queued::Goes
    }

    /// When the next launch that waits may be dispatched, if it only waits for that.
    pub(super) fn next_start(&self) -> Option<Instant> {
        let first = self.queue.launches.front()?;
        self.admission.later(Instant::now()).filter(|_| self.slots.has_room(first))
    }

    fn full(&self, shortage: Shortage) -> NotNow {
        NotNow::full(shortage, self.layout.results())
    }

    /// Tells the manager what was dropped.
    pub(super) fn report_dropped(&mut self, link: &mut Link) {
        let untold = std::mem::take(&mut self.queue.untold);
        let Some(NotNow { scope, reason }) = &self.queue.not_now else { return };
        for keys in untold.chunks(MAX_COUNT) {
            let (keys, reason) = (keys.to_vec(), one_line(reason));
            link.send(&FromAgent::NotNow { keys, reason, scope: *scope });
        }
    }

    /// Tells the manager that launches wait for what others use, or wait no more.
    pub(super) fn report_sharing(&mut self, link: &mut Link) {
        while let Some(notice) = self.slots.shares.next_notice() {
            link.send(&FromAgent::Sharing(match notice {
                Notice::Waits(what) => Sharing::Waits { what: one_line(&what) },
                Notice::Goes => Sharing::Goes,
                Notice::LeftOut(reason) => Sharing::LeftOut { reason: one_line(&reason) },
            }));
        }
    }

    /// The attempt is over.
    pub(super) fn release(&mut self, key: Key) {
        self.slots.release(key);
        self.admission.note_end(key);
        self.enforcement.forget(key);
        self.queue.deaths.remove(&key);
    }

    /// Reaps the slots that have ended, and finds out about their jobs.
    pub(super) fn reap_slots(&mut self) {
        let ended = self.slots.reap();
        // All that they have appended is in the log by now.
        self.read_journal();
        let is_any_own = !ended.own.is_empty();
        let mut survivors = Vec::new();
        for mut slot in ended.own {
            survivors.append(&mut slot.survivors);
            if let Some(launch) = slot.launch.take()
                && !self.journal.attempts().is_over(launch.key)
            {
                self.handle_dead_slot(launch, &slot);
            }
        }
        for key in ended.adopted {
            self.recover(key);
        }
        if is_any_own {
            self.recovery.handle_ended_slots(survivors.into_iter(), self.slots.pids());
        }
    }

    /// What becomes of a launch whose slot died.
    fn handle_dead_slot(&mut self, launch: Box<Launch>, slot: &OwnSlot) {
        let key = launch.key;
        self.slots.release(key);
        // One that the log knows was begun, whatever has become of its claim.
        let is_begun = self.journal.attempts().is_known(key);
        if !is_begun && matches!(self.claims.read(key), Ok(None)) {
            if let Some(shortage) = slot.shortage() {
                let full = self.full(shortage);
                self.queue.drop_launch(key, &full);
                return self.queue.drop_all(&full);
            }
            if let Some(id) = begun_job(&self.layout, &self.hostname, &self.run, key) {
                return self.recover_job(key, id, None);
            }
            // Not begun, and nobody is left who could begin it: another slot may.
            let deaths = self.queue.deaths.entry(key).or_default();
            *deaths += 1;
            if *deaths < MAX_DEATHS {
                self.queue.push_front(launch);
            } else {
                let end = slot.describe_end();
                self.refuse(key, &format!("slots die before they start it: {end}"));
            }
        } else {
            self.recover(key);
        }
    }

    /// Records that the host cannot start an attempt.
    fn refuse(&mut self, key: Key, reason: &str) {
        // Without the tombstone, this agent's own record still keeps it from starting.
        if let Err(error) = self.claims.withdraw(key)
            && let Some(shortage) = Shortage::of(&error)
        {
            return self.queue.drop_launch(key, &self.full(shortage));
        }
        self.append(&Record::Refused {
            key,
            reason: one_line(reason),
            scope: Scope::Host,
            at: host::now(),
        });
    }
}
