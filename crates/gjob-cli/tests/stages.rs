//! Outputs of jobs that are files of other jobs, end to end.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

#[path = "stages/losses.rs"]
mod losses;
#[path = "stages/past_runs.rs"]
mod past_runs;
#[path = "stages/removed.rs"]
mod removed;
mod support;
#[path = "stages/transfers.rs"]
mod transfers;

use std::path::Path;

use gjob_testbed::Bed;
use serde_json::{Value, json};
use snapbox::str;
use support::{Gjob, Place, eventually, lines};

/// `gjob run jobs.jsonl` on the hosts of a bed, with outputs below `out`.
fn run_on(place: &Place, bed: &Bed, rest: &[&str]) -> Gjob {
    let config = bed.ssh_config().to_str().unwrap();
    let hosts = bed.host_list();
    let args = ["run", "-F", config, "-H", &hosts, "-r", "results", "--into", "out"];
    place.gjob(&[&args, rest, &["jobs.jsonl"]].concat())
}

/// `gjob run jobs.jsonl` here, with outputs below `out`.
fn run(place: &Place, rest: &[&str]) -> Gjob {
    place.gjob(&[&["run", "--into", "out"], rest, &["jobs.jsonl"]].concat())
}

fn write_jobs(place: &Place, jobs: &[Value]) {
    place.file("jobs.jsonl", &jobs.iter().map(|job| format!("{job}\n")).collect::<String>());
}

fn make_dir(place: &Place, name: &str) {
    std::fs::create_dir(place.path("here").join(name)).unwrap();
}

fn remove(path: &Path) {
    std::fs::remove_file(path).unwrap();
}

#[test]
fn what_cannot_be_an_input_is_refused_with_its_place_before_anything_starts() {
    let place = Place::new();
    let jobs = [
        json!({"name": "fit-1", "cmds": "true", "outputs": "x"}),
        json!({"name": "plain", "cmds": "true"}),
        json!({"cmds": "true", "files": ["@fti-1/x", "@fit-1", "@fit-1/../x"]}),
        json!({"cmds": "true", "files": "@gone-*/x"}),
        json!({"cmds": "true", "files": "@plain/x"}),
    ];
    write_jobs(&place, &jobs);
    run(&place, &[])
        .code(2)
        .stderr(str![[r#"
gjob: jobs.jsonl:3: invalid file "@fit-1": expected @JOBS/PATH for outputs of other jobs, or ./@fit-1 for a file
gjob: jobs.jsonl:3: file "@fit-1/../x": "../x" leads out of the job directory: expected a path without a leading /, . and ..
gjob: nothing was started

"#]])
        .run();
    write_jobs(&place, &[jobs[0].clone(), jobs[1].clone(), jobs[3].clone(), jobs[4].clone()]);
    run(&place, &[])
        .code(2)
        .stderr(str![[r#"
gjob: jobs.jsonl:3: file "@gone-*/x": no job is called "gone-*": expected the name of another job or a glob of names, or ./@gone-*/x for a file
gjob: jobs.jsonl:4: file "@plain/x": job 1 (plain) has no outputs: expected `outputs` that the path matches
gjob: nothing was started

"#]])
        .run();
    let cycle = [
        json!({"name": "a", "cmds": "true", "outputs": "x", "files": "@b/x"}),
        json!({"name": "b", "cmds": "true", "outputs": "x", "after": "a"}),
    ];
    write_jobs(&place, &cycle);
    run(&place, &[])
        .code(2)
        .stderr(str![[r#"
gjob: jobs.jsonl: dependency cycle: job 0 (a) after job 1 (b) after job 0 (a)
gjob: nothing was started

"#]])
        .run();
    write_jobs(
        &place,
        &[jobs[0].clone(), json!({"cmds": "true", "files": ["@fit-1/x", "d/fit-1"]})],
    );
    make_dir(&place, "d");
    place.file("d/fit-1", "");
    run(&place, &[]).code(2).stderr(str![[r#"
gjob: jobs.jsonl: job 1: file "d/fit-1" and the outputs of job 0 (fit-1) have the same name: expected a different one for each in the job directory
gjob: nothing was started

"#]]).run();
    assert!(!place.has_run());
}

#[test]
fn job_without_the_output_that_another_needs_fails_that_before_it_starts() {
    let place = Place::new();
    let ledger = place.path("ledger");
    let started = format!("echo started >> {}", ledger.display());
    write_jobs(
        &place,
        &[
            json!({"name": "fit", "cmds": "echo 1 > a.csv", "outputs": "*.csv"}),
            json!({"name": "sum", "cmds": started, "files": ["@fit/b.csv"], "outputs": "x"}),
            json!({"name": "last", "cmds": started, "files": ["@sum/x"]}),
        ],
    );
    run(&place, &[])
        .code(1)
        .stderr(str![[r#"
run [DATE]-1: 3 jobs, 1 host
start #0 fit: echo 1 > a.csv
ok #0 fit in [ELAPSED]
this machine cannot start job 1: input: job fit is done, and none of its outputs matches "b.csv"
FAILED #1 sum: input: job fit is done, and none of its outputs matches "b.csv" · echo started >> [PLACE]/ledger
FAILED #2 last: dependency: job sum is not done · echo started >> [PLACE]/ledger
2 jobs not done:
  1 × input: job fit is done, and none of its outputs matches "b.csv": #1
  1 × dependency: job sum is not done: #2
help: `gjob logs 1 -R [DATE]-1` and `gjob explain 1 -R [DATE]-1` say more, `gjob retry --attach -R [DATE]-1` retries failed jobs
outputs: [PLACE]/here/out
run [DATE]-1: 1 done, 2 failed in [ELAPSED]

"#]])
        .run();
    assert_eq!(lines(&ledger), [""; 0]);
    assert_eq!(place.of_jobs("state"), ["done", "error", "error"]);
}

#[test]
fn job_gets_the_outputs_of_the_attempt_that_counts() {
    let place = Place::new();
    write_jobs(
        &place,
        &[
            json!({"name": "fit", "outputs": "out", "retries": 2,
                "cmds": "echo $GJOB_ATTEMPT > out; test $GJOB_ATTEMPT = 3"}),
            json!({"name": "sum", "cmds": "cat fit/out", "files": "@fit/out"}),
        ],
    );
    assert_eq!(run(&place, &["--show", "all", "-q", "--results"]).output().stdout, "3\n");
}

#[test]
fn copies_of_a_job_have_directories_with_their_numbers() {
    let place = Place::new();
    write_jobs(
        &place,
        &[
            json!({"name": "r/1", "cmds": "echo $GJOB_REPEAT > x", "outputs": "x", "repeat": 2}),
            json!({"cmds": "cat r_1-0/x r_1-1/x; cat s/x", "files": ["@r?1/x", "@s/x"], "link": true}),
            json!({"name": "s", "cmds": "echo s > x", "outputs": "x"}),
        ],
    );
    let answer = run(&place, &["-q", "--show", "all"]).output();
    assert_eq!((answer.code, answer.stdout.as_str()), (0, "0\n1\ns\n"), "{}", answer.stderr);
}

#[test]
fn producer_that_fails_fails_its_consumers_and_retry_retries_both() {
    let place = Place::new();
    let fails = place.path("fails");
    std::fs::write(&fails, "").unwrap();
    write_jobs(
        &place,
        &[
            json!({"name": "fit", "outputs": "out",
                "cmds": format!("date +%N > out; ! test -e {}", fails.display())}),
            json!({"name": "sum", "cmds": "cat fit/out", "files": "@fit/out"}),
        ],
    );
    assert_eq!(run(&place, &["-q"]).output().code, 1);
    assert_eq!(place.of_jobs("reason")[1], "dependency: job fit is not done");
    remove(&fails);
    assert_eq!(place.gjob(&["retry", "fit", "--attach"]).output().code, 0);
    let out = std::fs::read_to_string(place.path("here/out/fit-0/out")).unwrap();
    place.gjob(&["logs", "sum"]).stdout(out).run();
}

#[test]
fn explain_and_status_name_the_jobs_whose_outputs_are_waited_for() {
    let place = Place::new();
    let go = place.path("go");
    let wait = format!("while ! test -e {}; do sleep 0.02; done; echo > x", go.display());
    write_jobs(
        &place,
        &[
            json!({"name": "fit-0", "cmds": "echo > x", "outputs": "x"}),
            json!({"name": "fit-1", "cmds": wait, "outputs": "x"}),
            json!({"name": "sum", "cmds": "true", "files": "@fit-*/x"}),
        ],
    );
    run(&place, &["--dry-run"])
        .stdout(str![[r#"
host :
job 0 fit-0
    commands: echo > x
    outputs:  x
job 1 fit-1
    commands: while ! test -e [PLACE]/go; do sleep 0.02; done; echo > x
    outputs:  x
job 2 sum
    commands: true
    files:    @fit-*/x

"#]])
        .run();
    let running = run(&place, &["-q", "-j2"]).start();
    eventually("the first is done", || place.has_run() && place.of_jobs("state")[0] == "done");
    place
        .gjob(&["explain", "sum"])
        .stdout(str![[r#"
job 2 sum: waiting
  true
asks for 1 CPU
needs @fit-*/x: outputs of 2 jobs, not done: job fit-1
it waits for job fit-1 to be done

"#]])
        .run();
    let expected = json!([{"file": "@fit-*/x", "jobs": [0, 1]}]);
    assert_eq!(place.of_jobs("inputs"), [json!([]), json!([]), expected]);
    std::fs::write(&go, "").unwrap();
    assert_eq!(running.output().code, 0);
    place
        .gjob(&["explain", "sum"])
        .redact("[ID]", place.of_jobs("id")[2].as_str().unwrap())
        .stdout(str![[r#"
job 2 sum: done on this machine
  true
asks for 1 CPU
needs @fit-*/x: outputs of 2 jobs, all done

attempts:
  1 on this machine ([ID]): exit 0 after [ELAPSED], [MEMORY], [ELAPSED] of CPU time

what happened:
  [CLOCK]  attempt 1 assigned to this machine
  [CLOCK]  attempt 1 started on this machine
  [CLOCK]  attempt 1: exit 0
  [CLOCK]  done

"#]])
        .run();
}

#[test]
fn option_gives_outputs_of_some_jobs_to_all_others() {
    let place = Place::new();
    let jobs = [
        json!({"name": "model", "cmds": "echo m > m", "outputs": "m"}),
        json!({"name": "a", "cmds": "cat model/m"}),
        json!({"cmds": "cat model/m"}),
    ];
    write_jobs(&place, &jobs);
    let quiet = ["-k", "-q", "--show", "all"];
    let printed = run(&place, &[&quiet[..], &["-f", "@mod*/m"]].concat()).output().stdout;
    assert_eq!(printed, "m\nm\n");
    let python = "Job('echo n > n', name='n', outputs='n')\nJob('cat n/n', files=['@n/n'])\n";
    place.file("jobs.py", python);
    let printed = place.gjob(&["run", "jobs.py", "-q", "--show", "all"]).output().stdout;
    assert_eq!(printed, "n\n");
    make_dir(&place, "@odd");
    place.file("@odd/x", "a file\n");
    let file = ["run", "-q", "--show", "all", "-f", "./@odd/x", "--", "cat x"];
    assert_eq!(place.gjob(&file).output().stdout, "a file\n");
}
