//! Set-ups and teardowns of hosts.

use super::*;
use crate::outcome::Cause;
use crate::record::Loss;
use crate::run::{HostTask, TaskSpecs};

const SETUP: u32 = 2;
const TEARDOWN: u32 = 3;

/// A run of two jobs on one host with a set-up and a teardown.
fn run_with_tasks() -> Scheduler {
    let job = || Arc::new(JobSpec::new(["true"]).unwrap());
    let run = Run::new([label(H0)], [job(), job()], Dependencies::default());
    let tasks = TaskSpecs { setup: Some(job()), teardown: Some(job()) };
    Scheduler::new(Config::default(), run.with_tasks([tasks]))
}

/// The same with an execution of its set-up under way.
fn being_set_up() -> Scheduler {
    let mut scheduler = run_with_tasks();
    scheduler.handle_host_up(NOW, H0, booted("a"));
    assert_eq!(sent(&mut scheduler), [Sent::Launch(Key::new(SETUP, 1))]);
    scheduler
}

/// The same when that has begun.
fn setting_up() -> Scheduler {
    let mut scheduler = being_set_up();
    scheduler.handle_record(NOW, H0, began(SETUP, 1));
    scheduler
}

/// The same when it is done, and both jobs have begun.
fn set_up() -> Scheduler {
    let mut scheduler = being_set_up();
    scheduler.handle_records(NOW, H0, vec![began(SETUP, 1), done(SETUP, 1)]);
    let jobs = [Key::new(0, 1), Key::new(1, 1)];
    assert_eq!(sent(&mut scheduler), jobs.map(Sent::Launch));
    scheduler.handle_records(NOW, H0, vec![began(0, 1), began(1, 1)]);
    scheduler
}

fn booted(boot_id: &str) -> HostFacts {
    HostFacts { boot_id: boot_id.into(), ..facts(2) }
}

fn began(index: u32, attempt: u32) -> Record {
    let id = format!("h/2026-11-22-{}", index + 1).parse().unwrap();
    Record::Started {
        key: Key::new(index, attempt),
        id,
        pid: 1,
        at: Timestamp(3),
        processors: Vec::new(),
    }
}

fn done(index: u32, attempt: u32) -> Record {
    finished(Key::new(index, attempt), Ending::Exit(0), None)
}

#[derive(Debug, PartialEq)]
enum Sent {
    Launch(Key),
    Withdraw(Key),
    Kill(Key),
    Reject,
    Stop(RunEnd),
}

/// What is to be done, but for what is said and fetched.
fn sent(scheduler: &mut Scheduler) -> Vec<Sent> {
    let sent = actions(scheduler).into_iter().filter_map(|action| match action {
        Action::Launch { key, .. } => Some(Sent::Launch(key)),
        Action::Withdraw { key, .. } => Some(Sent::Withdraw(key)),
        Action::Order { key, order: Order::Kill { .. }, .. } => Some(Sent::Kill(key)),
        Action::Reject { .. } => Some(Sent::Reject),
        Action::Stop(end) => Some(Sent::Stop(end)),
        Action::Emit { .. }
        | Action::Order { .. }
        | Action::Collect { .. }
        | Action::ForgetOutputs { .. }
        | Action::LoseOutputs { .. }
        | Action::Release { .. }
        | Action::TellHostCount { .. }
        | Action::FetchTaskLog { .. } => None,
    });
    sent.collect()
}

#[test]
fn jobs_begin_when_their_host_is_set_up_and_the_run_ends_when_it_is_torn_down() {
    let mut scheduler = set_up();
    scheduler.handle_records(NOW, H0, vec![done(0, 1), done(1, 1)]);
    assert_eq!(sent(&mut scheduler), [Sent::Launch(Key::new(TEARDOWN, 1))]);
    scheduler.handle_records(NOW, H0, vec![began(TEARDOWN, 1), done(TEARDOWN, 1)]);
    assert_eq!(sent(&mut scheduler), [Sent::Stop(RunEnd::Complete)]);
    assert!(!scheduler.run().hosts()[0].is_teardown_due());
}

#[test]
fn set_up_is_sent_again_until_it_begins_and_counts_once() {
    let mut scheduler = being_set_up();
    let due = scheduler.poll_timeout().unwrap();
    scheduler.handle_timeout(due);
    assert_eq!(sent(&mut scheduler), [Sent::Launch(Key::new(SETUP, 1))]);
    scheduler.handle_host_unreachable(due, H0, "gone");
    scheduler.handle_host_up(due, H0, booted("a"));
    assert_eq!(sent(&mut scheduler), [Sent::Launch(Key::new(SETUP, 1))]);
    assert!(scheduler.handle_record(due, H0, began(SETUP, 1)));
    assert!(!scheduler.handle_record(due, H0, began(SETUP, 1)), "that is known");
    assert!(scheduler.handle_record(due, H0, done(SETUP, 1)));
    assert!(!scheduler.handle_record(due, H0, done(SETUP, 1)), "that is known");
    assert_eq!(sent(&mut scheduler).len(), 2, "the jobs");
}

#[test]
fn next_manager_neither_repeats_a_set_up_nor_a_teardown_that_was_done() {
    let mut scheduler = set_up();
    scheduler.handle_records(NOW, H0, vec![done(0, 1)]);
    let mut next = Scheduler::new(Config::default(), scheduler.run().clone());
    next.handle_start("2026-11-22-1".parse().unwrap(), true);
    next.handle_host_up(NOW, H0, booted("a"));
    assert_eq!(sent(&mut next), []);
    next.handle_records(NOW, H0, vec![done(1, 1)]);
    assert_eq!(sent(&mut next), [Sent::Launch(Key::new(TEARDOWN, 1))]);
    // The one after it waits for the teardown that it finds.
    let mut last = Scheduler::new(Config::default(), next.run().clone());
    last.handle_start("2026-11-22-1".parse().unwrap(), true);
    last.settle(NOW);
    last.handle_host_up(NOW, H0, booted("a"));
    assert_eq!(sent(&mut last), [Sent::Launch(Key::new(TEARDOWN, 1))]);
    last.handle_records(NOW, H0, vec![began(TEARDOWN, 1), done(TEARDOWN, 1)]);
    assert_eq!(sent(&mut last), [Sent::Stop(RunEnd::Complete)]);
}

#[test]
fn host_that_was_restarted_is_set_up_again_before_jobs_begin_there() {
    let mut scheduler = set_up();
    scheduler.handle_host_unreachable(2 * NOW, H0, "gone");
    scheduler.handle_host_up(2 * NOW, H0, booted("b"));
    assert_eq!(sent(&mut scheduler), [], "what became of its jobs is not known yet");
    let lost = |index| Record::Lost {
        key: Key::new(index, 1),
        how: Loss::Restart,
        id: None,
        reason: "restarted".into(),
        survivors: Vec::new(),
        at: Timestamp(0),
    };
    scheduler.handle_records(2 * NOW, H0, vec![lost(0), lost(1)]);
    assert_eq!(sent(&mut scheduler), [Sent::Launch(Key::new(SETUP, 2))]);
    // A launch of before the next restart does not begin under the one after it.
    scheduler.handle_host_unreachable(3 * NOW, H0, "gone");
    scheduler.handle_host_up(3 * NOW, H0, booted("c"));
    assert_eq!(sent(&mut scheduler), [Sent::Withdraw(Key::new(SETUP, 2))]);
    let withdrawn = Record::Withdrawn { key: Key::new(SETUP, 2), at: Timestamp(0) };
    scheduler.handle_records(3 * NOW, H0, vec![withdrawn]);
    assert_eq!(sent(&mut scheduler), [Sent::Launch(Key::new(SETUP, 3))]);
}

#[test]
fn set_up_that_its_host_ends_again_and_again_has_failed() {
    let mut scheduler = being_set_up();
    for attempt in 1..=5 {
        let boots = ["a", "b", "c", "d", "e", "f"];
        scheduler.handle_records(NOW, H0, vec![began(SETUP, attempt)]);
        scheduler.handle_host_unreachable(NOW, H0, "gone");
        scheduler.handle_host_up(NOW, H0, booted(boots[attempt as usize]));
        let (key, reason) = (Key::new(SETUP, attempt), "restarted".into());
        let (how, id, survivors, at) = (Loss::Restart, None, Vec::new(), Timestamp(0));
        let lost = Record::Lost { key, how, id, reason, survivors, at };
        scheduler.handle_records(NOW, H0, vec![lost]);
        let expected =
            if attempt < 5 { Key::new(SETUP, attempt + 1) } else { Key::new(TEARDOWN, 1) };
        assert_eq!(sent(&mut scheduler), [Sent::Launch(expected)]);
    }
    scheduler.handle_records(NOW, H0, vec![began(TEARDOWN, 1), done(TEARDOWN, 1)]);
    assert_eq!(sent(&mut scheduler), [Sent::Reject, Sent::Stop(RunEnd::NoHosts)]);
    let reason = scheduler.run().hosts()[0].reason.clone().unwrap();
    assert_eq!(reason, "set-up failed: begun 5 times, last: restarted");
}

#[test]
fn set_up_that_an_interruption_has_ended_is_no_failure_but_one_that_nobody_ended_is() {
    let mut scheduler = being_set_up();
    scheduler.handle_record(NOW, H0, began(SETUP, 1));
    scheduler.handle_interrupt(NOW);
    assert_eq!(sent(&mut scheduler), [Sent::Kill(Key::new(SETUP, 1))]);
    let killed = finished(Key::new(SETUP, 1), Ending::Signal(15), Some(Cause::Interrupted));
    scheduler.handle_record(NOW, H0, killed.clone());
    assert_eq!(sent(&mut scheduler), [Sent::Launch(Key::new(TEARDOWN, 1))]);
    scheduler.handle_records(NOW, H0, vec![began(TEARDOWN, 1), done(TEARDOWN, 1)]);
    assert_eq!(sent(&mut scheduler), [Sent::Stop(RunEnd::Interrupted)]);
    let mut unasked = being_set_up();
    unasked.handle_records(NOW, H0, vec![began(SETUP, 1), killed]);
    assert_eq!(sent(&mut unasked), [Sent::Launch(Key::new(TEARDOWN, 1))]);
    let latest = unasked.run().hosts()[0].tasks().latest(HostTask::Setup).unwrap();
    assert_eq!(latest.attempt.reason.as_deref(), Some("interrupted"));
}

#[test]
fn host_that_does_not_answer_at_the_end_is_waited_for_a_while_and_named() {
    let mut scheduler = set_up();
    scheduler.handle_records(NOW, H0, vec![done(0, 1), done(1, 1)]);
    scheduler.handle_host_unreachable(NOW, H0, "gone");
    assert_eq!(sent(&mut scheduler), [Sent::Launch(Key::new(TEARDOWN, 1))]);
    let due = scheduler.poll_timeout().unwrap();
    assert_eq!(due, NOW + Duration::from_secs(30));
    scheduler.handle_timeout(due);
    let all = actions(&mut scheduler);
    let is_said = |action: &Action| match action {
        Action::Emit { event, .. } => matches!(
            &event.what,
            What::Host(HostEvent { change: HostChange::TaskSkipped { reason, .. }, .. })
                if reason == "unreachable: gone"
        ),
        _ => false,
    };
    assert!(all.iter().any(is_said), "{all:?}");
    assert_eq!(all.last(), Some(&Action::Stop(RunEnd::Complete)));
}

#[test]
fn jobs_that_are_retried_during_a_teardown_run_after_another_set_up() {
    let mut scheduler = set_up();
    let failed = finished(Key::new(1, 1), Ending::Exit(1), None);
    scheduler.handle_records(NOW, H0, vec![done(0, 1), failed]);
    assert_eq!(sent(&mut scheduler), [Sent::Launch(Key::new(TEARDOWN, 1))]);
    assert_eq!(scheduler.handle_retry(1), [1]);
    scheduler.settle(NOW);
    assert_eq!(sent(&mut scheduler), []);
    scheduler.handle_records(NOW, H0, vec![began(TEARDOWN, 1), done(TEARDOWN, 1)]);
    assert_eq!(sent(&mut scheduler), [Sent::Launch(Key::new(SETUP, 2))]);
    scheduler.handle_records(NOW, H0, vec![began(SETUP, 2), done(SETUP, 2)]);
    assert_eq!(sent(&mut scheduler), [Sent::Launch(Key::new(1, 2))]);
}

#[test]
fn set_up_of_a_removed_host_is_killed_and_torn_down() {
    let mut scheduler = setting_up();
    scheduler.handle_remove(NOW, H0);
    // Once more, since the run has no other host and ends.
    let mut orders = sent(&mut scheduler);
    orders.dedup();
    assert_eq!(orders, [Sent::Kill(Key::new(SETUP, 1))]);
    let killed = finished(Key::new(SETUP, 1), Ending::Signal(15), Some(Cause::Interrupted));
    scheduler.handle_records(NOW, H0, vec![killed]);
    assert_eq!(sent(&mut scheduler), [Sent::Launch(Key::new(TEARDOWN, 1))]);
    assert_eq!(scheduler.run().hosts()[0].leaving(), Some("removing"));
    scheduler.handle_records(NOW, H0, vec![began(TEARDOWN, 1), done(TEARDOWN, 1)]);
    assert_eq!(scheduler.run().hosts()[0].leaving(), Some("removed"));
}

#[test]
fn set_up_of_a_host_that_was_removed_while_it_was_away_is_killed_when_it_is_back() {
    let mut scheduler = setting_up();
    scheduler.handle_host_unreachable(NOW, H0, "gone");
    scheduler.handle_remove(NOW, H0);
    sent(&mut scheduler);
    scheduler.handle_host_up(NOW, H0, booted("a"));
    assert_eq!(sent(&mut scheduler), [Sent::Kill(Key::new(SETUP, 1))]);
}

#[test]
fn host_whose_set_up_has_removed_its_records_is_torn_down() {
    // Whether it was seen to begin or not.
    for mut scheduler in [being_set_up(), setting_up()] {
        scheduler.handle_host_unreachable(NOW, H0, "its run log was removed");
        let reason = "removed".into();
        let damage = crate::wire::Damage { reason, log_lost: true, claims_lost: true };
        scheduler.handle_damage(NOW, H0, &damage);
        assert_eq!(sent(&mut scheduler), []);
        scheduler.handle_host_up(NOW, H0, booted("a"));
        assert_eq!(sent(&mut scheduler), [Sent::Launch(Key::new(TEARDOWN, 1))]);
        scheduler.handle_records(NOW, H0, vec![began(TEARDOWN, 1), done(TEARDOWN, 1)]);
        assert_eq!(sent(&mut scheduler)[0], Sent::Reject);
        let reason = scheduler.run().hosts()[0].reason.clone().unwrap();
        assert!(reason.starts_with("set-up failed: what its host had recorded"), "{reason}");
    }
}
