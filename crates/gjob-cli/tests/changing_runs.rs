//! Runs that users change: hosts that are added, drained, removed and replaced, slots and
//! limits, with and without a manager.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop here")]

mod support;

use gjob_testbed::Bed;
use serde_json::Value;
use support::{Place, eventually, lines};

/// `gjob run` over ssh, with jobs that run until `go` is there.
fn begin(place: &Place, bed: &Bed, hosts: &str, jobs: usize) -> support::Running {
    let (go, begun) = (place.path("go"), place.path("begun"));
    let (go, begun) = (go.display(), begun.display());
    let job = format!(
        "echo $TESTBED_HOST >> {begun}; while ! test -e {go}; do sleep 0.02; done; \
         cat data.txt > out.txt\n"
    );
    place.file("jobs.txt", &job.repeat(jobs));
    place.file("data.txt", "data\n");
    let config = bed.ssh_config().to_str().unwrap().to_owned();
    let args =
        ["run", "-F", &config, "-r", "results", "-H", hosts, "-f", "data.txt", "-o", "out.txt"];
    place.gjob(&[&args[..], &["--into", "out", "jobs.txt"]].concat()).start()
}

fn begun(place: &Place, host: &str) -> usize {
    lines(&place.path("begun")).iter().filter(|line| *line == host).count()
}

fn host(place: &Place, label: &str) -> Value {
    let status = place.status();
    let hosts = status["hosts"].as_array().unwrap();
    hosts.iter().find(|host| host["host"] == label).cloned().unwrap_or_default()
}

/// Lets the jobs end.
fn release(place: &Place) {
    std::fs::write(place.path("go"), "").unwrap();
}

/// Every job is done, with its output.
fn assert_all_done(place: &Place, jobs: usize) {
    let status = place.status();
    assert_eq!(status["counts"]["done"], jobs, "{status:#}");
    for index in 0..jobs {
        let path = place.path(&format!("here/out/{index}/out.txt"));
        assert_eq!(std::fs::read_to_string(path).unwrap(), "data\n");
    }
}

fn said(place: &Place, args: &[&str]) -> String {
    let answer = place.gjob(args).output();
    assert_eq!(answer.code, 0, "{args:?}: {}", answer.stderr);
    answer.stdout
}

#[test]
fn hosts_are_added_drained_and_removed_while_the_run_goes_on() {
    let place = Place::new();
    let bed = Bed::start(3);
    let manager = begin(&place, &bed, "2/h1,2/h2", 9);
    eventually("jobs run", || begun(&place, "h1") == 2 && begun(&place, "h2") == 2);
    assert_eq!(said(&place, &["hosts", "drain", "h1"]), "host h1 draining: 2 jobs on it\n");
    assert_eq!(host(&place, "h1")["leaving"], "draining");
    assert_eq!(said(&place, &["hosts", "add", "3/h3"]), "host h3 added\n");
    eventually("the new host has jobs", || begun(&place, "h3") == 3);
    let killed = "host h2 removing: 2 jobs on it, which are killed and run again elsewhere\n";
    assert_eq!(said(&place, &["hosts", "remove", "h2"]), killed);
    eventually("it is removed", || host(&place, "h2")["leaving"] == "removed");
    eventually("its connection is closed", || bed.host(2).processes().is_empty());
    let table = said(&place, &["status"]);
    assert!(table.contains("h1    draining") && table.contains("h2    removed"), "{table}");
    let checked = said(&place, &["hosts", "-R", "latest"]);
    assert!(checked.contains("h1    draining") && checked.contains("h2    removed"), "{checked}");
    release(&place);
    assert_eq!(manager.output().code, 0);
    assert_all_done(&place, 9);
    let begins: Vec<usize> = ["h1", "h2", "h3"].map(|host| begun(&place, host)).to_vec();
    assert_eq!(begins, [2, 2, 7]);
    assert_eq!(
        said(&place, &["hosts", "add", "h1"]).lines().next(),
        Some("host h1 takes jobs again")
    );
}

#[test]
fn killed_managers_run_goes_on_with_the_hosts_as_they_were_changed() {
    let place = Place::new();
    let bed = Bed::start(3);
    let manager = begin(&place, &bed, "2/h1,2/h2", 8);
    eventually("jobs run", || begun(&place, "h1") == 2 && begun(&place, "h2") == 2);
    said(&place, &["hosts", "add", "h3"]);
    said(&place, &["hosts", "drain", "h1"]);
    manager.kill_9();
    // Recorded for the next manager.
    let text = said(&place, &["hosts", "remove", "h2"]);
    assert!(text.contains("host h2 removing: 2 jobs on it"), "{text}");
    assert!(text.contains("\nrecorded; resume the run with `gjob attach "), "{text}");
    said(&place, &["hosts", "slots", "4", "h3"]);
    assert_eq!(begun(&place, "h2"), 2, "nothing was done yet");
    let manager = place.gjob(&["attach"]).start();
    eventually("the others took over", || begun(&place, "h3") == 4);
    eventually("h2 is removed", || host(&place, "h2")["leaving"] == "removed");
    release(&place);
    assert_eq!(manager.output().code, 0);
    assert_all_done(&place, 8);
    assert_eq!([begun(&place, "h1"), begun(&place, "h2"), begun(&place, "h3")], [2, 2, 6]);
}

#[test]
fn host_with_more_slots_or_back_in_service_runs_jobs_with_files() {
    let place = Place::new();
    let bed = Bed::start(1);
    let manager = begin(&place, &bed, "1/h1", 5);
    eventually("one runs", || begun(&place, "h1") == 1);
    assert_eq!(said(&place, &["hosts", "slots", "3", "h1"]), "host h1: 3 jobs at once\n");
    eventually("three run", || begun(&place, "h1") == 3);
    said(&place, &["hosts", "drain", "h1"]);
    said(&place, &["hosts", "add", "h1"]);
    release(&place);
    assert_eq!(manager.output().code, 0);
    assert_all_done(&place, 5);
}

#[test]
fn mistyped_host_is_replaced_by_attach() {
    let place = Place::new();
    let bed = Bed::start(1);
    place.file("jobs.txt", "true\n");
    let config = bed.ssh_config().to_str().unwrap();
    bed.host(1).stop();
    let run = ["run", "-F", config, "-r", "results", "-H", "h1,nowhere", "jobs.txt"];
    let manager = place.gjob(&run).start();
    eventually("it is tried", || place.has_run() && host(&place, "nowhere")["status"] == "failed");
    manager.kill_9();
    bed.host(1).start();
    let answer = place.gjob(&["attach", "-H", "2/h1", "--replace"]).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert!(answer.stderr.contains("host nowhere removed"), "{}", answer.stderr);
    assert_eq!(host(&place, "nowhere")["leaving"], "removed");
    assert_eq!((&host(&place, "h1")["slots"], &host(&place, "h1")["done"]), (&2.into(), &1.into()));
}

#[test]
fn slots_and_limits_are_changed_under_a_living_manager_on_this_machine() {
    let place = Place::new();
    let (go, begun) = (place.path("go"), place.path("begun"));
    let (go, begun_path) = (go.display(), begun.display());
    let wait = format!("echo x >> {begun_path}; while ! test -e {go}; do sleep 0.02; done");
    place.file("jobs.txt", &format!("exit 3\nexit 3\n{}", format!("{wait}\n").repeat(6)));
    let manager = place.gjob(&["run", "-j", "1", "--max-fails", "9", "jobs.txt"]).start();
    eventually("one runs", || lines(&begun).len() == 1);
    let follower = place.gjob(&["attach", "-j", "3"]).start();
    eventually("three run", || lines(&begun).len() == 3);
    assert_eq!(said(&place, &["hosts", "slots", "2"]), "host :: 2 jobs at once\n");
    // Two have failed: nothing more starts.
    let second = place.gjob(&["attach", "--max-fails", "2"]).start();
    eventually("the limit is recorded", || {
        said(&place, &["status"]).contains("running") && settings(&place).contains("soon,fail=2")
    });
    release(&place);
    for process in [manager, follower, second] {
        let answer = process.output();
        assert_eq!(answer.code, 1, "{}", answer.stderr);
        assert!(answer.stderr.contains("stopped: too many failures"), "{}", answer.stderr);
    }
    assert_eq!((lines(&begun).len(), &place.status()["counts"]["free"]), (3, &3.into()));
    assert_eq!(place.gjob(&["attach", "--max-fails", "none"]).output().code, 1);
    assert_eq!(lines(&begun).len(), 6);
}

/// The settings of the only run, as they are recorded.
fn settings(place: &Place) -> String {
    let runs = std::fs::read_dir(place.path("state/runs")).unwrap();
    let path = runs.flatten().map(|run| run.path().join("run.db")).find(|path| path.exists());
    let db = rusqlite::Connection::open(path.unwrap()).unwrap();
    db.query_row("SELECT settings FROM run", [], |row| row.get(0)).unwrap()
}

#[test]
fn bound_job_fails_with_its_removed_host_and_waits_for_a_drained_one() {
    let place = Place::new();
    let bed = Bed::start(2);
    let go = place.path("go");
    let wait = format!("while ! test -e {}; do sleep 0.02; done", go.display());
    let job = |name: &str, host: &str, command: &str| {
        serde_json::json!({ "commands": [command], "name": name, "hosts": [host] }).to_string()
    };
    let jobs = [job("a", "h1", &wait), job("b", "h1", "true"), job("c", "h2", &wait)];
    place.file("jobs.jsonl", &jobs.join("\n"));
    let config = bed.ssh_config().to_str().unwrap();
    let args = ["run", "-F", config, "-r", "results", "-H", "1/h1,1/h2", "jobs.jsonl"];
    let manager = place.gjob(&args).start();
    eventually("both run", || place.has_run() && place.status()["counts"]["busy"] == 2);
    said(&place, &["hosts", "drain", "h1"]);
    let explained = said(&place, &["explain", "b"]);
    assert!(explained.contains("every host that it is bound to was drained"), "{explained}");
    assert!(explained.contains("\n  h1 is draining\n"), "{explained}");
    said(&place, &["hosts", "remove", "h1"]);
    let reason = |at: usize| place.status()["jobs"][at]["reason"].clone();
    let removed = "bound to h1, which was removed from the run";
    eventually("both have failed", || reason(0) == removed && reason(1) == removed);
    release(&place);
    assert_eq!(manager.output().code, 1);
    assert_eq!(place.of_jobs("state"), ["error", "error", "done"]);
}

#[test]
fn changes_that_cannot_be_made_are_refused_as_a_whole() {
    let place = Place::new();
    place.file("jobs.txt", "true\n");
    place.gjob(&["run", "-q", "jobs.txt"]).output();
    let refused = |args: &[&str], why: &str| {
        let answer = place.gjob(args).output();
        assert_eq!(answer.code, 2, "{args:?}: {}", answer.stderr);
        assert!(answer.stderr.contains(why), "{args:?}: {}", answer.stderr);
    };
    refused(&["hosts", "drain", "h9"], "has no host \"h9\": expected :");
    refused(&["hosts", "slots", "0"], "expected a number from 1 to 10000, then hosts");
    refused(&["hosts", "slots", "h2", "1"], "then hosts: gjob hosts slots 2 h1");
    refused(&["hosts", "add", "h1,h1"], "h1");
    refused(&["hosts", "add"], "required");
    refused(&["attach", "--replace"], "--hosts");
    said(&place, &["hosts", "add", "h1"]);
    said(&place, &["hosts", "remove", "h1"]);
    refused(&["hosts", "drain", "h1"], "host h1 was removed from run");
    assert_eq!(place.status()["hosts"].as_array().unwrap().len(), 2);
    let twice = said(&place, &["hosts", "add", ":"]);
    assert!(twice.starts_with("host : is in the run already\n"), "{twice}");
    let drained = place.gjob(&["hosts", "drain", ":"]).output().stdout;
    assert!(drained.contains("\nrecorded; all jobs of run "), "{drained}");
}
