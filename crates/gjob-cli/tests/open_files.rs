//! Few files may be open: gjob raises its own limit as far as it can, jobs keep
//! theirs, fewer jobs run at once, and what there are still too few for waits.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

mod support;

use std::process::Command;

use gjob_testbed::Bed;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use support::{Answer, Place, eventually};

/// `gjob` below a limit that `ulimit` sets.
fn limited(place: &Place, limit: &str, args: &[&str]) -> Answer {
    let mut shell = Command::new("/bin/sh");
    let script = format!("ulimit {limit}; exec \"$0\" \"$@\"");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_gjob")]).args(args);
    shell.current_dir(place.path("here"));
    place.invoke(shell).output()
}

#[test]
fn jobs_have_the_limit_that_gjob_was_started_with() {
    let place = Place::new();
    place.file("jobs.txt", "ulimit -Sn; echo \"[$GJOB_OPEN_FILES]\"\n");
    let answer = limited(&place, "-Sn 123", &["run", "jobs.txt", "--show", "all"]);
    assert_eq!((answer.code, answer.stdout.as_str()), (0, "123\n[]\n"), "{answer:?}");
}

#[test]
fn more_jobs_run_at_once_than_the_soft_limit_allows() {
    let place = Place::new();
    place.file("jobs.txt", &"sleep 1; echo x > o\n".repeat(80));
    let answer = limited(&place, "-Sn 90", &["run", "-j", "80", "-o", "o", "jobs.txt"]);
    assert_eq!(answer.code, 0, "{answer:?}");
    assert!(place.of_jobs("attempt").iter().all(|attempt| *attempt == 1));
}

#[test]
fn outputs_wait_for_files_and_no_job_is_repeated_for_them() {
    let place = Place::new();
    place.file("jobs.txt", &"sleep 0.5; mkdir d; echo x > d/o\n".repeat(60));
    let answer = limited(&place, "-n 64", &["run", "-j", "18", "-o", "d/o", "jobs.txt"]);
    assert_eq!(answer.code, 0, "{answer:?}");
    assert!(place.of_jobs("attempt").iter().all(|attempt| *attempt == 1), "{answer:?}");
}

/// Jobs that are all started before the first one ends, if as many run at once as are
/// asked for. Each has an output below several directories.
const DEEP: &str = "sleep 1; mkdir -p d/e/f/g; echo x > d/e/f/g/o\n";

#[test]
fn fewer_jobs_run_at_once_where_more_would_leave_no_files_for_outputs() {
    let place = Place::new();
    place.file("jobs.txt", &DEEP.repeat(30));
    let args = ["run", "-j", "25", "-o", "d", "--events", "events", "jobs.txt"];
    let answer = limited(&place, "-n 64", &args);
    assert_eq!(answer.code, 0, "{answer:?}");
    let line = "this machine runs 7 jobs at once, not 25: few files may be open there (ulimit -Hn)";
    assert!(answer.stderr.lines().any(|it| it == line), "{answer:?}");
    assert!(place.of_jobs("attempt").iter().all(|attempt| *attempt == 1), "{answer:?}");
    let events = std::fs::read_to_string(place.path("here/events")).unwrap();
    let limited = events.lines().filter(|event| event.contains("\"host-limited\""));
    assert_eq!(limited.count(), 1, "{events}");
}

#[test]
fn output_that_is_too_deep_for_the_limit_fails_its_job() {
    let place = Place::new();
    let path = "d/".repeat(80);
    place.file("jobs.txt", &format!("mkdir -p {path}; echo x > {path}o\n"));
    let answer = limited(&place, "-n 64", &["run", "-o", "d", "jobs.txt"]);
    assert_eq!(answer.code, 1, "{answer:?}");
    let problem = "is in more directories than its host can have open (ulimit -Hn)";
    assert!(answer.stderr.contains(problem), "{answer:?}");
}

#[test]
fn run_with_too_few_files_is_refused_before_anything_starts() {
    let place = Place::new();
    let answer = limited(&place, "-n 40", &["run", "-j", "4", "-o", "o", "--", "echo x > o"]);
    let problem = "gjob: at most 40 open files are allowed on this machine (ulimit -Hn): \
                   expected 48 or more\n";
    assert_eq!((answer.code, answer.stderr.as_str()), (2, problem), "{answer:?}");
    assert!(!place.has_run());
}

/// Has the login shell of a host set a limit.
fn limit_host(bed: &Bed, limit: u32) {
    let startup = bed.host(1).home().join(".bashrc");
    std::fs::write(startup, format!("ulimit -n {limit}\n")).unwrap();
}

/// The arguments of a run of `jobs.txt` on the bed's host.
fn on_host<'a>(bed: &'a Bed, rest: &[&'a str]) -> Vec<&'a str> {
    let config = bed.ssh_config().to_str().unwrap();
    let mut args = vec!["run", "-F", config, "-r", "results", "jobs.txt"];
    args.extend(rest);
    args
}

#[test]
fn host_with_few_files_runs_as_many_jobs_at_once_as_they_are_enough_for() {
    let (place, bed) = (Place::new(), Bed::start(1));
    limit_host(&bed, 64);
    place.file("jobs.txt", &DEEP.repeat(30));
    let answer = place.gjob(&on_host(&bed, &["-H", "25/h1", "-o", "d"])).output();
    assert_eq!(answer.code, 0, "{answer:?}");
    let line = "host h1 runs 7 jobs at once, not 25: few files may be open there (ulimit -Hn)";
    assert!(answer.stderr.lines().any(|it| it == line), "{answer:?}");
    assert!(place.of_jobs("attempt").iter().all(|attempt| *attempt == 1), "{answer:?}");
}

#[test]
fn host_with_too_few_files_for_one_job_is_out_of_the_run() {
    let (place, bed) = (Place::new(), Bed::start(1));
    limit_host(&bed, 40);
    place.file("jobs.txt", DEEP);
    let answer = place.gjob(&on_host(&bed, &["-H", "4/h1", "-o", "d"])).output();
    assert_eq!(answer.code, 3, "{answer:?}");
    let line = "host h1 failed: failed to attach to the run: at most 40 open files are allowed on \
                this host (ulimit -Hn): expected 46 or more";
    assert!(answer.stderr.lines().any(|it| it == line), "{answer:?}");
}

/// The agent that serves this machine.
fn local_agent(place: &Place) -> Pid {
    let run = std::fs::read_dir(place.path("results/.gjob/runs")).unwrap().next().unwrap();
    let host = std::fs::read_dir(run.unwrap().path()).unwrap().next().unwrap().unwrap();
    let lock = std::fs::read(host.path().join("lock")).unwrap();
    let holder: serde_json::Value = serde_json::from_slice(&lock).unwrap();
    Pid::from_raw(i32::try_from(holder["agent"]["pid"].as_i64().unwrap()).unwrap()).unwrap()
}

/// The lowest number that no open file of a process has.
fn first_free(process: Pid) -> u64 {
    let files = std::fs::read_dir(format!("/proc/{}/fd", process.as_raw_nonzero())).unwrap();
    let open: Vec<u64> =
        files.filter_map(|file| file.ok()?.file_name().to_str()?.parse().ok()).collect();
    (0..).find(|number| !open.contains(number)).unwrap()
}

#[test]
fn host_that_can_open_no_file_for_a_while_costs_no_job_its_outputs() {
    let place = Place::new();
    let go = place.path("here/go");
    let job = format!("until test -e {}; do sleep 0.05; done; echo x > o\n", go.display());
    place.file("jobs.txt", &job);
    let run = place.gjob(&["run", "-o", "o", "--events", "events", "jobs.txt"]).start();
    eventually("the job runs", || place.has_run() && place.of_jobs("id")[0].is_string());
    let agent = local_agent(&place);
    let maximum = getrlimit(Resource::Nofile).maximum;
    let none = Rlimit { current: Some(first_free(agent)), maximum };
    let before = prlimit(Some(agent), Resource::Nofile, none).unwrap();
    std::fs::write(&go, "").unwrap();
    let results = place.path("results");
    let id = place.of_jobs("id")[0].as_str().unwrap().to_owned();
    eventually("the job has ended", || results.join(&id).join(".done").exists());
    // It is asked for the outputs meanwhile, again and again.
    for _ in 0..20 {
        assert_eq!(place.of_jobs("attempt")[0], 1);
        assert_eq!(place.of_jobs("state")[0], "busy");
    }
    prlimit(Some(agent), Resource::Nofile, before).unwrap();
    let answer = run.output();
    assert_eq!(answer.code, 0, "{answer:?}");
    assert_eq!(place.of_jobs("attempt")[0], 1);
    let events = std::fs::read_to_string(place.path("here/events")).unwrap();
    assert!(!events.contains("collect-failed"), "{events}");
}
