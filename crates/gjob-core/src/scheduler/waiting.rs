//! Jobs that no host has: the ready ones in the order of their indexes, those
//! that prefer another host than the one they failed on, and those whose time
//! to be retried has not come.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};
use std::ops::Bound;
use std::time::Duration;

#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// By class.
    ready: Vec<BTreeSet<u32>>,
    /// The first of each open class, with the class.
    firsts: BTreeSet<(u32, u32)>,
    /// Classes that no host has room for. They hide nothing that is behind them.
    closed: BTreeSet<u32>,
    /// Ready, and until then better placed on another host than the last one, in the
    /// order of these times.
    retried: VecDeque<(u32, Duration)>,
    delayed: BinaryHeap<Reverse<(Duration, u32)>>,
}

impl Waiting {
    pub(super) fn push(&mut self, index: u32, class: u32) {
        if self.ready.len() <= class as usize {
            self.ready.resize_with(class as usize + 1, BTreeSet::new);
        }
        self.change(class, |ready| _ = ready.insert(index));
    }

    /// Keeps the first of a class known.
    fn change(&mut self, class: u32, change: impl FnOnce(&mut BTreeSet<u32>)) {
        let Some(ready) = self.ready.get_mut(class as usize) else { return };
        let before = ready.first().copied();
        change(ready);
        let after = ready.first().copied();
        if before != after && !self.closed.contains(&class) {
            before.map(|first| self.firsts.remove(&(first, class)));
            after.map(|first| self.firsts.insert((first, class)));
        }
    }

    /// No host has room for a class, until it is opened.
    pub(super) fn close(&mut self, class: u32) {
        if self.closed.insert(class) {
            self.first(class).map(|first| self.firsts.remove(&(first, class)));
        }
    }

    /// A host has room for a class.
    pub(super) fn open(&mut self, class: u32) {
        if self.closed.remove(&class) {
            self.first(class).map(|first| self.firsts.insert((first, class)));
        }
    }

    fn first(&self, class: u32) -> Option<u32> {
        self.ready.get(class as usize)?.first().copied()
    }

    /// All of a class that are ready.
    pub(super) fn ready(&self, class: u32) -> impl Iterator<Item = u32> + '_ {
        self.ready.get(class as usize).into_iter().flatten().copied()
    }

    pub(super) fn push_delayed(&mut self, index: u32, until: Duration) {
        self.delayed.push(Reverse((until, index)));
    }

    /// Until then it is better placed on another host than the last one.
    pub(super) fn push_retried(&mut self, index: u32, until: Duration) {
        let at = self.retried.partition_point(|(_, earlier)| *earlier <= until);
        self.retried.insert(at, (index, until));
    }

    /// The first of the next class, in the order of these jobs.
    pub(super) fn next_first(&self, last: Option<(u32, u32)>) -> Option<(u32, u32)> {
        let from = last.map_or(Bound::Unbounded, Bound::Excluded);
        self.firsts.range((from, Bound::Unbounded)).next().copied()
    }

    /// Nothing is ready, and no class is closed: classes are numbered anew.
    pub(super) fn forget_classes(&mut self) {
        self.ready.clear();
        self.firsts.clear();
        self.closed.clear();
    }

    /// A job that was ready does not wait any more.
    pub(super) fn remove(&mut self, index: u32, class: u32) {
        self.change(class, |ready| _ = ready.remove(&index));
    }

    /// A job that was to be tried again does not wait any more.
    pub(super) fn remove_delayed(&mut self, index: u32) {
        self.retried.retain(|(waiting, _)| *waiting != index);
        self.delayed.retain(|Reverse((_, waiting))| *waiting != index);
    }

    /// The first few of those to be tried elsewhere that a host may have room for.
    pub(super) fn prefers_other_host(
        &self,
        has_room: impl Fn(u32) -> bool,
    ) -> impl Iterator<Item = (u32, Duration)> {
        self.retried.iter().copied().take(4096).filter(move |(index, _)| has_room(*index)).take(32)
    }

    /// When the first of them takes any host.
    pub(super) fn next_takes_any_host(&self) -> Option<Duration> {
        self.retried.front().map(|(_, until)| *until)
    }

    /// True when a job waits that a host may have room for.
    pub(super) fn any_ready(&self) -> bool {
        !self.firsts.is_empty() || !self.retried.is_empty()
    }

    pub(super) fn next_ready(&self) -> Option<Duration> {
        self.delayed.peek().map(|Reverse((until, _))| *until)
    }

    /// Makes those ready whose time has come, and gives those that take any host
    /// by now.
    pub(super) fn release(&mut self, now: Duration, prefer_for: Duration) -> Vec<u32> {
        while self.next_ready().is_some_and(|until| until <= now) {
            if let Some(Reverse((_, index))) = self.delayed.pop() {
                self.push_retried(index, now + prefer_for);
            }
        }
        let any_host = self.retried.partition_point(|(_, until)| *until <= now);
        self.retried.drain(..any_host).map(|(index, _)| index).collect()
    }
}
