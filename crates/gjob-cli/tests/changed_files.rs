//! Retrying jobs whose files have changed since they were sent.

mod support;

use std::os::unix::fs::PermissionsExt;

use snapbox::str;
use support::{Place, eventually};

fn states(place: &Place) -> Vec<serde_json::Value> {
    place.of_jobs("state")
}

#[test]
fn retry_names_files_that_have_changed_and_does_nothing() {
    let place = Place::new();
    std::fs::create_dir_all(place.path("here/data")).unwrap();
    place.file("fit.sh", "exit 1\n");
    place.file("data/rate", "1\n");
    place.file("jobs.txt", "bash fit.sh\ntrue\n");
    let run = ["run", "-q", "-j", "1", "-f", "fit.sh", "-f", "data", "jobs.txt"];
    assert_eq!(place.gjob(&run).output().code, 1);
    place.file("fit.sh", "exit 0\n");
    place
        .gjob(&["retry"])
        .code(2)
        .stderr(str![[r#"
gjob: fit.sh has changed since gjob sent it
help: to send it again: `gjob retry --new-files -R [DATE]-1`; to use what was sent: `--old-files`

"#]])
        .run();
    place.file("data/rate", "2\n");
    place
        .gjob(&["retry", "0"])
        .code(2)
        .stderr(str![[r#"
gjob: data, fit.sh have changed since gjob sent them
help: to send them again: `gjob retry --new-files -R [DATE]-1`; to use what was sent: `--old-files`

"#]])
        .run();
    assert_eq!(states(&place), ["error", "done"]);
    place
        .gjob(&["retry", "--old-files", "--attach"])
        .code(1)
        .stderr(str![[r#"
run [DATE]-1 resumed: 2 jobs, 1 host
start #0 (2nd attempt): bash fit.sh
FAILED #0: exit 1 (2nd attempt) · bash fit.sh
help: `gjob logs 0 -R [DATE]-1` and `gjob explain 0 -R [DATE]-1` say more, `gjob retry --attach -R [DATE]-1` retries failed jobs
run [DATE]-1: 1 done, 1 failed in [ELAPSED]

"#]])
        .run();
}

#[test]
fn retry_with_new_files_sends_them_and_they_stay() {
    let place = Place::new();
    std::fs::create_dir_all(place.path("here/data")).unwrap();
    place.file("fit.sh", "exit 1\n");
    place.file("data/rate", "1\n");
    place.file("jobs.txt", "bash fit.sh; grep -q 2 data/rate\ngrep -q 1 data/rate\n");
    let run = ["run", "-q", "-j", "1", "-f", "fit.sh", "-f", "data", "jobs.txt"];
    assert_eq!(place.gjob(&run).output().code, 1);
    place.file("fit.sh", "exit 0\n");
    place.file("data/rate", "2\n");
    place
        .gjob(&["retry", "--new-files"])
        .stdout("reopened 1 job; resume the run with `gjob attach [DATE]-1`\n")
        .run();
    assert_eq!(place.gjob(&["attach", "-q"]).output().code, 0);
    assert_eq!(states(&place), ["done", "done"]);
    let again = [&run[..], &["--skip-done", "latest"]].concat();
    let answer = place.gjob(&again).output();
    let counts = "1 of 2; left: 1 with other files";
    assert!(answer.stderr.contains(counts), "the second had other files: {}", answer.stderr);
}

#[test]
fn new_files_are_for_all_that_starts_from_then_on_under_a_living_manager() {
    let place = Place::new();
    let go = place.path("go");
    place.file("fit.sh", "exit 1\n");
    // The second keeps the only slot, and its file; the third waits.
    let waiting = format!("while ! test -e {}; do sleep 0.05; done; ! bash fit.sh", go.display());
    place.file("jobs.txt", &format!("bash fit.sh\n{waiting}\nbash fit.sh\n"));
    let events = ["--events", "events"];
    let args = ["run", "-q", "-j", "1", "-f", "fit.sh", "jobs.txt"];
    let manager = place.gjob(&[&args[..], &events].concat()).start();
    eventually("the second job runs", || {
        place.has_run() && place.of_jobs("started").iter().filter(|at| !at.is_null()).count() == 2
    });
    place.file("fit.sh", "exit 0\n");
    place.gjob(&["retry", "0", "--new-files"]).stdout("reopened 1 job\n").run();
    std::fs::write(&go, "").unwrap();
    let answer = manager.output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert_eq!(states(&place), ["done", "done", "done"]);
    assert_eq!(answer.stderr.matches("FAILED").count(), 1, "{}", answer.stderr);
    let log = std::fs::read_to_string(place.path("here/events")).unwrap();
    let replaced = log.lines().find(|line| line.contains("files-replaced")).unwrap();
    assert!(replaced.contains(r#""revision":1,"files":["fit.sh"]"#), "{replaced}");
    let left = std::fs::read_dir(place.path("state/latest")).unwrap().flatten();
    let mut left = left.filter(|entry| entry.file_name().to_str().unwrap().starts_with("inputs-"));
    assert!(left.next().is_none());
}

#[test]
fn new_files_of_dependants_are_sent_with_those_of_the_retried_job() {
    let place = Place::new();
    place.file("one.sh", "exit 1\n");
    place.file("two.sh", "exit 1\n");
    place.file(
        "jobs.jsonl",
        r#"{"name": "one", "commands": ["bash one.sh"], "files": ["one.sh"]}
{"commands": ["bash two.sh"], "files": ["two.sh"], "after": ["one"]}
"#,
    );
    assert_eq!(place.gjob(&["run", "-q", "jobs.jsonl"]).output().code, 1);
    place.file("one.sh", "exit 0\n");
    place.file("two.sh", "exit 0\n");
    assert_eq!(place.gjob(&["retry", "one", "--new-files", "--attach"]).output().code, 0);
    assert_eq!(states(&place), ["done", "done"]);
}

#[test]
fn new_file_that_is_gone_is_named_and_no_job_is_retried() {
    let place = Place::new();
    place.file("fit.sh", "exit 1\n");
    place.file("jobs.txt", "bash fit.sh\n");
    assert_eq!(place.gjob(&["run", "-q", "-f", "fit.sh", "jobs.txt"]).output().code, 1);
    std::fs::remove_file(place.path("here/fit.sh")).unwrap();
    place
        .gjob(&["retry", "--new-files"])
        .code(2)
        .stderr(str![[r#"
gjob: file "[PLACE]/here/fit.sh" does not exist
gjob: no job was retried

"#]])
        .run();
    assert_eq!(states(&place), ["error"]);
    place.file("fit.sh", "exit 0\n");
    // The directory it was run in does not matter.
    let elsewhere = place.gjob(&["retry", "--new-files", "--attach"]).current_dir("/".as_ref());
    assert_eq!(elsewhere.output().code, 0);
}

#[test]
fn files_can_be_replaced_again_before_the_jobs_begin() {
    let place = Place::new();
    place.file("fit.sh", "exit 1\n");
    place.file("jobs.txt", "bash fit.sh\n");
    assert_eq!(place.gjob(&["run", "-q", "-f", "fit.sh", "jobs.txt"]).output().code, 1);
    place.file("fit.sh", "exit 2\n");
    assert_eq!(place.gjob(&["retry", "--new-files"]).output().code, 0);
    place.file("fit.sh", "exit 0 # now\n");
    place
        .gjob(&["retry", "--new-files"])
        .stdout("nothing to retry: no job of run [DATE]-1 has failed\n")
        .run();
    let answer = place.gjob(&["attach", "-q"]).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
}

#[test]
fn script_that_was_made_executable_has_changed_and_is_sent_again() {
    let place = Place::new();
    std::fs::create_dir_all(place.path("here/bin")).unwrap();
    for (sent, script) in [("s.sh", "s.sh"), ("bin", "bin/s.sh")] {
        place.file(script, "#!/bin/sh\necho hi\n");
        let chmod = |mode| {
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(place.path("here").join(script), mode).unwrap();
        };
        chmod(0o644);
        let command = format!("./{script}");
        let answer = place.gjob(&["run", "-f", sent, "--", &command]).output();
        assert_eq!(answer.code, 1, "{}", answer.stderr);
        let hint = format!(
            "help: {script} was sent without execute permission: `chmod +x {script}`, then `gjob retry --new-files"
        );
        assert!(answer.stderr.contains(&hint), "{}", answer.stderr);
        chmod(0o755);
        let refused = place.gjob(&["retry"]).code(2).output();
        assert!(refused.stderr.contains(&format!("{sent} has changed")), "{}", refused.stderr);
        let again = place.gjob(&["retry", "--new-files", "--attach", "-qq"]).output();
        assert_eq!((again.code, again.stderr.as_str()), (0, ""));
        assert_eq!(states(&place), ["done"]);
        // It is known as the same from now on.
        let skipped = ["run", "-f", sent, "--skip-done", "latest", "--", &command];
        let skipped = place.gjob(&skipped).output();
        assert!(skipped.stderr.contains("nothing left to run"), "{}", skipped.stderr);
    }
}
