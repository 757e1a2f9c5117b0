//! Jobs that wait for others, end to end.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop here")]

mod support;

use gjob_testbed::Bed;
use serde_json::{Value, json};
use support::{Answer, Place, Running, eventually, lines};

fn states(place: &Place) -> Vec<Value> {
    place.of_jobs("state")
}

/// A job that says its name, and fails while the file `NAME.fails` is there; it
/// waits while the file `NAME.waits` is.
fn job(place: &Place, name: &str, after: &Value) -> String {
    let here = place.path("here");
    let script = format!(
        "cd {}; while test -e {name}.waits; do sleep 0.02; done; echo {name} >> said; \
         ! test -e {name}.fails",
        here.display()
    );
    format!("{}\n", json!({ "cmds": [script], "name": name, "after": after }))
}

fn said(place: &Place) -> Vec<String> {
    lines(&place.path("here/said"))
}

fn remove(place: &Place, name: &str) {
    std::fs::remove_file(place.path("here").join(name)).unwrap();
}

fn says(answer: &Answer, code: i32, stdout: &str, stderr: &str) {
    let all = (answer.code, answer.stdout.as_str(), answer.stderr.as_str());
    assert_eq!(all, (code, stdout, stderr));
}

/// Starts a run of `jobs.jsonl` and waits until its first job has begun.
fn start(place: &Place, args: &[&str]) -> Running {
    let mut all = vec!["run", "--show", "none"];
    all.extend(args);
    all.push("jobs.jsonl");
    let running = place.gjob(&all).start();
    let begun = || place.has_run() && place.of_jobs("started").iter().any(|at| !at.is_null());
    eventually("a job has begun", begun);
    running
}

/// a; b and c after it; d after both.
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
fn jobs_begin_when_all_they_wait_for_is_done_wherever_they_run() {
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
    let said = said(&place);
    assert_eq!((said.len(), said[40].as_str()), (41, "last"));
    for chain in 0..8 {
        let of_chain: Vec<&String> =
            said.iter().filter(|name| name.starts_with(&format!("{chain}-"))).collect();
        let expected: Vec<String> = (0..5).map(|at| format!("{chain}-{at}")).collect();
        assert!(of_chain.iter().copied().eq(&expected), "{said:?}");
    }
}

#[test]
fn what_waits_for_a_failed_job_fails_with_it_and_can_be_tried_again() {
    let place = Place::new();
    place.file("jobs.jsonl", &(diamond(&place) + &job(&place, "alone", &json!([]))));
    place.file("b.fails", "");
    let answer = place.gjob(&["run", "--show", "none", "jobs.jsonl"]).output();
    assert_eq!(answer.code, 1, "{}", answer.stderr);
    assert_eq!(states(&place), ["done", "error", "done", "error", "done"]);
    let reason = "dependency: job 1 is not done";
    let null = Value::Null;
    assert_eq!(
        place.of_jobs("reason"),
        [null.clone(), json!("exit 1"), null.clone(), json!(reason), null]
    );
    // The dependant alone fails again, with what it waits for.
    let reopened = |jobs: &[&str]| {
        let answer = place.gjob(&[&["retry"], jobs].concat()).output();
        let (code, out) = (answer.code, answer.stdout.as_str());
        assert!(code == 0 && out.starts_with("reopened "), "{answer:?}");
    };
    reopened(&["d"]);
    assert_eq!(place.gjob(&["attach", "--show", "none"]).output().code, 1);
    assert_eq!(place.of_jobs("reason")[3], reason);
    remove(&place, "b.fails");
    reopened(&["d", "b"]);
    assert_eq!(place.gjob(&["attach", "--show", "none"]).output().code, 0);
    assert_eq!(said(&place)[4..].join(" "), "b d", "{:?}", said(&place));
}

#[test]
fn a_failure_spreads_to_the_last_dependant_and_a_retry_beside_the_manager_undoes_it() {
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
    let answer = place.gjob(&["retry"]).output();
    says(&answer, 0, "reopened 199 jobs\n", "");
    remove(&place, "other.waits");
    let answer = manager.output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let numbers: Vec<String> = said(&place).into_iter().filter(|name| name != "other").collect();
    let expected = ["0".to_owned(), "0".to_owned()].into_iter();
    assert!(numbers.iter().cloned().eq(expected.chain((2..200).map(|at| at.to_string()))));
}

#[test]
fn a_cycle_is_refused_with_its_jobs() {
    let place = Place::new();
    let jobs = [
        job(&place, "a", &json!(["c"])),
        job(&place, "b", &json!([0])),
        job(&place, "c", &json!(["b"])),
    ];
    place.file("jobs.jsonl", &jobs.concat());
    let told = "gjob: jobs.jsonl: dependency cycle: job 0 (a) after job 2 (c) after job 1 (b) \
                after job 0 (a)\ngjob: nothing was started\n";
    says(&place.gjob(&["run", "jobs.jsonl"]).output(), 2, "", told);
    assert!(!place.has_run());
}

#[test]
fn a_job_that_waits_can_be_killed_and_its_dependants_fail() {
    let place = Place::new();
    place.file("jobs.jsonl", &diamond(&place));
    place.file("a.waits", "");
    let manager = start(&place, &[]);
    says(&place.gjob(&["kill", "b"]).output(), 0, "killed 1 job\n", "");
    assert_eq!(states(&place), ["busy", "error", "free", "error"]);
    remove(&place, "a.waits");
    assert_eq!(manager.output().code, 1);
    assert_eq!(states(&place), ["done", "error", "done", "error"]);
    let reasons = place.of_jobs("reason");
    assert_eq!(
        (&reasons[1], &reasons[3]),
        (&json!("killed"), &json!("dependency: job 1 is not done"))
    );
    assert_eq!(said(&place), ["a", "c"]);
}

#[test]
fn a_held_job_that_waits_stays_held_when_it_waits_no_more() {
    for managers in [1, 2] {
        let place = Place::new();
        place.file("jobs.jsonl", &diamond(&place));
        place.file("a.waits", "");
        let mut manager = start(&place, &[]);
        says(&place.gjob(&["pause", "b", "d"]).output(), 0, "paused 2 jobs\n", "");
        if managers == 2 {
            manager.kill_9();
            manager = place.gjob(&["attach", "--show", "none"]).start();
        }
        remove(&place, "a.waits");
        eventually("c is done", || states(&place)[2] == "done");
        assert_eq!(states(&place), ["done", "free", "done", "free"]);
        says(&place.gjob(&["resume", "d"]).output(), 0, "resumed 1 job\n", "");
        assert_eq!(states(&place)[3], "free", "it waits for b");
        says(&place.gjob(&["resume", "b"]).output(), 0, "resumed 1 job\n", "");
        let answer = manager.output();
        assert_eq!(answer.code, 0, "{}", answer.stderr);
        assert_eq!(said(&place), ["a", "c", "b", "d"]);
    }
}

#[test]
fn a_held_job_fails_with_what_it_waits_for_under_the_next_manager_too() {
    let place = Place::new();
    place.file("jobs.jsonl", &diamond(&place));
    place.file("a.waits", "");
    place.file("a.fails", "");
    let manager = start(&place, &[]);
    says(&place.gjob(&["pause", "b", "d"]).output(), 0, "paused 2 jobs\n", "");
    manager.kill_9();
    let manager = place.gjob(&["attach", "--show", "none"]).start();
    remove(&place, "a.waits");
    assert_eq!(manager.output().code, 1);
    assert_eq!(states(&place), ["error"; 4]);
    assert_eq!(place.of_jobs("reason")[3], "dependency: job 1 is not done");
}

#[test]
fn a_manager_killed_in_the_middle_leaves_the_order_as_it_was() {
    let place = Place::new();
    let mut jobs = String::new();
    for at in 0..40 {
        let after = if at == 0 { json!([]) } else { json!([at - 1]) };
        jobs.push_str(&job(&place, &at.to_string(), &after));
    }
    place.file("jobs.jsonl", &jobs);
    let mut manager = start(&place, &["-j", "4"]);
    for upto in [8, 20, 31] {
        eventually("the chain goes on", || said(&place).len() >= upto);
        manager.kill_9();
        manager = place.gjob(&["attach", "--show", "none"]).start();
    }
    let answer = manager.output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert_eq!(said(&place), (0..40).map(|at| at.to_string()).collect::<Vec<_>>());
}

#[test]
fn dependants_of_a_failure_do_not_use_up_the_failures_that_are_allowed() {
    let place = Place::new();
    let mut jobs = job(&place, "a", &json!([]));
    (0..5).for_each(|at| jobs.push_str(&job(&place, &format!("after-{at}"), &json!([0]))));
    (0..3).for_each(|at| jobs.push_str(&job(&place, &format!("free-{at}"), &json!([]))));
    place.file("jobs.jsonl", &jobs);
    place.file("a.fails", "");
    let args = ["run", "--show", "none", "-j", "1", "--max-fails", "2", "jobs.jsonl"];
    let answer = place.gjob(&args).output();
    assert_eq!(answer.code, 1, "{}", answer.stderr);
    assert!(!answer.stderr.contains("stopped"), "{}", answer.stderr);
    assert_eq!(said(&place), ["a", "free-0", "free-1", "free-2"]);
}

#[test]
fn who_waits_for_a_repeated_job_waits_for_all_its_copies() {
    let place = Place::new();
    let copies = job(&place, "copy", &json!([])).replace("\"name\"", "\"repeat\": 3, \"name\"");
    let last = job(&place, "last", &json!([0])).replace("\"name\"", "\"repeat\": 2, \"name\"");
    place.file("jobs.jsonl", &format!("{last}{copies}").replace("\"after\":[0]", "\"after\":[1]"));
    let answer = place.gjob(&["run", "--show", "none", "jobs.jsonl"]).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert_eq!(said(&place), ["copy", "copy", "copy", "last", "last"]);
}
