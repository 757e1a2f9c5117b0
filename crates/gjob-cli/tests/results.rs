//! What jobs have written comes home: with `gjob run -o`, later with `gjob
//! fetch`; and what is not needed any more goes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

mod support;

use std::path::{Path, PathBuf};

use serde_json::json;
use snapbox::str;
use support::{Place, eventually};

/// The regular files below a directory, with their content, in order.
fn files(dir: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in std::fs::read_dir(&next).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                if entry.file_name().to_string_lossy().starts_with(".gjob-run.") {
                    continue;
                }
                let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
                found.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

fn some(files: &[(&str, &str)]) -> Vec<(String, String)> {
    files.iter().map(|(name, content)| ((*name).to_owned(), (*content).to_owned())).collect()
}

/// The job directories on this machine.
fn job_dirs(place: &Place) -> Vec<PathBuf> {
    let hosts = std::fs::read_dir(place.path("results")).unwrap().flatten();
    let hosts = hosts.filter(|host| host.file_name() != ".gjob");
    let dirs = hosts.flat_map(|host| std::fs::read_dir(host.path()).unwrap().flatten());
    dirs.map(|dir| dir.path()).filter(|path| path.is_dir()).collect()
}

fn blobs(place: &Place) -> usize {
    std::fs::read_dir(place.path("results/.gjob/blobs")).unwrap().count()
}

#[test]
fn outputs_have_directories_named_after_their_jobs() {
    let place = Place::new();
    let jobs = [
        json!({"name": "a b", "cmds": "mkdir -p r/s; echo 1 > r/s/x; echo 2 > y.csv; echo 3 > z"}),
        json!({"cmds": ["mkdir r", "echo 4 > y.csv"], "outputs": ["log"]}),
    ];
    place.file("jobs.jsonl", &jobs.map(|job| job.to_string()).join("\n"));
    place
        .gjob(&["run", "jobs.jsonl", "-o", "r", "-o", "*.csv"])
        .side_by_side()
        .stderr(str![[r#"
run [DATE]-1: 2 done in [ELAPSED]
run [DATE]-1: 2 jobs, 1 host
start #0 a b: mkdir -p r/s; echo 1 > r/s/x; echo 2 > y.csv; echo 3 > z
start #1: mkdir r; echo 4 > y.csv
ok #0 a b in [ELAPSED]
ok #1 in [ELAPSED]
outputs: [PLACE]/here/gjob-out/[DATE]-1

"#]])
        .run();
    let run = place.status()["run"].as_str().unwrap().to_owned();
    let out = place.path("here/gjob-out").join(run);
    let expected =
        [("1/log", ""), ("1/y.csv", "4\n"), ("a_b-0/r/s/x", "1\n"), ("a_b-0/y.csv", "2\n")];
    assert_eq!(files(&out), some(&expected));
    assert!(out.join("1/r").is_dir(), "an empty directory comes, too");
    let count = std::fs::read_dir(&out).unwrap().count();
    assert_eq!(count, 3, "nothing else is left there but a note of whose they are");
}

#[test]
fn job_without_its_output_fails_and_is_retried() {
    let place = Place::new();
    let jobs = "true\ntest $GJOB_ATTEMPT = 1 || echo x > out\nexit 3\n";
    place.file("jobs.txt", jobs);
    place
        .gjob(&["run", "jobs.txt", "-o", "out", "--into", "o", "--retries", "1"])
        .code(1)
        .side_by_side()
        .stderr(str![[r#"
run [DATE]-1: 3 jobs, 1 host
start #0: true
start #1: test $GJOB_ATTEMPT = 1 || echo x > out
start #2: exit 3
start #0 (2nd attempt): true
FAILED #0: output "out" is missing (2nd attempt) · true
start #2 (2nd attempt): exit 3
FAILED #2: exit 3 (2nd attempt) · exit 3
start #1 (2nd attempt): test $GJOB_ATTEMPT = 1 || echo x > out
ok #1 in [ELAPSED]
2 jobs not done:
  1 × exit 3: #2
  1 × output "out" is missing: #0
help: `gjob logs 0 -R [DATE]-1` and `gjob explain 0 -R [DATE]-1` say more, `gjob retry --attach -R [DATE]-1` retries failed jobs
outputs: [PLACE]/here/o
run [DATE]-1: 1 done, 2 failed in [ELAPSED]
job 0 on this machine: output "out" is missing
job 1 on this machine: output "out" is missing
job 0 (2nd attempt) on this machine: output "out" is missing

"#]])
        .run();
    assert_eq!(place.of_jobs("state"), ["error", "done", "error"]);
    assert_eq!(place.of_jobs("attempt"), [2, 2, 2]);
    let missing = json!("output \"out\" is missing");
    assert_eq!(place.of_jobs("reason"), [missing, json!(null), json!("exit 3")]);
    assert_eq!(files(&place.path("here/o")), some(&[("1/out", "x\n")]));
}

#[test]
fn results_keeps_stdout_and_stderr_of_all_jobs() {
    let place = Place::new();
    place.file("jobs.txt", "echo out; echo err >&2\necho no; exit 5\n");
    place
        .gjob(&["run", "jobs.txt", "--results", "--into", "o"])
        .code(1)
        .stdout("no\n")
        .side_by_side()
        .stderr(str![[r#"
run [DATE]-1: 2 jobs, 1 host
start #1: echo no; exit 5
start #0: echo out; echo err >&2
FAILED #1: exit 5 · echo no; exit 5
ok #0 in [ELAPSED]
help: `gjob logs 1 -R [DATE]-1` and `gjob explain 1 -R [DATE]-1` say more, `gjob retry --attach -R [DATE]-1` retries failed jobs
outputs: [PLACE]/here/o
run [DATE]-1: 1 done, 1 failed in [ELAPSED]

"#]])
        .run();
    let expected = [("0/err", "err\n"), ("0/log", "out\n"), ("1/err", ""), ("1/log", "no\n")];
    assert_eq!(files(&place.path("here/o")), some(&expected));
}

#[test]
fn output_directory_in_use_is_refused() {
    let place = Place::new();
    place.file("jobs.txt", "echo x > out\n");
    std::fs::create_dir_all(place.path("here/o/0")).unwrap();
    place
        .gjob(&["run", "jobs.txt", "-o", "out", "--into", "o"])
        .code(2)
        .stderr(str![[r#"
gjob: [PLACE]/here/o/0 exists and was not created by this run
help: move it, or choose another --into; to go on with the run that it is of: `gjob retry`, or --skip-done RUN

"#]])
        .run();
    assert!(!place.has_run());
}

#[test]
fn pattern_that_leads_out_is_refused() {
    let place = Place::new();
    place.file("jobs.txt", "true\n");
    place
        .gjob(&["run", "jobs.txt", "-o", "../x", "--max-output", "lots"])
        .code(2)
        .stderr(str![[r#"
gjob: --max-output: invalid size "lots": expected bytes (4096) or units (500M, 1.5G, 2T)
gjob: --output: output "../x" leads out of the job directory: expected a path without a leading /, . and ..
gjob: nothing was started

"#]])
        .run();
    assert!(!place.has_run());
}

#[test]
fn next_manager_fetches_the_remaining_outputs() {
    let place = Place::new();
    let go = place.path("go");
    let wait =
        format!("until [ -e {} ]; do sleep 0.05; done; echo $GJOB_INDEX > out\n", go.display());
    place.file("jobs.txt", &wait.repeat(2));
    let args = ["run", "-j", "2", "jobs.txt", "-o", "out", "--into", "o"];
    let manager = place.gjob(&args).start();
    eventually("both run", || {
        place.has_run() && place.of_jobs("id").iter().all(|id| !id.is_null())
    });
    manager.kill_9();
    std::fs::write(go, "").unwrap();
    place
        .gjob(&["attach"])
        .side_by_side()
        .stderr(str![[r#"
run [DATE]-1: 2 done in [ELAPSED]
run [DATE]-1 resumed: 2 jobs, 1 host
ok #1 in [ELAPSED]
ok #0 in [ELAPSED]
outputs: [PLACE]/here/o

"#]])
        .run();
    assert_eq!(files(&place.path("here/o")), some(&[("0/out", "0\n"), ("1/out", "1\n")]));
}

#[test]
fn outputs_have_no_more_permissions_than_the_umask_permits() {
    let place = Place::new();
    place.file("jobs.txt", "mkdir d; touch d/f; chmod 666 d/f; chmod 777 d\n");
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "umask 027 && exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_gjob")]);
    shell.args(["run", "jobs.txt", "-o", "d", "--into", "out"]).current_dir(place.path("here"));
    assert_eq!(place.invoke(shell).output().code, 0);
    let mode = |path: &str| {
        use std::os::unix::fs::PermissionsExt;
        place.path(path).metadata().unwrap().permissions().mode() & 0o777
    };
    assert_eq!((mode("here/out/0/d"), mode("here/out/0/d/f")), (0o750, 0o640));
}

#[test]
fn unwritable_outputs_stop_the_manager_and_arrive_later() {
    let place = Place::new();
    place.file("jobs.txt", "echo x > out\n");
    let in_the_way = place.file("o", "");
    place
        .gjob(&["run", "jobs.txt", "-o", "out", "--into", "o/deep"])
        .code(2)
        .stderr(str![[r#"
gjob: [PLACE]/here/o/deep: Not a directory (os error 20)

"#]])
        .run();
    std::fs::remove_file(&in_the_way).unwrap();
    let path = in_the_way.display();
    let blocker = format!("rm -r {path}; ln -s /proc/none {path}; echo x > out\n");
    place.file("jobs.txt", &blocker);
    place
        .gjob(&["run", "jobs.txt", "-o", "out", "--into", "o/deep"])
        .code(3)
        .side_by_side()
        .stderr(str![[r#"
gjob: run [DATE]-1: cannot write to [PLACE]/here/o/deep: No such file or directory (os error 2)
gjob: running jobs continue
help: when outputs can be written again, resume the run with `gjob attach [DATE]-1`
run [DATE]-1: 1 job, 1 host
start #0: rm -r [PLACE]/here/o; ln -s /proc/none [PLACE]/here/o; echo x > out

"#]])
        .run();
    std::fs::remove_file(&in_the_way).unwrap();
    place
        .gjob(&["attach"])
        .side_by_side()
        .stderr(str![[r#"
run [DATE]-1: 1 done in [ELAPSED]
run [DATE]-1 resumed: 1 job, 1 host
ok #0 in [ELAPSED]
outputs: [PLACE]/here/o/deep

"#]])
        .run();
    assert_eq!(place.of_jobs("attempt"), [1]);
    assert_eq!(files(&place.path("here/o/deep")), some(&[("0/out", "x\n")]));
}

#[test]
fn unwritable_output_directory_is_refused() {
    let place = Place::new();
    place.file("jobs.txt", "echo x > out\n");
    let link = place.path("here/gjob-out");
    std::os::unix::fs::symlink("/proc/none", &link).unwrap();
    let args = ["run", "jobs.txt", "--results", "--into"];
    place
        .gjob(&[&args[..], &["gjob-out"]].concat())
        .code(2)
        .stderr(str![[r#"
gjob: [PLACE]/here/gjob-out: cannot write outputs: File exists (os error 17)

"#]])
        .run();
    place
        .gjob(&[&args[..], &["/proc/none"]].concat())
        .code(2)
        .stderr(str![[r#"
gjob: /proc/none: cannot write outputs: No such file or directory (os error 2)

"#]])
        .run();
    place
        .gjob(&["run", "jobs.txt", "-o", "out"])
        .code(2)
        .stderr(str![[r#"
gjob: [PLACE]/here/gjob-out: cannot write outputs: File exists (os error 17)

"#]])
        .run();
    assert!(!place.has_run());
    place
        .gjob(&["run", "jobs.txt"])
        .side_by_side()
        .stderr(str![[r#"
run [DATE]-1: 1 done in [ELAPSED]
run [DATE]-1: 1 job, 1 host
start #0: echo x > out
ok #0 in [ELAPSED]

"#]])
        .run();
}

#[test]
fn runs_with_one_output_directory_never_overwrite_each_other() {
    let place = Place::new();
    let go = place.path("go");
    let wait = |what: &str| {
        format!("until [ -e {} ]; do sleep 0.05; done; echo {what} > out\n", go.display())
    };
    place.file("first.txt", &wait("first"));
    place.file("second.txt", "echo second > out\n");
    let first = place.gjob(&["run", "first.txt", "-o", "out", "--into", "o"]);
    let first = first
        .code(3)
        .stderr(str![[r#"
run [DATE]-1: 1 job, 1 host
start #0: until [ -e [PLACE]/go ]; do sleep 0.05; done; echo first > out
gjob: run [DATE]-1: [PLACE]/here/o/0 exists and was not created by this run: move it, or choose another --into
gjob: running jobs continue
help: when outputs can be written again, resume the run with `gjob attach [DATE]-1`

"#]])
        .start();
    eventually("it runs", || place.has_run() && !place.of_jobs("id")[0].is_null());
    let run = place.status()["run"].as_str().unwrap().to_owned();
    place
        .gjob(&["run", "second.txt", "-o", "out", "--into", "o"])
        .side_by_side()
        .stderr(str![[r#"
run [DATE]-2: 1 done in [ELAPSED]
run [DATE]-2: 1 job, 1 host
start #0: echo second > out
ok #0 in [ELAPSED]
outputs: [PLACE]/here/o

"#]])
        .run();
    std::fs::write(go, "").unwrap();
    first.wait();
    assert_eq!(files(&place.path("here/o")), some(&[("0/out", "second\n")]));
    place
        .gjob(&["attach", &run])
        .code(3)
        .side_by_side()
        .stderr(str![[r#"
gjob: run [DATE]-1: [PLACE]/here/o/0 exists and was not created by this run: move it, or choose another --into
gjob: running jobs continue
help: when outputs can be written again, resume the run with `gjob attach [DATE]-1`
run [DATE]-1 resumed: 1 job, 1 host

"#]])
        .run();
    std::fs::rename(place.path("here/o/0"), place.path("here/o/away")).unwrap();
    place
        .gjob(&["attach", &run])
        .side_by_side()
        .stderr(str![[r#"
run [DATE]-1: 1 done in [ELAPSED]
run [DATE]-1 resumed: 1 job, 1 host
ok #0 in [ELAPSED]
outputs: [PLACE]/here/o

"#]])
        .run();
    let expected = [("0/out", "first\n"), ("away/out", "second\n")];
    assert_eq!(files(&place.path("here/o")), some(&expected));
}

#[test]
fn fetch_adds_files_and_never_deletes() {
    let place = Place::new();
    place.file("jobs.txt", "echo x > out; echo y > more\necho no; exit 1\n");
    let args = ["run", "jobs.txt", "-o", "out", "--results", "--into", "o"];
    place
        .gjob(&args)
        .code(1)
        .stdout("no\n")
        .side_by_side()
        .stderr(str![[r#"
run [DATE]-1: 2 jobs, 1 host
start #1: echo no; exit 1
start #0: echo x > out; echo y > more
FAILED #1: exit 1 · echo no; exit 1
ok #0 in [ELAPSED]
help: `gjob logs 1 -R [DATE]-1` and `gjob explain 1 -R [DATE]-1` say more, `gjob retry --attach -R [DATE]-1` retries failed jobs
outputs: [PLACE]/here/o
run [DATE]-1: 1 done, 1 failed in [ELAPSED]

"#]])
        .run();
    place
        .gjob(&["fetch", "0", "-o", "more"])
        .stdout(str![[r#"
fetched 1 of 1 job: 1 file, 2 bytes in [PLACE]/here/o

"#]])
        .run();
    let none = place.gjob(&["fetch", "1", "-o", "none*"]).code(1);
    none.stdout(str![[r#"
fetched 0 of 1 job: 0 files, 0 bytes in [PLACE]/here/o

"#]])
        .stderr(str![[r#"
gjob: job 1: nothing matches none*

"#]])
        .run();
    let expected = [
        ("0/err", ""),
        ("0/log", ""),
        ("0/more", "y\n"),
        ("0/out", "x\n"),
        ("1/err", ""),
        ("1/log", "no\n"),
    ];
    assert_eq!(files(&place.path("here/o")), some(&expected));
}

#[test]
fn fetch_leaves_a_foreign_directory_alone() {
    let place = Place::new();
    place.file("jobs.txt", "echo x > out\n");
    place
        .gjob(&["run", "jobs.txt"])
        .side_by_side()
        .stderr(str![[r#"
run [DATE]-1: 1 done in [ELAPSED]
run [DATE]-1: 1 job, 1 host
start #0: echo x > out
ok #0 in [ELAPSED]

"#]])
        .run();
    std::fs::create_dir_all(place.path("here/p/0")).unwrap();
    place.file("p/0/out", "mine");
    place
        .gjob(&["fetch", "0", "-o", "out", "--into", "p"])
        .code(1)
        .stdout(str![[r#"
fetched 0 of 1 job: 0 files, 0 bytes in [PLACE]/here/p

"#]])
        .stderr(str![[r#"
gjob: job 0: [PLACE]/here/p/0 exists and was not created by this run: move it, or choose another --into

"#]])
        .run();
    assert_eq!(files(&place.path("here/p")), some(&[("0/out", "mine")]));
}

#[test]
fn fetch_gets_outputs_later_and_again_and_of_failed_jobs() {
    let place = Place::new();
    place.file("jobs.txt", "echo x > out\necho y > core.1; exit 1\n");
    place
        .gjob(&["run", "jobs.txt", "-o", "out", "--into", "o"])
        .code(1)
        .side_by_side()
        .stderr(str![[r#"
run [DATE]-1: 2 jobs, 1 host
start #0: echo x > out
start #1: echo y > core.1; exit 1
FAILED #1: exit 1 · echo y > core.1; exit 1
ok #0 in [ELAPSED]
help: `gjob logs 1 -R [DATE]-1` and `gjob explain 1 -R [DATE]-1` say more, `gjob retry --attach -R [DATE]-1` retries failed jobs
outputs: [PLACE]/here/o
run [DATE]-1: 1 done, 1 failed in [ELAPSED]

"#]])
        .run();
    std::fs::write(place.path("here/o/0/out"), "spoilt").unwrap();
    place
        .gjob(&["fetch", "0"])
        .stdout(str![[r#"
fetched 1 of 1 job: 1 file, 2 bytes in [PLACE]/here/o

"#]])
        .run();
    assert_eq!(files(&place.path("here/o")), some(&[("0/out", "x\n")]));
    let args = ["fetch", "1", "-o", "core.*", "--results", "--into", "p"];
    place
        .gjob(&args)
        .stdout(str![[r#"
fetched 1 of 1 job: 3 files, 2 bytes in [PLACE]/here/p

"#]])
        .run();
    let expected = [("1/core.1", "y\n"), ("1/err", ""), ("1/log", "")];
    assert_eq!(files(&place.path("here/p")), some(&expected));
    place
        .gjob(&["fetch", "7"])
        .code(2)
        .stderr(str![[r#"
gjob: no job 7: the run has jobs 0 to 1

"#]])
        .run();
}

#[test]
fn clean_removes_the_files_of_one_run_only() {
    let place = Place::new();
    place.file("both", "both");
    place.file("one", "one");
    place.file("jobs.txt", "true\nfalse\n");
    place
        .gjob(&["run", "jobs.txt", "-f", "both", "-f", "one"])
        .code(1)
        .side_by_side()
        .stderr(str![[r#"
run [DATE]-1: 2 jobs, 1 host
start #0: true
ok #0 in [ELAPSED]
start #1: false
FAILED #1: exit 1 · false
help: `gjob logs 1 -R [DATE]-1` and `gjob explain 1 -R [DATE]-1` say more, `gjob retry --attach -R [DATE]-1` retries failed jobs
run [DATE]-1: 1 done, 1 failed in [ELAPSED]

"#]])
        .run();
    let run = place.status()["run"].as_str().unwrap().to_owned();
    place
        .gjob(&["run", "jobs.txt", "-f", "both"])
        .code(1)
        .side_by_side()
        .stderr(str![[r#"
run [DATE]-2: 2 jobs, 1 host
start #0: true
ok #0 in [ELAPSED]
start #1: false
FAILED #1: exit 1 · false
run [DATE]-2: 1 done, 1 failed in [ELAPSED]
help: `gjob logs 1 -R [DATE]-2` and `gjob explain 1 -R [DATE]-2` say more, `gjob retry --attach -R [DATE]-2` retries failed jobs

"#]])
        .run();
    assert_eq!((job_dirs(&place).len(), blobs(&place)), (4, 2));
    place
        .gjob(&["clean", &run])
        .stdout(str![[r#"
removed 2 job directories, 1 staged file (3 bytes)

"#]])
        .run();
    assert_eq!((job_dirs(&place).len(), blobs(&place)), (2, 1));
    place
        .gjob(&["clean", &run, "--record"])
        .stdout(str![[r#"
removed 0 job directories, 0 staged files (0 bytes)
removed the record of run [DATE]-1

"#]])
        .run();
    assert!(!place.path("state/runs").join(&run).exists());
    place
        .gjob(&["clean", &run])
        .code(2)
        .stderr(str![[r#"
gjob: no run [DATE]-1 in [PLACE]/state/runs

"#]])
        .run();
}

#[test]
fn run_in_use_is_not_cleaned() {
    let place = Place::new();
    place.file("jobs.txt", "sleep 60\n");
    let manager = place.gjob(&["run", "jobs.txt"]).start();
    eventually("it runs", || place.has_run() && !place.of_jobs("id")[0].is_null());
    let run = place.status()["run"].as_str().unwrap().to_owned();
    place
        .gjob(&["clean", &run])
        .code(2)
        .stderr(str![[r#"
gjob: run [DATE]-1 is in use by its manager
help: wait for its end, or interrupt it, then clean the run

"#]])
        .run();
    manager.kill_9();
    place
        .gjob(&["clean", &run])
        .code(2)
        .stderr(str![[r#"
gjob: run [DATE]-1 has 1 job left
help: finish them with `gjob attach [DATE]-1`, or kill them with `gjob kill --all -R [DATE]-1`

"#]])
        .run();
    place
        .gjob(&["kill", "--all"])
        .stdout(str![[r#"
killed 1 job

"#]])
        .run();
    place
        .gjob(&["clean", &run])
        .stdout(str![[r#"
removed 1 job directory, 0 staged files (0 bytes)

"#]])
        .run();
    assert!(job_dirs(&place).is_empty());
}

#[test]
fn job_of_a_cleaned_run_can_be_retried() {
    let place = Place::new();
    let go = place.file("go", "no");
    place.file("jobs.txt", &format!("grep yes {}\n", go.display()));
    place
        .gjob(&["run", "jobs.txt"])
        .code(1)
        .side_by_side()
        .stderr(str![[r#"
run [DATE]-1: 1 job, 1 host
start #0: grep yes [PLACE]/here/go
FAILED #0: exit 1 · grep yes [PLACE]/here/go
help: `gjob logs 0 -R [DATE]-1` and `gjob explain 0 -R [DATE]-1` say more, `gjob retry --attach -R [DATE]-1` retries failed jobs
run [DATE]-1: 0 done, 1 failed in [ELAPSED]

"#]])
        .run();
    let run = place.status()["run"].as_str().unwrap().to_owned();
    place
        .gjob(&["clean", &run])
        .stdout(str![[r#"
removed 1 job directory, 0 staged files (0 bytes)

"#]])
        .run();
    std::fs::write(go, "yes").unwrap();
    place
        .gjob(&["retry"])
        .stdout(str![[r#"
reopened 1 job; resume the run with `gjob attach [DATE]-1`

"#]])
        .run();
    place
        .gjob(&["attach"])
        .side_by_side()
        .stderr(str![[r#"
run [DATE]-1: 1 done in [ELAPSED]
run [DATE]-1 resumed: 1 job, 1 host
start #0 (2nd attempt): grep yes [PLACE]/here/go
ok #0 in [ELAPSED]

"#]])
        .run();
    assert_eq!(place.of_jobs("attempt"), [2]);
}

#[test]
fn cleanup_removes_the_directories_of_done_jobs() {
    let place = Place::new();
    place.file("jobs.txt", "echo x > out\nexit 1\n");
    let args = ["run", "jobs.txt", "-o", "out", "--into", "o", "--cleanup", "--show", "all"];
    place
        .gjob(&args)
        .code(1)
        .side_by_side()
        .stderr(str![[r#"
run [DATE]-1: 2 jobs, 1 host
start #0: echo x > out
start #1: exit 1
FAILED #1: exit 1 · exit 1
ok #0 in [ELAPSED]
help: `gjob logs 1 -R [DATE]-1` and `gjob explain 1 -R [DATE]-1` say more, `gjob retry --attach -R [DATE]-1` retries failed jobs
outputs: [PLACE]/here/o
run [DATE]-1: 1 done, 1 failed in [ELAPSED]

"#]])
        .run();
    assert_eq!(files(&place.path("here/o")), some(&[("0/out", "x\n")]));
    assert_eq!(job_dirs(&place).len(), 1, "only the failed job's is left");
    assert!(job_dirs(&place)[0].join(".done").exists());
}
