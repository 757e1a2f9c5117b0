//! Messages of the command line that no longer test comes across.

mod support;

use snapbox::str;
use support::{Place, eventually};

#[test]
fn run_needs_jobs() {
    Place::new()
        .gjob(&["run"])
        .code(2)
        .stderr(str![[r#"
gjob: standard input: no jobs: expected at least one command
gjob: nothing was started

"#]])
        .run();
}

#[test]
fn lease_needs_a_minute() {
    let place = Place::new();
    place.file("jobs.txt", "true\n");
    place
        .gjob(&["run", "--on-lost", "lease", "--lost-after", "59s", "jobs.txt"])
        .code(2)
        .stderr(str![[r#"
gjob: invalid --lost-after 59s: expected at least 1m with --on-lost lease
gjob: nothing was started

"#]])
        .run();
}

#[test]
fn agent_option_needs_a_platform() {
    let place = Place::new();
    place.file("jobs.txt", "true\n");
    let run = |agent: &str| place.gjob(&["run", "--agent", agent, "jobs.txt"]).code(2);
    run("here")
        .stderr(str![[r#"
gjob: invalid --agent "here": expected OS-ARCH=PATH
gjob: nothing was started

"#]])
        .run();
    run("linux=here")
        .stderr(str![[r#"
gjob: --agent: invalid platform "linux": expected OS-ARCH, such as linux-x86_64 or linux-aarch64
gjob: nothing was started

"#]])
        .run();
    run("linux-mips=missing")
        .stderr(str![[r#"
gjob: --agent missing: No such file or directory (os error 2)
gjob: nothing was started

"#]])
        .run();
}

#[test]
fn job_that_has_not_started_has_no_output() {
    let place = Place::new();
    place.file("jobs.txt", "sleep 300\ntrue\n");
    let manager = place.gjob(&["run", "-j", "1", "jobs.txt"]).start();
    eventually("a job runs", || place.has_run() && !place.of_jobs("started")[0].is_null());
    place
        .gjob(&["logs", "1"])
        .code(2)
        .stderr(str![[r#"
gjob: job 1 has not started

"#]])
        .run();
    place
        .gjob(&["fetch", "1", "-o", "*"])
        .code(2)
        .stderr(str![[r#"
gjob: job 1 has not ended

"#]])
        .run();
    manager.kill_9();
    place.gjob(&["kill", "--all"]).stdout("killed 2 jobs\n").run();
}

#[test]
fn fetch_needs_declared_outputs() {
    let place = Place::new();
    place.file("jobs.txt", "true\n");
    assert_eq!(place.gjob(&["run", "jobs.txt"]).output().code, 0);
    place
        .gjob(&["fetch"])
        .code(2)
        .stderr(str![[r#"
gjob: nothing to fetch: no ended job declares outputs
help: say what to fetch with -o GLOB

"#]])
        .run();
    place
        .gjob(&["fetch", "0"])
        .code(2)
        .stderr(str![[r#"
gjob: job 0 declares no outputs
help: say what to fetch with -o GLOB

"#]])
        .run();
    place
        .gjob(&["fetch", "0", "-o", "/x"])
        .code(2)
        .stderr(str![[r#"
gjob: --output "/x" leads out of the job directory: expected a path without a leading /, . and ..

"#]])
        .run();
}

#[test]
fn unreadable_output_is_reported() {
    let place = Place::new();
    let run = place.gjob(&["run", "-j", "1", "--", "rm log; mkdir log; echo", ":::", "x"]).code(3);
    run.stderr(str![[r#"
LAUNCH [HOST]/[DATE]-1 w/name - as job #0
DONE [HOST]/[DATE]-1 w/name -
cannot fetch stdout of [HOST]/[DATE]-1: read the output of job [HOST]/[DATE]-1: log is no regular file
run [DATE]-1: 1 done in [ELAPSED]

"#]])
        .run();
}

#[test]
fn run_without_a_control_socket_goes_on() {
    let place = Place::new();
    let go = place.path("go");
    place.file("jobs.txt", &format!("test -e {}\n", go.display()));
    assert_eq!(place.gjob(&["run", "jobs.txt"]).output().code, 1);
    place.gjob(&["retry"]).output();
    let run = std::fs::read_dir(place.path("state/runs")).unwrap().next().unwrap().unwrap();
    std::fs::create_dir(run.path().join("control")).unwrap();
    std::fs::write(run.path().join("control/file"), "").unwrap();
    std::fs::write(go, "").unwrap();
    place
        .gjob(&["attach"])
        .stderr(str![[r#"
other gjob processes cannot act on this run: no control socket: Is a directory (os error 21)
LAUNCH [HOST]/[DATE]-2 w/name - as job #0
DONE [HOST]/[DATE]-2 w/name -
run [DATE]-1: 1 done in [ELAPSED]

"#]])
        .run();
}
