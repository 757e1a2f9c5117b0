//! How long a first host is waited for, and a host that does not answer.

use super::*;

const H1: HostIx = HostIx(1);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn ended(scheduler: &mut Scheduler) -> bool {
    orders(scheduler).contains(&Action::Stop(RunEnd::NoHosts))
}

#[test]
fn a_host_that_is_being_connected_to_is_waited_for() {
    let mut scheduler = scheduler(Config::default(), 2, &[Init::new(0)]);
    scheduler.handle_host_unreachable(seconds(1), H1, "no route to host");
    scheduler.handle_connecting(seconds(10), H0, "still logging in", false);
    assert_eq!(scheduler.poll_timeout(), Some(seconds(301)), "only its loss is due");
    scheduler.handle_timeout(seconds(400));
    assert!(!ended(&mut scheduler));
    assert_eq!(scheduler.run().hosts()[0].reason.as_deref(), Some("still logging in"));
    // Once it was tried in vain as well, nobody answers.
    scheduler.handle_host_unreachable(seconds(401), H0, "no answer");
    assert!(ended(&mut scheduler));
}

#[test]
fn patience_is_counted_from_the_last_progress() {
    let mut scheduler = scheduler(Config::default(), 1, &[Init::new(0)]);
    scheduler.handle_host_unreachable(seconds(1), H0, "no route to host");
    scheduler.handle_connecting(seconds(25), H0, "sending the agent, 40 %", true);
    scheduler.handle_timeout(seconds(54));
    assert!(!ended(&mut scheduler));
    // A login that says nothing is no progress.
    scheduler.handle_connecting(seconds(54), H0, "still logging in", false);
    assert_eq!(scheduler.run().hosts()[0].reason.as_deref(), Some("no route to host"));
    scheduler.handle_timeout(seconds(55));
    assert!(ended(&mut scheduler));
}

/// Two hosts of which H0 has begun nothing of what it was given; H1 is idle.
fn mute(config: Config) -> Scheduler {
    let mut scheduler = scheduler(config, 2, &[Init::new(0); 2]);
    scheduler.handle_host_up(NOW, H0, facts(2));
    scheduler.handle_host_up(NOW, H0, facts(1));
    scheduler.handle_host_up(NOW, H1, facts(1));
    actions(&mut scheduler);
    scheduler.handle_timeout(NOW + seconds(1));
    let withdrawn: Vec<_> = orders(&mut scheduler);
    assert_eq!(withdrawn, [Action::Withdraw { host: H0, key: Key::new(1, 1) }]);
    scheduler
}

#[test]
fn a_host_that_does_not_answer_a_withdrawal_is_out_and_its_jobs_go_elsewhere() {
    let config = Config { lost_after: seconds(10), ..Config::default() };
    let mut scheduler = mute(config);
    scheduler.handle_timeout(NOW + seconds(10));
    let again = Action::Launch { host: H0, key: Key::new(0, 1) };
    assert_eq!(orders(&mut scheduler), [again]);
    scheduler.handle_timeout(NOW + seconds(11));
    let again = Action::Withdraw { host: H0, key: Key::new(1, 1) };
    assert_eq!(orders(&mut scheduler), [again]);
    scheduler.handle_timeout(NOW + seconds(21));
    let orders = orders(&mut scheduler);
    assert!(matches!(orders[0], Action::Reject { host: H0, .. }), "{orders:?}");
    assert_eq!(orders[1], Action::Launch { host: H1, key: Key::new(0, 2) });
    let host = &scheduler.run().hosts()[0];
    let reason = "it has not answered a withdrawal for 20 s";
    assert_eq!((host.status, host.reason.as_deref()), (HostStatus::Failed, Some(reason)));
}

#[test]
fn a_withdrawal_is_answered_late_after_a_new_connection() {
    let config = Config { lost_after: seconds(10), ..Config::default() };
    let mut scheduler = mute(config);
    scheduler.handle_host_unreachable(NOW + seconds(5), H0, "gone");
    scheduler.handle_host_up(NOW + seconds(9), H0, facts(1));
    scheduler.handle_timeout(NOW + seconds(18));
    assert_eq!(scheduler.run().hosts()[0].status, HostStatus::Up);
    scheduler.handle_record(
        NOW + seconds(18),
        H0,
        Record::Withdrawn { key: Key::new(1, 1), at: Timestamp(0) },
    );
    scheduler.handle_timeout(NOW + seconds(60));
    assert_eq!(scheduler.run().hosts()[0].status, HostStatus::Up);
}

#[test]
fn a_job_that_is_not_begun_is_taken_back_once_another_host_is_idle() {
    let config = Config { lost_after: seconds(10), ..Config::default() };
    let mut scheduler = scheduler(config, 2, &[Init::new(0)]);
    scheduler.handle_host_up(NOW, H0, facts(1));
    actions(&mut scheduler);
    scheduler.handle_timeout(NOW + seconds(11));
    let key = Key::new(0, 1);
    let again = [Action::Launch { host: H0, key }];
    assert_eq!(orders(&mut scheduler), again, "no other host is there");
    // Its files are on their way.
    scheduler.note_sign_of_work(NOW + seconds(12), H0);
    scheduler.handle_host_up(NOW + seconds(12), H1, facts(1));
    scheduler.handle_timeout(NOW + seconds(21));
    assert_eq!(orders(&mut scheduler), []);
    scheduler.handle_timeout(NOW + seconds(22));
    assert_eq!(orders(&mut scheduler), [Action::Withdraw { host: H0, key }]);
    scheduler.handle_timeout(NOW + seconds(33));
    assert_eq!(orders(&mut scheduler), [Action::Withdraw { host: H0, key }]);
    scheduler.handle_timeout(NOW + seconds(44));
    let orders = orders(&mut scheduler);
    assert!(matches!(orders[0], Action::Reject { host: H0, .. }), "{orders:?}");
    assert_eq!(orders[1], Action::Launch { host: H1, key: Key::new(0, 2) });
}
