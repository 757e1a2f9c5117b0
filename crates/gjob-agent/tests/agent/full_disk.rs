//! A full disk delays, and loses nothing.

use std::path::PathBuf;

use gjob_core::record::Scope;
use gjob_core::wire::{FromAgent, ToAgent};
use gjob_core::{Cause, Ending, Key, Record};

use crate::driver::{Agent, Bed, eventually, kill, kill_for, launch, pause, pid_in};

/// Takes all the room there is.
const FILL: &str = "cat /dev/zero > hog 2> /dev/null || true; : > full";

/// What a file system gives out at once, bytes.
const BLOCK: u64 = 4096;

fn job_dir(bed: &Bed, agent: &Agent, id: &str) -> PathBuf {
    agent.sees(&bed.results().join(id))
}

/// Waits until the agent says that there is no space for a job.
fn expect_no_space(agent: &mut Agent, index: u32) {
    expect_drop(agent, index, 1);
}

/// Waits until the agent says that it has dropped a job, this often by now.
fn expect_drop(agent: &mut Agent, index: u32, times: u32) {
    match agent.answer() {
        FromAgent::NotNow { keys, reason, scope: Scope::Space } => {
            assert_eq!(keys, [(Key::new(index, 1), times)]);
            assert_eq!(reason, "its results disk is full");
        }
        other => panic!("expected a refusal, not {other:?}"),
    }
}

fn job_dirs(bed: &Bed, agent: &Agent) -> usize {
    let host = agent.sees(&bed.results()).join(agent.hostname());
    std::fs::read_dir(host).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_dir()).count()
}

#[test]
fn exit_status_is_kept_until_the_run_log_has_room_for_it() {
    let bed = Bed::new();
    let Some(mut agent) = bed.attach_on_small_disk() else { return };
    agent.may_tear = true;
    let log = agent.sees(&bed.run_dir().join("log"));
    // No room is left in the log's last block either.
    let length = || std::fs::metadata(&log).unwrap().len();
    for index in 1000.. {
        if length() % BLOCK > BLOCK - 220 {
            break;
        }
        agent.send(&ToAgent::Withdraw { key: Key::new(index, 1) });
        assert!(matches!(agent.record(), Record::Withdrawn { .. }));
    }
    agent.launch(launch(0, &format!("sleep 0.1; {FILL}; exit 7")));
    let id = agent.started(0);
    let dir = job_dir(&bed, &agent, &id);
    eventually("its exit record", || dir.join(".done").exists());
    let done: serde_json::Value =
        serde_json::from_slice(&std::fs::read(dir.join(".done")).unwrap()).unwrap();
    assert_eq!(done["ending"]["exit"], 7);
    // Its own slot still waits to say so.
    agent.launch(launch(1, "true"));
    expect_no_space(&mut agent, 1);
    std::fs::remove_file(dir.join("hog")).unwrap();
    assert_eq!(agent.finished(0).ending, Ending::Exit(7));
    assert!(agent.run(launch(2, "true")).is_success());
}

#[test]
fn full_host_refuses_jobs_and_the_job_that_filled_it_can_be_killed() {
    let bed = Bed::new();
    let Some(mut agent) = bed.attach_on_small_disk() else { return };
    agent.launch(launch(0, &format!("{FILL}; sleep 300")));
    let id = agent.started(0);
    let dir = job_dir(&bed, &agent, &id);
    eventually("a full disk", || dir.join("full").exists());
    agent.launch(launch(1, "true"));
    expect_no_space(&mut agent, 1);
    assert_eq!(job_dirs(&bed, &agent), 1, "nothing is left of it");
    agent.send(&pause(0));
    eventually("the pause", || dir.join(".controlled").symlink_metadata().is_ok());
    agent.send(&kill_for(Cause::Superseded, 0, 5000));
    let finish = agent.finished(0);
    assert_eq!((finish.ending, finish.cause), (Ending::Signal(15), Some(Cause::Superseded)));
    assert!(dir.join(".done").exists());
    agent.launch(launch(2, "true"));
    expect_no_space(&mut agent, 2);
    // One that knows of it is another launch under the same key.
    let again = |index, dropped| {
        let mut again = launch(index, "true");
        again.dropped = dropped;
        again
    };
    agent.launch(again(1, 1));
    expect_drop(&mut agent, 1, 2);
    std::fs::remove_file(dir.join("hog")).unwrap();
    // It was said that these never begin.
    for (index, known, times) in [(1, 0, 2), (1, 1, 2), (2, 0, 1)] {
        agent.launch(again(index, known));
        expect_drop(&mut agent, index, times);
    }
    assert!(agent.run(again(1, 2)).is_success());
    assert!(agent.run(launch(3, "true")).is_success());
    assert_eq!(agent.leave(), Some(0));
    bed.wait_until_empty();
}

#[test]
fn manager_that_reconnects_to_a_full_host_gets_all_records() {
    let bed = Bed::new();
    let Some(mut agent) = bed.attach_on_small_disk() else { return };
    agent.launch(launch(0, &format!("echo $PPID > slot; {FILL}; sleep 300")));
    let id = agent.started(0);
    let dir = job_dir(&bed, &agent, &id);
    let slot = pid_in(&dir.join("slot"));
    eventually("a full disk", || dir.join("full").exists());
    let offset = agent.offset;
    agent.kill_9();
    let mut next = bed.attach_beside(slot, 2, offset);
    let heard = next.ping(0);
    next.ping(heard);
    next.send(&kill(0, 5000));
    assert_eq!(next.finished(0).cause, Some(Cause::Killed));
    assert_eq!(next.leave(), Some(0));
    bed.wait_until_empty();
}
