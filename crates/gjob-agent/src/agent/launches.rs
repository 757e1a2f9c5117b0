//! Launches, from the manager's word to a slot: queued in memory, handed out
//! one at a time, taken back or ended on request.

use std::collections::{HashMap, HashSet, VecDeque};

use gjob_core::record::{Scope, one_line};
use gjob_core::wire::Launch;
use gjob_core::{Key, Order, Record};

use super::Agent;
use super::slots::OwnSlot;
use crate::claims::Claim;
use crate::control;
use crate::host;
use crate::identity::Process;
use crate::jobdir::JobDir;
use crate::lease::KeptLease;
use crate::slot::{PathBytes, ServeConfig};

/// The most launches that wait here.
const MAX_QUEUED: usize = 100_000;

/// The most bytes of scripts that wait here.
const MAX_QUEUED_BYTES: usize = 256 * 1024 * 1024;

/// How many slots may die over one launch before it is refused.
const MAX_DEATHS: u32 = 3;

/// Launches that wait for a slot, first come first served.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    launches: VecDeque<Box<Launch>>,
    keys: HashSet<Key>,
    bytes: usize,
    /// Slots that died over a launch before they had claimed it.
    deaths: HashMap<Key, u32>,
}

impl Queue {
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

    fn remove(&mut self, key: Key) {
        if self.keys.remove(&key)
            && let Some(at) = self.launches.iter().position(|launch| launch.key == key)
            && let Some(launch) = self.launches.remove(at)
        {
            self.bytes -= launch.script.len();
        }
    }
}

impl Agent {
    /// Queues a launch, unless it was queued, begun or withdrawn before.
    pub(super) fn launch(&mut self, launch: Box<Launch>) {
        let key = launch.key;
        if self.fates.is_known(key) || self.queue.contains(key) || self.has_slot(key) {
            return;
        }
        if let Ok(Some(_)) = self.claims.read(key) {
            self.recover(key);
        } else if self.queue.is_full() {
            self.refuse(key, "too many launches wait on this host");
        } else {
            self.queue.push(launch);
        }
    }

    /// Takes a launch back, if its script was not started.
    pub(super) fn withdraw(&mut self, key: Key) {
        self.queue.remove(key);
        if self.fates.is_known(key) {
            return;
        }
        match self.claims.withdraw(key) {
            Ok(true) => self.append(&Record::Withdrawn { key, at: host::now() }),
            // Begun, or withdrawn: the log says so, or will.
            Ok(false) => {}
            Err(error) => self.complain(&format!("withdraw {key}: {error}")),
        }
    }

    /// Hands an order to the slot of a running attempt. One that is to be killed
    /// and was not started is withdrawn.
    pub(super) fn order(&mut self, key: Key, order: Order) {
        match order {
            Order::Kill { .. } => self.withdraw(key),
            Order::Pause | Order::Resume => {}
        }
        if self.fates.is_over(key) {
            return;
        }
        let Ok(Some(Claim::Job(id, slot))) = self.claims.read(key) else {
            return;
        };
        let Some(slot) = slot.and_then(|slot| Process::open(&slot.slot)) else {
            return self.recover(key);
        };
        let told = JobDir::open(&self.run_dir.orders())
            .and_then(|orders| control::write(&orders, &key.to_string(), order))
            .and_then(|()| control::wake(&slot));
        if let Err(error) = told {
            self.complain(&format!("control job {id}: {error}"));
        }
    }

    /// Hands out what waits, as far as there are slots. With a lease that has
    /// run out it goes on waiting: for a new one, or to be withdrawn.
    pub(super) fn hand_out(&mut self) {
        if self.lease.as_ref().is_some_and(KeptLease::is_over) {
            return;
        }
        while let Some(launch) = self.queue.pop() {
            let (key, others_run) = (launch.key, !self.room.is_empty());
            if !self.room.fits(&launch) {
                if others_run {
                    return self.queue.push_front(launch);
                }
                self.refuse(key, "this host does not offer what it asks for");
                continue;
            }
            let devices = self.room.take(&launch);
            match self.idle_slot() {
                Ok(slot) => slot.hand(launch, devices),
                Err(error) => {
                    self.room.release(key);
                    if others_run {
                        // Worth another try when one of them ends.
                        return self.queue.push_front(launch);
                    }
                    self.refuse(key, &format!("can't start a slot: {error}"));
                }
            }
        }
    }

    fn idle_slot(&mut self) -> std::io::Result<&mut OwnSlot> {
        let idle = self.own.iter().position(|slot| slot.launch.is_none());
        let at = match idle {
            Some(at) => at,
            None => {
                let config = self.slot_config();
                self.own.push(OwnSlot::spawn(config, &self.run_dir.slots_err())?);
                self.own.len() - 1
            }
        };
        Ok(&mut self.own[at])
    }

    fn slot_config(&self) -> ServeConfig {
        let own = self.own.iter().map(|slot| slot.number);
        let taken: HashSet<u32> = own.chain(self.adopted.iter().map(|slot| slot.number)).collect();
        ServeConfig {
            results: PathBytes::from(self.layout.results()),
            hostname: self.hostname.clone(),
            run: self.run.clone(),
            host: self.host.clone(),
            number: (1..).find(|number| !taken.contains(number)).unwrap_or(1),
            cpus: (self.cpus / self.slots).max(1),
            host_cpus: self.cpus,
            umask: self.umask,
        }
    }

    /// True when a slot has the attempt.
    pub(super) fn has_slot(&self, key: Key) -> bool {
        self.own.iter().any(|slot| slot.key() == Some(key))
            || self.adopted.iter().any(|slot| slot.key == key)
    }

    /// The attempt is over: its slot is free for another.
    pub(super) fn release(&mut self, key: Key) {
        self.room.release(key);
        for slot in &mut self.own {
            if slot.key() == Some(key) {
                slot.launch = None;
            }
        }
        // An earlier agent's slot ends by itself.
        self.adopted.retain(|slot| slot.key != key);
        self.queue.deaths.remove(&key);
    }

    /// Takes notice of slots that have ended, and finds out about their jobs.
    pub(super) fn bury_slots(&mut self) {
        let mut ended = Vec::new();
        for slot in std::mem::take(&mut self.own) {
            let mut slot = slot;
            if slot.has_ended() {
                ended.push(slot);
            } else {
                self.own.push(slot);
            }
        }
        let (gone, adopted) = std::mem::take(&mut self.adopted)
            .into_iter()
            .partition::<Vec<_>, _>(|slot| slot.process.is_gone());
        self.adopted = adopted;
        let any = !ended.is_empty();
        // All that they have appended is in the log by now.
        self.notice_records();
        for mut slot in ended {
            if let Some(launch) = slot.launch.take()
                && !self.fates.is_over(launch.key)
            {
                self.settle(launch, &slot);
            }
        }
        for slot in gone {
            self.recover(slot.key);
        }
        if any {
            self.strays.settle(self.own.iter().map(OwnSlot::pid));
        }
    }

    /// What becomes of a launch whose slot died.
    fn settle(&mut self, launch: Box<Launch>, slot: &OwnSlot) {
        let key = launch.key;
        self.room.release(key);
        if let Ok(None) = self.claims.read(key) {
            // Not begun, and nobody is left who could: another slot may.
            let deaths = self.queue.deaths.entry(key).or_default();
            *deaths += 1;
            if *deaths < MAX_DEATHS {
                self.queue.push_front(launch);
            } else {
                self.refuse(key, &format!("slots die before they start it: {}", slot.last_words()));
            }
        } else {
            self.recover(key);
        }
    }

    /// Says that the host can't start an attempt.
    fn refuse(&mut self, key: Key, reason: &str) {
        // Without the tombstone, what is known of it here still keeps it from starting.
        let _ = self.claims.withdraw(key);
        self.append(&Record::Refused {
            key,
            reason: one_line(reason),
            scope: Scope::Host,
            at: host::now(),
        });
    }
}
