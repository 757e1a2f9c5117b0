//! Runs whose hosts and settings change, jobs for some hosts, and hosts with values of their own.

use std::fs;

use super::{Field, assert_code};
use crate::support::{eventually, lines};

#[test]
fn slots_and_hosts_of_a_running_run_change() {
    let field = Field::new(3);
    let (go, begun) = (field.place.path("go"), field.place.path("begun"));
    let job = format!(
        "echo $TESTBED_HOST >> {}; until test -e {}; do sleep 0.05; done\n",
        begun.display(),
        go.display()
    );
    field.place.file("jobs.txt", &job.repeat(8));
    let manager = field.run_on("h1", &["-j", "1", "jobs.txt"]).start();
    let count = |host: &str| lines(&begun).iter().filter(|line| *line == host).count();
    eventually("one runs", || count("h1") == 1);
    let follower = field.place.gjob(&["attach", "-j", "3"]).start();
    eventually("three run", || count("h1") == 3);
    field.said(&["hosts", "add", "2/h2"]);
    eventually("two run on the new host", || count("h2") == 2);
    field.said(&["hosts", "remove", "h2"]);
    field.said(&["hosts", "add", "4/h3"]);
    eventually("its jobs run on the next", || count("h3") == 4);
    fs::write(&go, "").unwrap();
    assert_code(&manager.output(), 0);
    assert_code(&follower.output(), 0);
    assert!(!field.place.of_jobs("host").contains(&"h2".into()));
    assert_eq!(field.place.of_jobs("state"), ["done"; 8]);
}

#[test]
fn set_up_runs_once_on_a_host_whatever_starts_there_at_once() {
    let field = Field::new(2);
    let note = "echo set up >> ~/noted; sleep 0.2";
    let homes = field.bed.hosts().iter().map(|host| host.home().join("noted"));
    let both: Vec<String> = homes.map(|path| format!("-e {}", path.display())).collect();
    // Until both hosts are set up, none of them does all.
    let job = format!(
        "test \"$(cat ~/noted)\" = 'set up'; until test {}; do sleep 0.05; done; : {{}}",
        both.join(" -a ")
    );
    let values: Vec<String> = (0..12).map(|value| value.to_string()).collect();
    let mut args = vec!["-q", "-j", "4", "--setup", note, "--", &job, ":::"];
    args.extend(values.iter().map(String::as_str));
    assert_code(&field.run(&args).output(), 0);
    for host in field.bed.hosts() {
        assert_eq!(lines(&host.home().join("noted")), ["set up"]);
    }
}

#[test]
fn job_for_one_host_and_a_job_on_each_host_run_where_they_are_meant_to() {
    let field = Field::new(3);
    let job = |name: &str| format!("{{\"cmds\": \"echo $TESTBED_HOST\", \"hosts\": \"{name}\"}}\n");
    field.place.file("jobs.jsonl", &["h3", "h1", "h3"].map(job).concat());
    let answer = field.run(&["-q", "-k", "--show", "all", "jobs.jsonl"]).output();
    assert_eq!((answer.code, answer.stdout.as_str()), (0, "h3\nh1\nh3\n"), "{}", answer.stderr);
    let each = ["-q", "-k", "--tag", "--each-host", "--", "echo $TESTBED_HOST"];
    let answer = field.run(&each).output();
    assert_eq!(answer.stdout, "h1\th1\nh2\th2\nh3\th3\n", "{}", answer.stderr);
}

#[test]
fn each_host_can_have_a_results_directory_of_its_own() {
    let field = Field::new(2);
    field.place.file("lab.hosts", "h1 results_dir=~/scratch\nh2\n");
    let config = field.bed.ssh_config().to_str().unwrap();
    let args = ["run", "-F", config, "-r", "results", "--hosts-file", "lab.hosts", "--each-host"];
    let answer = field.place.gjob(&[&args[..], &["-q", "--", "true"]].concat()).output();
    assert_code(&answer, 0);
    let homes = field.bed.hosts().iter().map(|host| host.home());
    for ((home, id), dir) in homes.zip(field.place.of_jobs("id")).zip(["scratch", "results"]) {
        assert!(home.join(dir).join(id.as_str().unwrap()).is_dir(), "{id}");
    }
}
