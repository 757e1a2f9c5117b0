//! Runs that go on without the user: `--detach`, `--notify`, nohup.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop here")]

mod support;

use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use snapbox::str;
use support::{Gjob, Place, eventually};

/// A job that runs until a file is there.
fn waiting_job(place: &Place) -> String {
    format!("while ! test -e {}; do sleep 0.05; done\n", place.path("go").display())
}

fn let_go(place: &Place) {
    std::fs::write(place.path("go"), "").unwrap();
}

fn manager_log(place: &Place) -> String {
    std::fs::read_to_string(place.path("state/latest/manager.log")).unwrap()
}

/// The record that the command of `--notify` was given, once it is there.
fn record(place: &Place) -> Value {
    let path = place.path("here/record");
    let mut record = Value::Null;
    eventually("the end is notified", || {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        serde_json::from_str(&text).map(|value| record = value).is_ok()
    });
    record
}

#[test]
fn detached_run_has_a_manager_until_its_end() {
    let place = Place::new();
    place.file("jobs.txt", &format!("echo one\n{}exit 3\n", waiting_job(&place)));
    let args = ["run", "-j", "1", "--detach", "--joblog", "log", "--results", "jobs.txt"];
    place
        .gjob(&args)
        .stdout("[DATE]-1\n")
        .stderr(str![[r#"
help: run [DATE]-1 goes on in the background: `gjob attach [DATE]-1` follows it, `gjob kill --all -R [DATE]-1` ends it

"#]])
        .run();
    eventually("the first job is done", || place.of_jobs("state")[0] == "done");
    assert_eq!(place.status()["managed"], true);
    let mut follower = place.gjob(&["attach"]).start();
    follower.wait_until_printed("following run");
    place
        .gjob(&["attach", "--detach"])
        .code(2)
        .stderr(str![[r#"
gjob: another gjob process manages run [DATE]-1
help: follow it with `gjob attach [DATE]-1`

"#]])
        .run();
    let_go(&place);
    let answer = follower.output();
    assert_eq!(answer.code, 1, "{}", answer.stderr);
    eventually("the run has no manager", || place.status()["managed"] == false);
    assert_eq!(place.of_jobs("state"), ["done", "done", "error"]);
    let log = std::fs::read_to_string(place.path("here/log")).unwrap();
    assert_eq!(log.lines().count(), 4, "{log}");
    let log = manager_log(&place);
    assert!(log.contains("FAILED #2: exit 3") && log.contains("2 done, 1 failed"), "{log}");
    let has_time = |line: &str| {
        let (time, rest) = line.split_at_checked(20).unwrap_or_default();
        jiff::civil::DateTime::strptime("%F %T ", time).is_ok() && !rest.is_empty()
    };
    assert!(log.lines().all(has_time), "{log}");
    let first = place.path("here/gjob-out").join(place.status()["run"].as_str().unwrap());
    assert_eq!(std::fs::read_to_string(first.join("0/log")).unwrap(), "one\n");
}

#[test]
fn detached_manager_is_in_a_session_of_its_own_without_the_terminal() {
    let place = Place::new();
    place.file("jobs.txt", &waiting_job(&place));
    place.gjob(&["run", "-q", "-d", "jobs.txt"]).stdout("[DATE]-1\n").run();
    let run = place.status()["run"].as_str().unwrap().to_owned();
    let manager = manager_of(&place);
    assert_eq!(
        std::fs::read_link(format!("/proc/{manager}/fd/0")).unwrap().to_str(),
        Some("/dev/null")
    );
    for fd in [1, 2] {
        let to = std::fs::read_link(format!("/proc/{manager}/fd/{fd}")).unwrap();
        assert!(to.ends_with(format!("{run}/manager.log")), "{to:?}");
    }
    let stat = std::fs::read_to_string(format!("/proc/{manager}/stat")).unwrap();
    let session = stat.rsplit(')').next().unwrap().split_whitespace().nth(3).unwrap();
    assert_eq!(session, manager.to_string());
    kill_process(Pid::from_raw(manager).unwrap(), Signal::TERM).unwrap();
    eventually("the manager has left", || place.status()["managed"] == false);
    place.gjob(&["attach", "-d", "-q"]).stdout("[DATE]-1\n").run();
    let_go(&place);
    eventually("the job is done", || place.of_jobs("state") == ["done"]);
    eventually("the run has no manager", || place.status()["managed"] == false);
}

/// The process that manages the place's run in the background.
fn manager_of(place: &Place) -> i32 {
    let state = format!("GJOB_STATE_DIR={}", place.path("state").display());
    let has = |pid: i32, file: &str, text: &str| {
        let content = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        content.split(|byte| *byte == 0).any(|word| word == text.as_bytes())
    };
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut pids = processes.filter_map(|process| process.file_name().to_str()?.parse().ok());
    pids.find(|pid| has(*pid, "cmdline", "--in-background") && has(*pid, "environ", &state))
        .unwrap()
}

#[test]
fn what_is_wrong_is_said_before_anything_goes_to_the_background() {
    let place = Place::new();
    place.file("jobs.txt", "true\n");
    place
        .gjob(&["run", "--detach", "-f", "missing", "jobs.txt"])
        .code(2)
        .stderr(str![[r#"
gjob: --file: file "missing" does not exist
gjob: nothing was started

"#]])
        .run();
    assert!(!place.has_run());
    assert_eq!(place.gjob(&["run", "-q", "jobs.txt"]).output().code, 0);
    place
        .gjob(&["attach", "--detach", "--joblog", "/nowhere/log"])
        .code(2)
        .stderr(str![[r#"
gjob: /nowhere/log: No such file or directory (os error 2)

"#]])
        .run();
}

fn notified(place: &Place, args: &[&str]) -> Gjob {
    let args = [&["run", "-q", "-j", "1", "--notify", "cat > record"], args].concat();
    place.gjob(&args)
}

#[test]
fn command_of_notify_gets_a_record_of_the_end() {
    let place = Place::new();
    place.file("jobs.txt", "true\nexit 7\n");
    assert_eq!(notified(&place, &["jobs.txt"]).output().code, 1);
    let record = record(&place);
    let run = place.status()["run"].clone();
    let expected = json!({
        "run": run, "end": "complete", "exit_status": 1, "error": null, "state": "error", "managed": false,
        "counts": { "free": 0, "busy": 0, "done": 1, "unknown": 0, "error": 1 },
        "hosts": 1, "command": "true",
        "outputs_dir": place.path("here/gjob-out").join(run.as_str().unwrap()),
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&record[name], value, "{name}");
    }
    let path = format!("{}/../../docs/schemas/notify.json", env!("CARGO_MANIFEST_DIR"));
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let problems: Vec<String> = jsonschema::validator_for(&schema)
        .unwrap()
        .iter_errors(&record)
        .map(|error| error.to_string())
        .collect();
    assert!(problems.is_empty(), "{problems:?}");
}

#[test]
fn end_of_a_detached_run_is_notified_and_attach_can_change_how() {
    let place = Place::new();
    place.file("jobs.txt", &waiting_job(&place));
    notified(&place, &["--detach", "jobs.txt"]).stdout("[DATE]-1\n").run();
    assert!(!place.path("here/record").exists(), "it has not ended");
    let_go(&place);
    assert_eq!(record(&place)["end"], "complete");
    let attach = |args: &[&str]| {
        let answer = place.gjob(&[&["attach", "-q"], args].concat()).output();
        assert_eq!(answer.code, 0, "{}", answer.stderr);
    };
    attach(&["--notify", "cat > other"]);
    assert!(place.path("here/other").exists());
    std::fs::remove_file(place.path("here/other")).unwrap();
    attach(&[]);
    assert!(place.path("here/other").exists(), "it is kept");
    std::fs::remove_file(place.path("here/other")).unwrap();
    attach(&["--notify", ""]);
    attach(&[]);
    assert!(!place.path("here/other").exists());
}

#[test]
fn command_of_notify_can_use_the_run_and_its_failure_is_said() {
    let place = Place::new();
    place.file("jobs.txt", "true\n");
    let gjob = env!("CARGO_BIN_EXE_gjob");
    let command = format!("{gjob} attach -q 2>/dev/null && exit 5");
    place
        .gjob(&["run", "-q", "--notify", &command, "jobs.txt"])
        .code(3)
        .stderr(str![[r#"
run [DATE]-1: 1 done in [ELAPSED]
gjob: --notify: the command exited with 5

"#]])
        .run();
}

#[test]
fn signal_ends_the_wait_for_the_command_of_notify() {
    let place = Place::new();
    place.file("jobs.txt", "true\n");
    // Its output is not what is waited for.
    let command = format!("exec > /dev/null 2>&1; echo $$ > notified; {}", waiting_job(&place));
    for signal in [Signal::INT, Signal::TERM] {
        let notified = place.path("here/notified");
        let manager = place.gjob(&["run", "-q", "--notify", &command, "jobs.txt"]).start();
        eventually("the command runs", || {
            std::fs::read_to_string(&notified).is_ok_and(|pid| pid.ends_with('\n'))
        });
        manager.signal(signal);
        let answer = manager.output();
        let said = "gjob: --notify: the command is no longer waited for, and goes on\n";
        assert!(answer.code == 3 && answer.stderr.ends_with(said), "{answer:?}");
        let pid = std::fs::read_to_string(&notified).unwrap();
        assert!(std::path::Path::new("/proc").join(pid.trim()).exists());
        std::fs::remove_file(notified).unwrap();
    }
    let_go(&place);
}

#[test]
fn detached_run_whose_id_cannot_be_written_is_named_all_the_same() {
    let place = Place::new();
    place.file("jobs.txt", "true\n");
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let (reader, closed) = std::io::pipe().unwrap();
    drop(reader);
    for (at, why) in [
        (std::process::Stdio::from(full), "No space left on device (os error 28)"),
        (closed.into(), "Broken pipe (os error 32)"),
    ] {
        let answer = place.gjob(&["run", "-d", "jobs.txt"]).stdout_to(at).output();
        let said = format!(" goes on in the background, but its id cannot be written: {why}\n");
        assert!(answer.code == 3 && answer.stderr.ends_with(&said), "{answer:?}");
        eventually("the run ends", || place.of_jobs("state") == ["done"]);
    }
}

#[test]
fn hangup_that_is_ignored_from_the_start_stays_ignored() {
    let place = Place::new();
    place.file("jobs.txt", &waiting_job(&place));
    let mut nohup = Command::new("nohup");
    nohup.arg(env!("CARGO_BIN_EXE_gjob")).args(["run", "jobs.txt"]).current_dir(place.path("here"));
    let mut manager = place.invoke(nohup).start();
    manager.wait_until_printed("start #0");
    manager.signal(Signal::HUP);
    eventually("the job runs", || place.of_jobs("state") == ["busy"]);
    let_go(&place);
    let answer = manager.output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert!(answer.stderr.contains("1 done"), "{}", answer.stderr);
}

#[test]
fn what_has_the_place_of_a_runs_files_is_neither_waited_for_nor_followed() {
    let place = Place::new();
    place.file("jobs.txt", "true\n");
    assert_eq!(place.gjob(&["run", "-q", "jobs.txt"]).output().code, 0);
    let run = place.path("state/latest");
    let elsewhere = place.file("elsewhere", "as it was");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        run.join("end.json"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    std::os::unix::fs::symlink(&elsewhere, run.join("manager.log")).unwrap();
    let answer = place.gjob(&["attach", "-q", "--notify", "cat > record"]).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert_eq!(record(&place)["end"], "complete");
    assert_eq!(place.gjob(&["attach", "-q", "--detach"]).output().code, 3);
    assert_eq!(std::fs::read_to_string(elsewhere).unwrap(), "as it was");
}

#[test]
fn silent_run_says_nothing_unless_something_failed() {
    let place = Place::new();
    place.file("jobs.txt", "echo one\n");
    place.gjob(&["run", "-qq", "jobs.txt"]).run();
    place.gjob(&["run", "-qq", "--skip-done", "latest", "jobs.txt"]).run();
    place.gjob(&["run", "-qq", "--", "echo hello {}", ":::", "1", "2"]).run();
    let shown = ["run", "-qq", "--show", "all", "--", "echo hello {}", ":::", "1"];
    place.gjob(&shown).stdout("hello 1\n").run();
    place.file("jobs.txt", "echo one\nexit 3\n");
    place
        .gjob(&["run", "-qq", "jobs.txt"])
        .code(1)
        .stderr(str![[r#"
FAILED #1: exit 3 · exit 3
run [DATE]-4: 1 done, 1 failed in [ELAPSED]

"#]])
        .run();
    place.gjob(&["run", "-qq", "-H", "nowhere", "jobs.txt"]).code(3).output();
    assert!(!place.gjob(&["attach", "-qq"]).code(1).output().stderr.is_empty());
}
