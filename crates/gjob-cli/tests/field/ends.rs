//! Runs that end early, and output that nobody reads or that cannot be written.

use std::fs::File;
use std::io::Read;
use std::time::Duration;

use super::{Field, assert_code};
use crate::support::eventually;

/// How long a run may take whose running jobs are killed.
const AT_ONCE: Duration = Duration::from_secs(60);

#[test]
fn failure_ends_running_jobs_at_once_or_lets_them_end_as_asked() {
    let field = Field::new(2);
    let begun = field.place.path("begun");
    let fails = format!("until test -e {}; do sleep 0.05; done; exit 3", begun.display());
    let jobs = |then: &str| format!("{fails}\ntouch {}; {then}\n", begun.display());

    // By itself a limit lets what runs end.
    field.place.file("jobs.txt", &(jobs("sleep 1; echo whole") + "true\n"));
    let answer = field.run_on("1/h1,1/h2", &["--max-fails", "1", "jobs.txt"]).output();
    assert_code(&answer, 1);
    assert_eq!(field.place.of_jobs("state"), ["error", "done", "free"]);
    assert_eq!(field.said(&["logs", "1"]), "whole\n");

    std::fs::remove_file(&begun).unwrap();
    field.place.file("jobs.txt", &jobs("sleep 1000"));
    let answer = field.run(&["--halt", "now,fail=1", "jobs.txt"]).start().output_within(AT_ONCE);
    assert_code(&answer, 1);
    assert_eq!(field.place.of_jobs("state"), ["error", "free"]);
    eventually("nothing runs any more", || field.bed.host(2).processes().is_empty());
}

#[test]
fn first_success_ends_the_others_at_once() {
    let field = Field::new(2);
    let args = ["--halt", "now,success=1", "--", "sleep {}; test {} = 0.5", ":::", "1000", "0.5"];
    assert_code(&field.run(&args).start().output_within(AT_ONCE), 0);
    assert_eq!(field.place.of_jobs("state"), ["free", "done"]);
}

#[test]
fn reader_that_leaves_is_no_failure() {
    let field = Field::new(1);
    for (script, code) in [("seq 50000; : {}", 0), ("seq 50000; test {} = 1", 1)] {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let run = field.run(&["--", script, ":::", "1", "2", "3"]).stdout_to(writer).start();
        reader.read_exact(&mut [0]).unwrap();
        drop(reader);
        assert_code(&run.output(), code);
    }
}

#[test]
fn what_was_asked_for_and_cannot_be_written_ends_with_status_3() {
    let field = Field::new(1);
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let args = ["--", "seq 50000; : {}", ":::", "1", "2", "3"];
    assert_code(&field.run(&args).stdout_to(full()).output(), 3);
    for option in ["--joblog", "--events"] {
        let args = [&[option, "/dev/full"], &args[..]].concat();
        assert_code(&field.run(&args).output(), 3);
    }
    assert_eq!(field.place.of_jobs("state"), ["done", "done", "done"]);
}

#[test]
fn every_command_that_prints_tells_a_closed_pipe_from_a_full_disk() {
    let field = Field::new(1);
    let run = field.run(&["--", "seq 50000; : {}", ":::", "1", "2", "3"]).output();
    assert_code(&run, 0);
    let dry: &[&str] = &["run", "--dry-run", "--", "echo", ":::", "1"];
    let commands: [&[&str]; 11] = [
        &["status", "--all"],
        &["status", "--json"],
        &["logs", "0"],
        &["logs", "0", "1"],
        &["runs"],
        &["explain", "0"],
        &["table"],
        &["completions", "bash"],
        dry,
        &["du"],
        &["help"],
    ];
    for command in commands {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let answer = field.place.gjob(command).stdout_to(writer).output();
        assert_eq!((answer.code, answer.stderr.as_str()), (0, ""), "{command:?}");
        let full = File::options().write(true).open("/dev/full").unwrap();
        let answer = field.place.gjob(command).stdout_to(full).output();
        assert_eq!(answer.code, 3, "{command:?}: {answer:?}");
        assert!(answer.stderr.contains("No space left on device"), "{command:?}: {answer:?}");
    }
}
