//! One host of an open network.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gjob_core::Key;
use tokio::sync::Semaphore;

use super::fetch;
use crate::link::{LinkCommand, LinkHandle};
use crate::outputs::{Collecting, Collector};

/// How often a part of a run log may be missing before any more of it is applied.
const MAX_GAPS: u32 = 5;

/// A host while the network is open.
#[derive(Debug)]
pub(super) struct OpenHost {
    /// None until it is to be reached.
    pub(super) reached: Option<Reached>,
    /// The number of its link: of those before it, nothing is heard any more.
    pub(super) link: usize,
    /// True while its link is up.
    pub(super) is_up: bool,
    /// How many connections there were to it.
    pub(super) connections: Arc<AtomicU64>,
    /// Bytes of its run log that are applied; its link reads it.
    pub(super) offset: Arc<AtomicU64>,
    /// Bytes of its run log that have been received over the present connection.
    pub(super) received: u64,
    /// Since what offset it was cut short, and how often, while none of it was applied.
    gaps: (u64, u32),
    /// True while the present connection is to end, since a part of it is missing.
    pub(super) is_cut_short: bool,
    /// True until anything of it has come over the present connection.
    pub(super) is_first: bool,
    /// True when that is within a line that is too long to be a record.
    pub(super) in_long_line: bool,
    /// Turns at fetching what jobs have printed.
    pub(super) fetch_turns: Arc<Semaphore>,
    /// Orders for outputs under way.
    pub(super) collecting: HashMap<Key, Collecting>,
}

/// What there is of a host that is to be reached.
#[derive(Debug)]
pub(super) struct Reached {
    pub(super) link: LinkHandle,
    pub(super) collector: Collector,
}

impl OpenHost {
    /// A host that is not reached yet, with so much of its run log applied.
    pub(super) fn new(offset: u64) -> Self {
        OpenHost {
            reached: None,
            link: 0,
            is_up: false,
            connections: Arc::default(),
            offset: Arc::new(AtomicU64::new(offset)),
            received: 0,
            gaps: (0, 0),
            is_cut_short: false,
            is_first: true,
            in_long_line: false,
            fetch_turns: Arc::new(Semaphore::new(fetch::AT_ONCE)),
            collecting: HashMap::new(),
        }
    }

    /// A new connection: its agent sends the run log from what was applied when it was
    /// asked, which may be less than by now.
    pub(super) fn handle_up(&mut self) {
        self.is_up = true;
        self.received = self.offset.load(Ordering::Acquire);
        (self.is_first, self.in_long_line, self.is_cut_short) = (true, false, false);
    }

    /// Takes so many bytes of its run log from `offset` on; false when they do not follow
    /// on what was received.
    pub(super) fn receive(&mut self, offset: u64, length: usize) -> bool {
        let follows = match std::mem::take(&mut self.is_first) {
            true => offset <= self.received,
            false => offset == self.received,
        };
        self.received = offset.saturating_add(length as u64);
        follows && length > 0
    }

    /// A part of its run log is missing: its job may have taken it from the agent's output.
    /// True if it can be had over a new connection, unless that was tried in vain before.
    pub(super) fn handle_gap(&mut self) -> bool {
        let applied = self.offset.load(Ordering::Acquire);
        let (before, times) = self.gaps;
        self.gaps = (applied, if applied > before { 1 } else { times + 1 });
        self.is_cut_short = true;
        self.gaps.1 <= MAX_GAPS
    }

    /// Notes that its run log is applied up to there.
    pub(super) fn set_offset(&self, offset: u64) {
        self.offset.store(offset, Ordering::Release);
    }

    /// Closes its link for good; `reason` is what those hear who wait for it.
    pub(super) fn reject(&self, reason: &str) {
        if let Some(reached) = &self.reached {
            reached.link.reject(reason);
        }
    }

    /// Sends a command to its link, if there is one.
    pub(super) fn send(&self, command: LinkCommand) {
        if let Some(reached) = &self.reached {
            reached.link.send(command);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_follows_on_what_was_applied_when_its_agent_was_asked() {
        let mut host = OpenHost::new(100);
        host.handle_up();
        assert!(host.receive(100, 50) && host.receive(150, 50) && !host.receive(150, 50));
        // What came before the connection broke is applied only when the next is up.
        host.set_offset(200);
        host.handle_up();
        assert!(host.receive(100, 50) && !host.receive(200, 50));
        host.handle_up();
        assert!(!host.receive(201, 50));
        host.handle_up();
        assert!(!host.receive(200, 0));
    }

    #[test]
    fn gaps_are_mended_for_as_long_as_more_of_the_log_is_applied() {
        let mut host = OpenHost::new(100);
        for offset in 101..120 {
            host.set_offset(offset);
            assert!(host.handle_gap());
        }
        assert!((1..MAX_GAPS).all(|_| host.handle_gap()) && !host.handle_gap());
    }
}
