//! `gjob run --skip-done`: what is done in an earlier run is not done again.

mod support;

use std::os::unix::fs::PermissionsExt;

use serde_json::json;
use support::{Answer, Place, lines};

/// Runs jobs on this machine; each writes what it is to `ledger`.
fn run(place: &Place, args: &[&str]) -> Answer {
    let mut all = vec!["run", "--show", "none", "-j", "1"];
    all.extend(args);
    place.gjob(&all).output()
}

/// A job that says its word, and fails if the file `fail-WORD` is there.
fn job(place: &Place, word: &str) -> String {
    let dir = place.path("here");
    let dir = dir.display();
    format!("echo {word} >> {dir}/ledger; ! test -e {dir}/fail-{word}")
}

/// The words said since this was last asked, in alphabetical order.
fn said(place: &Place) -> Vec<String> {
    let path = place.path("here/ledger");
    let mut said = lines(&path);
    said.sort();
    let _ = std::fs::remove_file(&path);
    said
}

/// The line that says what is skipped.
fn line(answer: &Answer) -> String {
    let line = answer.stderr.lines().find(|line| line.contains(" skipped")).unwrap_or_default();
    line.to_owned()
}

fn run_ids(place: &Place) -> Vec<String> {
    let runs = place.gjob(&["runs"]).output();
    runs.stdout.lines().map(|line| line.split(' ').next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn what_is_done_is_skipped_and_the_rest_is_told_apart() {
    let place = Place::new();
    place.file("data", "one\n");
    place.file("fail-b", "");
    let lines = |word: &str, more: &str| {
        let cmds = json!(job(&place, word));
        format!("{{\"cmds\": {cmds}{more}}}\n")
    };
    let (a, b) = (lines("a", ""), lines("b", ""));
    let c = lines("c", ", \"files\": \"data\"");
    let d = lines("d", ", \"env\": {\"X\": \"1\"}, \"name\": \"old\"");
    place.file("jobs.jsonl", &format!("{a}{b}{c}{d}"));
    assert_eq!(run(&place, &["jobs.jsonl"]).code, 1);
    assert_eq!(said(&place), ["a", "b", "c", "d"]);
    let first = &run_ids(&place)[0];

    // Names, amounts and places don't count; what the files hold does.
    assert!(std::fs::remove_file(place.path("here/fail-b")).is_ok());
    place.file("data", "two\n");
    let d = lines("d", ", \"env\": {\"X\": \"1\"}, \"name\": \"new\", \"retries\": 3");
    let e = lines("d", ", \"env\": {\"X\": \"2\"}");
    let f = lines("a", ", \"outputs\": \"*.csv\"");
    let g = lines("a", "");
    place.file("more.jsonl", &format!("{d}{g}{c}{b}{a}{e}{f}"));
    let told = format!(
        "2 of 7 jobs are done in run {first} and skipped; 1 is new, 1 has failed there, \
         1 is one copy more than are there, 1 has other files, 1 has other outputs"
    );
    let answer = place
        .gjob(&["run", "more.jsonl", "--skip-done", first, "--dry-run", "--json", "-v"])
        .output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert_eq!(answer.stdout.lines().count(), 5);
    assert_eq!(
        answer.stderr,
        format!(
            "job 0 (new): is done and skipped\njob 1: is done and skipped\n\
             job 2: has other files\njob 3: has failed there\n\
             job 4: is one copy more than are there\njob 5: is new\n\
             job 6: has other outputs\n{told}\n"
        )
    );
    assert_eq!(said(&place), [""; 0], "a dry run starts nothing");
    let answer = run(&place, &["more.jsonl", "--skip-done", "latest"]);
    assert_eq!(line(&answer), told);
    assert_eq!(said(&place), ["a", "a", "b", "c", "d"], "{}", answer.stderr);
    assert_eq!(place.of_jobs("index"), [0, 1, 2, 3, 4]);
}

#[test]
fn a_run_of_which_everything_is_done_is_none() {
    let place = Place::new();
    place.file("jobs.txt", &format!("{}\n", job(&place, "a")));
    assert_eq!(run(&place, &["-n", "3", "jobs.txt"]).code, 0);
    let runs = run_ids(&place);
    for more in [&[][..], &["--dry-run"], &["--dry-run", "--json"]] {
        let answer =
            run(&place, &[&["-n", "3", "jobs.txt", "--skip-done", &runs[0]], more].concat());
        let told = format!(
            "3 of 3 jobs are done in run {} and skipped: nothing is left to be run\n",
            runs[0]
        );
        assert_eq!((answer.code, answer.stdout.as_str(), answer.stderr), (0, "", told));
    }
    assert_eq!(run_ids(&place), runs);
    // A fourth copy is another job than the first three.
    let answer = run(&place, &["-n", "4", "jobs.txt", "--skip-done", &runs[0]]);
    let told = format!("3 of 4 jobs are done in run {} and skipped; 1 is new", runs[0]);
    assert_eq!(line(&answer), told);
    let both =
        run(&place, &["-n", "4", "jobs.txt", "--skip-done", "latest", "--skip-done", &runs[0]]);
    assert_eq!(both.code, 0);
    assert!(both.stderr.contains("4 of 4 jobs are done in runs "), "{}", both.stderr);
}

#[test]
fn a_files_mode_counts_and_its_place_does_not() {
    let place = Place::new();
    let tool = place.file("tool", "true\n");
    let mode = |mode| std::fs::set_permissions(&tool, PermissionsExt::from_mode(mode)).is_ok();
    assert!(mode(0o644) && std::fs::create_dir(place.path("here/sub")).is_ok());
    place.file("jobs.txt", "bash tool\n");
    assert_eq!(run(&place, &["jobs.txt", "-f", "tool"]).code, 0);
    let first = &run_ids(&place)[0];
    let again = |file: &str, more: &[&str]| {
        let mut args = vec!["jobs.txt", "-f", file, "--skip-done", first, "--dry-run"];
        args.extend(more);
        line(&run(&place, &args))
    };
    assert!(std::fs::copy(&tool, place.path("here/sub/tool")).is_ok());
    let all = format!("1 of 1 jobs is done in run {first} and skipped: nothing is left to be run");
    assert_eq!(again("sub/tool", &[]), all);
    let other = format!("0 of 1 jobs are done in run {first} and skipped; 1 has other files");
    assert_eq!(again("tool", &["--link-files"]), other);
    assert!(mode(0o755));
    assert_eq!(again("tool", &[]), other);
}

#[test]
fn who_waits_for_what_is_skipped_waits_for_the_rest() {
    let place = Place::new();
    place.file("fail-c", "");
    let job = |word: &str, name: &str, after: &str| {
        let cmds = json!(job(&place, word));
        format!("{{\"cmds\": {cmds}, \"name\": \"{name}\", \"after\": {after}}}\n")
    };
    let jobs = [
        job("a", "one", "[]"),
        job("b", "two", "[0]"),
        job("c", "two", "[\"one\"]"),
        job("d", "last", "[[0, 2], \"two\", 1]"),
    ];
    place.file("jobs.jsonl", &jobs.concat());
    assert_eq!(run(&place, &["jobs.jsonl"]).code, 1);
    assert_eq!(said(&place), ["a", "b", "c"]);
    assert!(std::fs::remove_file(place.path("here/fail-c")).is_ok());
    let args = ["run", "jobs.jsonl", "--skip-done", "latest", "--dry-run"];
    let shown = place.gjob(&args).output().stdout;
    let afters: Vec<&str> = shown.lines().filter(|line| line.contains("after:")).collect();
    assert_eq!(afters, ["    after:    job 0"], "{shown}");
    assert!(shown.ends_with("after:    job 0\n              two\n"), "{shown}");
    let answer = run(&place, &["jobs.jsonl", "--skip-done", "latest"]);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert_eq!(said(&place), ["c", "d"]);
}

#[test]
fn an_unknown_run_is_refused() {
    let place = Place::new();
    place.file("jobs.txt", "true\n");
    let runs = place.path("state/runs");
    let answer = run(&place, &["jobs.txt", "--skip-done", "2020-01-01-1", "--cpus", "x"]);
    let told = format!(
        "gjob: --skip-done: no run 2020-01-01-1 in {}\ngjob: --cpus: \"x\" is not accepted: a \
         number of processors or \"all\" is\ngjob: nothing was started\n",
        runs.display()
    );
    assert_eq!((answer.code, answer.stderr), (2, told));
    let answer = run(&place, &["jobs.txt", "--skip-done", "latest"]);
    let told =
        format!("gjob: --skip-done: no runs in {}\ngjob: nothing was started\n", runs.display());
    assert_eq!((answer.code, answer.stderr), (2, told));
    assert_eq!(run(&place, &["jobs.txt", "--skip-done", "no/run"]).code, 2);
    assert!(!place.has_run());
}
