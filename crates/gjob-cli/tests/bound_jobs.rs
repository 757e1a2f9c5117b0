//! Jobs that are bound to some of a run's hosts, end to end.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

use std::path::Path;

use gjob_testbed::Bed;
use serde_json::{Value, json};
use snapbox::str;
use support::{Gjob, Place, eventually};

fn gjob(place: &Place, bed: &Bed, args: &[&str]) -> Gjob {
    let config = bed.ssh_config().to_str().unwrap();
    place.gjob(&[&["run", "-F", config, "-r", "results", "--show", "none"], args].concat())
}

/// The host of each job of the latest run.
fn hosts(place: &Place) -> Vec<String> {
    let hosts = place.of_jobs("host");
    hosts.iter().map(|host| host.as_str().unwrap_or("-").to_owned()).collect()
}

fn lines(jobs: &[Value]) -> String {
    jobs.iter().map(|job| format!("{job}\n")).collect()
}

/// A job that waits while a file is there.
fn waits_for(path: &Path) -> String {
    format!("while test -e {}; do sleep 0.02; done", path.display())
}

#[test]
fn jobs_run_on_the_hosts_that_their_names_patterns_and_labels_mean() {
    let place = Place::new();
    let bed = Bed::start(3);
    place.file("gjob.toml", "[host.h2]\nlabels = ['a100']\n[group.gpu]\nhosts = 'h[2-3]'\n");
    let jobs = [
        json!({ "cmds": "true", "host": "h1" }),
        json!({ "cmds": "true", "hosts": "h[3-9]" }),
        json!({ "cmds": "true", "hosts": ["?1", "x*"] }),
        json!({ "cmds": "true", "label": "a100" }),
        json!({ "cmds": "true", "labels": ["gpu"], "hosts": ["h1", "h3"] }),
        json!({ "cmds": "true", "hosts": "@a100" }),
    ];
    place.file("jobs.jsonl", &lines(&jobs).repeat(5));
    let answer = gjob(&place, &bed, &["-H", "h[1-3]", "jobs.jsonl"]).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert_eq!(hosts(&place), ["h1", "h3", "h1", "h2", "h3", "h2"].repeat(5));
}

#[test]
fn labels_come_from_hosts_files_and_options_bind_all_jobs() {
    let place = Place::new();
    let bed = Bed::start(3);
    place.file("hosts", "h1\nh[2-3] labels=big,a100 # two of them\n");
    place.file("jobs.txt", &"true\n".repeat(8));
    let run = |args: &[&str]| {
        let answer = gjob(&place, &bed, &[args, &["--hosts-file", "hosts", "jobs.txt"]].concat());
        let answer = answer.output();
        assert_eq!(answer.code, 0, "{}", answer.stderr);
        let mut used = hosts(&place);
        used.sort();
        used.dedup();
        used
    };
    assert!(!run(&["--label", "big", "--label", "a100"]).contains(&"h1".to_owned()));
    assert_eq!(run(&["--label", "big", "--on-hosts", "h[1-2]"]), ["h2"]);
    assert_eq!(run(&["--on-hosts", "h1"]), ["h1"]);
}

#[test]
fn every_kind_of_job_file_can_bind_and_a_dry_run_shows_it() {
    let place = Place::new();
    place.file(
        "jobs.toml",
        "[[job]]\ncommands = 'a'\nhost = 'h{n}'\nlabels = 'big'\nmatrix = { n = [1, 2] }\n",
    );
    place.file("jobs.py", "Job('a', host='h1')\nJob('b', hosts=['h1', 'gpu*'], labels='big')\n");
    place
        .gjob(&["run", "-H", "h[1-2]", "--dry-run", "jobs.toml"])
        .stdout(str![[r#"
host h1
host h2
job 0
    commands: a
    params:   n="1"
    hosts:    h1
    labels:   big
job 1
    commands: a
    params:   n="2"
    hosts:    h2
    labels:   big

"#]])
        .run();
    place
        .gjob(&["run", "-H", "h[1-2]", "--dry-run", "--json", "--on-hosts", "h2", "jobs.py"])
        .stdout(str![[r#"
{"cmds":["a"],"hosts":["h1"]}
{"cmds":["b"],"hosts":["h1","gpu*"],"labels":["big"]}

"#]])
        .run();
    place
        .gjob(&["run", "-H", "h1", "--dry-run", "--on-hosts", "a b", "--label", "@x", "--", "true"])
        .code(2)
        .stderr(str![[r#"
gjob: --on-hosts: invalid host "a b": expected names with commas between them, such as h1, node[1-4], gpu* or @GROUP
gjob: nothing was started

"#]])
        .run();
}

#[test]
fn job_for_a_host_that_the_run_does_not_have_is_refused_before_anything_starts() {
    let place = Place::new();
    place.file("gjob.toml", "[host.h2]\nlabels = ['a100']\n");
    let jobs = [
        json!({ "cmds": "true" }),
        json!({ "cmds": "true", "hosts": ["h9", "gpu*"], "labels": ["a100"] }),
        json!({ "cmds": "true", "label": "v100" }),
    ];
    place.file("jobs.jsonl", &lines(&jobs));
    place
        .gjob(&["run", "-H", "h[1-2]", "jobs.jsonl"])
        .code(2)
        .stderr(str![[r#"
gjob: job 1 is bound to h9, gpu* with label a100: no host of the run is that, it has h1, h2 (a100)
gjob: 1 other job is bound to none of them, either
gjob: nothing was started

"#]])
        .run();
    assert!(!place.has_run());
}

#[test]
fn job_whose_host_is_out_fails_with_the_reason_and_the_others_are_done() {
    let place = Place::new();
    let bed = Bed::start(2);
    bed.host(2).refuse_key();
    let jobs = [
        json!({ "cmds": "true", "host": "h2" }),
        json!({ "cmds": "true", "hosts": ["h1", "h2"] }),
        json!({ "cmds": "true" }),
    ];
    place.file("jobs.jsonl", &lines(&jobs));
    let answer = gjob(&place, &bed, &["-H", "h1,h2", "jobs.jsonl"]).output();
    assert_eq!(answer.code, 1, "{}", answer.stderr);
    assert_eq!(place.of_jobs("state"), ["error", "done", "done"]);
    let reason = place.of_jobs("reason")[0].as_str().unwrap().to_owned();
    assert!(reason.starts_with("bound to h2, which is out of the run: "), "{reason}");
    assert!(answer.stderr.contains(&reason), "{}", answer.stderr);
}

#[test]
fn waiting_bound_job_says_why_and_a_later_manager_keeps_it_bound() {
    let place = Place::new();
    let bed = Bed::start(2);
    let (block, ran) = (place.file("block", ""), place.path("ran"));
    let note = format!("echo ran >> {}", ran.display());
    let jobs = [
        json!({ "cmds": [waits_for(&block)], "host": "h2" }),
        json!({ "cmds": [note], "host": "h2", "retries": 1 }),
        json!({ "cmds": [note, "test -e block"], "label": "two" }),
        json!({ "cmds": [note], "host": "h1" }),
    ];
    place.file("jobs.jsonl", &lines(&jobs));
    place.file("hosts", "h1\nh2 labels=two\n");
    let manager = gjob(&place, &bed, &["--hosts-file", "hosts", "-j", "1", "jobs.jsonl"]).start();
    eventually("the free host has done its job", || {
        place.has_run() && place.of_jobs("state") == ["busy", "free", "free", "done"]
    });
    let waits = place.of_jobs("waits");
    assert_eq!(waits[1], "no host that it is bound to has room");
    let explained = place.gjob(&["explain", "2"]).output().stdout;
    assert!(explained.contains("\nbound to label two\n"), "{explained}");
    let why = "it waits for a host with room among those it is bound to:\n  h2 is busy: 1 of 1 slot in use\n";
    assert!(explained.contains(why), "{explained}");
    manager.kill_9();
    std::fs::remove_file(&block).unwrap();
    let attach = place.gjob(&["attach", "--show", "none"]).output();
    assert_eq!(attach.code, 1, "{}", attach.stderr);
    assert_eq!(place.of_jobs("state"), ["done", "done", "error", "done"]);
    place.gjob(&["retry", "--attach"]).output();
    assert_eq!(hosts(&place), ["h2", "h2", "h2", "h1"]);
    assert_eq!(support::lines(&ran).len(), 4, "one of them twice");
}
