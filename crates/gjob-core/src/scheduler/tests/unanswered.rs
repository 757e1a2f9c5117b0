//! Orders that a host never gets, although it answers pings.

use super::*;

const KEY: Key = Key::new(0, 1);

fn scheduler_of_one(jobs: &[Init]) -> Scheduler {
    let config = Config { lost_after: seconds(10), ..Config::default() };
    let mut scheduler = scheduler(config, 1, jobs);
    scheduler.handle_host_up(NOW, H0, facts(1));
    scheduler
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn started(key: Key) -> Record {
    let id = "h/2026-11-22-1".parse().unwrap();
    Record::Started { key, id, pid: 1, at: Timestamp(3), processors: Vec::new() }
}

/// Lets time pass until then; what is sent to hosts meanwhile.
fn sent_until(scheduler: &mut Scheduler, until: Duration) -> Vec<Action> {
    let mut sent = orders(scheduler);
    while let Some(due) = scheduler.poll_timeout().filter(|due| *due <= until) {
        scheduler.handle_timeout(due);
        sent.extend(orders(scheduler));
    }
    sent
}

#[test]
fn launch_that_is_not_answered_is_sent_again_until_it_is() {
    let mut scheduler = scheduler_of_one(&[Init::new(0)]);
    let launch = Action::Launch { host: H0, key: KEY };
    assert_eq!(sent_until(&mut scheduler, NOW + seconds(9)), std::slice::from_ref(&launch));
    let sent = sent_until(&mut scheduler, NOW + seconds(25));
    assert_eq!(sent, [launch.clone(), launch]);
    scheduler.handle_record(NOW + seconds(26), H0, started(KEY));
    assert_eq!(sent_until(&mut scheduler, NOW + seconds(99)), []);
}

#[test]
fn nothing_is_launched_again_that_is_to_be_killed() {
    let mut scheduler = scheduler_of_one(&[Init::new(0)]);
    assert!(scheduler.handle_kill(0));
    scheduler.settle(NOW);
    let kill = Action::Order { host: H0, key: KEY, order: Order::kill(Cause::Killed) };
    let sent = sent_until(&mut scheduler, NOW + seconds(15));
    assert_eq!(sent, [Action::Launch { host: H0, key: KEY }, kill.clone(), kill]);
}

#[test]
fn kill_of_a_running_job_is_sent_again_until_it_has_ended() {
    for is_interrupted in [false, true] {
        let mut scheduler = scheduler_of_one(&[Init::new(0)]);
        scheduler.handle_record(NOW, H0, started(KEY));
        actions(&mut scheduler);
        let cause = match is_interrupted {
            true => {
                scheduler.handle_interrupt(NOW);
                Cause::Interrupted
            }
            false => {
                assert!(scheduler.handle_kill(0) && scheduler.handle_kill(0));
                scheduler.settle(NOW);
                actions(&mut scheduler);
                Cause::Killed
            }
        };
        actions(&mut scheduler);
        let kill = Action::Order { host: H0, key: KEY, order: Order::kill(cause) };
        assert_eq!(sent_until(&mut scheduler, NOW + seconds(25)), [kill.clone(), kill]);
        // Whatever comes twice changes nothing.
        scheduler.handle_record(NOW + seconds(26), H0, started(KEY));
        assert_eq!(orders(&mut scheduler), []);
        let end = finished(KEY, Ending::Signal(15), Some(cause));
        assert!(scheduler.handle_record(NOW + seconds(26), H0, end.clone()));
        assert!(!scheduler.handle_record(NOW + seconds(26), H0, end));
        let is_kill = |action: &Action| matches!(action, Action::Order { .. });
        assert!(!sent_until(&mut scheduler, NOW + seconds(99)).iter().any(is_kill));
    }
}

#[test]
fn pause_and_resumption_are_sent_again_as_long_as_they_hold_and_not_without_end() {
    let mut scheduler = scheduler_of_one(&[Init::new(0)]);
    scheduler.handle_record(NOW, H0, started(KEY));
    actions(&mut scheduler);
    let sends = |order| Action::Order { host: H0, key: KEY, order };
    assert!(scheduler.handle_pause(0));
    scheduler.settle(NOW);
    let sent = sent_until(&mut scheduler, NOW + seconds(15));
    assert_eq!(sent, [sends(Order::Pause), sends(Order::Pause)]);
    // What a user has asked for since is what is sent.
    assert!(scheduler.handle_resume(0));
    scheduler.settle(NOW + seconds(15));
    let sent = sent_until(&mut scheduler, NOW + seconds(99));
    assert_eq!(sent, [sends(Order::Resume), sends(Order::Resume), sends(Order::Resume)]);
    let end = finished(KEY, Ending::Exit(0), None);
    assert!(scheduler.handle_record(NOW + seconds(99), H0, end));
    assert_eq!(orders(&mut scheduler), [Action::Stop(RunEnd::Complete)]);
}

#[test]
fn withdrawal_is_sent_again_to_a_host_that_works() {
    let config = Config {
        lost_after: seconds(10),
        halt: Some(crate::halt::Halt::after_failures(1)),
        ..Config::default()
    };
    let mut scheduler = scheduler(config, 1, &[Init::new(0); 3]);
    scheduler.handle_host_up(NOW, H0, facts(3));
    scheduler.handle_record(NOW, H0, started(Key::new(2, 1)));
    scheduler.handle_record(NOW, H0, finished(KEY, Ending::Exit(1), None));
    let withdraw = Action::Withdraw { host: H0, key: Key::new(1, 1) };
    assert!(orders(&mut scheduler).contains(&withdraw));
    assert_eq!(sent_until(&mut scheduler, NOW + seconds(11)), std::slice::from_ref(&withdraw));
    let end = finished(Key::new(2, 1), Ending::Exit(0), None);
    scheduler.handle_record(NOW + seconds(12), H0, end);
    assert_eq!(sent_until(&mut scheduler, NOW + seconds(22)), [withdraw]);
    let record = Record::Withdrawn { key: Key::new(1, 1), at: Timestamp(0) };
    scheduler.handle_record(NOW + seconds(23), H0, record);
    assert_eq!(orders(&mut scheduler), [Action::Stop(RunEnd::MaxFails)]);
}
