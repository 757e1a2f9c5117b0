//! Launches, withdrawals and kills are answered, whatever has become of the attempt and
//! whatever jobs have done to its claim. None of them begins twice.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use gjob_core::record::Scope;
use gjob_core::wire::{FromAgent, ToAgent};
use gjob_core::{Cause, Key, Record};

use crate::driver::{Agent, Bed, eventually, kill, launch};

fn claim(bed: &Bed, index: u32) -> PathBuf {
    bed.run_dir().join(format!("keys/{index}.1"))
}

fn withdraw(index: u32) -> ToAgent {
    ToAgent::Withdraw { key: Key::new(index, 1) }
}

/// The record that the agent says again.
fn repeated(agent: &mut Agent, index: u32) -> Record {
    match agent.answer() {
        FromAgent::Recorded { key, line } if key == Key::new(index, 1) => {
            Record::parse(&line).unwrap()
        }
        other => panic!("expected what was recorded of {index}, not {other:?}"),
    }
}

/// What jobs put in a claim's place.
const ODD: [fn(&Path); 3] = [
    |path| std::fs::create_dir(path).unwrap(),
    |path| std::fs::write(path, "x").unwrap(),
    |path| symlink("/dev/zero", path).unwrap(),
];

fn refused(record: Record) -> (Key, String) {
    match record {
        Record::Refused { key, reason, scope: Scope::Host, .. } => (key, reason.shown().into()),
        other => panic!("expected a refusal, not {other:?}"),
    }
}

#[test]
fn what_the_log_says_of_an_attempt_is_repeated_to_whom_it_was_sent_before() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let finish = agent.run(launch(0, "exit 4"));
    agent.send(&withdraw(1));
    let withdrawn = agent.record();
    agent.launch(launch(2, "sleep 300"));
    let id = agent.started(2);
    let offset = agent.offset;
    agent.leave();
    // Nothing that follows on the offset is sent to this one.
    let mut next = bed.attach(2, offset, 1);
    for _ in 0..2 {
        for message in [ToAgent::Launch(Box::new(launch(0, "exit 5"))), withdraw(0), kill(0, 0)] {
            next.send(&message);
            assert_eq!(repeated(&mut next, 0), Record::Finished(finish.clone()));
        }
        next.send(&withdraw(1));
        assert_eq!(repeated(&mut next, 1), withdrawn);
        next.launch(launch(2, "true"));
        let started = repeated(&mut next, 2);
        assert!(matches!(started, Record::Started { id: again, .. } if again.as_str() == id));
    }
    next.send(&kill(2, 5000));
    assert_eq!(next.finished(2).cause, Some(Cause::Killed));
    assert_eq!(bed.log().len(), 5);
}

#[test]
fn what_is_yet_to_be_sent_of_an_attempt_is_not_repeated() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let finish = agent.run(launch(0, "exit 4"));
    agent.leave();
    let mut next = bed.attach(2, 0, 1);
    next.launch(launch(0, "exit 5"));
    next.started(0);
    assert_eq!(next.finished(0), finish);
    next.send(&withdraw(0));
    assert_eq!(repeated(&mut next, 0), Record::Finished(finish));
    next.expect_no_record();
}

#[test]
fn attempt_whose_claim_was_replaced_is_refused_and_its_claim_stays() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    agent.ping(0);
    for (index, put) in (0..).zip(ODD) {
        put(&claim(&bed, index));
        agent.launch(launch(index, "true"));
        let (key, reason) = refused(agent.record());
        assert_eq!(key, Key::new(index, 1));
        assert!(reason.starts_with("its claim was replaced: it "), "{reason}");
        assert!(claim(&bed, index).symlink_metadata().is_ok());
        agent.launch(launch(index, "true"));
        assert_eq!(refused(repeated(&mut agent, index)), (key, reason));
    }
    std::fs::create_dir(claim(&bed, 7)).unwrap();
    for message in [withdraw(7), kill(8, 0)] {
        agent.send(&message);
        assert!(matches!(agent.record(), Record::Withdrawn { .. }));
    }
    assert!(agent.run(launch(9, "true")).is_success());
}

#[test]
fn attempt_whose_claim_is_replaced_while_it_waits_is_refused() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let keys = bed.run_dir().join("keys");
    let script = format!("until [ -e go ]; do sleep 0.02; done; mkdir {}/1.1", keys.display());
    agent.launch(launch(0, &script));
    let id = agent.started(0);
    agent.launch(launch(1, "true"));
    agent.ping(0);
    std::fs::write(bed.results().join(id).join("go"), "").unwrap();
    assert!(agent.finished(0).is_success());
    let (key, reason) = refused(agent.record());
    assert_eq!(key, Key::new(1, 1));
    assert_eq!(reason, "its claim was replaced: it is no symbolic link");
    assert!(agent.run(launch(2, "true")).is_success());
}

#[test]
fn attempt_that_an_earlier_agent_may_have_begun_is_lost_if_its_claim_was_replaced() {
    let bed = Bed::new();
    bed.attach(1, 0, 1).leave();
    std::fs::create_dir(claim(&bed, 0)).unwrap();
    let mut next = bed.attach(2, 0, 1);
    next.expect_no_record();
    next.launch(launch(0, "true"));
    match next.record() {
        Record::Lost { key, reason, .. } => {
            assert_eq!(key, Key::new(0, 1));
            assert_eq!(reason, "its claim was replaced: it is no symbolic link");
        }
        other => panic!("expected a loss, not {other:?}"),
    }
}

#[test]
fn running_job_whose_claim_was_removed_or_replaced_is_killed() {
    for put in [(|_| {}) as fn(&Path), ODD[0]] {
        let bed = Bed::new();
        let mut agent = bed.attach(1, 0, 1);
        agent.launch(launch(0, "sleep 300"));
        agent.started(0);
        std::fs::remove_file(claim(&bed, 0)).unwrap();
        put(&claim(&bed, 0));
        agent.send(&kill(0, 5000));
        assert_eq!(agent.finished(0).cause, Some(Cause::Killed));
    }
}

#[test]
fn running_job_whose_claim_was_removed_or_replaced_is_found_by_the_next_agent() {
    for put in [(|_| {}) as fn(&Path), ODD[0]] {
        let bed = Bed::new();
        let mut agent = bed.attach(1, 0, 1);
        agent.launch(launch(0, "until [ -e go ]; do sleep 0.02; done; exit 4"));
        let id = agent.started(0);
        let offset = agent.offset;
        agent.kill_9();
        std::fs::remove_file(claim(&bed, 0)).unwrap();
        put(&claim(&bed, 0));
        let mut next = bed.attach(2, offset, 1);
        next.ping(0);
        std::fs::write(bed.results().join(&id).join("go"), "").unwrap();
        assert_eq!(next.finished(0).id.as_str(), id);
        eventually("the end of its slot", || bed.processes().len() == 1);
    }
}
