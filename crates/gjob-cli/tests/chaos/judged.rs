//! The judge itself is tested: it sees each kind of wrong, and nothing else.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::judge::{Injuries, Judge};
use crate::ledger::Ledger;
use crate::support::Place;

/// What is noted of four jobs that all end well but for the last.
const NOTED: [&str; 8] = [
    "begin 0 1 70 10.0 h1",
    "begin 1 1 71 10.1 h2",
    "end 0 1 70 10.2 h1",
    "begin 2 1 72 10.3 h1",
    "end 1 1 71 10.4 h2",
    "begin 3 1 73 10.5 h2",
    "end 2 1 72 10.6 h1",
    "end 3 1 73 10.7 h2",
];

fn job(index: u32, state: &str, exit: impl Into<Value>) -> Value {
    let host = if index.is_multiple_of(2) { "h1" } else { "h2" };
    let id = format!("{host}/2026-11-22-{index}");
    json!({ "index": index, "state": state, "exit": exit.into(), "signal": null, "attempt": 1,
            "host": host, "id": id })
}

/// The case before the judge, all well until something is changed in it.
struct Case {
    place: Place,
    noted: Vec<String>,
    jobs: Vec<Value>,
    injuries: Injuries,
    plain: bool,
    /// Outputs that are not as they should be: what is there instead, if anything.
    spoilt: BTreeMap<&'static str, Option<&'static str>>,
}

impl Case {
    fn new() -> Self {
        let jobs =
            vec![job(0, "done", 0), job(1, "done", 0), job(2, "done", 0), job(3, "error", 112)];
        let noted = NOTED.map(str::to_owned).to_vec();
        let (place, injuries) = (Place::new(), Injuries::default());
        Case { place, noted, jobs, injuries, plain: true, spoilt: BTreeMap::new() }
    }

    /// With outputs, jobs that wait for others, and one that wants two cpus.
    fn with_duties() -> Self {
        Case { plain: false, ..Case::new() }
    }

    /// What jobs that are done have written, but for what is spoilt.
    fn write_outputs(&self, ledger: &Ledger) {
        let is_done = |(_, job): &(u32, &Value)| job["state"] == "done";
        let outputs = (0..).zip(&self.jobs).filter(is_done).flat_map(|(index, job)| {
            let duty = ledger.duty(index);
            let files = duty.outputs(job["attempt"].as_u64().unwrap()).into_iter();
            files.map(move |(path, content)| (format!("{}/{path}", duty.dir_name()), content))
        });
        let mut outputs: BTreeMap<String, Vec<u8>> = outputs.collect();
        for (path, content) in &self.spoilt {
            outputs.remove(*path);
            outputs.extend(content.map(|content| ((*path).to_owned(), content.into())));
        }
        let _ = std::fs::remove_dir_all(self.place.path("out"));
        for (path, content) in outputs {
            let path = self.place.path("out").join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
    }

    fn faults(&self) -> String {
        let path = self.place.path("ledger");
        std::fs::write(&path, self.noted.join("\n")).unwrap();
        let count = |state: &str| self.jobs.iter().filter(|job| job["state"] == state).count();
        let states = ["free", "busy", "done", "error", "unknown"];
        let counts: BTreeMap<&str, usize> = states.map(|state| (state, count(state))).into();
        let status = json!({ "run": "2026-11-22-1", "jobs": self.jobs, "counts": counts });
        let results = ["h1", "h2"].map(|host| (host.to_owned(), self.results(host))).into();
        let ledger = Ledger::new(path, 0);
        let ledger = &if self.plain { ledger.with_plain_jobs() } else { ledger };
        self.write_outputs(ledger);
        let (injuries, outputs) = (&self.injuries, &self.place.path("out"));
        let (status, results) = (&status, &results);
        let judge = Judge { jobs: 4, ledger, status, injuries, results, outputs, slots: 2 };
        judge.faults().join("\n")
    }

    fn results(&self, host: &str) -> PathBuf {
        self.place.path(host)
    }
}

#[track_caller]
fn assert_found(case: &Case, fault: &str) {
    let faults = case.faults();
    assert!(faults.contains(fault), "{fault:?} is not among: {faults}");
}

#[test]
fn the_judge_has_nothing_to_say_when_all_is_well() {
    assert_eq!(Case::new().faults(), "");
    assert_eq!(Case::with_duties().faults(), "");
}

#[test]
fn the_judge_sees_outputs_that_are_not_those_of_the_attempt_that_counts() {
    let spoilt = [
        ("j0-0/out.txt", None, "output j0-0/out.txt: missing"),
        ("j0-0/out.txt", Some("out.txt 0 2\n"), "output j0-0/out.txt: not as written"),
        ("j1-1/d/large", Some("d/large 1 1\n"), "output j1-1/d/large: not as written: 12 bytes"),
        ("j1-1/more", Some(""), "output j1-1/more: nobody's"),
        ("3/out.txt", Some(""), "output 3/out.txt: nobody's"),
        (".gjob-part.r.1.1.0/a.txt", Some(""), "output .gjob-part.r.1.1.0/a.txt: nobody's"),
    ];
    for (path, content, fault) in spoilt {
        let mut case = Case::with_duties();
        case.spoilt.insert(path, content);
        assert_eq!(case.faults().lines().count(), 1);
        assert_found(&case, fault);
    }
}

#[test]
fn the_judge_sees_a_job_that_did_not_wait() {
    let mut case = Case::with_duties();
    case.noted[3] = "begin 2 1 72 10.15 h1".into();
    assert_found(&case, "job 2: begun before job 0 had ended");
    let mut case = Case::with_duties();
    case.jobs[0] = job(0, "error", 0);
    assert_found(&case, "job 2: does not fail with what it waits for");
}

#[test]
fn the_judge_sees_more_cpus_in_use_than_there_are() {
    let mut case = Case::with_duties();
    case.noted[5] = "begin 3 1 73 10.35 h2".into();
    assert_eq!(case.faults(), "host h2: 3 cpus in use at 10.35s");
    case.noted[5] = "begin 3 1 73 10.4 h2".into();
    assert_eq!(case.faults(), "");
}

#[test]
fn the_judge_sees_a_job_that_never_ran_or_is_not_listed() {
    let mut case = Case::new();
    case.noted.retain(|line| !line.contains(" 1 1 71 "));
    assert_found(&case, "job 1: missing");
    let mut case = Case::new();
    case.jobs.pop();
    assert_found(&case, "does not list each job once");
}

#[test]
fn the_judge_sees_a_wrong_exit_code_and_a_wrong_state() {
    for wrong in [job(3, "error", 113), job(3, "done", 0), job(3, "busy", Value::Null)] {
        let mut case = Case::new();
        case.jobs[3] = wrong;
        assert_found(&case, "job 3: is not error with exit code 112");
    }
}

#[test]
fn the_judge_sees_an_end_that_was_recorded_and_never_came() {
    let mut case = Case::new();
    case.noted.retain(|line| !line.starts_with("end 2"));
    assert_found(&case, "job 2: the recorded attempt never ended");
    let mut case = Case::new();
    case.jobs[2]["attempt"] = json!(2);
    assert_found(&case, "job 2: the recorded attempt never ran");
}

#[test]
fn the_judge_sees_a_job_that_was_run_twice_and_excuses_it_by_a_crash() {
    let mut case = Case::new();
    case.noted.extend(["begin 0 2 80 10.9 h2".to_owned(), "end 0 2 80 11.0 h2".to_owned()]);
    assert_found(&case, "job 0: begun twice, without a crash");
    let at = Duration::from_millis;
    case.injuries.crashes.push(("h2".into(), at(10_800), at(10_850)));
    assert_found(&case, "job 0: begun twice, without a crash");
    case.injuries.crashes.push(("h1".into(), at(10_800), at(10_850)));
    assert_eq!(case.faults(), "");
    case.noted[2] = "end 0 1 70 10.95 h1".into();
    assert_found(&case, "job 0: ran twice at once");
}

#[test]
fn the_judge_excuses_a_second_attempt_by_the_end_of_the_firsts_lease() {
    let mut case = Case::new();
    case.noted.retain(|line| !line.starts_with("end 0 1"));
    case.noted.extend(["begin 0 2 80 10.9 h2".to_owned(), "end 0 2 80 11.0 h2".to_owned()]);
    case.jobs[0]["attempt"] = json!(2);
    let id = "h1/2026-11-22-0";
    let dir = case.results("h1").join(id);
    let keys = case.results("h1").join(".gjob/runs/2026-11-22-1/h1/keys");
    [&dir, &keys].into_iter().for_each(|dir| std::fs::create_dir_all(dir).unwrap());
    std::os::unix::fs::symlink(format!("{id} slot"), keys.join("0.1")).unwrap();
    let done = |ended: &str| std::fs::write(dir.join(".done"), ended).unwrap();
    done(r#"{"cause":"timeout","ended":10850}"#);
    assert_found(&case, "job 0: begun twice, without a crash");
    done(r#"{"cause":"lease","ended":10850}"#);
    assert_eq!(case.faults(), "");
    done(r#"{"cause":"lease","ended":10950}"#);
    assert_found(&case, "job 0: ran twice at once");
}

#[test]
fn the_judge_excuses_an_unknown_job_by_its_own_slot_only() {
    let mut case = Case::new();
    case.jobs[0] = job(0, "unknown", Value::Null);
    let dir = case.results("h1").join("h1/2026-11-22-0");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join(".lock"), r#"{"version":1,"slot":{"pid":7,"start":4711}}"#).unwrap();
    case.injuries.slots.push(("h1".into(), 4712));
    assert_found(&case, "job 0: unknown, though its slot was not killed");
    case.injuries.slots.push(("h1".into(), 4711));
    assert_eq!(case.faults(), "");
}
