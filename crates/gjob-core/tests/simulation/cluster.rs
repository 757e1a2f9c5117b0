//! A cluster of simulated hosts, links and managers around a real scheduler.
//! A host keeps what a real one keeps on disk: its run log and its claims.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

use gjob_core::dependency::{After, Dependencies};
use gjob_core::event::{EventKind, RunEnd};
use gjob_core::record::Loss;
use gjob_core::resources::{Ask, Cpus, Offer};
use gjob_core::scheduler::{
    Action, Collected, Config, HostIx, JobInit, JobStart, OnLost, Scheduler,
};
use gjob_core::{Cause, Ending, Finish, JobSpec, Key, Record, State, Timestamp};

/// What is simulated.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) jobs: u32,
    pub(crate) hosts: u32,
    pub(crate) slots: u32,
    pub(crate) retries: u32,
    /// The last so many jobs exit with 7.
    pub(crate) failing: u32,
    pub(crate) link_breaks: u32,
    pub(crate) manager_deaths: u32,
    pub(crate) interrupt: bool,
    /// Job 0 runs a hundred times longer than any other.
    pub(crate) slow_job: bool,
    /// The longest that a job runs, ms; 100 for 0.
    pub(crate) longest: u64,
    /// Links that break for longer than hosts are waited for.
    pub(crate) long_cuts: u32,
    /// Hosts that crash and are booted again.
    pub(crate) crashes: u32,
    /// What is done about lost hosts.
    pub(crate) on_lost: OnLost,
    /// How often a user holds a job and lets it go on later.
    pub(crate) pauses: u32,
    /// The last so many jobs run until a user ends them.
    pub(crate) endless: u32,
    /// Jobs have outputs.
    pub(crate) outputs: bool,
    /// One job in so many asks for all slots of a host; none for 0.
    pub(crate) big: u32,
    /// Each job waits for the one that is so many before it; none for 0.
    pub(crate) chain: u32,
}

/// Something that happens at a point in virtual time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    LinkUp {
        host: u32,
    },
    LinkBreak {
        host: u32,
        length: u64,
    },
    Crash {
        host: u32,
    },
    ManagerDies,
    ManagerStarts,
    Interrupt,
    UserPauses {
        index: u32,
    },
    /// Until it is so, since nothing else lets the job go on.
    UserResumes {
        index: u32,
    },
    UserKills {
        index: u32,
    },
    /// A message reaches a host, if the link it was sent over still stands.
    Arrives {
        host: u32,
        connection: u32,
        message: Message,
    },
    /// A part of the run log reaches the manager, likewise.
    Tail {
        host: u32,
        connection: u32,
        upto: usize,
    },
    JobEnds {
        host: u32,
        key: Key,
    },
    /// Outputs are here, if the link they come over still stands.
    Outputs {
        host: u32,
        connection: u32,
        key: Key,
    },
    Timer,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Message {
    Launch(Key),
    Withdraw(Key),
    /// A run that is interrupted ends what runs.
    Interrupt(Key),
    Kill(Key),
    Pause(Key),
    Resume(Key),
    /// An attempt that came too late is ended.
    Supersede(Key),
}

#[derive(Default)]
struct SimHost {
    log: Vec<Record>,
    claims: BTreeSet<Key>,
    queue: Vec<Key>,
    running: BTreeMap<Key, u64>,
    /// Those of them that are stopped, and whether their time is over.
    stopped: BTreeMap<Key, bool>,
    /// Not to be connected to before.
    cut_until: u64,
    connection: u32,
    up: bool,
    /// Log entries that the manager has committed.
    committed: usize,
}

/// How often something happened that a plan is made to bring about.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) abandoned: u32,
    pub(crate) superseded: u32,
    pub(crate) won_late: u32,
    pub(crate) lost: u32,
    pub(crate) withdrawn: u32,
    pub(crate) restarts: u32,
    pub(crate) killed: u32,
    /// Jobs that were let go on while their host could not be told.
    pub(crate) resumed_unheard: u32,
    /// The same of jobs that were to be ended.
    pub(crate) killed_unheard: u32,
    pub(crate) outputs_given_up: u32,
    /// Slots times ms that there were, and that jobs ran on.
    pub(crate) offered: u64,
    pub(crate) used: u64,
    /// The longest time in which no job that asks for a whole host began, ms.
    pub(crate) big_gap: u64,
    last_big: u64,
}

impl std::ops::AddAssign for Seen {
    fn add_assign(&mut self, more: Seen) {
        self.abandoned += more.abandoned;
        self.superseded += more.superseded;
        self.won_late += more.won_late;
        self.lost += more.lost;
        self.withdrawn += more.withdrawn;
        self.restarts += more.restarts;
        self.killed += more.killed;
        self.resumed_unheard += more.resumed_unheard;
        self.killed_unheard += more.killed_unheard;
        self.outputs_given_up += more.outputs_given_up;
        self.offered += more.offered;
        self.used += more.used;
        self.big_gap = self.big_gap.max(more.big_gap);
    }
}

pub(crate) struct Simulation {
    seen: Seen,
    plan: Plan,
    rng: fastrand::Rng,
    now: u64,
    agenda: BinaryHeap<Reverse<(u64, u64, Happening)>>,
    order: u64,
    hosts: Vec<SimHost>,
    scheduler: Option<Scheduler>,
    began: u64,
    /// What the manager has committed of each job.
    store: Vec<JobInit>,
    ended: Vec<Option<State>>,
    runs: BTreeMap<u32, u32>,
    /// Attempts of each job that are alive.
    alive: BTreeMap<u32, u32>,
    /// True if any job had two at once.
    overlapped: bool,
    /// Attempts that are not waited for any more, and have not reported.
    strays: BTreeSet<(HostIx, Key)>,
    /// Attempts whose outputs have been committed.
    collected: BTreeSet<Key>,
    stopped: Option<RunEnd>,
    interrupted: bool,
}

impl Plan {
    fn cpus(&self, index: u32) -> u32 {
        if self.big > 0 && index.is_multiple_of(self.big) { self.slots } else { 1 }
    }

    /// The job that a job waits for.
    fn dependency(&self, index: u32) -> Option<u32> {
        index.checked_sub(self.chain).filter(|_| self.chain > 0)
    }

    fn dependencies(&self) -> Dependencies {
        let spec = |index| {
            let spec = JobSpec::new(["true"]).unwrap();
            Arc::new(spec.after(self.dependency(index).map(After::Job)))
        };
        let specs: Vec<Arc<JobSpec>> = (0..self.jobs).map(spec).collect();
        Dependencies::resolve(&specs).unwrap()
    }

    fn fails(&self, index: u32) -> bool {
        index >= self.jobs - self.failing
    }
}

impl Simulation {
    pub(crate) fn new(plan: Plan) -> Self {
        let mut simulation = Simulation {
            seen: Seen::default(),
            rng: fastrand::Rng::with_seed(plan.seed),
            now: 0,
            agenda: BinaryHeap::new(),
            order: 0,
            hosts: (0..plan.hosts).map(|_| SimHost::default()).collect(),
            scheduler: None,
            began: 0,
            store: (0..plan.jobs)
                .map(|index| JobInit {
                    collects: plan.outputs,
                    ask: Ask { cpus: Cpus::Count(plan.cpus(index)), ..Ask::default() },
                    ..JobInit::new(plan.retries)
                })
                .collect(),
            ended: vec![None; plan.jobs as usize],
            runs: BTreeMap::new(),
            alive: BTreeMap::new(),
            overlapped: false,
            strays: BTreeSet::new(),
            collected: BTreeSet::new(),
            stopped: None,
            interrupted: false,
            plan,
        };
        simulation.plan_faults();
        simulation
    }

    fn plan_faults(&mut self) {
        for _ in 0..self.plan.link_breaks {
            let host = self.rng.u32(..self.plan.hosts);
            let at = self.rng.u64(..6_000);
            let length = self.rng.u64(1..800);
            self.at(at, Happening::LinkBreak { host, length });
        }
        for _ in 0..self.plan.long_cuts {
            let (host, at) = (self.rng.u32(..self.plan.hosts), self.rng.u64(..1_500));
            let length = self.rng.u64(8_000..30_000);
            self.at(at, Happening::LinkBreak { host, length });
        }
        for _ in 0..self.plan.crashes {
            let (host, at) = (self.rng.u32(..self.plan.hosts), self.rng.u64(..1_500));
            self.at(at, Happening::Crash { host });
        }
        for _ in 0..self.plan.manager_deaths {
            let at = self.rng.u64(..6_000);
            self.at(at, Happening::ManagerDies);
        }
        if self.plan.interrupt {
            let at = self.rng.u64(50..2_000);
            self.at(at, Happening::Interrupt);
        }
        for _ in 0..self.plan.pauses {
            let (index, at) = (self.rng.u32(..self.plan.jobs), self.rng.u64(50..4_000));
            let later = at + self.rng.u64(1..1_000);
            self.at(at, Happening::UserPauses { index });
            self.at(later, Happening::UserResumes { index });
        }
        for index in self.plan.jobs - self.plan.endless..self.plan.jobs {
            let at = self.rng.u64(50..6_000);
            self.at(at, Happening::UserKills { index });
        }
        self.at(0, Happening::ManagerStarts);
    }

    fn at(&mut self, at: u64, what: Happening) {
        self.order += 1;
        self.agenda.push(Reverse((at, self.order, what)));
    }

    fn soon(&mut self, most: u64, what: Happening) {
        let at = self.now + self.rng.u64(1..=most);
        self.at(at, what);
    }

    /// Runs to the end and checks it.
    pub(crate) fn run(mut self) -> Seen {
        while let Some(Reverse((at, _, what))) = self.agenda.pop() {
            self.now = at;
            assert!(self.now < 3_600_000, "not over after an hour: {:?}", self.ended);
            self.happen(what);
        }
        self.check();
        self.seen
    }

    fn check(&mut self) {
        assert_eq!(self.stopped, Some(RunEnd::Complete));
        for host in &self.hosts {
            assert!(host.running.is_empty() && host.queue.is_empty());
        }
        self.seen.offered = self.now * u64::from(self.plan.hosts * self.plan.slots);
        for index in 0..self.plan.jobs {
            if index >= self.plan.jobs - self.plan.endless {
                assert_eq!(self.ended[index as usize], Some(State::Error), "job {index}");
                continue;
            }
            let in_vain = self.plan.dependency(index).is_some_and(|before| self.plan.fails(before));
            let (state, runs) = match self.plan.fails(index) {
                false => (State::Done, Some(1)),
                true if in_vain => (State::Error, None),
                true => (State::Error, Some(self.plan.retries + 1)),
            };
            assert_eq!(self.ended[index as usize], Some(state), "job {index}");
            // Only what an interrupt, a lost or a crashed host has cost runs again.
            if !self.interrupted && self.plan.long_cuts + self.plan.crashes == 0 {
                assert_eq!(self.runs.get(&index).copied(), runs, "runs of job {index}");
            }
        }
        let may_overlap = self.plan.long_cuts > 0 && self.plan.on_lost == OnLost::Rerun;
        assert!(may_overlap || !self.overlapped, "two attempts of a job were alive at once");
        let mut scheduler = self.scheduler.take().unwrap();
        assert_eq!(scheduler.poll_action(), None);
        assert_eq!(scheduler.poll_timeout(), None);
        if self.plan.slow_job {
            assert!(self.now < 16_000, "jobs waited behind the slow one: {} ms", self.now);
        }
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::ManagerStarts => self.start_manager(),
            Happening::ManagerDies => self.kill_manager(),
            Happening::Interrupt => self.interrupt(),
            Happening::UserPauses { index } => self.user_pauses(index),
            Happening::UserResumes { index } => self.user_resumes(index),
            Happening::UserKills { index } => self.user_kills(index),
            Happening::LinkUp { host } => self.link_up(host),
            Happening::LinkBreak { host, length } => self.break_link(host, length),
            Happening::Crash { host } => self.crash(host),
            Happening::Arrives { host, connection, message } => {
                let target = &self.hosts[host as usize];
                if target.up && target.connection == connection {
                    self.receive(host, &message);
                }
            }
            Happening::Tail { host, connection, upto } => self.tail(host, connection, upto),
            Happening::JobEnds { host, key } => self.job_is_through(host, key),
            Happening::Outputs { host, connection, key } => self.outputs(host, connection, key),
            Happening::Timer => {
                self.input(|scheduler, now| scheduler.handle_timeout(now));
            }
        }
    }

    fn start_manager(&mut self) {
        if self.scheduler.is_some() {
            return;
        }
        self.stopped = None;
        self.began = self.now;
        let labels = (0..self.plan.hosts).map(|i| format!("h{i}").parse().unwrap());
        let config = Config {
            seed: self.plan.seed,
            on_lost: self.plan.on_lost,
            lost_after: Duration::from_secs(5),
            ..Config::default()
        };
        self.scheduler = Some(Scheduler::new(config, labels, self.store.iter().copied()));
        let dependencies = self.plan.dependencies();
        if let Some(scheduler) = &mut self.scheduler {
            scheduler.set_dependencies(dependencies);
            self.strays.iter().for_each(|(host, key)| scheduler.add_abandoned(*host, *key));
        }
        for host in 0..self.plan.hosts {
            let soon = self.now + self.rng.u64(1..50);
            let at = self.hosts[host as usize].cut_until.max(soon);
            self.at(at, Happening::LinkUp { host });
        }
    }

    fn kill_manager(&mut self) {
        if self.stopped.is_none() && self.scheduler.take().is_some() {
            self.seen.restarts += 1;
            self.drop_links();
            self.soon(500, Happening::ManagerStarts);
        }
    }

    fn drop_links(&mut self) {
        for host in &mut self.hosts {
            host.up = false;
            host.queue.clear();
        }
    }

    fn interrupt(&mut self) {
        if self.stopped.is_none() && self.scheduler.is_some() {
            self.interrupted = true;
            self.input(|scheduler, now| scheduler.handle_interrupt(now));
        }
    }

    fn is_managed(&self) -> bool {
        self.stopped.is_none() && self.scheduler.is_some()
    }

    /// True when a job's host can't be told anything now.
    fn is_away(&self, index: u32) -> bool {
        match self.store[index as usize].start {
            JobStart::Assigned(host) | JobStart::Running(host) | JobStart::Collecting(host, _) => {
                !self.hosts[host.at()].up
            }
            JobStart::Waiting | JobStart::Ended(_) => false,
        }
    }

    fn user_pauses(&mut self, index: u32) {
        if self.is_managed() {
            self.ask(|scheduler| scheduler.handle_pause(index));
        }
    }

    fn user_resumes(&mut self, index: u32) {
        if matches!(self.store[index as usize].start, JobStart::Ended(_)) {
            return;
        }
        if !self.is_managed() {
            return self.soon(500, Happening::UserResumes { index });
        }
        let away = self.is_away(index);
        if self.ask(|scheduler| scheduler.handle_resume(index)) {
            self.seen.resumed_unheard += u32::from(away);
        }
    }

    fn user_kills(&mut self, index: u32) {
        if !self.is_managed() {
            return self.soon(500, Happening::UserKills { index });
        }
        let away = self.is_away(index);
        assert!(self.ask(|scheduler| scheduler.handle_kill(index)));
        self.seen.killed_unheard += u32::from(away);
    }

    /// Asks the manager for something; it may die as soon as that is committed.
    fn ask(&mut self, ask: impl FnOnce(&mut Scheduler) -> bool) -> bool {
        let mut is_so = false;
        self.input(|scheduler, now| {
            is_so = ask(scheduler);
            scheduler.settle(now);
        });
        if self.plan.manager_deaths > 0 && self.rng.u32(..4) == 0 {
            self.soon(4, Happening::ManagerDies);
        }
        is_so
    }

    fn link_up(&mut self, host: u32) {
        let sim = &self.hosts[host as usize];
        if self.scheduler.is_none() || self.stopped.is_some() || sim.up || sim.cut_until > self.now
        {
            return;
        }
        let sim = &mut self.hosts[host as usize];
        sim.up = true;
        sim.connection += 1;
        let slots = Offer::cpus(self.plan.slots);
        self.input(|scheduler, now| scheduler.handle_host_up(now, HostIx(host), "sim", slots));
        self.send_tail(host);
    }

    fn break_link(&mut self, host: u32, length: u64) {
        let sim = &mut self.hosts[host as usize];
        sim.cut_until = sim.cut_until.max(self.now + length);
        let again = sim.cut_until;
        if std::mem::replace(&mut sim.up, false) {
            sim.queue.clear();
            self.input(|scheduler, now| scheduler.handle_host_unknown(now, HostIx(host), "cut"));
        }
        self.at(again, Happening::LinkUp { host });
    }

    /// All that runs there dies; after the boot the agent finds that out.
    fn crash(&mut self, host: u32) {
        self.break_link(host, 500);
        self.hosts[host as usize].stopped.clear();
        let dead = std::mem::take(&mut self.hosts[host as usize].running);
        for key in dead.into_keys() {
            let (reason, at) = ("restarted".to_owned(), Timestamp(self.now));
            let record = Record::Lost {
                key,
                how: Loss::Restart,
                id: None,
                reason,
                survivors: Vec::new(),
                at,
            };
            self.hosts[host as usize].log.push(record);
            self.ends(key);
        }
    }

    fn ends(&mut self, key: Key) {
        *self.alive.entry(key.index).or_default() -= 1;
    }

    /// Feeds the scheduler and carries out what it wants.
    fn input(&mut self, feed: impl FnOnce(&mut Scheduler, Duration)) {
        let now = Duration::from_millis(self.now - self.began);
        let Some(scheduler) = &mut self.scheduler else {
            return;
        };
        feed(scheduler, now);
        while let Some(action) = self.scheduler.as_mut().and_then(Scheduler::poll_action) {
            self.perform(action);
        }
        let due = self.scheduler.as_ref().and_then(Scheduler::poll_timeout);
        if let Some(due) = due {
            let at = (self.began + due.as_millis() as u64).max(self.now + 1);
            self.at(at, Happening::Timer);
        }
    }

    fn perform(&mut self, action: Action) {
        let (host, message) = match action {
            Action::Emit(event) => return self.commit(&event),
            Action::Stop(end) => return self.stop(end),
            Action::Collect { host, key } => return self.collect(host, key),
            Action::ForgetOutputs { .. } => return,
            Action::Launch { host, key } => (host, Message::Launch(key)),
            Action::Withdraw { host, key } => (host, Message::Withdraw(key)),
            Action::Pause { host, key } => (host, Message::Pause(key)),
            Action::Resume { host, key } => (host, Message::Resume(key)),
            Action::Kill { host, key, cause: Cause::Superseded } => (host, Message::Supersede(key)),
            Action::Kill { host, key, cause: Cause::Killed } => (host, Message::Kill(key)),
            Action::Kill { host, key, .. } => (host, Message::Interrupt(key)),
        };
        let connection = self.hosts[host.at()].connection;
        let what = Happening::Arrives { host: host.0, connection, message };
        // A stream keeps its order: the same delay for every message.
        self.at(self.now + 5, what.clone());
        if self.rng.u32(..20) == 0
            && matches!(what, Happening::Arrives { message: Message::Launch(_), .. })
        {
            self.at(self.now + 6, what);
        }
    }

    fn collect(&mut self, host: HostIx, key: Key) {
        let connection = self.hosts[host.at()].connection;
        self.soon(300, Happening::Outputs { host: host.0, connection, key });
    }

    fn outputs(&mut self, host: u32, connection: u32, key: Key) {
        let target = &self.hosts[host as usize];
        if target.up && target.connection == connection {
            let files = Collected { files: 1, bytes: 1 };
            self.input(|scheduler, now| {
                scheduler.handle_outputs(now, HostIx(host), key, Ok(files));
            });
        }
    }

    fn stop(&mut self, end: RunEnd) {
        self.stopped = Some(end);
        if end == RunEnd::Interrupted {
            self.drop_links();
            self.scheduler = None;
            self.soon(500, Happening::ManagerStarts);
        }
    }

    fn commit(&mut self, event: &EventKind) {
        let Some(key) = event.key() else { return };
        let host = event.host().map(|label| HostIx(label.as_str()[1..].parse().unwrap()));
        let before = self.store[key.index as usize].start;
        self.store[key.index as usize].apply(event, host);
        self.note_strays(event, key, before);
        if let EventKind::JobCollected { key, .. } = event {
            assert!(self.collected.insert(*key), "the outputs of {key} came twice");
        }
        if let EventKind::JobEnded { state, .. } = event {
            let has_outputs = self.collected.contains(&key);
            assert_eq!(has_outputs, self.plan.outputs && *state == State::Done, "{key}");
            let before = self.ended[key.index as usize].replace(*state);
            assert_eq!(before, None, "job {} has two outcomes", key.index);
        }
    }

    /// Which attempts may live on without being waited for.
    fn note_strays(&mut self, event: &EventKind, key: Key, before: JobStart) {
        let host = event.host().map(|label| HostIx(label.as_str()[1..].parse().unwrap()));
        let seen = &mut self.seen;
        match event {
            EventKind::JobAbandoned { .. } => seen.abandoned += 1,
            EventKind::JobSuperseded { .. } => seen.superseded += 1,
            EventKind::JobLost { .. } => seen.lost += 1,
            EventKind::JobWithdrawn { .. } => seen.withdrawn += 1,
            EventKind::JobNotCollected { .. } => seen.outputs_given_up += 1,
            _ => {}
        }
        match (event, before) {
            (EventKind::JobAbandoned { .. }, _) => self.strays.extend(host.map(|host| (host, key))),
            (
                EventKind::JobEnded { .. } | EventKind::JobCollecting { .. },
                JobStart::Assigned(host) | JobStart::Running(host),
            ) => {
                let attempt = self.store[key.index as usize].attempt;
                if attempt != key.attempt {
                    self.seen.won_late += 1;
                    self.strays.insert((host, Key::new(key.index, attempt)));
                }
            }
            (
                EventKind::JobFinished { .. }
                | EventKind::JobWithdrawn { .. }
                | EventKind::JobRefused { .. }
                | EventKind::JobLost { .. },
                _,
            ) => self.strays.retain(|(_, stray)| *stray != key),
            _ => {}
        }
    }

    fn receive(&mut self, host: u32, message: &Message) {
        let at = Timestamp(self.now);
        let sim = &mut self.hosts[host as usize];
        match *message {
            Message::Launch(key) => {
                if !sim.claims.contains(&key) && !sim.queue.contains(&key) {
                    sim.queue.push(key);
                }
            }
            Message::Pause(key) if sim.running.contains_key(&key) => {
                sim.stopped.entry(key).or_default();
            }
            Message::Resume(key) => {
                if sim.stopped.remove(&key) == Some(true) {
                    self.job_ends(host, key, None);
                }
            }
            Message::Pause(_) => {}
            Message::Interrupt(key) if sim.running.contains_key(&key) => {
                self.job_ends(host, key, Some(Cause::Interrupted));
            }
            Message::Kill(key) if sim.running.contains_key(&key) => {
                self.seen.killed += 1;
                self.job_ends(host, key, Some(Cause::Killed));
            }
            Message::Supersede(key) if sim.running.contains_key(&key) => {
                self.job_ends(host, key, Some(Cause::Superseded));
            }
            Message::Withdraw(key)
            | Message::Interrupt(key)
            | Message::Kill(key)
            | Message::Supersede(key) => {
                sim.queue.retain(|queued| *queued != key);
                if sim.claims.insert(key) {
                    sim.log.push(Record::Withdrawn { key, at });
                }
            }
        }
        self.start_queued(host);
        self.send_tail(host);
    }

    fn start_queued(&mut self, host: u32) {
        while let Some(head) = self.hosts[host as usize].queue.first().copied() {
            let sim = &mut self.hosts[host as usize];
            let in_use: u32 = sim.running.keys().map(|key| self.plan.cpus(key.index)).sum();
            if in_use + self.plan.cpus(head.index) > self.plan.slots {
                return;
            }
            let key = sim.queue.remove(0);
            if let Some(before) = self.plan.dependency(key.index) {
                assert_eq!(self.ended[before as usize], Some(State::Done), "before {key}");
            }
            if self.plan.big > 0 && key.index.is_multiple_of(self.plan.big) {
                self.seen.big_gap = self.seen.big_gap.max(self.now - self.seen.last_big);
                self.seen.last_big = self.now;
            }
            assert!(sim.claims.insert(key), "{key} was queued though claimed");
            let id = format!("h{host}/2026-11-22-{}", sim.claims.len()).parse().unwrap();
            sim.log.push(Record::Started { key, id, pid: 1, at: Timestamp(self.now) });
            sim.running.insert(key, self.now);
            *self.runs.entry(key.index).or_default() += 1;
            let alive = self.alive.entry(key.index).or_default();
            *alive += 1;
            self.overlapped |= *alive > 1;
            let slow = self.plan.slow_job && key.index == 0;
            let longest = self.plan.longest.max(100);
            let length = if slow { 10_000 } else { self.rng.u64(1..longest) };
            if key.index < self.plan.jobs - self.plan.endless {
                self.at(self.now + length, Happening::JobEnds { host, key });
            }
        }
    }

    fn job_is_through(&mut self, host: u32, key: Key) {
        match self.hosts[host as usize].stopped.get_mut(&key) {
            Some(overdue) => *overdue = true,
            None => self.job_ends(host, key, None),
        }
    }

    fn job_ends(&mut self, host: u32, key: Key, cause: Option<Cause>) {
        let Some(started) = self.hosts[host as usize].running.remove(&key) else {
            return;
        };
        self.hosts[host as usize].stopped.remove(&key);
        self.ends(key);
        self.seen.used += (self.now - started) * u64::from(self.plan.cpus(key.index));
        let failing = self.plan.fails(key.index);
        let ending = match cause {
            Some(_) => Ending::Signal(15),
            None => Ending::Exit(if failing { 7 } else { 0 }),
        };
        let record = Record::Finished(Finish {
            key: Some(key),
            id: format!("h{host}/2026-11-22-1").parse().unwrap(),
            ending,
            cause,
            started: Timestamp(started),
            ended: Timestamp(self.now),
            user_us: 0,
            system_us: 0,
            max_rss_kib: 0,
            stdout_bytes: 0,
            stderr_bytes: 0,
            survivors: Vec::new(),
        });
        self.hosts[host as usize].log.push(record);
        self.start_queued(host);
        self.send_tail(host);
    }

    fn send_tail(&mut self, host: u32) {
        let sim = &self.hosts[host as usize];
        if sim.up {
            let (connection, upto) = (sim.connection, sim.log.len());
            self.at(self.now + 5, Happening::Tail { host, connection, upto });
        }
    }

    /// The manager receives the log up to there and commits its offset.
    fn tail(&mut self, host: u32, connection: u32, upto: usize) {
        let sim = &self.hosts[host as usize];
        if !sim.up || sim.connection != connection || self.scheduler.is_none() {
            return;
        }
        for at in sim.committed..upto {
            let record = self.hosts[host as usize].log[at].clone();
            self.input(|scheduler, now| {
                scheduler.handle_record(now, HostIx(host), record);
            });
            self.hosts[host as usize].committed = at + 1;
            if self.scheduler.is_none() {
                return;
            }
        }
    }
}
