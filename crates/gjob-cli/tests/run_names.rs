//! How a run is named: by its id, by the end of its id, by `latest`; with `-R` for
//! every command that takes a run.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop here")]

mod support;

use std::fs;

use snapbox::str;
use support::Place;

/// A place with a run of today that is done, and others that cannot be read.
fn place_with_runs(others: &[&str]) -> Place {
    let place = Place::new();
    place.file("jobs.txt", "echo out\n");
    assert_eq!(place.gjob(&["run", "--results", "jobs.txt"]).output().code, 0);
    let runs = place.path("state/runs");
    for id in others {
        fs::create_dir(runs.join(id)).unwrap();
        fs::write(runs.join(id).join("run.db"), "no database").unwrap();
    }
    place
}

/// Asserts that a name is that of a run: of one that cannot be read.
fn assert_names(place: &Place, name: &str, run: &str) {
    let answer = place.gjob(&["status", "-R", name]).output();
    let path = format!("/{run}/run.db: file is not a database");
    assert!(answer.stderr.contains(&path), "{name}: {}", answer.stderr);
}

#[test]
fn end_of_an_id_names_its_run() {
    let place = place_with_runs(&["1999-01-02-22", "1999-01-22-7", "1999-03-02-122"]);
    for (name, run) in [
        ("22", "1999-01-02-22"),
        ("02-22", "1999-01-02-22"),
        ("7", "1999-01-22-7"),
        ("22-7", "1999-01-22-7"),
        ("122", "1999-03-02-122"),
        ("1999-01-22-7", "1999-01-22-7"),
    ] {
        assert_names(&place, name, run);
    }
}

#[test]
fn end_of_several_ids_names_them() {
    let place = place_with_runs(&["1999-01-02-22", "1999-01-03-22"]);
    place
        .gjob(&["status", "22"])
        .code(2)
        .stderr(str![[r#"
gjob: 22 is the end of several run ids: 1999-01-03-22, 1999-01-02-22

"#]])
        .run();
    place
        .gjob(&["logs", "0", "-R", "23"])
        .code(2)
        .stderr(str![[r#"
gjob: no run in [PLACE]/state/runs has an id that ends in -23

"#]])
        .run();
    for word in ["", "-", "yesterday", "1999-", "../22"] {
        let answer = place.gjob(&["explain", "0", &format!("--run={word}")]).output();
        assert_eq!(answer.code, 2, "{word}: {}", answer.stderr);
    }
}

#[test]
fn every_command_that_takes_a_run_takes_it_as_an_option() {
    let place = place_with_runs(&[]);
    for command in [
        &["attach"][..],
        &["status"],
        &["explain", "0"],
        &["logs"],
        &["fetch", "--results"],
        &["pause"],
        &["resume"],
        &["retry"],
        &["kill", "--all"],
        &["clean"],
    ] {
        let answer = place.gjob(&[command, &["-R", "1"]].concat()).output();
        assert_eq!(answer.code, 0, "{command:?}: {}", answer.stderr);
    }
    place
        .gjob(&["run", "jobs.txt", "--skip-done", "1"])
        .stderr(str![[r#"
skipping jobs done in run [DATE]-1: 1 of 1; nothing left to run

"#]])
        .run();
}

#[test]
fn clean_needs_the_name_of_a_run() {
    let place = place_with_runs(&[]);
    let answer = place.gjob(&["clean"]).output();
    assert_eq!(answer.code, 2);
    assert!(answer.stderr.contains("help: name a run"), "{}", answer.stderr);
}
