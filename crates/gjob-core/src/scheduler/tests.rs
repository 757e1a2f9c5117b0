mod abandoned;
mod adopt;
mod bound;
mod connecting;
mod dependants;
mod duty;
mod full;
mod inputs;
mod lost;
mod memory;
mod packing;
mod restarted;
mod sharing;
mod tasks;
mod unanswered;
mod unasked;

use std::sync::Arc;

use super::*;
use crate::JobSpec;
use crate::dependency::Dependencies;
use crate::event::RunEnd;
use crate::outcome::{Ending, Finish};
use crate::record::{Record, Scope};
use crate::resources::{Ask, Cpus, Offer};
use crate::run::{Attempt, RunParts, Tally};

pub(super) const NOW: Duration = Duration::from_secs(1);

/// A job as a run has it when a scheduler takes it over.
#[derive(Clone, Copy)]
pub(super) struct Init {
    retries: u32,
    attempt: u32,
    start: Start,
    paused: bool,
    pub(super) collects: bool,
    ask: Ask,
    retry_mem: Option<f64>,
    /// Attempt 1 was abandoned on this host, and may be alive.
    abandoned: Option<HostIx>,
}

#[derive(Clone, Copy)]
enum Start {
    Waiting,
    Assigned(HostIx),
    Running(HostIx),
    Ended(State),
}

impl Init {
    pub(super) fn new(retries: u32) -> Self {
        let start = Start::Waiting;
        let ask = Ask::default();
        Init {
            retries,
            attempt: 0,
            start,
            paused: false,
            collects: false,
            ask,
            retry_mem: None,
            abandoned: None,
        }
    }

    fn job(self, index: u32) -> (Job, Option<Attempt>) {
        let mut spec = JobSpec::new(["true"]).unwrap().retries(self.retries);
        (spec.cpus, spec.gpus) = (self.ask.cpus, self.ask.gpus);
        spec.mem = Some(self.ask.mem);
        spec.retry_mem = self.retry_mem;
        if self.collects {
            spec = spec.outputs(["x"]);
        }
        let mut job = Job { index, paused: self.paused, ..Job::new(spec) };
        job.last_attempt = self.attempt;
        let on = |host: HostIx, attempt| {
            Attempt::new(Key::new(index, attempt), label(host), Timestamp(0))
        };
        let (phase, host) = match self.start {
            Start::Waiting => (Phase::Waiting, None),
            Start::Assigned(host) => (Phase::Assigned, Some(host)),
            Start::Running(host) => (Phase::Running, Some(host)),
            Start::Ended(state) => (Phase::Ended(state), None),
        };
        job.phase = phase;
        job.attempt = host.map(|host| Box::new(on(host, self.attempt)));
        (job, self.abandoned.map(|host| on(host, 1)))
    }
}

fn label(host: HostIx) -> HostLabel {
    format!("h{}", host.0).parse().unwrap()
}

pub(super) fn scheduler(config: Config, hosts: u32, jobs: &[Init]) -> Scheduler {
    scheduler_with(config, hosts, jobs, Dependencies::default())
}

fn scheduler_with(
    config: Config,
    hosts: u32,
    jobs: &[Init],
    dependencies: Dependencies,
) -> Scheduler {
    let (jobs, others): (Vec<_>, Vec<_>) =
        (0..).zip(jobs).map(|(index, init)| init.job(index)).unzip();
    let hosts = (0..hosts).map(|host| crate::run::Host::new(label(HostIx(host)))).collect();
    let others = others.into_iter().flatten().collect();
    let parts = RunParts {
        hosts,
        jobs,
        others,
        dependencies,
        ended: None,
        over_at: None,
        revision: 0,
        seq: 0,
    };
    Scheduler::new(config, Run::from_parts(parts))
}

fn init(start: Start) -> Init {
    Init { attempt: 1, start, ..Init::new(0) }
}

pub(super) fn facts(cpus: u32) -> HostFacts {
    offers(Offer::cpus(cpus))
}

fn offers(offer: Offer) -> HostFacts {
    HostFacts { hostname: "h".into(), offer, ..HostFacts::default() }
}

/// All but what is told to every host that is reached.
fn actions(scheduler: &mut Scheduler) -> Vec<Action> {
    let mut all = all_actions(scheduler);
    all.retain(|action| !matches!(action, Action::TellHostCount { .. }));
    all
}

fn all_actions(scheduler: &mut Scheduler) -> Vec<Action> {
    std::iter::from_fn(|| scheduler.poll_action()).collect()
}

fn events(scheduler: &mut Scheduler) -> Vec<What> {
    let what = |action| match action {
        Action::Emit { event, .. } => Some(event.what),
        _ => None,
    };
    actions(scheduler).into_iter().filter_map(what).collect()
}

fn job_event(key: Key, change: JobChange) -> What {
    What::Job(JobEvent { key, change })
}

fn run_ended(end: RunEnd, jobs: Tally) -> What {
    What::Run(RunEvent::Ended { end, jobs })
}

/// The launches that are sent to hosts, in order.
fn launches(scheduler: &mut Scheduler) -> Vec<(HostIx, Key)> {
    let launch = |action| match action {
        Action::Launch { host, key } => Some((host, key)),
        _ => None,
    };
    actions(scheduler).into_iter().filter_map(launch).collect()
}

/// What is sent to hosts.
fn orders(scheduler: &mut Scheduler) -> Vec<Action> {
    let mut all = actions(scheduler);
    all.retain(|action| !matches!(action, Action::Emit { .. }));
    all
}

pub(super) fn finished(key: Key, ending: Ending, cause: Option<Cause>) -> Record {
    let at = crate::time::Timestamp(5);
    let finish = Finish::new("h/2026-11-22-1".parse().unwrap(), ending, at, at);
    Record::Finished(Finish { key: Some(key), cause, ..finish })
}

const H0: HostIx = HostIx(0);

#[test]
fn a_run_does_not_end_between_two_jobs_of_one_retry() {
    let failed = init(Start::Ended(State::Error));
    let config = Config { halt: Some(crate::halt::Halt::after_failures(1)), ..Config::default() };
    let mut scheduler = scheduler(config, 1, &[failed, failed]);
    assert_eq!((scheduler.handle_retry(0), scheduler.handle_retry(1)), (vec![0], vec![1]));
    scheduler.settle(NOW);
    let reopened = |index| job_event(Key::new(index, 1), JobChange::Reopened);
    assert_eq!(events(&mut scheduler), [reopened(0), reopened(1)]);
    scheduler.handle_host_up(NOW, H0, facts(4));
    let launch = |index| Action::Launch { host: H0, key: Key::new(index, 2) };
    assert_eq!(orders(&mut scheduler), [launch(0), launch(1)]);
}

#[test]
fn a_kill_reaches_attempts_that_were_given_up_and_waits_for_them() {
    let (ended, given_up) = (init(Start::Ended(State::Done)), Key::new(0, 1));
    let job = Init { attempt: 2, abandoned: Some(H0), ..ended };
    let mut scheduler = scheduler(Config::default(), 2, &[job]);
    assert!(scheduler.handle_kill(0));
    assert_eq!(scheduler.attempts_left(0), [(H0, given_up)]);
    assert_eq!(orders(&mut scheduler), [], "its host can't be told");
    scheduler.act_only();
    scheduler.handle_host_up(NOW, H0, facts(1));
    let kill = Action::Order { host: H0, key: given_up, order: Order::kill(Cause::Superseded) };
    assert!(scheduler.handle_kill(0));
    assert_eq!(orders(&mut scheduler), [kill.clone(), kill]);
    let at = crate::time::Timestamp(5);
    scheduler.handle_record(NOW, H0, Record::Withdrawn { key: given_up, at });
    assert_eq!(scheduler.attempts_left(0), []);
    assert!(!scheduler.handle_kill(0), "nothing is left of it");
}

#[test]
fn a_job_that_is_to_be_ended_does_not_race_an_attempt_that_comes_back() {
    let running = init(Start::Running(HostIx(1)));
    let running = Init { attempt: 2, abandoned: Some(H0), ..running };
    let mut scheduler = scheduler(Config::default(), 2, &[running]);
    let given_up = Key::new(0, 1);
    assert!(scheduler.handle_kill(0));
    assert_eq!(events(&mut scheduler), [job_event(Key::new(0, 2), JobChange::KillRequested)]);
    scheduler.handle_host_up(NOW, H0, facts(1));
    let kill = Action::Order { host: H0, key: given_up, order: Order::kill(Cause::Superseded) };
    assert_eq!(orders(&mut scheduler), [kill]);
    scheduler.handle_host_up(NOW, HostIx(1), facts(1));
    let kill =
        Action::Order { host: HostIx(1), key: Key::new(0, 2), order: Order::kill(Cause::Killed) };
    assert_eq!(orders(&mut scheduler), [kill]);
    assert!(!scheduler.handle_pause(0) && !scheduler.handle_resume(0));
}

#[test]
fn an_interrupt_does_not_save_a_job_that_is_to_be_ended() {
    let mut scheduler = scheduler(Config::default(), 1, &[init(Start::Running(H0))]);
    scheduler.handle_host_up(NOW, H0, facts(1));
    assert!(scheduler.handle_kill(0));
    scheduler.handle_interrupt(NOW);
    actions(&mut scheduler);
    let ended = finished(Key::new(0, 1), Ending::Signal(15), Some(Cause::Interrupted));
    scheduler.handle_record(NOW, H0, ended);
    assert_eq!(scheduler.state(0), JobState::Ended(State::Error));
}

#[test]
fn a_hosts_reason_is_an_event_without_what_does_not_print() {
    let mut scheduler = scheduler(Config::default(), 1, &[init(Start::Running(H0))]);
    scheduler.handle_host_up(NOW, H0, facts(1));
    events(&mut scheduler);
    let (key, at) = (Key::new(0, 1), crate::time::Timestamp(0));
    let reason = "no\u{202e} bash\u{1b}[2J\u{e0041}".into();
    scheduler.handle_record(NOW, H0, Record::Refused { key, reason, scope: Scope::Job, at });
    let reasons = events(&mut scheduler).into_iter().filter_map(|event| match event {
        What::Attempt(AttemptEvent { change: AttemptChange::Refused { reason, .. }, .. }) => {
            Some(reason)
        }
        What::Job(JobEvent { change: JobChange::Ended { reason, .. }, .. }) => reason,
        _ => None,
    });
    assert_eq!(reasons.collect::<Vec<_>>(), ["no  bash [2J"; 2]);
}

/// Runs on until nothing is due any more; hosts refuse all they are given.
fn refuse_all(scheduler: &mut Scheduler) -> (Duration, Vec<What>) {
    let (mut now, mut told) = (NOW, Vec::new());
    loop {
        while let Some(action) = scheduler.poll_action() {
            match action {
                Action::Emit { event, .. } => told.push(event.what),
                Action::Launch { host, key } => {
                    let (reason, at) = ("slots die".into(), crate::time::Timestamp(0));
                    let record = Record::Refused { key, reason, scope: Scope::Host, at };
                    scheduler.handle_record(now, host, record);
                }
                _ => {}
            }
        }
        let Some(due) = scheduler.poll_timeout() else { return (now, told) };
        now = now.max(due);
        scheduler.handle_timeout(now);
    }
}

#[test]
fn a_run_whose_hosts_never_begin_anything_ends_soon_and_keeps_its_jobs() {
    for hosts in 1..4 {
        let mut scheduler = scheduler(Config::default(), hosts, &[Init::new(0); 5]);
        (0..hosts).for_each(|host| scheduler.handle_host_up(NOW, HostIx(host), facts(2)));
        let (ended, told) = refuse_all(&mut scheduler);
        assert!(ended < Duration::from_secs(60), "{hosts} hosts: {ended:?}");
        let end = RunEnd::NoHosts;
        let all_left = run_ended(end, Tally { free: 5, ..Tally::default() });
        assert_eq!(told.last(), Some(&all_left));
    }
}

#[test]
fn a_host_that_has_begun_jobs_is_tried_again_and_a_job_it_fails_is_stopped() {
    let running = init(Start::Running(H0));
    let mut scheduler = scheduler(Config::default(), 1, &[Init::new(0), running]);
    scheduler.handle_host_up(NOW, H0, facts(1));
    scheduler.handle_record(NOW, H0, finished(Key::new(1, 1), Ending::Exit(1), None));
    let (_, told) = refuse_all(&mut scheduler);
    let end = RunEnd::Complete;
    let all_failed = run_ended(end, Tally { error: 2, ..Tally::default() });
    assert_eq!(told.last(), Some(&all_failed));
}

#[test]
fn a_host_kept_for_a_job_takes_those_before_it() {
    let ask = |cpus| Ask { cpus: Cpus::Count(cpus), ..Ask::default() };
    let job = |cpus| Init { ask: ask(cpus), ..Init::new(0) };
    let jobs = [job(2), job(2), job(3), job(1)];
    let config = Config { on_lost: OnLost::Lease, ..Config::default() };
    let mut scheduler = scheduler(config, 1, &jobs);
    // 0 and 1 run; the host is kept for 2, and 3 does not pass it.
    scheduler.handle_host_up(NOW, H0, facts(4));
    let launched = |scheduler: &mut Scheduler| -> Vec<u32> {
        let launch = |action| match action {
            Action::Launch { key, .. } => Some(key.index),
            _ => None,
        };
        actions(scheduler).into_iter().filter_map(launch).collect()
    };
    assert_eq!(launched(&mut scheduler), [0, 1]);
    // 0 has failed for a reason of its host's: it waits before 2 again.
    let lost = finished(Key::new(0, 1), Ending::Signal(15), Some(Cause::Lease));
    scheduler.handle_record(NOW, H0, lost);
    assert_eq!(launched(&mut scheduler), [0]);
    scheduler.handle_record(NOW, H0, finished(Key::new(1, 1), Ending::Exit(0), None));
    assert!(launched(&mut scheduler).is_empty());
    scheduler.handle_record(NOW, H0, finished(Key::new(0, 2), Ending::Exit(0), None));
    assert_eq!(launched(&mut scheduler), [2, 3]);
}
