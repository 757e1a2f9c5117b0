//! A machine is not its name: names change, and several machines may have one results
//! directory.

use std::path::PathBuf;

use gjob_core::record::Loss;
use gjob_core::{Cause, Key, Record};

use crate::driver::{Bed, is_alive, kill, kill_9, launch, pid_in};

const RENAME: &str = "hostname renamed";

/// A job of an agent that was killed: its shell, its slot, the job's directory, and the
/// log's offset.
fn left_alone(bed: &Bed) -> Option<(u32, u32, PathBuf, u64)> {
    let mut agent = bed.attach_apart("true", 1, 0)?;
    agent.launch(launch(0, "echo $PPID > slot; echo $$ > shell; sleep 300"));
    let dir = bed.results().join(agent.started(0));
    let pids = (pid_in(&dir.join("shell")), pid_in(&dir.join("slot")));
    let offset = agent.offset;
    agent.kill_9();
    Some((pids.0, pids.1, dir, offset))
}

#[test]
fn renamed_host_tells_what_became_of_its_jobs() {
    let bed = Bed::new();
    let Some((shell, slot, _, offset)) = left_alone(&bed) else { return };
    kill_9(slot);
    let mut agent = bed.attach_apart(RENAME, 2, offset).unwrap();
    match agent.record() {
        Record::Lost { how, reason, .. } => {
            assert_eq!((how, &*reason.shown()), (Loss::Slot, "its slot died while it was running"));
        }
        other => panic!("expected a loss, not {other:?}"),
    }
    assert!(!is_alive(shell));
}

#[test]
fn job_of_a_renamed_host_is_adopted_and_can_be_killed() {
    let bed = Bed::new();
    let Some((shell, _, _, offset)) = left_alone(&bed) else { return };
    let mut agent = bed.attach_apart(RENAME, 2, offset).unwrap();
    agent.expect_no_record();
    agent.send(&kill(0, 100));
    assert_eq!(agent.finished(0).cause, Some(Cause::Killed));
    assert!(!is_alive(shell));
}

/// Makes an attempt's claim one of another boot, of the machine with this id.
fn forge_claim(bed: &Bed, machine: &str) {
    let path = bed.run_dir().join("keys").join(Key::new(0, 1).to_string());
    let claim = std::fs::read_link(&path).unwrap();
    let mut words: Vec<&str> = claim.to_str().unwrap().split(' ').collect();
    words[4] = "00000000";
    if machine != "same" {
        words[5] = machine;
    }
    let forged = words.join(" ");
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(forged, path).unwrap();
}

#[test]
fn job_of_another_machine_is_left_to_it_and_named_when_it_is_to_be_killed() {
    let bed = Bed::new();
    let Some((shell, slot, dir, offset)) = left_alone(&bed) else { return };
    forge_claim(&bed, "0a0b0c0d");
    // What is locked here counts for what another machine has locked.
    std::fs::write(dir.join(".lock"), "").unwrap();
    let mut agent = bed.attach_apart(RENAME, 2, offset).unwrap();
    agent.expect_no_record();
    agent.send(&kill(0, 100));
    match agent.record() {
        Record::Lost { how, reason, survivors, .. } => {
            let there = dir.parent().unwrap().file_name().unwrap().to_str().unwrap();
            let expected =
                format!("it was started on {there}, which is another machine than renamed");
            assert_eq!((how, &*reason.shown(), survivors), (Loss::Slot, &*expected, vec![slot]));
        }
        other => panic!("expected a loss, not {other:?}"),
    }
    assert!(is_alive(shell));
}

#[test]
fn job_from_before_a_restart_under_another_name_is_lost() {
    let bed = Bed::new();
    let Some((shell, slot, _, offset)) = left_alone(&bed) else { return };
    [shell, slot].into_iter().for_each(kill_9);
    bed.empty();
    forge_claim(&bed, "same");
    let mut agent = bed.attach_apart(RENAME, 2, offset).unwrap();
    match agent.record() {
        Record::Lost { how, .. } => assert_eq!(how, Loss::Restart),
        other => panic!("expected a loss, not {other:?}"),
    }
}
