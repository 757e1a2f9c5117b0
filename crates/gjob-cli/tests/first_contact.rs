//! Hosts that take their time until they can be used: as long as something goes on,
//! they are waited for, and it is said what.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop here")]

mod support;

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use gjob::program::{Platform, embedded_agents};
use gjob_testbed::{Bed, Host, skip};
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
    let args = [
        "run", "-v", "-F", config, "-r", "results", "-H", host, "--events", "events", "--", "true",
    ];
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

/// Leaves the host's sessions the programs of this machine but this one.
fn take_away(place: &Place, host: &Host, program: &str) -> PathBuf {
    let tools = place.path("tools");
    std::fs::create_dir(&tools).unwrap();
    for dir in ["/usr/bin", "/bin"] {
        for tool in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
            if tool.file_name() != program {
                // One that is in both is there already.
                let _ = symlink(tool.path(), tools.join(tool.file_name()));
            }
        }
    }
    std::fs::write(host.home().join(".bashrc"), format!("PATH='{}'\n", tools.display())).unwrap();
    tools
}

#[test]
fn bare_host_gets_the_small_agent_of_this_build_with_and_without_gzip() {
    let own = Platform::own().to_string();
    let Some(agent) = embedded_agents().iter().find(|agent| agent.platform == own) else {
        return skip("no static libc to build an agent with");
    };
    for has_gzip in [true, false] {
        let (place, bed) = (Place::new(), Bed::start(1));
        if !has_gzip {
            take_away(&place, bed.host(1), "gzip");
        }
        let answer = run(&place, &bed, "h1", None);
        assert_eq!(answer.code, 0, "{answer:?}");
        let sent = if has_gzip { agent.gzip.len() as u64 } else { agent.length };
        assert_eq!(program_size(&place), sent);
        let programs = bed.host(1).home().join("results/.gjob/bin");
        let mut stored = std::fs::read_dir(programs).unwrap().map(Result::unwrap);
        assert_eq!(stored.next().unwrap().metadata().unwrap().len(), agent.length);
        assert!(stored.next().is_none());
    }
}

#[test]
fn host_of_a_platform_without_an_agent_is_given_up_with_one_error() {
    let (place, bed) = (Place::new(), Bed::start(1));
    let uname = take_away(&place, bed.host(1), "uname").join("uname");
    let write = "printf '#!/bin/sh\\necho Plan9 mips\\n' >\"$0\" && chmod 755 \"$0\"";
    let mut shell = Command::new("/bin/sh");
    assert!(shell.args(["-c", write]).arg(uname).status().unwrap().success());
    let answer = run(&place, &bed, "h1", None);
    assert_ne!(answer.code, 0, "{answer:?}");
    let why = "no worker program for plan9-mips: name one with --agent plan9-mips=PATH";
    assert_eq!(answer.stderr.matches(why).count(), 1, "{answer:?}");
}
