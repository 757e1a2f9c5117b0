//! The slots of a run on this host and what their jobs have of it: those that this
//! agent has started, and those of an earlier one, which end after their job.

use std::collections::HashSet;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use gjob_core::wire::{Launch, ManagedAt};
use gjob_core::{HostLabel, Key, RunId};

use super::resources::{Allocation, Resources};
use super::shares::Shares;
use super::slot_process::{AdoptedSlot, OwnSlot};
use crate::control;
use crate::identity::Process;
use crate::jobdir::Layout;
use crate::lease::LeaseEnd;
use crate::ledger::{Free, Share};
use crate::shortage::Shortage;
use crate::slot::{Given, PathBytes, ServeConfig};

/// What all slots of a run are started with.
#[derive(Debug)]
pub(super) struct SlotConfig {
    pub(super) layout: Layout,
    pub(super) hostname: String,
    pub(super) run: RunId,
    pub(super) host: HostLabel,
    /// Processors of the host.
    pub(super) cpus: u32,
    /// Jobs at once.
    pub(super) slots: u32,
    /// The umask that jobs get.
    pub(super) umask: u32,
    /// The number of files that jobs may have open; none for any number.
    pub(super) open_files: Option<u64>,
    /// The niceness that jobs have at least.
    pub(super) nice: Option<u8>,
    /// Where the run is managed.
    pub(super) managed: ManagedAt,
    /// The shares in which the run itself runs; none to leave the ledger out.
    pub(super) within: Option<Vec<String>>,
    /// Where slots' standard error goes.
    pub(super) stderr: PathBuf,
}

impl SlotConfig {
    /// Processors for each that a job requests.
    pub(super) fn cpus_each(&self) -> u32 {
        (self.cpus / self.slots).max(1)
    }
}

/// The slots.
#[derive(Debug)]
pub(super) struct SlotPool {
    config: SlotConfig,
    resources: Resources,
    pub(super) shares: Shares,
    own: Vec<OwnSlot>,
    adopted: Vec<AdoptedSlot>,
}

/// What has become of a launch.
#[derive(Debug)]
pub(super) enum Dispatch {
    /// A slot has it.
    Done,
    /// It has to wait until a job ends.
    NoRoom(Box<Launch>),
    /// It has to wait for what others use of this machine.
    Waits(Box<Launch>),
    /// The results directory takes nothing more.
    NoSpace(Key, Shortage),
    /// This host cannot run it.
    Refused(Key, String),
}

/// Slots that have ended.
#[derive(Debug)]
pub(super) struct EndedSlots {
    /// Those that this agent had started.
    pub(super) own: Vec<OwnSlot>,
    /// The attempts of the others.
    pub(super) adopted: Vec<Key>,
}

impl SlotPool {
    /// No slot yet.
    pub(super) fn new(config: SlotConfig) -> Self {
        let resources = Resources::new(config.slots);
        let shares = Shares::open(&config, resources.memory());
        SlotPool { config, resources, shares, own: Vec::new(), adopted: Vec::new() }
    }

    /// True when everything that a launch requests is free.
    pub(super) fn has_room(&self, launch: &Launch) -> bool {
        self.resources.fits(launch)
    }

    /// Hands a launch to a slot if what it asks for is free, and the end of the run's lease.
    pub(super) fn dispatch(&mut self, launch: Box<Launch>, lease: Option<LeaseEnd>) -> Dispatch {
        let (key, is_any_running) = (launch.key, !self.resources.is_empty());
        if !self.resources.fits(&launch) {
            return match is_any_running {
                true => Dispatch::NoRoom(launch),
                false => Dispatch::Refused(key, "it requests more than this host offers".into()),
            };
        }
        match self.idle_slot(&launch) {
            Ok(at) => {
                let free = self.free(&launch);
                let Ok(held) = self.shares.take(&mut self.own, at, &launch, &free) else {
                    return Dispatch::Waits(launch);
                };
                let given = Given { devices: held.gpus.clone(), processors: held.bound.clone() };
                self.resources.take(&launch, held);
                self.own[at].hand(launch, given, lease);
                Dispatch::Done
            }
            Err(error) => {
                if let Some(shortage) = Shortage::of(&error) {
                    return Dispatch::NoSpace(key, shortage);
                }
                match is_any_running {
                    // Worth another try when one of them ends.
                    true => Dispatch::NoRoom(launch),
                    false => Dispatch::Refused(key, format!("cannot start a slot: {error}")),
                }
            }
        }
    }

    /// What the jobs of this run leave of what the launch asks for by name.
    fn free(&self, launch: &Launch) -> Free {
        let mut free = Free::default();
        if launch.request.gpus > 0 {
            free.gpus = self.resources.free_devices().cloned().collect();
        }
        if launch.request.affinity {
            free.processors = self.shares.processors();
            self.resources.note_bound(&mut free.processors);
        }
        free
    }

    /// Where a slot without a job is: one that has what the launch asks for, if there is any.
    fn idle_slot(&mut self, launch: &Launch) -> io::Result<usize> {
        let is_idle = |slot: &OwnSlot| slot.launch.is_none();
        let fits = |slot: &OwnSlot| is_idle(slot) && self.shares.has_kept(slot, launch);
        let idle = self.own.iter().position(fits).or_else(|| self.own.iter().position(is_idle));
        if let Some(at) = idle {
            return Ok(at);
        }
        let share = self.shares.for_new_slot();
        let config = self.serve_config(self.shares.within(share.as_ref()));
        self.own.push(OwnSlot::spawn(config, &self.config.stderr, share)?);
        Ok(self.own.len() - 1)
    }

    fn serve_config(&self, within: String) -> ServeConfig {
        let own = self.own.iter().map(|slot| slot.number);
        let taken: HashSet<u32> = own.chain(self.adopted.iter().map(|slot| slot.number)).collect();
        let config = &self.config;
        ServeConfig {
            results: PathBytes::from(config.layout.results()),
            hostname: config.hostname.clone(),
            agent: std::process::id(),
            run: config.run.clone(),
            host: config.host.clone(),
            number: (1..).find(|number| !taken.contains(number)).unwrap_or(1),
            cpus: config.cpus_each(),
            host_cpus: config.cpus,
            umask: config.umask,
            open_files: config.open_files,
            nice: config.nice,
            within,
        }
    }

    /// Takes up a slot of an earlier agent, whose job may have anything if it is
    /// not known what it has.
    pub(super) fn adopt(&mut self, slot: AdoptedSlot, allocation: Option<Allocation>) {
        self.resources.keep(slot.key, allocation);
        self.adopted.push(slot);
    }

    /// True when a slot has the attempt.
    pub(super) fn has(&self, key: Key) -> bool {
        self.own.iter().any(|slot| slot.key() == Some(key))
            || self.adopted.iter().any(|slot| slot.key == key)
    }

    /// The process of the slot that has the attempt, while it lives.
    pub(super) fn process_of(&self, key: Key) -> Option<Process> {
        let own = self.own.iter().find(|slot| slot.key() == Some(key));
        let adopted = || self.adopted.iter().find(|slot| slot.key == key);
        let process = own.map_or_else(|| Some(&adopted()?.process), OwnSlot::process);
        process?.reopen()
    }

    /// Gives up what is not needed of this machine, once launches were dispatched.
    pub(super) fn settle_shares(&mut self, orphans: bool) {
        self.shares.settle(&mut self.own, orphans);
    }

    /// Takes note that a slot could not end these processes of its job. It ends
    /// itself over that, and leaves them behind.
    pub(super) fn note_survivors(&mut self, key: Key, survivors: &[u32]) {
        if let Some(slot) = self.own.iter_mut().find(|slot| slot.key() == Some(key)) {
            slot.survivors = survivors.to_vec();
        }
    }

    /// The attempt is over: what it had is free for another.
    pub(super) fn release(&mut self, key: Key) {
        self.resources.release(key);
        for slot in &mut self.own {
            if slot.key() == Some(key) {
                slot.launch = None;
            }
        }
        // An earlier agent's slot ends by itself.
        self.adopted.retain(|slot| slot.key != key);
    }

    /// Leaves a slot that cannot be ended to itself: it gets nothing more, and others get
    /// what it had, since nobody knows until when that would be in use.
    pub(super) fn abandon(&mut self, key: Key) {
        let left = self.own.extract_if(.., |slot| slot.key() == Some(key));
        left.filter_map(|slot| slot.share).for_each(Share::remove);
    }

    /// Reaps the slots that have ended.
    pub(super) fn reap(&mut self) -> EndedSlots {
        let mut own: Vec<_> = self.own.extract_if(.., |slot| slot.has_ended()).collect();
        // Its orphans may still use what it had.
        own.iter_mut().for_each(|slot| self.shares.keep(slot.share.take()));
        let adopted = self.adopted.extract_if(.., |slot| slot.process.is_gone());
        EndedSlots { own, adopted: adopted.map(|slot| slot.key).collect() }
    }

    /// The processes of this agent's own slots.
    pub(super) fn pids(&self) -> impl Iterator<Item = u32> {
        self.own.iter().map(OwnSlot::pid)
    }

    /// The run's lease was renewed. The slots of an earlier agent go by what is written.
    pub(super) fn renew_lease(&mut self, end: LeaseEnd) {
        self.own.iter_mut().for_each(|slot| slot.renew_lease(end));
    }

    /// Has the slots of an earlier agent read the lease: it was another, or there
    /// was none.
    pub(super) fn announce_lease(&self) {
        // One that cannot be signalled has ended.
        self.adopted.iter().for_each(|slot| drop(control::wake(&slot.process)));
    }

    /// Ends the slots that have no job, and leaves the others to themselves.
    pub(super) fn dismiss(self) {
        self.shares.dismiss();
        let idle = self.own.into_iter().filter(|slot| slot.launch.is_none());
        idle.for_each(OwnSlot::dismiss);
    }

    /// What to wait for until a slot can be sent more.
    pub(super) fn blocked_pipes(&self) -> impl Iterator<Item = &OwnedFd> {
        self.own.iter().filter_map(OwnSlot::blocked_pipe)
    }

    /// Sends what slots did not take before.
    pub(super) fn flush(&mut self) {
        self.own.iter_mut().for_each(OwnSlot::flush);
    }

    /// The processes; none for one whose end cannot be waited for.
    pub(super) fn processes(&self) -> impl Iterator<Item = Option<&Process>> {
        let own = self.own.iter().map(OwnSlot::process);
        own.chain(self.adopted.iter().map(|slot| Some(&slot.process)))
    }
}
