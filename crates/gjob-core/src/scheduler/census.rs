//! Sums over all hosts, kept up to date host by host: what is asked at every
//! event costs the same with ten hosts and with ten thousand.

/// What one host adds to the sums, or the sums themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Census {
    /// Hosts that answer and take jobs.
    pub(super) up: u64,
    /// Hosts that have ever answered.
    pub(super) reached: u64,
    /// Hosts out of the run.
    pub(super) out: u64,
    /// Hosts that have never begun a job and fail to, time and again.
    pub(super) useless: u64,
    /// Jobs at hosts out of the run.
    pub(super) stuck: u64,
    /// Jobs at hosts that answer.
    pub(super) in_reach: u64,
    /// Free slots of hosts with room.
    pub(super) idle: u64,
    /// Jobs asked back from hosts that hold more than they can run.
    pub(super) asked_back: u64,
}

impl Census {
    /// Puts `now` in the place of what a host has added before.
    pub(super) fn replace(&mut self, before: &mut Census, now: Census) {
        let change = |sum: &mut u64, before: u64, now: u64| *sum = *sum - before + now;
        change(&mut self.up, before.up, now.up);
        change(&mut self.reached, before.reached, now.reached);
        change(&mut self.out, before.out, now.out);
        change(&mut self.useless, before.useless, now.useless);
        change(&mut self.stuck, before.stuck, now.stuck);
        change(&mut self.in_reach, before.in_reach, now.in_reach);
        change(&mut self.idle, before.idle, now.idle);
        change(&mut self.asked_back, before.asked_back, now.asked_back);
        *before = now;
    }
}
