//! Sums over all hosts, kept up to date host by host: what is asked after every
//! event costs the same with ten hosts and with ten thousand.

/// What one host adds to the sums, or the sums themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::scheduler) struct Totals {
    /// Hosts that answer and take jobs.
    pub(in crate::scheduler) up: u64,
    /// Hosts that have answered this manager.
    pub(in crate::scheduler) reached: u64,
    /// Hosts that are connected to for the first time.
    pub(in crate::scheduler) connecting: u64,
    /// Hosts out of the run: failed, or removed and not needed any more.
    pub(in crate::scheduler) out: u64,
    /// Hosts that are drained.
    pub(in crate::scheduler) drained: u64,
    /// Hosts that have never started a job and fail to, time and again.
    pub(in crate::scheduler) futile: u64,
    /// Jobs at hosts out of the run.
    pub(in crate::scheduler) stuck: u64,
    /// Attempts that may be alive on hosts that answer.
    pub(in crate::scheduler) in_reach: u64,
    /// Free slots of hosts with room.
    pub(in crate::scheduler) idle: u64,
    /// Jobs being withdrawn from hosts that hold more than they can run.
    pub(in crate::scheduler) withdrawing: u64,
}

impl Totals {
    /// Puts `now` in the place of what a host has added before.
    pub(super) fn replace(&mut self, before: &mut Totals, now: Totals) {
        let change = |sum: &mut u64, before: u64, now: u64| *sum = *sum - before + now;
        change(&mut self.up, before.up, now.up);
        change(&mut self.reached, before.reached, now.reached);
        change(&mut self.connecting, before.connecting, now.connecting);
        change(&mut self.out, before.out, now.out);
        change(&mut self.drained, before.drained, now.drained);
        change(&mut self.futile, before.futile, now.futile);
        change(&mut self.stuck, before.stuck, now.stuck);
        change(&mut self.in_reach, before.in_reach, now.in_reach);
        change(&mut self.idle, before.idle, now.idle);
        change(&mut self.withdrawing, before.withdrawing, now.withdrawing);
        *before = now;
    }
}
