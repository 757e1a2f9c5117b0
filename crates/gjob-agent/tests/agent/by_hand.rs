//! One job directory by hand.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use gjob_agent::local::{
    ControlError, DeleteError, StartError, StartOptions, delete, is_paused, kill, mkdir, pause,
    start, status, unpause,
};
use gjob_core::State;

use crate::driver::{Bed, eventually, kill_9, pid_in, program};

/// A program that marks what it starts as this bed's, and is a slot.
fn options(bed: &Bed) -> StartOptions {
    options_of(bed, &Command::new(program()))
}

fn options_of(bed: &Bed, program: &Command) -> StartOptions {
    let wrapper = bed.path().join("wrapper");
    if !wrapper.exists() {
        let path = bed.path().display();
        let words: Vec<_> = [program.get_program()].into_iter().chain(program.get_args()).collect();
        let words = words.join(OsStr::new(" "));
        let script = format!("#!/bin/sh\nTEST_BED={path} exec {} \"$@\"\n", words.display());
        // Written by a child: while a file is open for writing here, a test that
        // forks just then would keep it from being run.
        let mut write = Command::new("sh");
        write.args(["-c", "printf %s \"$1\" > \"$2\" && chmod 755 \"$2\"", "sh", &script]);
        assert!(write.arg(&wrapper).status().unwrap().success());
    }
    StartOptions { name: Some("by hand".into()), timeout: None, program: wrapper }
}

fn job(bed: &Bed, script: &str) -> PathBuf {
    let id = mkdir(&bed.results()).unwrap();
    let dir = bed.results().join(id.as_str());
    std::fs::write(dir.join(".cmds"), format!("{script}\n")).unwrap();
    dir
}

#[test]
fn job_goes_from_free_to_done_or_error() {
    let bed = Bed::new();
    for (script, end) in [("echo hi", State::Done), ("exit 3", State::Error)] {
        let dir = job(&bed, script);
        assert_eq!(status(&dir).unwrap(), State::Free);
        start(&dir, &options(&bed)).unwrap();
        eventually("the end", || status(&dir).unwrap() == end);
        let again = start(&dir, &options(&bed)).unwrap_err();
        assert!(matches!(again, StartError::Started { state, .. } if state == end));
        delete(&dir).unwrap();
        assert!(!dir.exists());
    }
    bed.wait_until_empty();
}

#[test]
fn job_is_paused_and_resumed_and_killed() {
    let bed = Bed::new();
    let dir = job(&bed, "for i in $(seq 1000000); do echo $i > count; sleep 0.01; done");
    start(&dir, &options(&bed)).unwrap();
    assert_eq!(status(&dir).unwrap(), State::Busy);
    assert!(!is_paused(&dir).unwrap());
    let count = || std::fs::read_to_string(dir.join("count")).unwrap_or_default();
    eventually("a first count", || !count().is_empty());
    pause(&dir).unwrap();
    assert!(is_paused(&dir).unwrap());
    let at = count();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(count(), at);
    unpause(&dir).unwrap();
    assert!(!is_paused(&dir).unwrap());
    eventually("it to go on", || !count().is_empty() && count() != at);
    assert!(matches!(delete(&dir), Err(DeleteError::Busy { .. })));
    pause(&dir).unwrap();
    kill(&dir, Duration::from_secs(5)).unwrap();
    assert_eq!(status(&dir).unwrap(), State::Error);
    assert!(!is_paused(&dir).unwrap());
    let again = kill(&dir, Duration::ZERO);
    assert!(matches!(again, Err(ControlError::NotRunning { state: State::Error, .. })));
    bed.wait_until_empty();
}

#[test]
fn job_whose_slot_was_killed_is_unknown_and_can_still_be_ended() {
    let bed = Bed::new();
    let dir = job(&bed, "echo $PPID > slot; setsid sleep 300 & sleep 300");
    start(&dir, &options(&bed)).unwrap();
    kill_9(pid_in(&dir.join("slot")));
    eventually("its being unknown", || status(&dir).unwrap() == State::Unknown);
    kill(&dir, Duration::from_millis(200)).unwrap();
    assert_eq!(status(&dir).unwrap(), State::Unknown);
    bed.wait_until_empty();
}

#[test]
fn directory_that_is_no_job_directory_is_left_alone() {
    let bed = Bed::new();
    let dir = bed.path().join("precious");
    std::fs::create_dir(&dir).unwrap();
    assert!(matches!(delete(&dir), Err(DeleteError::NotAJobDirectory { .. })));
    let started = start(&dir, &options(&bed));
    assert!(matches!(started, Err(StartError::NotAJobDirectory { .. })));
    assert!(status(&dir).unwrap_err().to_string().contains("not a job directory"));
    assert!(is_paused(&dir).is_err());
    for refusal in [kill(&dir, Duration::ZERO), pause(&dir), unpause(&dir)] {
        assert!(refusal.unwrap_err().to_string().contains("not a job directory"));
    }
    let empty = bed.results().join(mkdir(&bed.results()).unwrap().as_str());
    let started = start(&empty, &options(&bed)).unwrap_err();
    assert_eq!(
        started.to_string(),
        format!("start the job in {}: it has no .cmds", empty.display())
    );
    assert_eq!(status(&empty).unwrap(), State::Free);
}

#[test]
fn job_whose_exit_record_cannot_be_written_is_still_over() {
    let bed = Bed::new();
    let dir = job(&bed, "mkdir .done; exit 3");
    start(&dir, &options(&bed)).unwrap();
    // A process that is just ending has no environment any more.
    bed.wait_until_empty();
    eventually("its end", || status(&dir).unwrap() == State::Unknown);
    let dir = job(&bed, "mkdir .done; touch began; sleep 300");
    start(&dir, &options(&bed)).unwrap();
    eventually("its begin", || dir.join("began").exists());
    assert_eq!(status(&dir).unwrap(), State::Busy);
    kill(&dir, Duration::from_secs(5)).unwrap();
    bed.wait_until_empty();
}

#[test]
fn job_that_has_closed_its_directory_leaves_its_exit_record() {
    for closing in ["chmod a-w .", "chmod 000 .", "chmod 500 ."] {
        let bed = Bed::new();
        let options = options_of(&bed, &Command::new(bed.unprivileged_program()));
        bed.as_nobody(|| {
            let dir = job(&bed, &format!("{closing}; exit 3"));
            start(&dir, &options).unwrap();
            bed.wait_until_empty();
            assert_eq!(status(&dir).unwrap(), State::Error, "{closing}");
        });
    }
}

#[test]
fn job_that_cannot_be_started_stays_free() {
    let bed = Bed::new();
    let dir = job(&bed, "true");
    let mut bad = options(&bed);
    bad.program = bed.path().join("nothing");
    assert!(matches!(start(&dir, &bad), Err(StartError::Io { .. })));
    assert_eq!(status(&dir).unwrap(), State::Free);
}
