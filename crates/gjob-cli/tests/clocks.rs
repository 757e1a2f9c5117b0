//! Hosts whose clocks are wrong, or are set while a job runs.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop here")]

mod support;

use std::path::PathBuf;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use gjob_testbed::is_installed;
use serde_json::{Value, json};
use support::{Answer, Place, lines};

/// Adds the seconds in the file `$WRONG_CLOCK` to the wall clock.
const WRONG_CLOCK: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
int clock_gettime(clockid_t id, struct timespec *at) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(id, at);
    FILE *file = id == CLOCK_REALTIME ? fopen(getenv("WRONG_CLOCK"), "r") : NULL;
    long off = 0;
    if (file) {
        if (fscanf(file, "%ld", &off) == 1) at->tv_sec += off;
        fclose(file);
    }
    return result;
}
"#;

/// A host whose clock is off by what is in a file.
struct WrongClock {
    place: Place,
    library: PathBuf,
}

impl WrongClock {
    /// None without a C compiler.
    fn new(seconds: i64) -> Option<Self> {
        if !is_installed("cc") {
            return None;
        }
        let place = Place::new();
        let (source, library) = (place.file("clock.c", WRONG_CLOCK), place.path("clock.so"));
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).arg("-ldl");
        assert!(cc.status().unwrap().success());
        std::fs::write(place.path("off"), seconds.to_string()).unwrap();
        Some(WrongClock { place, library })
    }

    fn run(&self, job: &str) -> Answer {
        let connect = format!(
            "env LD_PRELOAD={} WRONG_CLOCK={} HOME={}",
            self.library.display(),
            self.place.path("off").display(),
            self.place.path("home").display(),
        );
        std::fs::create_dir_all(self.place.path("home")).unwrap();
        // Only the host's own processes are to have it.
        self.place.file("host", &format!("shift; exec {connect} \"$@\"\n"));
        self.place.file("jobs.txt", job);
        // The agent in the program is linked statically, and would not load the library.
        let platform = format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH);
        let agent = format!("--agent={platform}={}", env!("CARGO_BIN_EXE_gjob"));
        let args = ["run", "-H", "far", "--connect", "sh host {host}", "-r", "results", &agent];
        let reports = ["--joblog", "joblog", "--events", "events", "jobs.txt"];
        self.place.gjob(&[&args[..], &reports].concat()).output()
    }

    /// Seconds since 1970 at which the job started and for how long it ran, by the
    /// job log.
    fn logged(&self) -> (f64, f64) {
        let line = lines(&self.place.path("here/joblog")).pop().unwrap();
        let column = |at: usize| line.split('\t').nth(at).unwrap().trim().parse().unwrap();
        (column(2), column(3))
    }

    fn exited(&self) -> Value {
        let events = lines(&self.place.path("here/events"));
        let events = events.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
        events.into_iter().find(|event| event["event"] == "attempt-exited").unwrap()
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

#[test]
fn times_of_a_host_whose_clock_is_off_are_on_the_managers_scale() {
    for off in [3600, -3600] {
        let Some(host) = WrongClock::new(off) else { return };
        let before = now();
        let answer = host.run("sleep 0.5\n");
        assert_eq!(answer.code, 0, "{}", answer.stderr);
        let way = if off > 0 { "ahead" } else { "behind" };
        let named = answer.stderr.lines().filter(|line| line.contains("its clock is"));
        let named: Vec<&str> = named.collect();
        assert_eq!(named.len(), 1, "{}", answer.stderr);
        assert!(
            named[0].ends_with(&format!(" s {way}; its jobs' times are corrected")),
            "{named:?}"
        );
        let (started, ran) = host.logged();
        assert!((before - 1.0..now() + 1.0).contains(&started), "{started} since {before}");
        // It is noted as started once bash is, which may sleep by then.
        assert!((0.4..5.0).contains(&ran), "{ran}");
        // All surfaces say the same.
        let job = host.place.status()["jobs"][0].clone();
        let finish = &host.exited()["finish"];
        let said = [&job["started"], &job["ended"], &job["attempts"][0]["ended"]];
        let at = |ms: &Value| {
            let at = gjob_core::Timestamp(ms.as_u64().unwrap());
            json!(at.to_string())
        };
        assert_eq!(said, [&at(&finish["started"]), &at(&finish["ended"]), &at(&finish["ended"])]);
        assert_eq!(finish["started"].as_u64().unwrap(), (started * 1000.0).round() as u64);
    }
}

#[test]
fn clock_that_is_set_while_a_job_runs_changes_no_duration() {
    for to in ["-100000", "100000"] {
        let Some(host) = WrongClock::new(0) else { return };
        let file = host.place.path("off").display().to_string();
        let answer = host.run(&format!("sleep 0.5; echo {to} >{file}; sleep 0.5\n"));
        assert_eq!(answer.code, 0, "{}", answer.stderr);
        let (_, ran) = host.logged();
        assert!((1.0..10.0).contains(&ran), "{ran}");
        let job = host.place.status()["jobs"][0].clone();
        assert!(job["ended"].as_str() > job["started"].as_str(), "{job}");
    }
}

#[test]
fn killed_job_that_exits_with_0_has_no_exit_status_anywhere() {
    let place = Place::new();
    let ready = place.path("ready");
    place.file(
        "jobs.txt",
        &format!("trap 'exit 0' TERM; touch {}; sleep 60 & wait\n", ready.display()),
    );
    let run = place.gjob(&["run", "--joblog", "joblog", "jobs.txt"]).start();
    support::eventually("the job runs", || ready.exists());
    assert_eq!(place.gjob(&["kill", "0"]).output().code, 0);
    assert_eq!(run.output().code, 1);
    let line = lines(&place.path("here/joblog")).pop().unwrap();
    assert_eq!(line.split('\t').nth(6), Some("-1"), "{line}");
    let job = place.status()["jobs"][0].clone();
    assert_eq!(
        (&job["state"], &job["exit"], &job["reason"]),
        (&json!("error"), &json!(null), &json!("killed"))
    );
    assert_eq!(job["attempts"][0]["exit"], 0, "what the script itself did");
}
