//! What users ask of a run while it goes on.

use gjob_core::scheduler::Scheduler;

use super::{Happening, Simulation};

impl Simulation {
    pub(super) fn interrupt(&mut self) {
        if self.stopped.is_none() && self.scheduler.is_some() {
            self.interrupted = true;
            self.input(|scheduler, now| scheduler.handle_interrupt(now));
        }
    }

    pub(super) fn is_managed(&self) -> bool {
        self.stopped.is_none() && self.scheduler.is_some()
    }

    /// True when a job's host can't be told anything now.
    pub(super) fn is_away(&self, index: u32) -> bool {
        self.store.host_needed(index).is_some_and(|host| !self.hosts[host.at()].up)
    }

    pub(super) fn user_pauses(&mut self, index: u32) {
        if self.is_managed() {
            self.ask(|scheduler| scheduler.handle_pause(index));
        }
    }

    pub(super) fn user_resumes(&mut self, index: u32) {
        if self.store.job(index).is_some_and(gjob_core::Job::has_ended) {
            return;
        }
        if !self.is_managed() {
            return self.soon(500, Happening::UserResumes { index });
        }
        let away = self.is_away(index);
        if self.ask(|scheduler| scheduler.handle_resume(index)) {
            self.seen.resumed_unheard += u32::from(away);
        }
    }

    pub(super) fn user_kills(&mut self, index: u32) {
        if !self.is_managed() {
            return self.soon(500, Happening::UserKills { index });
        }
        let away = self.is_away(index);
        assert!(self.ask(|scheduler| scheduler.handle_kill(index)));
        self.seen.killed_unheard += u32::from(away);
    }

    /// Asks the manager for something; it may die as soon as that is committed.
    pub(super) fn ask(&mut self, ask: impl FnOnce(&mut Scheduler) -> bool) -> bool {
        let mut is_so = false;
        self.input(|scheduler, now| {
            is_so = ask(scheduler);
            scheduler.settle(now);
        });
        if self.plan.manager_deaths > 0 && self.rng.u32(..4) == 0 {
            self.soon(4, Happening::ManagerDies);
        }
        is_so
    }
}
