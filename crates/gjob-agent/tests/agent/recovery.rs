//! Whatever dies, nothing is lost and nothing is made up.

use std::io::Write as _;

use gjob_core::{Ending, Key, Record};

use crate::driver::{Agent, Bed, eventually, is_alive, kill_9, launch, pid_in};

/// The slot's pid, from a job's `.lock`.
fn slot_of(bed: &Bed, id: &str) -> u32 {
    let lock = std::fs::read(bed.results().join(id).join(".lock")).unwrap();
    let lock: serde_json::Value = serde_json::from_slice(&lock).unwrap();
    lock["slot"]["pid"].as_u64().unwrap() as u32
}

#[test]
fn job_outlives_its_agent_and_the_next_one_reports_its_end() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let gate = bed.path().join("gate");
    agent.launch(launch(
        0,
        &format!("until [ -e {} ]; do sleep 0.02; done; exit 7", gate.display()),
    ));
    let id = agent.started(0);
    let offset = agent.offset;
    agent.kill_9();
    let mut next = bed.attach(2, offset, 1);
    next.expect_no_record();
    std::fs::write(&gate, "").unwrap();
    let finish = next.finished(0);
    assert_eq!((finish.ending, finish.id.as_str()), (Ending::Exit(7), id.as_str()));
    let log = std::fs::read_to_string(bed.run_dir().join("log")).unwrap();
    assert_eq!(log.lines().count(), 3, "{log}");
    assert_eq!(next.offset, log.len() as u64);
}

#[test]
fn end_without_an_agent_is_reported_by_the_next_one() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    agent.launch(launch(0, "sleep 0.2; exit 5"));
    agent.started(0);
    agent.kill_9();
    bed.wait_until_empty();
    let mut next = bed.attach(2, 0, 1);
    next.started(0);
    assert_eq!(next.finished(0).ending, Ending::Exit(5));
}

#[test]
fn adopted_job_counts_as_busy() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    agent.launch(launch(0, "sleep 0.5"));
    agent.started(0);
    let offset = agent.offset;
    agent.kill_9();
    let mut next = bed.attach(2, offset, 1);
    next.launch(launch(1, "true"));
    next.finished(0);
    next.started(1);
    next.finished(1);
}

#[test]
fn job_whose_slot_was_killed_is_lost_and_its_orphans_are_ended() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    agent.launch(launch(0, "setsid sleep 300 & echo $! > sleeper; sleep 300"));
    let id = agent.started(0);
    let sleeper = pid_in(&bed.results().join(&id).join("sleeper"));
    kill_9(slot_of(&bed, &id));
    match agent.record() {
        Record::Lost { key, id: lost, reason, .. } => {
            assert_eq!(key, Key::new(0, 1));
            assert_eq!(lost.unwrap().as_str(), id);
            assert_eq!(reason, "its slot died while it was running");
        }
        other => panic!("expected a loss, not {other:?}"),
    }
    assert!(!is_alive(sleeper));
    assert!(agent.run(launch(1, "true")).is_success());
    agent.leave();
    bed.wait_until_empty();
}

#[test]
fn job_whose_claim_is_gone_and_whose_slot_was_killed_is_lost_and_does_not_begin_again() {
    for does_itself in [true, false] {
        let bed = Bed::new();
        let mut agent = bed.attach(1, 0, 1);
        let (claim, log) = (bed.run_dir().join("keys/0.1"), bed.run_dir().join("log"));
        let end = format!(
            "until grep -q started {}; do sleep 0.02; done; rm {}; kill -9 $PPID",
            log.display(),
            claim.display()
        );
        let end = if does_itself { &end } else { "true" };
        let begun = bed.path().join("begun");
        let script = format!("echo $$ >> {}; {end}; sleep 300", begun.display());
        agent.launch(launch(0, &script));
        let id = agent.started(0);
        let job = pid_in(&begun);
        if !does_itself {
            // As another job may.
            std::fs::remove_file(&claim).unwrap();
            kill_9(slot_of(&bed, &id));
        }
        match agent.record() {
            Record::Lost { key, id: named, reason, survivors, .. } => {
                assert_eq!((key, survivors), (Key::new(0, 1), vec![]));
                assert_eq!(named.unwrap().as_str(), id);
                assert_eq!(reason, "its slot died while it was running");
            }
            other => panic!("expected a loss, not {other:?}"),
        }
        assert!(!is_alive(job));
        assert!(agent.run(launch(1, "true")).is_success());
        assert_eq!(std::fs::read_to_string(&begun).unwrap().lines().count(), 1);
    }
}

#[test]
fn job_lost_without_an_agent_is_found_by_the_next() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    agent.launch(launch(0, "sleep 300"));
    let id = agent.started(0);
    let offset = agent.offset;
    agent.kill_9();
    kill_9(slot_of(&bed, &id));
    let mut next = bed.attach(2, offset, 1);
    assert!(matches!(next.record(), Record::Lost { .. }));
    next.leave();
    bed.wait_until_empty();
}

#[test]
fn exit_record_that_the_log_lacks_is_added() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let finish = agent.run(launch(0, "exit 4"));
    agent.leave();
    bed.wait_until_empty();
    let path = bed.run_dir().join("log");
    let log = std::fs::read_to_string(&path).unwrap();
    let two: String = log.lines().take(2).map(|line| format!("{line}\n")).collect();
    std::fs::write(&path, &two).unwrap();
    let mut next = bed.attach(2, two.len() as u64, 1);
    assert_eq!(next.finished(0), finish);
}

#[test]
fn claim_without_a_record_is_accounted_for() {
    let bed = Bed::new();
    let agent = bed.attach(1, 0, 1);
    let host = agent.hostname();
    agent.leave();
    let keys = bed.run_dir().join("keys");
    std::os::unix::fs::symlink("withdrawn", keys.join("1.1")).unwrap();
    std::os::unix::fs::symlink(format!("{host}/2020-01-01-9"), keys.join("2.1")).unwrap();
    let mut next = bed.attach(2, 0, 1);
    assert!(matches!(next.record(), Record::Withdrawn { key, .. } if key.index == 1));
    assert!(matches!(next.record(), Record::Lost { key, .. } if key.index == 2));
    next.launch(launch(2, "true"));
    next.expect_no_record();
}

#[test]
fn torn_line_is_ended_before_more_is_written() {
    let bed = Bed::new();
    bed.attach(1, 0, 1).leave();
    let path = bed.run_dir().join("log");
    let mut log = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    log.write_all(b"{\"event\":\"star").unwrap();
    let offset = std::fs::metadata(&path).unwrap().len() + 1;
    bed.attach(2, 0, 1).leave();
    let mut agent = bed.attach(3, offset, 1);
    assert_eq!(agent.welcome().damage, None);
    assert!(agent.run(launch(0, "true")).is_success());
}

#[test]
fn newer_epoch_takes_the_run_and_an_older_one_is_refused() {
    let bed = Bed::new();
    let mut old = bed.attach(5, 0, 1);
    old.launch(launch(0, "sleep 0.5; exit 9"));
    old.started(0);
    let mut new = bed.attach(6, 0, 1);
    assert_eq!(old.exit_code(), None, "ended by a signal");
    for epoch in [5, 6] {
        let mut late = Agent::start(&bed);
        late.send(&bed.attach_message(epoch, 0, 1));
        let (reason, permanent) = late.fault();
        assert!(permanent);
        let expected = format!("as its manager of epoch 6, this one is of epoch {epoch}");
        assert!(reason.contains(&expected), "{reason}");
    }
    assert!(is_alive(new.pid()));
    new.started(0);
    assert_eq!(new.finished(0).ending, Ending::Exit(9));
}

#[test]
fn stopped_agent_is_fenced() {
    let bed = Bed::new();
    let old = bed.attach(1, 0, 1);
    let pid = rustix::process::Pid::from_raw(old.pid() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    let new = bed.attach(2, 0, 1);
    eventually("the end of the stopped one", || !is_alive(old.pid()));
    assert!(is_alive(new.pid()));
}
