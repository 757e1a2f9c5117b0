//! Few files may be open: gjob raises its own limit as far as it can, jobs keep
//! theirs, and what there are still too few for waits.

mod support;

use std::process::Command;

use support::{Answer, Place};

/// `gjob` below a limit that `ulimit` sets.
fn limited(place: &Place, limit: &str, args: &[&str]) -> Answer {
    let mut shell = Command::new("/bin/sh");
    let script = format!("ulimit {limit}; exec \"$0\" \"$@\"");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_gjob")]).args(args);
    shell.current_dir(place.path("here"));
    place.invoke(shell).output()
}

#[test]
fn jobs_have_the_limit_that_gjob_was_started_with() {
    let place = Place::new();
    place.file("jobs.txt", "ulimit -Sn; echo \"[$GJOB_OPEN_FILES]\"\n");
    let answer = limited(&place, "-Sn 123", &["run", "jobs.txt", "--show", "all"]);
    assert_eq!((answer.code, answer.stdout.as_str()), (0, "123\n[]\n"), "{answer:?}");
}

#[test]
fn more_jobs_run_at_once_than_the_soft_limit_allows() {
    let place = Place::new();
    place.file("jobs.txt", &"sleep 1; echo x > o\n".repeat(80));
    let answer = limited(&place, "-Sn 90", &["run", "-j", "80", "-o", "o", "jobs.txt"]);
    assert_eq!(answer.code, 0, "{answer:?}");
    assert!(place.of_jobs("attempt").iter().all(|attempt| *attempt == 1));
}

#[test]
fn outputs_wait_for_files_and_no_job_is_repeated_for_them() {
    let place = Place::new();
    place.file("jobs.txt", &"sleep 0.5; mkdir d; echo x > d/o\n".repeat(60));
    let answer = limited(&place, "-n 64", &["run", "-j", "18", "-o", "d/o", "jobs.txt"]);
    assert_eq!(answer.code, 0, "{answer:?}");
    assert!(place.of_jobs("attempt").iter().all(|attempt| *attempt == 1), "{answer:?}");
}
