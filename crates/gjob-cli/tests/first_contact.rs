//! Hosts that take their time until they can be used: as long as something goes on,
//! they are waited for, and it is said what.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop here")]

mod support;

use std::path::PathBuf;
use std::process::Command;

use gjob_testbed::Bed;
use serde_json::Value;
use support::{Answer, Place, lines};

/// A stand-in for ssh that does `before` first, and through which ssh reads what
/// `through` makes of its input; not for questions about its configuration.
fn slow_ssh(place: &Place, before: &str, through: &str) -> PathBuf {
    let path = place.path("slow-ssh");
    let text = format!(
        "#!/bin/sh\ncase \" $* \" in *' -G '*) exec ssh \"$@\" ;; esac\n{before}\n\
         {through} exec ssh \"$@\"\n"
    );
    // Another process writes it: this one may be forking while it is open.
    let write = "printf %s \"$1\" >\"$0\" && chmod 755 \"$0\"";
    let mut shell = Command::new("/bin/sh");
    assert!(shell.args(["-c", write]).arg(&path).arg(text).status().unwrap().success());
    path
}

fn run(place: &Place, bed: &Bed, host: &str, ssh: Option<PathBuf>) -> Answer {
    let config = bed.ssh_config().to_str().unwrap();
    let args =
        ["run", "-F", config, "-r", "results", "-H", host, "--events", "events", "--", "true"];
    let gjob = place.gjob(&args).stdin("x\n");
    match ssh {
        Some(ssh) => gjob.env("GJOB_SSH", ssh).output(),
        None => gjob.output(),
    }
}

/// How many bytes a program took that was sent.
fn program_size(place: &Place) -> u64 {
    let events = lines(&place.path("here/events"));
    let events = events.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut sizes = events.filter_map(|event| event["bytes"].as_u64());
    sizes.next().unwrap()
}

#[test]
fn login_that_takes_longer_than_half_a_minute_ends_in_a_job() {
    let (place, bed) = (Place::new(), Bed::start(1));
    let ssh = slow_ssh(&place, "sleep 38", "");
    let answer = run(&place, &bed, "h1", Some(ssh));
    assert_eq!(answer.code, 0, "{answer:?}");
    assert!(answer.stderr.contains("host h1: still logging in\n"), "{answer:?}");
}

#[test]
fn upload_that_takes_longer_than_half_a_minute_ends_in_a_job() {
    let (place, bed) = (Place::new(), Bed::start(2));
    run(&place, &bed, "h1", None);
    let bytes_in_a_tenth = program_size(&place) / 380;
    let throttle = format!(
        "python3 -c 'import os, sys, time\nwhile True:\n b = os.read(0, {bytes_in_a_tenth})\n \
         if not b: break\n os.write(1, b)\n time.sleep(0.1)' |"
    );
    let ssh = slow_ssh(&place, "", &throttle);
    let answer = run(&place, &bed, "h2", Some(ssh));
    assert_eq!(answer.code, 0, "{answer:?}");
    assert!(answer.stderr.contains("host h2: sending the agent, "), "{answer:?}");
}
