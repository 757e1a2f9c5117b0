use super::*;
use crate::outcome::{Ending, Finish};
use crate::record::Record;

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
    scheduler.handle_host_up(NOW, H0, "h", 4);
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
    scheduler.handle_host_up(NOW, H0, "h", 1);
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
    scheduler.handle_host_up(NOW, H0, "h", 1);
    let kill = Action::Kill { host: H0, key: given_up, cause: Cause::Superseded };
    assert_eq!(orders(&mut scheduler), [kill]);
    scheduler.handle_host_up(NOW, HostIx(1), "h", 1);
    let kill = Action::Kill { host: HostIx(1), key: Key::new(0, 2), cause: Cause::Killed };
    assert_eq!(orders(&mut scheduler), [kill]);
    assert!(!scheduler.handle_pause(0) && !scheduler.handle_resume(0));
}

#[test]
fn an_interrupt_does_not_save_a_job_that_is_to_be_ended() {
    let mut scheduler = scheduler(Config::default(), 1, &[init(JobStart::Running(H0))]);
    scheduler.handle_host_up(NOW, H0, "h", 1);
    assert!(scheduler.handle_kill(0));
    scheduler.handle_interrupt(NOW);
    actions(&mut scheduler);
    let at = crate::time::Timestamp(5);
    let finish = Finish {
        key: Some(Key::new(0, 1)),
        id: "h/2026-11-22-1".parse().unwrap(),
        ending: Ending::Signal(15),
        cause: Some(Cause::Interrupted),
        started: at,
        ended: at,
        user_us: 0,
        system_us: 0,
        max_rss_kib: 0,
        stdout_bytes: 0,
        stderr_bytes: 0,
    };
    scheduler.handle_record(NOW, H0, Record::Finished(finish));
    assert_eq!(scheduler.job_state(0), Some(State::Error));
}
