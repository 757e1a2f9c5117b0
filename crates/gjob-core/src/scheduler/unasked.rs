//! A host's word against what was asked of it. What a host says of a job's own
//! end has to be believed: nobody else can know it. But some ends are answers to
//! an order, and an attempt that ended by order is repeated without being
//! counted. So a host that reports such an end without having been asked has
//! failed the job, as one that refuses it: that is counted, and it is paused.
//!
//! What a host denies that it had said it began is lost.
//!
//! An order of an earlier manager is not in the store. So an attempt that this
//! manager did not assign may have been interrupted or withdrawn by that one.

use std::time::Duration;

use super::Scheduler;
use super::job::JobState;
use super::report::REFUSAL_PAUSE;
use crate::event::AttemptChange;
use crate::id::{JobId, Key};
use crate::outcome::{Cause, Finish, name_survivors};
use crate::record::{Loss, Record, one_line};
use crate::run::HostIx;

/// An end that answers an order which nobody gave, or that cannot be.
#[derive(Debug)]
pub(super) struct Unasked {
    id: Option<JobId>,
    /// What the host says, in one line.
    what: String,
    survivors: Vec<u32>,
}

impl Scheduler {
    /// The record itself, unless its host denies with it that it has begun what it had said
    /// it began: that is never believed. What has become of the attempt cannot be known
    /// then, and nothing takes its place.
    pub(super) fn check_denied(&self, key: Key, record: Record) -> Record {
        if !self.has_started(key) {
            return record;
        }
        let (what, at) = match record {
            Record::Refused { reason, at, .. } => (format!("refuses it: {}", reason.shown()), at),
            Record::Withdrawn { at, .. } => ("says that it never did".to_owned(), at),
            Record::Log { .. }
            | Record::Started { .. }
            | Record::Finished(_)
            | Record::Lost { .. } => return record,
        };
        let reason = one_line(&format!("its host had started it, and now {what}"));
        Record::Lost { key, how: Loss::Slot, id: None, reason, survivors: Vec::new(), at }
    }

    /// The record itself, unless it answers an order that nobody gave.
    pub(super) fn check_asked(
        &self,
        host: HostIx,
        key: Key,
        record: Record,
    ) -> Result<Record, Unasked> {
        match record {
            Record::Finished(finish) if !self.may_end(key.index, &finish) => {
                let cause = finish.cause.map_or("", Cause::as_str);
                let what = format!("its host ended it ({cause}) without a request");
                Err(Unasked { id: Some(finish.id), what, survivors: finish.survivors })
            }
            Record::Withdrawn { .. } if !self.may_withdraw(key.index) => {
                let what = "its host withdrew it without a request".to_owned();
                Err(Unasked { id: None, what, survivors: Vec::new() })
            }
            Record::Lost { how: Loss::Restart, id, survivors, .. }
                if self.is_of_this_connection(host, key.index) =>
            {
                let what = "its host was restarted, it says, over a connection that stands";
                Err(Unasked { id, what: what.to_owned(), survivors })
            }
            // What follows from these is counted, or happens once.
            Record::Log { .. }
            | Record::Started { .. }
            | Record::Finished(_)
            | Record::Refused { .. }
            | Record::Withdrawn { .. }
            | Record::Lost { .. } => Ok(record),
        }
    }

    /// True if an awaited attempt may have ended for this cause.
    fn may_end(&self, index: u32, finish: &Finish) -> bool {
        match finish.cause {
            // `gjob local kill` is a user's word, too, and given on the host.
            // Nor does a job have to ask for memory to use all of its host's.
            None | Some(Cause::Killed | Cause::Memory) => true,
            Some(Cause::Timeout) => self.job(index).spec.timeout.is_some(),
            Some(Cause::Interrupted) => self.may_be_interrupted(index),
            // Only attempts that are no longer awaited are superseded.
            Some(Cause::Superseded) => false,
            Some(Cause::Lease | Cause::Clock) => self.config.on_lost.leases(),
        }
    }

    fn may_withdraw(&self, index: u32) -> bool {
        let withdraws = matches!(self.state(index), JobState::Withdrawing { .. });
        withdraws || self.may_be_interrupted(index)
    }

    /// True if a job was assigned since its host last came to answer.
    pub(super) fn is_of_this_connection(&self, host: HostIx, index: u32) -> bool {
        let plan = &self.jobs[index as usize];
        !plan.inherited && self.hosts.reached(host).is_some_and(|since| plan.assigned >= since)
    }

    /// True if this manager, or an earlier one, may have ordered its end.
    fn may_be_interrupted(&self, index: u32) -> bool {
        let plan = &self.jobs[index as usize];
        self.job(index).kill || self.is_interrupting() || plan.inherited || plan.recalled
    }

    /// Counts such an end as the host's failure.
    pub(super) fn fail_unasked(&mut self, now: Duration, host: HostIx, key: Key, end: Unasked) {
        let Unasked { id, what: reason, survivors } = end;
        let known = name_survivors(Some(reason.clone()), &survivors).unwrap_or_default();
        let change =
            AttemptChange::Lost { id, reason: reason.clone(), survivors, restarted: false };
        self.emit_attempt(host, key, change);
        self.pause_host(now, host, REFUSAL_PAUSE, reason);
        self.fail_by_host(now, host, key.index, &known);
    }
}
