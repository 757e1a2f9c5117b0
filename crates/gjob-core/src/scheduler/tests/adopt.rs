//! A run that has moved: what its hosts have begun since the copy was taken.

use super::*;
use crate::run::{History, TaskSpecs};
use crate::wire::Damage;

const H1: HostIx = HostIx(1);

/// A scheduler of a copy, whose hosts have yet to tell what they have begun.
fn moved(config: Config, hosts: u32, jobs: &[Init]) -> Scheduler {
    let mut run = scheduler(config.clone(), hosts, jobs).run;
    run.await_histories();
    Scheduler::new(config, run)
}

fn started(index: u32, attempt: u32) -> Record {
    let id = format!("h/2026-11-22-{}", 10 * index + attempt).parse().unwrap();
    Record::Started {
        key: Key::new(index, attempt),
        id,
        pid: 1,
        at: Timestamp(3),
        processors: Vec::new(),
    }
}

fn withdrawn(index: u32, attempt: u32) -> Record {
    Record::Withdrawn { key: Key::new(index, attempt), at: Timestamp(3) }
}

fn exited(index: u32, attempt: u32, code: u8) -> Record {
    finished(Key::new(index, attempt), Ending::Exit(code), None)
}

/// Both hosts are up, and tell this: h1 first.
fn tell(scheduler: &mut Scheduler, h0: Vec<Record>, h1: Vec<Record>) {
    for host in [H0, H1] {
        scheduler.handle_host_up(NOW, host, facts(2));
    }
    scheduler.handle_records(NOW, H1, h1);
    scheduler.handle_told(NOW, H1, 0);
    scheduler.handle_records(NOW, H0, h0);
    assert!(scheduler.is_adopting() && scheduler.keeps_back(H1));
    assert_eq!(orders(scheduler), [], "nothing starts before all have told");
    scheduler.handle_told(NOW, H0, 0);
    assert!(!scheduler.is_adopting() && !scheduler.is_untold(H1));
}

fn launches(scheduler: &mut Scheduler) -> Vec<(HostIx, Key)> {
    let launch = |action| match action {
        Action::Launch { host, key } => Some((host, key)),
        Action::Emit { .. } | Action::Stop(RunEnd::Complete) => None,
        other => panic!("{other:?}"),
    };
    actions(scheduler).into_iter().filter_map(launch).collect()
}

#[test]
fn what_hosts_have_begun_is_adopted_and_the_rest_starts_once_all_have_told() {
    let mut scheduler = moved(Config::default(), 2, &[Init::new(0); 4]);
    let h0 = vec![started(0, 1), exited(0, 1, 0)];
    tell(&mut scheduler, h0, vec![started(1, 1), started(2, 1), exited(2, 1, 3)]);
    let told = |scheduler: &mut Scheduler| launches(scheduler).iter().map(|it| it.1).collect();
    let keys: Vec<Key> = told(&mut scheduler);
    assert_eq!(keys, [Key::new(3, 1)]);
    let jobs = scheduler.run().jobs();
    let states: Vec<State> = jobs.iter().map(Job::state).collect();
    assert_eq!(states, [State::Done, State::Busy, State::Error, State::Busy]);
    assert_eq!(jobs[1].host(), Some(&label(H1)));
    scheduler.handle_record(NOW, H1, exited(1, 1, 0));
    assert_eq!(scheduler.run().jobs()[1].state(), State::Done);
}

#[test]
fn retry_that_another_host_had_begun_counts_whichever_host_tells_first() {
    let retried = init(Start::Running(H0));
    for retries in [0, 1] {
        let mut scheduler = moved(Config::default(), 2, &[Init { retries, ..retried }]);
        // Without a retry left, a user's `gjob retry` has begun it.
        tell(&mut scheduler, vec![exited(0, 1, 3)], vec![started(0, 2)]);
        assert_eq!(launches(&mut scheduler), []);
        let job = &scheduler.run().jobs()[0];
        assert_eq!((job.state(), job.key()), (State::Busy, Some(Key::new(0, 2))));
        scheduler.handle_record(NOW, H1, exited(0, 2, 0));
        assert_eq!(scheduler.run().jobs()[0].state(), State::Done);
    }
}

#[test]
fn earlier_attempt_that_was_the_first_to_succeed_counts() {
    // The original had given h0 up, h1 had got the job, and then h0 came back.
    let mut scheduler = moved(Config::default(), 2, &[Init::new(0)]);
    let superseded = finished(Key::new(0, 2), Ending::Signal(9), Some(Cause::Superseded));
    let h0 = vec![started(0, 1), exited(0, 1, 0)];
    tell(&mut scheduler, h0, vec![started(0, 2), superseded]);
    assert_eq!(launches(&mut scheduler), []);
    let job = &scheduler.run().jobs()[0];
    assert_eq!((job.state(), job.key()), (State::Done, Some(Key::new(0, 1))));
}

#[test]
fn number_that_was_withdrawn_from_one_host_is_found_on_another() {
    let assigned = Init { start: Start::Assigned(H0), ..init(Start::Waiting) };
    let mut scheduler = moved(Config::default(), 2, &[assigned]);
    tell(&mut scheduler, vec![withdrawn(0, 1)], vec![started(0, 1)]);
    assert_eq!(launches(&mut scheduler), []);
    let job = &scheduler.run().jobs()[0];
    assert_eq!((job.state(), job.host()), (State::Busy, Some(&label(H1))));
}

#[test]
fn launch_that_no_host_has_begun_is_sent_again_only_once_all_have_told() {
    let assigned = Init { start: Start::Assigned(H0), ..init(Start::Waiting) };
    let mut scheduler = moved(Config::default(), 2, &[assigned]);
    tell(&mut scheduler, vec![], vec![]);
    assert_eq!(launches(&mut scheduler), [(H0, Key::new(0, 1))]);
}

#[test]
fn lost_host_is_not_waited_for_and_what_it_has_begun_is_ended_when_it_comes_back() {
    let mut scheduler = moved(Config::default(), 2, &[Init::new(0), Init::new(0)]);
    scheduler.handle_host_up(NOW, H0, facts(1));
    scheduler.handle_told(NOW, H0, 0);
    scheduler.handle_host_unreachable(NOW, H1, "gone");
    assert_eq!(launches(&mut scheduler), []);
    let lost = NOW + Config::default().lost_after;
    scheduler.handle_timeout(lost);
    assert_eq!(launches(&mut scheduler), [(H0, Key::new(0, 1))]);
    scheduler.handle_record(lost, H0, started(0, 1));
    assert_eq!(scheduler.run().hosts()[1].history, History::Missed);

    scheduler.handle_host_up(lost, H1, facts(1));
    assert!(scheduler.is_untold(H1));
    actions(&mut scheduler);
    scheduler.handle_records(lost, H1, vec![started(0, 1)]);
    let order = Order::kill(Cause::Superseded);
    assert_eq!(
        orders(&mut scheduler),
        [Action::Order { host: H1, key: Key::new(0, 1), order }],
        "the other one counts"
    );
    scheduler.handle_told(lost, H1, 0);
    assert!(!scheduler.is_untold(H1));
}

#[test]
fn host_that_cannot_be_lost_is_waited_for_until_it_is_out_of_the_run() {
    let config = Config { on_lost: OnLost::Wait, ..Config::default() };
    let mut scheduler = moved(config, 2, &[Init::new(0)]);
    scheduler.handle_host_up(NOW, H0, facts(1));
    scheduler.handle_told(NOW, H0, 0);
    scheduler.handle_host_unreachable(NOW, H1, "gone");
    scheduler.handle_timeout(NOW * 10_000);
    assert_eq!(launches(&mut scheduler), []);
    assert_eq!(
        scheduler.run().wait_in_words(0, true).unwrap(),
        "waits until h1 has told what it has run"
    );
    scheduler.handle_host_failed(NOW * 10_000, H1, "no login");
    assert_eq!(orders(&mut scheduler), [Action::Stop(RunEnd::NoHosts)]);
}

#[test]
fn job_that_is_killed_before_all_have_told_is_ended_wherever_it_runs() {
    let mut scheduler = moved(Config::default(), 2, &[Init::new(0), Init::new(0)]);
    assert!(scheduler.handle_kill(0) && scheduler.handle_kill(1));
    scheduler.settle(NOW);
    tell(&mut scheduler, vec![], vec![started(0, 1)]);
    let order = Order::kill(Cause::Killed);
    assert_eq!(orders(&mut scheduler), [Action::Order { host: H1, key: Key::new(0, 1), order }]);
    let states: Vec<State> = scheduler.run().jobs().iter().map(Job::state).collect();
    assert_eq!(states, [State::Busy, State::Error]);
}

#[test]
fn kill_of_an_overtaken_attempt_is_sent_again_until_it_has_ended() {
    let mut scheduler = moved(Config::default(), 2, &[Init::new(0)]);
    scheduler.handle_host_up(NOW, H0, facts(1));
    scheduler.handle_told(NOW, H0, 0);
    scheduler.handle_host_unreachable(NOW, H1, "gone");
    let mut now = NOW + Config::default().lost_after;
    scheduler.handle_timeout(now);
    scheduler.handle_record(now, H0, started(0, 1));
    scheduler.handle_host_up(now, H1, facts(1));
    actions(&mut scheduler);
    scheduler.handle_records(now, H1, vec![started(0, 1)]);
    scheduler.handle_told(now, H1, 0);
    let order = Order::kill(Cause::Superseded);
    let kill = [Action::Order { host: H1, key: Key::new(0, 1), order }];
    assert_eq!(orders(&mut scheduler), kill);
    for _ in 0..3 {
        now = scheduler.poll_timeout().expect("it is sent again");
        scheduler.handle_timeout(now);
        assert_eq!(orders(&mut scheduler), kill);
    }
    let come_back = |scheduler: &mut Scheduler| {
        scheduler.handle_host_unreachable(now, H1, "gone");
        scheduler.handle_host_up(now, H1, facts(1));
        orders(scheduler)
    };
    assert_eq!(come_back(&mut scheduler), kill);
    scheduler.handle_record(
        now,
        H1,
        finished(Key::new(0, 1), Ending::Signal(15), Some(Cause::Superseded)),
    );
    assert_eq!(come_back(&mut scheduler), []);
    scheduler.handle_timeout(now + Config::default().lost_after);
    assert_eq!(orders(&mut scheduler), []);
}

#[test]
fn host_that_is_added_before_all_have_told_is_to_tell_too() {
    let mut scheduler = moved(Config::default(), 1, &[Init::new(0), Init::new(0)]);
    let labels = Vec::new();
    scheduler.handle_host_added(NOW, &label(H1), labels, TaskSpecs::default());
    assert!(scheduler.is_untold(H1));
    tell(&mut scheduler, vec![started(0, 1)], vec![started(1, 1)]);
    assert_eq!(launches(&mut scheduler), []);
    let on: Vec<_> = scheduler.run().jobs().iter().map(Job::host).collect();
    assert_eq!(on, [Some(&label(H0)), Some(&label(H1))]);
    let h2 = label(HostIx(2));
    scheduler.handle_host_added(NOW, &h2, Vec::new(), TaskSpecs::default());
    assert!(!scheduler.is_untold(HostIx(2)), "too late");
}

#[test]
fn nothing_starts_once_a_host_that_is_to_tell_has_no_records_any_more() {
    let mut scheduler = moved(Config::default(), 2, &[Init::new(0)]);
    let damage = |claims_lost| Damage { reason: "removed".into(), log_lost: true, claims_lost };
    assert!(!scheduler.refuse_forgetful(NOW, H0, &damage(false)), "its claims tell");
    scheduler.handle_host_up(NOW, H0, facts(1));
    scheduler.handle_host_unreachable(NOW, H1, "gone");
    scheduler.handle_told(NOW, H0, 0);
    assert!(!scheduler.refuse_forgetful(NOW, H0, &damage(true)), "it has told");
    actions(&mut scheduler);
    assert!(scheduler.refuse_forgetful(NOW, H1, &damage(true)));
    scheduler.handle_timeout(NOW * 10_000);
    let orders = orders(&mut scheduler);
    assert!(
        matches!(orders[..], [Action::Reject { host: H1, .. }, Action::Stop(RunEnd::NoHosts)]),
        "{orders:?}"
    );
}

#[test]
fn job_whose_outputs_are_nowhere_any_more_is_unknown_and_not_begun_again() {
    let job = Init { collects: true, ..Init::new(3) };
    let mut scheduler = moved(Config::default(), 1, &[job]);
    scheduler.handle_host_up(NOW, H0, facts(1));
    scheduler.handle_records(NOW, H0, vec![started(0, 1), exited(0, 1, 0)]);
    scheduler.handle_told(NOW, H0, 0);
    let key = Key::new(0, 1);
    assert_eq!(orders(&mut scheduler), [Action::Collect { host: H0, key }]);
    assert!(scheduler.is_inherited(0));
    scheduler.handle_outputs_gone(NOW, H0, key, "removed".to_owned());
    assert_eq!(orders(&mut scheduler), [Action::Stop(RunEnd::Complete)]);
    let job = &scheduler.run().jobs()[0];
    assert_eq!((job.state(), job.reason.as_deref()), (State::Unknown, Some("removed")));
}

#[test]
fn nothing_starts_of_a_copy_that_does_not_know_all_hosts_of_its_run() {
    let mut scheduler = moved(Config::default(), 2, &[Init::new(0)]);
    for host in [H0, H1] {
        scheduler.handle_host_up(NOW, host, facts(1));
    }
    scheduler.handle_told(NOW, H0, 3);
    assert_eq!(scheduler.unknown_hosts(), 1);
    scheduler.handle_told(NOW, H1, 2);
    assert!(scheduler.is_adopting());
    assert_eq!(orders(&mut scheduler), []);

    // Once it is named, it tells like the others.
    let h2 = HostIx(2);
    scheduler.handle_host_added(NOW, &label(h2), Vec::new(), TaskSpecs::default());
    assert_eq!((scheduler.unknown_hosts(), scheduler.keeps_back(h2)), (0, true));
    scheduler.handle_host_up(NOW, h2, facts(1));
    scheduler.handle_records(NOW, h2, vec![started(0, 1)]);
    scheduler.handle_told(NOW, h2, 3);
    assert!(!scheduler.is_adopting());
    assert_eq!(launches(&mut scheduler), []);
    assert_eq!(scheduler.run().jobs()[0].host(), Some(&label(h2)));
}
