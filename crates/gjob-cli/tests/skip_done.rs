//! `gjob run --skip-done`: jobs that are done in a past run do not run again.

mod support;

use std::os::unix::fs::PermissionsExt;

use serde_json::json;
use snapbox::{IntoData, str};
use support::{Gjob, Place, lines};

/// Runs jobs on this machine, one at a time.
fn run(place: &Place, args: &[&str]) -> Gjob {
    place.gjob(&[&["run", "--show", "none", "-j", "1"], args].concat())
}

/// Runs jobs for the first time; returns the run.
fn first_run(place: &Place, args: &[&str], code: i32) -> String {
    let answer = run(place, args).output();
    assert_eq!(answer.code, code, "{answer:?}");
    run_ids(place)[0].clone()
}

/// A command that writes its word to `ledger`, and fails while the file
/// `fail-WORD` exists.
fn command(place: &Place, word: &str) -> String {
    let dir = place.path("here");
    let dir = dir.display();
    format!("echo {word} >> {dir}/ledger; ! test -e {dir}/fail-{word}")
}

/// A job in JSON with this command and more fields.
fn job(place: &Place, word: &str, more: &str) -> String {
    format!("{{\"cmds\": {}{more}}}\n", json!(command(place, word)))
}

/// The words written since the last call, in alphabetical order.
fn take_ledger(place: &Place) -> Vec<String> {
    let path = place.path("here/ledger");
    let mut words = lines(&path);
    words.sort();
    let _ = std::fs::remove_file(&path);
    words
}

fn run_ids(place: &Place) -> Vec<String> {
    let runs = place.gjob(&["runs"]).output();
    let lines = runs.stdout.lines().skip(1);
    lines.map(|line| line.split(' ').next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn done_jobs_are_skipped_and_the_others_have_a_reason() {
    let place = Place::new();
    place.file("data", "one\n");
    place.file("fail-b", "");
    let (a, b) = (job(&place, "a", ""), job(&place, "b", ""));
    let c = job(&place, "c", ", \"files\": \"data\"");
    let d = job(&place, "d", ", \"env\": {\"X\": \"1\"}, \"name\": \"old\"");
    place.file("jobs.jsonl", &format!("{a}{b}{c}{d}"));
    let first = first_run(&place, &["jobs.jsonl"], 1);
    assert_eq!(take_ledger(&place), ["a", "b", "c", "d"]);

    // Names, retries and order do not count; the content of files does.
    std::fs::remove_file(place.path("here/fail-b")).unwrap();
    place.file("data", "two\n");
    let d = job(&place, "d", ", \"env\": {\"X\": \"1\"}, \"name\": \"new\", \"retries\": 3");
    let e = job(&place, "d", ", \"env\": {\"X\": \"2\"}");
    let f = job(&place, "a", ", \"outputs\": \"*.csv\"");
    let g = job(&place, "a", "");
    place.file("more.jsonl", &format!("{d}{g}{c}{b}{a}{e}{f}"));
    let dry_run = ["more.jsonl", "--skip-done", &first, "--dry-run"];
    run(&place, &[&dry_run[..], &["-v"]].concat()).stdout(str![[r#"
host :, 1 slot
job 0
    commands: echo c >> [PLACE]/here/ledger; ! test -e [PLACE]/here/fail-c
    files:    data
job 1
    commands: echo b >> [PLACE]/here/ledger; ! test -e [PLACE]/here/fail-b
job 2
    commands: echo a >> [PLACE]/here/ledger; ! test -e [PLACE]/here/fail-a
job 3
    commands: echo d >> [PLACE]/here/ledger; ! test -e [PLACE]/here/fail-d
    env:      X="2"
job 4
    commands: echo a >> [PLACE]/here/ledger; ! test -e [PLACE]/here/fail-a
    outputs:  *.csv

"#]]).stderr(str![[r#"
job 0 (new): done, skipped
job 1: done, skipped
job 2: other files
job 3: failed
job 4: extra copy
job 5: new
job 6: other outputs
skipping jobs done in run [DATE]-1: 2 of 7; left: 1 new, 1 failed, 1 extra copy, 1 with other files, 1 with other outputs

"#]]).run();
    let answer = run(&place, &[&dry_run[..], &["--json"]].concat()).output();
    assert_eq!((answer.code, answer.stdout.lines().count()), (0, 5), "{answer:?}");
    assert_eq!(take_ledger(&place), [""; 0], "a dry run starts nothing");
    let args = ["more.jsonl", "--skip-done", "latest"];
    run(&place, &args).code(1).stderr(str![[r#"
skipping jobs done in run [DATE]-1: 2 of 7; left: 1 new, 1 failed, 1 extra copy, 1 with other files, 1 with other outputs
run [DATE]-2: 5 jobs, 1 host
start #0: echo c >> [PLACE]/here/ledger; ! test -e [PLACE]/here/fail-c
ok #0 in [ELAPSED]
start #1: echo b >> [PLACE]/here/ledger; ! test -e [PLACE]/here/fail-b
ok #1 in [ELAPSED]
start #2: echo a >> [PLACE]/here/ledger; ! test -e [PLACE]/here/fail-a
ok #2 in [ELAPSED]
start #3: echo d >> [PLACE]/here/ledger; ! test -e [PLACE]/here/fail-d
ok #3 in [ELAPSED]
start #4: echo a >> [PLACE]/here/ledger; ! test -e [PLACE]/here/fail-a
job 4 on this machine: output "*.csv" is missing
FAILED #4: output "*.csv" is missing · echo a >> [PLACE]/here/ledger; ! test -e [PLACE]/here/fail-a
help: `gjob logs 4 -R [DATE]-2` and `gjob explain 4 -R [DATE]-2` say more, `gjob retry --attach -R [DATE]-2` retries failed jobs
run [DATE]-2: 4 done, 1 failed in [ELAPSED]

"#]]).run();
    assert_eq!(take_ledger(&place), ["a", "a", "b", "c", "d"]);
    assert_eq!(place.of_jobs("index"), [0, 1, 2, 3, 4]);
}

#[test]
fn nothing_runs_when_everything_is_done() {
    let place = Place::new();
    place.file("jobs.txt", &format!("{}\n", command(&place, "a")));
    let first = first_run(&place, &["-n", "3", "jobs.txt"], 0);
    let runs = run_ids(&place);
    let three = ["-n", "3", "jobs.txt", "--skip-done", &first];
    run(&place, &three)
        .stderr(str![[r#"
skipping jobs done in run [DATE]-1: 3 of 3; nothing left to run

"#]])
        .run();
    run(&place, &[&three[..], &["--dry-run"]].concat())
        .stderr(str![[r#"
skipping jobs done in run [DATE]-1: 3 of 3; nothing left to run

"#]])
        .run();
    run(&place, &[&three[..], &["--dry-run", "--json"]].concat())
        .stderr(str![[r#"
skipping jobs done in run [DATE]-1: 3 of 3; nothing left to run

"#]])
        .run();
    assert_eq!(run_ids(&place), runs);
    // A fourth copy is another job than the first three.
    let four = ["-n", "4", "jobs.txt", "--skip-done", &first];
    run(&place, &four)
        .stderr(str![[r#"
skipping jobs done in run [DATE]-1: 3 of 4; left: 1 new
run [DATE]-2: 1 job, 1 host
start #0: echo a >> [PLACE]/here/ledger; ! test -e [PLACE]/here/fail-a
ok #0 in [ELAPSED]
run [DATE]-2: 1 done in [ELAPSED]

"#]])
        .run();
    run(&place, &[&four[..], &["--skip-done", "latest"]].concat())
        .stderr(str![[r#"
skipping jobs done in runs [DATE]-1, [DATE]-2: 4 of 4; nothing left to run

"#]])
        .run();
}

#[test]
fn mode_of_a_file_counts_and_its_directory_does_not() {
    let place = Place::new();
    let tool = place.file("tool", "true\n");
    let set_mode = |mode| std::fs::set_permissions(&tool, PermissionsExt::from_mode(mode)).unwrap();
    set_mode(0o644);
    std::fs::create_dir(place.path("here/sub")).unwrap();
    place.file("jobs.txt", "bash tool\n");
    let first = first_run(&place, &["jobs.txt", "-f", "tool"], 0);
    let again = |file: &str, more: &[&str], stderr: snapbox::Data| {
        let args = ["jobs.txt", "-f", file, "--skip-done", &first, "--dry-run", "--json"];
        let answer = run(&place, &[&args[..], more].concat()).output();
        snapbox::assert_data_eq!(answer.stderr.replace(&first, "[RUN]"), stderr);
    };
    std::fs::copy(&tool, place.path("here/sub/tool")).unwrap();
    again(
        "sub/tool",
        &[],
        str![[r#"
skipping jobs done in run [RUN]: 1 of 1; nothing left to run

"#]]
        .into_data(),
    );
    again(
        "tool",
        &["--link-files"],
        str![[r#"
skipping jobs done in run [RUN]: 0 of 1; left: 1 with other files

"#]]
        .into_data(),
    );
    set_mode(0o755);
    again(
        "tool",
        &[],
        str![[r#"
skipping jobs done in run [RUN]: 0 of 1; left: 1 with other files

"#]]
        .into_data(),
    );
}

#[test]
fn dependents_of_skipped_jobs_wait_for_the_rest() {
    let place = Place::new();
    place.file("fail-c", "");
    let job = |word: &str, name: &str, after: &str| {
        job(&place, word, &format!(", \"name\": \"{name}\", \"after\": {after}"))
    };
    let jobs = [
        job("a", "one", "[]"),
        job("b", "two", "[0]"),
        job("c", "two", "[\"one\"]"),
        job("d", "last", "[[0, 2], \"two\", 1]"),
    ];
    place.file("jobs.jsonl", &jobs.concat());
    first_run(&place, &["jobs.jsonl"], 1);
    assert_eq!(take_ledger(&place), ["a", "b", "c"]);
    std::fs::remove_file(place.path("here/fail-c")).unwrap();
    let args = ["jobs.jsonl", "--skip-done", "latest"];
    let dry_run = run(&place, &[&args[..], &["--dry-run"]].concat());
    dry_run
        .stdout(str![[r#"
host :, 1 slot
job 0 two
    commands: echo c >> [PLACE]/here/ledger; ! test -e [PLACE]/here/fail-c
job 1 last
    commands: echo d >> [PLACE]/here/ledger; ! test -e [PLACE]/here/fail-d
    after:    job 0
              two

"#]])
        .stderr(str![[r#"
skipping jobs done in run [DATE]-1: 2 of 4; left: 2 failed

"#]])
        .run();
    run(&place, &args)
        .stderr(str![[r#"
skipping jobs done in run [DATE]-1: 2 of 4; left: 2 failed
run [DATE]-2: 2 jobs, 1 host
start #0 two: echo c >> [PLACE]/here/ledger; ! test -e [PLACE]/here/fail-c
ok #0 two in [ELAPSED]
start #1 last: echo d >> [PLACE]/here/ledger; ! test -e [PLACE]/here/fail-d
ok #1 last in [ELAPSED]
run [DATE]-2: 2 done in [ELAPSED]

"#]])
        .run();
    assert_eq!(take_ledger(&place), ["c", "d"]);
}

#[test]
fn unknown_run_is_refused() {
    let place = Place::new();
    place.file("jobs.txt", "true\n");
    let skip = |run: &str, more: &[&str]| {
        place.gjob(&[&["run", "jobs.txt", "--skip-done", run], more].concat()).code(2)
    };
    skip("2020-01-01-1", &["--cpus", "x"])
        .stderr(str![[r#"
gjob: --skip-done: no run [DATE]-1 in [PLACE]/state/runs
gjob: --cpus: invalid cpus "x": expected a number of processors or "all"
gjob: nothing was started

"#]])
        .run();
    skip("latest", &[])
        .stderr(str![[r#"
gjob: --skip-done: no runs in [PLACE]/state/runs
gjob: nothing was started

"#]])
        .run();
    skip("no/run", &[])
        .stderr(str![[r#"
gjob: --skip-done: invalid run "no/run": expected an id such as [DATE]-1, the end of one (1, 22-1), or latest
gjob: nothing was started

"#]])
        .run();
    assert!(!place.has_run());
}

#[test]
fn runs_that_a_run_skipped_jobs_for_count_too_and_so_can_all_runs() {
    let place = Place::new();
    let mut last = String::new();
    for word in ["a", "b", "c"] {
        last.push_str(&job(&place, word, ""));
        place.file("jobs.jsonl", &last);
        let args: &[&str] = match word {
            "a" => &["jobs.jsonl"],
            _ => &["jobs.jsonl", "--skip-done", "latest"],
        };
        assert_eq!(run(&place, args).output().code, 0);
    }
    assert_eq!(take_ledger(&place), ["a", "b", "c"]);
    run(&place, &["jobs.jsonl", "--skip-done", "latest"])
        .stderr(str![[r#"
skipping jobs done in runs [DATE]-3, [DATE]-1, [DATE]-2: 3 of 3; nothing left to run

"#]])
        .run();
    run(&place, &["jobs.jsonl", "--skip-done", "all"])
        .stderr(str![[r#"
skipping jobs done in runs [DATE]-1, [DATE]-2, [DATE]-3: 3 of 3; nothing left to run

"#]])
        .run();
    // A run in between that is removed takes its part of the chain with it.
    assert_eq!(place.gjob(&["clean", "2", "--record"]).output().code, 0);
    let answer = run(&place, &["jobs.jsonl", "--skip-done", "latest"]).output();
    assert!(answer.stderr.contains("2 of 3; left: 1 new"), "{}", answer.stderr);
}

#[test]
fn files_count_unless_the_command_alone_is_to_be_the_same() {
    let place = Place::new();
    place.file("data", "one\n");
    place.file("jobs.jsonl", &job(&place, "a", ", \"files\": \"data\""));
    assert_eq!(run(&place, &["jobs.jsonl"]).output().code, 0);
    place.file("data", "two\n");
    let skip = ["jobs.jsonl", "--skip-done", "latest", "--dry-run"];
    let answer = run(&place, &skip).output();
    assert!(answer.stderr.contains("left: 1 with other files"), "{}", answer.stderr);
    let answer = run(&place, &[&skip[..], &["--same", "command"]].concat()).output();
    assert!(answer.stderr.contains("1 of 1; nothing left to run"), "{}", answer.stderr);
}

#[test]
fn only_jobs_that_failed_in_a_past_run_are_run_again() {
    let place = Place::new();
    place.file("fail-b", "");
    place.file("fail-c", "");
    let line = |word: &str| command(&place, word) + "\n";
    place.file("jobs.txt", &["a", "b", "c"].map(line).concat());
    let first = first_run(&place, &["jobs.txt"], 1);
    take_ledger(&place);
    std::fs::remove_file(place.path("here/fail-b")).unwrap();
    // A job that is new is no failed one; job files of all kinds are compared alike.
    place.file("more.jsonl", &["d", "c", "b", "a"].map(|word| job(&place, word, "")).concat());
    let args = ["more.jsonl", "--only-failed", &first];
    run(&place, &[&args[..], &["-v", "--dry-run"]].concat())
        .stdout(str![[r#"
host :, 1 slot
job 0
    commands: echo c >> [PLACE]/here/ledger; ! test -e [PLACE]/here/fail-c
job 1
    commands: echo b >> [PLACE]/here/ledger; ! test -e [PLACE]/here/fail-b

"#]])
        .stderr(str![[r#"
job 0: new, skipped
job 1: failed
job 2: failed
job 3: done, skipped
running only jobs that failed in run [DATE]-1: 2 of 4; skipped: 1 done, 1 new

"#]])
        .run();
    assert_eq!(run(&place, &args).output().code, 1);
    assert_eq!(take_ledger(&place), ["b", "c"]);
    // What that run did is not run again.
    std::fs::remove_file(place.path("here/fail-c")).unwrap();
    let answer = run(&place, &["jobs.txt", "--only-failed", "latest"]).output();
    let said = answer.stderr.lines().next().unwrap_or_default();
    assert!(said.contains(": 1 of 3; skipped: 2 done"), "{said}");
    assert_eq!((answer.code, take_ledger(&place)), (0, vec!["c".to_owned()]));
    let both = ["jobs.txt", "--only-failed", "latest", "--skip-done", "latest"];
    assert_eq!(run(&place, &both).output().code, 2);
    run(&place, &["jobs.txt", "--only-failed", "latest"])
        .stderr(str![[r#"
running only jobs that failed in runs [DATE]-3, [DATE]-1, [DATE]-2: 0 of 3; skipped: 3 done

"#]])
        .run();
}

#[test]
fn failed_jobs_put_their_outputs_where_those_of_the_past_run_are() {
    let place = Place::new();
    let script = |word: &str, more: &str| {
        let fails = place.path("here").join(format!("fail-{word}"));
        format!("echo {word} {more} > out; ! test -e {}\n", fails.display())
    };
    let three = ["a", "b", "c"].map(|word| script(word, "1")).concat();
    place.file("jobs.txt", &three);
    place.file("fail-b", "");
    let args = ["-o", "out", "--results", "--into", "o", "jobs.txt"];
    let first = first_run(&place, &args, 1);
    let out = |path: &str| std::fs::read_to_string(place.path("here/o").join(path)).ok();
    assert!(out("0/out").is_some() && out("2/out").is_some() && out("1/log").is_some());
    std::fs::write(place.path("here/o/1/mark"), "").unwrap();
    // Another run has no business there.
    let refused = run(&place, &args).output();
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("o/0 exists and was not created by this run"), "{refused:?}");
    // Still failing: what is there is replaced, and nothing else.
    let again = [&["--only-failed", &first][..], &args].concat();
    assert_eq!(run(&place, &again).output().code, 1);
    assert_eq!((out("1/mark"), out("1/log").is_some()), (None, true));
    std::fs::remove_file(place.path("here/fail-b")).unwrap();
    let more = format!("{three}{}", script("d", "1"));
    place.file("jobs.txt", &more);
    std::fs::write(place.path("here/o/0/mark"), "").unwrap();
    let rest = [&["--skip-done", "latest"][..], &args].concat();
    let answer = run(&place, &rest).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert_eq!(out("1/out").as_deref(), Some("b 1\n"));
    assert!(out("0/mark").is_some(), "outputs of a job that is done stay");
    // The new one has a directory of its own, which everything knows.
    assert_eq!(out("3/out").as_deref(), Some("d 1\n"));
    let dirs = place.of_jobs("outputs_dir");
    assert!(dirs[0].as_str().unwrap().ends_with("/o/1"), "{dirs:?}");
    assert!(dirs[1].as_str().unwrap().ends_with("/o/3"), "{dirs:?}");
    assert_eq!(place.gjob(&["logs", "1"]).output().code, 0);
    // All are done now: nothing is left to run.
    assert_eq!(run(&place, &rest).output().code, 0);
}

#[test]
fn failed_jobs_with_a_mended_file_are_named_and_the_option_that_runs_them() {
    let place = Place::new();
    place.file("fit.sh", "test $1 = 1\n");
    place.file("jobs.txt", "bash fit.sh 1\nbash fit.sh 2\nbash fit.sh 3\n");
    let args = ["-f", "fit.sh", "jobs.txt"];
    let first = first_run(&place, &args, 1);
    place.file("fit.sh", "test $1 -lt 4\n");
    let args = [&args[..], &["--only-failed", &first]].concat();
    run(&place, &args)
        .code(2)
        .stderr(str![[r#"
running only jobs that failed in run [DATE]-1: 0 of 3; skipped: 3 with other files
gjob: nothing was started: 2 jobs failed in run [DATE]-1 with other files
help: --same command runs them with the files that are here now

"#]])
        .run();
    let same = [&args[..], &["--same", "command"]].concat();
    let answer = run(&place, &same).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert!(answer.stderr.contains("2 of 3; skipped: 1 done\n"), "{}", answer.stderr);
    // Where none failed, none is missed.
    let args = ["-f", "fit.sh", "jobs.txt", "--only-failed", "latest"];
    place.file("fit.sh", "true\n");
    place.file("jobs.txt", "bash fit.sh 1\n");
    assert_eq!(run(&place, &args).output().code, 0);
}
