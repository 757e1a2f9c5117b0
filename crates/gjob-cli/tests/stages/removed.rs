//! Outputs that are not where they were put, or not what they were.

use std::path::Path;

use gjob_testbed::Bed;
use serde_json::{Value, json};

use super::support::{Place, eventually};
use super::{remove, run, run_on, write_jobs};

#[test]
fn outputs_that_were_removed_are_fetched_again_and_changed_ones_are_named() {
    let place = Place::new();
    let go = place.path("go");
    let wait = format!("while ! test -e {}; do sleep 0.02; done", go.display());
    // Where it was written it is not the same any more, either.
    let dir_of_b = place.path("dir-of-b");
    let make = format!("echo b > x; pwd > {}", dir_of_b.display());
    let wait = format!("{wait}; echo X > $(cat {})/x", dir_of_b.display());
    write_jobs(
        &place,
        &[
            json!({"name": "a", "cmds": "mkdir d; echo a > d/x; echo z > 'd/[z]'; echo k > kept", "outputs": ["d", "kept"]}),
            json!({"name": "b", "cmds": make, "outputs": "x"}),
            json!({"name": "c", "cmds": "echo c > x", "outputs": "x"}),
            json!({"name": "d", "cmds": "echo d > x", "outputs": "x"}),
            json!({"name": "gate", "cmds": wait, "after": ["a", "b", "c", "d"]}),
            json!({"cmds": "cat a/kept a/d/*", "files": ["@a/d", "@a/kept"], "after": "gate"}),
            json!({"cmds": "cat b/x", "files": "@b/x", "after": "gate"}),
            json!({"cmds": "cat c/x", "files": "@c/x", "after": "gate"}),
            json!({"cmds": "cat d/x", "files": "@d/x", "after": "gate"}),
        ],
    );
    let running = run(&place, &["-k", "--show", "all"]).start();
    eventually("the gate runs", || place.has_run() && place.of_jobs("started")[4] != json!(null));
    let out = place.path("here/out");
    std::fs::remove_dir_all(out.join("a-0/d")).unwrap();
    std::fs::write(out.join("a-0/mine"), "mine").unwrap();
    std::fs::write(out.join("b-1/x"), "B\n").unwrap();
    std::fs::write(out.join("c-2/x"), "longer\n").unwrap();
    std::fs::write(out.join("d-3/x"), "D\n").unwrap();
    std::fs::write(&go, "").unwrap();
    let answer = running.output();
    assert_eq!(answer.stdout, "k\nz\na\nd\n");
    assert_eq!(answer.code, 1, "{}", answer.stderr);
    assert_eq!(std::fs::read_to_string(out.join("a-0/mine")).unwrap(), "mine");
    let changed = |path: &str, which: &str| {
        let path = out.join(path);
        format!("{which}file {path:?} changed: it must stay the same until the jobs are done")
    };
    let reasons = place.of_jobs("reason");
    assert_eq!([&reasons[5], &reasons[8]], [&json!(null); 2]);
    assert_eq!(reasons[6], changed("b-1/x", ""));
    assert_eq!(reasons[7], changed("c-2/x", "input: output of job c: "));
}

#[test]
fn outputs_that_are_gone_everywhere_are_named() {
    let place = Place::new();
    let go = place.path("go");
    let wait = format!("while ! test -e {}; do sleep 0.02; done", go.display());
    write_jobs(
        &place,
        &[
            json!({"name": "a", "cmds": "echo a > x", "outputs": "x"}),
            json!({"name": "gate", "cmds": wait, "after": "a"}),
            json!({"cmds": "cat a/x", "files": "@a/x", "after": "gate"}),
        ],
    );
    let running = run(&place, &["--cleanup", "-q"]).start();
    eventually("the gate runs", || place.has_run() && place.of_jobs("started")[1] != json!(null));
    let path = place.path("here/out/a-0/x");
    remove(&path);
    std::fs::write(&go, "").unwrap();
    assert_eq!(running.output().code, 1);
    let reason = place.of_jobs("reason")[2].as_str().unwrap().to_owned();
    let expected = format!(
        "input: output of job a: file {path:?} does not exist, and cannot be fetched again: --cleanup removes the directories of done jobs: "
    );
    assert!(reason.starts_with(&expected), "{reason}");
    std::fs::write(&path, "a\n").unwrap();
    assert_eq!(place.gjob(&["retry", "2", "--attach"]).output().code, 0);
}

/// Jobs of which `make` on h1 has outputs, which `use` on h2 gets once there is a file `go`.
fn write_gated(place: &Place, make: &Value) {
    let wait = format!("while ! test -e {}; do sleep 0.02; done", place.path("go").display());
    let gate = json!({"name": "gate", "cmds": wait, "after": "make", "host": "h2"});
    let user = json!({"name": "use", "cmds": "cat make/x", "files": "@make/x", "after": "gate", "host": "h2"});
    write_jobs(place, &[make.clone(), gate, user]);
}

/// Lets a gated job go that needs the output `make/x`, which is not there any more; gives its path.
fn remove_x(place: &Place) -> std::path::PathBuf {
    eventually("the gate runs", || place.has_run() && place.of_jobs("started")[1] != json!(null));
    let path = place.path("here/out/make-0/x");
    remove(&path);
    std::fs::write(place.path("go"), "").unwrap();
    path
}

fn cannot_be_fetched(path: &Path, why: &str) -> String {
    format!(
        "input: output of job make: file {path:?} does not exist, and cannot be fetched again: {why}"
    )
}

#[test]
fn missing_output_on_a_removed_host_fails_its_consumer_with_the_host() {
    let place = Place::new();
    let bed = Bed::start(2);
    let make = json!({"name": "make", "cmds": "echo x > x", "outputs": "x", "host": "h1"});
    write_gated(&place, &make);
    let running = run_on(&place, &bed, &["-q", "--lost-after", "2s"]).start();
    eventually("the gate runs", || place.has_run() && place.of_jobs("started")[1] != json!(null));
    assert_eq!(place.gjob(&["hosts", "remove", "h1"]).output().code, 0);
    eventually("h1 is removed", || place.status()["hosts"][0]["leaving"] == "removed");
    let path = remove_x(&place);
    assert_eq!(running.output().code, 1);
    let expected = cannot_be_fetched(&path, "host h1 was removed from the run");
    assert_eq!(place.of_jobs("reason")[2], expected);
}

#[test]
fn missing_output_is_fetched_again_once_its_host_answers_and_given_up_when_it_is_lost() {
    let bed = Bed::start(2);
    let make = json!({"name": "make", "cmds": "echo x > x", "outputs": "x", "host": "h1"});
    for (lost_after, is_lost) in [("60s", false), ("1s", true)] {
        let place = Place::new();
        write_gated(&place, &make);
        let running = run_on(&place, &bed, &["-q", "--lost-after", lost_after]).start();
        eventually("the gate runs", || {
            place.has_run() && place.of_jobs("started")[1] != json!(null)
        });
        bed.host(1).stop();
        bed.host(1).kill_connections();
        eventually("h1 is away", || place.status()["hosts"][0]["state"] == "unknown");
        let path = remove_x(&place);
        if !is_lost {
            eventually("the job waits", || {
                let explained = place.gjob(&["explain", "use"]).output().stdout;
                explained.contains("fetched again from h1, which does not answer")
            });
            bed.host(1).start();
        }
        assert_eq!(running.output().code, i32::from(is_lost));
        let reason = place.of_jobs("reason")[2].clone();
        let expected = cannot_be_fetched(&path, "host h1 is lost: no contact for ");
        assert_eq!(
            reason.as_str().is_some_and(|it| it.starts_with(&expected)),
            is_lost,
            "{reason}"
        );
        assert_eq!(path.exists(), !is_lost);
    }
}

#[test]
fn job_whose_inputs_are_on_a_host_that_is_away_leaves_its_slot_to_others() {
    let (place, bed) = (Place::new(), Bed::start(2));
    let make = json!({"name": "make", "cmds": "echo x > x", "outputs": "x", "host": "h1"});
    write_gated(&place, &make);
    let other = json!({"name": "other", "cmds": "true", "after": "gate", "host": "h2"});
    let jobs = std::fs::read_to_string(place.path("here/jobs.jsonl")).unwrap();
    place.file("jobs.jsonl", &format!("{jobs}{other}\n"));
    let running = run_on(&place, &bed, &["-q", "-j1"]).start();
    eventually("the gate runs", || place.has_run() && place.of_jobs("started")[1] != json!(null));
    bed.host(1).stop();
    bed.host(1).kill_connections();
    eventually("h1 is away", || place.status()["hosts"][0]["state"] == "unknown");
    let path = remove_x(&place);
    eventually("the other job is done", || place.of_jobs("state")[3] == "done");
    assert_eq!(place.of_jobs("state")[2], "free");
    let explained = place.gjob(&["explain", "use"]).output().stdout;
    let said = format!(
        "it waits for outputs of job make to be fetched again from h1, which does not answer: {path:?} does not exist\n"
    );
    assert!(explained.contains(&said), "{explained}");
    bed.host(1).start();
    let answer = running.output();
    assert_eq!(answer.code, 0, "{}: {:?}", answer.stderr, place.of_jobs("reason"));
    assert_eq!(place.of_jobs("attempt"), [1, 1, 1, 1]);
}

#[test]
fn jobs_that_need_different_missing_outputs_of_one_job_get_them() {
    let place = Place::new();
    let bed = Bed::start(2);
    let path = |name: &str| place.path("here/out/p-0").join(name).display().to_string();
    let gate = format!("rm {} {}", path("x"), path("y"));
    let user = |name: &str, file: &str, host: &str| {
        let (cmds, file) = (format!("cat p/{file}"), format!("@p/{file}"));
        json!({"name": name, "cmds": cmds, "files": file, "host": host, "after": "gate"})
    };
    write_jobs(
        &place,
        &[
            json!({"name": "p", "cmds": "echo x > x; echo y > y", "outputs": ["x", "y"], "host": "h1"}),
            json!({"name": "gate", "cmds": gate, "after": "p", "host": "h1"}),
            user("a", "x", "h2"),
            user("b", "y", "h1"),
            user("c", "*", "h1"),
        ],
    );
    let answer = run_on(&place, &bed, &["-q", "-j2"]).output();
    assert_eq!(answer.code, 0, "{}: {:?}", answer.stderr, place.of_jobs("reason"));
}

#[test]
fn output_that_its_host_has_changed_is_not_put_in_place_of_a_missing_one() {
    let place = Place::new();
    let dir = place.path("job-dir");
    let make =
        format!("echo one > x; echo kept > k; mkdir d; echo d > d/x; pwd > {}", dir.display());
    let local = place.path("here/out/make-0");
    let gate = format!(
        "rm {0}/x {0}/d/x; cd $(cat {1}); echo two > x; rm d/x; mkdir d/x",
        local.display(),
        dir.display()
    );
    write_jobs(
        &place,
        &[
            json!({"name": "make", "cmds": make, "outputs": ["x", "k", "d"]}),
            json!({"name": "gate", "cmds": gate, "after": "make"}),
            json!({"cmds": "cat make/*", "files": ["@make/x", "@make/k"], "after": "gate"}),
            json!({"cmds": "cat make/d/*", "files": "@make/d", "after": "gate"}),
        ],
    );
    assert_eq!(run(&place, &["-q", "-k"]).output().code, 1);
    let reasons = place.of_jobs("reason");
    let expected = |path: &str| {
        let why = format!(
            "its host has something else now: output {path:?} changed since it was fetched"
        );
        cannot_be_fetched(&local.join(path), &why)
    };
    assert_eq!(reasons[2..], [expected("x"), expected("d/x")]);
    assert!(!local.join("x").exists() && !local.join("d/x").exists());
    assert_eq!(std::fs::read_to_string(local.join("k")).unwrap(), "kept\n");
}

#[test]
fn outputs_that_were_replaced_by_symlinks_or_were_empty_directories_are_named() {
    let place = Place::new();
    let local = place.path("here/out/make-0");
    let gate = format!("cd {}; mv f g; ln -s g f; mv d e; ln -s e d; rmdir empty", local.display());
    let user = |file: &str| json!({"cmds": "true", "files": file, "after": "gate"});
    write_jobs(
        &place,
        &[
            json!({"name": "make", "cmds": "echo f > f; mkdir d empty; echo x > d/x",
                "outputs": ["f", "d", "empty"]}),
            json!({"name": "gate", "cmds": gate, "after": "make"}),
            user("@make/f"),
            user("@make/d"),
            user("@make/empty"),
        ],
    );
    assert_eq!(run(&place, &["-q", "-k"]).output().code, 1);
    let replaced = |name: &str| {
        let path = local.join(name);
        format!(
            "input: output of job make: file {path:?} was replaced by a symlink: it must stay the same until the jobs are done"
        )
    };
    let empty = local.join("empty");
    let gone = format!("input: output of job make: directory {empty:?} does not exist any more");
    assert_eq!(place.of_jobs("reason")[2..], [replaced("f"), replaced("d"), gone]);
}
