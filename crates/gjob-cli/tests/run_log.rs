//! A job can write to its host's run log: what is no record there is passed over, and
//! a log that is not what it was is named.

mod support;

use std::time::Duration;

use gjob_testbed::{Bed, eventually};
use support::{Answer, Place};

const LOG: &str = "../../.gjob/runs/*/*/log";

fn run(jobs: &str, host: &str) -> (Place, Answer) {
    let (place, bed) = (Place::new(), Bed::start(1));
    place.file("jobs.txt", jobs);
    let config = bed.ssh_config().display().to_string();
    let args = ["run", "-F", &config, "-r", "results", "-H", host, "jobs.txt", "-j", "1"];
    let answer = place.gjob(&args).start().output_within(Duration::from_secs(60));
    (place, answer)
}

#[test]
fn lines_that_are_no_records_are_passed_over_and_named_once() {
    for size in [20_000, 3_000_000] {
        let spoils = format!("head -c {size} /dev/zero | tr '\\0' x >> {LOG}");
        let garbles = format!("echo garbage >> {LOG}");
        let jobs = format!("true\n{spoils}\ntrue\n{garbles}\n{spoils}\ntrue\n");
        let (place, answer) = run(&jobs, "h1");
        assert_eq!(answer.code, 0, "{answer:?}");
        let said = "of its run log that cannot be read";
        assert_eq!(answer.stderr.matches(said).count(), 1, "{answer:?}");
        assert!(place.of_jobs("attempt").iter().all(|attempt| *attempt == 1));
    }
}

/// What takes the run log from under its host.
const DAMAGES: [&str; 8] = [
    "for log in LOG; do : > $log; done",
    "rm LOG",
    "sed -i s/finished/x/ LOG",
    "for log in LOG; do mv $log $log.x; done",
    "for log in LOG; do : > $log; yes '' | head -n 100000 >> $log; done",
    "for log in LOG; do rm $log; mkdir $log; done",
    "truncate -s 5G LOG",
    "for log in LOG; do mkfifo $log.new ${log%log}new; rm $log; done",
];

#[test]
fn damaged_log_is_named_and_every_job_keeps_its_outcome() {
    for damage in DAMAGES {
        let damage = damage.replace("LOG", LOG);
        // One job runs on while the log is damaged, others begin afterwards.
        let jobs = format!(
            "true\nuntil [ -e ../../go ]; do sleep 0.02; done; exit 3\n{damage}\ntouch ../../go\ntrue\n"
        );
        let (place, bed) = (Place::new(), Bed::start(1));
        place.file("jobs.txt", &jobs);
        let config = bed.ssh_config().display().to_string();
        let args = ["run", "-F", &config, "-r", "results", "-H", "2/h1", "jobs.txt"];
        let answer = place.gjob(&args).start().output_within(Duration::from_secs(60));
        assert_eq!(answer.code, 1, "{answer:?}");
        let said = "host h1: its run log was damaged (";
        assert_eq!(answer.stderr.matches(said).count(), 1, "{damage}: {answer:?}");
        let states = ["done", "error", "done", "done", "done"];
        assert_eq!(place.of_jobs("state"), states, "{damage}: {answer:?}");
        assert!(place.of_jobs("attempt").iter().all(|attempt| *attempt == 1), "{damage}");
    }
}

#[test]
fn job_without_an_exit_record_is_unknown_when_its_hosts_log_was_damaged() {
    let removes = format!("rm {LOG}; rm -rf \"$PWD\"");
    let (place, answer) = run(&format!("true\n{removes}\ntrue\n"), "h1");
    assert_eq!(answer.code, 1, "{answer:?}");
    assert_eq!(place.of_jobs("state"), ["done", "unknown", "done"], "{answer:?}");
    let reason = place.of_jobs("reason")[1].to_string();
    let expected = "the run log of its host was damaged, and its job directory cannot be opened";
    assert!(reason.contains(expected), "{reason}");
}

#[test]
fn nothing_begins_again_when_all_that_its_host_had_recorded_was_removed() {
    let removes = "echo >> ../../count; rm -rf ../../.gjob/runs; sleep 100";
    let (place, answer) = run(&format!("true\n{removes}\n"), "h1");
    assert_eq!(answer.code, 1, "{answer:?}");
    assert_eq!(place.of_jobs("state"), ["done", "unknown"], "{answer:?}");
    assert_eq!(place.of_jobs("reason")[1], "what its host had recorded of the run was removed");
    let unknown = "what became of jobs sent to it is unknown";
    assert_eq!(answer.stderr.matches(unknown).count(), 1, "{answer:?}");
}

#[test]
fn run_whose_log_was_damaged_without_a_manager_is_resumed() {
    let place = Place::new();
    let at = |name: &str| place.path("here").join(name);
    let (begun, left) = (at("begun"), at("left"));
    let (touch, wait) = (begun.display(), left.display());
    let damages = format!("touch {touch}; until [ -e {wait} ]; do sleep 0.02; done; rm {LOG}");
    place.file("jobs.txt", &format!("true\n{damages}\nexit 4\n"));
    let manager = place.gjob(&["run", "jobs.txt", "-j", "1"]).start();
    eventually("the job", || begun.exists());
    manager.kill_9();
    std::fs::write(&left, "").unwrap();
    let answer = place.gjob(&["attach"]).start().output_within(Duration::from_secs(60));
    assert_eq!(answer.code, 1, "{answer:?}");
    assert_eq!(place.of_jobs("state"), ["done", "done", "error"], "{answer:?}");
    assert!(place.of_jobs("attempt").iter().all(|attempt| *attempt == 1));
}

/// Pipes in place of gjob's own files, which would be waited for at the next look.
const PIPES: [&str; 3] = ["slots.err", "blobs", "lease"];

#[test]
fn pipe_in_place_of_a_file_of_gjobs_own_stops_nobody() {
    for file in PIPES {
        let pipe = format!("cd ../../.gjob/runs/*/*/ && rm -f {file} && mkfifo {file}");
        // The third slot is started after that.
        let jobs = format!("{pipe}; sleep 0.3\nsleep 0.3\nsleep 0.3\ntrue\ntrue\n");
        let (_, answer) = run(&jobs, "3/h1");
        assert_eq!(answer.code, 0, "{file}: {answer:?}");
    }
}

/// What has stopped its agent is not answered.
#[test]
fn manager_that_is_interrupted_does_not_wait_for_what_no_host_answers() {
    let place = Place::new();
    let stop = "kill -STOP $(ps -o ppid= -p $PPID); sleep 300";
    place.file("jobs.txt", &format!("true\n{stop}\n"));
    let results = place.path("results").display().to_string();
    let manager = place.gjob(&["run", "jobs.txt", "-j", "1", "-r", &results]).start();
    eventually("the first job is done", || {
        place.has_run() && place.of_jobs("state") == ["done", "busy"]
    });
    manager.signal(rustix::process::Signal::INT);
    let answer = manager.output_within(Duration::from_secs(60));
    assert!(answer.stderr.contains("interrupted: killing 1 running job"), "{answer:?}");
    assert!(answer.stderr.contains("resume with `gjob attach "), "{answer:?}");
}

/// What takes the place of the claim of a job that is yet to begin.
const ODD_CLAIMS: [&str; 4] =
    ["mkdir $k/N.1", "mkfifo $k/N.1", "ln -s nowhere $k/N.1", "rm -f $k/N.1; echo > $k/N.1"];

#[test]
fn every_job_has_an_outcome_whatever_jobs_put_in_the_place_of_claims() {
    let spoil = |(at, odd): (usize, &&str)| {
        let odd = odd.replace('N', &(at + 4).to_string());
        format!("for k in ../../.gjob/runs/*/*/keys; do {odd} || :; done\n")
    };
    let spoils: String = ODD_CLAIMS.iter().enumerate().map(spoil).collect();
    let jobs = format!("{spoils}echo 4\necho 5\necho 6\nexit 7\necho 8\n");
    for host in ["h1", "2/h1"] {
        let (place, answer) = run(&jobs, host);
        assert_eq!(answer.code, 1, "{answer:?}");
        let states = place.of_jobs("state");
        assert!(states[..4].iter().all(|state| *state == "done"), "{answer:?}");
        // One that had begun before its claim was replaced keeps its outcome.
        assert_eq!(states[4..], ["done", "done", "done", "error", "done"], "{answer:?}");
    }
}

/// Takes what is sent to its host's agent for a while.
const STEAL: &str = "timeout 2 cat /proc/$(ps -o ppid= -p $PPID | tr -d ' ')/fd/0 > stolen || true";

#[test]
fn what_a_job_takes_from_its_hosts_agent_is_sent_again() {
    let place = Place::new();
    let jobs = format!("{STEAL}\n{}", "echo >> ../../count; sleep 0.2\n".repeat(20));
    place.file("jobs.txt", &jobs);
    let results = place.path("results").display().to_string();
    let args = ["run", "jobs.txt", "-j", "2", "-r", &results, "--lost-after", "2s"];
    let answer = place.gjob(&args).start().output_within(Duration::from_secs(60));
    assert_eq!(answer.code, 0, "{answer:?}");
    let count = std::fs::read_to_string(place.path("results/count")).unwrap();
    assert_eq!(count.lines().count(), 20);
}
