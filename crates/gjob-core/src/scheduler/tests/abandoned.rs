//! Attempts that were abandoned and came back.

use super::*;

const H1: HostIx = HostIx(1);

fn started(index: u32, number: u32) -> Record {
    let id = format!("h/2026-11-22-{number}").parse().unwrap();
    Record::Started {
        key: Key::new(index, 1),
        id,
        pid: 1,
        at: Timestamp(3),
        processors: Vec::new(),
    }
}

/// Job 0 started on H0, which was lost; H0 answers again; a user holds the job.
fn returned() -> Scheduler {
    let config = Config { lost_after: Duration::from_secs(5), ..Config::default() };
    let mut scheduler = scheduler(config, 2, &[Init::new(0)]);
    scheduler.handle_host_up(NOW, H0, facts(1));
    scheduler.handle_record(NOW, H0, started(0, 1));
    scheduler.handle_host_up(NOW, H1, facts(1));
    scheduler.handle_host_unreachable(NOW, H0, "gone");
    assert!(scheduler.handle_pause(0));
    scheduler.set_time(Timestamp(10_000));
    scheduler.handle_timeout(NOW + Duration::from_secs(6));
    scheduler.set_time(Timestamp(20_000));
    scheduler.handle_host_up(NOW + Duration::from_secs(7), H0, facts(1));
    actions(&mut scheduler);
    assert_eq!(scheduler.attempts_left(0), [(H0, Key::new(0, 1))]);
    scheduler
}

#[test]
fn kill_of_a_waiting_job_reaches_its_latest_attempt_that_came_back() {
    let mut scheduler = returned();
    scheduler.set_time(Timestamp(30_000));
    assert!(scheduler.handle_kill(0));
    let (key, order) = (Key::new(0, 1), Order::kill(Cause::Superseded));
    assert_eq!(orders(&mut scheduler), [Action::Order { host: H0, key, order }]);
    // It ended when it was killed, not when its attempt was abandoned.
    assert_eq!(scheduler.run().jobs()[0].ended, Some(Timestamp(30_000)));
}

#[test]
fn interrupt_ends_attempts_that_came_back_and_waits_for_them() {
    let mut scheduler = returned();
    scheduler.handle_interrupt(NOW + Duration::from_secs(8));
    let (key, order) = (Key::new(0, 1), Order::kill(Cause::Interrupted));
    assert_eq!(orders(&mut scheduler), [Action::Order { host: H0, key, order }]);
    let ended = finished(key, Ending::Signal(15), Some(Cause::Interrupted));
    scheduler.handle_record(NOW + Duration::from_secs(9), H0, ended);
    assert_eq!(orders(&mut scheduler), [Action::Stop(RunEnd::Interrupted)]);
}

#[test]
fn draining_ends_when_all_that_runs_is_on_hosts_that_are_out() {
    let on_lost = OnLost::Wait;
    let config =
        Config { halt: Some(crate::halt::Halt::after_failures(1)), on_lost, ..Config::default() };
    let mut scheduler = scheduler(config, 2, &[Init::new(0); 3]);
    scheduler.handle_host_up(NOW, H0, facts(1));
    scheduler.handle_host_up(NOW, H1, facts(1));
    let on = |index| scheduler.run().host_in_flight(index).unwrap();
    let (first, second) = (on(0), on(1));
    scheduler.handle_record(NOW, first, started(0, 1));
    scheduler.handle_record(NOW, second, started(1, 2));
    scheduler.handle_host_failed(NOW, first, "host key changed");
    scheduler.handle_record(NOW, second, finished(Key::new(1, 1), Ending::Exit(1), None));
    assert_eq!(orders(&mut scheduler).pop(), Some(Action::Stop(RunEnd::MaxFails)));
}
