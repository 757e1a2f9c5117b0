//! Jobs that no host has: the ready ones in the order of their indexes, those
//! to be tried elsewhere, and those whose time has not come.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};
use std::time::Duration;

/// How long a job waits for another host than the one it failed on.
const PICKY_FOR: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// By kind.
    ready: Vec<BTreeSet<u32>>,
    /// Ready, and until then better placed on another host than the last one.
    picky: VecDeque<(u32, Duration)>,
    delayed: BinaryHeap<Reverse<(Duration, u32)>>,
}

impl Waiting {
    pub(super) fn push(&mut self, index: u32, class: u32) {
        let class = class as usize;
        if self.ready.len() <= class {
            self.ready.resize_with(class + 1, BTreeSet::new);
        }
        self.ready[class].insert(index);
    }

    pub(super) fn push_delayed(&mut self, index: u32, until: Duration) {
        self.delayed.push(Reverse((until, index)));
    }

    /// The first of each kind, in the order of the jobs.
    pub(super) fn firsts(&self) -> Vec<(u32, u32)> {
        let first = |(class, ready): (u32, &BTreeSet<u32>)| Some((*ready.first()?, class));
        let mut firsts: Vec<_> = (0..).zip(&self.ready).filter_map(first).collect();
        firsts.sort_unstable();
        firsts
    }

    pub(super) fn remove(&mut self, index: u32, class: u32) {
        if let Some(ready) = self.ready.get_mut(class as usize) {
            ready.remove(&index);
        }
    }

    /// A job does not wait any more, wherever it stood.
    pub(super) fn forget(&mut self, index: u32) {
        for ready in &mut self.ready {
            ready.remove(&index);
        }
        self.picky.retain(|(waiting, _)| *waiting != index);
        self.delayed.retain(|Reverse((_, waiting))| *waiting != index);
    }

    /// The first few of those to be tried elsewhere, with their places.
    pub(super) fn picky(&self) -> impl Iterator<Item = (usize, (u32, Duration))> + '_ {
        self.picky.iter().copied().enumerate().take(32)
    }

    /// When the first of them takes any host.
    pub(super) fn next_unpicky(&self) -> Option<Duration> {
        self.picky.front().map(|(_, until)| *until)
    }

    pub(super) fn remove_picky(&mut self, place: usize) {
        self.picky.remove(place);
    }

    pub(super) fn any_ready(&self) -> bool {
        self.ready.iter().any(|ready| !ready.is_empty()) || !self.picky.is_empty()
    }

    pub(super) fn next_ready(&self) -> Option<Duration> {
        self.delayed.peek().map(|Reverse((until, _))| *until)
    }

    /// Makes those ready whose time has come.
    pub(super) fn release(&mut self, now: Duration) {
        while self.next_ready().is_some_and(|until| until <= now) {
            if let Some(Reverse((_, index))) = self.delayed.pop() {
                self.picky.push_back((index, now + PICKY_FOR));
            }
        }
    }
}
