mod dependants;
mod packing;

use super::*;
use crate::outcome::{Ending, Finish};
use crate::record::{Record, Scope};
use crate::resources::{Ask, Cpus};

const NOW: Duration = Duration::from_secs(1);

fn scheduler(config: Config, hosts: u32, jobs: &[JobInit]) -> Scheduler {
    let labels = (0..hosts).map(|host| format!("h{host}").parse().unwrap());
    Scheduler::new(config, labels, jobs.iter().copied())
}

fn init(start: JobStart) -> JobInit {
    JobInit { attempt: 1, start, ..JobInit::new(0) }
}

fn actions(scheduler: &mut Scheduler) -> Vec<Action> {
    std::iter::from_fn(|| scheduler.poll_action()).collect()
}

fn events(scheduler: &mut Scheduler) -> Vec<EventKind> {
    let kind = |action| match action {
        Action::Emit(kind) => Some(kind),
        _ => None,
    };
    actions(scheduler).into_iter().filter_map(kind).collect()
}

/// What is sent to hosts.
fn orders(scheduler: &mut Scheduler) -> Vec<Action> {
    let mut all = actions(scheduler);
    all.retain(|action| !matches!(action, Action::Emit(_)));
    all
}

fn finished(key: Key, ending: Ending, cause: Option<Cause>) -> Record {
    let at = crate::time::Timestamp(5);
    Record::Finished(Finish {
        key: Some(key),
        id: "h/2026-11-22-1".parse().unwrap(),
        ending,
        cause,
        started: at,
        ended: at,
        user_us: 0,
        system_us: 0,
        max_rss_kib: 0,
        stdout_bytes: 0,
        stderr_bytes: 0,
        survivors: Vec::new(),
    })
}

const H0: HostIx = HostIx(0);

#[test]
fn a_run_does_not_end_between_two_jobs_of_one_retry() {
    let failed = init(JobStart::Ended(State::Error));
    let config = Config { max_fails: Some(1), ..Config::default() };
    let mut scheduler = scheduler(config, 1, &[failed, failed]);
    assert!(scheduler.handle_retry(0) && scheduler.handle_retry(1));
    scheduler.settle(NOW);
    let reopened = |index| EventKind::JobReopened { key: Key::new(index, 1) };
    assert_eq!(events(&mut scheduler), [reopened(0), reopened(1)]);
    scheduler.handle_host_up(NOW, H0, "h", Offer::cpus(4));
    let launch = |index| Action::Launch { host: H0, key: Key::new(index, 2) };
    assert_eq!(orders(&mut scheduler), [launch(0), launch(1)]);
}

#[test]
fn a_kill_reaches_attempts_that_were_given_up_and_waits_for_them() {
    let (ended, given_up) = (init(JobStart::Ended(State::Done)), Key::new(0, 1));
    let mut scheduler = scheduler(Config::default(), 2, &[JobInit { attempt: 2, ..ended }]);
    scheduler.add_abandoned(H0, given_up);
    assert!(scheduler.handle_kill(0));
    assert_eq!(scheduler.attempts_left(0), [(H0, given_up)]);
    assert_eq!(orders(&mut scheduler), [], "its host can't be told");
    scheduler.act_only();
    scheduler.handle_host_up(NOW, H0, "h", Offer::cpus(1));
    let kill = Action::Kill { host: H0, key: given_up, cause: Cause::Superseded };
    assert!(scheduler.handle_kill(0));
    assert_eq!(orders(&mut scheduler), [kill.clone(), kill]);
    let at = crate::time::Timestamp(5);
    scheduler.handle_record(NOW, H0, Record::Withdrawn { key: given_up, at });
    assert_eq!(scheduler.attempts_left(0), []);
    assert!(!scheduler.handle_kill(0), "nothing is left of it");
}

#[test]
fn a_job_that_is_to_be_ended_does_not_race_an_attempt_that_comes_back() {
    let running = JobInit { attempt: 2, ..init(JobStart::Running(HostIx(1))) };
    let mut scheduler = scheduler(Config::default(), 2, &[running]);
    let given_up = Key::new(0, 1);
    scheduler.add_abandoned(H0, given_up);
    assert!(scheduler.handle_kill(0));
    assert_eq!(events(&mut scheduler), [EventKind::JobKillAsked { key: Key::new(0, 2) }]);
    scheduler.handle_host_up(NOW, H0, "h", Offer::cpus(1));
    let kill = Action::Kill { host: H0, key: given_up, cause: Cause::Superseded };
    assert_eq!(orders(&mut scheduler), [kill]);
    scheduler.handle_host_up(NOW, HostIx(1), "h", Offer::cpus(1));
    let kill = Action::Kill { host: HostIx(1), key: Key::new(0, 2), cause: Cause::Killed };
    assert_eq!(orders(&mut scheduler), [kill]);
    assert!(!scheduler.handle_pause(0) && !scheduler.handle_resume(0));
}

#[test]
fn an_interrupt_does_not_save_a_job_that_is_to_be_ended() {
    let mut scheduler = scheduler(Config::default(), 1, &[init(JobStart::Running(H0))]);
    scheduler.handle_host_up(NOW, H0, "h", Offer::cpus(1));
    assert!(scheduler.handle_kill(0));
    scheduler.handle_interrupt(NOW);
    actions(&mut scheduler);
    let ended = finished(Key::new(0, 1), Ending::Signal(15), Some(Cause::Interrupted));
    scheduler.handle_record(NOW, H0, ended);
    assert_eq!(scheduler.job_state(0), Some(State::Error));
}

#[test]
fn a_hosts_reason_is_an_event_without_what_does_not_print() {
    let mut scheduler = scheduler(Config::default(), 1, &[init(JobStart::Running(H0))]);
    scheduler.handle_host_up(NOW, H0, "h", Offer::cpus(1));
    events(&mut scheduler);
    let (key, at) = (Key::new(0, 1), crate::time::Timestamp(0));
    let reason = "no\u{202e} bash\u{1b}[2J\u{e0041}".into();
    scheduler.handle_record(NOW, H0, Record::Refused { key, reason, scope: Scope::Job, at });
    let reasons = events(&mut scheduler).into_iter().filter_map(|event| match event {
        EventKind::JobRefused { reason, .. } => Some(reason),
        EventKind::JobEnded { reason, .. } => reason,
        _ => None,
    });
    assert_eq!(reasons.collect::<Vec<_>>(), ["no  bash [2J"; 2]);
}

/// Runs on until nothing is due any more; hosts refuse all they are given.
fn refuse_all(scheduler: &mut Scheduler) -> (Duration, Vec<EventKind>) {
    let (mut now, mut told) = (NOW, Vec::new());
    loop {
        while let Some(action) = scheduler.poll_action() {
            match action {
                Action::Emit(kind) => told.push(kind),
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
        let mut scheduler = scheduler(Config::default(), hosts, &[JobInit::new(0); 5]);
        (0..hosts)
            .for_each(|host| scheduler.handle_host_up(NOW, HostIx(host), "h", Offer::cpus(2)));
        let (ended, told) = refuse_all(&mut scheduler);
        assert!(ended < Duration::from_secs(60), "{hosts} hosts: {ended:?}");
        let end = RunEnd::NoHosts;
        let all_left = EventKind::RunEnded { end, done: 0, error: 0, unknown: 0, left: 5 };
        assert_eq!(told.last(), Some(&all_left));
    }
}

#[test]
fn a_host_that_has_begun_jobs_is_tried_again_and_a_job_it_fails_is_stopped() {
    let running = init(JobStart::Running(H0));
    let mut scheduler = scheduler(Config::default(), 1, &[JobInit::new(0), running]);
    scheduler.handle_host_up(NOW, H0, "h", Offer::cpus(1));
    scheduler.handle_record(NOW, H0, finished(Key::new(1, 1), Ending::Exit(1), None));
    let (_, told) = refuse_all(&mut scheduler);
    let end = RunEnd::Complete;
    let all_failed = EventKind::RunEnded { end, done: 0, error: 2, unknown: 0, left: 0 };
    assert_eq!(told.last(), Some(&all_failed));
}

#[test]
fn a_host_kept_for_a_job_takes_those_before_it() {
    let ask = |cpus| Ask { cpus: Cpus::Count(cpus), ..Ask::default() };
    let job = |cpus| JobInit { ask: ask(cpus), ..JobInit::new(0) };
    let jobs = [job(2), job(2), job(3), job(1)];
    let mut scheduler = scheduler(Config::default(), 1, &jobs);
    // 0 and 1 run; the host is kept for 2, and 3 does not pass it.
    scheduler.handle_host_up(NOW, H0, "h", Offer::cpus(4));
    let launched = |scheduler: &mut Scheduler| -> Vec<u32> {
        let launch = |action| match action {
            Action::Launch { key, .. } => Some(key.index),
            _ => None,
        };
        actions(scheduler).into_iter().filter_map(launch).collect()
    };
    assert_eq!(launched(&mut scheduler), [0, 1]);
    // 0 has failed for a reason of its host's: it waits before 2 again.
    let refused = Record::Withdrawn { key: Key::new(0, 1), at: crate::time::Timestamp(0) };
    scheduler.handle_record(NOW, H0, refused);
    assert_eq!(launched(&mut scheduler), [0]);
    scheduler.handle_record(NOW, H0, finished(Key::new(1, 1), Ending::Exit(0), None));
    assert!(launched(&mut scheduler).is_empty());
    scheduler.handle_record(NOW, H0, finished(Key::new(0, 2), Ending::Exit(0), None));
    assert_eq!(launched(&mut scheduler), [2, 3]);
}

#[test]
fn the_census_is_the_sum_over_all_hosts() {
    let mut jobs = [JobInit::new(0); 40];
    jobs[..20].iter_mut().for_each(|job| job.collects = true);
    let mut scheduler = scheduler(Config::default(), 4, &jobs);
    let mut rng = fastrand::Rng::with_seed(5);
    let mut now = NOW;
    for _ in 0..4000 {
        now += Duration::from_millis(rng.u64(..100));
        let (host, index) = (HostIx(rng.u32(..4)), rng.u32(..40));
        let key = Key::new(index, scheduler.jobs[index as usize].attempt);
        let (id, at) = ("h/2026-11-22-1".parse().unwrap(), crate::time::Timestamp(0));
        let ending = Ending::Exit(u8::from(index >= 20));
        let refused = Err((Scope::Job, "no output".to_owned()));
        match rng.u32(..10) {
            0 => scheduler.handle_host_up(now, host, "h", Offer::cpus(rng.u32(1..4))),
            1 => scheduler.handle_host_unknown(now, host, "cut"),
            2 if rng.u32(..4) == 0 => scheduler.handle_host_error(now, host, "out"),
            3..6 => drop(scheduler.handle_record(now, host, finished(key, ending, None))),
            6 => drop(scheduler.handle_record(now, host, Record::Started { key, id, pid: 1, at })),
            7 => drop(scheduler.handle_record(now, host, Record::Withdrawn { key, at })),
            8 => scheduler.handle_outputs(now, host, key, refused),
            _ => scheduler.handle_timeout(now),
        }
        for index in 0..40 {
            scheduler.handle_retry(index);
        }
        if !matches!(scheduler.mode, Mode::Stopped) {
            scheduler.settle(now);
        }
        scheduler.mode = Mode::Running;
        let mut sums = Census::default();
        for host in &scheduler.hosts {
            let held = host.in_flight().map(|index| scheduler.jobs[index as usize].state);
            let asked_back = held.filter(|state| matches!(state, JobState::Withdrawing { .. }));
            assert_eq!(host.asked_back, asked_back.count() as u32);
            let mut nothing = Census::default();
            sums.replace(&mut nothing, host.count(host.capacity()));
        }
        assert_eq!(scheduler.census, sums);
    }
}
