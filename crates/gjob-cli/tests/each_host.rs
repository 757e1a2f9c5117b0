//! `gjob run --each-host`, over real sshds.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

use gjob_testbed::Bed;
use snapbox::str;
use support::{Gjob, Place};

/// Hosts each with a file of its own, or none.
fn bed(texts: &[Option<&str>]) -> Bed {
    let bed = Bed::start(texts.len());
    for (host, text) in bed.hosts().iter().zip(texts) {
        if let Some(text) = text {
            std::fs::write(host.home().join("motd"), text).unwrap();
        }
    }
    bed
}

fn each(place: &Place, bed: &Bed, args: &[&str]) -> Gjob {
    let config = bed.ssh_config().to_str().unwrap();
    let hosts = bed.host_list();
    let given = ["run", "-F", config, "-r", "results", "-H", &hosts, "--each-host", "-q"];
    place.gjob(&[&given, args].concat())
}

const SHOW: &[&str] = &["--", "cat ~/motd"];

#[test]
fn same_output_is_shown_once_with_the_hosts_that_gave_it() {
    let place = Place::new();
    let bed = bed(&[Some("a\nb\n"), Some("other"), Some("a\nb\n"), Some("a\nb\n"), None]);
    let answer = each(&place, &bed, &["--", "test ! -e ~/motd || cat ~/motd"]).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let shown = "---------------\nh1,h[3-4] (3)\n---------------\na\nb\n\
                 ---------------\nh2\n---------------\nother\n";
    assert_eq!(answer.stdout, shown);
    let hosts: Vec<_> = (1..=5).map(|host| format!("h{host}")).collect();
    assert_eq!(place.of_jobs("host"), hosts);
    assert_eq!(place.of_jobs("name"), hosts);
}

#[test]
fn output_with_tags_or_of_failed_hosts_alone() {
    let place = Place::new();
    let bed = bed(&[Some("x\n"), None, Some("x\n")]);
    let run = |args: &[&str]| {
        let answer = each(&place, &bed, &[args, SHOW].concat()).output();
        assert_eq!(answer.code, 1, "{}", answer.stderr);
        answer
    };
    assert_eq!(run(&["--tag", "-k"]).stdout, "h1\tx\nh3\tx\n");
    assert_eq!(run(&["--show", "none"]).stdout, "");
    let failed = run(&["--show", "failed"]);
    assert_eq!(failed.stdout, "");
    let header = "---------------\nh2\n---------------\n";
    assert!(failed.stderr.contains(&format!("{header}cat: ")), "{}", failed.stderr);
    assert_eq!(place.of_jobs("state"), ["done", "error", "done"]);
}

#[test]
fn host_that_is_out_costs_its_own_job_alone() {
    let place = Place::new();
    let bed = bed(&[Some("x\n"), Some("x\n"), Some("x\n")]);
    bed.host(2).refuse_key();
    let answer = each(&place, &bed, SHOW).output();
    assert_eq!(answer.code, 1, "{}", answer.stderr);
    assert_eq!(answer.stdout, "---------------\nh1,h3 (2)\n---------------\nx\n");
    assert!(answer.stderr.contains("bound to h2, which is out of the run: "), "{}", answer.stderr);
}

#[test]
fn one_command_is_expected() {
    let place = Place::new();
    place.file("jobs.txt", "true\nfalse\n");
    for args in [&["-n", "2", "--", "true"][..], &["--", "echo", ":::", "a", "b"], &["jobs.txt"]] {
        let all = [&["run", "-H", "h[1-2]", "--each-host"], args].concat();
        place
            .gjob(&all)
            .code(2)
            .stderr(str![[r#"
gjob: --each-host: 2 jobs from values, -n or a job file: expected one command, such as -- uptime
gjob: nothing was started

"#]])
            .run();
    }
    place
        .gjob(&["run", "-H", "h1,me@h1:22", "--each-host", "--dry-run", "--", "uptime"])
        .stdin("values\nof nobody\n")
        .stdout(str![[r#"
host h1
host me@h1:22
job 0 h1
    commands: uptime
    hosts:    h1
job 1 me@h1:22
    commands: uptime
    hosts:    me@h1:22

"#]])
        .run();
}
