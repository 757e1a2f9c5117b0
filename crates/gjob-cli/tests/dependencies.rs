//! Jobs that wait for others, end to end.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

use gjob_testbed::Bed;
use serde_json::{Value, json};
use snapbox::str;
use support::{Gjob, Place, Running, eventually, lines};

fn states(place: &Place) -> Vec<Value> {
    place.of_jobs("state")
}

/// A job that writes its name to `ledger`. It waits while the file `NAME.waits`
/// exists, and fails while `NAME.fails` does.
fn job(place: &Place, name: &str, after: &Value) -> String {
    let here = place.path("here");
    let script = format!(
        "cd {}; while test -e {name}.waits; do sleep 0.02; done; echo {name} >> ledger; \
         ! test -e {name}.fails",
        here.display()
    );
    format!("{}\n", json!({ "cmds": [script], "name": name, "after": after }))
}

/// The names of the jobs in the order of their starts.
fn ledger(place: &Place) -> Vec<String> {
    lines(&place.path("here/ledger"))
}

fn remove(place: &Place, name: &str) {
    std::fs::remove_file(place.path("here").join(name)).unwrap();
}

/// Runs `jobs.jsonl`.
fn run(place: &Place, args: &[&str]) -> Gjob {
    place.gjob(&[&["run", "--show", "none", "jobs.jsonl"], args].concat())
}

/// Goes on with the latest run.
fn attach(place: &Place) -> Gjob {
    place.gjob(&["attach", "--show", "none"])
}

/// Starts a run of `jobs.jsonl`, and waits until its first job has started.
fn start(place: &Place, args: &[&str]) -> Running {
    let running = run(place, args).start();
    let started = || place.has_run() && place.of_jobs("started").iter().any(|at| !at.is_null());
    eventually("a job has started", started);
    running
}

/// Four jobs: b and c wait for a, and d waits for both.
fn diamond(place: &Place) -> String {
    [
        job(place, "a", &json!([])),
        job(place, "b", &json!(["a"])),
        job(place, "c", &json!([0])),
        job(place, "d", &json!([[1, 2], "a"])),
    ]
    .concat()
}

#[test]
fn jobs_start_after_their_dependencies_on_all_hosts() {
    let place = Place::new();
    let bed = Bed::start(2);
    let mut jobs = String::new();
    for chain in 0..8 {
        let name = |at: u32| format!("{chain}-{at}");
        for at in 0..5 {
            let after = if at == 0 { json!([]) } else { json!([name(at - 1)]) };
            jobs.push_str(&job(&place, &name(at), &after));
        }
    }
    jobs.push_str(&job(&place, "last", &json!([[0, 39]])));
    place.file("jobs.jsonl", &jobs);
    let config = bed.ssh_config().to_str().unwrap();
    let args = ["run", "-F", config, "-r", "results", "-H", "2/h1,2/h2", "jobs.jsonl"];
    let answer = place.gjob(&args).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let ledger = ledger(&place);
    assert_eq!((ledger.len(), ledger[40].as_str()), (41, "last"));
    for chain in 0..8 {
        let of_chain: Vec<&String> =
            ledger.iter().filter(|name| name.starts_with(&format!("{chain}-"))).collect();
        let expected: Vec<String> = (0..5).map(|at| format!("{chain}-{at}")).collect();
        assert!(of_chain.iter().copied().eq(&expected), "{ledger:?}");
    }
}

#[test]
fn dependents_of_a_failed_job_fail_and_can_be_retried() {
    let place = Place::new();
    place.file("jobs.jsonl", &(diamond(&place) + &job(&place, "alone", &json!([]))));
    place.file("b.fails", "");
    run(&place, &["-j", "1"])
        .code(1)
        .stderr(str![[r#"
run [DATE]-1: 5 jobs, 1 host
start #0 a: cd [PLACE]/here; while test -e a.waits; do sleep 0.02; done; echo a >> ledger; ! test -e a.fails
ok #0 a in [ELAPSED]
start #1 b: cd [PLACE]/here; while test -e b.waits; do sleep 0.02; done; echo b >> ledger; ! test -e b.fails
FAILED #1 b: exit 1 · cd [PLACE]/here; while test -e b.waits; do sleep 0.02; done; echo b >> ledger; ! test -e b.fails
FAILED #3 d: dependency: job b is not done · cd [PLACE]/here; while test -e d.waits; do sleep 0.02; done; echo d >> ledger; ! test -e d.fails
start #2 c: cd [PLACE]/here; while test -e c.waits; do sleep 0.02; done; echo c >> ledger; ! test -e c.fails
ok #2 c in [ELAPSED]
start #4 alone: cd [PLACE]/here; while test -e alone.waits; do sleep 0.02; done; echo alone >> ledger; ! test -e alone.fails
ok #4 alone in [ELAPSED]
2 jobs not done:
  1 × exit 1: #1
  1 × dependency: job b is not done: #3
help: `gjob logs 1 -R [DATE]-1` and `gjob explain 1 -R [DATE]-1` say more, `gjob retry --attach -R [DATE]-1` retries failed jobs
run [DATE]-1: 3 done, 2 failed in [ELAPSED]

"#]])
        .run();
    assert_eq!(states(&place), ["done", "error", "done", "error", "done"]);
    let reason = "dependency: job b is not done";
    let null = Value::Null;
    assert_eq!(
        place.of_jobs("reason"),
        [null.clone(), json!("exit 1"), null.clone(), json!(reason), null]
    );
    // Alone it would fail again.
    place
        .gjob(&["retry", "d"])
        .code(1)
        .stderr("gjob: job 3: it waits for job b, which is not done: retry that\n")
        .run();
    assert_eq!(place.of_jobs("reason")[3], reason);
    remove(&place, "b.fails");
    place
        .gjob(&["retry", "b"])
        .stdout(str![[r#"
reopened 2 jobs; resume the run with `gjob attach [DATE]-1`

"#]])
        .run();
    attach(&place)
        .stderr(str![[r#"
run [DATE]-1 resumed: 5 jobs, 1 host
start #1 b (2nd attempt): cd [PLACE]/here; while test -e b.waits; do sleep 0.02; done; echo b >> ledger; ! test -e b.fails
ok #1 b in [ELAPSED]
start #3 d: cd [PLACE]/here; while test -e d.waits; do sleep 0.02; done; echo d >> ledger; ! test -e d.fails
ok #3 d in [ELAPSED]
run [DATE]-1: 5 done in [ELAPSED]

"#]])
        .run();
    assert_eq!(ledger(&place)[4..].join(" "), "b d", "{:?}", ledger(&place));
}

#[test]
fn retry_during_a_run_reopens_a_failed_chain() {
    let place = Place::new();
    let mut jobs = job(&place, "0", &json!([])) + &job(&place, "other", &json!([]));
    for at in 2..200 {
        jobs.push_str(&job(&place, &at.to_string(), &json!([if at == 2 { 0 } else { at - 1 }])));
    }
    place.file("jobs.jsonl", &jobs);
    place.file("0.fails", "");
    place.file("other.waits", "");
    let manager = start(&place, &["-j", "4"]);
    eventually("the chain has failed", || {
        states(&place).iter().filter(|s| *s == "error").count() == 199
    });
    assert_eq!(place.of_jobs("reason")[199], "dependency: job 198 is not done");
    remove(&place, "0.fails");
    place
        .gjob(&["retry"])
        .stdout(str![[r#"
reopened 199 jobs

"#]])
        .run();
    remove(&place, "other.waits");
    let answer = manager.output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let numbers: Vec<String> = ledger(&place).into_iter().filter(|name| name != "other").collect();
    let expected = ["0".to_owned(), "0".to_owned()].into_iter();
    assert!(numbers.iter().cloned().eq(expected.chain((2..200).map(|at| at.to_string()))));
}

#[test]
fn cycle_is_refused() {
    let place = Place::new();
    let jobs = [
        job(&place, "a", &json!(["c"])),
        job(&place, "b", &json!([0])),
        job(&place, "c", &json!(["b"])),
    ];
    place.file("jobs.jsonl", &jobs.concat());
    run(&place, &[])
        .code(2)
        .stderr(str![[r#"
gjob: jobs.jsonl: dependency cycle: job 0 (a) after job 2 (c) after job 1 (b) after job 0 (a)
gjob: nothing was started

"#]])
        .run();
    assert!(!place.has_run());
}

#[test]
fn dependents_of_a_killed_job_fail() {
    let place = Place::new();
    place.file("jobs.jsonl", &diamond(&place));
    place.file("a.waits", "");
    let manager = start(&place, &[]);
    place
        .gjob(&["kill", "b"])
        .stdout(str![[r#"
killed 1 job

"#]])
        .run();
    assert_eq!(states(&place), ["busy", "error", "free", "error"]);
    remove(&place, "a.waits");
    assert_eq!(manager.output().code, 1);
    assert_eq!(states(&place), ["done", "error", "done", "error"]);
    let reasons = place.of_jobs("reason");
    assert_eq!(
        (&reasons[1], &reasons[3]),
        (&json!("killed"), &json!("dependency: job b is not done"))
    );
    assert_eq!(ledger(&place), ["a", "c"]);
}

#[test]
fn paused_job_stays_paused_after_its_dependencies() {
    for managers in [1, 2] {
        let place = Place::new();
        place.file("jobs.jsonl", &diamond(&place));
        place.file("a.waits", "");
        let mut manager = start(&place, &[]);
        place
            .gjob(&["pause", "b", "d"])
            .stdout(str![[r#"
paused 2 jobs

"#]])
            .run();
        if managers == 2 {
            manager.kill_9();
            manager = attach(&place).start();
        }
        remove(&place, "a.waits");
        eventually("c is done", || states(&place)[2] == "done");
        assert_eq!(states(&place), ["done", "free", "done", "free"]);
        place
            .gjob(&["resume", "d"])
            .stdout(str![[r#"
resumed 1 job

"#]])
            .run();
        assert_eq!(states(&place)[3], "free", "it waits for b");
        place
            .gjob(&["resume", "b"])
            .stdout(str![[r#"
resumed 1 job

"#]])
            .run();
        let answer = manager.output();
        assert_eq!(answer.code, 0, "{}", answer.stderr);
        assert_eq!(ledger(&place), ["a", "c", "b", "d"]);
    }
}

#[test]
fn paused_job_fails_with_its_dependency_under_the_next_manager() {
    let place = Place::new();
    place.file("jobs.jsonl", &diamond(&place));
    place.file("a.waits", "");
    place.file("a.fails", "");
    let manager = start(&place, &[]);
    place
        .gjob(&["pause", "b", "d"])
        .stdout(str![[r#"
paused 2 jobs

"#]])
        .run();
    manager.kill_9();
    let manager = attach(&place).start();
    remove(&place, "a.waits");
    assert_eq!(manager.output().code, 1);
    assert_eq!(states(&place), ["error"; 4]);
    assert_eq!(place.of_jobs("reason")[3], "dependency: job b is not done");
}

#[test]
fn order_is_kept_after_managers_are_killed() {
    let place = Place::new();
    let mut jobs = String::new();
    for at in 0..40 {
        let after = if at == 0 { json!([]) } else { json!([at - 1]) };
        jobs.push_str(&job(&place, &at.to_string(), &after));
    }
    place.file("jobs.jsonl", &jobs);
    let mut manager = start(&place, &["-j", "4"]);
    for upto in [8, 20, 31] {
        eventually("the chain goes on", || ledger(&place).len() >= upto);
        manager.kill_9();
        manager = attach(&place).start();
    }
    let answer = manager.output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert_eq!(ledger(&place), (0..40).map(|at| at.to_string()).collect::<Vec<_>>());
}

#[test]
fn failed_dependents_do_not_count_as_failures() {
    let place = Place::new();
    let mut jobs = job(&place, "a", &json!([]));
    (0..5).for_each(|at| jobs.push_str(&job(&place, &format!("after-{at}"), &json!([0]))));
    (0..3).for_each(|at| jobs.push_str(&job(&place, &format!("free-{at}"), &json!([]))));
    place.file("jobs.jsonl", &jobs);
    place.file("a.fails", "");
    run(&place, &["-j", "1", "--max-fails", "2"])
        .code(1)
        .stderr(str![[r#"
run [DATE]-1: 9 jobs, 1 host
start #0 a: cd [PLACE]/here; while test -e a.waits; do sleep 0.02; done; echo a >> ledger; ! test -e a.fails
FAILED #0 a: exit 1 · cd [PLACE]/here; while test -e a.waits; do sleep 0.02; done; echo a >> ledger; ! test -e a.fails
FAILED #1 after-0: dependency: job a is not done · cd [PLACE]/here; while test -e after-0.waits; do sleep 0.02; done; echo after-0 >> ledger; ! test -e after-0.fails
FAILED #2 after-1: dependency: job a is not done · cd [PLACE]/here; while test -e after-1.waits; do sleep 0.02; done; echo after-1 >> ledger; ! test -e after-1.fails
FAILED #3 after-2: dependency: job a is not done · cd [PLACE]/here; while test -e after-2.waits; do sleep 0.02; done; echo after-2 >> ledger; ! test -e after-2.fails
FAILED #4 after-3: dependency: job a is not done · cd [PLACE]/here; while test -e after-3.waits; do sleep 0.02; done; echo after-3 >> ledger; ! test -e after-3.fails
FAILED #5 after-4: dependency: job a is not done · cd [PLACE]/here; while test -e after-4.waits; do sleep 0.02; done; echo after-4 >> ledger; ! test -e after-4.fails
start #6 free-0: cd [PLACE]/here; while test -e free-0.waits; do sleep 0.02; done; echo free-0 >> ledger; ! test -e free-0.fails
ok #6 free-0 in [ELAPSED]
start #7 free-1: cd [PLACE]/here; while test -e free-1.waits; do sleep 0.02; done; echo free-1 >> ledger; ! test -e free-1.fails
ok #7 free-1 in [ELAPSED]
start #8 free-2: cd [PLACE]/here; while test -e free-2.waits; do sleep 0.02; done; echo free-2 >> ledger; ! test -e free-2.fails
ok #8 free-2 in [ELAPSED]
6 jobs not done:
  5 × dependency: job a is not done: #1 #2 #3 #4 #5
  1 × exit 1: #0
help: `gjob logs 0 -R [DATE]-1` and `gjob explain 0 -R [DATE]-1` say more, `gjob retry --attach -R [DATE]-1` retries failed jobs
run [DATE]-1: 3 done, 6 failed in [ELAPSED]

"#]])
        .run();
    assert_eq!(ledger(&place), ["a", "free-0", "free-1", "free-2"]);
}

#[test]
fn job_waits_for_all_copies_of_another() {
    let place = Place::new();
    let copies = job(&place, "copy", &json!([])).replace("\"name\"", "\"repeat\": 3, \"name\"");
    let last = job(&place, "last", &json!([0])).replace("\"name\"", "\"repeat\": 2, \"name\"");
    place.file("jobs.jsonl", &format!("{last}{copies}").replace("\"after\":[0]", "\"after\":[1]"));
    run(&place, &["-j", "1"])
        .stderr(str![[r#"
run [DATE]-1: 5 jobs, 1 host
start #2 copy: cd [PLACE]/here; while test -e copy.waits; do sleep 0.02; done; echo copy >> ledger; ! test -e copy.fails
ok #2 copy in [ELAPSED]
start #3 copy: cd [PLACE]/here; while test -e copy.waits; do sleep 0.02; done; echo copy >> ledger; ! test -e copy.fails
ok #3 copy in [ELAPSED]
start #4 copy: cd [PLACE]/here; while test -e copy.waits; do sleep 0.02; done; echo copy >> ledger; ! test -e copy.fails
ok #4 copy in [ELAPSED]
start #0 last: cd [PLACE]/here; while test -e last.waits; do sleep 0.02; done; echo last >> ledger; ! test -e last.fails
ok #0 last in [ELAPSED]
start #1 last: cd [PLACE]/here; while test -e last.waits; do sleep 0.02; done; echo last >> ledger; ! test -e last.fails
ok #1 last in [ELAPSED]
run [DATE]-1: 5 done in [ELAPSED]

"#]])
        .run();
    assert_eq!(ledger(&place), ["copy", "copy", "copy", "last", "last"]);
}

#[test]
fn jobs_wait_for_all_whose_names_match_a_glob() {
    let place = Place::new();
    let ledger = place.path("ledger").display().to_string();
    let job = |name: &str, after: &str| {
        format!("{{\"cmds\": \"echo {name} >> {ledger}\", \"name\": \"{name}\"{after}}}\n")
    };
    let jobs = job("sum", ", \"after\": \"fit-*\"") + &job("fit-a", "") + &job("fit-b", "");
    place.file("jobs.jsonl", &jobs);
    assert_eq!(place.gjob(&["run", "-j", "1", "jobs.jsonl"]).output().code, 0);
    let ran = std::fs::read_to_string(&ledger).unwrap();
    assert_eq!(ran, "fit-a\nfit-b\nsum\n");
    place.file("jobs.jsonl", &job("sum", ", \"after\": \"fut-*\""));
    let refused = place.gjob(&["run", "jobs.jsonl"]).output();
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("unknown job \"fut-*\" in after"), "{}", refused.stderr);
}
