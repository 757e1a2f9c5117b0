//! `gjob run` on this machine, without ssh.

mod support;

use serde_json::json;
use snapbox::str;
use support::{Place, lines};

#[test]
fn failed_job_is_shown_with_its_output() {
    let place = Place::new();
    place.file("jobs.txt", "# a comment\n\necho one\necho two >&2; exit 7\n");
    place
        .gjob(&["run", "-j", "1", "jobs.txt"])
        .code(1)
        .stderr(str![[r#"
run [DATE]-1: 2 jobs, 1 host
start #0: echo one
ok #0 in [ELAPSED]
start #1: echo two >&2; exit 7
FAILED #1: exit 7 · echo two >&2; exit 7
two
help: `gjob logs 1 -R [DATE]-1` and `gjob explain 1 -R [DATE]-1` say more, `gjob retry --attach -R [DATE]-1` retries failed jobs
run [DATE]-1: 1 done, 1 failed in [ELAPSED]

"#]])
        .run();
    assert_eq!(place.of_jobs("state"), ["done", "error"]);
    assert_eq!(place.of_jobs("exit"), [json!(0), json!(7)]);
    assert_eq!(place.of_jobs("reason"), [json!(null), json!("exit 7")]);
}

#[test]
fn command_runs_for_each_value_and_output_keeps_their_order() {
    let place = Place::new();
    let args = [
        "run",
        "-k",
        "-j",
        "3",
        "--",
        "sleep 0.{1}; echo",
        "{1}-{2}",
        ":::",
        "2",
        "1",
        ":::",
        "a b",
        "c;d",
    ];
    let run = place.gjob(&args).side_by_side().stderr(str![[r#"
run [DATE]-1: 4 done in [ELAPSED]
run [DATE]-1: 4 jobs, 1 host
start #0: sleep 0.2; echo 2-'a b'
start #1: sleep 0.2; echo 2-'c;d'
start #2: sleep 0.1; echo 1-'a b'
ok #2 in [ELAPSED]
start #3: sleep 0.1; echo 1-'c;d'
ok #0 in [ELAPSED]
ok #1 in [ELAPSED]
ok #3 in [ELAPSED]

"#]]);
    run.stdout("2-a b\n2-c;d\n1-a b\n1-c;d\n").run();
}

#[test]
fn values_come_from_stdin() {
    let place = Place::new();
    place
        .gjob(&["run", "-k", "--", "echo", "got"])
        .stdin("x\ny z\n")
        .side_by_side()
        .stdout("got x\ngot y z\n")
        .stderr(str![[r#"
run [DATE]-1: 2 done in [ELAPSED]
run [DATE]-1: 2 jobs, 1 host
start #1: echo got 'y z'
start #0: echo got x
ok #0 in [ELAPSED]
ok #1 in [ELAPSED]

"#]])
        .run();
}

#[test]
fn jobs_come_from_stdin_as_lines_and_as_json() {
    let place = Place::new();
    place
        .gjob(&["run", "-", "--show", "all"])
        .stdin("echo line\n")
        .side_by_side()
        .stdout("line\n")
        .stderr(str![[r#"
run [DATE]-1: 1 done in [ELAPSED]
run [DATE]-1: 1 job, 1 host
start #0: echo line
ok #0 in [ELAPSED]

"#]])
        .run();
    let json = r#"{"cmds": ["echo $WHO", "echo $GJOB_NAME"], "name": "n", "env": {"WHO": "me"}}"#;
    place
        .gjob(&["run", "-", "--show", "all"])
        .stdin(json)
        .side_by_side()
        .stdout("me\nn\n")
        .stderr(str![[r#"
run [DATE]-2: 1 done in [ELAPSED]
run [DATE]-2: 1 job, 1 host
start #0 n: echo $WHO; echo $GJOB_NAME
ok #0 n in [ELAPSED]

"#]])
        .run();
}

#[test]
fn each_kind_of_end_is_told_apart() {
    let place = Place::new();
    let jobs = [
        "exit 7",
        "exit 255",
        "kill -KILL $$",
        "sleep 60",
        "echo words >&2",
        "false; echo not reached",
    ];
    place.file("jobs.txt", &jobs.join("\n"));
    place
        .gjob(&["run", "jobs.txt", "--timeout", "1s"])
        .code(1)
        .side_by_side()
        .stderr(str![[r#"
run [DATE]-1: 6 jobs, 1 host
start #0: exit 7
FAILED #0: exit 7 · exit 7
start #1: exit 255
FAILED #1: exit 255 · exit 255
start #3: sleep 60
start #2: kill -KILL $$
FAILED #2: signal 9 · kill -KILL $$
start #4: echo words >&2
ok #4 in [ELAPSED]
start #5: false; echo not reached
FAILED #5: exit 1 · false; echo not reached
FAILED #3: timeout · sleep 60
5 jobs not done:
  1 × exit 1: #5
  1 × exit 255: #1
  1 × exit 7: #0
  1 × signal 9: #2
  1 × timeout: #3
run [DATE]-1: 1 done, 5 failed in [ELAPSED]
help: `gjob logs 0 -R [DATE]-1` and `gjob explain 0 -R [DATE]-1` say more, `gjob retry --attach -R [DATE]-1` retries failed jobs
help: timeout: `gjob run … --only-failed [DATE]-1 --timeout DURATION` gives more time

"#]])
        .run();
    assert_eq!(place.of_jobs("state"), ["error", "error", "error", "error", "done", "error"]);
    let null = json!(null);
    assert_eq!(
        place.of_jobs("exit"),
        [json!(7), json!(255), null.clone(), null.clone(), json!(0), json!(1)]
    );
    assert_eq!(place.of_jobs("signal")[2..4], [json!(9), json!(15)]);
    assert_eq!(
        place.of_jobs("reason"),
        [
            json!("exit 7"),
            json!("exit 255"),
            json!("signal 9"),
            json!("timeout"),
            null,
            json!("exit 1")
        ]
    );
}

#[test]
fn job_sees_its_variables_and_files() {
    let place = Place::new();
    place.file("input.txt", "content\n");
    place.file(
        "jobs.txt",
        "cat input.txt; echo $GJOB_INDEX $GJOB_REPEAT $GJOB_ATTEMPT $GJOB_HOST $GJOB_NAME $A\n",
    );
    let args = [
        "run",
        "jobs.txt",
        "-f",
        "input.txt",
        "-n",
        "2",
        "--name",
        "pair",
        "--env",
        "A=b c",
        "-k",
        "--show",
        "all",
    ];
    let host = rustix::system::uname();
    let host = host.nodename().to_str().unwrap();
    let expected = format!("content\n0 0 1 {host} pair b c\ncontent\n1 1 1 {host} pair b c\n");
    place
        .gjob(&args)
        .side_by_side()
        .stdout(expected)
        .stderr(str![[r#"
run [DATE]-1: 2 done in [ELAPSED]
run [DATE]-1: 2 jobs, 1 host
ok #1 pair in [ELAPSED]
ok #0 pair in [ELAPSED]
start #1 pair: cat input.txt; echo $GJOB_INDEX $GJOB_REPEAT $GJOB_ATTEMPT $GJOB_HOST $GJOB_NAME $A
start #0 pair: cat input.txt; echo $GJOB_INDEX $GJOB_REPEAT $GJOB_ATTEMPT $GJOB_HOST $GJOB_NAME $A

"#]])
        .run();
    let id = place.of_jobs("id")[0].as_str().unwrap().to_owned();
    let dir = place.path("results").join(id);
    assert_eq!(std::fs::read_to_string(dir.join("input.txt")).unwrap(), "content\n");
    assert!(dir.join(".done").is_file() && dir.join(".cmds").is_file());
}

#[test]
fn failed_job_is_retried_up_to_its_retries() {
    let place = Place::new();
    place.file("jobs.txt", "test $GJOB_ATTEMPT = 3\nfalse\n");
    place
        .gjob(&["run", "jobs.txt", "--retries", "2"])
        .code(1)
        .side_by_side()
        .stderr(str![[r#"
run [DATE]-1: 2 jobs, 1 host
start #0: test $GJOB_ATTEMPT = 3
start #1: false
start #1 (2nd attempt): false
start #0 (2nd attempt): test $GJOB_ATTEMPT = 3
start #0 (3rd attempt): test $GJOB_ATTEMPT = 3
ok #0 in [ELAPSED]
start #1 (3rd attempt): false
FAILED #1: exit 1 (3rd attempt) · false
run [DATE]-1: 1 done, 1 failed in [ELAPSED]
help: `gjob logs 1 -R [DATE]-1` and `gjob explain 1 -R [DATE]-1` say more, `gjob retry --attach -R [DATE]-1` retries failed jobs

"#]])
        .run();
    assert_eq!(place.of_jobs("state"), ["done", "error"]);
    assert_eq!(place.of_jobs("attempt"), [3, 3]);
}

#[test]
fn max_fails_stops_the_start_of_jobs() {
    let place = Place::new();
    place.file(
        "jobs.txt",
        &"echo $GJOB_INDEX >> ../ledger; false\n"
            .replace("..", place.path("").to_str().unwrap())
            .repeat(50),
    );
    let args = ["run", "jobs.txt", "-j", "1", "--max-fails", "2", "--show", "none"];
    place
        .gjob(&args)
        .code(1)
        .stderr(str![[r#"
run [DATE]-1: 50 jobs, 1 host
start #0: echo $GJOB_INDEX >> [PLACE]//ledger; false
FAILED #0: exit 1 · echo $GJOB_INDEX >> [PLACE]//ledger; false
start #1: echo $GJOB_INDEX >> [PLACE]//ledger; false
FAILED #1: exit 1 · echo $GJOB_INDEX >> [PLACE]//ledger; false
2 jobs not done:
  2 × exit 1: #0 #1
help: `gjob logs 0 -R [DATE]-1` and `gjob explain 0 -R [DATE]-1` say more, `gjob retry --attach -R [DATE]-1` retries failed jobs
run [DATE]-1: 0 done, 2 failed, 48 left in [ELAPSED] (stopped: too many failures; resume with `gjob attach [DATE]-1 --max-fails N`)

"#]])
        .run();
    assert_eq!(lines(&place.path("ledger")), ["0", "1"]);
    let states = place.of_jobs("state");
    assert_eq!(states.iter().filter(|state| *state == "error").count(), 2);
    assert_eq!(states.iter().filter(|state| *state == "free").count(), 48);
    place
        .gjob(&["attach"])
        .code(2)
        .stderr(str![[r#"
gjob: run [DATE]-1: 2 failures (--max-fails 2): no more jobs would start
help: to go on, `gjob attach [DATE]-1 --max-fails N` with N above 2, or none
help: to retry failed jobs first, `gjob retry -R [DATE]-1`

"#]])
        .run();
    place
        .gjob(&["attach", "--max-fails", "0"])
        .code(2)
        .stderr(str![[r#"
gjob: invalid value '0' for '--max-fails <N>': expected a number of failures from 1, or none
help: `gjob attach --help` lists what it takes

"#]])
        .run();
    place
        .gjob(&["attach", "--max-fails", "2"])
        .code(2)
        .stderr(str![[r#"
gjob: run [DATE]-1: 2 failures (--max-fails 2): no more jobs would start
help: to go on, `gjob attach [DATE]-1 --max-fails N` with N above 2, or none
help: to retry failed jobs first, `gjob retry -R [DATE]-1`

"#]])
        .run();
    place.gjob(&["status", "--state", "done"]).any_width().stdout(str![[r#"
run [DATE]-1: stopped by its failures, 48 jobs still to do; resume with `gjob attach [DATE]-1 --max-fails N`
50 jobs: 0 done, 2 failed, 48 waiting

HOST  STATE  BUSY  DONE  FAILED  MEDIAN  NOTE
this machine  -  0/1  0  2  -  -

no job matches

help: `gjob explain JOB -R [DATE]-1` says what became of a job, `gjob logs JOB -R [DATE]-1` what it printed
help: `gjob retry --attach -R [DATE]-1` retries the failed jobs

"#]]).run();
    place.gjob(&["attach", "--max-fails", "4", "-q"]).code(1).stderr(str![[r#"
FAILED #2: exit 1 · echo $GJOB_INDEX >> [PLACE]//ledger; false
FAILED #3: exit 1 · echo $GJOB_INDEX >> [PLACE]//ledger; false
run [DATE]-1: 0 done, 4 failed, 46 left in [ELAPSED] (stopped: too many failures; resume with `gjob attach [DATE]-1 --max-fails N`)

"#]]).run();
    assert_eq!(lines(&place.path("ledger")).len(), 4);
    place.gjob(&["attach", "--max-fails", "none", "-q"]).output();
    assert_eq!(lines(&place.path("ledger")).len(), 50);
}

#[test]
fn joblog_has_the_columns_of_gnu_parallel() {
    let place = Place::new();
    place.file("jobs.txt", "echo abc\nexit 3\n");
    place.gjob(&["run", "jobs.txt", "-j", "1", "--joblog", "log", "--show", "none"]).output();
    let log = lines(&place.path("here/log"));
    assert_eq!(log[0], "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand");
    let fields: Vec<&str> = log[2].split('\t').collect();
    assert_eq!(
        (fields[0], fields[1], fields[6], fields[7], fields[8]),
        ("2", ":", "3", "0", "exit 3")
    );
    assert_eq!(log[1].split('\t').nth(5), Some("4"), "bytes received");
}

#[test]
fn event_file_has_every_step() {
    let place = Place::new();
    place
        .gjob(&["run", "--events", "ev", "--", "true", ":::", "x"])
        .side_by_side()
        .stderr(str![[r#"
run [DATE]-1: 1 done in [ELAPSED]
run [DATE]-1: 1 job, 1 host
start #0: true x
ok #0 in [ELAPSED]

"#]])
        .run();
    let events: Vec<serde_json::Value> = lines(&place.path("here/ev"))
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let names = events.iter().map(|event| event["event"].as_str().unwrap());
    // The host's clock is measured meanwhile, and again if that was not exact.
    let (clocks, names): (Vec<&str>, Vec<&str>) = names.partition(|name| *name == "host-clock");
    assert!(!clocks.is_empty());
    let expected = [
        "run-began",
        "host-up",
        "attempt-assigned",
        "attempt-started",
        "attempt-exited",
        "job-ended",
        "run-ended",
    ];
    assert_eq!(names, expected);
}

#[test]
fn tag_prefixes_output_with_the_name_of_the_job() {
    let place = Place::new();
    place.file("jobs.jsonl", "{\"cmds\":[\"echo a\",\"printf b\"],\"name\":\"j\"}\n");
    let run = place.gjob(&["run", "jobs.jsonl", "--tag", "--show", "all"]);
    run.stdout("j\ta\nj\tb\n")
        .stderr(str![[r#"
run [DATE]-1: 1 job, 1 host
start #0 j: echo a; printf b
ok #0 j in [ELAPSED]
run [DATE]-1: 1 done in [ELAPSED]

"#]])
        .run();
}

#[test]
fn dry_run_starts_nothing() {
    let place = Place::new();
    place
        .gjob(&["run", "--dry-run", "-H", "2/a,b", "--", "touch", ":::", "x", "y"])
        .stdout(str![[r#"
host a, 2 slots
host b
job 0
    commands: touch x
job 1
    commands: touch y

"#]])
        .run();
    assert!(!place.has_run() && !place.path("results").exists());
}

#[test]
fn runs_are_listed_and_logs_are_read() {
    let place = Place::new();
    place
        .gjob(&["run", "--show", "none", "--", "echo out; echo err >&2; echo", ":::", "1", "2"])
        .output();
    place
        .gjob(&["runs"])
        .any_width()
        .stdout(str![[r#"
RUN  STATE  BEGAN  TOOK  HOSTS  JOBS  COMMAND
[DATE]-1  done  [CLOCK]  [ELAPSED]  1  2 done  echo out; echo err >&2; echo 1

"#]])
        .run();
    place
        .gjob(&["logs", "0-1", "--out"])
        .stdout("==> #0 <==\nout\n1\n\n==> #1 <==\nout\n2\n")
        .run();
    place.gjob(&["logs", "1", "--err", "-f"]).stdout("err\n").run();
    place
        .gjob(&["logs", "7"])
        .code(2)
        .stderr(str![[r#"
gjob: no job 7: the run has jobs 0 to 1

"#]])
        .run();
}

#[test]
fn run_on_a_host_without_bash_ends_with_status_3_and_keeps_its_jobs() {
    let place = Place::new();
    place.file("jobs.txt", "true\ntrue\n");
    let run = place.gjob(&["run", "-j", "1", "jobs.txt"]).env("PATH", "/nonexistent");
    run.code(3).stderr(str![[r#"
run [DATE]-1: 2 jobs, 1 host
this machine cannot start job 0: no bash on the PATH: entity not found
this machine paused for 1 s: no bash on the PATH: entity not found
this machine cannot start job 0 (2nd attempt): no bash on the PATH: entity not found
this machine paused for 2 s: no bash on the PATH: entity not found
this machine cannot start job 0 (3rd attempt): no bash on the PATH: entity not found
this machine paused for 4 s: no bash on the PATH: entity not found
this machine cannot start job 0 (4th attempt): no bash on the PATH: entity not found
this machine paused for 8 s: no bash on the PATH: entity not found
this machine cannot start job 0 (5th attempt): no bash on the PATH: entity not found
this machine paused for 16 s: no bash on the PATH: entity not found
run [DATE]-1: 0 done, 2 left in [ELAPSED] (stopped: no usable host; resume with `gjob attach [DATE]-1`)

"#]]).run();
    place
        .gjob(&["attach"])
        .side_by_side()
        .stderr(str![[r#"
run [DATE]-1: 2 done in [ELAPSED]
run [DATE]-1 resumed: 2 jobs, 1 host
start #0 (6th attempt): true
ok #0 in [ELAPSED]
start #1: true
ok #1 in [ELAPSED]

"#]])
        .run();
}

#[test]
fn runs_with_one_id_in_two_state_directories_are_separate() {
    let places = [Place::new(), Place::new()];
    let results = places[0].path("results");
    for (name, place) in ["a", "b"].iter().zip(&places) {
        let ledger = place.path("ledger");
        // The same command in both, so that the lines about it are the same.
        place.file("append", &format!("echo {name} >> $1\n"));
        place.file("jobs.txt", &format!("sh append {}\n", ledger.display()));
        place
            .gjob(&["run", "-f", "append", "jobs.txt"])
            .env("GJOB_REMOTE_PATH", &results)
            .side_by_side()
            .stderr(str![[r#"
run [DATE]-1: 1 done in [ELAPSED]
run [DATE]-1: 1 job, 1 host
start #0: sh append [PLACE]/ledger
ok #0 in [ELAPSED]

"#]])
            .run();
        assert_eq!(lines(&ledger), [*name]);
    }
    let ids = places.each_ref().map(|place| place.of_jobs("id")[0].clone());
    assert_ne!(ids[0], ids[1]);
    let runs = places.each_ref().map(|place| place.status()["run"].clone());
    assert_eq!(runs[0], runs[1]);
    let run = runs[0].as_str().unwrap();
    places[1]
        .gjob(&["clean", run])
        .stdout(str![[r#"
removed 1 job directory, 1 staged file (13 bytes)

"#]])
        .run();
    assert!(!results.join(ids[1].as_str().unwrap()).exists());
    assert!(results.join(ids[0].as_str().unwrap()).exists());
}

#[test]
fn command_without_values_is_one_job() {
    let place = Place::new();
    place
        .gjob(&["run", "-q", "--", "echo one; echo $GJOB_INDEX {#}"])
        .stdout("one\n0 1\n")
        .stderr(str![[r#"
run [DATE]-1: 1 done in [ELAPSED]

"#]])
        .run();
    let four = ["run", "-q", "-k", "-n", "4", "--", "echo", "$GJOB_INDEX"];
    place
        .gjob(&four)
        .stdout("0\n1\n2\n3\n")
        .stderr(str![[r#"
run [DATE]-2: 4 done in [ELAPSED]

"#]])
        .run();
    let values = place.gjob(&["run", "-q", "-k", "--", "echo"]).stdin("a\nb\n");
    values
        .stdout("a\nb\n")
        .stderr(str![[r#"
run [DATE]-3: 2 done in [ELAPSED]

"#]])
        .run();
    place
        .gjob(&["run", "-q", "--", "echo"])
        .stdin("")
        .code(2)
        .stderr(str![[r#"
gjob: command: no input values: give some after ::: or on standard input
help: to run the command once, as in a cron job: gjob run … -- CMD </dev/null
gjob: nothing was started

"#]])
        .run();
    place
        .gjob(&["run", "--", "echo {}"])
        .code(2)
        .stderr(str![[r#"
gjob: command: no input values: give some after ::: or on standard input
help: to run the command once, as in a cron job: gjob run … -- CMD </dev/null
gjob: nothing was started

"#]])
        .run();
}

#[test]
fn script_is_no_list_of_commands() {
    let place = Place::new();
    place.file("job.sh", "cd /tmp\nrm -rf never\n");
    place.file("it's one", "#!/bin/bash\n#SBATCH -n 1\necho never\n");
    place.file("list", "#!/usr/bin/env -S gjob run\necho $GJOB_INDEX\n");
    place
        .gjob(&["run", "job.sh"])
        .code(2)
        .stderr(str![[r#"
gjob: job.sh: this is a script: its lines would be 2 jobs, each on any host
help: to run it as one job: gjob run -f job.sh -- bash job.sh
help: to run each of its lines as a job: gjob run - < job.sh
gjob: nothing was started

"#]])
        .run();
    place
        .gjob(&["run", "it's one"])
        .code(2)
        .stderr(str![[r#"
gjob: it's one: this is a script: its lines would be 1 job, each on any host
help: to run it as one job: gjob run -f "it's one" -- bash "it's one"
help: to run each of its lines as a job: gjob run - < "it's one"
gjob: nothing was started

"#]])
        .run();
    assert!(!place.has_run());
    place
        .gjob(&["run", "-q", "--show", "all", "list"])
        .stdout("0\n")
        .stderr(str![[r#"
run [DATE]-1: 1 done in [ELAPSED]

"#]])
        .run();
}

#[test]
fn pipefail_fails_a_job_with_any_command_of_a_pipeline() {
    let place = Place::new();
    place.file("jobs.txt", "false | true\ntrue\n");
    assert_eq!(place.gjob(&["run", "jobs.txt", "-q"]).output().code, 0);
    assert_eq!(place.gjob(&["run", "jobs.txt", "-q", "--pipefail"]).output().code, 1);
    assert_eq!(place.of_jobs("state"), ["error", "done"]);
    let jobs = "[[job]]\ncommands = [\"# a\", \"unknown-b | true\"]\npipefail = true\n\
                [[job]]\ncommands = \"unknown-c | true\"\n";
    place.file("jobs.toml", jobs);
    let answer = place.gjob(&["run", "jobs.toml", "-q", "-j1"]).output();
    assert_eq!(place.of_jobs("exit"), [127, 0]);
    assert!(answer.stderr.contains(".cmds: line 2: unknown-b: "), "{}", answer.stderr);
    let args = ["run", "jobs.toml", "--dry-run", "--json"];
    let json = place.gjob(&args).output().stdout;
    assert_eq!(json.matches("\"pipefail\":true").count(), 1, "{json}");
}
