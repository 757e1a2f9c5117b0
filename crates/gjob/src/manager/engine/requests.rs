//! What other processes ask of the engine: done between two batches of
//! reports, answered when it is committed and has taken effect.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use gjob_core::outcome::name_survivors;
use gjob_core::run::{Host, HostIx, HostStatus};
use gjob_core::size::shown_size;
use gjob_core::{Event, Key, State};

use super::Engine;
use crate::inputs::Inputs;
use crate::manager::control::{Act, Answer, Changed, ClientId, Control, Request, Snapshot};
use crate::manager::{Handler, ManagerError};
use crate::network::{Acknowledged, Acknowledgement, Waker};
use crate::store::{NewInputs, RunDir};

/// How long jobs that are being killed are waited for.
const KILL_TIMEOUT: Duration = Duration::from_secs(60);

/// The same, while their hosts are unreachable.
const UNREACHABLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Requests served at once.
const REQUESTS: usize = 256;

/// A request under way.
#[derive(Debug)]
pub(in crate::manager) struct Acting {
    pub(in crate::manager) answer: Answer,
    act: Act,
    /// Jobs that are being killed.
    awaited: BTreeSet<u32>,
    /// Those of them that had ended already, and had abandoned attempts.
    had_outcome: BTreeSet<u32>,
    /// Jobs whose hosts were sent an order to pause or resume them.
    unacknowledged: BTreeSet<u32>,
    /// What those hosts were asked for to show that they have handled it.
    acknowledgements: BTreeMap<HostIx, Acknowledgement>,
    since: Instant,
}

/// A client that waits for an answer.
#[derive(Debug)]
struct Waiter {
    client: ClientId,
    acting: Acting,
}

/// The clients of a manager, and what they wait for.
#[derive(Debug, Default)]
pub(super) struct Requests {
    control: Control,
    waiters: Vec<Waiter>,
    /// Answers to clients that have changed the run.
    changed: Vec<(ClientId, Changed)>,
}

impl Requests {
    /// Lets other processes ask.
    pub(super) fn listen(dir: &RunDir, waker: Waker) -> Self {
        Requests { control: Control::listen(dir, waker), ..Requests::default() }
    }

    /// Why other processes cannot ask.
    pub(super) fn problem(&self) -> Option<&str> {
        self.control.problem()
    }

    /// True while somebody waits for an answer.
    pub(super) fn is_any_open(&self) -> bool {
        !self.waiters.is_empty() || !self.changed.is_empty()
    }

    /// Hands an event to the clients that follow the run.
    pub(super) fn notify_watchers(&mut self, event: &Event) {
        self.control.notify(event);
    }

    pub(super) fn close(&mut self) {
        self.control.close();
    }
}

impl Engine {
    /// Does what other processes ask for.
    pub(super) fn handle_requests(
        &mut self,
        handler: &mut impl Handler,
    ) -> Result<(), ManagerError> {
        for _ in 0..REQUESTS {
            let Some((client, request)) = self.requests.control.next() else { return Ok(()) };
            // Whether the run is over is known when all is settled.
            self.settle(handler)?;
            self.handle_request(client, request)?;
        }
        Ok(())
    }

    fn handle_request(&mut self, client: ClientId, request: Request) -> Result<(), ManagerError> {
        let (act, jobs, files, mem) = match request {
            Request::Watch {} => {
                let snapshot = self.snapshot();
                self.requests.control.watch(client, &snapshot);
                return Ok(());
            }
            Request::Interrupt {} => {
                let now = self.now();
                self.scheduler.handle_interrupt(now);
                self.requests.control.answer(client, &Answer::default());
                return Ok(());
            }
            Request::Change { .. } if self.stopped.is_some() => {
                self.requests.control.dismiss(client);
                return Ok(());
            }
            Request::Change { changes } => {
                let changed = self.change(&changes)?;
                // Answered once it is committed.
                self.requests.changed.push((client, changed));
                return Ok(());
            }
            Request::Kill { jobs } => (Act::Kill, jobs, None, None),
            Request::Pause { jobs } => (Act::Pause, jobs, None, None),
            Request::Resume { jobs } => (Act::Resume, jobs, None, None),
            Request::Retry { jobs, files, mem } => (Act::Retry, jobs, files, mem),
        };
        if self.stopped.is_some() {
            self.requests.control.dismiss(client);
            return Ok(());
        }
        if let Some(name) = files {
            match NewInputs::read(&self.dir, &name) {
                Ok(files) => self.replace_files(files)?,
                Err(why) => {
                    let mut answer = Answer::default();
                    jobs.iter().for_each(|job| answer.refuse(*job, why.clone()));
                    self.requests.control.answer(client, &answer);
                    return Ok(());
                }
            }
        }
        let acting = self.begin_to(act, &jobs, mem);
        self.requests.waiters.push(Waiter { client, acting });
        Ok(())
    }

    /// Replaces the files of some paths for all attempts that are assigned from now on. They
    /// are kept before anything is said of them: the next manager has to know them.
    pub(in crate::manager) fn replace_files(&mut self, files: Inputs) -> Result<(), ManagerError> {
        let files = files.in_revision(self.run().revision() + 1);
        self.books.store().add_inputs(&files)?;
        let mut paths: Vec<String> = files.roots().map(|(path, ..)| path.to_owned()).collect();
        paths.sort_unstable();
        self.network.add_inputs(files);
        let now = self.now();
        self.scheduler.handle_new_files(now, paths);
        Ok(())
    }

    /// Answers the requests that have taken effect; all is committed.
    pub(super) fn answer_requests(&mut self) {
        for (client, changed) in std::mem::take(&mut self.requests.changed) {
            self.requests.control.answer(client, &changed);
        }
        for mut waiter in std::mem::take(&mut self.requests.waiters) {
            if self.has_taken_effect(&mut waiter.acting, UNREACHABLE_TIMEOUT) {
                self.requests.control.answer(waiter.client, &waiter.acting.answer);
            } else if self.stopped.is_some() {
                self.requests.control.dismiss(waiter.client);
            } else {
                self.requests.waiters.push(waiter);
            }
        }
    }

    /// When a request has waited for long enough.
    pub(super) fn requests_due(&self) -> Option<Duration> {
        (!self.requests.waiters.is_empty()).then_some(Duration::from_secs(1))
    }

    /// Hands the scheduler what is wanted of jobs: of all of them at once. Those that are
    /// retried get so much memory.
    pub(in crate::manager) fn begin_to(
        &mut self,
        act: Act,
        jobs: &[u32],
        mem: Option<u64>,
    ) -> Acting {
        let mut acting = Acting {
            answer: Answer::default(),
            act,
            awaited: BTreeSet::new(),
            had_outcome: BTreeSet::new(),
            unacknowledged: BTreeSet::new(),
            acknowledgements: BTreeMap::new(),
            since: Instant::now(),
        };
        let now = self.now();
        match act {
            Act::Retry => self.retry(jobs, mem, &mut acting.answer),
            Act::Kill | Act::Pause | Act::Resume => {
                jobs.iter().for_each(|index| self.begin_to_one(*index, &mut acting));
            }
        }
        self.scheduler.settle(now);
        acting
    }

    fn begin_to_one(&mut self, index: u32, acting: &mut Acting) {
        match self.act_on(acting.act, index) {
            Err(why) => acting.answer.refuse(index, why),
            Ok(_) if acting.act == Act::Kill => {
                acting.awaited.insert(index);
                if self.job(index).has_ended() {
                    acting.had_outcome.insert(index);
                }
            }
            Ok(_) if self.job(index).state() == State::Busy => {
                acting.unacknowledged.insert(index);
            }
            Ok(_) => acting.answer.ok.push(index),
        }
    }

    /// Retries jobs, those first that others wait for: these are retried with them.
    fn retry(&mut self, jobs: &[u32], mem: Option<u64>, answer: &mut Answer) {
        let mut left: BTreeSet<u32> = jobs.iter().copied().collect();
        loop {
            let retried_before = answer.ok.len();
            let is_ready = |index: &u32| self.scheduler.failed_dependency(*index).is_none();
            let ready: Vec<u32> = left.iter().copied().filter(is_ready).collect();
            for index in ready {
                if !left.remove(&index) {
                    continue;
                }
                match self.retry_one(index, mem) {
                    Ok(retried) => {
                        for job in retried {
                            left.remove(&job);
                            answer.ok.push(job);
                        }
                    }
                    Err(why) => answer.refuse(index, why),
                }
            }
            if answer.ok.len() == retried_before {
                break;
            }
        }
        for index in left {
            let why = match self.scheduler.failed_dependency(index) {
                Some(before) => {
                    let before = self.scheduler.run().job_title(before);
                    format!("it waits for {before}, which is not done: retry that")
                }
                None => self.why_not(Act::Retry, index),
            };
            answer.refuse(index, why);
        }
    }

    /// Retries a job, with so much memory.
    fn retry_one(&mut self, index: u32, mem: Option<u64>) -> Result<Vec<u32>, String> {
        if let Some(mem) = mem
            && !self.scheduler.handle_new_memory(index, mem)
        {
            return Err(format!("no host offers {} of memory", shown_size(mem)));
        }
        self.act_on(Act::Retry, index)
    }

    /// Returns the jobs it was done to: besides this one those that wait for it.
    fn act_on(&mut self, act: Act, index: u32) -> Result<Vec<u32>, String> {
        let Some(job) = self.run().job(index) else {
            return Err("the run has no such job".into());
        };
        let busy = job.state() == State::Busy;
        let one = |is_so: bool| if is_so { vec![index] } else { Vec::new() };
        let done_to = match act {
            Act::Kill => one(self.scheduler.handle_kill(index)),
            Act::Pause => one(self.scheduler.handle_pause(index)),
            Act::Resume => one(self.scheduler.handle_resume(index)),
            Act::Retry => self.scheduler.handle_retry(index),
        };
        match act {
            _ if done_to.is_empty() => Err(self.why_not(act, index)),
            // A process that acts alone does so to wait for the host.
            Act::Pause | Act::Resume if busy && !self.acts_alone && !self.host_answers(index) => {
                Err(self.put_off(act, index, "it"))
            }
            Act::Kill | Act::Pause | Act::Resume | Act::Retry => Ok(done_to),
        }
    }

    fn why_not(&self, act: Act, index: u32) -> String {
        let state = self.job(index).state();
        match act {
            Act::Kill => format!("it has already ended: {state}"),
            Act::Pause if self.job(index).has_ended() => {
                format!("it has already ended: {state}")
            }
            Act::Pause | Act::Resume if self.scheduler.is_kill_pending(index) => {
                "it is being killed".into()
            }
            Act::Pause => "it is already paused".into(),
            Act::Resume => "it is not paused".into(),
            Act::Retry if state == State::Done => "it is done".into(),
            Act::Retry => "it has not ended yet".into(),
        }
    }

    /// What is recorded for a job and takes effect once its host is reached.
    fn put_off(&self, act: Act, index: u32, what: &str) -> String {
        let host = self.host_of(index);
        host.map(|host| self.put_off_at(host, act, what)).unwrap_or_default()
    }

    fn put_off_at(&self, host: HostIx, act: Act, what: &str) -> String {
        let host = self.label(host);
        let how = match act {
            Act::Kill => "will be killed",
            Act::Pause => "will be paused",
            Act::Resume | Act::Retry => "will be resumed",
        };
        if self.acts_alone {
            format!("host {host} is unreachable: {what} {how} once a manager reaches it")
        } else {
            format!("host {host} is unreachable: {what} {how} once it is reached")
        }
    }

    /// The hosts that have something of a job to be acted on.
    pub(super) fn hosts_concerned(&self, act: Act, index: u32) -> Vec<HostIx> {
        let busy = self.run().job(index).is_some_and(|job| job.state() == State::Busy);
        match act {
            Act::Kill => {
                self.scheduler.attempts_left(index).into_iter().map(|(host, _)| host).collect()
            }
            Act::Pause | Act::Resume if busy => self.host_of(index).into_iter().collect(),
            Act::Pause | Act::Resume | Act::Retry => Vec::new(),
        }
    }

    /// True when the host that a job was assigned to answers.
    fn host_answers(&self, index: u32) -> bool {
        self.host_of(index).is_some_and(|host| self.answers(host))
    }

    fn answers(&self, host: HostIx) -> bool {
        self.run().host(host).is_some_and(|host| host.status.answers())
    }

    /// The host that a job was assigned to.
    fn host_of(&self, index: u32) -> Option<HostIx> {
        let job = self.run().job(index)?;
        self.network.position(job.host()?)
    }

    /// True once nothing is left to wait for, at the latest when hosts have been
    /// unreachable for this long.
    pub(in crate::manager) fn has_taken_effect(
        &mut self,
        acting: &mut Acting,
        unreachable_timeout: Duration,
    ) -> bool {
        self.await_acknowledgements(acting);
        let Acting { answer, awaited, had_outcome, .. } = acting;
        awaited.retain(|index| match self.job(*index).state() {
            _ if !self.scheduler.attempts_left(*index).is_empty() => true,
            State::Free | State::Busy => true,
            State::Done if !had_outcome.contains(index) => {
                answer.refuse(*index, "it was done before it could be killed");
                false
            }
            State::Done | State::Error | State::Unknown => {
                match name_survivors(None, self.run().survivors(*index)) {
                    None => answer.ok.push(*index),
                    Some(named) => {
                        // Of an unknown outcome it says where they are.
                        let reason = self.job(*index).reason.clone();
                        let reason = reason.filter(|reason| {
                            self.job(*index).state() == State::Unknown && reason.ends_with(&named)
                        });
                        answer.refuse(*index, reason.unwrap_or(named));
                    }
                }
                false
            }
        });
        let waited = acting.since.elapsed();
        let may = |state| {
            self.waits_for(acting, |host| match state {
                State::Busy => host.status.answers(),
                other => host.state() == other,
            })
        };
        // One that is being connected to will be reached, or will fail.
        let connecting = self.waits_for(acting, |host| host.status == HostStatus::Connecting);
        let in_vain = !connecting && waited >= unreachable_timeout;
        let hopeless = !may(State::Busy) && (in_vain || !may(State::Unknown));
        if waited >= KILL_TIMEOUT || hopeless {
            self.name_the_rest(acting);
        }
        acting.awaited.is_empty() && acting.unacknowledged.is_empty()
    }

    /// True when a host of which this is so has something that is waited for.
    fn waits_for(&self, acting: &Acting, is_so: impl Fn(&Host) -> bool) -> bool {
        let is_so = |host: HostIx| self.run().host(host).is_some_and(&is_so);
        let mut jobs = acting.awaited.iter().chain(&acting.unacknowledged);
        jobs.any(|index| self.hosts_concerned(acting.act, *index).into_iter().any(is_so))
    }

    /// Asks the hosts of jobs that an order was sent for to acknowledge it, as soon
    /// as they answer, and takes those jobs as done whose host has done so.
    fn await_acknowledgements(&mut self, acting: &mut Acting) {
        let hosts: BTreeSet<HostIx> =
            acting.unacknowledged.iter().filter_map(|index| self.host_of(*index)).collect();
        let silent: BTreeSet<HostIx> =
            hosts.into_iter().filter(|host| !self.has_acknowledged(acting, *host)).collect();
        for index in std::mem::take(&mut acting.unacknowledged) {
            let over = self.job(index).state() != State::Busy;
            if over || self.host_of(index).is_none_or(|host| !silent.contains(&host)) {
                acting.answer.ok.push(index);
            } else {
                acting.unacknowledged.insert(index);
            }
        }
    }

    /// True once a host has handled what it was sent; asks it if it was not asked
    /// over its present connection.
    fn has_acknowledged(&mut self, acting: &mut Acting, host: HostIx) -> bool {
        match acting.acknowledgements.get_mut(&host).map(Acknowledgement::state) {
            Some(Acknowledged::Yes) => true,
            Some(Acknowledged::NotYet) => false,
            Some(Acknowledged::Lost) | None => {
                acting.acknowledgements.remove(&host);
                if self.answers(host) {
                    let asked = self.network.acknowledge(host).map(|asked| (host, asked));
                    acting.acknowledgements.extend(asked);
                }
                false
            }
        }
    }

    /// Those for which it has not taken effect, with the reason so far as it is known.
    fn name_the_rest(&self, acting: &mut Acting) {
        for index in std::mem::take(&mut acting.awaited) {
            acting.answer.refuse(index, self.what_is_left(index));
        }
        for index in std::mem::take(&mut acting.unacknowledged) {
            let host = self.host_of(index).map(|host| self.label(host).to_string());
            let why = match self.host_answers(index) {
                true => {
                    format!("host {} has not acknowledged the request", host.unwrap_or_default())
                }
                false => self.put_off(acting.act, index, "it"),
            };
            acting.answer.refuse(index, why);
        }
    }

    /// What of a job is not ended yet.
    fn what_is_left(&self, index: u32) -> String {
        let left = self.scheduler.attempts_left(index);
        let several = left.len() > 1 || self.job(index).has_ended();
        let one = |(host, key): &(HostIx, Key)| {
            let what = if several { format!("attempt {key}") } else { "it".to_owned() };
            match self.answers(*host) {
                true => format!("host {} has not killed {what} yet", self.label(*host)),
                false => self.put_off_at(*host, Act::Kill, &what),
            }
        };
        left.iter().map(one).collect::<Vec<_>>().join("; ")
    }

    fn snapshot(&self) -> Snapshot {
        let ended = self.stopped.map(|(end, _)| end);
        Snapshot { jobs: self.run().tally(), ended }
    }
}
