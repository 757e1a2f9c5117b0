//! Launches and withdrawals that are not answered, by a host that answers pings. A message
//! may have got lost: it is sent again. What a host has not begun is taken back when another
//! one could take it, and a host that does not answer that either is out.

use std::time::Duration;

use super::Scheduler;
use super::action::Action;
use super::job::JobState;
use super::stop::Mode;
use crate::event::HostChange;
use crate::run::HostIx;

/// How often a withdrawal is sent at least before its host is out.
const MIN_WITHDRAWALS: u32 = 2;

/// How often it is sent at most, to a host that works.
const MAX_WITHDRAWALS: u32 = 5;

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
        let plan = &mut self.jobs[index as usize];
        let (times, first) = plan.withdrawal_sent;
        plan.withdrawal_sent = (times + 1, if times == 0 { now } else { first });
        let before = std::mem::replace(&mut plan.withdrawal_due, due);
        self.withdrawals.remove(&(before, index));
        self.withdrawals.insert((due, index));
    }

    /// An attempt has begun, or is not waited for any more.
    pub(super) fn forget_waits(&mut self, index: u32) {
        let plan = &mut self.jobs[index as usize];
        plan.withdrawal_sent.0 = 0;
        self.unbegun.remove(&(plan.unbegun_due, index));
        self.withdrawals.remove(&(plan.withdrawal_due, index));
        self.overdue.remove(&index);
    }

    /// What a host has not begun for as long as it may be silent is overdue, unless
    /// the host works: then files may still be on their way. Gives those that are it now.
    pub(super) fn note_overdue(&mut self, now: Duration) -> Vec<u32> {
        let mut late = Vec::new();
        while let Some((due, index)) = self.unbegun.first().copied().filter(|(due, _)| *due <= now)
        {
            self.unbegun.remove(&(due, index));
            self.overdue.insert(index);
            late.push(index);
        }
        late
    }

    /// Sends the launches of these once more, if they were not taken back: a job can take
    /// messages from its host's agent, which has never seen them then.
    pub(super) fn launch_again(&mut self, now: Duration, late: &[u32]) {
        if self.mode != Mode::Running || self.is_adopting() {
            return;
        }
        for index in late {
            let JobState::Assigned { host, .. } = self.state(*index) else { continue };
            let (key, killed) = (self.job(*index).last_key(), self.job(*index).kill);
            let is_overdue = self.overdue.contains(index);
            // A host that comes back is sent all of its launches.
            if is_overdue && self.answers(host) && !killed {
                self.expect_begin(*index, now + self.config.lost_after);
                self.out.push_back(Action::Launch { host, key });
            }
        }
    }

    /// Takes it back, if another host could take it.
    pub(super) fn withdraw_overdue(&mut self, now: Duration) {
        if self.overdue.is_empty() || !self.is_dispatching() {
            return;
        }
        let overdue: Vec<u32> = self.overdue.iter().copied().collect();
        for index in overdue {
            if !self.has_idle_host(index) {
                continue;
            }
            self.overdue.remove(&index);
            let JobState::Assigned { host, since } = self.state(index) else { continue };
            let due = self.hosts.last_work(host).max(since) + self.config.lost_after;
            if due > now {
                self.expect_begin(index, due);
            } else if self.answers(host) {
                self.withdraw(now, host, index);
            }
        }
    }

    /// Sends withdrawals again that were not answered for as long as a host may be
    /// silent. What else a host says that does not answer them is worth nothing: it is
    /// out of the run, and its jobs are lost.
    pub(super) fn withdraw_again(&mut self, now: Duration) {
        while let Some((due, index)) =
            self.withdrawals.first().copied().filter(|(due, _)| *due <= now)
        {
            self.withdrawals.remove(&(due, index));
            let JobState::Withdrawing { host } = self.state(index) else { continue };
            if !self.answers(host) {
                continue;
            }
            let (times, first) = self.jobs[index as usize].withdrawal_sent;
            let has_worked = self.hosts.last_work(host) > first;
            if times < MIN_WITHDRAWALS || (has_worked && times < MAX_WITHDRAWALS) {
                self.withdraw(now, host, index);
                continue;
            }
            let seconds = (now - first).as_secs();
            let reason = format!("it has not answered a withdrawal for {seconds} s");
            self.out.push_back(Action::Reject { host, reason: reason.clone() });
            self.emit_host(host, HostChange::Failed { reason, printed: Vec::new() });
            if !self.config.on_lost.waits() {
                self.losses.insert((now, host));
                self.lose_hosts(now);
            }
        }
    }
}
