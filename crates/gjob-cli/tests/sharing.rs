//! Several runs of one user on one machine, and one machine under two names: its
//! processors, memory and GPUs are given out once.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

use std::time::Duration;

use gjob_testbed::{Bed, Process};
use serde_json::Value;
use support::{Gjob, Place, Running, eventually, lines};

/// A job that fails if as many others run as there are these names: each takes one.
fn alone_with(place: &Place, names: &str) -> String {
    let dir = place.path("here").display().to_string();
    format!(
        "for n in {names}; do if mkdir {dir}/taken.$n 2>/dev/null; then \
         sleep 0.02; rmdir {dir}/taken.$n; exit 0; fi; done; exit 9\n"
    )
}

/// A job that says that it runs, and waits until there is a file `go`.
fn held(place: &Place, name: &str) -> String {
    let dir = place.path("here");
    let dir = dir.display();
    format!(
        "echo $PPID > {dir}/{name}.slot; echo $$ > {dir}/{name}; \
         until [ -e {dir}/go ]; do sleep 0.02; done\n"
    )
}

fn run(place: &Place, args: &[&str]) -> Gjob {
    place.gjob(&[&["run", "--show", "none"], args].concat())
}

fn succeeded(running: Running) {
    let answer = running.output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
}

fn is_there(place: &Place, name: &str) -> bool {
    !lines(&place.path("here").join(name)).is_empty()
}

/// The id of the run made last.
fn run_id(place: &Place) -> String {
    place.status()["run"].as_str().unwrap().to_owned()
}

#[test]
fn two_runs_have_the_processors_of_one() {
    let place = Place::new();
    place.file("jobs.txt", &alone_with(&place, "1 2").repeat(30));
    let runs = [(); 2].map(|()| run(&place, &["--slots", "2", "jobs.txt"]).start());
    runs.into_iter().for_each(succeeded);
}

#[test]
fn machine_under_two_names_has_its_processors_once() {
    let place = Place::new();
    place.file("jobs.txt", &alone_with(&place, "1 2").repeat(40));
    let connect = "sh -c 'shift; exec \"$@\"' {host} {host}";
    let hosts = ["-H", "h1,h2", "--connect", connect, "--slots", "2"];
    let answer = run(&place, &[&hosts[..], &["jobs.txt"]].concat()).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let hosts = place.of_jobs("host");
    assert!(hosts.contains(&"h1".into()) && hosts.contains(&"h2".into()), "{hosts:?}");
}

#[test]
fn jobs_that_wait_for_another_run_go_to_a_host_that_is_free() {
    let (bed, place) = (gjob_testbed::Bed::start(2), Place::new());
    let config = bed.ssh_config().display().to_string();
    let over_ssh = ["-F", &config, "-r", "results", "--show", "none", "-H"];
    place.file("held.txt", &held(&place, "first"));
    let holder = place.gjob(&[&["run"], &over_ssh[..], &["1/h1", "held.txt"]].concat()).start();
    eventually("the first run has the host", || is_there(&place, "first"));
    place.file("jobs.txt", &"true\n".repeat(4));
    let second = place.gjob(&[&["run"], &over_ssh[..], &["1/h1,1/h2", "jobs.txt"]].concat());
    assert_eq!(second.output().code, 0);
    assert!(place.of_jobs("host").iter().all(|host| host == "h2"));
    place.file("go", "");
    succeeded(holder);
}

#[test]
fn gpu_is_never_given_to_two_runs() {
    let place = Place::new();
    let dir = place.path("here").display().to_string();
    let job = format!(
        "mkdir {dir}/gpu.$CUDA_VISIBLE_DEVICES; sleep 0.02; rmdir {dir}/gpu.$CUDA_VISIBLE_DEVICES\n"
    );
    place.file("jobs.txt", &job.repeat(20));
    let args = ["--slots", "8", "--gpus", "1", "jobs.txt"];
    let runs = [(); 2].map(|()| run(&place, &args).env("GJOB_GPUS", "0,1").start());
    runs.into_iter().for_each(succeeded);
}

/// Jobs of which each fails if another one runs that has what `$what` names; all over ssh on
/// one machine that is reached as `h1` and as `a1`, and has two GPUs.
fn run_under_two_names(what: &str, args: &[&str]) {
    let (place, bed) = (Place::new(), Bed::start(1));
    let profile = bed.host(1).home().join(".bashrc");
    std::fs::write(profile, "export GJOB_GPUS=0,1\n").unwrap();
    let config = std::fs::read_to_string(bed.ssh_config()).unwrap();
    let config = place.file("ssh_config", &config.replace("Host h1\n", "Host h1 a1\n"));
    let dir = place.path("here").display().to_string();
    let job = format!("mkdir {dir}/used.{what}; sleep 0.05; rmdir {dir}/used.{what}\n");
    place.file("jobs.txt", &job.repeat(30));
    let hosts = ["-F", config.to_str().unwrap(), "-r", "results", "-H", "h1,a1"];
    let answer = run(&place, &[&hosts, args, &["jobs.txt"]].concat()).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let hosts = place.of_jobs("host");
    assert!(hosts.contains(&"h1".into()) && hosts.contains(&"a1".into()), "{hosts:?}");
}

#[test]
fn gpu_of_a_machine_under_two_names_is_never_given_twice() {
    run_under_two_names("$CUDA_VISIBLE_DEVICES", &["--slots", "8", "--gpus", "1"]);
}

#[test]
fn job_with_all_cpus_is_alone_on_a_machine_under_two_names() {
    run_under_two_names("machine", &["--cpus", "all"]);
}

#[test]
fn large_job_is_not_passed_by_small_ones_of_another_run_for_ever() {
    let place = Place::new();
    let stop = place.path("here/stop").display().to_string();
    // They end one by one, and a new one begins each time, until the large one has run.
    let small = format!("test -e {stop} || sleep 0.1\n").repeat(100);
    place.file("small.txt", &small);
    let small = run(&place, &["--slots", "2", "small.txt"]).start();
    eventually("a run", || place.has_run());
    let large = run(&place, &["--slots", "2", "--cpus", "2", "--", "touch", &stop]).output();
    assert_eq!(large.code, 0, "{}", large.stderr);
    succeeded(small);
}

#[test]
fn wait_for_another_run_is_said_and_ends_with_that() {
    let place = Place::new();
    place.file("jobs.txt", &held(&place, "first"));
    let first = run(&place, &["--slots", "1", "jobs.txt"]).start();
    eventually("the first job", || is_there(&place, "first"));
    let what = format!("processors that run {} uses", run_id(&place));
    let mut second = run(&place, &["--slots", "1", "--", "true"]).start();
    second.wait_until_printed(&format!("waits for {what}"));
    let explained = place.gjob(&["explain", "0"]).output().stdout;
    let line = format!("this machine: waits for {what}\n");
    assert!(explained.contains(&line), "{explained}");
    let status = place.status();
    let host: &Value = &status["hosts"][0];
    assert_eq!(host["waits_for"], what, "{host}");
    let status = place.gjob(&["status"]).output().stdout;
    assert!(status.contains("  waiting  "), "{status}");
    // Nothing of it has begun, so it can be taken back at once.
    assert_eq!(place.gjob(&["kill", "0"]).output().code, 0);
    assert_eq!(second.output_within(Duration::from_secs(20)).code, 1);
    let third = run(&place, &["--slots", "1", "--", "true"]).start();
    place.file("go", "");
    succeeded(first);
    succeeded(third);
}

#[test]
fn run_of_another_state_directory_is_named_with_that() {
    let (place, other) = (Place::new(), Place::new());
    let machine = place.path("machine");
    let start = |of: &Place, args: &[&str]| run(of, args).env("GJOB_LEDGER_DIR", &machine).start();
    other.file("jobs.txt", &held(&other, "first"));
    let first = start(&other, &["--slots", "1", "jobs.txt"]);
    eventually("the first job", || is_there(&other, "first"));
    let (id, state) = (run_id(&other), other.path("state").canonicalize().unwrap());
    let mut second = start(&place, &["--slots", "1", "--", "true"]);
    let what = format!("waits for processors that run {id} of {} uses", state.display());
    second.wait_until_printed(&what);
    other.file("go", "");
    succeeded(first);
    succeeded(second);
}

#[test]
fn run_that_a_job_starts_does_not_wait_for_that_job() {
    let place = Place::new();
    let gjob = env!("CARGO_BIN_EXE_gjob");
    let state = place.path("state").display().to_string();
    let results = place.path("results").display().to_string();
    let inner = |name: &str, what: &str| {
        format!("env GJOB_STATE_DIR={state}.{name} {gjob} run -r {results} --slots 1 -- {what}")
    };
    let deep = inner("deep", "true");
    place.file("jobs.txt", &format!("{}\n", inner("inner", &format!("'{deep}'"))).repeat(2));
    let outer = run(&place, &["--slots", "2", "jobs.txt"]).start();
    let answer = outer.output_within(Duration::from_secs(60));
    assert_eq!(answer.code, 0, "{}", answer.stderr);
}

#[test]
fn share_of_a_slot_that_was_killed_is_free() {
    let place = Place::new();
    place.file("jobs.txt", &held(&place, "first"));
    let first = run(&place, &["--slots", "1", "jobs.txt"]).start();
    eventually("the first job", || is_there(&place, "first.slot") && is_there(&place, "first"));
    let process = |name: &str| {
        let pid = lines(&place.path("here").join(name))[0].parse().unwrap();
        Process::find(pid).unwrap()
    };
    let (slot, job) = (process("first.slot"), process("first"));
    // Neither its manager nor its agent is left to do anything about it.
    first.kill_9();
    let what = format!("waits for processors that run {} uses", run_id(&place));
    let mut second = run(&place, &["--slots", "1", "--", "true"]).start();
    second.wait_until_printed(&what);
    slot.kill();
    succeeded(second);
    job.kill();
}

#[test]
fn users_can_have_runs_that_take_no_notice_of_each_other() {
    let place = Place::new();
    place.file("jobs.txt", &held(&place, "first"));
    let first = run(&place, &["--slots", "1", "jobs.txt"]).start();
    eventually("the first job", || is_there(&place, "first"));
    let second = run(&place, &["--slots", "1", "--oversubscribe", "--", "true"]).output();
    assert_eq!(second.code, 0, "{}", second.stderr);
    place.file("go", "");
    succeeded(first);
}

#[test]
fn ledger_that_cannot_be_used_is_left_out_and_that_is_said() {
    let place = Place::new();
    std::fs::write(place.path("machine"), "").unwrap();
    let answer = run(&place, &["--slots", "2", "--", "echo", ":::", "1", "2", "3"]).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let said = answer.stderr.matches("this machine takes no notice of your other runs there: ");
    assert_eq!(said.count(), 1, "{}", answer.stderr);
}
