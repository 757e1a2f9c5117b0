//! Copies of a state directory: they can be read, and their runs are resumed only once a
//! user says that the original is out of use.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

mod support;

use std::path::Path;
use std::process::Command;

use gjob_testbed::Bed;
use serde_json::json;
use snapbox::str;
use support::{Gjob, Place, eventually, lines};

/// Twelve jobs, each of which writes a line; the manager is killed when some have.
fn killed_in_the_middle(place: &Place) -> std::path::PathBuf {
    let ledger = place.path("here/ledger");
    let job = format!("echo $GJOB_INDEX >> {}; sleep 0.2\n", ledger.display());
    place.file("jobs.txt", &job.repeat(12));
    let manager = place.gjob(&["run", "-j", "2", "jobs.txt"]).start();
    eventually("some jobs have begun", || lines(&ledger).len() >= 4);
    manager.kill_9();
    ledger
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

/// `gjob` in the same place, with the copy as its state directory.
fn in_copy(place: &Place, args: &[&str]) -> Gjob {
    place.gjob(args).env("GJOB_STATE_DIR", place.path("copy"))
}

#[test]
fn copied_run_is_resumed_only_as_the_one_that_is_in_use() {
    let place = Place::new();
    let ledger = killed_in_the_middle(&place);
    copy(&place.path("state"), &place.path("copy"));

    for command in ["status", "runs", "explain 0", "logs 0"] {
        let words: Vec<&str> = command.split(' ').collect();
        let answer = in_copy(&place, &words).output();
        let is_empty_log = answer.stderr.starts_with("gjob: job 0 has printed nothing");
        assert!(answer.code == 0 && (answer.stderr.is_empty() || is_empty_log), "{answer:?}");
    }
    let begun = lines(&ledger).len();
    for command in ["attach", "kill --all", "pause 11"] {
        let words: Vec<&str> = command.split(' ').collect();
        in_copy(&place, &words)
            .code(2)
            .stderr(str![[r#"
gjob: [PLACE]/copy/runs/[DATE]-1/run.db is a copy of run [DATE]-1, whose jobs would run twice
help: if the original is gone or will not be used again: `gjob attach [DATE]-1 --moved`

"#]])
            .run();
    }
    assert!(lines(&ledger).len() <= begun + 2, "only what ran already has gone on");

    let moved = in_copy(&place, &["attach", "--moved"]).output();
    assert_eq!(moved.code, 0, "{moved:?}");
    // It is the original from now on.
    assert_eq!(in_copy(&place, &["attach"]).output().code, 0);
    let original = place.gjob(&["attach"]).output();
    assert_eq!(original.code, 3, "{original:?}");
    let why = "another gjob process has taken over the run";
    assert!(original.stderr.contains(why), "{original:?}");
    let last = original.stderr.lines().last().unwrap();
    assert!(last.ends_with("it goes on there, and nothing more is done here"), "{last}");
    let mut began: Vec<u32> = lines(&ledger).iter().map(|line| line.parse().unwrap()).collect();
    began.sort_unstable();
    assert_eq!(began, (0..12).collect::<Vec<u32>>(), "each was begun once");
}

#[test]
fn copy_of_a_finished_run_is_not_cleaned_in_its_stead() {
    let place = Place::new();
    place.file("jobs.txt", "true\n");
    assert_eq!(place.gjob(&["run", "jobs.txt"]).output().code, 0);
    copy(&place.path("state"), &place.path("copy"));
    let answer = in_copy(&place, &["clean", "1"]).output();
    assert_eq!(answer.code, 2, "{answer:?}");
    assert!(answer.stderr.contains(" is a copy of run "), "{answer:?}");
    assert_eq!(place.gjob(&["logs", "0"]).output().code, 0);
}

#[test]
fn state_directory_that_was_renamed_is_the_same() {
    let place = Place::new();
    killed_in_the_middle(&place);
    std::fs::rename(place.path("state"), place.path("copy")).unwrap();
    let answer = in_copy(&place, &["attach"]).output();
    assert_eq!(answer.code, 0, "{answer:?}");
}

/// Job `name`, which writes its name to `ledger` and waits while `NAME.waits` exists.
fn gated(place: &Place, name: &str, after: &[&str]) -> String {
    let here = place.path("here");
    let script = format!(
        "echo {name} > out; cd {}; echo {name} >> ledger; \
         while test -e {name}.waits; do sleep 0.02; done",
        here.display()
    );
    let (cmds, outputs) = ([script], ["out"]);
    let job = json!({ "cmds": cmds, "name": name, "after": after, "outputs": outputs });
    place.file(&format!("{name}.waits"), "");
    format!("{job}\n")
}

fn open_gates(place: &Place, names: &[&str]) {
    for name in names {
        std::fs::remove_file(place.path(&format!("here/{name}.waits"))).unwrap();
    }
}

#[test]
fn copy_that_is_older_than_what_its_hosts_have_begun_runs_no_job_twice() {
    let (place, bed) = (Place::new(), Bed::start(2));
    let ledger = place.path("here/ledger");
    let after = ["c", "d"];
    let jobs = [("a", &[][..]), ("b", &[]), ("c", &[]), ("d", &[]), ("e", &[]), ("f", &after)];
    let jobs: String = jobs.iter().map(|(name, after)| gated(&place, name, after)).collect();
    place.file("jobs.jsonl", &jobs);
    let config = bed.ssh_config();
    let ssh = ["-F", config.to_str().unwrap(), "-r", "results", "-j", "1"];
    // With a limit, no job is sent to a host before it has a slot for it.
    let run = ["run", "-H", "h1", "-H", "h2", "--into", "out", "--max-fails", "9"];
    let words = [&run[..], &ssh, &["jobs.jsonl"]].concat();
    let manager = place.gjob(&words).start();
    eventually("the first stage has begun", || lines(&ledger).len() == 2);
    copy(&place.path("state"), &place.path("copy"));
    open_gates(&place, &["a", "b"]);
    eventually("the second stage has begun", || lines(&ledger).len() == 4);
    manager.kill_9();
    std::fs::rename(place.path("state"), place.path("away")).unwrap();
    // d ends while nobody attends to the run, and one host is away.
    open_gates(&place, &["d", "e", "f"]);
    bed.host(2).stop();

    let manager = in_copy(&place, &["attach", "--moved"]).start();
    let explain = |job: &str| in_copy(&place, &["explain", job]).output().stdout;
    let waits = || explain("e").contains("it waits until h2 has told what it has run");
    eventually("nothing starts before the word of h2", waits);
    assert_eq!(lines(&ledger).len(), 4, "nothing starts before");
    bed.host(2).start();
    eventually("c is known to run", || explain("c").starts_with("job 2 c: running on "));
    open_gates(&place, &["c"]);
    let answer = manager.output();
    assert_eq!(answer.code, 0, "{answer:?}");
    let mut began = lines(&ledger);
    began.sort_unstable();
    assert_eq!(began, ["a", "b", "c", "d", "e", "f"], "each was begun once");
    let mut files: Vec<_> = std::fs::read_dir(place.path("here/out")).unwrap().collect();
    files.retain(|entry| entry.as_ref().unwrap().path().is_dir());
    assert_eq!(files.len(), 6, "{files:?}");
}

/// Three jobs, of which the copy knows only that the first was begun; all have ended since.
fn ended_since_the_copy(place: &Place, options: &[&str]) {
    let names = ["a", "b", "c"];
    let jobs: String = names.iter().map(|name| gated(place, name, &[])).collect();
    place.file("jobs.jsonl", &jobs);
    let run = ["run", "-j", "1", "--into", "out"];
    let manager = place.gjob(&[&run[..], options, &["jobs.jsonl"]].concat()).start();
    let ledger = place.path("here/ledger");
    eventually("the first job has begun", || lines(&ledger).len() == 1);
    eventually("that is recorded", || place.of_jobs("id")[0].is_string());
    copy(&place.path("state"), &place.path("copy"));
    open_gates(place, &names);
    let answer = manager.output();
    assert_eq!(answer.code, 0, "{answer:?}");
}

#[test]
fn outputs_that_the_original_has_fetched_before_it_cleaned_up_are_those_of_the_copy() {
    let place = Place::new();
    ended_since_the_copy(&place, &["--cleanup", "--retries", "2"]);
    // One's are lost: it has run, and does not run again by itself.
    std::fs::remove_dir_all(place.path("here/out/b-1")).unwrap();
    let answer = in_copy(&place, &["attach", "--moved"]).output();
    assert_eq!(answer.code, 1, "{answer:?}");
    let why = "by --cleanup of the run's original, or gjob clean";
    assert!(answer.stderr.contains(why), "{answer:?}");
    assert_eq!(lines(&place.path("here/ledger")), ["a", "b", "c"], "each was begun once");
    let states = in_copy(&place, &["status", "--json", "--all"]).output().stdout;
    let states: serde_json::Value = serde_json::from_str(&states).unwrap();
    let of_jobs: Vec<_> =
        states["jobs"].as_array().unwrap().iter().map(|it| &it["state"]).collect();
    assert_eq!(of_jobs, ["done", "unknown", "done"]);
    for (dir, text) in [("a-0", "a"), ("c-2", "c")] {
        assert_eq!(lines(&place.path(&format!("here/out/{dir}/out"))), [text]);
    }
}

#[test]
fn nothing_starts_of_a_copy_whose_run_was_removed_from_its_hosts() {
    let place = Place::new();
    ended_since_the_copy(&place, &[]);
    let answer = place.gjob(&["clean", "1"]).output();
    assert_eq!(answer.code, 0, "{answer:?}");
    let answer = in_copy(&place, &["attach", "--moved"]).output();
    assert_ne!(answer.code, 0, "{answer:?}");
    let why = "it has no records of this run any more";
    assert!(answer.stderr.contains(why), "{answer:?}");
    assert_eq!(lines(&place.path("here/ledger")), ["a", "b", "c"], "nothing was begun again");
}

/// Two jobs, of which an added host has begun one that the copy does not know of; what is run
/// by the way is given where that host is reached.
fn added_since_the_copy<'a>(place: &Place, bed: &Bed, ssh: &[&'a str]) -> Vec<&'a str> {
    let ledger = place.path("here/ledger");
    let jobs: String = ["a", "b"].iter().map(|name| gated(place, name, &[])).collect();
    place.file("jobs.jsonl", &jobs);
    let words = [&["run", "-H", "h1", "--into", "out"], ssh, &["jobs.jsonl"]].concat();
    let manager = place.gjob(&words).start();
    eventually("the first job has begun", || lines(&ledger).len() == 1);
    copy(&place.path("state"), &place.path("copy"));
    let answer = place.gjob(&[&["hosts", "add", "h2"], ssh].concat()).output();
    assert_eq!(answer.code, 0, "{answer:?}");
    eventually("the host that was added has begun the other", || lines(&ledger).len() == 2);
    manager.kill_9();
    open_gates(place, &["a", "b"]);
    eventually("both have ended", || bed.host(2).processes().is_empty());
    ssh.to_vec()
}

fn ssh_options(config: &Path) -> [&str; 6] {
    ["-F", config.to_str().unwrap(), "-r", "results", "-j", "1"]
}

#[test]
fn host_that_the_copy_does_not_know_tells_what_it_has_run_once_it_is_named() {
    let (place, bed) = (Place::new(), Bed::start(2));
    let config = bed.ssh_config();
    let ssh = added_since_the_copy(&place, &bed, &ssh_options(config));
    let answer = in_copy(&place, &[&["attach", "--moved", "-H", "h2"], &ssh[..]].concat()).output();
    assert_eq!(answer.code, 0, "{answer:?}");
    assert_eq!(lines(&place.path("here/ledger")), ["a", "b"], "each was begun once");
}

#[test]
fn copy_that_does_not_know_all_hosts_of_its_run_starts_nothing() {
    let (place, bed) = (Place::new(), Bed::start(2));
    let config = bed.ssh_config();
    let ssh = added_since_the_copy(&place, &bed, &ssh_options(config));
    // The second time it is a copy no more, and knows no more of its hosts.
    for words in [&["attach", "--moved"][..], &["attach"]] {
        let answer = in_copy(&place, words).output();
        assert_eq!(answer.code, 2, "{answer:?}");
        let why = ": 1 host was added to the run after this copy of it was made: what it has run \
                   could run again, so nothing is started\nhelp: `gjob attach ";
        assert!(answer.stderr.contains(why), "{answer:?}");
        assert!(answer.stderr.contains(" --moved -H HOST`, with the options of"), "{answer:?}");
    }
    assert_eq!(lines(&place.path("here/ledger")), ["a", "b"], "nothing was begun again");
    let answer = in_copy(&place, &[&["attach", "--moved", "-H", "h2"], &ssh[..]].concat()).output();
    assert_eq!(answer.code, 0, "{answer:?}");
    assert_eq!(lines(&place.path("here/ledger")), ["a", "b"], "each was begun once");
}

#[test]
fn moved_copy_goes_on_in_the_background_with_the_hosts_that_are_named() {
    let (place, bed) = (Place::new(), Bed::start(2));
    let config = bed.ssh_config();
    let ssh = added_since_the_copy(&place, &bed, &ssh_options(config));
    let words = [&["attach", "--moved", "--detach", "-H", "h2"], &ssh[..]].concat();
    let answer = in_copy(&place, &words).output();
    assert_eq!(answer.code, 0, "{answer:?}");
    assert!(answer.stderr.contains("host h2 added"), "{answer:?}");
    let answer = in_copy(&place, &["attach"]).output();
    assert_eq!(answer.code, 0, "{answer:?}");
    assert_eq!(lines(&place.path("here/ledger")), ["a", "b"], "each was begun once");
}
