//! What is shown and written of a run: what cannot be, is said once, never fails
//! the run, and the exit status tells of it.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop here")]

#[path = "support/mod.rs"]
mod support;

use std::io::Read;
use std::process::{Command, Stdio};

use snapbox::str;
use support::{Place, lines};

fn full() -> std::fs::File {
    std::fs::File::options().write(true).open("/dev/full").unwrap()
}

#[test]
fn unwritable_stdout_is_reported_once_with_status_3() {
    let place = Place::new();
    place
        .gjob(&["run", "-j", "1", "--", "echo", ":::", "a", "b"])
        .stdout_to(full())
        .code(3)
        .side_by_side()
        .stderr(str![[r#"
cannot write stdout of [JOB]: No space left on device (os error 28)
run [DATE]-1: 2 done in [ELAPSED]
run [DATE]-1: 2 jobs, 1 host
start #0: echo a
ok #0 in [ELAPSED]
start #1: echo b
ok #1 in [ELAPSED]

"#]])
        .run();
    assert_eq!(place.of_jobs("state"), ["done", "done"]);
}

#[test]
fn reader_that_has_seen_enough_is_no_failure() {
    for (script, code) in [("seq 50000; : {}", 0), ("seq 50000; test {} = 1", 1)] {
        let place = Place::new();
        let (mut reader, writer) = std::io::pipe().unwrap();
        let running = place.gjob(&["run", "--", script, ":::", "1", "2", "3"]).stdout_to(writer);
        let running = running.start();
        let mut first = [0];
        reader.read_exact(&mut first).unwrap();
        drop(reader);
        let answer = running.output();
        assert_eq!(answer.code, code, "{answer:?}");
        assert!(!answer.stderr.contains("pipe"), "{answer:?}");
    }
}

#[test]
fn unwritable_joblog_and_events_are_reported_once_with_status_3() {
    for option in ["--joblog", "--events"] {
        let place = Place::new();
        place.file("jobs.txt", "true\ntrue\n");
        let answer = place.gjob(&["run", "jobs.txt", option, "/dev/full"]).output();
        assert_eq!(answer.code, 3, "{answer:?}");
        let said = "cannot write /dev/full: No space left on device (os error 28)\n";
        assert_eq!(answer.stderr.matches(said).count(), 1, "{answer:?}");
        assert!(answer.stderr.contains("/dev/full is incomplete: "), "{answer:?}");
        assert_eq!(place.of_jobs("state"), ["done", "done"]);
    }
}

#[test]
fn joblog_on_a_disk_that_fills_has_whole_lines_only() {
    let place = Place::new();
    let disk = place.path("disk");
    std::fs::create_dir(&disk).unwrap();
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=12k", "gjob-test"]).arg(&disk);
    if !mount.status().is_ok_and(|status| status.success()) {
        return gjob_testbed::skip("only root can mount a small file system");
    }
    place.file("jobs.txt", &format!("true {}\n", "x".repeat(60)).repeat(200));
    let log = disk.join("log");
    let args = ["run", "jobs.txt", "--joblog", log.to_str().unwrap(), "--show", "none"];
    let answer = place.gjob(&args).output();
    let written = std::fs::read(&log).unwrap();
    let fields: Vec<usize> = lines(&log).iter().map(|line| line.matches('\t').count()).collect();
    assert!(Command::new("umount").arg(&disk).status().unwrap().success());
    assert_eq!(answer.code, 3, "{answer:?}");
    assert_eq!(answer.stderr.matches("cannot write ").count(), 1, "{answer:?}");
    assert!(answer.stderr.contains(" is incomplete: "), "{answer:?}");
    assert_eq!(written.last(), Some(&b'\n'));
    assert!(fields.len() > 10 && fields.iter().all(|tabs| *tabs == 8), "{fields:?}");
}

#[test]
fn of_a_huge_output_the_first_and_the_last_part_are_shown_and_the_rest_is_named() {
    let place = Place::new();
    place.file("jobs.txt", "echo first >&2; truncate -s 15T err; echo last >> err; exit 1\n");
    let answer = place.gjob(&["run", "jobs.txt"]).output();
    assert_eq!(answer.code, 1, "{}", answer.stderr.replace('\0', ""));
    let shown = answer.stderr.replace('\0', "");
    assert!(answer.stderr.len() < 40 << 20);
    for part in [
        "first\n",
        " bytes left out]\n",
        "last\n",
        " bytes of the stderr of job 0 left out: `gjob logs 0 --err`\n",
    ] {
        assert!(shown.contains(part), "{part:?} in {shown}");
    }
}

#[test]
fn logs_of_any_size_take_little_memory() {
    let place = Place::new();
    place.file("jobs.txt", "truncate -s 400M log\n");
    place.gjob(&["run", "jobs.txt"]).output();
    let mut limited = Command::new("/bin/sh");
    let gjob = env!("CARGO_BIN_EXE_gjob");
    limited.args(["-c", "ulimit -v 300000; exec \"$0\" logs 0 | wc -c", gjob]);
    limited.current_dir(place.path("here"));
    place.invoke(limited).stdout("419430400\n").run();
    let follow = place.gjob(&["logs", "0", "-f"]).stdout_to(Stdio::null());
    follow.run();
}

#[test]
fn quiet_reports_failures_of_jobs_and_hosts_and_the_end() {
    let place = Place::new();
    let run =
        place.gjob(&["run", "-q", "-j", "1", "--show", "none", "--", "exit", ":::", "0", "3"]);
    run.code(1)
        .stderr(str![[r#"
FAILED #1: exit 3 · exit 3
run [DATE]-1: 1 done, 1 failed in [ELAPSED]

"#]])
        .run();
    let answer =
        place.gjob(&["run", "-q", "-H", "nowhere..invalid", "--", "true", ":::", "1"]).output();
    assert_eq!(answer.code, 3, "{answer:?}");
    assert!(answer.stderr.contains("host nowhere..invalid failed: "), "{answer:?}");
}

#[test]
fn seeds_lines_are_there_when_asked_for() {
    let place = Place::new();
    let args =
        ["run", "-j", "1", "--show", "none", "--log-format", "seed", "--", "exit", ":::", "0", "3"];
    place
        .gjob(&args)
        .code(1)
        .stderr(str![[r#"
LAUNCH [HOST]/[DATE]-1 w/name - as job #0
DONE [HOST]/[DATE]-1 w/name -
LAUNCH [HOST]/[DATE]-2 w/name - as job #1
ERROR [HOST]/[DATE]-2 w/name -: exit 3
run [DATE]-1: 1 done, 1 failed in [ELAPSED]

"#]])
        .run();
}

#[test]
fn one_file_for_two_reports_is_refused() {
    let place = Place::new();
    place
        .gjob(&["run", "--joblog", "a", "--events", "./a", "--", "true", ":::", "1"])
        .code(2)
        .stderr(str![[r#"
gjob: a: --joblog and --events need a file each

"#]])
        .run();
    assert!(!place.has_run());
}

/// A pipe with a name, in the working directory.
fn pipe(place: &Place, name: &str) -> std::path::PathBuf {
    let path = place.path("here").join(name);
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    path
}

#[test]
fn pipe_that_nothing_reads_is_refused_as_a_report_and_one_with_a_reader_is_written() {
    let place = Place::new();
    let path = pipe(&place, "pipe");
    for option in ["--joblog", "--events"] {
        place
            .gjob(&["run", option, "pipe", "--", "true"])
            .code(2)
            .stderr(str![[r#"
gjob: pipe: nothing reads this pipe: expected a file, or a pipe with a reader

"#]])
            .run();
    }
    assert!(!place.has_run());
    let reader = Command::new("cat").arg(&path).stdout(Stdio::piped()).spawn().unwrap();
    // cat's own opening waits for a writer; until it is there, this is refused.
    support::eventually("the pipe is read", || {
        place.gjob(&["run", "-q", "--joblog", "pipe", "--", "true"]).output().code == 0
    });
    let read = String::from_utf8(reader.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(read.lines().count(), 2, "{read}");
    for file in ["/dev/null", "/dev/stderr", "/dev/stdout"] {
        let answer = place.gjob(&["run", "--joblog", file, "--", "true"]).output();
        assert_eq!(answer.code, 0, "{file}: {answer:?}");
    }
}

/// The process that serves this machine.
fn local_agent(place: &Place) -> Option<i32> {
    let runs = std::fs::read_dir(place.path("results/.gjob/runs")).ok()?;
    let lock = runs.flatten().find_map(|run| {
        let hosts = std::fs::read_dir(run.path()).ok()?;
        hosts.flatten().find_map(|host| std::fs::read(host.path().join("lock")).ok())
    })?;
    let holder: serde_json::Value = serde_json::from_slice(&lock).ok()?;
    i32::try_from(holder["agent"]["pid"].as_i64()?).ok()
}

#[test]
fn this_machine_is_said_to_be_back_in_words() {
    let place = Place::new();
    place.file("jobs.txt", "until test -e ../../../here/go; do sleep 0.05; done\n");
    let mut run = place.gjob(&["run", "jobs.txt"]).start();
    run.wait_until_printed("start #0");
    let agent = local_agent(&place).unwrap();
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(agent).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    run.wait_until_printed("this machine is back after ");
    place.file("go", "");
    assert_eq!(run.output().code, 0);
}

#[test]
fn output_of_jobs_that_fail_alike_is_shown_three_times() {
    let place = Place::new();
    let alike = "echo bad input 7 >&2; exit 1\n".repeat(6);
    place.file("jobs.txt", &format!("{alike}echo odd >&2; exit 1\n"));
    let shown = |args: &[&str]| {
        let answer = place.gjob(&[&["run", "-j", "1"], args].concat()).output();
        assert_eq!(answer.code, 1);
        let count = |line: &str| answer.stderr.lines().filter(|it| *it == line).count();
        ((count("bad input 7"), count("odd")), answer.stderr)
    };
    let (counts, stderr) = shown(&["jobs.txt"]);
    assert_eq!(counts, (3, 1), "{stderr}");
    assert!(stderr.contains("output of 3 more jobs that failed alike left out: `gjob logs "));
    assert!(stderr.contains("  6 × exit 1 \"bad input 7\": #0 #1 #2 #3 #4 #5\n"), "{stderr}");
    assert_eq!(stderr.matches("FAILED #").count(), 7, "{stderr}");
    assert_eq!(shown(&["--show", "failed", "jobs.txt"]).0, (6, 1));
    // Standard output may be piped on.
    let command = "echo out; echo bad >&2; exit 1";
    let values = ["1", "2", "3", "4", "5"];
    let args = [&["run", "-j", "1", "--", command, ":::"][..], &values].concat();
    let answer = place.gjob(&args).output();
    assert_eq!(answer.stdout.matches("out").count(), 5, "{}", answer.stdout);
}
