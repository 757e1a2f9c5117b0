//! What is run once on a host besides its jobs: when it begins, what follows from its
//! end, and how a run's end waits for it. Hosts carry it out as they do jobs: what is
//! sent twice begins once, and what has become of it is in the run log.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Scheduler;
use super::action::Action;
use super::report::describe;
use super::stop::Mode;
use crate::event::{HostChange, RunEnd, TaskEnd};
use crate::id::Key;
use crate::order::Order;
use crate::outcome::{Cause, Finish};
use crate::record::{Loss, Record, Scope};
use crate::run::{HostIx, HostStatus, HostTask, Run};

/// How long a host is waited for at the end of a run that has to be torn down and does
/// not answer.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(30);

/// What the scheduler knows of hosts' tasks beyond the run.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    /// True if any host has one.
    any: bool,
    /// Hosts to be looked at: one of their tasks may be due.
    suspects: BTreeSet<HostIx>,
    /// Hosts with a task under way.
    under_way: BTreeSet<HostIx>,
    /// Those of them whose task an earlier manager began.
    inherited: BTreeSet<HostIx>,
    /// When launches are sent again that were not seen to begin.
    unbegun: BTreeSet<(Duration, HostIx)>,
    /// How often a set-up was begun again by this manager, since its host had stopped it.
    repeats: BTreeMap<HostIx, u32>,
    /// Hosts whose set-up was ordered to end, since it was of no use any more.
    killed: BTreeSet<HostIx>,
    /// Hosts whose set-up has failed, until they are out of the run.
    failed: BTreeMap<HostIx, FailedSetup>,
    /// A host that is about to be up: what is to be done there waits for that.
    pub(super) coming_up: Option<HostIx>,
    /// Hosts whose task's log is being fetched.
    fetching: BTreeSet<HostIx>,
    /// At the end of the run: hosts that are waited for, and until when if they do not
    /// answer.
    open: BTreeSet<HostIx>,
    close_due: Option<Duration>,
}

/// What is said of a host when it is out of the run.
#[derive(Debug)]
struct FailedSetup {
    reason: String,
    printed: Vec<String>,
}

impl Tasks {
    pub(super) fn new(run: &Run) -> Self {
        let hosts = || (0..).map(HostIx).zip(run.hosts());
        let has_task =
            |(ix, host): (HostIx, &crate::run::Host)| host.tasks().under_way().map(|_| ix);
        let under_way: BTreeSet<HostIx> = hosts().filter_map(has_task).collect();
        let any_spec = hosts()
            .any(|(_, host)| HostTask::ALL.iter().any(|task| host.tasks().spec(*task).is_some()));
        let any = any_spec || !under_way.is_empty();
        Tasks { any, inherited: under_way.clone(), under_way, ..Tasks::default() }
    }

    /// A host was added, with tasks.
    pub(super) fn add(&mut self, host: HostIx) {
        self.any = true;
        self.suspects.insert(host);
    }

    /// A host has changed.
    pub(super) fn look_at(&mut self, host: HostIx) {
        if self.any {
            self.suspects.insert(host);
        }
    }
}

impl Scheduler {
    /// Begins the set-ups that jobs wait for.
    pub(super) fn begin_tasks(&mut self, now: Duration) {
        if !self.is_dispatching() || self.run.tally().free == 0 {
            return;
        }
        for host in std::mem::take(&mut self.tasks.suspects) {
            let known = &self.run.hosts()[host.at()];
            let needs = known.tasks().spec(HostTask::Setup).is_some() && !known.is_set_up();
            let is_free = known.tasks().under_way().is_none() && known.in_flight().len() == 0;
            let may = known.takes_jobs() && !self.tasks.failed.contains_key(&host);
            if needs && is_free && may {
                self.begin_task(now, host, HostTask::Setup);
            }
        }
    }

    pub(super) fn begin_task(&mut self, now: Duration, host: HostIx, task: HostTask) {
        let key = self.run.next_task_key(host, task);
        let revision = self.run.revision();
        self.tasks.under_way.insert(host);
        self.tasks.inherited.remove(&host);
        self.emit_host(host, HostChange::TaskAssigned { task, key, revision });
        self.launch_task(now, host, key);
    }

    fn launch_task(&mut self, now: Duration, host: HostIx, key: Key) {
        self.tasks.unbegun.retain(|(_, unbegun)| *unbegun != host);
        self.tasks.unbegun.insert((now + self.config.lost_after, host));
        self.out.push_back(Action::Launch { host, key });
    }

    /// When a launch is to be sent again, or hosts are no longer waited for.
    pub(super) fn next_task_due(&self) -> Option<Duration> {
        let unbegun = self.tasks.unbegun.first().map(|(due, _)| *due);
        unbegun.into_iter().chain(self.tasks.close_due).min()
    }

    /// Sends launches again that were not seen to begin: a message may have got lost.
    pub(super) fn launch_tasks_again(&mut self, now: Duration) {
        while let Some((due, host)) = self.tasks.unbegun.first().copied() {
            if due > now {
                return;
            }
            self.tasks.unbegun.remove(&(due, host));
            if self.answers(host) {
                self.send_task_again(now, host);
            }
        }
    }

    /// A host answers: it may not have been sent what its task needs. What was assigned
    /// before it was restarted is taken back, and so begins again under this boot.
    pub(super) fn send_task_again(&mut self, now: Duration, host: HostIx) {
        let Some(known) = self.run.host(host) else { return };
        let Some(under_way) = known.tasks().under_way() else { return };
        let (key, task, boot) = (under_way.attempt.key, under_way.task, &under_way.boot_id);
        let has_begun = under_way.attempt.id.is_some();
        let is_restarted = known.boot_id().is_some_and(|now| now != boot);
        match (task, has_begun) {
            (HostTask::Setup, _) if self.ends_setup_of(host) => self.kill_setup(host),
            (_, true) => {}
            (_, false) if is_restarted => self.out.push_back(Action::Withdraw { host, key }),
            // It is of no use to a host that gets no jobs.
            (HostTask::Setup, false) if !self.is_serving(host) => {
                self.out.push_back(Action::Withdraw { host, key });
            }
            (_, false) => self.launch_task(now, host, key),
        }
    }

    /// True when no set-up is of use any more.
    pub(super) fn ends_setups(&self) -> bool {
        self.is_interrupting() || matches!(self.mode, Mode::Closing(_))
    }

    /// True when that of a host is of no use any more: a removed host gets no jobs.
    fn ends_setup_of(&self, host: HostIx) -> bool {
        self.ends_setups() || self.is_removed(host)
    }

    /// Ends the set-ups that are under way.
    pub(super) fn kill_setups(&mut self) {
        self.tasks.under_way.clone().into_iter().for_each(|host| self.kill_setup(host));
    }

    /// Ends the set-up of a host, if it is under way. One that does not answer is told when
    /// it does.
    pub(super) fn kill_setup(&mut self, host: HostIx) {
        let under_way = self.run.hosts()[host.at()].tasks().under_way();
        let setup = under_way.filter(|it| it.task == HostTask::Setup);
        if let Some(key) = setup.map(|it| it.attempt.key) {
            self.tasks.killed.insert(host);
            self.order(host, key, Order::kill(Cause::Interrupted));
        }
    }

    /// True while a task may be alive on a host that answers.
    pub(super) fn any_task_in_reach(&self) -> bool {
        self.tasks.under_way.iter().any(|host| self.answers(*host))
    }

    /// A line of a host's run log about one of its tasks. False when it says nothing new.
    pub(super) fn handle_task_record(
        &mut self,
        now: Duration,
        host: HostIx,
        (task, key): (HostTask, Key),
        record: Record,
    ) -> bool {
        let Some(attempt) = self.run.task_attempt(key).filter(|it| it.is_under_way()) else {
            return false;
        };
        let has_begun = attempt.attempt.id.is_some();
        self.note_sign_of_work(now, host);
        self.tasks.unbegun.retain(|(_, unbegun)| *unbegun != host);
        let ended = |end, reason: Option<String>| HostChange::TaskEnded { task, key, end, reason };
        match record {
            Record::Log { .. } => return false,
            Record::Started { .. } if has_begun => return false,
            Record::Started { id, at: started, .. } => {
                self.emit_host(host, HostChange::TaskStarted { task, key, id, started });
                return true;
            }
            Record::Finished(finish) => {
                let reason = describe(&finish);
                let has_printed = finish.stdout_bytes + finish.stderr_bytes > 0;
                let again = self.is_to_be_repeated(host, &finish);
                let failed = !finish.is_success() && !again;
                self.emit_host(host, ended(TaskEnd::Exited(Box::new(finish)), reason.clone()));
                self.out.push_back(Action::FetchTaskLog { host, key });
                if has_printed {
                    self.tasks.fetching.insert(host);
                }
                self.task_ended(now, host, task, reason.filter(|_| failed), again);
            }
            Record::Withdrawn { .. } if !has_begun => {
                self.emit_host(host, ended(TaskEnd::Withdrawn, None));
                self.task_ended(now, host, task, None, true);
            }
            Record::Refused { reason, scope: Scope::Space | Scope::Load, .. }
                if !has_begun && task == HostTask::Setup =>
            {
                let reason = String::from(reason.shown());
                self.emit_host(host, ended(TaskEnd::Withdrawn, Some(reason.clone())));
                self.tasks.under_way.remove(&host);
                self.pause_full(now, host, reason);
            }
            Record::Refused { reason, .. } => {
                let reason = String::from(reason.shown());
                self.emit_host(host, ended(TaskEnd::Refused, Some(reason.clone())));
                self.task_ended(now, host, task, Some(reason), false);
            }
            Record::Withdrawn { .. } => {
                let reason = "its host had started it, and now says that it never did".to_owned();
                self.emit_host(host, ended(TaskEnd::Lost(None), Some(reason.clone())));
                self.task_ended(now, host, task, Some(reason), false);
            }
            Record::Lost { how, id, reason, .. } => {
                let reason = String::from(reason.shown());
                self.emit_host(host, ended(TaskEnd::Lost(id), Some(reason.clone())));
                self.task_ended(now, host, task, Some(reason), how == Loss::Restart);
            }
        }
        true
    }

    /// True if what has ended was stopped for a reason that says nothing about it.
    fn is_to_be_repeated(&self, host: HostIx, finish: &Finish) -> bool {
        match finish.cause {
            // What an earlier manager has ordered is not known.
            Some(Cause::Interrupted) => {
                let tasks = &self.tasks;
                tasks.killed.contains(&host) || tasks.inherited.contains(&host)
            }
            Some(Cause::Lease | Cause::Clock) => self.config.on_lost.leases(),
            Some(Cause::Timeout | Cause::Killed | Cause::Superseded | Cause::Memory) | None => {
                false
            }
        }
    }

    /// A task is over; `failed` says why it has not succeeded, unless it begins `again`.
    fn task_ended(
        &mut self,
        now: Duration,
        host: HostIx,
        task: HostTask,
        failed: Option<String>,
        again: bool,
    ) {
        self.tasks.under_way.remove(&host);
        self.tasks.killed.remove(&host);
        self.tasks.look_at(host);
        if task == HostTask::Teardown {
            return self.give_up_host(now, host);
        }
        let repeats = self.tasks.repeats.entry(host).or_default();
        *repeats += u32::from(again);
        let too_often = *repeats >= self.config.host_failures;
        let failed = match failed {
            Some(reason) if !again => Some(reason),
            Some(reason) if too_often => Some(format!("begun {repeats} times, last: {reason}")),
            None if again && too_often => Some(format!("taken back {repeats} times")),
            Some(_) | None => None,
        };
        if let Some(reason) = failed {
            let failed = FailedSetup { reason, printed: Vec::new() };
            self.tasks.failed.insert(host, failed);
            self.give_up_host(now, host);
        }
    }

    /// What a task has printed is local as far as it can be: its last lines.
    pub fn handle_task_log(&mut self, now: Duration, host: HostIx, key: Key, last: Vec<String>) {
        self.tasks.fetching.remove(&host);
        let is_setup = self.run.task_of(key).is_some_and(|(_, task)| task == HostTask::Setup);
        if let Some(failed) = self.tasks.failed.get_mut(&host).filter(|_| is_setup) {
            failed.printed = last;
        }
        self.give_up_host(now, host);
        self.settle(now);
    }

    /// Takes a host out of the run whose set-up has failed, as soon as what that has
    /// printed is here, and it is torn down.
    fn give_up_host(&mut self, now: Duration, host: HostIx) {
        let is_busy = self.tasks.under_way.contains(&host) || self.tasks.fetching.contains(&host);
        let is_coming_up = self.tasks.coming_up == Some(host);
        if is_busy || is_coming_up || !self.tasks.failed.contains_key(&host) {
            return;
        }
        let may = self.answers(host) && !matches!(self.mode, Mode::Acting | Mode::Stopped);
        if may && self.run.hosts()[host.at()].is_teardown_due() {
            return self.begin_task(now, host, HostTask::Teardown);
        }
        let Some(FailedSetup { reason, printed }) = self.tasks.failed.remove(&host) else { return };
        let reason = format!("set-up failed: {reason}");
        self.out.push_back(Action::Reject { host, reason: reason.clone() });
        self.emit_host(host, HostChange::Failed { reason, printed });
    }

    /// A host does not answer: what it has printed, or is to tear down, is not waited for.
    pub(super) fn give_up_failed_setup(&mut self, now: Duration, host: HostIx) {
        if self.tasks.failed.contains_key(&host) {
            self.tasks.fetching.remove(&host);
            self.tasks.under_way.remove(&host);
            self.give_up_host(now, host);
        }
    }

    /// A host is up: what waited for that is done.
    pub(super) fn give_up_once_up(&mut self, now: Duration, host: HostIx) {
        if self.tasks.coming_up.take_if(|coming| *coming == host).is_some() {
            self.give_up_host(now, host);
        }
    }

    /// A host cannot be used for another reason.
    pub(super) fn forget_failed_setup(&mut self, host: HostIx) {
        self.tasks.failed.remove(&host);
    }

    /// Jobs have ended as far as they will: set-ups are ended, what was set up is torn
    /// down, and then the run is over.
    pub(super) fn begin_to_close(&mut self, now: Duration, end: RunEnd) {
        let hosts = (0..).map(HostIx).zip(self.run.hosts());
        let is_open = |(_, host): &(HostIx, &crate::run::Host)| {
            host.tasks().under_way().is_some() || host.is_teardown_due()
        };
        self.tasks.open = match self.tasks.any {
            true => hosts.filter(is_open).map(|(ix, _)| ix).collect(),
            false => BTreeSet::new(),
        };
        if self.tasks.open.is_empty() {
            return self.stop_or_go_on(now, end);
        }
        self.mode = Mode::Closing(end);
        self.tasks.close_due = Some(now + CLOSE_TIMEOUT);
        self.kill_setups();
        self.orders.expect_answers(now + self.config.lost_after);
        self.close_hosts(now, end);
    }

    /// Goes on with the end of the run.
    pub(super) fn close_hosts(&mut self, now: Duration, end: RunEnd) {
        self.tasks.close_due.take_if(|due| *due <= now);
        for host in self.tasks.open.clone() {
            if !self.is_to_be_waited_for(now, host) {
                self.tasks.open.remove(&host);
            }
        }
        if !self.tasks.open.is_empty() {
            return;
        }
        self.tasks.close_due = None;
        self.stop_or_go_on(now, end);
    }

    /// Everything is torn down: the run ends, unless a user has wanted jobs again, or has given
    /// those that wait another way to run, since it was ended for this reason.
    fn stop_or_go_on(&mut self, now: Duration, end: RunEnd) {
        let is_wanted = match end {
            RunEnd::Complete => true,
            RunEnd::NoHosts | RunEnd::MaxFails | RunEnd::Enough => {
                std::mem::take(&mut self.goes_on)
            }
            RunEnd::Interrupted | RunEnd::Left => false,
        };
        if !is_wanted || self.run.tally().left() == 0 {
            return self.stop(end);
        }
        self.mode = Mode::Running;
        (0..self.run.hosts().len() as u32).for_each(|ix| self.tasks.look_at(HostIx(ix)));
        self.settle(now);
    }

    fn is_to_be_waited_for(&mut self, now: Duration, host: HostIx) -> bool {
        let known = &self.run.hosts()[host.at()];
        let under_way = known.tasks().under_way().map(|it| it.task);
        let (status, is_due) = (known.status, known.is_teardown_due());
        let reason = known.reason.clone();
        let why = match status {
            HostStatus::Up | HostStatus::Paused
                if under_way.is_some() || self.tasks.failed.contains_key(&host) =>
            {
                return true;
            }
            HostStatus::Up | HostStatus::Paused if known.in_flight().len() > 0 => {
                "jobs run on it".to_owned()
            }
            HostStatus::Up | HostStatus::Paused if is_due => {
                self.begin_task(now, host, HostTask::Teardown);
                return true;
            }
            HostStatus::Up | HostStatus::Paused => return false,
            HostStatus::Connecting => return true,
            HostStatus::Unreachable if !is_due && under_way != Some(HostTask::Teardown) => {
                return false;
            }
            HostStatus::Unreachable if self.tasks.close_due.is_some() => return true,
            HostStatus::Unreachable => format!("unreachable: {}", reason.unwrap_or_default()),
            HostStatus::Failed => reason.unwrap_or_default(),
        };
        if is_due || under_way == Some(HostTask::Teardown) {
            let task = HostTask::Teardown;
            self.emit_host(host, HostChange::TaskSkipped { task, reason: why });
        }
        false
    }
}
