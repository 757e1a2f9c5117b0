//! The pump. One owner of all state: reports and requests come in, the
//! scheduler decides, the store commits, handlers are notified, the network
//! acts. In that order, for a batch at a time.

mod begin;
mod books;
mod changes;
mod collecting;
mod from_jobs;
mod refetch;
mod requests;
mod task_logs;

use std::time::{Duration, Instant};

use gjob_core::event::{Direction, HostChange, HostEvent, HostFacts, JobChange, JobEvent, RunEnd};
use gjob_core::record::Scope;
use gjob_core::resources::{Ask, Offer};
use gjob_core::run::HostIx;
use gjob_core::scheduler::{Action, Scheduler};
use gjob_core::text::Shown;
use gjob_core::wire::Welcome;
use gjob_core::{Event, HostLabel, Job, Key, Record, Run, RunId, State, What};

use self::books::{Books, Settled};
use self::collecting::Collecting;
use self::from_jobs::FromJobs;
use self::requests::Requests;
use super::controller::{Controller, StopRequest};
use super::dispatch::dispatch;
use super::streams::Streams;
use super::{Handler, ManagerError};
use crate::network::{Network, Report};
use crate::outputs::OutputProgress;
use crate::store::{LogOffset, RunDir, now};

/// Reports taken at once, so that one commit serves many.
const BATCH: usize = 512;

/// How long outputs of a finished run are waited for after the last one came.
const OUTPUT_TIMEOUT: Duration = Duration::from_secs(30);

/// Everything of one run.
#[derive(Debug)]
pub(super) struct Engine {
    dir: RunDir,
    /// The run as its hosts know it.
    on_hosts: RunId,
    /// Dropped before the books: its socket needs the store's lock.
    requests: Requests,
    books: Books,
    scheduler: Scheduler,
    network: Network,
    began: Instant,
    streams: Streams,
    collecting: Collecting,
    from_jobs: FromJobs,
    stopped: Option<(RunEnd, Instant)>,
    /// Since somebody last asked.
    jobs_ended: u32,
    controller: Controller,
    /// Removed hosts whose links are to be closed, since when.
    releasing: Vec<(HostIx, Instant)>,
    /// It only acts on some jobs for a moment: nothing is launched.
    acts_alone: bool,
    /// An earlier manager had begun the run.
    resumed: bool,
}

impl Engine {
    /// Why other processes cannot ask.
    pub(super) fn control_problem(&self) -> Option<&str> {
        self.requests.problem()
    }

    /// Stops, and leaves what runs running.
    pub(super) fn leave(&mut self, handler: &mut impl Handler) -> Result<(), ManagerError> {
        self.now();
        self.scheduler.handle_leave();
        self.settle(handler)?;
        let end = self.stopped.map_or(RunEnd::Left, |(end, _)| end);
        self.close(end)
    }

    /// Makes sure that each job of a new run fits some host, as soon as every
    /// host has said what it offers; else nothing is left of the run.
    fn refuse_unfit(&mut self, handler: &mut impl Handler) -> Result<(), ManagerError> {
        let plain = |job: &Job| job.spec.ask() == Ask::default();
        if self.resumed || self.run().jobs().iter().all(plain) {
            return Ok(());
        }
        while !self.scheduler.all_hosts_known() && self.ended().is_none() {
            self.pump(Duration::from_secs(1), handler)?;
        }
        let unfit = self.scheduler.unfit_jobs();
        if unfit.is_empty() {
            return Ok(());
        }
        self.requests.close();
        self.network.close();
        let reached = (0..).map(HostIx).zip(self.run().hosts());
        let reached = reached.filter(|(_, host)| host.facts.is_some()).map(|(ix, _)| ix).collect();
        self.network.forget_refused_run(&self.on_hosts, reached);
        self.dir.discard();
        Err(ManagerError::Unfit(unfit))
    }

    /// Lets the scheduler dispatch every job.
    pub(super) fn launch_all(&mut self, handler: &mut impl Handler) -> Result<(), ManagerError> {
        self.refuse_unfit(handler)?;
        let now = self.now();
        self.scheduler.release(now);
        self.settle(handler)
    }

    /// Lets the scheduler dispatch one job, and waits until it has started.
    pub(super) fn launch_one(
        &mut self,
        handler: &mut impl Handler,
    ) -> Result<Option<Job>, ManagerError> {
        let waits = |it: &Scheduler| it.nobody_up() || it.is_adopting();
        while self.ended().is_none() && waits(&self.scheduler) {
            self.pump(Duration::from_secs(1), handler)?;
        }
        let now = self.now();
        let Some(key) = self.scheduler.dispatch_one(now) else { return Ok(None) };
        self.settle(handler)?;
        while self.ended().is_none() && self.is_pending(key) {
            self.pump(Duration::from_secs(1), handler)?;
        }
        self.settle(handler)?;
        Ok(Some(self.job(key.index).clone()))
    }

    /// True while nothing is known of an attempt but that it was sent.
    fn is_pending(&self, key: Key) -> bool {
        let job = self.job(key.index);
        job.state() == State::Busy && job.last_attempt == key.attempt && job.id().is_none()
    }

    /// Why the run is over, once it is, and its outputs have come.
    pub(super) fn ended(&self) -> Option<RunEnd> {
        let (end, since) = self.stopped?;
        let last = self.streams.last_arrival().max(self.collecting.last_arrival()).max(Some(since));
        let waited = last.is_some_and(|last| last.elapsed() > OUTPUT_TIMEOUT);
        let leaves = end == RunEnd::Left;
        let idle = self.streams.is_idle() && self.collecting.is_idle();
        (leaves || waited || idle).then_some(end)
    }

    /// Closes the links and the books.
    pub(super) fn close(&mut self, end: RunEnd) -> Result<(), ManagerError> {
        self.requests.close();
        self.network.close();
        Ok(self.books.close(end.as_str())?)
    }

    /// Takes what has been reported, waiting up to `wait` for a first report.
    /// True if anything has happened.
    pub(super) fn pump(
        &mut self,
        wait: Duration,
        handler: &mut impl Handler,
    ) -> Result<bool, ManagerError> {
        let now = self.now();
        let due = self.scheduler.poll_timeout().map(|due| due.saturating_sub(now));
        let shown = handler.handle_wait(self.run());
        let dues = due.into_iter().chain(self.requests_due()).chain(self.books.due_in());
        let dues = dues.chain(shown);
        let wait = dues.fold(wait, Duration::min);
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
        self.check_hosts()?;
        self.obey_controller();
        self.handle_requests(handler)?;
        let now = self.now();
        if self.scheduler.poll_timeout().is_some_and(|due| due <= now) {
            self.scheduler.handle_timeout(now);
        }
        self.settle_gathered(handler)?;
        self.answer_requests();
        Ok(anything || due == Some(wait))
    }

    /// Goes no further with a copy that does not know all hosts of its run.
    fn check_hosts(&self) -> Result<(), ManagerError> {
        match self.scheduler.unknown_hosts() {
            unknown @ 1.. if !self.acts_alone => {
                Err(ManagerError::UnknownHosts { run: self.dir.run().clone(), unknown })
            }
            _ => Ok(()),
        }
    }

    /// True if a job has ended since this was last asked.
    pub(super) fn take_ended_jobs(&mut self) -> bool {
        std::mem::take(&mut self.jobs_ended) > 0
    }

    fn take(&mut self, host: HostIx, report: Report, handler: &mut impl Handler) {
        let now = self.now();
        match report {
            Report::Up(welcome) => {
                if let Some(damage) = &welcome.damage {
                    if self.scheduler.refuse_forgetful(now, host, damage) {
                        return;
                    }
                    self.scheduler.handle_damage(now, host, damage);
                }
                let plan = &self.network.hosts()[host.at()];
                let (offer, wanted) = (plan.offer(&welcome), plan.wanted_slots(&welcome));
                self.scheduler.handle_slots(host, offer.cpus, wanted);
                self.scheduler.handle_host_up(now, host, facts(&welcome, offer));
                if self.scheduler.is_untold(host) {
                    self.network.ask_to_tell(host);
                }
                self.ask_again(host);
            }
            Report::Slow { reason } => self.scheduler.handle_host_slow(host, &reason),
            Report::Silence { silence, is_over } => {
                self.scheduler.handle_silence(now, host, silence, is_over);
            }
            Report::Down { reason } => {
                self.scheduler.handle_host_unreachable(now, host, &reason);
            }
            Report::Failed { reason } => {
                self.give_up_again(host, &refetch::out(self.label(host), &reason));
                self.scheduler.handle_host_failed(now, host, &reason);
            }
            Report::Records { records, end, skipped } => {
                self.scheduler.handle_spoiled_log(host, skipped);
                self.scheduler.handle_records(now, host, records);
                self.books.set_offset(LogOffset { host: host.0, offset: end });
            }
            Report::Told { hosts } => self.scheduler.handle_told(now, host, hosts),
            Report::HostCount { hosts } => self.scheduler.handle_host_count(now, host, hosts),
            Report::Sharing(sharing) => self.scheduler.handle_sharing(host, sharing),
            Report::Recorded(record) => {
                self.scheduler.handle_records(now, host, vec![*record]);
            }
            Report::Unsent(record) => match *record {
                Record::Refused { key, reason, scope: Scope::Job, .. } => {
                    let reason = String::from(reason.shown());
                    self.scheduler.handle_unreadable_file(now, host, key, reason);
                }
                record => self.scheduler.handle_records(now, host, vec![record]),
            },
            Report::Fetched(fetched) => {
                let Some((key, mut outputs)) = self.streams.arrived(host, *fetched) else { return };
                if self.run().task_of(key).is_some() {
                    return self.keep_task_log(now, host, key, outputs);
                }
                handler.handle_job_output(self.job(key.index), &mut outputs);
                self.clean_up(key.index);
            }
            Report::Staging { path, bytes, size } => {
                self.scheduler.note_sign_of_work(now, host);
                let file = Shown::new(&path.to_string_lossy()).into();
                self.note_transfer(host, Direction::In, file, (bytes, size));
            }
            Report::Output(OutputProgress::Collected { key, result }) => {
                self.collected(host, key, result);
            }
            Report::Output(OutputProgress::Collecting { path, bytes, size, .. }) => {
                self.note_transfer(host, Direction::Out, path, (bytes, size));
            }
            Report::RoundTrip(length) => self.scheduler.handle_round_trip(host, length),
            Report::Clock(offset) => self.note_host(host, HostChange::Clock(offset)),
            Report::Connecting(stage) => {
                let doing = stage.to_string();
                self.scheduler.handle_connecting(now, host, &doing, stage.is_progress());
            }
            Report::Uploading { bytes } => {
                self.note_host(host, HostChange::ProgramSent { bytes });
            }
        }
    }

    fn note_host(&mut self, host: HostIx, change: HostChange) {
        let host = self.label(host).clone();
        self.scheduler.note(What::Host(HostEvent { host, change }));
    }

    fn obey_controller(&mut self) {
        match self.controller.take() {
            StopRequest::None => {}
            StopRequest::Interrupt => {
                let now = self.now();
                self.scheduler.handle_interrupt(now);
            }
            StopRequest::Leave => self.scheduler.handle_leave(),
        }
    }

    /// Carries out what the scheduler has decided: commit, notify, act.
    pub(super) fn settle(&mut self, handler: &mut impl Handler) -> Result<(), ManagerError> {
        loop {
            self.settle_once(handler)?;
            if !self.settle_inputs() {
                return Ok(());
            }
        }
    }

    /// The same, unless it can wait, so that one commit serves more.
    fn settle_gathered(&mut self, handler: &mut impl Handler) -> Result<(), ManagerError> {
        self.books.take(&mut self.scheduler, self.collecting.take_local());
        let is_awaited = self.requests.is_any_open()
            || self.collecting.has_failed()
            || self.from_jobs.has_news();
        if !is_awaited && self.books.may_wait(&self.scheduler) {
            return Ok(());
        }
        self.settle(handler)
    }

    fn settle_once(&mut self, handler: &mut impl Handler) -> Result<(), ManagerError> {
        self.books.take(&mut self.scheduler, self.collecting.take_local());
        let settled = self.books.settle(&self.scheduler)?;
        if let Some(reason) = self.collecting.failure() {
            return Err(ManagerError::Outputs(reason));
        }
        let Settled { events, offsets, actions } = settled;
        for LogOffset { host, offset } in offsets {
            self.network.set_offset(HostIx(host), offset);
        }
        for event in events {
            self.notify(&event, handler);
        }
        for action in actions {
            self.carry_out(&action)?;
        }
        self.release_hosts();
        Ok(())
    }

    fn notify(&mut self, event: &Event, handler: &mut impl Handler) {
        self.requests.notify_watchers(event);
        dispatch(event, self.scheduler.run(), handler);
        if let What::Job(JobEvent { key, change: JobChange::Reopened }) = &event.what {
            self.forget_streams(key.index);
        }
        if let What::Job(JobEvent { key, change: JobChange::Ended { state, .. } }) = &event.what {
            self.jobs_ended += 1;
            self.keep_streams(*key, *state);
            let job = &self.scheduler.run().jobs()[key.index as usize];
            if !self.streams.request(job, handler.wanted(job), &mut self.network) {
                handler.handle_job_output(job, &mut Vec::new());
                self.clean_up(key.index);
            }
        }
    }

    fn carry_out(&mut self, action: &Action) -> Result<(), ManagerError> {
        match *action {
            Action::Emit { .. } => {}
            Action::Reject { host, ref reason } => {
                self.network.reject(host, reason);
                self.give_up_again(host, &refetch::out(self.label(host), reason));
            }
            Action::Launch { .. } if self.acts_alone => {}
            Action::Launch { host, key } => self.launch(host, key)?,
            Action::Withdraw { host, key } => self.network.withdraw(host, key),
            Action::Order { host, key, order } => self.network.order(host, key, order),
            Action::TellHostCount { host, hosts } => self.network.tell_host_count(host, hosts),
            Action::Release { host } => self.release(host),
            Action::Collect { .. } if self.acts_alone => {}
            Action::Collect { host, key } => self.collect(host, key),
            Action::ForgetOutputs { host, key } => self.forget_outputs(host, key),
            Action::LoseOutputs { host, ref reason } => {
                self.give_up_again(host, &format!("host {} is lost: {reason}", self.label(host)));
            }
            Action::FetchTaskLog { host, key } => self.fetch_task_log(host, key),
            Action::Stop(end) => self.stopped = Some((end, Instant::now())),
        }
        Ok(())
    }

    /// Time since this manager began; what happens next carries the time of day.
    fn now(&mut self) -> Duration {
        self.scheduler.set_time(now());
        self.began.elapsed()
    }

    pub(super) fn run(&self) -> &Run {
        self.scheduler.run()
    }

    /// A job of the run.
    pub(super) fn job(&self, index: u32) -> &Job {
        &self.run().jobs()[index as usize]
    }

    /// The label of a host of the run.
    fn label(&self, host: HostIx) -> &HostLabel {
        &self.run().hosts()[host.at()].label
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

/// What a host says of itself, fit to be shown.
fn facts(welcome: &Welcome, offer: Offer) -> HostFacts {
    HostFacts {
        hostname: welcome.hostname.shown().into(),
        version: welcome.version.shown().into(),
        platform: Shown::new(&welcome.platform).into(),
        results_dir: Shown::new(&welcome.results_dir).into(),
        boot_id: Shown::new(&welcome.boot_id).into(),
        offer,
    }
}
