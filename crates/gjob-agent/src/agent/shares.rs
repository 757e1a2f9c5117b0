//! What this agent's slots have of the machine, by the ledger that all runs share.

use std::os::fd::BorrowedFd;
use std::time::Instant;

use gjob_core::resources::Cpus;
use gjob_core::wire::Launch;

use super::slot_pool::SlotConfig;
use super::slot_process::OwnSlot;
use crate::host;
use crate::ledger::{Ask, Free, Held, Ledger, NoRoom, Notice, Offer, Processors, Share};

/// The shares of an agent's slots.
#[derive(Debug)]
pub(super) struct Shares {
    ledger: Ledger,
    /// The processors that the agent may use.
    processors: Processors,
    /// For each that a job requests.
    cpus_each: u32,
    /// The jobs that the run has at once.
    slots: u32,
    /// Those of slots that have died, whose orphans may be alive.
    of_dead: Vec<Share>,
}

impl Shares {
    /// For slots of this kind, whose jobs may have this much memory together.
    pub(super) fn open(config: &SlotConfig, mem: u64) -> Self {
        // In slots, of which users may give a run more or fewer while its jobs run.
        let offer = Offer { cpus: config.slots, mem };
        let ledger = match &config.within {
            Some(within) => {
                Ledger::open(&config.run, config.managed.clone(), offer, within.clone())
            }
            None => Ledger::absent(offer),
        };
        Shares {
            ledger,
            processors: Processors::new(host::processors()),
            cpus_each: config.cpus_each(),
            slots: config.slots,
            of_dead: Vec::new(),
        }
    }

    /// One for a slot that is about to be started.
    pub(super) fn for_new_slot(&mut self) -> Option<Share> {
        self.ledger.new_share()
    }

    /// The shares in which the jobs of a slot with this one run.
    pub(super) fn within(&self, share: Option<&Share>) -> String {
        self.ledger.within(share)
    }

    /// True if the slot has kept what the launch asks for.
    pub(super) fn has_kept(&self, slot: &OwnSlot, launch: &Launch) -> bool {
        self.ledger.has_kept(slot.share.as_ref(), &self.ask(launch))
    }

    /// Gives the slot at `at` what the launch asks for, with some of what is `free`.
    pub(super) fn take(
        &mut self,
        slots: &mut [OwnSlot],
        at: usize,
        launch: &Launch,
        free: &Free,
    ) -> Result<Held, NoRoom> {
        if !self.has_kept(&slots[at], launch) {
            self.give_up_idle(slots);
        }
        let ask = self.ask(launch);
        self.ledger.take(slots[at].share.as_mut(), &ask, free, Instant::now())
    }

    fn ask(&self, launch: &Launch) -> Ask {
        let request = &launch.request;
        if launch.is_task {
            // What is run on a host besides its jobs does not wait for them.
            let cpus = Cpus::Count(0);
            return Ask { cpus, mem: 0, gpus: 0, bound: 0, may_overlap: false };
        }
        let all = self.processors.count();
        let bound = match request.cpus {
            _ if !request.affinity => 0,
            Cpus::Count(count) => count.saturating_mul(self.cpus_each).min(all),
            Cpus::All => all,
        };
        let may_overlap = bound > 0 && self.slots > all;
        Ask { cpus: request.cpus, mem: request.mem, gpus: request.gpus, bound, may_overlap }
    }

    /// The processors that the agent may use, to which no job is bound yet.
    pub(super) fn processors(&self) -> Processors {
        self.processors.clone()
    }

    fn give_up_idle(&mut self, slots: &mut [OwnSlot]) {
        let idle = slots.iter_mut().filter(|slot| slot.launch.is_none());
        idle.filter_map(|slot| slot.share.as_mut()).for_each(|share| self.ledger.give_up(share));
    }

    /// Takes note that nothing waits for what others use.
    pub(super) fn stop_waiting(&mut self) {
        self.ledger.stop_waiting();
    }

    /// Keeps the share of a slot that has died.
    pub(super) fn keep(&mut self, share: Option<Share>) {
        self.of_dead.extend(share);
    }

    /// Gives up what is not needed, after launches were dispatched: what dead slots had
    /// unless they have left `orphans`, and what idle ones have if somebody waits.
    pub(super) fn settle(&mut self, slots: &mut [OwnSlot], orphans: bool) {
        if !orphans {
            self.of_dead.drain(..).for_each(Share::remove);
        }
        if self.ledger.is_pressed() {
            self.give_up_idle(slots);
        }
        if self.ledger.is_left_out() {
            slots.iter_mut().filter_map(|slot| slot.share.take()).for_each(Share::remove);
        }
    }

    /// The agent leaves: what it has itself counts no more.
    pub(super) fn dismiss(mut self) {
        self.ledger.stop_waiting();
        self.of_dead.into_iter().for_each(Share::remove);
    }

    /// What becomes readable when the ledger changes.
    pub(super) fn pollable(&self) -> Option<BorrowedFd<'_>> {
        self.ledger.pollable()
    }

    /// Takes notice of what has changed.
    pub(super) fn handle_wakeup(&mut self) {
        self.ledger.handle_wakeup();
    }

    /// When there is something to do though nothing changes.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.ledger.next_due(Instant::now())
    }

    /// What the manager does not know yet.
    pub(super) fn next_notice(&mut self) -> Option<Notice> {
        self.ledger.next_notice(Instant::now())
    }
}
