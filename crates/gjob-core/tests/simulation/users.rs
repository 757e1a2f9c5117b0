//! What users ask of a run while it goes on.

use std::time::Duration;

use gjob_core::event::RunEnd;
use gjob_core::run::{HostDuty, HostIx};
use gjob_core::scheduler::Scheduler;

use super::plan::labels;
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

    /// Every host that leaves comes back, so that every job ends.
    pub(super) fn plan_changes(&mut self) {
        let (hosts, late) = (self.plan.hosts, self.plan.late_hosts);
        for host in hosts..hosts + late {
            let at = self.rng.u64(50..2_000);
            self.at(at, Happening::UserAdds { host });
        }
        for number in 0..self.plan.drains + self.plan.removals {
            let (host, at) = (self.rng.u32(..hosts + late), self.rng.u64(50..5_000));
            let back = at + self.rng.u64(1..1_500);
            self.at(
                at,
                match number < self.plan.drains {
                    true => Happening::UserDrains { host },
                    false => Happening::UserRemoves { host },
                },
            );
            self.at(back, Happening::UserAdds { host });
        }
        for _ in 0..self.plan.new_slots {
            let (host, at) = (self.rng.u32(..hosts + late), self.rng.u64(50..5_000));
            let slots = self.rng.u32(1..=2 * self.plan.slots);
            self.at(at, Happening::UserSetsSlots { host, slots });
        }
    }

    pub(super) fn user_adds(&mut self, host: u32) {
        if self.stopped == Some(RunEnd::Complete) {
            return;
        }
        if self.store.hosts().len() < host as usize {
            // Hosts have their positions in the order in which they were added.
            return self.soon(100, Happening::UserAdds { host });
        }
        if !self.is_managed() {
            return self.soon(500, Happening::UserAdds { host });
        }
        let mut opens = false;
        let (label, tasks) = (format!("h{host}").parse().unwrap(), self.plan.host_tasks());
        self.ask_at(|scheduler, now| {
            let (ix, is_new) = scheduler.handle_host_added(now, &label, labels(host), tasks);
            assert_eq!(ix, HostIx(host));
            opens = is_new;
            true
        });
        if opens {
            self.hosts[host as usize].closed = false;
            self.soon(50, Happening::LinkUp { host });
        }
    }

    /// Does it to a host of the run; false if that cannot be done now.
    fn change(&mut self, host: u32, change: impl FnOnce(&mut Scheduler, Duration, HostIx)) -> bool {
        let is_known = (host as usize) < self.store.hosts().len();
        if !is_known || !self.is_managed() {
            return false;
        }
        self.ask_at(|scheduler, now| {
            change(scheduler, now, HostIx(host));
            true
        })
    }

    /// Only a host of the run can be drained.
    pub(super) fn user_drains(&mut self, host: u32) {
        if self.store.hosts().get(host as usize).is_some_and(|it| it.duty == HostDuty::Removed) {
            return;
        }
        self.change(host, |scheduler, now, host| scheduler.handle_drain(now, host));
    }

    pub(super) fn user_removes(&mut self, host: u32) {
        let running = self.hosts[host as usize].running.len() as u32;
        if self.change(host, |scheduler, now, host| scheduler.handle_remove(now, host)) {
            self.seen.recalled += running;
        }
    }

    /// The host is connected to anew, without a word that it was not reached.
    pub(super) fn user_sets_slots(&mut self, host: u32, slots: u32) {
        if self.change(host, |scheduler, now, host| scheduler.handle_new_slots(now, host, slots)) {
            let sim = &mut self.hosts[host as usize];
            sim.slots = Some(slots);
            if std::mem::replace(&mut sim.up, false) {
                sim.queue.clear();
                self.soon(50, Happening::LinkUp { host });
            }
        }
    }

    /// Asks the manager for something; it may die as soon as that is committed.
    pub(super) fn ask(&mut self, ask: impl FnOnce(&mut Scheduler) -> bool) -> bool {
        self.ask_at(|scheduler, _| ask(scheduler))
    }

    fn ask_at(&mut self, ask: impl FnOnce(&mut Scheduler, Duration) -> bool) -> bool {
        let mut is_so = false;
        self.input(|scheduler, now| {
            is_so = ask(scheduler, now);
            scheduler.settle(now);
        });
        if self.plan.manager_deaths > 0 && self.rng.u32(..4) == 0 {
            self.soon(4, Happening::ManagerDies);
        }
        is_so
    }
}
