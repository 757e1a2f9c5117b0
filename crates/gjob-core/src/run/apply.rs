//! What events change. Nothing else changes a run.

use super::{Attempt, Host, HostIx, Outcome, Pace, Run};
use crate::event::{
    AttemptChange, AttemptEvent, Direction, Event, HostChange, HostEvent, JobChange, JobEvent,
    RunEvent, Transfer, What,
};
use crate::id::{HostLabel, Key};
use crate::job::Phase;
use crate::outcome::{Finish, name_survivors};
use crate::record::Scope;
use crate::state::State;
use crate::time::Timestamp;

use super::host::{History, HostStatus};

/// Which rows of a run an event changed, for a store that keeps copies of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Touched {
    /// A job.
    pub job: Option<u32>,
    /// A host.
    pub host: Option<HostIx>,
    /// An attempt.
    pub attempt: Option<Key>,
    /// Attempts that the run no longer keeps, as they are in the end.
    pub dropped: Vec<Attempt>,
    /// True when the run's own row changed.
    pub run: bool,
    /// True when the whole run changed: a manager took it up.
    pub all_hosts: bool,
}

impl Run {
    /// Carries an event over to what it changes. A durable event that the run
    /// knows already, by its number, changes nothing.
    pub fn apply(&mut self, event: &Event) -> Touched {
        if event.what.is_durable() {
            if event.seq <= self.seq {
                return Touched::default();
            }
            self.seq = event.seq;
        }
        match &event.what {
            What::Run(change) => self.apply_to_run(event.at, change),
            What::Host(change) => self.apply_to_host(event.at, change),
            What::Attempt(change) => self.apply_to_attempt(event.at, change),
            What::Job(change) => self.apply_to_job(event.at, change),
            What::Transfer(transfer) => self.apply_transfer(transfer),
        }
    }

    fn apply_to_run(&mut self, at: Timestamp, change: &RunEvent) -> Touched {
        match change {
            RunEvent::Began { .. } => {
                // What an earlier manager knew of its hosts' links is over with it.
                for host in &mut self.hosts {
                    (host.status, host.reason) = (HostStatus::Connecting, None);
                    if host.history == History::Told {
                        // What it told was for that manager.
                        host.history = History::Awaited;
                    }
                }
                self.ended = None;
                Touched { all_hosts: true, ..Touched::default() }
            }
            RunEvent::Adopted { .. } => {
                for host in &mut self.hosts {
                    if host.history == History::Told {
                        host.history = History::Known;
                    }
                }
                Touched { all_hosts: true, ..Touched::default() }
            }
            RunEvent::Interrupted { .. }
            | RunEvent::Halting { .. }
            | RunEvent::HaltChanged { .. } => Touched::default(),
            RunEvent::FilesReplaced { revision, .. } => {
                self.revision = *revision;
                Touched { run: true, ..Touched::default() }
            }
            RunEvent::Ended { end, .. } => {
                self.ended = Some(*end);
                if self.tally.left() == 0 {
                    self.over_at.get_or_insert(at);
                }
                Touched::default()
            }
        }
    }

    fn apply_to_host(&mut self, at: Timestamp, HostEvent { host, change }: &HostEvent) -> Touched {
        let host = match change {
            HostChange::Added { .. } => Some(self.position_or_add(host)),
            _ => self.position(host),
        };
        if let Some(host) = host {
            self.hosts[host.at()].apply(at, change);
        }
        Touched { host, ..Touched::default() }
    }

    fn position_or_add(&mut self, label: &HostLabel) -> HostIx {
        let next = HostIx(self.hosts.len() as u32);
        // The original of a copy may have had it already.
        let is_adopting = self.hosts.iter().any(|host| host.history.is_kept());
        let history = if is_adopting { History::Awaited } else { History::Known };
        *self.positions.entry(label.clone()).or_insert_with(|| {
            self.hosts.push(Host { history, ..Host::new(label.clone()) });
            next
        })
    }

    fn apply_transfer(&mut self, transfer: &Transfer) -> Touched {
        let Transfer { host, direction, bytes, size, .. } = transfer;
        let host = self.position(host);
        if let Some(host) = host
            && bytes >= size
            && *direction == Direction::In
        {
            self.hosts[host.at()].totals.bytes_sent += size;
        }
        Touched { host, ..Touched::default() }
    }

    fn apply_to_attempt(&mut self, at: Timestamp, event: &AttemptEvent) -> Touched {
        let AttemptEvent { key, host, change } = event;
        let (key, index) = (*key, key.index as usize);
        let Some(job) = self.jobs.get(index) else { return Touched::default() };
        let mut touched = Touched {
            job: Some(key.index),
            host: self.position(host),
            attempt: Some(key),
            ..Touched::default()
        };
        // Reports about an attempt that is not waited for change that attempt,
        // and leave its job as it is.
        let awaited = job.last_attempt == key.attempt && job.phase.is_in_flight();
        self.count(touched.host, change);
        match change {
            AttemptChange::Assigned => {
                let mut attempt = Attempt::new(key, host.clone(), at);
                attempt.revision = self.revision;
                self.assign(index, attempt, &mut touched);
            }
            AttemptChange::Started { id, started, processors } => {
                self.with_attempt(key, |attempt| {
                    (attempt.id, attempt.started) = (Some(id.clone()), Some(*started));
                    attempt.processors = processors.as_slice().into();
                });
                if awaited {
                    self.jobs[index].phase = Phase::Running;
                }
            }
            AttemptChange::Exited { finish } => {
                self.exited(key, awaited, finish);
                self.last_exit = Some((key, self.seq));
            }
            AttemptChange::Refused { reason, .. } => {
                self.close(key, awaited, Outcome::Refused, at, Some(reason.clone()));
            }
            AttemptChange::Withdrawn => self.close(key, awaited, Outcome::Withdrawn, at, None),
            AttemptChange::Lost { id, reason, survivors, restarted: _ } => {
                self.with_attempt(key, |attempt| attempt.id = attempt.id.take().or(id.clone()));
                self.note_survivors(key.index, survivors);
                let known = name_survivors(Some(reason.clone()), survivors);
                self.close(key, awaited, Outcome::Lost, at, known);
            }
            AttemptChange::Abandoned { reason } => {
                self.close(key, awaited, Outcome::Abandoned, at, Some(reason.clone()));
            }
            AttemptChange::Superseded => {
                self.with_attempt(key, |attempt| attempt.reason = Some("superseded".into()));
                self.drop_other(key, &mut touched);
            }
            AttemptChange::Collecting => {
                self.change_phase(index, |run| {
                    run.show(key);
                    run.jobs[index].phase = Phase::Collecting;
                });
            }
            AttemptChange::Collected { .. } => {}
            AttemptChange::CollectFailed { reason, scope } => {
                self.with_attempt(key, |attempt| attempt.reason = Some(reason.clone()));
                self.change_phase(index, |run| {
                    run.jobs[index].failures += u32::from(*scope == Scope::Job);
                    run.jobs[index].phase = Phase::Waiting;
                });
            }
        }
        self.index_abandoned(key.index);
        touched
    }

    fn apply_to_job(&mut self, at: Timestamp, JobEvent { key, change }: &JobEvent) -> Touched {
        let (key, index) = (*key, key.index as usize);
        let Some(job) = self.jobs.get_mut(index) else { return Touched::default() };
        let mut touched = Touched { job: Some(key.index), ..Touched::default() };
        match change {
            JobChange::KillRequested => job.kill = true,
            JobChange::Paused => (job.paused, job.resumed) = (true, false),
            JobChange::Resumed => {
                (job.paused, job.resumed) = (false, job.phase == Phase::Running);
            }
            JobChange::MemoryRaised { mem } => {
                job.raise_memory(*mem);
                job.failures = job.failures.saturating_sub(1);
            }
            JobChange::Reopened => {
                (job.failures, job.paused, job.kill) = (0, false, false);
                (job.reason, job.ended) = (None, None);
                self.over_at = None;
                self.change_phase(index, |run| run.jobs[index].phase = Phase::Waiting);
            }
            JobChange::Ended { state, reason } => {
                job.reason.clone_from(reason);
                job.last_attempt = job.last_attempt.max(key.attempt);
                let exit_counts =
                    job.phase == Phase::Collecting || self.last_exit == Some((key, self.seq - 1));
                self.change_phase(index, |run| {
                    run.show(key);
                    let job = &mut run.jobs[index];
                    job.phase = Phase::Ended(*state);
                    let exited = job.attempt.as_ref().and_then(|shown| shown.ended);
                    let started = job.attempt.as_ref().and_then(|shown| shown.started);
                    let counted = exited.filter(|_| exit_counts).unwrap_or(at);
                    job.ended = Some(started.map_or(counted, |started| counted.max(started)));
                });
                self.drop_closed(key.index, &mut touched);
                self.index_abandoned(key.index);
            }
        }
        touched
    }

    /// Counts what an attempt's event means for its host.
    fn count(&mut self, host: Option<HostIx>, change: &AttemptChange) {
        let Some(host) = host else { return };
        let totals = &mut self.hosts[host.at()].totals;
        match change {
            AttemptChange::Started { .. } => totals.started += 1,
            AttemptChange::Exited { finish } => {
                totals.succeeded += u32::from(finish.is_success());
                totals.failed += u32::from(finish.is_own_failure());
            }
            AttemptChange::Refused { scope, .. } => {
                totals.host_failures += u32::from(*scope != Scope::Job);
            }
            AttemptChange::Lost { restarted: false, .. } => totals.host_failures += 1,
            AttemptChange::Collected { bytes, .. } => totals.bytes_fetched += bytes,
            AttemptChange::Assigned
            | AttemptChange::Withdrawn
            | AttemptChange::Lost { restarted: true, .. }
            | AttemptChange::Abandoned { .. }
            | AttemptChange::Superseded
            | AttemptChange::Collecting
            | AttemptChange::CollectFailed { .. } => {}
        }
    }

    fn assign(&mut self, index: usize, attempt: Attempt, touched: &mut Touched) {
        let job = index as u32;
        self.change_phase(index, |run| {
            let key = attempt.key;
            let job = &mut run.jobs[index];
            (job.last_attempt, job.resumed) = (key.attempt, false);
            (job.reason, job.ended) = (None, None);
            job.phase = Phase::Assigned;
            let before = job.attempt.replace(Box::new(attempt));
            // The number of an attempt that never started may be used again.
            if let Some(before) = before.filter(|before| before.key != key) {
                run.others.entry(key.index).or_default().push(*before);
            }
        });
        self.drop_closed(job, touched);
    }

    fn exited(&mut self, key: Key, awaited: bool, finish: &Finish) {
        let index = key.index as usize;
        self.with_attempt(key, |attempt| attempt.finish(finish));
        self.note_survivors(key.index, &finish.survivors);
        let job = &mut self.jobs[index];
        if !job.phase.is_settled() {
            job.failures += u32::from(finish.is_own_failure());
        }
        if awaited {
            self.change_phase(index, |run| run.jobs[index].phase = Phase::Waiting);
        }
    }

    /// An attempt ended without an exit record, or is no longer waited for.
    fn close(
        &mut self,
        key: Key,
        awaited: bool,
        outcome: Outcome,
        at: Timestamp,
        reason: Option<String>,
    ) {
        self.with_attempt(key, |attempt| attempt.close(outcome, at, reason));
        if awaited {
            let index = key.index as usize;
            self.change_phase(index, |run| run.jobs[index].phase = Phase::Waiting);
        }
    }

    fn with_attempt(&mut self, key: Key, change: impl FnOnce(&mut Attempt)) {
        let shown = self.jobs[key.index as usize].attempt.as_deref_mut();
        if let Some(shown) = shown.filter(|shown| shown.key == key) {
            return change(shown);
        }
        let mut others = self.others.get_mut(&key.index).into_iter().flatten();
        if let Some(other) = others.find(|other| other.key == key) {
            change(other);
        }
    }

    fn note_survivors(&mut self, index: u32, survivors: &[u32]) {
        if !survivors.is_empty() {
            self.survivors.entry(index).or_default().extend(survivors);
        }
    }

    /// Makes an attempt the one that is shown, if it is not.
    fn show(&mut self, key: Key) {
        let Some(others) = self.others.get_mut(&key.index) else { return };
        let Some(at) = others.iter().position(|other| other.key == key) else { return };
        let attempt = Box::new(others.swap_remove(at));
        if let Some(before) = self.jobs[key.index as usize].attempt.replace(attempt) {
            others.push(*before);
        }
    }

    fn drop_other(&mut self, key: Key, touched: &mut Touched) {
        if let Some(others) = self.others.get_mut(&key.index) {
            touched.dropped.extend(others.extract_if(.., |other| other.key == key));
        }
    }

    /// Drops the attempts of a job that no longer matter: they are not shown,
    /// and not alive.
    fn drop_closed(&mut self, index: u32, touched: &mut Touched) {
        if let Some(others) = self.others.get_mut(&index) {
            touched.dropped.extend(others.extract_if(.., |other| !other.may_live()));
        }
    }

    /// Changes how far a job is, and keeps all that is counted by it right.
    fn change_phase(&mut self, index: usize, change: impl FnOnce(&mut Run)) {
        let before = self.jobs[index].state();
        self.leave_phase(index);
        change(self);
        self.tally.shift(before, self.jobs[index].state(), 1);
        self.enter_phase(index);
    }

    fn leave_phase(&mut self, index: usize) {
        if let Some(host) = self.host_done_on(index) {
            let pace = Pace::of(&self.jobs[index]);
            self.hosts[host.at()].pace.remove(pace);
        }
        let Some(host) = self.host_needed(index as u32) else { return };
        let (job, host) = (&self.jobs[index], &mut self.hosts[host.at()]);
        if job.phase.is_in_flight() {
            host.in_flight.remove(&job.index);
            host.usage.remove(&job.spec.ask());
        } else {
            host.collecting.remove(&job.index);
        }
    }

    pub(super) fn enter_phase(&mut self, index: usize) {
        if let Some(host) = self.host_done_on(index) {
            let pace = Pace::of(&self.jobs[index]);
            self.hosts[host.at()].pace.add(pace);
        }
        let Some(host) = self.host_needed(index as u32) else { return };
        let (job, host) = (&self.jobs[index], &mut self.hosts[host.at()]);
        if job.phase.is_in_flight() {
            host.in_flight.insert(job.index);
            host.usage.add(&job.spec.ask());
        } else {
            host.collecting.insert(job.index);
        }
    }

    /// The host on which a job was done.
    fn host_done_on(&self, index: usize) -> Option<HostIx> {
        let job = &self.jobs[index];
        self.position(job.host().filter(|_| job.phase == Phase::Ended(State::Done))?)
    }

    /// Keeps it known by host which attempts may be alive without being waited for.
    pub(super) fn index_abandoned(&mut self, index: u32) {
        let job = &self.jobs[index as usize];
        let shown = job.attempt.as_deref();
        let loose = |attempt: &Attempt| attempt.may_live() && !job.phase.is_in_flight();
        if !self.others.contains_key(&index) {
            // Nearly always: one attempt, which is waited for or has ended.
            let Some(shown) = shown else { return };
            let Some(host) = self.position(&shown.host) else { return };
            let (key, loose) = (shown.key, loose(shown));
            let abandoned = &mut self.hosts[host.at()].abandoned;
            if loose {
                abandoned.insert(key);
            } else {
                abandoned.remove(&key);
            }
            return;
        }
        let all = self.others[&index].iter().chain(shown);
        let place = |attempt: &Attempt| Some((self.position(&attempt.host)?, attempt.key));
        let hosts: Vec<(HostIx, Key)> = all.filter_map(place).collect();
        let live = self.abandoned(index);
        for (host, key) in hosts {
            self.hosts[host.at()].abandoned.remove(&key);
        }
        for (host, key) in live {
            self.hosts[host.at()].abandoned.insert(key);
        }
        if self.others[&index].is_empty() {
            self.others.remove(&index);
        }
    }
}
