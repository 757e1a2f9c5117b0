//! Hosts that are cut off for longer than they are waited for, or restarted.
//! They need namespaces of their own, and so root; elsewhere they are skipped.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop here")]

mod support;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gjob_testbed::{NetBed, NetHost, wait_within};
use serde_json::{Value, json};
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

/// Two jobs that hold on until they may go, and tell all the while that they
/// live: one on each of two hosts with one slot. A second attempt goes through at
/// once.
fn two_holding_jobs(place: &Place) {
    holding_jobs(place, 2);
}

fn holding_jobs(place: &Place, count: usize) {
    let (ledger, ticks, go) = (place.path("ledger"), place.path("ticks"), place.path("go"));
    let job = format!(
        "echo begin $GJOB_INDEX $GJOB_ATTEMPT $GJOB_HOST >> {ledger}; \
         tick() {{ echo $GJOB_INDEX $GJOB_ATTEMPT >> {ticks}; }}; tick; \
         test $GJOB_ATTEMPT = 2 || while ! test -e {go}; do sleep 0.1; tick; done; \
         echo end $GJOB_INDEX $GJOB_ATTEMPT $GJOB_HOST >> {ledger}\n",
        ledger = ledger.display(),
        ticks = ticks.display(),
        go = go.display()
    );
    place.file("jobs.txt", &job.repeat(count));
}

/// Which of the two jobs runs on `h1`.
fn job_on_h1(place: &Place) -> usize {
    (0..2).find(|index| begins(place, *index)[0].ends_with(" h1")).unwrap()
}

#[test]
fn job_of_a_lost_host_runs_on_another_and_its_late_attempt_is_killed() {
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
    let answer = manager.output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert_eq!(place.of_jobs("host")[lost], json!("h2"));
    assert_eq!(place.of_jobs("attempt")[lost], json!(2));
    assert_eq!(begins(&place, lost).len(), 2);
    assert_eq!(begins(&place, 1 - lost).len(), 1);
}

#[test]
fn late_attempt_is_killed_while_the_run_continues() {
    let Some(bed) = NetBed::start(3) else { return };
    let place = Place::new();
    two_holding_jobs(&place);
    let args = run_args(&bed, &["-H", "1/h1,1/h2,1/h3", "--lost-after", "2s", "jobs.txt"]);
    let manager = place.gjob(&args).start();
    eventually("both jobs run", || lines(&place.path("ledger")).len() == 2);
    let host = host_of(&bed, &place, 0);
    host.cut_off();
    eventually("the first job is done elsewhere", || place.of_jobs("state")[0] == "done");
    assert_eq!(place.of_jobs("attempt")[0], json!(2));
    assert!(has_job(host), "the first attempt lives on while its host is cut off");
    host.heal();
    eventually("the late attempt is ended", || !has_job(host));
    std::fs::write(place.path("go"), "").unwrap();
    let answer = manager.output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert_eq!(place.of_jobs("state"), ["done", "done"]);
    let ends = lines(&place.path("ledger")).into_iter().filter(|line| line.starts_with("end 0"));
    assert_eq!(ends.count(), 1, "only one attempt of it came to its end");
    let explained = place.gjob(&["explain", "0"]).output().stdout;
    assert!(explained.contains(" was heard for the last time\n"), "{explained}");
    assert!(explained.contains(" is back, after "), "{explained}");
}

#[test]
fn on_lost_wait_keeps_the_job_on_its_host() {
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
    let explained = place.gjob(&["explain", &kept.to_string()]).any_width().output().stdout;
    assert!(explained.contains("\nh1 has not been heard since "), "{explained}");
    assert!(explained.contains(": the job stays there until it is back\n"), "{explained}");
    // The other job ends: now there is room, and still nothing is started.
    std::fs::write(place.path("go"), "").unwrap();
    eventually("the other job is done", || place.of_jobs("state")[1 - kept] == "done");
    bed.host(1).heal();
    let answer = manager.output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert_eq!(place.of_jobs("attempt"), [1, 1]);
    assert_eq!(begins(&place, kept).len(), 1);
}

/// The host that one of the two jobs runs on.
fn host_of<'a>(bed: &'a NetBed, place: &Place, index: usize) -> &'a NetHost {
    let begin = begins(place, index).remove(0);
    let name = begin.rsplit(' ').next().unwrap();
    bed.hosts().iter().find(|host| host.alias() == name).unwrap()
}

/// True while a job's shell lives there.
fn has_job(host: &NetHost) -> bool {
    host.processes().iter().any(|process| process.argv().iter().any(|arg| arg == ".cmds"))
}

fn read_json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn host_with_a_lease_kills_its_job_before_another_host_starts_it() {
    let Some(bed) = NetBed::start(2) else { return };
    let place = Place::new();
    holding_jobs(&place, 1);
    let leased = ["-H", "1/h1,1/h2", "--on-lost", "lease", "--lost-after", "60s", "jobs.txt"];
    let manager = place.gjob(&run_args(&bed, &leased)).start();
    eventually("the job runs", || lines(&place.path("ledger")).len() == 1);
    eventually("that is known", || place.of_jobs("id")[0].is_string());
    let host = host_of(&bed, &place, 0);
    let dir = host.home().join("results").join(place.of_jobs("id")[0].as_str().unwrap());
    host.cut_off();
    let cut = Instant::now();
    eventually("the host ends its job by itself", || !has_job(host));
    assert!(cut.elapsed() < Duration::from_secs(35), "a lease is 30 s: {:?}", cut.elapsed());
    assert_eq!(begins(&place, 0).len(), 1, "nobody else has begun it");
    eventually("the record of its end", || dir.join(".done").exists());
    let done = read_json(&dir.join(".done"));
    assert_eq!((&done["cause"], &done["ending"]), (&json!("lease"), &json!({ "signal": 15 })));
    wait_within(Duration::from_secs(180), "the job to be begun elsewhere", || {
        begins(&place, 0).len() == 2
    });
    assert!(cut.elapsed() > Duration::from_secs(60), "it was waited for");
    let answer = manager.output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert_eq!(
        (place.of_jobs("state"), place.of_jobs("attempt")),
        (vec!["done".into()], vec![2.into()])
    );
    let ticks = lines(&place.path("ticks"));
    let first_of_second = ticks.iter().position(|tick| tick == "0 2").unwrap();
    let last_of_first = ticks.iter().rposition(|tick| tick == "0 1").unwrap();
    assert!(last_of_first < first_of_second, "never were both alive: {ticks:?}");
    let ends = lines(&place.path("ledger")).into_iter().filter(|line| line.starts_with("end 0"));
    assert_eq!(ends.count(), 1, "only one attempt of it came to its end");
}

/// Milliseconds since boot, the clock of leases.
fn since_boot_ms() -> u64 {
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
    let seconds: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
    (seconds * 1e3) as u64
}

#[test]
#[ignore = "takes more than a minute; make chaos runs it"]
fn job_with_a_lease_survives_a_short_cut() {
    let Some(bed) = NetBed::start(2) else { return };
    let place = Place::new();
    two_holding_jobs(&place);
    let leased = ["-H", "1/h1,1/h2", "--on-lost", "lease", "--lost-after", "90s", "jobs.txt"];
    let manager = place.gjob(&run_args(&bed, &leased)).start();
    eventually("both jobs run", || lines(&place.path("ledger")).len() == 2);
    let host = host_of(&bed, &place, 0);
    let run = PathBuf::from("results/.gjob/runs").join(place.status()["run"].as_str().unwrap());
    let lease = host.home().join(run).join(host.alias()).join("lease");
    // Renewed just now, so that it is known how much of it is left.
    let until_ms = || read_json(&lease)["until_ms"].as_u64().unwrap();
    let at_first = until_ms();
    eventually("the lease to be renewed", || until_ms() > at_first);
    let before = until_ms();
    host.cut_off();
    let healed = since_boot_ms() + 8_000;
    assert!(healed < before, "the cut is shorter than the lease");
    eventually("the end of the cut", || since_boot_ms() > healed);
    host.heal();
    eventually("the end of the lease as it was", || since_boot_ms() > before + 1_000);
    assert!(until_ms() > before && has_job(host));
    std::fs::write(place.path("go"), "").unwrap();
    let answer = manager.output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert_eq!(place.of_jobs("attempt"), [1, 1]);
    assert_eq!(begins(&place, 0).len(), 1);
}

/// A host is cut off and restarted: of its jobs two run, and two have ended meanwhile, one
/// of them with outputs to be fetched.
fn restart_under(on_lost: &str) {
    let Some(bed) = NetBed::start(1) else { return };
    let place = Place::new();
    let (begun, end, go) = (place.path("begun"), place.path("end"), place.path("go"));
    let wait = |path: &Path| format!("while ! test -e {}; do sleep 0.1; done", path.display());
    let begin = format!("echo $GJOB_INDEX >> {}", begun.display());
    let runs = format!("{begin}; echo > made; test $GJOB_ATTEMPT = 2 || {}", wait(&go));
    let ends = format!("{begin}; echo > made; {}", wait(&end));
    place.file("jobs.txt", &format!("{runs}\n{runs}\n{ends}\n{ends}; exit 7\n"));
    let out = place.path("out");
    let into = out.to_str().unwrap();
    let rest = ["-H", "4/h1", "--on-lost", on_lost, "-o", "made", "--into", into, "jobs.txt"];
    let manager = place.gjob(&run_args(&bed, &rest)).start();
    eventually("all jobs run", || lines(&begun).len() == 4);
    eventually("that is known", || place.of_jobs("id").iter().all(Value::is_string));
    let dir = |index: usize| {
        let id = place.of_jobs("id")[index].as_str().unwrap().to_owned();
        bed.host(1).home().join("results").join(id)
    };
    let (second, third) = (dir(2), dir(3));
    bed.host(1).cut_off();
    std::fs::write(&end, "").unwrap();
    eventually("two have ended", || second.join(".done").exists() && third.join(".done").exists());
    bed.host(1).crash();
    bed.host(1).boot();
    bed.host(1).heal();
    let answer = manager.output();
    assert_eq!(answer.code, 1, "{}", answer.stderr);
    let said = answer.stderr.matches("host h1 was restarted: 2 jobs begin again\n").count();
    assert_eq!(said, 1, "{}", answer.stderr);
    assert_eq!(place.of_jobs("state"), ["done", "done", "done", "error"]);
    assert_eq!(place.of_jobs("attempt"), [2, 2, 1, 1]);
    assert_eq!(lines(&begun).len(), 6);
}

#[test]
fn jobs_of_a_restarted_host_begin_again_and_what_had_ended_has_its_outcome() {
    restart_under("rerun");
}

#[test]
fn jobs_of_a_restarted_host_begin_again_although_lost_hosts_are_waited_for() {
    restart_under("wait");
}

#[test]
fn jobs_of_a_restarted_host_begin_again_although_they_had_a_lease() {
    restart_under("lease");
}

#[test]
fn job_of_a_restarted_host_runs_again() {
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
    let answer = manager.output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert_eq!(place.of_jobs("state"), ["done", "done"]);
    assert_eq!(place.of_jobs("attempt")[crashed], json!(2));
}
