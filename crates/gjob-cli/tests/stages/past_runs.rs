//! Outputs of past runs as files of a new run's jobs.

use std::path::PathBuf;

use gjob_testbed::Bed;
use serde_json::{Value, json};

use super::support::{Answer, Place, eventually, lines};
use super::{run, run_on, write_jobs};

#[test]
fn skip_done_compares_inputs_by_the_jobs_that_write_them() {
    let place = Place::new();
    let jobs = |number: u32, sum: &str| {
        [
            json!({"name": "a", "cmds": "echo 1 > x", "outputs": "x"}),
            json!({"name": "b", "cmds": format!("echo {number} > x"), "outputs": "x"}),
            json!({"name": "sum-a", "cmds": sum, "files": "@a/x", "outputs": "s"}),
            json!({"name": "sum-b", "cmds": "cat b/x", "files": "@b/x"}),
            json!({"name": "last", "cmds": "cat sum-a/s", "files": "@sum-a/s"}),
        ]
    };
    write_jobs(&place, &jobs(1, "cp a/x s"));
    assert_eq!(run(&place, &["-q"]).output().code, 0);
    let skipped = |jobs: &[Value]| {
        write_jobs(&place, jobs);
        let args = ["run", "-v", "--into", "again", "--skip-done", "latest", "--dry-run"];
        let text = place.gjob(&[&args[..], &["jobs.jsonl"]].concat()).output().stderr;
        let what = |line: &str| line.split_once("): ").map(|(_, what)| what.to_owned());
        text.lines().filter_map(what).collect::<Vec<_>>()
    };
    assert_eq!(skipped(&jobs(1, "cp a/x s")), ["done, skipped"; 5]);
    let done = "done, skipped";
    assert_eq!(skipped(&jobs(2, "cp a/x s")), [done, "new", done, "other files", done]);
    let changed = "cat a/x > s";
    assert_eq!(skipped(&jobs(1, changed)), [done, done, "new", done, "other files"]);
}

/// Two fits that write random bytes and say so in `ledger`, and a sum of them, which fails
/// unless `more` has it succeed.
fn write_fits(place: &Place, more: &str) {
    let ledger = place.path("ledger");
    let fit = |name: &str| {
        let make = "mkdir d; head -c 100000 /dev/urandom > d/bytes; echo t > tag";
        let make = format!("echo {name} >> {}; {make}", ledger.display());
        json!({"name": name, "cmds": make, "outputs": ["d", "tag"]})
    };
    let sum = format!("cat fit-*/d/bytes > both; cat fit-*/tag; {more}");
    let sum =
        json!({"name": "sum", "cmds": sum, "files": ["@fit-*/d", "@fit-*/tag"], "outputs": "both"});
    write_jobs(place, &[fit("fit-a"), fit("fit-b"), sum]);
}

/// The fits that have run since the last call.
fn fits(place: &Place) -> Vec<String> {
    let ledger = place.path("ledger");
    let mut names = lines(&ledger);
    names.sort();
    let _ = std::fs::remove_file(ledger);
    names
}

fn output(place: &Place, path: &str) -> PathBuf {
    place.path("here").join(path)
}

/// `gjob run --skip-done latest` with outputs below `into`.
fn again(place: &Place, into: &str) -> Answer {
    let args =
        ["run", "-q", "--show", "all", "--into", into, "--skip-done", "latest", "jobs.jsonl"];
    place.gjob(&args).output()
}

/// Runs the fits, of which the sum fails; their bytes, one after the other.
fn first_run(place: &Place) -> Vec<u8> {
    write_fits(place, "false");
    assert_eq!(run(place, &["-q"]).output().code, 1);
    assert_eq!(fits(place), ["fit-a", "fit-b"]);
    let bytes = ["fit-a-0", "fit-b-1"]
        .map(|fit| std::fs::read(output(place, &format!("out/{fit}/d/bytes"))).unwrap());
    bytes.concat()
}

#[test]
fn outputs_of_a_past_run_are_used_and_the_jobs_that_wrote_them_are_skipped() {
    let place = Place::new();
    let bytes = first_run(&place);
    let first = place.status()["run"].clone();
    // Each run skips jobs for those before it, whether these had the outputs or took them.
    for (into, more, code) in [("two", "false; false", 1), ("three", "false; true; false", 1)] {
        write_fits(&place, more);
        let answer = again(&place, into);
        assert_eq!((answer.code, fits(&place).len()), (code, 0), "{answer:?}");
    }
    write_fits(&place, "cp both again");
    let answer = again(&place, "four");
    assert_eq!((answer.code, answer.stdout.as_str()), (0, "t\nt\n"), "{answer:?}");
    assert!(answer.stderr.contains("2 of 3; left: 1 new"), "{answer:?}");
    assert!(!answer.stderr.contains("needed"), "{answer:?}");
    assert_eq!(fits(&place).len(), 0);
    assert!(std::fs::read(output(&place, "four/sum-0/both")).unwrap() == bytes);
    let past = json!([{"run": first, "index": 0}, {"run": first, "index": 1}]);
    assert_eq!(place.of_jobs("inputs")[0][0]["past_jobs"], past);
    let explained = place.gjob(&["explain", "sum"]).output().stdout;
    let expected = "needs @fit-*/d: outputs of 2 jobs, 2 of past runs, all done\n";
    assert!(explained.contains(expected), "{explained}");
    // The job itself is done by now, whose files are of a run before it.
    let answer = again(&place, "five");
    assert!(answer.stderr.contains("3 of 3; nothing left to run"), "{answer:?}");
}

#[test]
fn job_of_a_past_run_runs_again_when_its_outputs_are_gone_or_changed_and_that_is_said() {
    let place = Place::new();
    first_run(&place);
    std::fs::remove_file(output(&place, "out/fit-a-0/tag")).unwrap();
    let answer = again(&place, "two");
    let path = output(&place, "out/fit-a-0/tag");
    let expected = format!(
        "job fit-a runs again, since its outputs are needed: file {path:?} does not exist\n"
    );
    assert!(answer.stderr.contains(&expected), "{answer:?}");
    assert_eq!(fits(&place), ["fit-a"]);
    // As long as it was, and as old.
    let changed = output(&place, "out/fit-b-1/d/bytes");
    let modified = std::fs::metadata(&changed).unwrap().modified().unwrap();
    std::fs::write(&changed, vec![b'x'; 100_000]).unwrap();
    std::fs::File::options().write(true).open(&changed).unwrap().set_modified(modified).unwrap();
    write_fits(&place, "true");
    let answer = again(&place, "three");
    let expected = format!(
        "job fit-b runs again, since its outputs are needed: file {changed:?} has changed\n"
    );
    assert!(answer.stderr.contains(&expected), "{answer:?}");
    assert_eq!((answer.code, fits(&place)), (0, vec!["fit-b".to_owned()]));
    let [a, b] = ["two/fit-a-0", "three/fit-b-0"]
        .map(|dir| std::fs::read(output(&place, dir).join("d/bytes")).unwrap());
    assert!(std::fs::read(output(&place, "three/sum-1/both")).unwrap() == [a, b].concat());
}

#[test]
fn outputs_of_a_past_run_that_change_later_fail_the_job_with_their_name() {
    let place = Place::new();
    let bytes = first_run(&place);
    let first = place.status()["run"].as_str().unwrap().to_owned();
    write_fits(&place, "test $GJOB_ATTEMPT = 3");
    assert_eq!(again(&place, "two").code, 1);
    let tag = output(&place, "out/fit-a-0/tag");
    std::fs::rename(&tag, output(&place, "kept")).unwrap();
    assert_eq!(place.gjob(&["retry", "--attach", "-q"]).output().code, 1);
    let reason = place.of_jobs("reason")[0].as_str().unwrap().to_owned();
    let expected =
        format!("input: output of job fit-a of run {first}: file {tag:?} does not exist");
    assert_eq!(reason, expected);
    std::fs::rename(output(&place, "kept"), &tag).unwrap();
    let answer = place.gjob(&["retry", "--attach", "-q"]).output();
    assert_eq!((answer.code, fits(&place).len()), (0, 0), "{answer:?}");
    assert!(std::fs::read(output(&place, "two/sum-0/both")).unwrap() == bytes);
}

#[test]
fn copies_of_a_job_have_the_same_directories_whichever_of_them_are_of_a_past_run() {
    let place = Place::new();
    let fit = json!({"name": "fit", "repeat": 4, "outputs": "out",
        "cmds": "echo $GJOB_REPEAT > out; test $GJOB_REPEAT != 2 || test -e ../go"});
    let other = json!({"name": "other", "cmds": "true"});
    let list = json!({"cmds": "for dir in fit-*; do echo $dir $(cat $dir/out); done", "files": "@fit/out"});
    let go = place.path("go").display().to_string();
    let fit: Value = serde_json::from_str(&fit.to_string().replace("../go", &go)).unwrap();
    write_jobs(&place, &[other, fit, list]);
    assert_eq!(run(&place, &["-q"]).output().code, 1);
    std::fs::write(place.path("go"), "").unwrap();
    let answer = again(&place, "two");
    assert_eq!(answer.code, 0, "{answer:?}");
    assert_eq!(answer.stdout, "fit-1 0\nfit-2 1\nfit-3 2\nfit-4 3\n");
    assert!(answer.stderr.contains("4 of 6"), "{answer:?}");
}

#[test]
fn outputs_of_a_past_run_reach_hosts_after_a_killed_manager_and_a_lost_host() {
    let bed = Bed::start(2);
    let place = Place::new();
    let ledger = place.path("hosts");
    let fit = json!({"name": "fit", "outputs": "out", "host": "h1", "cmds": "seq 100000 > out"});
    let jobs = |more: &str| {
        let hold = format!(
            "{more} cat fit/out | tee sums; echo $GJOB_DIR >> {}; \
            test $GJOB_ATTEMPT = 2 || exec sleep 60",
            ledger.display()
        );
        let sum = json!({"name": "sum", "cmds": hold, "files": "@fit/out", "outputs": "sums"});
        write_jobs(&place, &[fit.clone(), sum]);
    };
    jobs("exit 1;");
    assert_eq!(run_on(&place, &bed, &["-q"]).output().code, 1);
    jobs("");
    let config = bed.ssh_config().to_str().unwrap().to_owned();
    let hosts = bed.host_list();
    let args = [
        "run",
        "-q",
        "-F",
        &config,
        "-H",
        &hosts,
        "-r",
        "results",
        "--into",
        "two",
        "-j1",
        "--lost-after",
        "1s",
        "--skip-done",
        "latest",
        "jobs.jsonl",
    ];
    let running = place.gjob(&args).start();
    eventually("the sum runs", || lines(&ledger).len() == 1);
    running.kill_9();
    let lost = place.of_jobs("host")[0].clone();
    let host = bed.host(if lost == "h1" { 1 } else { 2 });
    host.stop();
    host.kill_connections();
    let answer = place.gjob(&["attach", "-q"]).output();
    assert_eq!(answer.code, 0, "{answer:?}");
    assert_ne!(place.of_jobs("host")[0], lost);
    let expected: String = (1..=100_000).map(|n| format!("{n}\n")).collect();
    assert!(std::fs::read_to_string(output(&place, "two/sum-0/sums")).unwrap() == expected);
}

#[test]
fn only_failed_takes_outputs_of_the_jobs_that_are_done() {
    let place = Place::new();
    let bytes = first_run(&place);
    let mend = place.path("mend");
    write_fits(&place, &format!("test -e {}", mend.display()));
    assert_eq!(again(&place, "two").code, 1);
    std::fs::write(&mend, "").unwrap();
    let args = ["run", "-q", "--into", "three", "--only-failed", "latest", "jobs.jsonl"];
    let answer = place.gjob(&args).output();
    assert_eq!((answer.code, fits(&place).len()), (0, 0), "{answer:?}");
    assert!(std::fs::read(output(&place, "three/sum-0/both")).unwrap() == bytes);
}
