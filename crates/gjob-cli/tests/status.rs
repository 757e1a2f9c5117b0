//! `gjob status` and `gjob explain`: what a person reads of a run that goes on, has
//! stopped, or is over.

mod support;

use gjob_testbed::Bed;
use snapbox::str;
use support::Place;

/// A run on this machine of jobs 0 to 2, of which the second fails twice.
fn run_with_a_failure(place: &Place) {
    place.file(
        "jobs.jsonl",
        r#"{"cmds": "true", "name": "prepare"}
{"cmds": "echo no such data >&2; exit 3", "name": "fit-0.1"}
{"cmds": "true", "name": "fit-0.2"}
"#,
    );
    let answer = place.gjob(&["run", "-j", "1", "--retries", "1", "jobs.jsonl"]).output();
    assert_eq!(answer.code, 1, "{}", answer.stderr);
}

#[test]
fn status_of_a_finished_run_lists_the_failed_jobs_and_what_to_do_next() {
    let place = Place::new();
    run_with_a_failure(&place);
    place
        .gjob(&["status"])
        .any_width()
        .stdout(str![[r#"
run [DATE]-1: failed in [ELAPSED]
3 jobs: 2 done, 1 failed

HOST  STATE  BUSY  DONE  FAILED  MEDIAN  NOTE
this machine  -  0/1  2  1  [ELAPSED]  -

JOB  STATE  HOST  TIME  NAME  REASON  COMMAND
1  failed  this machine  [ELAPSED]  fit-0.1  exit 3; attempt 2  echo no such data >&2; exit 3

help: `gjob explain JOB -R [DATE]-1` says what became of a job, `gjob logs JOB -R [DATE]-1` what it printed
help: `gjob retry --attach -R [DATE]-1` retries the failed jobs

"#]])
        .run();
    place
        .gjob(&["status", "--all"])
        .any_width()
        .stdout(str![[r#"
run [DATE]-1: failed in [ELAPSED]
3 jobs: 2 done, 1 failed

HOST  STATE  BUSY  DONE  FAILED  MEDIAN  NOTE
this machine  -  0/1  2  1  [ELAPSED]  -

JOB  STATE  HOST  TIME  NAME  REASON  COMMAND
0  done  this machine  [ELAPSED]  prepare  -  true
1  failed  this machine  [ELAPSED]  fit-0.1  exit 3; attempt 2  echo no such data >&2; exit 3
2  done  this machine  [ELAPSED]  fit-0.2  -  true

help: `gjob explain JOB -R [DATE]-1` says what became of a job, `gjob logs JOB -R [DATE]-1` what it printed
help: `gjob retry --attach -R [DATE]-1` retries the failed jobs

"#]])
        .run();
}

#[test]
fn status_lists_the_jobs_that_are_asked_for() {
    let place = Place::new();
    run_with_a_failure(&place);
    let listed = |args: &[&str]| {
        let answer = place.gjob(&[&["status", "--json"], args].concat()).output();
        assert_eq!(answer.code, 0, "{}", answer.stderr);
        let status: serde_json::Value = serde_json::from_str(&answer.stdout).unwrap();
        let jobs = status["jobs"].as_array().cloned().unwrap_or_default();
        jobs.iter().map(|job| job["index"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(listed(&[]), [0; 0]);
    assert_eq!(listed(&["--all"]), [0, 1, 2]);
    assert_eq!(listed(&["--jobs"]), [0, 1, 2]);
    assert_eq!(listed(&["--state", "failed"]), [1]);
    assert_eq!(listed(&["--state", "error,unknown"]), [1]);
    assert_eq!(listed(&["--state", "done", "--name", "fit-*"]), [2]);
    assert_eq!(listed(&["--host", "h*"]), [0; 0]);
    assert_eq!(listed(&["--grep", "no such"]), [1]);
    assert_eq!(listed(&["--grep", "exit 3"]), [1]);
    place
        .gjob(&["status", "--state", "lost"])
        .code(2)
        .stderr(str![[r#"
gjob: invalid --state "lost": expected waiting, running, done, failed, unknown

"#]])
        .run();
    place
        .gjob(&["status", "--name", "[a"])
        .code(2)
        .stderr(str![[r#"
gjob: invalid --name "[a": Pattern syntax error near position 0: invalid range pattern

"#]])
        .run();
}

#[test]
fn status_as_json_has_every_attempt() {
    let place = Place::new();
    run_with_a_failure(&place);
    let status = place.status();
    let attempts = status["jobs"][1]["attempts"].as_array().unwrap();
    let facts: Vec<_> = attempts
        .iter()
        .map(|attempt| (attempt["attempt"].as_u64(), attempt["exit"].as_u64()))
        .collect();
    assert_eq!(facts, [(Some(1), Some(3)), (Some(2), Some(3))]);
    assert_eq!(status["hosts"][0]["done"], 2);
    assert_eq!(status["managed"], false);
}

#[test]
fn status_of_a_run_tells_what_runs_and_after_its_managers_death_how_to_resume_it() {
    let place = Place::new();
    place.file("jobs.txt", "sleep 100\nsleep 100\n");
    let mut manager = place.gjob(&["run", "-j", "1", "jobs.txt"]).start();
    manager.wait_until_printed("start #");
    place
        .gjob(&["status"])
        .any_width()
        .stdout(str![[r#"
run [DATE]-1: running for [ELAPSED]
2 jobs: 0 done, 1 running, 1 waiting

HOST  STATE  BUSY  DONE  FAILED  MEDIAN  NOTE
this machine  up  1/1  0  0  -  -

JOB  STATE  HOST  TIME  NAME  REASON  COMMAND
0  running  this machine  [ELAPSED]  -  -  sleep 100

"#]])
        .run();
    place
        .gjob(&["explain", "0", "1"])
        .stdout(str![[r#"
job 0: running on this machine
  sleep 100
asks for 1 CPU

attempts:
  1 on this machine ([HOST]/[DATE]-1): running

what happened:
  [CLOCK]  attempt 1 assigned to this machine
  [CLOCK]  attempt 1 started on this machine

job 1: waiting
  sleep 100
asks for 1 CPU
it waits for a host with room:
  this machine is busy: 1 of 1 slot in use

"#]])
        .run();
    manager.kill_9();
    place.gjob(&["status"]).any_width().stdout(str![[r#"
run [DATE]-1: stopped, no gjob is attached: 1 job running, as far as is known, 1 waiting; resume with `gjob attach [DATE]-1`
2 jobs: 0 done, 1 running as far as is known, 1 waiting

HOST  STATE  BUSY  DONE  FAILED  MEDIAN  NOTE
this machine  -  1/1  0  0  -  -

JOB  STATE  HOST  TIME  NAME  REASON  COMMAND
0  running  this machine  [ELAPSED]  -  as far as is known  sleep 100

"#]]).run();
    place
        .gjob(&["explain", "1"])
        .stdout(str![[r#"
job 1: waiting
  sleep 100
asks for 1 CPU
it waits since no gjob is attached: `gjob attach [DATE]-1` resumes the run

"#]])
        .run();
    assert_eq!(place.gjob(&["kill", "--all"]).output().code, 0);
}

#[test]
fn slow_host_is_named() {
    let place = Place::new();
    let bed = Bed::start(2);
    let config = bed.ssh_config().to_str().unwrap();
    // The jobs of h1 wait for those of h2, each of which takes far longer.
    let ready = place.path("ready");
    let ready = ready.display();
    let job = format!(
        "if test $TESTBED_HOST = h2; then touch {ready}; sleep 1.5; else \
         until test -e {ready}; do sleep 0.05; done; fi\n"
    );
    place.file("jobs.txt", &job.repeat(40));
    let args = ["run", "-F", config, "-H", "h1,h2", "-j", "3", "jobs.txt"];
    assert_eq!(place.gjob(&args).output().code, 0);
    let status = place.gjob(&["status"]).output().stdout;
    let note = "times as slow as the others";
    let of = |host: &str| status.lines().find(|line| line.starts_with(host)).unwrap().to_owned();
    assert!(of("h2").contains(note) && !of("h1").contains(note), "{status}");
}

#[test]
fn explain_tells_what_became_of_each_attempt() {
    let place = Place::new();
    run_with_a_failure(&place);
    place
        .gjob(&["explain", "1"])
        .stdout(str![[r#"
job 1 fit-0.1: failed on this machine: exit 3
  echo no such data >&2; exit 3
asks for 1 CPU

attempts:
  1 on this machine ([HOST]/[DATE]-2): exit 3 after [ELAPSED], [MEMORY], [ELAPSED] of CPU time
  2 on this machine ([HOST]/[DATE]-4): exit 3 after [ELAPSED], [MEMORY], [ELAPSED] of CPU time

what happened:
  [CLOCK]  attempt 1 assigned to this machine
  [CLOCK]  attempt 1 started on this machine
  [CLOCK]  attempt 1: exit 3
  [CLOCK]  attempt 2 assigned to this machine
  [CLOCK]  attempt 2 started on this machine
  [CLOCK]  attempt 2: exit 3
  [CLOCK]  failed: exit 3

help: what it printed: `gjob logs 1 -R [DATE]-1`
help: to run it again: `gjob retry 1 --attach -R [DATE]-1`

"#]])
        .run();
    place
        .gjob(&["explain", "7"])
        .code(2)
        .stderr(str![[r#"
gjob: no job 7: the run has jobs 0 to 2

"#]])
        .run();
}

#[test]
fn explain_tells_what_a_waiting_job_waits_for() {
    let place = Place::new();
    place.file(
        "jobs.jsonl",
        r#"{"cmds": "sleep 100", "name": "first", "cpus": 2}
{"cmds": "true", "after": "first"}
{"cmds": "true", "cpus": 2}
{"cmds": "true"}
"#,
    );
    let mut manager = place.gjob(&["run", "-j", "2", "jobs.jsonl"]).start();
    manager.wait_until_printed("start #");
    assert_eq!(place.gjob(&["pause", "3"]).output().code, 0);
    place
        .gjob(&["explain", "1", "2", "3"])
        .stdout(str![[r#"
job 1: waiting
  true
asks for 1 CPU
it waits for job first to be done

job 2: waiting
  true
asks for 2 CPUs
it waits for a host with room:
  this machine is busy: 2 of 2 slots in use

job 3: waiting
  true
asks for 1 CPU
it waits since it is paused: `gjob resume` continues it

what happened:
  [CLOCK]  a user paused it

"#]])
        .run();
    assert_eq!(place.gjob(&["kill", "--all"]).output().code, 0);
    manager.output();
}
