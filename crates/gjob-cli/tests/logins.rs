//! Logins that lead nowhere: the reason is said in words, once.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop here")]

mod support;

use std::os::unix::fs::PermissionsExt;

use gjob_testbed::Bed;
use support::{Answer, Place};

fn run(place: &Place, bed: &Bed) -> Answer {
    let config = bed.ssh_config().to_str().unwrap();
    place.file("jobs.txt", "echo ran\n");
    let args = ["run", "--show", "all", "-H", "h1", "-F", config, "-r", "results", "jobs.txt"];
    place.gjob(&args).output()
}

/// Has `text` run as the login shell of the bed's host.
fn login_shell(bed: &Bed, text: &str) {
    let shell = bed.dir().join("shell");
    std::fs::write(&shell, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&shell, std::fs::Permissions::from_mode(0o755)).unwrap();
    bed.host(1).set_login_shell(shell.to_str().unwrap());
}

/// The host fails for this reason, which is said once and kept.
fn assert_fails(bed: &Bed, reason: &str) {
    let place = Place::new();
    let Answer { code, stderr, .. } = run(&place, bed);
    assert_eq!(code, 3, "{stderr}");
    let line = format!("host h1 failed: {reason}");
    assert_eq!(stderr.matches("host h1").count(), 1, "{stderr}");
    assert!(stderr.contains(&line), "{stderr}");
    let host = &place.status()["hosts"][0];
    assert_eq!((host["state"].as_str(), host["reason"].as_str()), (Some("error"), Some(reason)));
}

#[test]
fn login_shell_that_lets_nobody_in_is_named_once() {
    let bed = Bed::start(1);
    login_shell(&bed, "echo 'This account is currently not available.'; exit 1");
    assert_fails(
        &bed,
        "logged in, but its login shell is nologin: This account is currently not available.",
    );
    login_shell(&bed, "exec bash -r \"$@\"");
    assert_fails(
        &bed,
        "logged in, but its login shell is restricted: bash: line 1: exec: restricted",
    );
    login_shell(&bed, "exit 0");
    assert_fails(
        &bed,
        "logged in, but its login shell ended without starting /bin/sh: exit status 0",
    );
    login_shell(&bed, "HOME=/no/such/home; export HOME; exec /bin/bash \"$@\"");
    assert_fails(&bed, "no home directory there: /no/such/home does not exist");
}

#[test]
fn login_without_a_usable_path_runs_jobs() {
    let bed = Bed::start(1);
    for path in ["PATH=/no/such; export PATH", "PATH=; export PATH", "unset PATH"] {
        login_shell(&bed, &format!("{path}; exec /bin/bash --norc \"$@\""));
        let Answer { code, stdout, stderr } = run(&Place::new(), &bed);
        assert_eq!((code, stdout.as_str()), (0, "ran\n"), "{path}: {stderr}");
    }
}

#[test]
fn login_shell_that_says_nothing_is_given_up_after_half_a_minute() {
    let (place, bed) = (Place::new(), Bed::start(1));
    std::fs::write(bed.host(1).home().join(".bashrc"), "sleep 100\n").unwrap();
    let Answer { code, stderr, .. } = run(&place, &bed);
    assert_eq!(code, 3, "{stderr}");
    let line = "host h1 unreachable: logged in, but gave no answer for 30 s\n";
    assert_eq!(stderr.matches(line).count(), 1, "{stderr}");
    let host = &place.status()["hosts"][0];
    assert_eq!(host["state"], "unknown");
    let reason = host["reason"].as_str().unwrap();
    assert_eq!(reason, "logged in, but gave no answer for 30 s");
}

#[test]
fn failure_that_can_pass_is_said_once_with_the_number_of_attempts() {
    let (place, bed) = (Place::new(), Bed::start(1));
    bed.host(1).stop();
    let Answer { code, stderr, .. } = run(&place, &bed);
    assert_eq!(code, 3, "{stderr}");
    let lines: Vec<&str> = stderr.lines().filter(|line| line.contains("host h1")).collect();
    assert_eq!(lines.len(), 2, "{stderr}");
    assert!(lines.iter().all(|line| line.contains("the connection was refused")), "{stderr}");
    assert!(lines.iter().any(|line| line.ends_with(" attempts)")), "{stderr}");
}

#[test]
fn run_whose_only_host_does_not_exist_is_not_kept_and_a_near_name_is_suggested() {
    let (place, bed) = (Place::new(), Bed::start(1));
    let own = format!(
        "Include {}\nHost node1 fit1\n  HostName nowhere..invalid\nHost node2\n",
        bed.ssh_config().display()
    );
    let config = place.file("ssh_config", &own).display().to_string();
    let gjob = |args: &[&str]| place.gjob(&[&["run", "-F", &config], args].concat()).output();
    let earlier = gjob(&["-H", "h1", "--", "true"]);
    assert_eq!(earlier.code, 0, "{}", earlier.stderr);
    let before = place.status()["run"].clone();

    let answer = gjob(&["-H", "node1", "--", "true"]);
    assert_eq!(answer.code, 3, "{}", answer.stderr);
    let end = "gjob: there is no host node1; nothing was started, and no run was kept\n\
               help: did you mean node2?\n";
    assert!(answer.stderr.ends_with(end), "{}", answer.stderr);
    assert_eq!(place.status()["run"], before, "the latest run is the one before");
    let runs = place.gjob(&["runs", "--json"]).output().stdout;
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&runs).unwrap().as_array().unwrap().len(),
        1
    );

    let answer = gjob(&["-H", "node1,fit1", "--", "true"]);
    let end = "help: did you mean node2 for node1?\n";
    assert!(answer.stderr.ends_with(end), "{}", answer.stderr);
}
