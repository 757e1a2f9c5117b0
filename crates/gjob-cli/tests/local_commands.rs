//! `gjob local`: the original's worker commands on job directories.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop here")]

mod support;

use snapbox::str;
use support::{Gjob, Place, eventually};

fn local(place: &Place, args: &[&str]) -> Gjob {
    place.gjob(&[&["local"], args].concat())
}

/// A new job directory with this script in it.
fn job(place: &Place, script: &str) -> String {
    let made = local(place, &["mkdir"]).output();
    assert_eq!(made.code, 0, "{}", made.stderr);
    let dir = made.stdout.trim_end().to_owned();
    std::fs::write(format!("{dir}/.cmds"), script).unwrap();
    dir
}

fn status(place: &Place, dir: &str) -> String {
    local(place, &["status", dir]).output().stdout.trim_end().to_owned()
}

#[test]
fn local_job_goes_through_its_states() {
    let place = Place::new();
    let dir = job(&place, "echo out; exit $(cat code)\n");
    std::fs::write(format!("{dir}/code"), "0").unwrap();
    assert_eq!(status(&place, &dir), "free");
    local(&place, &["start", &dir]).run();
    eventually("the job is done", || status(&place, &dir) == "done");
    assert_eq!(std::fs::read_to_string(format!("{dir}/log")).unwrap(), "out\n");
    local(&place, &["start", &dir])
        .code(3)
        .stderr(str![[r#"
gjob: start the job in [PLACE]/results/[HOST]/[DATE]-1: it was started before and is done

"#]])
        .run();

    let failing = job(&place, "exit 3\n");
    local(&place, &["start", &failing]).run();
    eventually("the job has failed", || status(&place, &failing) == "error");
    local(&place, &["status", &dir, &failing]).stdout("done\nerror\n").run();
}

#[test]
fn local_job_is_paused_resumed_and_killed() {
    let place = Place::new();
    let dir = job(&place, "sleep 300\n");
    local(&place, &["start", &dir]).run();
    assert_eq!(status(&place, &dir), "busy");
    let paused = |expected: &str, code: i32| {
        local(&place, &["is-paused", &dir]).code(code).stdout(expected.to_owned()).run();
    };
    paused("false\n", 1);
    local(&place, &["pause", &dir]).run();
    paused("true\n", 0);
    local(&place, &["unpause", &dir]).run();
    paused("false\n", 1);
    local(&place, &["delete", &dir])
        .code(1)
        .stderr(str![[r#"
gjob: delete [PLACE]/results/[HOST]/[DATE]-1: its job is running; kill it first

"#]])
        .run();
    local(&place, &["kill", &dir, "--grace", "1s"]).run();
    eventually("the job has ended", || status(&place, &dir) == "error");
    local(&place, &["delete", &dir]).run();
    assert!(!std::path::Path::new(&dir).exists());
}

#[test]
fn only_job_directories_are_deleted() {
    let place = Place::new();
    let other = place.path("here");
    let missing = place.path("missing");
    let dirs = ["delete", other.to_str().unwrap(), missing.to_str().unwrap()];
    local(&place, &dirs)
        .code(1)
        .stderr(str![[r#"
gjob: delete [PLACE]/here: not a job directory, expected RESULTS/HOSTNAME/DATE-N
gjob: delete [PLACE]/missing: No such file or directory (os error 2)

"#]])
        .run();
    assert!(other.exists());
}

#[test]
fn local_job_is_killed_at_its_timeout() {
    let place = Place::new();
    let dir = job(&place, "sleep 300\n");
    local(&place, &["start", &dir, "--timeout", "soon"])
        .code(2)
        .stderr(str![[r#"
gjob: --timeout: invalid duration "soon": expected seconds (90) or units (500ms, 1h30m, 2d)

"#]])
        .run();
    local(&place, &["start", &dir, "--timeout", "500ms"]).run();
    eventually("the job has been ended", || status(&place, &dir) == "error");
    let done = std::fs::read_to_string(format!("{dir}/.done")).unwrap();
    assert!(done.contains("\"timeout\""), "{done}");
}
