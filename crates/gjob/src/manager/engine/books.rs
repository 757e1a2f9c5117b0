//! What the scheduler has decided and the store does not know yet, and the
//! order of things that exactness rests on: commit, notify, act. A manager that
//! is killed between any two of them leaves a store from which the next one
//! does the rest, since the store has all that is acted on, and acting on it twice
//! changes nothing.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use gjob_core::run::HostIx;
use gjob_core::scheduler::{Action, Scheduler};
use gjob_core::{Event, Run, What};

use crate::store::{Changes, JobOutputs, LogOffset, Store, StoreError};

/// How long changes may gather before they are committed together, while every slot has
/// something to do.
const GATHER_TIME: Duration = Duration::from_millis(15);

#[derive(Debug)]
pub(super) struct Books {
    store: Store,
    changes: Changes,
    /// What is to be done once the changes are committed.
    actions: Vec<Action>,
    /// When the changes are to be committed at the latest, while there are some.
    due: Option<Instant>,
}

/// What is committed now: to be notified of and carried out.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) events: Vec<Event>,
    pub(super) offsets: Vec<LogOffset>,
    pub(super) actions: Vec<Action>,
}

impl Books {
    pub(super) fn new(store: Store) -> Self {
        Books { store, changes: Changes::default(), actions: Vec::new(), due: None }
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// A host's run log is applied up to this offset with what happens now.
    pub(super) fn set_offset(&mut self, offset: LogOffset) {
        self.changes.offsets.retain(|earlier| earlier.host != offset.host);
        self.changes.offsets.push(offset);
    }

    /// The run has these settings with what happens now.
    pub(super) fn set_settings(&mut self, json: String) {
        self.changes.settings = Some(json);
    }

    /// Takes what the scheduler has decided.
    pub(super) fn take(&mut self, scheduler: &mut Scheduler, outputs: Vec<JobOutputs>) {
        while let Some(action) = scheduler.poll_action() {
            match action {
                Action::Emit { event, touched } => self.changes.add(event, touched),
                other => self.actions.push(other),
            }
        }
        self.changes.outputs.extend(outputs);
    }

    /// True while what was taken may wait for more, so that one commit serves many: no slot
    /// waits for it, and nobody else does. [`Books::due_in`] says until when.
    pub(super) fn may_wait(&mut self, scheduler: &Scheduler) -> bool {
        let Changes { events, outputs, offsets, settings, .. } = &self.changes;
        let is_of_jobs = |event: &Event| matches!(event.what, What::Attempt(_) | What::Job(_));
        let is_applied = |offset: &LogOffset| !scheduler.keeps_back(HostIx(offset.host));
        let any = !events.is_empty()
            || !outputs.is_empty()
            || !self.actions.is_empty()
            || offsets.iter().any(is_applied);
        let may = any
            && settings.is_none()
            && events.iter().all(is_of_jobs)
            && self.may_actions_wait(scheduler);
        let now = Instant::now();
        may && *self.due.get_or_insert(now + GATHER_TIME) > now
    }

    /// How long until what was taken is to be committed, if it waits.
    pub(super) fn due_in(&self) -> Option<Duration> {
        self.due.map(|due| due.saturating_duration_since(Instant::now()))
    }

    fn may_actions_wait(&self, scheduler: &Scheduler) -> bool {
        let mut launches: BTreeMap<HostIx, u32> = BTreeMap::new();
        for action in &self.actions {
            match action {
                Action::Launch { host, .. } => *launches.entry(*host).or_default() += 1,
                // An output may be what a job waits for.
                Action::Collect { .. } | Action::ForgetOutputs { .. } => {
                    if scheduler.any_slot_idle() {
                        return false;
                    }
                }
                Action::Emit { .. }
                | Action::TellHostCount { .. }
                | Action::Reject { .. }
                | Action::Withdraw { .. }
                | Action::Order { .. }
                | Action::Release { .. }
                | Action::LoseOutputs { .. }
                | Action::FetchTaskLog { .. }
                | Action::Stop(_) => return false,
            }
        }
        launches.into_iter().all(|(host, count)| scheduler.is_supplied_without(host, count))
    }

    /// Commits what was taken. If that fails, nobody is notified, and nothing is done.
    pub(super) fn settle(&mut self, scheduler: &Scheduler) -> Result<Settled, StoreError> {
        self.due = None;
        // What is not applied to the run yet is to be sent again to the next manager.
        let kept_back = |offset: &mut LogOffset| scheduler.keeps_back(HostIx(offset.host));
        let kept_back: Vec<LogOffset> = self.changes.offsets.extract_if(.., kept_back).collect();
        self.commit(scheduler.run())?;
        let offsets = std::mem::replace(&mut self.changes.offsets, kept_back);
        Ok(Settled {
            events: std::mem::take(&mut self.changes.events),
            offsets,
            actions: std::mem::take(&mut self.actions),
        })
    }

    fn commit(&mut self, run: &Run) -> Result<(), StoreError> {
        if self.changes.must_be_durable() {
            self.store.commit(run, &self.changes)?;
            self.changes.forget_rows();
        }
        Ok(())
    }

    pub(super) fn close(&self, end: &str) -> Result<(), StoreError> {
        self.store.set_ended(end)
    }
}
