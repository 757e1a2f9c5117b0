//! Which attempts ran when, in lanes: a host has as many as attempts have run at once
//! on it. It is kept up to date event by event.

use std::collections::{HashMap, HashSet};

use gjob_core::event::{AttemptChange, AttemptEvent};
use gjob_core::run::{Attempt, HostIx};
use gjob_core::{Key, Run, Timestamp};

/// One attempt on the scale of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) job: u32,
    pub(crate) start: u64,
    /// None while it runs.
    pub(crate) end: Option<u64>,
    /// False if it has not succeeded.
    pub(crate) fine: bool,
}

impl Span {
    /// When it ended, or now.
    pub(crate) fn until(&self, now: Timestamp) -> u64 {
        self.end.unwrap_or(now.0).max(self.start)
    }
}

/// Attempts one after another.
pub(crate) type Lane = Vec<Span>;

#[derive(Debug, Default)]
pub(crate) struct Timeline {
    hosts: Vec<Vec<Lane>>,
    /// Where the attempts are that run.
    open: HashMap<Key, (usize, usize)>,
    /// Attempts that are no longer waited for: they end here, whatever comes later.
    gone: HashSet<Key>,
    first: Option<u64>,
    last: u64,
}

impl Timeline {
    pub(crate) fn new(run: &Run, earlier: &[Attempt]) -> Self {
        let mut timeline =
            Timeline { hosts: vec![Vec::new(); run.hosts().len()], ..Timeline::default() };
        let shown = run.jobs().iter().filter_map(|job| job.attempt.as_deref());
        let mut all: Vec<&Attempt> =
            earlier.iter().chain(shown).filter(|attempt| attempt.started.is_some()).collect();
        all.sort_unstable_by_key(|attempt| (attempt.started, attempt.key));
        for attempt in all {
            let (Some(host), Some(started)) = (run.position(&attempt.host), attempt.started) else {
                continue;
            };
            timeline.begin(attempt.key, host, started);
            if let Some(ended) = attempt.ended {
                let fine = attempt.finish.as_ref().is_some_and(|finish| finish.is_success());
                timeline.end(attempt.key, ended, fine);
            }
        }
        timeline
    }

    pub(crate) fn apply(&mut self, run: &Run, event: &AttemptEvent, at: Timestamp) {
        let Some(host) = run.position(&event.host) else { return };
        match &event.change {
            AttemptChange::Started { started, .. } => self.begin(event.key, host, *started),
            AttemptChange::Exited { .. } if self.gone.contains(&event.key) => {}
            AttemptChange::Exited { finish } => {
                // One that was over before it was known to have started.
                self.begin(event.key, host, finish.started);
                self.end(event.key, finish.ended, finish.is_success());
            }
            AttemptChange::Lost { .. }
            | AttemptChange::Abandoned { .. }
            | AttemptChange::Superseded
            | AttemptChange::Refused { .. }
            | AttemptChange::Withdrawn => {
                if self.open.contains_key(&event.key) {
                    self.gone.insert(event.key);
                }
                self.end(event.key, at, false);
            }
            AttemptChange::Assigned
            | AttemptChange::Collecting
            | AttemptChange::Collected { .. }
            | AttemptChange::CollectFailed { .. } => {}
        }
    }

    fn begin(&mut self, key: Key, host: HostIx, Timestamp(start): Timestamp) {
        let Some(lanes) = self.hosts.get_mut(host.at()).filter(|_| !self.open.contains_key(&key))
        else {
            return;
        };
        let is_free =
            |lane: &Lane| lane.last().is_none_or(|last| last.end.is_some_and(|end| end <= start));
        let lane = lanes.iter().position(is_free).unwrap_or(lanes.len());
        if lane == lanes.len() {
            lanes.push(Vec::new());
        }
        lanes[lane].push(Span { job: key.index, start, end: None, fine: true });
        self.open.insert(key, (host.at(), lane));
        self.first = Some(self.first.map_or(start, |first| first.min(start)));
        self.last = self.last.max(start);
    }

    fn end(&mut self, key: Key, Timestamp(end): Timestamp, fine: bool) {
        let Some((host, lane)) = self.open.remove(&key) else { return };
        // An open span is the last of its lane.
        if let Some(span) = self.hosts[host][lane].last_mut() {
            span.end = Some(end.max(span.start));
            span.fine = fine;
        }
        self.last = self.last.max(end);
    }

    /// The lanes of a host.
    pub(crate) fn lanes(&self, host: HostIx) -> &[Lane] {
        self.hosts.get(host.at()).map_or(&[], Vec::as_slice)
    }

    /// All lanes.
    pub(crate) fn all_lanes(&self) -> impl Iterator<Item = &Lane> {
        self.hosts.iter().flatten()
    }

    /// When the first attempt started; none before.
    pub(crate) fn first(&self) -> Option<u64> {
        self.first
    }

    /// When the last one ended or started.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }
}

/// The attempts of a lane that ran at or after a time.
pub(crate) fn since(lane: &Lane, from: u64) -> &[Span] {
    let first = lane.partition_point(|span| span.end.is_some_and(|end| end < from));
    &lane[first..]
}
