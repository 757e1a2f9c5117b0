//! Processes that do not obey: jobs that stop or freeze what they depend on, and those
//! that run as another user. Each is ended by somebody, or named.

use std::time::{Duration, Instant};

use gjob_agent::local::ControlError;
use gjob_core::record::Loss;
use gjob_core::{Cause, JobRequest, Key, Record};
use gjob_testbed::Freezer;

use crate::driver::{Agent, Bed, eventually, is_alive, kill, kill_9, launch, pid_in};

/// A job that writes the pid of its shell and runs on.
fn start(bed: &Bed, agent: &mut Agent, script: &str) -> u32 {
    let id = agent.started_at_last(&launch(0, &format!("echo $$ > shell; {script}")));
    pid_in(&bed.results().join(id).join("shell"))
}

fn lost(record: Record) -> (Loss, String, Vec<u32>) {
    match record {
        Record::Lost { key, how, reason, survivors, .. } if key == Key::new(0, 1) => {
            (how, reason.shown().into(), survivors)
        }
        other => panic!("expected a loss, not {other:?}"),
    }
}

#[test]
fn job_that_has_stopped_its_slot_is_killed_all_the_same() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let shell = start(&bed, &mut agent, "kill -STOP $PPID; sleep 300");
    agent.send(&kill(0, 200));
    assert_eq!(agent.finished(0).cause, Some(Cause::Killed));
    assert!(!is_alive(shell));
}

#[test]
fn job_that_has_stopped_its_slot_ends_at_its_timeout() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let mut job = launch(0, "kill -STOP $PPID; sleep 300");
    job.request = JobRequest { timeout_ms: Some(300), ..JobRequest::default() };
    agent.launch(job);
    agent.started(0);
    assert_eq!(agent.finished(0).cause, Some(Cause::Timeout));
}

#[test]
fn job_that_has_stopped_its_slot_ends_with_its_lease() {
    let bed = Bed::new();
    let mut agent = bed.attach_leased(1, 0, 1500);
    agent.launch(launch(0, "kill -STOP $PPID; sleep 300"));
    agent.started(0);
    agent.kill_9();
    assert_eq!(bed.finish_in_log(0).cause, Some(Cause::Lease));
    bed.wait_until_empty();
}

#[test]
fn job_that_stops_its_slot_again_and_again_is_killed_by_the_agent() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    // Never let go of, as with a debugger or a freezer.
    let stop = "(while kill -STOP $PPID; do :; done) & (while kill -STOP $PPID; do :; done) &";
    let shell = start(&bed, &mut agent, &format!("trap '' TERM; {stop} wait"));
    agent.send(&kill(0, 100));
    match agent.record() {
        // The slot may get a turn after all.
        Record::Finished(finish) => assert_eq!(finish.cause, Some(Cause::Killed)),
        record => {
            let reason = "its slot did not carry out a kill, and was killed itself".to_owned();
            assert_eq!(lost(record), (Loss::Slot, reason, Vec::new()));
        }
    }
    assert!(!is_alive(shell));
    assert!(agent.run(launch(1, "true")).is_success());
}

#[test]
fn shell_that_cannot_be_ended_is_named_and_its_slot_leaves() {
    let bed = Bed::new();
    let Some(freezer) = Freezer::new() else { return };
    let mut agent = bed.attach(1, 0, 1);
    let shell = start(&bed, &mut agent, &freezer.script_of_shell());
    eventually("the shell to be frozen", || freezer.is_frozen());
    agent.send(&kill(0, 100));
    let (how, reason, survivors) = lost(agent.record());
    assert_eq!((how, &*reason), (Loss::Slot, "its shell could not be ended"));
    assert!(survivors.contains(&shell), "{survivors:?}");
    assert!(is_alive(shell));
    assert!(agent.run(launch(1, "true")).is_success());
}

#[test]
fn slot_that_cannot_be_ended_is_named_with_its_job() {
    let bed = Bed::new();
    let Some(freezer) = Freezer::new() else { return };
    let mut agent = bed.attach(1, 0, 1);
    let slot = freezer.script_of_parent();
    let shell = start(&bed, &mut agent, &format!("echo $PPID > slot; {slot}; sleep 300"));
    let id = bed.log().into_iter().find_map(|record| match record {
        Record::Started { id, .. } => Some(id),
        _ => None,
    });
    let slot = pid_in(&bed.results().join(id.unwrap().as_str()).join("slot"));
    eventually("the slot to be frozen", || freezer.is_frozen());
    agent.send(&kill(0, 100));
    let (how, reason, survivors) = lost(agent.record());
    assert_eq!((how, &*reason), (Loss::Slot, "its slot cannot be ended"));
    assert!(survivors.contains(&slot) && survivors.contains(&shell), "{survivors:?}");
    assert!(agent.run(launch(1, "true")).is_success());
}

#[test]
fn slot_that_cannot_be_ended_is_named_to_who_kills_its_job_by_hand() {
    let bed = Bed::new();
    let Some(freezer) = Freezer::new() else { return };
    let mut agent = bed.attach(1, 0, 1);
    let script = format!("echo $PPID > slot; {}", freezer.script_of_parent());
    let dir = bed.results().join(agent.started_at_last(&launch(0, &script)));
    let slot = pid_in(&dir.join("slot"));
    eventually("the slot to be frozen", || freezer.is_frozen());
    match gjob_agent::local::kill(&dir, Duration::ZERO) {
        Err(ControlError::Survivors { pids, .. }) => assert!(pids.contains(&slot), "{pids:?}"),
        other => panic!("expected survivors, not {other:?}"),
    }
}

#[test]
fn shell_of_another_user_is_named() {
    let bed = Bed::new();
    let Some(as_root) = bed.as_root() else { return };
    let mut agent = bed.attach_unprivileged(1, 0);
    let sleep = "sh -c 'echo $$ > root; exec sleep 300'";
    let exec = format!("exec {} --reuid=0 --clear-groups {sleep}", as_root.display());
    agent.launch(launch(0, &exec));
    let shell = pid_in(&bed.results().join(agent.started(0)).join("root"));
    agent.send(&kill(0, 100));
    let (how, _, survivors) = lost(agent.record());
    assert_eq!((how, survivors), (Loss::Slot, vec![shell]));
    assert!(is_alive(shell));
    kill_9(shell);
}

#[test]
fn process_that_the_process_table_does_not_show_is_named() {
    let bed = Bed::new();
    let Some(as_root) = bed.as_root() else { return };
    let hide = "mount -t proc -o hidepid=2 proc /proc";
    let Some(mut agent) = bed.attach_apart(hide, 1, 0) else { return };
    let sleep = "sh -c 'echo $$ > hidden; exec sleep 300'";
    let start = format!("{} --reuid=0 --clear-groups {sleep} &", as_root.display());
    agent.launch(launch(0, &format!("{start} until [ -s hidden ]; do sleep 0.02; done")));
    let id = agent.started(0);
    let hidden = pid_in(&bed.results().join(id).join("hidden"));
    assert_eq!(agent.finished(0).survivors, [hidden]);
    let began = Instant::now();
    assert!(agent.run(launch(1, "true")).is_success());
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    kill_9(hidden);
}
