//! Hosts that are cut off for longer than they are waited for, or restarted.
//! They need namespaces of their own, and so root; elsewhere they are passed over.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop here")]

mod support;

use std::time::{Duration, Instant};

use gjob_testbed::NetBed;
use serde_json::json;
use support::{Place, eventually, lines};

fn run_args<'a>(bed: &'a NetBed, rest: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["run", "-F", bed.ssh_config().to_str().unwrap(), "-r", "results"];
    args.extend(rest);
    args
}

/// The state of a host in `gjob status`.
fn host_state(place: &Place, name: &str) -> String {
    let status = place.status();
    let hosts = status["hosts"].as_array().unwrap();
    let host = hosts.iter().find(|host| host["host"] == name).unwrap();
    host["state"].as_str().unwrap().to_owned()
}

/// Begins of a job in the ledger, each with its attempt and host.
fn begins(place: &Place, index: usize) -> Vec<String> {
    let begin = format!("begin {index} ");
    lines(&place.path("ledger")).into_iter().filter(|line| line.starts_with(&begin)).collect()
}

/// Two jobs that hold on until they may go: one on each of two hosts with one
/// slot. A second attempt goes through at once.
fn two_holding_jobs(place: &Place) {
    let (ledger, go) = (place.path("ledger"), place.path("go"));
    let job = format!(
        "echo begin $GJOB_INDEX $GJOB_ATTEMPT $GJOB_HOST >> {ledger}; \
         test $GJOB_ATTEMPT = 2 || while ! test -e {go}; do sleep 0.1; done; \
         echo end $GJOB_INDEX $GJOB_ATTEMPT $GJOB_HOST >> {ledger}\n",
        ledger = ledger.display(),
        go = go.display()
    );
    place.file("jobs.txt", &job.repeat(2));
}

/// Which of the two jobs runs on `h1`.
fn job_on_h1(place: &Place) -> usize {
    (0..2).find(|index| begins(place, *index)[0].ends_with(" h1")).unwrap()
}

#[test]
fn a_lost_hosts_job_is_done_elsewhere_and_its_late_attempt_is_ended() {
    let Some(bed) = NetBed::start(2) else { return };
    let place = Place::new();
    two_holding_jobs(&place);
    let args = run_args(&bed, &["-H", "1/h1,1/h2", "--lost-after", "2s", "jobs.txt"]);
    let manager = place.gjob(&args).start();
    eventually("both jobs run", || lines(&place.path("ledger")).len() == 2);
    let lost = job_on_h1(&place);
    bed.host(1).cut_off();
    let cut = Instant::now();
    eventually("the host is unknown", || host_state(&place, "h1") == "unknown");
    assert!(cut.elapsed() < Duration::from_secs(60), "a dead link shows within 60 s");
    // The other host is still full: the job waits for it.
    eventually("its job is given up there", || place.of_jobs("state")[lost] == "free");
    std::fs::write(place.path("go"), "").unwrap();
    let answer = manager.wait();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert_eq!(place.of_jobs("host")[lost], json!("h2"));
    assert_eq!(place.of_jobs("attempt")[lost], json!(2));
    assert_eq!(begins(&place, lost).len(), 2);
    assert_eq!(begins(&place, 1 - lost).len(), 1);
}

#[test]
fn an_attempt_that_comes_back_too_late_is_ended_while_the_run_goes_on() {
    let Some(bed) = NetBed::start(3) else { return };
    let place = Place::new();
    two_holding_jobs(&place);
    let args = run_args(&bed, &["-H", "1/h1,1/h2,1/h3", "--lost-after", "2s", "jobs.txt"]);
    let manager = place.gjob(&args).start();
    eventually("both jobs run", || lines(&place.path("ledger")).len() == 2);
    let host = begins(&place, 0)[0].rsplit(' ').next().unwrap().to_owned();
    let host = bed.hosts().iter().find(|known| known.alias() == host).unwrap();
    host.cut_off();
    eventually("the first job is done elsewhere", || place.of_jobs("state")[0] == "done");
    assert_eq!(place.of_jobs("attempt")[0], json!(2));
    let late =
        || host.processes().iter().any(|process| process.argv().iter().any(|arg| arg == ".cmds"));
    assert!(late(), "the first attempt lives on while its host is cut off");
    host.heal();
    eventually("the late attempt is ended", || !late());
    std::fs::write(place.path("go"), "").unwrap();
    let answer = manager.wait();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert_eq!(place.of_jobs("state"), ["done", "done"]);
    let ends = lines(&place.path("ledger")).into_iter().filter(|line| line.starts_with("end 0"));
    assert_eq!(ends.count(), 1, "only one attempt of it came to its end");
}

#[test]
fn a_host_that_is_waited_for_keeps_its_job() {
    let Some(bed) = NetBed::start(2) else { return };
    let place = Place::new();
    two_holding_jobs(&place);
    let waiting = ["-H", "1/h1,1/h2", "--on-lost", "wait", "--lost-after", "1s", "jobs.txt"];
    let manager = place.gjob(&run_args(&bed, &waiting)).start();
    eventually("both jobs run", || lines(&place.path("ledger")).len() == 2);
    let kept = job_on_h1(&place);
    bed.host(1).cut_off();
    eventually("the host is unknown", || host_state(&place, "h1") == "unknown");
    assert_eq!(place.of_jobs("state")[kept], json!("unknown"));
    // The other job ends: now there is room, and still nothing is started.
    std::fs::write(place.path("go"), "").unwrap();
    eventually("the other job is done", || place.of_jobs("state")[1 - kept] == "done");
    bed.host(1).heal();
    let answer = manager.wait();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert_eq!(place.of_jobs("attempt"), [1, 1]);
    assert_eq!(begins(&place, kept).len(), 1);
}

#[test]
fn a_restarted_hosts_job_is_done_again() {
    let Some(bed) = NetBed::start(2) else { return };
    let place = Place::new();
    two_holding_jobs(&place);
    let args = run_args(&bed, &["-H", "1/h1,1/h2", "--on-lost", "wait", "jobs.txt"]);
    let manager = place.gjob(&args).start();
    eventually("both jobs run", || lines(&place.path("ledger")).len() == 2);
    let crashed = job_on_h1(&place);
    bed.host(1).crash();
    bed.host(1).boot();
    eventually("the job is begun again", || begins(&place, crashed).len() == 2);
    std::fs::write(place.path("go"), "").unwrap();
    let answer = manager.wait();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert_eq!(place.of_jobs("state"), ["done", "done"]);
    assert_eq!(place.of_jobs("attempt")[crashed], json!(2));
}
