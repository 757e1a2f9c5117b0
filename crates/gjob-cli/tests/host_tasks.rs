//! `gjob run --setup` and `--teardown`, over real sshds.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

use std::fs;

use gjob_testbed::Bed;
use rustix::process::Signal;
use support::{Gjob, Place, eventually, lines};

fn run(place: &Place, bed: &Bed, args: &[&str]) -> Gjob {
    let config = bed.ssh_config().to_str().unwrap();
    let hosts = bed.host_list();
    let given = ["run", "-F", config, "-r", "results", "-H", &hosts];
    place.gjob(&[&given, args].concat())
}

/// What was noted on a host, by its number.
fn ledger(bed: &Bed, host: usize) -> Vec<String> {
    lines(&bed.host(host).home().join("ledger"))
}

const NOTE_TEARDOWN: &str = "echo teardown >> ~/ledger; echo gone";

#[test]
fn set_up_runs_once_on_a_host_before_all_jobs_and_teardown_after_them() {
    let (place, bed) = (Place::new(), Bed::start(2));
    place.file("prepare.sh", "echo setup >> ~/ledger; sleep 0.3; echo tool > made\n");
    let jobs = "echo job >> ~/ledger; cat $GJOB_SETUP_DIR/made > /dev/null; sleep 0.1\n";
    place.file("jobs.txt", &jobs.repeat(16));
    let teardown = format!("rm -f $GJOB_SETUP_DIR/made; {NOTE_TEARDOWN}");
    let args = ["-j", "4", "-f", "prepare.sh", "--setup", "bash prepare.sh", "--teardown"];
    let answer = run(&place, &bed, &[&args[..], &[&teardown, "-q", "jobs.txt"]].concat()).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let mut ran = 0;
    for host in 1..=2 {
        let noted = ledger(&bed, host);
        assert_eq!(noted.first().unwrap(), "setup", "{noted:?}");
        assert_eq!(noted.last().unwrap(), "teardown", "{noted:?}");
        assert!(noted[1..noted.len() - 1].iter().all(|it| it == "job"), "{noted:?}");
        ran += noted.len() - 2;
    }
    assert_eq!(ran, 16);
    let answer = place.gjob(&["logs", "--teardown", "h1"]).output();
    assert_eq!((answer.code, answer.stdout.as_str()), (0, "gone\n"));
    place.gjob(&["attach"]).output();
    assert_eq!(ledger(&bed, 1).iter().filter(|it| *it != "job").count(), 2, "not once more");
}

#[test]
fn host_whose_set_up_fails_gets_no_jobs_and_is_torn_down() {
    let (place, bed) = (Place::new(), Bed::start(2));
    fs::write(bed.host(2).home().join("bad"), "").unwrap();
    let go = place.path("go").display().to_string();
    let job = format!("while ! test -e {go}; do sleep 0.05; done; echo job >> ~/ledger\n");
    place.file("jobs.txt", &job.repeat(4));
    let teardown = format!("test ! -e ~/bad || touch {go}; {NOTE_TEARDOWN}");
    let setup = "test ! -e ~/bad || { echo no driver; echo see the manual >&2; exit 3; }";
    let args = ["--setup", setup, "--teardown", &teardown, "jobs.txt"];
    let answer = run(&place, &bed, &args).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let said = "host h2 failed: set-up failed: exit 3\n  no driver\n  see the manual\n";
    assert_eq!(answer.stderr.matches(said).count(), 1, "{}", answer.stderr);
    assert_eq!(ledger(&bed, 1), ["job", "job", "job", "job", "teardown"]);
    assert_eq!(ledger(&bed, 2), ["teardown"]);
    let logs = place.gjob(&["logs", "--setup", "h2"]).output();
    assert_eq!((logs.stdout.as_str(), logs.stderr.as_str()), ("no driver\n", "see the manual\n"));
    let status = place.gjob(&["status"]).output().stdout;
    assert!(status.contains("set-up failed: exit 3"), "{status}");
}

#[test]
fn run_whose_hosts_all_fail_to_be_set_up_ends_and_tries_again_when_it_is_resumed() {
    let (place, bed) = (Place::new(), Bed::start(2));
    let setup = "echo setup >> ~/ledger; test -e ~/mended || sleep 60";
    let args = ["--setup", setup, "--setup-timeout", "1s", "--", "echo job >> ~/ledger"];
    let answer = run(&place, &bed, &args).output();
    assert_eq!(answer.code, 3, "{}", answer.stderr);
    for host in ["h1", "h2"] {
        let said = format!("host {host} failed: set-up failed: timeout\n");
        assert_eq!(answer.stderr.matches(&said).count(), 1, "{}", answer.stderr);
    }
    assert!(answer.stderr.contains("0 done, 1 left"), "{}", answer.stderr);
    assert!(answer.stderr.contains("(stopped: no usable host; "), "{}", answer.stderr);
    fs::write(bed.host(1).home().join("mended"), "").unwrap();
    let answer = place.gjob(&["attach"]).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert_eq!(ledger(&bed, 1), ["setup", "setup", "job"]);
}

#[test]
fn set_up_goes_on_whatever_connection_or_manager_is_killed() {
    let (place, bed) = (Place::new(), Bed::start(1));
    let setup = "echo setup >> ~/ledger; while ! test -e ~/go; do sleep 0.05; done; echo ready";
    let args = ["--setup", setup, "--teardown", NOTE_TEARDOWN, "--", "echo job >> ~/ledger"];
    let manager = run(&place, &bed, &args).start();
    eventually("it is being set up", || !ledger(&bed, 1).is_empty());
    let status = place.gjob(&["status"]).output().stdout;
    assert!(status.contains("setting up"), "{status}");
    let explained = place.gjob(&["explain", "0"]).output().stdout;
    assert!(explained.contains("h1 is being set up"), "{explained}");
    bed.host(1).kill_connections();
    eventually("it is connected again", || bed.host(1).logins() == 2);
    manager.kill_9();
    fs::write(bed.host(1).home().join("go"), "").unwrap();
    let answer = place.gjob(&["attach"]).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert_eq!(ledger(&bed, 1), ["setup", "job", "teardown"]);
    let logs = place.gjob(&["logs", "--setup", "h1"]).output();
    assert_eq!((logs.code, logs.stdout.as_str()), (0, "ready\n"), "{}", logs.stderr);
}

#[test]
fn interrupted_run_is_torn_down_and_set_up_again_when_it_is_resumed() {
    let (place, bed) = (Place::new(), Bed::start(1));
    let job = "echo job >> ~/ledger; test -e ~/go || sleep 60";
    let args = ["--setup", "echo setup >> ~/ledger", "--teardown", NOTE_TEARDOWN, "--", job];
    let manager = run(&place, &bed, &args).start();
    eventually("its job runs", || ledger(&bed, 1).len() == 2);
    manager.signal(Signal::INT);
    let answer = manager.output();
    assert_eq!(answer.code, 130, "{}", answer.stderr);
    assert_eq!(ledger(&bed, 1), ["setup", "job", "teardown"]);
    fs::write(bed.host(1).home().join("go"), "").unwrap();
    assert_eq!(place.gjob(&["attach"]).output().code, 0);
    let once = ["setup", "job", "teardown"];
    assert_eq!(ledger(&bed, 1), [once, once].concat());
}

#[test]
fn interrupted_set_up_is_killed_and_halted_runs_are_torn_down() {
    let (place, bed) = (Place::new(), Bed::start(2));
    let setup = "echo setup >> ~/ledger; test ! -e ~/slow || exec sleep 60";
    fs::write(bed.host(2).home().join("slow"), "").unwrap();
    let args = ["--setup", setup, "--teardown", NOTE_TEARDOWN, "--max-fails", "1", "-j", "1"];
    let begun = bed.host(2).home().join("ledger").display().to_string();
    let job =
        format!("while ! test -e {begun}; do sleep 0.05; done; echo {{}} >> ~/ledger; exit {{}}");
    let args = [&args[..], &["--", &job, ":::", "0", "1", "0"]].concat();
    let answer = run(&place, &bed, &args).output();
    assert_eq!(answer.code, 1, "{}", answer.stderr);
    assert_eq!(ledger(&bed, 1), ["setup", "0", "1", "teardown"]);
    assert_eq!(ledger(&bed, 2), ["setup", "teardown"]);
    assert_eq!(bed.host(2).processes(), []);
}

#[test]
fn failed_teardown_is_said_and_changes_no_exit_status() {
    let (place, bed) = (Place::new(), Bed::start(1));
    let answer = run(&place, &bed, &["--teardown", "exit 4", "--", "true"]).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert!(answer.stderr.contains("host h1: teardown failed: exit 4\n"), "{}", answer.stderr);
    assert!(!answer.stderr.contains("set-up"), "{}", answer.stderr);
}

#[test]
fn hosts_file_sets_results_and_variables_of_its_hosts() {
    let (place, bed) = (Place::new(), Bed::start(2));
    let home = bed.host(2).home().display().to_string();
    place.file(
        "lab.hosts",
        &format!("h1 env.X=$(exit 1) 'a' labels=b\nh2 results_dir={home}/my scratch env.X=2\n"),
    );
    let config = bed.ssh_config().to_str().unwrap();
    let job = "echo \"$X\"; [[ $PWD != *'/my scratch/'* ]] || echo scratch";
    let args = ["run", "-F", config, "-r", "results", "--hosts-file", "lab.hosts", "--each-host"];
    let answer = place.gjob(&[&args[..], &["-k", "--tag", "-q", "--", job]].concat()).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert_eq!(answer.stdout, "h1\t$(exit 1) 'a'\nh2\t2\nh2\tscratch\n");
    place.file("bad.hosts", "h1 env.GJOB_X=1\nh2 env.Y\n");
    let refused = place.gjob(&["run", "--hosts-file", "bad.hosts", "--", "true"]).output();
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("bad.hosts:1: reserved environment variable"), "{refused:?}");
    assert!(refused.stderr.contains("expected env.NAME=VALUE"), "{refused:?}");
}

#[test]
fn file_sets_what_each_host_has_of_its_own() {
    let (place, bed) = (Place::new(), Bed::start(2));
    let config = format!(
        "[host.h1]\nresults_dir = \"~/scratch\"\nslots = 3\nsetup = \"echo own >> ~/ledger\"\n\
         env = {{ X = \"$(exit 1) 'a'\", Y = 2, Z = \"host\" }}\n\
         [group.all]\nhosts = \"h[1-2]\"\nenv = {{ X = \"group\", Y = 3 }}\n\
         teardown = \"echo teardown $X >> ~/ledger\"\n\
         [defaults]\nsetup = \"echo default >> ~/ledger\"\nhosts = \"@all\"\nssh-config = {:?}\n",
        bed.ssh_config().to_str().unwrap()
    );
    place.file("gjob.toml", &config);
    let job = "echo \"$X $Y $Z\"; [[ $PWD != */scratch/* ]] || echo scratch";
    let args = ["run", "--each-host", "-k", "--tag", "-q", "--env", "Z=job", "--", job];
    let answer = place.gjob(&args).env("GJOB_REMOTE_PATH", "").output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert_eq!(answer.stdout, "h1\t$(exit 1) 'a' 2 job\nh1\tscratch\nh2\tgroup 3 job\n");
    assert_eq!(ledger(&bed, 1), ["own", "teardown $(exit 1) 'a'"]);
    assert_eq!(ledger(&bed, 2), ["default", "teardown group"]);
    let hosts = place.status()["hosts"].clone();
    assert_eq!(hosts[0]["slots"], 3);
}

#[test]
fn host_whose_set_up_removes_the_results_directory_is_torn_down_and_named() {
    let (place, bed) = (Place::new(), Bed::start(2));
    fs::write(bed.host(2).home().join("bad"), "").unwrap();
    // No job ends before the host has lost its directory.
    let removed = bed.host(2).home().join("removed");
    let job =
        format!("until test -e {}; do sleep 0.05; done; echo job >> ~/ledger\n", removed.display());
    place.file("jobs.txt", &job.repeat(4));
    let setup = "test ! -e ~/bad || { rm -rf ~/results; touch ~/removed; }";
    let args = ["--setup", setup, "--teardown", NOTE_TEARDOWN, "jobs.txt"];
    let answer = run(&place, &bed, &args).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let why = "host h2 failed: set-up failed: what its host had recorded of the run was removed";
    assert!(answer.stderr.contains(why), "{}", answer.stderr);
    assert_eq!(ledger(&bed, 2), ["teardown"]);
    assert_eq!(ledger(&bed, 1).len(), 5);
}

#[test]
fn host_that_could_not_be_torn_down_is_named_in_status() {
    let (place, bed) = (Place::new(), Bed::start(2));
    let go = place.path("go").display().to_string();
    let job = format!("echo job >> ~/ledger; while ! test -e {go}; do sleep 0.05; done\n");
    place.file("jobs.txt", &job.repeat(2));
    let args = ["-j", "1", "--teardown", NOTE_TEARDOWN, "jobs.txt"];
    let manager = run(&place, &bed, &args).start();
    let started = || {
        let text = place.gjob(&["status", "--json", "--all"]).output().stdout;
        // At first there is no run.
        let Ok(status) = serde_json::from_str::<serde_json::Value>(&text) else { return false };
        status["jobs"].as_array().unwrap().iter().all(|job| !job["started"].is_null())
    };
    eventually("both hosts are known to be busy", started);
    manager.kill_9();
    fs::write(go, "").unwrap();
    let status = place.gjob(&["status"]).output().stdout;
    assert_eq!(status.matches("not torn down").count(), 2, "{status}");
    assert_eq!(place.gjob(&["attach"]).output().code, 0);
    let status = place.gjob(&["status"]).output().stdout;
    assert!(!status.contains("not torn down"), "{status}");
}

#[test]
fn host_called_as_a_directory_above_keeps_what_its_set_up_printed_below_the_run() {
    let place = Place::new();
    let args = ["run", "-H", "..", "--connect", "env", "--setup", "echo made", "-q", "--", "true"];
    let answer = place.gjob(&args).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert_eq!(place.gjob(&["logs", "--setup", ".."]).output().stdout, "made\n");
    let run = place.path("state/latest");
    assert_eq!(fs::read_to_string(run.join("hosts/%2E./setup.1.log")).unwrap(), "made\n");
    assert!(!run.join("setup.1.log").exists());
}
