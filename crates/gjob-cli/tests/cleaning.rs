//! `gjob clean` of several runs.

mod support;

use gjob_testbed::Bed;
use snapbox::str;
use support::{Place, eventually};

/// A place with this many runs of one job each.
fn place_with_runs(count: usize) -> Place {
    let place = Place::new();
    place.file("jobs.txt", "true\n");
    for _ in 0..count {
        assert_eq!(place.gjob(&["run", "-q", "jobs.txt"]).output().code, 0);
    }
    place
}

/// The job directories in the place.
fn job_dirs(place: &Place) -> usize {
    let Ok(hosts) = std::fs::read_dir(place.path("results")) else { return 0 };
    let dirs = hosts.flatten().filter_map(|host| std::fs::read_dir(host.path()).ok());
    let dirs = dirs.flatten().flatten();
    dirs.filter(|dir| dir.path().join(".cmds").exists()).count()
}

#[test]
fn host_that_would_be_asked_is_named_before() {
    let place = Place::new();
    place.file("jobs.txt", "true\n");
    place.file("hang", "exec sleep 60\n");
    let args = ["run", "-q", "-H", ":,slow", "--connect", "sh hang {host}", "jobs.txt"];
    assert_eq!(place.gjob(&args).output().code, 0);
    place
        .gjob(&["clean", "latest", "--dry-run"])
        .stdout(str![[r#"
run [DATE]-1: would remove 1 job directory on this machine, slow

"#]])
        .run();
    place
        .gjob(&["clean", "latest", "--dry-run", "--forget-host", "slow"])
        .stdout(str![[r#"
run [DATE]-1: would remove 1 job directory on this machine

"#]])
        .run();
}

#[test]
fn all_finished_runs_are_cleaned_and_others_are_named() {
    let place = place_with_runs(2);
    place.file(
        "long.txt",
        &format!("while ! test -e {}; do sleep 0.05; done\n", place.path("go").display()),
    );
    let manager = place.gjob(&["run", "-q", "long.txt"]).start();
    eventually("the job of the third run runs", || {
        let status = place.status();
        status["run"].as_str().unwrap().ends_with("-3") && !status["jobs"][0]["started"].is_null()
    });
    place
        .gjob(&["clean", "--all", "--record", "--dry-run"])
        .stdout(str![[r#"
run [DATE]-1: would remove 1 job directory on this machine, and its record
run [DATE]-2: would remove 1 job directory on this machine, and its record

"#]])
        .stderr(str![[r#"
gjob: run [DATE]-3: left as it is: it has a manager

"#]])
        .run();
    assert_eq!(job_dirs(&place), 3);
    place
        .gjob(&["clean", "--all", "--record"])
        .stdout(str![[r#"
run [DATE]-1: removed 1 job directory, 0 staged files (0 bytes)
run [DATE]-1: removed the record
run [DATE]-2: removed 1 job directory, 0 staged files (0 bytes)
run [DATE]-2: removed the record

"#]])
        .stderr(str![[r#"
gjob: run [DATE]-3: left as it is: it has a manager

"#]])
        .run();
    assert_eq!(job_dirs(&place), 1);
    std::fs::write(place.path("go"), "").unwrap();
    assert_eq!(manager.output().code, 0);
}

#[test]
fn only_runs_that_are_old_enough_are_cleaned() {
    let place = place_with_runs(1);
    place.gjob(&["clean", "--older", "1h"]).stdout("nothing to clean\n").run();
    assert_eq!(job_dirs(&place), 1);
    place
        .gjob(&["clean", "--older", "1ms"])
        .stdout(str![[r#"
removed 1 job directory, 0 staged files (0 bytes)

"#]])
        .run();
    assert_eq!(job_dirs(&place), 0);
    place
        .gjob(&["clean", "--older", "soon"])
        .code(2)
        .stderr(str![[r#"
gjob: --older: invalid duration "soon": expected seconds (90) or units (500ms, 1h30m, 2d)

"#]])
        .run();
}

#[test]
fn number_of_a_removed_run_is_not_used_again() {
    let place = place_with_runs(2);
    assert_eq!(place.gjob(&["clean", "--all", "--record"]).output().code, 0);
    place.gjob(&["run", "--detach", "-q", "jobs.txt"]).stdout("[DATE]-3\n").run();
    eventually("it has ended", || place.status()["managed"] == false);
}

#[test]
fn nothing_is_cleaned_if_one_of_the_runs_cannot_be() {
    let place = place_with_runs(1);
    place.file(
        "long.txt",
        &format!("while ! test -e {}; do sleep 0.05; done\n", place.path("go").display()),
    );
    let manager = place.gjob(&["run", "-q", "long.txt"]).start();
    eventually("the job runs", || {
        place.status()["run"].as_str().is_some_and(|run| run.ends_with("-2"))
            && !place.status()["jobs"][0]["started"].is_null()
    });
    manager.kill_9();
    place
        .gjob(&["clean", "1", "2"])
        .code(2)
        .stderr(str![[r#"
gjob: run [DATE]-2 has 1 job left
help: finish them with `gjob attach [DATE]-2`, or kill them with `gjob kill --all -R [DATE]-2`

"#]])
        .run();
    assert_eq!(job_dirs(&place), 2);
    place
        .gjob(&["clean", "1", "-R", "7"])
        .code(2)
        .stderr(str![[r#"
gjob: no run in [PLACE]/state/runs has an id that ends in -7

"#]])
        .run();
    std::fs::write(place.path("go"), "").unwrap();
    assert_eq!(place.gjob(&["attach", "-q"]).output().code, 0);
}

#[test]
fn host_that_cannot_be_reached_is_named_remembered_and_can_be_given_up() {
    let place = Place::new();
    let bed = Bed::start(2);
    let config = bed.ssh_config().to_str().unwrap().to_owned();
    let run = ["run", "-q", "-F", &config, "-r", "results", "-H", "h1,h2", "--each-host"];
    assert_eq!(place.gjob(&[&run[..], &["--", "true"]].concat()).output().code, 0);
    bed.host(2).refuse_key();
    let answer = place.gjob(&["clean", "latest", "--record"]).output();
    assert_eq!(answer.code, 1);
    let said = |text: &str| assert!(answer.stderr.contains(text), "{}", answer.stderr);
    said("gjob: host h2 keeps its files of 1 run: ");
    said("tries again; `--forget-host h2` gives that host up");
    assert!(place.has_run(), "its record stays");
    place
        .gjob(&["clean", "latest", "--forget-host", "h3"])
        .code(2)
        .stderr(str![[r#"
gjob: --forget-host h3: expected one of h1, h2

"#]])
        .run();
    let answer = place.gjob(&["clean", "latest", "--record", "--forget-host", "h2"]).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert!(
        answer.stdout.contains("\nhost h2 keeps its job directories in /"),
        "{}",
        answer.stdout
    );
    assert!(!place.has_run());
}

#[test]
fn host_that_is_gone_is_asked_once_for_all_runs_and_named_once() {
    let place = Place::new();
    let bed = Bed::start(2);
    let config = bed.ssh_config().to_str().unwrap().to_owned();
    let run = ["run", "-q", "-F", &config, "-r", "results", "-H", "h1,h2", "--each-host"];
    for _ in 0..3 {
        assert_eq!(place.gjob(&[&run[..], &["--", "true"]].concat()).output().code, 0);
    }
    let before = bed.host(2).logins();
    // Each login of h2 ends without an answer.
    std::fs::write(bed.host(2).home().join(".bashrc"), "exit 7\n").unwrap();
    let answer = place.gjob(&["clean", "--all"]).output();
    assert_eq!(answer.code, 1);
    let lines: Vec<&str> = answer.stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{}", answer.stderr);
    assert!(lines[0].starts_with("gjob: host h2 keeps its files of 3 runs: "), "{}", lines[0]);
    assert_eq!(
        lines[1],
        "help: `gjob clean --all` tries again; `--forget-host h2` gives that host up"
    );
    assert_eq!(
        answer.stdout.matches(": removed 1 job directory, ").count(),
        3,
        "{}",
        answer.stdout
    );
    let once = bed.host(2).logins() - before;
    let answer = place.gjob(&["clean", "--all", "--record", "--forget-host", "h2"]).output();
    assert_eq!((answer.code, answer.stderr.as_str()), (0, ""));
    // What was removed before is not counted again.
    assert_eq!(answer.stdout.matches(": removed 0 job directories, ").count(), 3);
    let kept = answer.stdout.lines().filter(|line| line.starts_with("host h2 keeps "));
    assert_eq!(kept.count(), 1, "{}", answer.stdout);
    assert!(answer.stdout.contains("host h2 keeps the job directories of 3 runs in /"));
    let last = answer.stdout.lines().last().unwrap();
    assert!(last.starts_with("host h1 keeps the worker program for the next run, in /"), "{last}");
    assert!(once <= 2 && bed.host(2).logins() - before == once, "asked {once} times");
    assert!(!place.has_run());
}
