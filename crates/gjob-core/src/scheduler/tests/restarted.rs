//! Hosts that were restarted, and what ran on them.

use super::*;
use crate::record::Loss;

const H1: HostIx = HostIx(1);

fn started(index: u32, attempt: u32) -> Record {
    let id = format!("h/2026-11-22-{}", index + 1).parse().unwrap();
    Record::Started {
        key: Key::new(index, attempt),
        id,
        pid: 1,
        at: Timestamp(3),
        processors: Vec::new(),
    }
}

fn restarted(index: u32, attempt: u32) -> Record {
    let (key, how, reason) = (Key::new(index, attempt), Loss::Restart, "restarted".into());
    Record::Lost { key, how, id: None, reason, survivors: Vec::new(), at: Timestamp(0) }
}

/// The host is away for a moment.
fn comes_back(scheduler: &mut Scheduler, now: Duration, host: HostIx, slots: u32) {
    scheduler.handle_host_unreachable(now, host, "gone");
    scheduler.handle_host_up(now, host, facts(slots));
    actions(scheduler);
}

/// What is said of restarts, and the launches.
fn told(scheduler: &mut Scheduler) -> (Vec<u32>, Vec<Key>) {
    let (mut restarts, mut launches) = (Vec::new(), Vec::new());
    for action in actions(scheduler) {
        match action {
            Action::Launch { key, .. } => launches.push(key),
            Action::Emit { event, .. } => {
                if let What::Host(HostEvent { change: HostChange::Restarted { jobs }, .. }) =
                    event.what
                {
                    restarts.push(jobs);
                }
            }
            _ => {}
        }
    }
    (restarts, launches)
}

#[test]
fn jobs_of_a_restarted_host_begin_again_at_once_whatever_is_done_about_lost_hosts() {
    for on_lost in [OnLost::Rerun, OnLost::Wait, OnLost::Lease] {
        let config = Config { on_lost, ..Config::default() };
        let mut scheduler = scheduler(config, 1, &[Init::new(0); 3]);
        scheduler.handle_host_up(NOW, H0, facts(3));
        assert!((0..3).all(|index| scheduler.handle_record(NOW, H0, started(index, 1))));
        comes_back(&mut scheduler, 2 * NOW, H0, 3);
        // One had ended before: it has its outcome.
        let done = finished(Key::new(1, 1), Ending::Exit(0), None);
        scheduler.handle_records(2 * NOW, H0, vec![restarted(0, 1), done, restarted(2, 1)]);
        assert_eq!(told(&mut scheduler), (vec![2], vec![Key::new(0, 2), Key::new(2, 2)]));
        let run = scheduler.run();
        assert_eq!(run.jobs()[1].state(), State::Done);
        assert_eq!((run.jobs()[0].failures, run.hosts()[0].totals.host_failures), (0, 0));
        assert_eq!(run.hosts()[0].status, HostStatus::Up);
        // The same once more says nothing new.
        scheduler.handle_records(2 * NOW, H0, vec![restarted(0, 1)]);
        assert_eq!(told(&mut scheduler), (vec![], vec![]));
    }
}

#[test]
fn job_whose_host_restarts_again_and_again_ends_and_never_waits_for_another_host() {
    let mut scheduler = scheduler(Config::default(), 2, &[Init::new(9)]);
    scheduler.handle_host_up(NOW, H0, facts(1));
    let most = Config::default().host_failures;
    for attempt in 1..=most {
        scheduler.handle_record(NOW, H0, started(0, attempt));
        comes_back(&mut scheduler, NOW * (attempt + 1), H0, 1);
        scheduler.handle_records(NOW * (attempt + 1), H0, vec![restarted(0, attempt)]);
        let expected = match attempt < most {
            true => (vec![1], vec![Key::new(0, attempt + 1)]),
            false => (vec![0], vec![]),
        };
        assert_eq!(told(&mut scheduler), expected);
    }
    let job = &scheduler.run().jobs()[0];
    assert_eq!((job.state(), job.failures), (State::Error, 0));
    let reason = "gave up after 5 host failures, last: restarted";
    assert_eq!(job.reason.as_deref(), Some(reason));
}

#[test]
fn host_whose_restarts_cost_many_jobs_is_not_paused_for_them() {
    let mut scheduler = scheduler(Config::default(), 2, &[Init::new(0); 80]);
    scheduler.handle_host_up(NOW, H1, facts(1));
    // Others pass elsewhere.
    for index in 0..20 {
        scheduler.handle_record(NOW, H1, finished(Key::new(index, 1), Ending::Exit(0), None));
    }
    scheduler.handle_host_up(NOW, H0, facts(19));
    actions(&mut scheduler);
    let keys: Vec<Key> = (20..80).map(|index| scheduler.run().jobs()[index].last_key()).collect();
    let on_h0 = |key: &&Key| scheduler.run().host_in_flight(key.index) == Some(H0);
    let records: Vec<Record> =
        keys.iter().filter(on_h0).map(|key| restarted(key.index, key.attempt)).collect();
    assert!(records.len() > 10, "{}", records.len());
    comes_back(&mut scheduler, 2 * NOW, H0, 19);
    let jobs = records.len() as u32;
    scheduler.handle_records(2 * NOW, H0, records);
    assert_eq!(told(&mut scheduler).0, [jobs]);
    assert_eq!(scheduler.run().hosts()[0].status, HostStatus::Up);
}

#[test]
fn restart_is_not_believed_of_what_was_assigned_over_the_connection_that_stands() {
    for on_lost in [OnLost::Rerun, OnLost::Wait, OnLost::Lease] {
        let config = Config { on_lost, ..Config::default() };
        let mut scheduler = scheduler(config, 1, &[Init::new(0)]);
        scheduler.handle_host_up(NOW, H0, facts(1));
        actions(&mut scheduler);
        scheduler.handle_records(NOW, H0, vec![restarted(0, 1)]);
        assert_eq!(told(&mut scheduler), (vec![], vec![]));
        let host = &scheduler.run().hosts()[0];
        assert_eq!((host.status, host.totals.host_failures), (HostStatus::Paused, 1));
    }
}

#[test]
fn killed_and_paused_jobs_of_a_restarted_host_do_not_begin_again() {
    let mut scheduler = scheduler(Config::default(), 1, &[Init::new(0); 3]);
    scheduler.handle_host_up(NOW, H0, facts(3));
    assert!((0..3).all(|index| scheduler.handle_record(NOW, H0, started(index, 1))));
    assert!(scheduler.handle_kill(0) && scheduler.handle_pause(1));
    comes_back(&mut scheduler, 2 * NOW, H0, 3);
    let records = (0..3).map(|index| restarted(index, 1)).collect();
    scheduler.handle_records(2 * NOW, H0, records);
    assert_eq!(told(&mut scheduler), (vec![1], vec![Key::new(2, 2)]));
    assert_eq!(scheduler.run().jobs()[0].state(), State::Error);
}

#[test]
fn outputs_that_a_restarted_host_still_has_are_fetched() {
    let job = Init { collects: true, ..Init::new(0) };
    let mut scheduler = scheduler(Config::default(), 1, &[job]);
    scheduler.handle_host_up(NOW, H0, facts(1));
    let key = Key::new(0, 1);
    scheduler.handle_record(NOW, H0, finished(key, Ending::Exit(0), None));
    scheduler.handle_host_unreachable(NOW, H0, "gone");
    actions(&mut scheduler);
    scheduler.handle_host_up(2 * NOW, H0, facts(1));
    assert_eq!(orders(&mut scheduler), [Action::Collect { host: H0, key }]);
}
