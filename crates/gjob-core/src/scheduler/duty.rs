//! What users want of hosts: hosts that come to a run, that end their work for it, and that
//! run another number of jobs at once.
//!
//! A job that runs on a host which is removed is killed there and waits again, as jobs do
//! when a run is interrupted. Until the host has said so it is waited for: a job whose end
//! came first has that as its outcome, and a host that does not answer is lost as any other.

use std::time::Duration;

use super::Scheduler;
use super::action::Action;
use super::job::JobState;
use crate::event::{HostChange, HostEvent, What};
use crate::id::{HostLabel, Key};
use crate::order::Order;
use crate::outcome::Cause;
use crate::run::{HostDuty, HostIx, HostStatus, HostTask, TaskSpecs};

impl Scheduler {
    /// A user adds a host, or returns one of the run to service. Gives its position, and
    /// whether its link has to be opened.
    pub fn handle_host_added(
        &mut self,
        now: Duration,
        host: &HostLabel,
        labels: Vec<String>,
        tasks: TaskSpecs,
    ) -> (HostIx, bool) {
        let known = self.run.hosts().len();
        let is_open = self.run.position(host).is_some_and(|ix| self.has_link(ix));
        self.emit(What::Host(HostEvent {
            host: host.clone(),
            change: HostChange::Added { labels },
        }));
        // The event has added it.
        let ix = self.run.position(host).unwrap_or(HostIx(known as u32));
        self.leaving.remove(&ix);
        self.await_added(ix);
        if !tasks.is_empty() {
            self.run.set_tasks(ix, tasks);
            self.tasks.add(ix);
        }
        self.hosts.extend(&self.run);
        self.hosts.refresh(&self.run, ix);
        self.rebind();
        self.go_on_with_host();
        if ix.at() == known {
            self.announce(now, ix);
        }
        self.settle(now);
        (ix, !is_open)
    }

    /// A user drains a host: it ends what it has begun, and what it has not begun is taken
    /// back.
    pub fn handle_drain(&mut self, now: Duration, host: HostIx) {
        if self.is_removed(host) && !self.has_link(host) {
            // It is gone, and would seem to be connected if it drained.
            return;
        }
        self.emit_host(host, HostChange::Draining);
        self.take_unstarted(now, host);
        self.settle(now);
    }

    /// A user removes a host: what it has begun is killed and runs again elsewhere.
    pub fn handle_remove(&mut self, now: Duration, host: HostIx) {
        if self.has_link(host) {
            self.leaving.insert(host);
        }
        self.emit_host(host, HostChange::Removed);
        self.take_unstarted(now, host);
        self.kill_setup(host);
        let in_flight: Vec<u32> = self.run.hosts()[host.at()].in_flight().collect();
        for index in in_flight {
            self.jobs[index as usize].recalled = true;
            let key = self.job(index).last_key();
            let is_running = matches!(self.state(index), JobState::Running { .. });
            // One that is being killed is; one that is withdrawn has no end yet.
            if is_running && !self.job(index).kill && self.answers(host) {
                self.order(host, key, Order::kill(Cause::Interrupted));
            }
        }
        if self.answers(host) {
            let abandoned: Vec<Key> = self.run.hosts()[host.at()].abandoned().collect();
            for key in abandoned {
                self.order(host, key, Order::kill(Cause::Interrupted));
            }
        }
        self.settle(now);
    }

    /// A user has a host run another number of jobs at once. Its agent is told that when it
    /// takes up the run: the host is connected to anew, and is sent nothing before it is up.
    pub fn handle_new_slots(&mut self, now: Duration, host: HostIx, slots: u32) {
        self.emit_host(host, HostChange::Slots { slots });
        if self.answers(host) {
            self.reopening.insert(host);
            let doing = "it is connected to anew".to_owned();
            self.emit_host(host, HostChange::Connecting { doing });
        }
        self.settle(now);
    }

    /// Takes back what a host has not begun.
    fn take_unstarted(&mut self, now: Duration, host: HostIx) {
        let in_flight: Vec<u32> = self.run.hosts()[host.at()].in_flight().collect();
        for index in in_flight {
            if matches!(self.state(index), JobState::Assigned { .. }) {
                self.withdraw(now, host, index);
            }
        }
    }

    /// Removed hosts that still have something are connected to: what is left there ends.
    pub(super) fn begin_leaving(&mut self) {
        let hosts = (0..).map(HostIx).zip(self.run.hosts());
        let leaving = hosts.filter(|(_, host)| host.duty == HostDuty::Removed && !host.is_gone());
        self.leaving = leaving.map(|(ix, _)| ix).collect();
    }

    /// Closes the links of removed hosts that have nothing left, once they are torn down.
    pub(super) fn close_left(&mut self, now: Duration) {
        for host in self.leaving.clone() {
            let known = &self.run.hosts()[host.at()];
            let is_idle = known.needed_by() == 0 && known.tasks().under_way().is_none();
            if is_idle && known.status == HostStatus::Up && known.is_teardown_due() {
                self.begin_task(now, host, HostTask::Teardown);
            }
        }
        let is_gone = |ix: &HostIx| self.run.host(*ix).is_some_and(crate::run::Host::is_gone);
        let gone: Vec<HostIx> = self.leaving.iter().copied().filter(is_gone).collect();
        for host in gone {
            self.leaving.remove(&host);
            self.out.push_back(Action::Release { host });
        }
    }

    /// True while a host's link is open: it has not failed, and was not removed before.
    fn has_link(&self, host: HostIx) -> bool {
        self.run.host(host).is_some_and(|it| match (it.status, it.duty) {
            (HostStatus::Failed, _) => false,
            (_, HostDuty::Removed) => self.leaving.contains(&host),
            (_, HostDuty::Serving | HostDuty::Draining) => true,
        })
    }

    /// True if a job need not wait for the host that is lost with it: another one takes it, or
    /// none of its hosts ever will.
    pub(super) fn may_give_up(&self, host: HostIx, index: u32) -> bool {
        let are_removed = || self.hosts_for(index).all(|(ix, _)| self.is_removed(ix));
        self.totals_for(index).up > 0 || (self.is_removed(host) && are_removed())
    }

    /// True for a host that users want no jobs on.
    pub(super) fn is_removed(&self, host: HostIx) -> bool {
        self.run.host(host).is_some_and(|host| host.duty == HostDuty::Removed)
    }

    /// True for a host that users want jobs on.
    pub(super) fn is_serving(&self, host: HostIx) -> bool {
        self.run.host(host).is_some_and(|host| host.duty == HostDuty::Serving)
    }
}
