//! Hosts that answer pings and nothing else: what they were given is taken back, and
//! when they do not answer that either, they are out.

use std::time::Duration;

use super::Scheduler;
use super::action::Action;
use super::job::JobState;
use crate::event::HostChange;
use crate::run::HostIx;

impl Scheduler {
    /// A host shows that it works: it has begun or ended something, or gets a file.
    pub fn note_sign_of_work(&mut self, now: Duration, host: HostIx) {
        self.hosts.note_work(host, now);
    }

    /// A job was assigned: it is looked at when its host could have begun it.
    pub(super) fn expect_begin(&mut self, index: u32, due: Duration) {
        let before = std::mem::replace(&mut self.jobs[index as usize].unbegun_due, due);
        self.unbegun.remove(&(before, index));
        self.unbegun.insert((due, index));
    }

    /// An attempt is withdrawn: its host is to answer.
    pub(super) fn expect_withdrawn(&mut self, now: Duration, index: u32) {
        let due = now + self.config.lost_after;
        let before = std::mem::replace(&mut self.jobs[index as usize].withdrawal_due, due);
        self.withdrawals.remove(&(before, index));
        self.withdrawals.insert((due, index));
    }

    /// An attempt has begun, or is not waited for any more.
    pub(super) fn forget_waits(&mut self, index: u32) {
        let plan = &self.jobs[index as usize];
        self.unbegun.remove(&(plan.unbegun_due, index));
        self.withdrawals.remove(&(plan.withdrawal_due, index));
        self.overdue.remove(&index);
    }

    /// What a host has not begun for as long as it may be silent is overdue, unless
    /// the host works: then files may still be on their way.
    pub(super) fn note_overdue(&mut self, now: Duration) {
        while let Some((due, index)) = self.unbegun.first().copied().filter(|(due, _)| *due <= now)
        {
            self.unbegun.remove(&(due, index));
            self.overdue.insert(index);
        }
    }

    /// Takes it back, if another host could take it.
    pub(super) fn withdraw_overdue(&mut self, now: Duration) {
        if self.overdue.is_empty() || !self.is_dispatching() || !self.has_idle_host() {
            return;
        }
        for index in std::mem::take(&mut self.overdue) {
            let JobState::Assigned { host, since } = self.state(index) else { continue };
            let due = self.hosts.last_work(host).max(since) + self.config.lost_after;
            if due > now {
                self.expect_begin(index, due);
            } else if self.answers(host) {
                self.withdraw(now, host, index);
            }
        }
    }

    /// A host has not answered a withdrawal for as long as it may be silent: what
    /// else it says is worth nothing. It is out of the run, and its jobs are lost.
    pub(super) fn reject_mute_hosts(&mut self, now: Duration) {
        while let Some((due, index)) =
            self.withdrawals.first().copied().filter(|(due, _)| *due <= now)
        {
            self.withdrawals.remove(&(due, index));
            let JobState::Withdrawing { host } = self.state(index) else { continue };
            if !self.answers(host) {
                continue;
            }
            let seconds = self.config.lost_after.as_secs();
            let reason = format!("it has not answered a withdrawal for {seconds} s");
            self.out.push_back(Action::Reject { host, reason: reason.clone() });
            self.emit_host(host, HostChange::Failed { reason });
            if !self.config.on_lost.waits() {
                self.losses.insert((now, host));
                self.lose_hosts(now);
            }
        }
    }
}
