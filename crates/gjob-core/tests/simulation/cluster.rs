//! A cluster of simulated hosts, links and managers around a real scheduler.
//! A host keeps what a real one keeps on disk: its run log and its claims.

mod hosts;
mod plan;
mod tasks;
mod users;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

use gjob_core::event::{
    AttemptChange, AttemptEvent, HostChange, HostEvent, JobChange, JobEvent, RunEnd, TaskEnd,
};
use gjob_core::run::{HostDuty, HostIx, HostTask, Run};
use gjob_core::scheduler::{Action, Collected, Config, OnLost, Scheduler};
use gjob_core::{Cause, Event, Key, Order, Record, State, Timestamp, What};

pub(crate) use plan::{Plan, Seen};

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
    UserAdds {
        host: u32,
    },
    UserDrains {
        host: u32,
    },
    UserRemoves {
        host: u32,
    },
    UserSetsSlots {
        host: u32,
        slots: u32,
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
    /// A host's disk is full for a time.
    DiskFills {
        host: u32,
        length: u64,
    },
    /// A host says that it has dropped a launch, if the link stands.
    NoSpace {
        host: u32,
        connection: u32,
        key: Key,
        times: u32,
    },
    /// What an attempt needs is being fetched again, and has come.
    InputsAway {
        host: HostIx,
        key: Key,
    },
    InputsBack {
        index: u32,
    },
    /// What a task has printed is here, if the link it comes over still stands.
    TaskLog {
        host: HostIx,
        connection: u32,
        key: Key,
    },
    /// A host says again what became of an attempt, if the link stands.
    Repeated {
        host: u32,
        connection: u32,
        at: usize,
    },
    /// A host says that it has kept how many hosts there are, if the link stands.
    HostCount {
        host: u32,
        connection: u32,
        hosts: u32,
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
    /// And how often the host has dropped it, as far as the manager knows.
    Launch(Key, u32),
    Withdraw(Key),
    /// A run that is interrupted ends what runs.
    Interrupt(Key),
    Kill(Key),
    Pause(Key),
    Resume(Key),
    /// An attempt that came too late is ended.
    Supersede(Key),
    HostCount(u32),
}

impl Message {
    fn order(key: Key, order: Order) -> Self {
        match order {
            Order::Pause => Message::Pause(key),
            Order::Resume => Message::Resume(key),
            Order::Kill { cause: Cause::Superseded, .. } => Message::Supersede(key),
            Order::Kill { cause: Cause::Killed, .. } => Message::Kill(key),
            Order::Kill {
                cause:
                    Cause::Timeout | Cause::Memory | Cause::Interrupted | Cause::Lease | Cause::Clock,
                ..
            } => Message::Interrupt(key),
        }
    }
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
    /// Until then its disk is full.
    full_until: u64,
    /// Messages that were lost on their way to it.
    lost: BTreeSet<Message>,
    /// How often it has dropped launches since it was connected to, and how often it has
    /// said so.
    dropped: BTreeMap<Key, u32>,
    known_dropped: BTreeMap<Key, u32>,
    connection: u32,
    up: bool,
    /// Its link was closed for good.
    closed: bool,
    /// How often it was restarted.
    boots: u32,
    /// It was set up since, and not torn down.
    is_set_up: bool,
    /// The manager has said that it does not wait for its teardown.
    is_left: bool,
    /// Another number than the plan's.
    slots: Option<u32>,
    /// Log entries that the manager has committed.
    committed: usize,
    /// The greatest number of hosts that it has kept.
    kept_hosts: u32,
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
    /// What the manager has committed of the run.
    store: Run,
    ended: Vec<Option<State>>,
    runs: BTreeMap<u32, u32>,
    /// Attempts of each job that are alive.
    alive: BTreeMap<u32, u32>,
    /// True if any job had two at once.
    overlapped: bool,
    /// Attempts whose outputs have been committed.
    collected: BTreeSet<Key>,
    stopped: Option<RunEnd>,
    /// When it last stopped, ms.
    over_at: u64,
    interrupted: bool,
}

impl Simulation {
    pub(crate) fn new(plan: Plan) -> Self {
        let mut simulation = Simulation {
            seen: Seen::default(),
            rng: fastrand::Rng::with_seed(plan.seed),
            now: 0,
            agenda: BinaryHeap::new(),
            order: 0,
            hosts: (0..plan.all_hosts()).map(|_| SimHost::default()).collect(),
            scheduler: None,
            began: 0,
            store: plan.run(),
            ended: vec![None; plan.jobs as usize],
            runs: BTreeMap::new(),
            alive: BTreeMap::new(),
            overlapped: false,
            collected: BTreeSet::new(),
            stopped: None,
            over_at: 0,
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
        for _ in 0..self.plan.full {
            let (host, at) = (self.rng.u32(..self.plan.hosts), self.rng.u64(..4_000));
            let length = self.rng.u64(1..90_000);
            self.at(at, Happening::DiskFills { host, length });
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
        self.plan_changes();
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
        self.check_run();
        assert_eq!(self.stopped, Some(RunEnd::Complete));
        for host in &self.hosts {
            assert!(host.running.is_empty() && host.queue.is_empty());
        }
        for (host, known) in self.hosts.iter().zip(self.store.hosts()) {
            let (label, status, tasks) = (&known.label, known.status, known.tasks());
            let is_left = !host.is_set_up || host.is_left;
            let latest: Vec<_> =
                tasks.all().map(|it| (it.task, it.setups, it.attempt.outcome)).collect();
            assert!(
                is_left,
                "{label} was not torn down: {status:?} {:?} {latest:?} boot {:?}",
                known.duty,
                known.boot_id()
            );
        }
        self.seen.offered = self.over_at * u64::from(self.plan.hosts * self.plan.slots);
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
            assert_eq!(
                self.ended[index as usize],
                Some(state),
                "job {index}: {:?}",
                self.store.jobs()[index as usize]
            );
            // Only what an interrupt, a lost or a crashed host has cost runs again.
            let repeats = self.plan.long_cuts + self.plan.crashes + self.plan.removals;
            if !self.interrupted && repeats == 0 {
                assert_eq!(self.runs.get(&index).copied(), runs, "runs of job {index}");
            }
        }
        if self.plan.is_without_faults() {
            assert_eq!(self.seen.unannounced, 0, "hosts began jobs that no other knew of");
        }
        let may_overlap = self.plan.long_cuts > 0 && self.plan.on_lost == OnLost::Rerun;
        assert!(may_overlap || !self.overlapped, "two attempts of a job were alive at once");
        let mut scheduler = self.scheduler.take().unwrap();
        assert_eq!(scheduler.poll_action(), None);
        assert_eq!(scheduler.poll_timeout(), None);
        if self.plan.slow_job {
            assert!(self.over_at < 16_000, "jobs waited behind the slow one: {} ms", self.over_at);
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
            Happening::UserAdds { host } => self.user_adds(host),
            Happening::UserDrains { host } => self.user_drains(host),
            Happening::UserRemoves { host } => self.user_removes(host),
            Happening::UserSetsSlots { host, slots } => self.user_sets_slots(host, slots),
            Happening::LinkUp { host } => self.link_up(host),
            Happening::LinkBreak { host, length } => self.break_link(host, length),
            Happening::Crash { host } => self.crash(host),
            Happening::DiskFills { host, length } => {
                self.hosts[host as usize].full_until = self.now + length;
            }
            Happening::NoSpace { host, connection, key, times } => {
                self.no_space(host, connection, key, times);
            }
            Happening::Arrives { host, connection, message } => {
                let target = &self.hosts[host as usize];
                let arrives = target.up && target.connection == connection;
                if arrives && !self.is_swallowed(host, &message) {
                    self.receive(host, &message);
                }
            }
            Happening::InputsAway { host, key } => {
                self.input(|scheduler, now| scheduler.handle_inputs_away(now, host, key));
            }
            Happening::InputsBack { index } => {
                self.input(|scheduler, now| scheduler.handle_inputs_back(now, index));
            }
            Happening::TaskLog { host, connection, key } => {
                let target = &self.hosts[host.at()];
                if target.up && target.connection == connection {
                    self.input(|scheduler, now| {
                        scheduler.handle_task_log(now, host, key, Vec::new());
                    });
                }
            }
            Happening::Repeated { host, connection, at } => self.repeated(host, connection, at),
            Happening::Tail { host, connection, upto } => self.tail(host, connection, upto),
            Happening::HostCount { host, connection, hosts } => {
                let target = &self.hosts[host as usize];
                if target.up && target.connection == connection {
                    self.input(|it, now| it.handle_host_count(now, HostIx(host), hosts));
                }
            }
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
        let config = Config {
            seed: self.plan.seed,
            on_lost: self.plan.on_lost,
            lost_after: Duration::from_secs(5),
            ..Config::default()
        };
        self.scheduler = Some(Scheduler::new(config, self.store.clone()));
        let resumed = self.store.seq() > 0;
        self.input(|scheduler, _| {
            scheduler.handle_start("2026-11-22-1".parse().unwrap(), resumed);
        });
        for (at, host) in self.store.hosts().iter().enumerate() {
            self.hosts[at].closed = host.is_gone();
        }
        for host in 0..self.store.hosts().len() as u32 {
            let soon = self.now + self.rng.u64(1..50);
            let at = self.hosts[host as usize].cut_until.max(soon);
            self.at(at, Happening::LinkUp { host });
        }
    }

    fn kill_manager(&mut self) {
        if self.stopped.is_none() && self.scheduler.is_some() {
            self.check_run();
            self.scheduler = None;
            self.seen.restarts += 1;
            self.drop_links();
            self.soon(500, Happening::ManagerStarts);
        }
    }

    /// What was committed is all that the manager knew of the run.
    fn check_run(&self) {
        assert_eq!(self.scheduler.as_ref().map(Scheduler::run), Some(&self.store));
    }

    fn drop_links(&mut self) {
        for host in &mut self.hosts {
            host.up = false;
            host.queue.clear();
        }
    }

    /// Feeds the scheduler and carries out what it wants.
    fn input(&mut self, feed: impl FnOnce(&mut Scheduler, Duration)) {
        let now = Duration::from_millis(self.now - self.began);
        let Some(scheduler) = &mut self.scheduler else {
            return;
        };
        scheduler.set_time(Timestamp(self.now));
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
            Action::Emit { event, .. } => return self.commit(&event),
            Action::Stop(end) => return self.stop(end),
            Action::Collect { host, key } => return self.collect(host, key),
            Action::ForgetOutputs { .. } | Action::LoseOutputs { .. } => return,
            Action::FetchTaskLog { host, key } => {
                let connection = self.hosts[host.at()].connection;
                return self.soon(100, Happening::TaskLog { host, connection, key });
            }
            Action::Release { host } => {
                let sim = &mut self.hosts[host.at()];
                assert!(sim.running.is_empty(), "{host:?} was left with jobs");
                return (sim.up, sim.closed) = (false, true);
            }
            Action::Reject { host: HostIx(0), .. } if self.plan.bad_setup => {
                let sim = &mut self.hosts[0];
                sim.queue.clear();
                return (sim.up, sim.closed) = (false, true);
            }
            Action::Reject { host, reason } => panic!("{host:?} is out: {reason}"),
            Action::Launch { host, key } => {
                let duty = self.store.hosts()[host.at()].duty;
                let serves = duty == HostDuty::Serving || self.is_teardown(key);
                assert!(serves, "{key} for {host:?}, which is {duty:?}");
                if self.plan.away > 0 && self.rng.u32(..self.plan.away) == 0 {
                    return self.keep_launch(host, key);
                }
                self.scheduler.iter_mut().for_each(|scheduler| scheduler.note_sent(key));
                let known = self.hosts[host.at()].known_dropped.get(&key).copied();
                (host, Message::Launch(key, known.unwrap_or(0)))
            }
            Action::TellHostCount { host, hosts } => (host, Message::HostCount(hosts)),
            Action::Withdraw { host, key } => (host, Message::Withdraw(key)),
            Action::Order { host, key, order } => (host, Message::order(key, order)),
        };
        let connection = self.hosts[host.at()].connection;
        let what = Happening::Arrives { host: host.0, connection, message };
        // A stream keeps its order: the same delay for every message.
        self.at(self.now + 5, what.clone());
        if self.rng.u32(..20) == 0
            && matches!(what, Happening::Arrives { message: Message::Launch(..), .. })
        {
            self.at(self.now + 6, what);
        }
    }

    /// A launch is not sent, for what it needs has to be fetched again.
    fn keep_launch(&mut self, host: HostIx, key: Key) {
        self.seen.away += 1;
        self.at(self.now, Happening::InputsAway { host, key });
        self.soon(3_000, Happening::InputsBack { index: key.index });
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
        self.over_at = self.now;
        self.stopped = Some(end);
        // Users add hosts before they resume it.
        if matches!(end, RunEnd::Interrupted | RunEnd::NoHosts) {
            self.drop_links();
            self.scheduler = None;
            self.soon(500, Happening::ManagerStarts);
        }
    }

    fn commit(&mut self, event: &Event) {
        let before = event.what.key().and_then(|key| self.store.host_in_flight(key.index));
        self.store.apply(event);
        match &event.what {
            What::Attempt(AttemptEvent { key, change, .. }) => self.see_attempt(*key, change),
            What::Job(JobEvent { key, change: JobChange::Ended { state, .. } }) => {
                let has_outputs = self.collected.contains(key);
                assert_eq!(has_outputs, self.plan.outputs && *state == State::Done, "{key}");
                let before = self.ended[key.index as usize].replace(*state);
                assert_eq!(before, None, "job {} has two outcomes", key.index);
            }
            What::Host(HostEvent { change: HostChange::Restarted { jobs }, .. }) => {
                self.seen.host_restarts += 1;
                self.seen.begun_again += jobs;
            }
            What::Host(HostEvent { change: HostChange::Added { .. }, .. }) => {
                // As settings have it, which say what is run once on a host.
                let hosts = self.store.hosts().len();
                let tasks = std::iter::repeat_with(|| self.plan.host_tasks()).take(hosts);
                self.store = self.store.clone().with_tasks(tasks);
            }
            // It may have no space for it, either.
            What::Host(HostEvent {
                host,
                change:
                    HostChange::TaskSkipped { task: HostTask::Teardown, .. }
                    | HostChange::TaskEnded { task: HostTask::Teardown, end: TaskEnd::Refused, .. },
            }) => {
                let at = self.store.hosts().iter().position(|known| known.label == *host);
                self.hosts[at.unwrap()].is_left = true;
            }
            What::Run(_) | What::Host(_) | What::Job(_) | What::Transfer(_) => {}
        }
        let won = matches!(
            &event.what,
            What::Attempt(AttemptEvent { change: AttemptChange::Collecting, .. })
                | What::Job(JobEvent { change: JobChange::Ended { .. }, .. })
        );
        if won && before.is_some() {
            self.seen.won_late += 1;
        }
    }

    fn see_attempt(&mut self, key: Key, change: &AttemptChange) {
        let seen = &mut self.seen;
        match change {
            AttemptChange::Abandoned { .. } => seen.abandoned += 1,
            AttemptChange::Superseded => seen.superseded += 1,
            AttemptChange::Lost { .. } => seen.lost += 1,
            AttemptChange::Withdrawn => seen.withdrawn += 1,
            AttemptChange::CollectFailed { .. } => seen.outputs_given_up += 1,
            AttemptChange::Collected { .. } => {
                assert!(self.collected.insert(key), "the outputs of {key} came twice");
            }
            AttemptChange::Assigned
            | AttemptChange::Started { .. }
            | AttemptChange::Exited { .. }
            | AttemptChange::Refused { .. }
            | AttemptChange::Collecting => {}
        }
    }
}
