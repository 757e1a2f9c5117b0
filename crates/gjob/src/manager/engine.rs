//! The pump. One owner of all state: reports and requests come in, the
//! scheduler decides, the store commits, the handler hears of it, the network
//! is told. In that order, for a batch at a time.

mod begin;
mod collecting;
mod requests;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use gjob_core::event::{Direction, EventKind, RunEnd};
use gjob_core::resources::{Ask, Offer};
use gjob_core::scheduler::{Action, HostIx, Scheduler};
use gjob_core::text::Shown;
use gjob_core::wire::Welcome;
use gjob_core::{Event, HostLabel, Job, Key, Order, RunId, State};

use self::collecting::Collecting;
use self::requests::Waiter;
use super::control::Control;
use super::controller::{Controller, Wish};
use super::job_table::JobTable;
use super::outputs::Outputs;
use super::{Handler, ManagerError, event_at};
use crate::network::{Network, Report};
use crate::store::{LogOffset, RunDir, Store};

/// Reports taken at once, so that one commit serves many.
const BATCH: usize = 512;

/// Between TERM and KILL when a user ends a run.
const GRACE: Duration = Duration::from_secs(10);

/// How long outputs of a finished run are waited for after the last one came.
const OUTPUT_PATIENCE: Duration = Duration::from_secs(30);

/// Everything of one run.
#[derive(Debug)]
pub(super) struct Engine {
    dir: RunDir,
    /// The run as its hosts know it.
    run: RunId,
    /// Before the store, whose lock its socket needs.
    control: Control,
    waiters: Vec<Waiter>,
    /// Echoes that hosts were asked for over their present links, and whether
    /// they have sent them.
    echoes: BTreeMap<(HostIx, u32), bool>,
    store: Store,
    scheduler: Scheduler,
    network: Network,
    labels: Vec<HostLabel>,
    jobs: JobTable,
    began: Instant,
    outputs: Outputs,
    collecting: Collecting,
    stopped: Option<(RunEnd, Instant)>,
    /// Since somebody last asked.
    jobs_ended: u32,
    controller: Controller,
    /// It only acts on some jobs for a moment: nothing is launched.
    acts_alone: bool,
    /// The run had begun before.
    attached: bool,
    /// Events settled but not committed.
    events: Vec<Event>,
    offsets: Vec<LogOffset>,
    /// What is to be done once the events are committed.
    orders: Vec<Action>,
}

impl Engine {
    /// Why other processes can't ask.
    pub(super) fn control_problem(&self) -> Option<&str> {
        self.control.problem()
    }

    /// Goes, and leaves what runs running.
    pub(super) fn leave(&mut self, handler: &mut impl Handler) -> Result<(), ManagerError> {
        self.scheduler.handle_leave();
        self.settle(handler)?;
        let end = self.stopped.map_or(RunEnd::Left, |(end, _)| end);
        self.close(end)
    }

    /// Makes sure that each job of a new run fits some host, as soon as every
    /// host has said what it offers; else nothing is left of the run.
    fn refuse_unfit(&mut self, handler: &mut impl Handler) -> Result<(), ManagerError> {
        let plain = |job: &Job| job.spec.ask() == Ask::default();
        if self.attached || self.jobs.all().iter().all(plain) {
            return Ok(());
        }
        while !self.scheduler.all_hosts_known() && self.ended().is_none() {
            self.pump(Duration::from_secs(1), handler)?;
        }
        let unfit = self.scheduler.unfit_jobs();
        if unfit.is_empty() {
            return Ok(());
        }
        self.control.close();
        self.network.close();
        self.dir.discard();
        Err(ManagerError::Unfit(unfit))
    }

    /// Lets the scheduler give out every job.
    pub(super) fn launch_all(&mut self, handler: &mut impl Handler) -> Result<(), ManagerError> {
        self.refuse_unfit(handler)?;
        let now = self.now();
        self.scheduler.release(now);
        self.settle(handler)
    }

    /// Lets the scheduler give out one job, and waits until it has begun.
    pub(super) fn launch_one(
        &mut self,
        handler: &mut impl Handler,
    ) -> Result<Option<Job>, ManagerError> {
        while self.ended().is_none() && self.scheduler.nobody_up() {
            self.pump(Duration::from_secs(1), handler)?;
        }
        let now = self.now();
        let Some(key) = self.scheduler.give_out_one(now) else { return Ok(None) };
        self.settle(handler)?;
        while self.ended().is_none() && self.is_pending(key) {
            self.pump(Duration::from_secs(1), handler)?;
        }
        Ok(Some(self.jobs[key.index].clone()))
    }

    /// True while nothing is known of an attempt but that it was sent.
    fn is_pending(&self, key: Key) -> bool {
        let job = &self.jobs[key.index];
        job.state == State::Busy && job.attempt == key.attempt && job.id.is_none()
    }

    /// Why the run is over, once it is, and its outputs have come.
    pub(super) fn ended(&self) -> Option<RunEnd> {
        let (end, since) = self.stopped?;
        let last = self.outputs.last_came().max(self.collecting.last_came()).max(Some(since));
        let waited = last.is_some_and(|last| last.elapsed() > OUTPUT_PATIENCE);
        let leaves = end == RunEnd::Left;
        let idle = self.outputs.is_idle() && self.collecting.is_idle();
        (leaves || waited || idle).then_some(end)
    }

    /// Closes the links and the books.
    pub(super) fn close(&mut self, end: RunEnd) -> Result<(), ManagerError> {
        self.control.close();
        self.network.close();
        let word = serde_json::to_value(end).map_err(crate::settings::SettingsError::from)?;
        Ok(self.store.set_ended(word.as_str().unwrap_or_default())?)
    }

    /// Takes what has been reported, waiting up to `wait` for a first report.
    /// True if anything has happened.
    pub(super) fn pump(
        &mut self,
        wait: Duration,
        handler: &mut impl Handler,
    ) -> Result<bool, ManagerError> {
        let due = self.scheduler.poll_timeout().map(|due| due.saturating_sub(self.now()));
        let wait = due.into_iter().chain(self.requests_due()).fold(wait, Duration::min);
        let mut anything = false;
        let mut next = self.network.next(wait);
        for _ in 0..BATCH {
            let Some((host, report)) = next else { break };
            anything = true;
            self.take(host, report, handler);
            next = self.network.try_next();
        }
        if let Some((host, report)) = next {
            self.take(host, report, handler);
        }
        self.heed_controller();
        self.heed_requests(handler)?;
        let now = self.now();
        if self.scheduler.poll_timeout().is_some_and(|due| due <= now) {
            self.scheduler.handle_timeout(now);
        }
        self.settle(handler)?;
        self.answer_requests();
        Ok(anything || due == Some(wait))
    }

    /// True if a job has ended since this was last asked.
    pub(super) fn take_ended_jobs(&mut self) -> bool {
        std::mem::take(&mut self.jobs_ended) > 0
    }

    fn take(&mut self, host: HostIx, report: Report, handler: &mut impl Handler) {
        let now = self.now();
        match report {
            Report::Up(welcome) => {
                let name = welcome.hostname.shown();
                self.scheduler.handle_host_up(now, host, &name, offer(&welcome));
            }
            Report::Down { reason } => {
                self.echoes.retain(|(asked, _), _| *asked != host);
                self.scheduler.handle_host_unknown(now, host, &reason);
            }
            Report::Failed { reason } => {
                self.echoes.retain(|(asked, _), _| *asked != host);
                self.scheduler.handle_host_error(now, host, &reason);
            }
            Report::Records { records, end } => {
                for record in records {
                    self.scheduler.handle_record(now, host, record);
                }
                self.offsets.retain(|offset| offset.host != host.0);
                self.offsets.push(LogOffset { host: host.0, offset: end });
            }
            Report::NotSent(record) => {
                self.scheduler.handle_record(now, host, record);
            }
            Report::Fetched(fetched) => {
                if let Some((index, outputs)) = self.outputs.arrived(host, *fetched) {
                    handler.handle_job_output(&self.jobs[index], outputs);
                    self.clean_up(index);
                }
            }
            Report::Echo { request } => {
                if let Some(sent) = self.echoes.get_mut(&(host, request)) {
                    *sent = true;
                }
            }
            Report::Staging { path, bytes, size } => {
                let file = Shown::new(&path.to_string_lossy()).into();
                self.note_transfer(host, Direction::In, file, (bytes, size));
            }
            Report::Collected { key, result } => self.collected(host, key, result),
            Report::Collecting { path, bytes, size, .. } => {
                self.note_transfer(host, Direction::Out, path, (bytes, size));
            }
            Report::Clock(_) => {}
            Report::Uploading { bytes } => handler.handle_upload(&self.labels[host.at()], bytes),
        }
    }

    fn heed_controller(&mut self) {
        match self.controller.take() {
            Wish::None => {}
            Wish::Interrupt => self.scheduler.handle_interrupt(self.now()),
            Wish::Leave => self.scheduler.handle_leave(),
        }
    }

    /// Carries out what the scheduler has decided: commit, tell, act.
    pub(super) fn settle(&mut self, handler: &mut impl Handler) -> Result<(), ManagerError> {
        while let Some(action) = self.scheduler.poll_action() {
            match action {
                Action::Emit(kind) => self.events.push(event_at(kind)),
                order => self.orders.push(order),
            }
        }
        if !self.events.is_empty() || !self.offsets.is_empty() {
            let outputs = self.collecting.take_here();
            self.store.commit(&self.events, &self.offsets, &outputs)?;
        }
        if let Some(reason) = self.collecting.failure() {
            return Err(ManagerError::Outputs(reason));
        }
        for LogOffset { host, offset } in self.offsets.drain(..) {
            self.network.set_offset(HostIx(host), offset);
        }
        for event in std::mem::take(&mut self.events) {
            self.jobs_ended += u32::from(matches!(event.kind, EventKind::JobEnded { .. }));
            self.tell(&event, handler);
        }
        for order in std::mem::take(&mut self.orders) {
            self.carry_out(&order);
        }
        Ok(())
    }

    fn tell(&mut self, event: &Event, handler: &mut impl Handler) {
        self.jobs.apply(&event.kind);
        self.control.tell(event);
        handler.handle_event(event, self.jobs.all());
        match &event.kind {
            EventKind::JobStarted { key, .. } => {
                handler.handle_job_launch(&self.jobs[key.index]);
            }
            EventKind::JobEnded { key, state, .. } => {
                self.keep_streams(*key, *state);
                let job = &self.jobs[key.index];
                handler.handle_job_done(job);
                if !self.outputs.want(job, handler.wanted(job), &mut self.network) {
                    handler.handle_job_output(job, Vec::new());
                    self.clean_up(key.index);
                }
            }
            _ => {}
        }
    }

    fn carry_out(&mut self, order: &Action) {
        match *order {
            Action::Emit(_) => {}
            Action::Launch { .. } if self.acts_alone => {}
            Action::Launch { host, key } => {
                let job = &self.jobs[key.index];
                self.network.launch(host, key, &job.spec);
            }
            Action::Withdraw { host, key } => self.network.withdraw(host, key),
            Action::Pause { host, key } => self.network.order(host, key, Order::Pause),
            Action::Resume { host, key } => self.network.order(host, key, Order::Resume),
            Action::Kill { host, key, cause } => {
                self.network.order(host, key, Order::Kill { cause, grace: GRACE });
            }
            Action::Collect { .. } if self.acts_alone => {}
            Action::Collect { host, key } => self.collect(host, key),
            Action::ForgetOutputs { host, key } => self.forget_outputs(host, key),
            Action::Stop(end) => self.stopped = Some((end, Instant::now())),
        }
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    pub(super) fn jobs(&self) -> &[Job] {
        self.jobs.all()
    }

    pub(super) fn run_dir(&self) -> &RunDir {
        &self.dir
    }

    pub(super) fn network(&mut self) -> &mut Network {
        &mut self.network
    }

    pub(super) fn controller(&self) -> Controller {
        self.controller.clone()
    }
}

/// What a host offers to jobs.
fn offer(welcome: &Welcome) -> Offer {
    Offer { cpus: welcome.slots, mem: welcome.memory_bytes, gpus: welcome.gpus }
}
