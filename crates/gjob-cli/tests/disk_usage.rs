//! `gjob du`: the room that gjob takes, over a real sshd.

mod support;

use gjob_testbed::Bed;
use serde_json::Value;
use support::{Answer, Place, eventually};

fn gjob(place: &Place, bed: &Bed, command: &str, args: &[&str]) -> Answer {
    let config = bed.ssh_config().display().to_string();
    place.gjob(&[&[command, "-F", &config], args].concat()).output()
}

/// Two jobs on h1, with a staged file of 200 kB, that write 300 kB each.
fn run(place: &Place, bed: &Bed) -> String {
    place.file("data", &"x".repeat(200_000));
    let command = "head -c 300000 /dev/zero > big; wc -c < data; true {}";
    let args = ["-H", "h1", "-f", "data", "--", command, ":::", "a", "b"];
    let ran = gjob(place, bed, "run", &args);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    place.status()["run"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn room_is_shown_by_host_and_by_run_and_an_unreachable_host_is_named() {
    let (place, bed) = (Place::new(), Bed::start(2));
    let run = run(&place, &bed);
    let answer = gjob(&place, &bed, "du", &["h1,nowhere"]);
    assert_eq!(answer.code, 1, "{}", answer.stderr);
    let lines: Vec<&str> = answer.stdout.lines().collect();
    let words = |line: usize| lines[line].split_whitespace().collect::<Vec<_>>();
    let headings = ["HOST", "TOTAL", "JOBS", "STAGED", "PROGRAM", "LOGS", "FREE", "DIRECTORY"];
    assert_eq!(words(0), headings, "{}", answer.stdout);
    assert_eq!(words(1)[0], "h1");
    assert_eq!(words(2).first().zip(words(2).last()), Some((&"nowhere", &"unreachable")));
    assert!(lines[3].starts_with("host nowhere: its name does not resolve"), "{}", answer.stdout);
    assert!(lines[4].starts_with("records of runs on this machine: "), "{}", answer.stdout);
    assert_eq!(words(6), ["RUN", "JOBS", "REMOTE", "LOCAL"]);
    assert_eq!(words(7)[..2], [run.as_str(), "2"], "{}", answer.stdout);
}

#[test]
fn json_is_as_its_schema_says_and_has_what_a_run_takes() {
    let (place, bed) = (Place::new(), Bed::start(1));
    let run = run(&place, &bed);
    let answer = gjob(&place, &bed, "du", &["--json", "h1,nowhere"]);
    let usage: Value = serde_json::from_str(&answer.stdout).unwrap();
    let path = format!("{}/../../docs/schemas/du.json", env!("CARGO_MANIFEST_DIR"));
    let schema = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let errors: Vec<String> = jsonschema::validator_for(&schema)
        .unwrap()
        .iter_errors(&usage)
        .map(|error| error.to_string())
        .collect();
    assert!(errors.is_empty(), "{errors:?}: {usage:#}");
    let host = &usage["hosts"][0];
    assert!(host["job_bytes"].as_u64().unwrap() >= 600_000, "{usage:#}");
    assert!(host["staged_bytes"].as_u64().unwrap() >= 200_000, "{usage:#}");
    assert_eq!(usage["hosts"][1]["host"], "nowhere");
    assert!(usage["hosts"][1]["error"].as_str().unwrap().contains("does not resolve"));
    let listed = &usage["runs"][0];
    assert_eq!((&listed["run"], &listed["jobs"]), (&run.as_str().into(), &2.into()));
    assert!(listed["remote_bytes"].as_u64().unwrap() >= 600_000, "{usage:#}");
    assert!(listed["local_bytes"].as_u64().unwrap() > 0, "{usage:#}");
}

#[test]
fn hosts_of_runs_are_measured_once_and_what_no_record_names_is_told_apart() {
    let (place, bed) = (Place::new(), Bed::start(1));
    let (first, second) = (run(&place, &bed), run(&place, &bed));
    let answer = place.gjob(&["du", "--json", "-R", &first, &second]).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let usage: Value = serde_json::from_str(&answer.stdout).unwrap();
    assert_eq!(usage["hosts"].as_array().unwrap().len(), 1, "{usage:#}");
    assert_eq!(usage["runs"].as_array().unwrap().len(), 2, "{usage:#}");

    std::fs::remove_dir_all(place.path("state/runs").join(&first)).unwrap();
    let answer = gjob(&place, &bed, "du", &["h1"]);
    let lost = answer.stdout.lines().find(|line| line.contains("not recorded"));
    assert!(lost.is_some_and(|line| line.starts_with(&format!("{first}+"))), "{}", answer.stdout);
}

#[test]
fn runs_without_a_record_are_removed_and_others_stay() {
    let (place, bed) = (Place::new(), Bed::start(1));
    let (first, second) = (run(&place, &bed), run(&place, &bed));
    std::fs::remove_dir_all(place.path("state/runs").join(&first)).unwrap();
    // One whose record cannot be read may be anybody's.
    let third = run(&place, &bed);
    std::fs::write(place.path("state/runs").join(&third).join("run.db"), "no database").unwrap();
    // The hosts are those of the other run.
    let clean = |args: &[&str]| place.gjob(&[&["clean", "--unrecorded"], args].concat()).output();
    let answer = clean(&["--dry-run"]);
    let would = "host h1: would remove 1 run with 2 job directories, ";
    assert!(answer.stdout.starts_with(would), "{}{}", answer.stdout, answer.stderr);
    assert!(answer.stdout.contains(&format!(": {first}+")), "{}", answer.stdout);
    assert!(answer.stderr.contains("another state directory"), "{}", answer.stderr);
    let answer = clean(&[]);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert!(answer.stdout.starts_with("host h1: removed 1 run with 2 job"), "{}", answer.stdout);
    assert_eq!(clean(&[]).stdout, "host h1: removed nothing\n");
    let left = gjob(&place, &bed, "du", &["h1"]).stdout;
    assert!(!left.contains(&format!("{first}+")), "{left}");
    assert!(left.lines().any(|line| line.starts_with(&second) && line.contains(" 2 ")), "{left}");
    assert!(left.contains(&third), "{left}");
    let answer = gjob(&place, &bed, "clean", &["-H", "h1,nowhere", "--unrecorded"]);
    assert_eq!((answer.code, answer.stdout.as_str()), (1, "host h1: removed nothing\n"));
    assert!(answer.stderr.contains("host nowhere: its name does not resolve"), "{}", answer.stderr);
    assert_eq!(gjob(&place, &bed, "clean", &["-H", "h1", "--all"]).code, 2);
}

#[test]
fn run_with_a_job_that_runs_stays_though_no_record_names_it() {
    let (place, bed) = (Place::new(), Bed::start(1));
    let go = place.path("go");
    let command = format!("while ! test -e {}; do sleep 0.05; done", go.display());
    let args = ["--detach", "-H", "h1", "--", &command];
    assert_eq!(gjob(&place, &bed, "run", &args).code, 0);
    eventually("the job runs", || !place.status()["jobs"][0]["started"].is_null());
    let state = ["clean", "--unrecorded", "-F", bed.ssh_config().to_str().unwrap(), "-H", "h1"];
    let other = place.path("other");
    let clean = || place.gjob(&state).env("GJOB_STATE_DIR", &other).output();
    let answer = clean();
    assert_eq!((answer.code, answer.stdout.as_str()), (1, "host h1: removed nothing\n"));
    assert!(
        answer.stderr.contains("stays: the run is in use by another gjob"),
        "{}",
        answer.stderr
    );
    std::fs::write(go, "").unwrap();
    eventually("it has ended", || place.status()["managed"] == false);
    assert!(clean().stdout.starts_with("host h1: removed 1 run with 1 job directory, "));
}
