//! Finds out what became of attempts that the run log leaves open, and adds to the
//! log what it lacks.
//!
//! The claim of an attempt names its slot. A slot that lives is adopted. One that
//! is dead has appended all it ever will, so that an attempt still open then needs
//! an end from here: the exit record if the slot had written one, otherwise that it
//! was lost. Before that, the job's orphans are ended: once its loss is recorded,
//! the manager may start it elsewhere. They are ended in the background, many at
//! once, and until that is done nothing new is started here, since orphans may
//! still use what they were given.

use std::collections::HashSet;
use std::io;
use std::time::Duration;

use gjob_core::jobdir::OwnFile;
use gjob_core::outcome::MAX_SURVIVORS;
use gjob_core::record::{Loss, one_line};
use gjob_core::{Finish, JobId, Key, Record};
use rustix::process::{WaitId, WaitIdOptions, getpid, set_child_subreaper, waitid};

use super::background::{Background, Kind, Report};
use super::error::AgentError;
use super::link::Link;
use super::resources::Allocation;
use super::slot_process::AdoptedSlot;
use super::whereabouts::Whereabouts;
use super::{Agent, log_error};
use crate::claims::{Claim, ODD_CLAIM, is_odd};
use crate::control::slot_of;
use crate::host;
use crate::identity::Process;
use crate::jobdir::{JobDir, JobSummary, Layout, LockFile, LockState, PidFile};
use crate::orphan::{self, Remains, Traces};
use crate::processes;

/// Between TERM and KILL of orphans: as for what a job leaves running that ends by itself.
const ORPHAN_GRACE: Duration = Duration::from_secs(2);

/// The most jobs whose orphans are ended at once: each keeps a descriptor open.
const MAX_AT_ONCE: usize = 64;

/// A job whose slot is dead.
#[derive(Debug)]
pub(super) struct DeadJob {
    key: Key,
    id: JobId,
    /// Its directory, or why it cannot be opened.
    dir: io::Result<JobDir>,
}

/// A job whose orphans were ended.
#[derive(Debug)]
pub(super) struct Ended {
    job: DeadJob,
    remains: Remains,
}

/// The jobs whose orphans are to be ended.
#[derive(Debug)]
pub(super) struct Recovery {
    waiting: Vec<DeadJob>,
    /// Those that wait, and those that are being ended.
    keys: HashSet<Key>,
    is_ending: bool,
    children: Children,
    /// What the run log had said was lost with it.
    is_log_lost: bool,
    /// Attempts of which it may have said anything.
    unheard: HashSet<Key>,
    /// Attempts whose claims had been replaced before, of which the log says nothing: an
    /// earlier agent may have begun them.
    doubtful: HashSet<Key>,
}

impl Recovery {
    /// Nothing to be recovered yet.
    pub(super) fn new(is_log_lost: bool) -> Self {
        Recovery {
            waiting: Vec::new(),
            keys: HashSet::new(),
            is_ending: false,
            children: Children::inherit(),
            is_log_lost,
            unheard: HashSet::new(),
            doubtful: HashSet::new(),
        }
    }

    /// True while it is being found out what became of an attempt.
    pub(super) fn has(&self, key: Key) -> bool {
        self.keys.contains(&key)
    }

    /// True for an attempt that an earlier agent may have begun although nothing shows it.
    pub(super) fn is_doubtful(&self, key: Key) -> bool {
        self.doubtful.contains(&key)
    }

    /// True while orphans are being ended.
    pub(super) fn is_pending(&self) -> bool {
        !self.keys.is_empty()
    }

    fn add(&mut self, job: DeadJob) {
        self.keys.insert(job.key);
        self.waiting.push(job);
    }

    /// Begins to end the orphans of the jobs that wait; `slots` are this agent's.
    fn begin(
        &mut self,
        layout: &Layout,
        slots: impl Iterator<Item = u32>,
        background: &mut Background,
    ) -> io::Result<()> {
        if self.is_ending || self.waiting.is_empty() {
            return Ok(());
        }
        let rest = self.waiting.split_off(self.waiting.len().min(MAX_AT_ONCE));
        let jobs = std::mem::replace(&mut self.waiting, rest);
        let (layout, others) = (layout.clone(), self.children.except_orphans(slots));
        self.is_ending = true;
        background.submit(Kind::Orphans, move |reporter| {
            let paths: Vec<_> = jobs.iter().map(|job| layout.job_dir(&job.id)).collect();
            let dirs = jobs.iter().map(|job| job.dir.as_ref().ok());
            let traces: Vec<_> =
                paths.iter().zip(dirs).map(|(path, dir)| Traces::new(path, dir)).collect();
            let remains = orphan::end(&traces, others.as_ref(), ORPHAN_GRACE);
            let ended = jobs.into_iter().zip(remains);
            let ended = ended.map(|(job, remains)| Ended { job, remains }).collect();
            reporter.send(Report::Ended(ended));
        })
    }

    /// Takes note that their orphans were ended.
    fn handle_ended(&mut self, ended: &[Ended], slots: impl Iterator<Item = u32>) {
        self.is_ending = false;
        for ended in ended {
            self.keys.remove(&ended.job.key);
        }
        let survivors = ended.iter().flat_map(|ended| &ended.remains.survivors);
        self.children.settle(survivors.copied(), slots);
    }

    /// Takes note of slots that have ended by themselves: of what they have left
    /// behind, `survivors` were named by them.
    pub(super) fn handle_ended_slots(
        &mut self,
        survivors: impl Iterator<Item = u32>,
        slots: impl Iterator<Item = u32>,
    ) {
        self.children.settle(survivors, slots);
    }
}

impl Agent {
    /// After attaching: everything that was begun and has no end in the log.
    pub(super) fn recover_all(&mut self) {
        let claimed = self.claims.all().unwrap_or_default();
        if self.recovery.is_log_lost {
            self.recovery.unheard = claimed.iter().copied().collect();
        }
        let attempts = self.journal.attempts();
        let mut open = claimed;
        open.retain(|key| !attempts.is_known(*key));
        if !self.recovery.is_log_lost {
            // Most were never claimed, and the manager knows nothing of them.
            let is_odd = |key: &Key| self.claims.read(*key).is_err_and(|error| is_odd(&error));
            self.recovery.doubtful = open.extract_if(.., |key| is_odd(key)).collect();
        }
        let keys: Vec<Key> = open.into_iter().chain(attempts.running()).collect();
        for key in keys {
            self.recover(key);
        }
    }

    /// Finds out about one attempt: its slot lives and is adopted, or it is over.
    pub(super) fn recover(&mut self, key: Key) {
        let is_handled = self.slots.has(key) || self.recovery.has(key);
        if self.journal.attempts().is_over(key) || is_handled {
            return;
        }
        match self.claims.read(key) {
            Ok(Some(Claim::Job(id, slot))) => self.recover_job(key, id, slot),
            Ok(Some(Claim::Withdrawn)) => self.append(&Record::Withdrawn { key, at: host::now() }),
            Ok(None) => self.recover_unclaimed(key, "its claim has disappeared"),
            Err(error) if is_odd(&error) => {
                self.recover_unclaimed(key, &format!("{ODD_CLAIM}: {error}"));
            }
            Err(error) => log_error(&format!("read the claim of {key}: {error}")),
        }
    }

    /// The same without the claim: the log may name the job's directory, and that its slot.
    fn recover_unclaimed(&mut self, key: Key, reason: &str) {
        match self.journal.job_id(key) {
            Some(id) => self.recover_job(key, id, None),
            None => self.lose(key, Loss::Slot, None, reason, Remains::default()),
        }
    }

    /// The same of the attempt's job.
    pub(super) fn recover_job(&mut self, key: Key, id: JobId, claimed: Option<LockFile>) {
        // The claim first: it is out of the job's reach, which may have removed or
        // replaced its directory while its slot lives on.
        if self.adopt(key, &id, claimed.as_ref()) {
            return;
        }
        let dir = JobDir::reopen_below(self.layout.results(), &id);
        let slot = claimed.or_else(|| dir.as_ref().ok()?.read(OwnFile::Lock.name()).ok()?);
        let holds_lock = || dir.as_ref().is_ok_and(|dir| matches!(slot_of(dir), Ok(Some(_))));
        if holds_lock() && self.adopt(key, &id, slot.as_ref()) {
            return;
        }
        // Only now: what a slot appends as its last act is there when it is dead.
        self.read_journal();
        if self.journal.attempts().is_over(key) {
            return;
        }
        let is_unheard = self.recovery.unheard.contains(&key);
        match Whereabouts::of(slot.as_ref(), &id, &dir) {
            // Its slot had ended all of it before it wrote that.
            Whereabouts::Here if is_unheard && has_ended(key, &dir) => {
                self.conclude(DeadJob { key, id, dir }, Loss::Slot, Remains::default());
            }
            Whereabouts::Here => self.recovery.add(DeadJob { key, id, dir }),
            Whereabouts::Gone(how) => {
                self.conclude(DeadJob { key, id, dir }, how, Remains::default());
            }
            Whereabouts::Elsewhere => {
                self.elsewhere.note(key, id, slot.map(|slot| slot.slot.pid));
            }
        }
    }

    /// Takes up the slot that has an attempt; false when it is dead.
    fn adopt(&mut self, key: Key, id: &JobId, slot: Option<&LockFile>) -> bool {
        let alive = slot.and_then(|slot| Some((Process::open(&slot.slot)?, slot.number)));
        let Some((process, number)) = alive else { return false };
        let dir = JobDir::open_below(self.layout.results(), id).ok();
        if self.recovery.unheard.contains(&key) && !self.journal.attempts().is_known(key) {
            self.record_start(key, id, dir.as_ref());
        }
        let job = dir.and_then(|dir| JobSummary::read(&dir));
        let allocation = job.map(|job| {
            Allocation::new(job.request.cpus, job.request.mem, job.devices, job.processors)
        });
        self.slots.adopt(AdoptedSlot { key, process, number }, allocation);
        true
    }

    /// Records that a slot has begun an attempt: the record of that was lost, or is
    /// written where nobody reads it.
    fn record_start(&mut self, key: Key, id: &JobId, dir: Option<&JobDir>) {
        let file = dir.and_then(|dir| dir.read::<PidFile>(OwnFile::Pid.name()).ok()?);
        let (pid, at) = file.map_or((0, host::now()), |file| (file.job.pid, file.started));
        let job = dir.and_then(JobSummary::read);
        let processors = job.map_or_else(Vec::new, |job| job.processors);
        self.journal.append(&Record::Started { key, id: id.clone(), pid, at, processors });
    }

    /// Records the start of an attempt that a slot of this agent has begun and not recorded,
    /// if it is so: a job can stop its slot before that has.
    pub(super) fn record_unheard_start(&mut self, key: Key) {
        let Ok(Some(Claim::Job(id, slot))) = self.claims.read(key) else { return };
        let Ok(dir) = JobDir::open_below(self.layout.results(), &id) else { return };
        let is_stopped = slot.is_some_and(|slot| slot.slot.is_stopped());
        if is_stopped || matches!(dir.read::<PidFile>(OwnFile::Pid.name()), Ok(Some(_))) {
            self.record_start(key, &id, Some(&dir));
        }
    }

    /// Begins to end the orphans of dead slots' jobs, as far as there are any.
    pub(super) fn end_orphans(&mut self) -> Result<(), AgentError> {
        let slots = self.slots.pids();
        Ok(self.recovery.begin(&self.layout, slots, &mut self.background)?)
    }

    /// Waits until the orphans of all dead slots' jobs have been ended.
    pub(super) fn finish_recovery(&mut self, link: &mut Link) -> Result<(), AgentError> {
        self.end_orphans()?;
        while self.recovery.is_pending() {
            if let Some(report) = self.background.wait() {
                self.handle_report(report, link)?;
            }
            self.end_orphans()?;
        }
        Ok(())
    }

    /// Records the end of jobs whose orphans were ended.
    pub(super) fn conclude_all(&mut self, ended: Vec<Ended>) {
        self.recovery.handle_ended(&ended, self.slots.pids());
        for Ended { job, remains } in ended {
            self.conclude(job, Loss::Slot, remains);
        }
    }

    fn conclude(&mut self, job: DeadJob, how: Loss, remains: Remains) {
        let DeadJob { key, id, dir } = job;
        let is_unheard = self.recovery.unheard.contains(&key);
        let damage = if is_unheard { "the run log of its host was damaged, and " } else { "" };
        match dir.as_ref().map(|dir| dir.read::<Finish>(OwnFile::Done.name())) {
            Ok(Ok(Some(mut finish))) if finish.key == Some(key) => {
                finish.survivors.extend(remains.survivors);
                finish.survivors.sort_unstable();
                finish.survivors.dedup();
                finish.survivors.truncate(MAX_SURVIVORS);
                self.append(&Record::Finished(finish));
            }
            Err(error) => {
                let reason = format!("{damage}its job directory cannot be opened: {error}");
                self.lose(key, how, Some(id), &reason, remains);
            }
            Ok(_) => {
                let reason = match how {
                    Loss::Slot if self.enforcement.has_killed(key) => {
                        "its slot did not carry out a kill, and was killed itself"
                    }
                    Loss::Slot if is_unheard => "its job directory has no exit record",
                    Loss::Slot => "its slot died while it was running",
                    Loss::Restart => "the host was restarted while it was running",
                };
                self.lose(key, how, Some(id), &format!("{damage}{reason}"), remains);
            }
        }
    }

    pub(super) fn lose(
        &mut self,
        key: Key,
        how: Loss,
        id: Option<JobId>,
        reason: &str,
        remains: Remains,
    ) {
        let held = match remains.is_held {
            true => "; a process that cannot be found still holds its lock",
            false => "",
        };
        let mut survivors = remains.survivors;
        survivors.truncate(MAX_SURVIVORS);
        let reason = one_line(&format!("{reason}{held}"));
        self.append(&Record::Lost { key, how, id, reason, survivors, at: host::now() });
    }
}

/// True when a job's exit record is there, and no process holds its lock any more.
fn has_ended(key: Key, dir: &io::Result<JobDir>) -> bool {
    let Ok(dir) = dir else { return false };
    let done = dir.read::<Finish>(OwnFile::Done.name());
    done.is_ok_and(|done| done.is_some_and(|finish| finish.key == Some(key)))
        && matches!(dir.lock_state(), Ok(LockState::Free))
}

/// This process's children that are not slots. The agent is the reaper of all that
/// descends from the slots it has started: what has shed every other mark of its
/// job becomes the agent's child when its slot dies.
#[derive(Debug)]
struct Children {
    /// True when everything that becomes a child of the agent comes of a slot.
    inherits: bool,
    /// Those that could not be ended, and that a record names. Nobody else reaps
    /// them, so that their pids are not given to others.
    named: HashSet<u32>,
}

impl Children {
    /// Becomes the reaper, unless there is a child already: a program that became
    /// this agent by exec may have started what is not the agent's to end.
    fn inherit() -> Self {
        let found = waitid(
            WaitId::All,
            WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT,
        );
        let is_childless = matches!(found, Err(rustix::io::Errno::CHILD));
        Children {
            inherits: is_childless && set_child_subreaper(Some(getpid())).is_ok(),
            named: HashSet::new(),
        }
    }

    /// The children that are no dead slot's orphans, living `slots` among them;
    /// none when being a child says nothing.
    ///
    /// No slot may be started before the orphans have been ended: it would be
    /// taken for one.
    fn except_orphans(&self, slots: impl Iterator<Item = u32>) -> Option<HashSet<u32>> {
        self.inherits.then(|| self.named.iter().copied().chain(slots).collect())
    }

    /// Reaps those that have ended, and takes note that a record names `survivors`.
    fn settle(&mut self, survivors: impl Iterator<Item = u32>, slots: impl Iterator<Item = u32>) {
        if !self.inherits {
            return;
        }
        let slots: HashSet<u32> = slots.collect();
        let children = processes::own_children().into_iter().filter(|pid| !slots.contains(pid));
        let alive: HashSet<u32> = children.filter(|pid| !processes::reap(*pid)).collect();
        self.named.extend(survivors);
        self.named.retain(|pid| alive.contains(pid));
    }
}
