//! Ends that answer an order which nobody gave, and other words of a host that
//! cost it nothing to say.

use super::*;
use crate::record::Loss;
use crate::wire::Damage;

const KEY: Key = Key::new(0, 1);

fn withdrawn(key: Key) -> Record {
    Record::Withdrawn { key, at: Timestamp(0) }
}

/// Runs on for `length` of virtual time with a host that answers every launch with
/// `lie`; gives how often the job was launched, and the scheduler.
fn lied_to(config: Config, length: Duration, lie: fn(Key) -> Record) -> (u32, Scheduler) {
    let mut scheduler = scheduler(config, 1, &[Init::new(0)]);
    scheduler.handle_host_up(NOW, H0, facts(1));
    let (mut now, mut launches) = (NOW, 0);
    loop {
        while let Some(action) = scheduler.poll_action() {
            if let Action::Launch { host, key } = action {
                launches += 1;
                scheduler.handle_record(now, host, lie(key));
            }
        }
        match scheduler.poll_timeout() {
            Some(due) if due <= NOW + length => now = now.max(due),
            _ => return (launches, scheduler),
        }
        scheduler.handle_timeout(now);
    }
}

#[test]
fn ends_that_nobody_ordered_are_failures_of_their_host_and_bounded() {
    let lies: [fn(Key) -> Record; 5] = [
        withdrawn,
        |key| finished(key, Ending::Signal(15), Some(Cause::Interrupted)),
        |key| finished(key, Ending::Signal(15), Some(Cause::Superseded)),
        |key| finished(key, Ending::Signal(15), Some(Cause::Lease)),
        |key| finished(key, Ending::Signal(15), Some(Cause::Timeout)),
    ];
    for lie in lies {
        let most = Config::default().host_failures;
        let (launches, scheduler) = lied_to(Config::default(), Duration::from_secs(3600), lie);
        let (job, host) = (&scheduler.run().jobs()[0], &scheduler.run().hosts()[0]);
        assert_eq!((launches, job.failures, host.totals.host_failures), (most, 0, most));
        assert_eq!(job.state(), State::Error);
        let reason = job.reason.as_deref().unwrap();
        assert!(reason.starts_with("gave up after 5 host failures, last: its host "), "{reason}");
        assert!(reason.ends_with(" without a request"), "{reason}");
        // It was paused each time, for longer and longer.
        let (launches, _) = lied_to(Config::default(), Duration::from_secs(2), lie);
        assert_eq!(launches, 2);
    }
}

#[test]
fn an_end_for_a_cause_that_may_be_is_believed() {
    let lease = Config { on_lost: OnLost::Lease, ..Config::default() };
    let ended = |key| finished(key, Ending::Signal(15), Some(Cause::Lease));
    let (launches, scheduler) = lied_to(lease, Duration::from_secs(1), ended);
    assert_eq!((launches, scheduler.state(0)), (5, JobState::Ended(State::Error)));
    let killed = |key| finished(key, Ending::Signal(15), Some(Cause::Killed));
    let (launches, scheduler) = lied_to(Config::default(), Duration::from_secs(9), killed);
    assert_eq!((launches, scheduler.state(0)), (1, JobState::Ended(State::Error)));
}

#[test]
fn an_earlier_manager_may_have_interrupted_or_withdrawn_what_it_assigned() {
    let interrupted = finished(KEY, Ending::Signal(15), Some(Cause::Interrupted));
    for record in [interrupted, withdrawn(KEY)] {
        let mut scheduler = scheduler(Config::default(), 1, &[init(Start::Running(H0))]);
        scheduler.handle_host_up(NOW, H0, facts(1));
        scheduler.handle_record(NOW, H0, record.clone());
        let launch = |action| matches!(action, Action::Launch { .. });
        assert_eq!(orders(&mut scheduler).into_iter().filter(|a| launch(a.clone())).count(), 1);
        assert_eq!(scheduler.run().hosts()[0].totals.host_failures, 0);
        // The next attempt is this manager's own.
        let record = match record {
            Record::Withdrawn { .. } => withdrawn(Key::new(0, 2)),
            _ => finished(Key::new(0, 2), Ending::Signal(15), Some(Cause::Interrupted)),
        };
        scheduler.handle_record(NOW, H0, record);
        assert_eq!(scheduler.run().hosts()[0].totals.host_failures, 1);
    }
}

#[test]
fn a_new_connection_does_not_end_a_hosts_pause() {
    let mut scheduler = scheduler(Config::default(), 1, &[Init::new(0)]);
    scheduler.handle_host_up(NOW, H0, facts(1));
    scheduler.handle_record(NOW, H0, withdrawn(KEY));
    scheduler.handle_host_unreachable(NOW, H0, "gone");
    actions(&mut scheduler);
    scheduler.handle_host_up(NOW, H0, facts(1));
    assert_eq!(orders(&mut scheduler), []);
    assert_eq!(scheduler.run().hosts()[0].status, HostStatus::Paused);
    scheduler.handle_timeout(NOW + Duration::from_secs(2));
    assert_eq!(orders(&mut scheduler), [Action::Launch { host: H0, key: Key::new(0, 2) }]);
}

#[test]
fn a_host_that_fails_jobs_in_any_way_while_others_do_not_is_paused() {
    let ways: [fn(Key) -> Record; 3] = [
        |key| finished(key, Ending::Signal(15), Some(Cause::Killed)),
        |key| Record::Refused { key, reason: "no".into(), scope: Scope::Job, at: Timestamp(0) },
        |key| {
            let (how, reason) = (Loss::Slot, "it died".into());
            Record::Lost { key, how, id: None, reason, survivors: Vec::new(), at: Timestamp(0) }
        },
    ];
    for way in ways {
        let mut scheduler = scheduler(Config::default(), 2, &[Init::new(0); 100]);
        scheduler.handle_host_up(NOW, H0, facts(1));
        scheduler.handle_host_up(NOW, HostIx(1), facts(1));
        let mut spoiled = 0;
        while let Some(action) = scheduler.poll_action() {
            let Action::Launch { host, key } = action else { continue };
            spoiled += u32::from(host == H0);
            let record = match host {
                H0 => way(key),
                _ => finished(key, Ending::Exit(0), None),
            };
            scheduler.handle_record(NOW, host, record);
        }
        assert_eq!(scheduler.run().hosts()[0].status, HostStatus::Paused);
        assert!(spoiled < 20, "{spoiled}");
    }
}

#[test]
fn an_abandoned_attempt_starts_once() {
    let job = Init { attempt: 2, abandoned: Some(H0), ..init(Start::Ended(State::Done)) };
    let mut scheduler = scheduler(Config::default(), 1, &[job]);
    scheduler.handle_host_up(NOW, H0, facts(1));
    let id: crate::JobId = "h/2026-11-22-1".parse().unwrap();
    for times in [1, 0, 0] {
        actions(&mut scheduler);
        let record = Record::Started {
            key: KEY,
            id: id.clone(),
            pid: 1,
            at: Timestamp(3),
            processors: Vec::new(),
        };
        scheduler.handle_record(NOW, H0, record);
        assert_eq!(events(&mut scheduler).len(), times);
    }
}

#[test]
fn a_restart_is_believed_of_a_host_whose_connection_ended() {
    let lost = |attempt| {
        let (how, reason) = (Loss::Restart, "restarted".into());
        let key = Key::new(0, attempt);
        Record::Lost { key, how, id: None, reason, survivors: Vec::new(), at: Timestamp(0) }
    };
    let mut scheduler = scheduler(Config::default(), 1, &[Init::new(0)]);
    scheduler.handle_host_up(NOW, H0, facts(1));
    scheduler.handle_host_unreachable(NOW, H0, "gone");
    scheduler.handle_host_up(2 * NOW, H0, facts(1));
    scheduler.handle_record(2 * NOW, H0, lost(1));
    assert_eq!(scheduler.run().hosts()[0].status, HostStatus::Up);
    scheduler.handle_record(2 * NOW, H0, lost(2));
    assert_eq!(scheduler.run().hosts()[0].status, HostStatus::Paused);
}

#[test]
fn what_a_host_may_have_begun_is_not_sent_again_once_its_claims_are_lost() {
    for log_lost in [true, false] {
        let mut scheduler = scheduler(Config::default(), 1, &[Init::new(0); 2]);
        scheduler.handle_host_up(NOW, H0, facts(2));
        let id = "h/2026-11-22-1".parse().unwrap();
        let started =
            Record::Started { key: KEY, id, pid: 1, at: Timestamp(3), processors: Vec::new() };
        scheduler.handle_record(NOW, H0, started);
        scheduler.handle_host_unreachable(NOW, H0, "gone");
        actions(&mut scheduler);
        let damage = Damage { reason: "removed".into(), log_lost, claims_lost: true };
        scheduler.handle_damage(NOW, H0, &damage);
        scheduler.handle_host_up(NOW, H0, facts(2));
        let sent = actions(&mut scheduler);
        assert!(!sent.iter().any(|action| matches!(action, Action::Launch { .. })), "{sent:?}");
        let states: Vec<_> = scheduler.run().jobs().iter().map(Job::state).collect();
        // A log that is whole tells what becomes of the job that it names.
        let of_started = if log_lost { State::Unknown } else { State::Busy };
        assert_eq!(states, [of_started, State::Unknown]);
    }
}

#[test]
fn what_a_host_denies_after_it_had_said_that_it_began_is_lost_and_not_replaced() {
    let refused =
        |scope| Record::Refused { key: KEY, reason: "no".into(), scope, at: Timestamp(0) };
    let denials = [Scope::Host, Scope::Job, Scope::Space, Scope::Load].map(refused);
    for denial in denials.into_iter().chain([withdrawn(KEY)]) {
        for on_lost in [OnLost::Rerun, OnLost::Wait, OnLost::Lease] {
            let config = Config { on_lost, ..Config::default() };
            let mut scheduler = scheduler(config, 2, &[Init::new(3)]);
            scheduler.handle_host_up(NOW, H0, facts(1));
            let id: crate::JobId = "h/2026-11-22-1".parse().unwrap();
            let record = Record::Started {
                key: KEY,
                id: id.clone(),
                pid: 1,
                at: Timestamp(3),
                processors: Vec::new(),
            };
            scheduler.handle_record(NOW, H0, record);
            scheduler.handle_host_up(NOW, HostIx(1), facts(1));
            actions(&mut scheduler);
            scheduler.handle_record(NOW, H0, denial.clone());
            let launches = |action: &Action| matches!(action, Action::Launch { .. });
            assert!(!actions(&mut scheduler).iter().any(launches), "{denial:?}");
            let job = scheduler.run().job(0).unwrap();
            assert_eq!(job.phase, Phase::Ended(State::Unknown), "{denial:?}");
            let attempt = job.attempt.as_deref().unwrap();
            assert_eq!(attempt.id.as_ref(), Some(&id));
            let reason = job.reason.as_deref().unwrap();
            assert!(reason.starts_with("its host had started it, and now "), "{reason}");
        }
    }
}

#[test]
fn abandoned_attempt_that_its_host_denies_is_lost() {
    let job = Init { attempt: 2, abandoned: Some(H0), ..init(Start::Running(HostIx(1))) };
    let mut scheduler = scheduler(Config::default(), 2, &[job]);
    scheduler.handle_host_up(NOW, H0, facts(1));
    let id = "h/2026-11-22-1".parse().unwrap();
    scheduler.handle_record(
        NOW,
        H0,
        Record::Started { key: KEY, id, pid: 1, at: Timestamp(3), processors: Vec::new() },
    );
    actions(&mut scheduler);
    scheduler.handle_record(NOW, H0, withdrawn(KEY));
    let changes = events(&mut scheduler);
    let is_loss = |what: &What| match what {
        What::Attempt(event) => matches!(event.change, AttemptChange::Lost { .. }),
        _ => false,
    };
    assert!(changes.len() == 1 && is_loss(&changes[0]), "{changes:?}");
}
