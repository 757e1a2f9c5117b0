//! What the scheduler has decided and the store does not know yet, and the
//! order of things that exactness rests on: commit, notify, act. A manager that
//! is killed between any two of them leaves a store from which the next one
//! does the rest, since the store has all that is acted on, and acting on it twice
//! changes nothing.

use gjob_core::run::HostIx;
use gjob_core::scheduler::{Action, Scheduler};
use gjob_core::{Event, Run};

use crate::store::{Changes, JobOutputs, LogOffset, Store, StoreError};

#[derive(Debug)]
pub(super) struct Books {
    store: Store,
    changes: Changes,
    /// What is to be done once the changes are committed.
    actions: Vec<Action>,
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
        Books { store, changes: Changes::default(), actions: Vec::new() }
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

    /// Takes what the scheduler has decided, and commits it. If that fails,
    /// nobody is notified, and nothing is done.
    pub(super) fn settle(
        &mut self,
        scheduler: &mut Scheduler,
        outputs: Vec<JobOutputs>,
    ) -> Result<Settled, StoreError> {
        while let Some(action) = scheduler.poll_action() {
            match action {
                Action::Emit { event, touched } => self.changes.add(event, touched),
                other => self.actions.push(other),
            }
        }
        self.changes.outputs.extend(outputs);
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
