//! Finds out what became of an attempt that the run log leaves open, and adds
//! what it lacks.

use std::io;

use gjob_core::jobdir::OwnFile;
use gjob_core::outcome::MAX_SURVIVORS;
use gjob_core::record::{Loss, one_line};
use gjob_core::{Finish, JobId, Key, Record};

use super::Agent;
use super::room::Allocation;
use super::slots::{AdoptedSlot, OwnSlot};
use crate::claims::Claim;
use crate::host;
use crate::identity::Process;
use crate::jobdir::{JobDir, JobFile, LockFile};
use crate::orphan::{self, Traces};

/// Of a job whose lock is held still.
const UNFOUND: &str = "; a process that can't be found still holds its lock";

impl Agent {
    /// After attaching: everything that was begun and has no end in the log.
    pub(super) fn recover_all(&mut self) {
        let claimed = self.claims.all().unwrap_or_default();
        let open = claimed.into_iter().filter(|key| !self.fates.is_known(*key));
        let keys: Vec<Key> = open.chain(self.fates.running()).collect();
        for key in keys {
            self.recover(key);
        }
    }

    /// Finds out about one attempt: its slot lives and is adopted, or it is over.
    pub(super) fn recover(&mut self, key: Key) {
        if self.fates.is_over(key) || self.has_slot(key) {
            return;
        }
        match self.claims.read(key) {
            Ok(Some(Claim::Job(id, slot))) => self.recover_job(key, &id, slot),
            Ok(Some(Claim::Withdrawn)) => self.append(&Record::Withdrawn { key, at: host::now() }),
            Ok(None) => {
                self.lose(key, Loss::Slot, None, "its claim is gone", Left::default());
            }
            Err(error) => self.complain(&format!("read the claim of {key}: {error}")),
        }
    }

    fn recover_job(&mut self, key: Key, id: &JobId, claimed: Option<LockFile>) {
        if !id.as_str().starts_with(&format!("{}/", self.hostname)) {
            // Another machine's, in a results directory that we share with it
            // under one label: from here, nothing can be known of it.
            return;
        }
        // The claim first: what the job has done to its directory, its slot may outlive.
        if self.adopt(key, id, claimed.as_ref()) {
            return;
        }
        let dir = JobDir::reopen_below(self.layout.results(), id);
        let lock = dir.as_ref().map_or(None, |dir| dir.read(OwnFile::Lock.name()).unwrap_or(None));
        if self.adopt(key, id, lock.as_ref()) {
            return;
        }
        // Its slot is dead: all that it has appended is there to be read.
        self.notice_records();
        if self.fates.is_over(key) {
            return;
        }
        let restarted = lock.or(claimed).is_some_and(|lock| lock.slot.is_of_another_boot());
        self.conclude(key, id, &dir, restarted);
    }

    /// Takes up the slot that has an attempt; false when it is dead.
    fn adopt(&mut self, key: Key, id: &JobId, slot: Option<&LockFile>) -> bool {
        let alive = slot.and_then(|slot| Some((Process::open(&slot.slot)?, slot.number)));
        let Some((process, number)) = alive else { return false };
        let dir = JobDir::open_below(self.layout.results(), id);
        let job = dir.and_then(|dir| dir.read::<JobFile>(OwnFile::Job.name())).unwrap_or(None);
        self.room.keep(key, job.map(|job| Allocation::new(&job.request, job.devices)));
        self.adopted.push(AdoptedSlot { key, process, number });
        true
    }

    /// Ends what is left of a job without a slot, and records its end.
    fn conclude(&mut self, key: Key, id: &JobId, dir: &io::Result<JobDir>, restarted: bool) {
        let path = self.layout.job_dir(id);
        let left = match restarted {
            true => Left::default(),
            false => {
                let others = self.strays.not_of_the_dead(self.own.iter().map(OwnSlot::pid));
                end_orphans(Traces::new(&path, dir.as_ref().ok()).with_children(others.as_ref()))
            }
        };
        match dir.as_ref().map(|dir| dir.read::<Finish>(OwnFile::Done.name())) {
            Ok(Ok(Some(mut finish))) if finish.key == Some(key) => {
                finish.survivors.extend(left.survivors);
                finish.survivors.sort_unstable();
                finish.survivors.dedup();
                finish.survivors.truncate(MAX_SURVIVORS);
                self.append(&Record::Finished(finish));
            }
            Err(error) => {
                let how = if restarted { Loss::Restart } else { Loss::Slot };
                let reason = format!("its job directory can't be opened: {error}");
                self.lose(key, how, Some(id), &reason, left);
            }
            Ok(_) if restarted => {
                let reason = "the host was restarted while it ran";
                self.lose(key, Loss::Restart, Some(id), reason, left);
            }
            Ok(_) => self.lose(key, Loss::Slot, Some(id), "its slot died while it ran", left),
        }
    }

    fn lose(&mut self, key: Key, how: Loss, id: Option<&JobId>, reason: &str, left: Left) {
        self.append(&Record::Lost {
            key,
            how,
            id: id.cloned(),
            reason: one_line(&format!("{reason}{}", if left.unfound { UNFOUND } else { "" })),
            survivors: left.survivors,
            at: host::now(),
        });
    }
}

/// What is left of a job whose slot is dead.
#[derive(Debug, Default)]
struct Left {
    /// Processes that could not be ended.
    survivors: Vec<u32>,
    /// Something that could not even be found.
    unfound: bool,
}

/// Ends a job's processes; says what is left of them.
fn end_orphans(job: Traces<'_>) -> Left {
    let mut survivors = orphan::end(job, std::time::Duration::ZERO);
    survivors.truncate(MAX_SURVIVORS);
    Left { unfound: survivors.is_empty() && job.is_held(), survivors }
}
