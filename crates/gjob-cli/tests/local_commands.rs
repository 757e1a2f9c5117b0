//! `gjob local`: the original's worker commands on job directories.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop here")]

mod support;

use support::{Answer, Place, eventually};

fn local(place: &Place, args: &[&str]) -> Answer {
    let mut all = vec!["local"];
    all.extend(args);
    place.gjob(&all).output()
}

/// A new job directory with this script in it.
fn job(place: &Place, script: &str) -> String {
    let made = local(place, &["mkdir"]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    let dir = made.stdout.trim_end().to_owned();
    std::fs::write(format!("{dir}/.cmds"), script).unwrap();
    dir
}

fn status(place: &Place, dir: &str) -> String {
    local(place, &["status", dir]).stdout.trim_end().to_owned()
}

#[test]
fn a_job_goes_through_its_states() {
    let place = Place::new();
    let dir = job(&place, "echo out; exit $(cat code)\n");
    std::fs::write(format!("{dir}/code"), "0").unwrap();
    assert_eq!(status(&place, &dir), "free");
    assert_eq!(local(&place, &["start", &dir]).code, 0);
    eventually("the job is done", || status(&place, &dir) == "done");
    assert_eq!(std::fs::read_to_string(format!("{dir}/log")).unwrap(), "out\n");
    let again = local(&place, &["start", &dir]);
    assert_ne!(again.code, 0, "a job is started once");

    let failing = job(&place, "exit 3\n");
    assert_eq!(local(&place, &["start", &failing]).code, 0);
    eventually("the job has failed", || status(&place, &failing) == "error");
    let both = local(&place, &["status", &dir, &failing]);
    assert_eq!(both.stdout, "done\nerror\n");
}

#[test]
fn a_job_can_be_paused_resumed_and_killed() {
    let place = Place::new();
    let dir = job(&place, "sleep 300\n");
    assert_eq!(local(&place, &["start", &dir]).code, 0);
    assert_eq!(status(&place, &dir), "busy");
    let paused = |expected: &str, code: i32| {
        let answer = local(&place, &["is-paused", &dir]);
        assert_eq!((answer.stdout.as_str(), answer.code), (expected, code), "{}", answer.stderr);
    };
    paused("false\n", 1);
    assert_eq!(local(&place, &["pause", &dir]).code, 0);
    paused("true\n", 0);
    assert_eq!(local(&place, &["unpause", &dir]).code, 0);
    paused("false\n", 1);
    let refused = local(&place, &["delete", &dir]);
    assert_eq!(refused.code, 1, "a running job's directory stays");
    let killed = local(&place, &["kill", &dir, "--grace", "1s"]);
    assert_eq!(killed.code, 0, "{}", killed.stderr);
    eventually("the job has ended", || status(&place, &dir) == "error");
    assert_eq!(local(&place, &["delete", &dir]).code, 0);
    assert!(!std::path::Path::new(&dir).exists());
}

#[test]
fn only_job_directories_are_deleted() {
    let place = Place::new();
    let other = place.path("here");
    let refused = local(&place, &["delete", other.to_str().unwrap()]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("here"), "{}", refused.stderr);
    assert!(other.exists());
}

#[test]
fn a_job_may_have_a_time_limit() {
    let place = Place::new();
    let dir = job(&place, "sleep 300\n");
    assert_eq!(local(&place, &["start", &dir, "--timeout", "500ms"]).code, 0);
    eventually("the job has been ended", || status(&place, &dir) == "error");
    let done = std::fs::read_to_string(format!("{dir}/.done")).unwrap();
    assert!(done.contains("\"timeout\""), "{done}");
}
