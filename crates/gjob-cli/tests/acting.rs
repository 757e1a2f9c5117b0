//! `gjob kill`, `pause`, `resume`, `retry`, and `attach` beside a living manager.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop here")]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use gjob_testbed::{Bed, Freezer};
use snapbox::{IntoData as _, str};
use support::{Answer, Place, eventually, lines};

fn states(place: &Place) -> Vec<String> {
    place.of_jobs("state").iter().map(|state| state.as_str().unwrap().to_owned()).collect()
}

fn runs(place: &Place, job: usize) -> bool {
    place.has_run()
        && place.of_jobs("started").get(job).is_some_and(|at| !at.is_null())
        && states(place)[job] != "free"
}

/// For an invocation in another state directory.
fn says(answer: &Answer, code: i32, stdout: &str, stderr: &str) {
    let all = (answer.code, answer.stdout.as_str(), answer.stderr.as_str());
    assert_eq!(all, (code, stdout, stderr));
}

/// One process of a job writes its number here and goes on counting.
struct Counter(PathBuf);

impl Counter {
    fn new(place: &Place, name: &str) -> Self {
        Counter(place.path(name))
    }

    /// Counts until the file `go` is there.
    fn job(&self, place: &Place) -> String {
        let (file, go) = (self.0.display().to_string(), place.path("go").display().to_string());
        format!("while ! test -e {go}; do echo x >> {file}; sleep 0.02; done")
    }

    fn count(&self) -> usize {
        lines(&self.0).len()
    }

    fn goes_on(&self) {
        let before = self.count();
        eventually("the job counts", || self.count() > before + 3);
    }

    /// Waits until it has not moved for half a second.
    fn stands_still(&self) {
        let (mut last, mut since) = (self.count(), Instant::now());
        eventually("the job stands still", || {
            let now = self.count();
            if now != last {
                (last, since) = (now, Instant::now());
            }
            since.elapsed() > Duration::from_millis(500)
        });
    }
}

/// True while a process lives.
fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

#[test]
fn running_and_waiting_jobs_are_killed_by_index_and_name() {
    let place = Place::new();
    place.file(
        "jobs.jsonl",
        "{\"cmds\": [\"sleep 300\"]}\n{\"cmds\": [\"sleep 300\"], \"name\": \"long\"}\n\
         {\"cmds\": [\"sleep 300\"]}\n{\"cmds\": [\"true\"]}\n",
    );
    let manager = place
        .gjob(&["run", "-j", "2", "jobs.jsonl"])
        .code(1)
        .side_by_side()
        .stderr(str![[r#"
killing job 0
killing job 1
run [DATE]-1: 4 jobs, 1 host
start #0: sleep 300
start #1 long: sleep 300
FAILED #2: killed · sleep 300
FAILED #0: killed · sleep 300
FAILED #1 long: killed · sleep 300
start #3: true
ok #3 in [ELAPSED]
3 jobs not done:
  3 × killed: #0 #1 #2
run [DATE]-1: 1 done, 3 failed in [ELAPSED]
help: `gjob logs 0 -R [DATE]-1` and `gjob explain 0 -R [DATE]-1` say more, `gjob retry --attach -R [DATE]-1` retries failed jobs

"#]])
        .start();
    eventually("two jobs run", || runs(&place, 0) && runs(&place, 1));
    place.gjob(&["kill", "2"]).stdout("killed 1 job\n").run();
    assert_eq!(place.of_jobs("state")[2], "error");
    assert_eq!(place.of_jobs("started")[2], serde_json::Value::Null, "it never began");
    place.gjob(&["kill", "0", "long"]).stdout("killed 2 jobs\n").run();
    assert_eq!(states(&place)[..3], ["error", "error", "error"], "they are gone on return");
    manager.wait();
    assert_eq!(states(&place), ["error", "error", "error", "done"]);
    assert_eq!(place.of_jobs("reason")[..3], ["killed", "killed", "killed"]);
    let late = place.gjob(&["kill", "0", "3"]).code(1);
    late.stderr(str![[r#"
gjob: job 0: it has already ended: error
gjob: job 3: it has already ended: done

"#]])
        .run();
}

#[test]
fn kill_returns_after_a_job_that_left_its_session_and_ignores_sigterm_has_ended() {
    let place = Place::new();
    let pids = place.path("pids");
    let job = format!(
        "trap '' TERM; setsid bash -c 'trap \"\" TERM; echo $$ >> {0}; while true; do sleep 1; \
         done' & echo $$ >> {0}; while true; do sleep 1; done\n",
        pids.display()
    );
    place.file("jobs.txt", &job);
    let manager = place
        .gjob(&["run", "jobs.txt"])
        .code(1)
        .stderr(
            str![[r#"
killing job 0
run [DATE]-1: 1 job, 1 host
run [DATE]-1: 0 done, 1 failed in [ELAPSED]
start #0: trap '' TERM; setsid bash -c 'trap "" TERM; echo $$ >> [PLACE]/pids; while true; do sleep 1; done' & echo $$ >> [PLACE]/pids; while true; do sleep 1; done
FAILED #0: killed · trap '' TERM; setsid bash -c 'trap "" TERM; echo $$ >> [PLACE]/pids; while true; do sleep 1; done' & echo $$ >> [PLACE]/pids; while true; do sleep 1; done
help: `gjob logs 0 -R [DATE]-1` and `gjob explain 0 -R [DATE]-1` say more, `gjob retry --attach -R [DATE]-1` retries failed jobs

"#]]
            .unordered(),
        )
        .start();
    eventually("both processes run", || lines(&pids).len() == 2);
    assert!(lines(&pids).iter().all(|pid| lives(pid)));
    place.gjob(&["kill", "--all"]).stdout("killed 1 job\n").run();
    assert_eq!(lines(&pids).iter().filter(|pid| lives(pid)).count(), 0);
    manager.wait();
}

#[test]
fn process_that_survives_kill_is_named_everywhere() {
    let place = Place::new();
    let Some(freezer) = Freezer::new() else { return };
    let pid = place.path("pid");
    let script = freezer.script().replace("escaped", &pid.display().to_string());
    place.file("freeze", &script);
    place.file(
        "jobs.jsonl",
        "{\"cmds\": [\". ./freeze\", \"sleep 300\"], \"files\": [\"freeze\"]}\n",
    );
    let manager = place
        .gjob(&["run", "-j", "1", "jobs.jsonl"])
        .code(1)
        .stderr(
            str![[r#"
killing job 0
run [DATE]-1: 1 job, 1 host
run [DATE]-1: 0 done, 1 failed in [ELAPSED]
start #0: . ./freeze; sleep 300
FAILED #0: killed; process [LEFT] could not be ended · . ./freeze; sleep 300
job 0 on this machine: signal 15; process [LEFT] could not be ended
help: `gjob logs 0 -R [DATE]-1` and `gjob explain 0 -R [DATE]-1` say more, `gjob retry --attach -R [DATE]-1` retries failed jobs

"#]]
            .unordered(),
        )
        .start();
    eventually("the job has frozen a process of its own", || lines(&pid).len() == 1);
    let kill = place.gjob(&["kill", "0"]).code(1).redact("[LEFT]", &lines(&pid)[0]);
    kill.stderr(str![[r#"
gjob: job 0: process [LEFT] could not be ended

"#]])
        .run();
    manager.redact("[LEFT]", &lines(&pid)[0]).wait();
    place
        .gjob(&["status", "--jobs"])
        .any_width()
        .redact("[LEFT]", &lines(&pid)[0])
        .stdout(str![[r#"
run [DATE]-1: failed in [ELAPSED]
1 job: 0 done, 1 failed

HOST  STATE  BUSY  DONE  FAILED  MEDIAN  NOTE
this machine  -  0/1  0  1  -  -

JOB  STATE  HOST  TIME  NAME  REASON  COMMAND
0  failed  this machine  [ELAPSED]  -  killed; process [LEFT] could not be ended  . ./freeze; sleep 300

help: `gjob explain JOB -R [DATE]-1` says what became of a job, `gjob logs JOB -R [DATE]-1` what it printed
help: `gjob retry --attach -R [DATE]-1` retries the failed jobs

"#]])
        .run();
}

#[test]
fn jobs_are_killed_on_their_hosts_when_the_manager_is_gone() {
    let place = Place::new();
    let bed = Bed::start(1);
    place.file("jobs.txt", "sleep 300\nsleep 300\nsleep 300\ntrue\n");
    let config = bed.ssh_config().to_str().unwrap();
    let args = ["run", "-F", config, "-r", "results", "-H", "2/h1", "jobs.txt"];
    let manager = place.gjob(&args).start();
    eventually("two jobs run", || runs(&place, 0) && runs(&place, 1));
    manager.kill_9();
    place.gjob(&["kill", "0", "2"]).stdout("killed 2 jobs\n").run();
    assert_eq!(states(&place), ["error", "unknown", "error", "free"], "job 1 runs on");
    assert!(!bed.processes().is_empty());
    place.gjob(&["kill", "1"]).stdout("killed 1 job\n").run();
    eventually("no process is left", || bed.processes().is_empty());
    assert_eq!(place.of_jobs("started")[3], serde_json::Value::Null, "nothing was started");
    place
        .gjob(&["attach"])
        .code(1)
        .stderr(str![[r#"
run [DATE]-1 resumed: 4 jobs, 1 host
start #3 on h1: true
ok #3 on h1 in [ELAPSED]
3 jobs not done:
  3 × killed: #0 #1 #2
help: `gjob logs 0 -R [DATE]-1` and `gjob explain 0 -R [DATE]-1` say more, `gjob retry --attach -R [DATE]-1` retries failed jobs
run [DATE]-1: 1 done, 3 failed in [ELAPSED]

"#]])
        .run();
    assert_eq!(states(&place), ["error", "error", "error", "done"]);
}

#[test]
fn kill_reaches_an_unreachable_host_later() {
    let place = Place::new();
    let bed = Bed::start(1);
    place.file("jobs.txt", "sleep 300\nsleep 300\n");
    let config = bed.ssh_config().to_str().unwrap();
    let args = ["run", "-F", config, "-r", "results", "-H", "1/h1", "jobs.txt"];
    let manager = place.gjob(&args).start();
    eventually("a job runs", || runs(&place, 0));
    manager.kill_9();
    bed.host(1).stop();
    let kill = place.gjob(&["kill", "--all"]).code(1);
    kill.stdout("killed 1 job\n")
        .stderr(str![[r#"
gjob: job 0: host h1 is unreachable: it will be killed once a manager reaches it

"#]])
        .run();
    assert_eq!(states(&place), ["unknown", "error"]);
    assert!(!bed.processes().is_empty());
    bed.host(1).start();
    place
        .gjob(&["attach"])
        .code(1)
        .stderr(str![[r#"
run [DATE]-1 resumed: 2 jobs, 1 host
FAILED #0 on h1: killed · sleep 300
2 jobs not done:
  2 × killed: #0 #1
help: `gjob logs 0 -R [DATE]-1` and `gjob explain 0 -R [DATE]-1` say more, `gjob retry --attach -R [DATE]-1` retries failed jobs
run [DATE]-1: 0 done, 2 failed in [ELAPSED]

"#]])
        .run();
    assert_eq!(place.of_jobs("reason"), ["killed", "killed"]);
    eventually("no process is left", || bed.processes().is_empty());
}

/// The scripts that run on a host.
fn scripts(host: &gjob_testbed::Host) -> usize {
    let is_script =
        |process: &gjob_testbed::Process| process.argv().iter().any(|arg| arg == ".cmds");
    host.processes().iter().filter(|process| is_script(process)).count()
}

#[test]
fn kill_contacts_only_the_hosts_of_its_jobs() {
    let place = Place::new();
    let bed = Bed::start(3);
    place.file("jobs.txt", "sleep 300\nsleep 300\nsleep 300\n");
    let config = bed.ssh_config().to_str().unwrap();
    let args = ["run", "-F", config, "-r", "results", "-H", "1/h1,1/h2,1/h3", "jobs.txt"];
    let manager = place.gjob(&args).start();
    eventually("all jobs run", || (0..3).all(|job| runs(&place, job)));
    manager.kill_9();
    let host = place.of_jobs("host")[1].as_str().unwrap().to_owned();
    let logins = || bed.hosts().iter().map(|host| host.logins()).collect::<Vec<_>>();
    let before = logins();
    place.gjob(&["kill", "1"]).stdout("killed 1 job\n").run();
    let more = logins().iter().zip(&before).map(|(now, before)| now - before).collect::<Vec<_>>();
    let expected =
        bed.hosts().iter().map(|other| usize::from(other.alias() == host)).collect::<Vec<_>>();
    assert_eq!(more, expected);
}

#[test]
fn kill_ends_abandoned_attempts_or_names_them() {
    let place = Place::new();
    let bed = Bed::start(2);
    place.file("jobs.txt", &":; sleep 300\n".repeat(3));
    let config = bed.ssh_config().to_str().unwrap();
    let args = ["run", "-F", config, "-r", "results", "-H", "1/h1,2/h2", "--lost-after", "1s"];
    let manager = place.gjob(&[&args[..], &["jobs.txt"]].concat()).start();
    eventually("all jobs run", || (0..3).all(|job| runs(&place, job)));
    let lost = place.of_jobs("host").iter().position(|host| host == "h1").unwrap();
    bed.host(1).stop();
    bed.host(1).kill_connections();
    // Makes room for it.
    let other = (lost + 1) % 3;
    place.gjob(&["kill", &other.to_string()]).stdout("killed 1 job\n").run();
    eventually("its second attempt runs", || {
        place.of_jobs("attempt")[lost] == 2 && runs(&place, lost)
    });
    let index = lost.to_string();
    let why = format!(
        "gjob: job {lost}: host h1 is unreachable: attempt {lost}.1 will be killed once it is reached\n"
    );
    place.gjob(&["kill", &index]).code(1).stderr(&why).run();
    assert_eq!(states(&place)[lost], "error", "its second attempt is ended");
    assert_eq!((scripts(bed.host(1)), scripts(bed.host(2))), (1, 1));
    manager.kill_9();
    bed.host(1).start();
    place.gjob(&["kill", "--all"]).stdout("killed 2 jobs\n").run();
    assert_eq!((scripts(bed.host(1)), scripts(bed.host(2))), (0, 0));
    let late = format!("gjob: job {lost}: it has already ended: error\n");
    place.gjob(&["kill", &index]).code(1).stderr(&late).run();
}

#[test]
fn pause_and_resume_reach_an_unreachable_host_later() {
    let place = Place::new();
    let bed = Bed::start(1);
    let counter = Counter::new(&place, "counter");
    place.file("jobs.txt", &format!("{}\n", counter.job(&place)));
    let config = bed.ssh_config().to_str().unwrap();
    let args = ["run", "-F", config, "-r", "results", "-H", "1/h1", "jobs.txt"];
    let manager = place.gjob(&args).start();
    eventually("the job runs", || counter.count() > 3 && runs(&place, 0));
    manager.kill_9();
    let away = |act: &str, what: &str| {
        bed.host(1).stop();
        let why =
            format!("gjob: job 0: host h1 is unreachable: {what} once a manager reaches it\n");
        place.gjob(&[act, "0"]).code(1).stderr(&why).run();
        bed.host(1).start();
    };
    away("pause", "it will be paused");
    counter.goes_on();
    let manager = place.gjob(&["attach"]).start();
    counter.stands_still();
    manager.kill_9();
    away("resume", "it will be resumed");
    counter.stands_still();
    let manager = place
        .gjob(&["attach"])
        .stderr(str![[r#"
run [DATE]-1 resumed: 1 job, 1 host
ok #0 on h1 in [ELAPSED]
run [DATE]-1: 1 done in [ELAPSED]

"#]])
        .start();
    counter.goes_on();
    std::fs::write(place.path("go"), "").unwrap();
    manager.wait();
}

#[test]
fn pause_stops_running_jobs_and_holds_waiting_ones_until_resume() {
    let place = Place::new();
    let (first, second) = (Counter::new(&place, "first"), Counter::new(&place, "second"));
    place.file("jobs.txt", &format!("{}\n{}\n", first.job(&place), second.job(&place)));
    let manager = place
        .gjob(&["run", "-j", "1", "jobs.txt"])
        .stderr(
            str![[r#"
run [DATE]-1: 2 done in [ELAPSED]
job 0 paused
job 1 paused
job 0 resumed
job 1 resumed
run [DATE]-1: 2 jobs, 1 host
ok #0 in [ELAPSED]
ok #1 in [ELAPSED]
start #0: while ! test -e [PLACE]/go; do echo x >> [PLACE]/first; sleep 0.02; done
start #1: while ! test -e [PLACE]/go; do echo x >> [PLACE]/second; sleep 0.02; done

"#]]
            .unordered(),
        )
        .start();
    eventually("a job runs", || first.count() > 3 && runs(&place, 0));
    place.gjob(&["pause"]).stdout("paused 2 jobs\n").run();
    assert_eq!(place.of_jobs("paused"), [true, true]);
    assert_eq!(states(&place), ["busy", "free"]);
    first.stands_still();
    let again = place.gjob(&["pause", "0"]).code(1);
    again
        .stderr(str![[r#"
gjob: job 0: it is already paused

"#]])
        .run();
    place.gjob(&["resume", "0"]).stdout("resumed 1 job\n").run();
    first.goes_on();
    std::fs::write(place.path("go"), "").unwrap();
    eventually("the first job is done", || states(&place)[0] == "done");
    assert_eq!((second.count(), states(&place)[1].as_str()), (0, "free"), "it is held");
    place.gjob(&["resume"]).stdout("resumed 1 job\n").run();
    manager.wait();
    assert_eq!(place.of_jobs("paused"), [false, false]);
}

#[test]
fn paused_jobs_stay_paused_in_a_resumed_run() {
    let place = Place::new();
    let (first, second) = (Counter::new(&place, "first"), Counter::new(&place, "second"));
    place.file("jobs.txt", &format!("{}\n{}\n", first.job(&place), second.job(&place)));
    let manager = place.gjob(&["run", "-j", "1", "jobs.txt"]).start();
    eventually("a job runs", || first.count() > 3 && runs(&place, 0));
    place.gjob(&["pause", "0-1"]).stdout("paused 2 jobs\n").run();
    first.stands_still();
    let status = place.gjob(&["status"]).any_width().output().stdout;
    let counts = "\n2 jobs: 0 done, 1 running (1 paused), 1 waiting (1 paused)\n";
    assert!(status.contains(counts), "{status}");
    assert!(status.contains("\n0    paused  ") && status.contains("\n1    paused  "), "{status}");
    manager.kill_9();
    let manager = place
        .gjob(&["attach"])
        .stderr(
            str![[r#"
run [DATE]-1: 2 done in [ELAPSED]
job 0 resumed
job 1 resumed
run [DATE]-1 resumed: 2 jobs, 1 host
ok #0 in [ELAPSED]
ok #1 in [ELAPSED]
start #1: while ! test -e [PLACE]/go; do echo x >> [PLACE]/second; sleep 0.02; done

"#]]
            .unordered(),
        )
        .start();
    eventually("the run is managed", || place.status()["state"] == "busy");
    first.stands_still();
    std::fs::write(place.path("go"), "").unwrap();
    place.gjob(&["resume"]).stdout("resumed 2 jobs\n").run();
    manager.wait();
}

#[test]
fn jobs_are_paused_and_resumed_on_their_hosts_without_a_manager() {
    let place = Place::new();
    let counter = Counter::new(&place, "counter");
    place.file("jobs.txt", &format!("{}\ntrue\n", counter.job(&place)));
    let manager = place.gjob(&["run", "-j", "1", "jobs.txt"]).start();
    eventually("a job runs", || counter.count() > 3 && runs(&place, 0));
    manager.kill_9();
    place.gjob(&["pause"]).stdout("paused 2 jobs\n").run();
    counter.stands_still();
    assert_eq!(place.of_jobs("paused"), [true, true]);
    place.gjob(&["resume", "0"]).stdout("resumed 1 job\n").run();
    counter.goes_on();
    place.gjob(&["resume"]).stdout("resumed 1 job\n").run();
    std::fs::write(place.path("go"), "").unwrap();
    place
        .gjob(&["attach"])
        .stderr(str![[r#"
run [DATE]-1 resumed: 2 jobs, 1 host
ok #0 in [ELAPSED]
start #1: true
ok #1 in [ELAPSED]
run [DATE]-1: 2 done in [ELAPSED]

"#]])
        .run();
    assert_eq!(states(&place), ["done", "done"]);
}

#[test]
fn failed_job_of_a_running_run_is_retried() {
    let place = Place::new();
    let (ok, go) = (place.path("ok"), place.path("go"));
    let jobs = format!(
        "test -e {}\nwhile ! test -e {}; do sleep 0.05; done\n",
        ok.display(),
        go.display()
    );
    place.file("jobs.txt", &jobs);
    let run = place.gjob(&["run", "-j", "2", "--show", "none", "jobs.txt"]).side_by_side();
    let manager = run
        .stderr(str![[r#"
run [DATE]-1: 2 done in [ELAPSED]
job 0 will be retried
run [DATE]-1: 2 jobs, 1 host
start #0: test -e [PLACE]/ok
start #1: while ! test -e [PLACE]/go; do sleep 0.05; done
FAILED #0: exit 1 · test -e [PLACE]/ok
start #0 (2nd attempt): test -e [PLACE]/ok
ok #0 in [ELAPSED]
ok #1 in [ELAPSED]

"#]])
        .start();
    eventually("a job has failed", || place.has_run() && states(&place)[0] == "error");
    let refused = place.gjob(&["retry", "1"]).code(1);
    refused
        .stderr(str![[r#"
gjob: job 1: it has not ended yet

"#]])
        .run();
    std::fs::write(&ok, "").unwrap();
    place.gjob(&["retry"]).stdout("reopened 1 job\n").run();
    eventually("the job is done", || states(&place)[0] == "done");
    std::fs::write(&go, "").unwrap();
    manager.wait();
    assert_eq!(place.of_jobs("attempt"), [2, 1]);
}

#[test]
fn failed_job_of_an_ended_run_is_retried_by_attach() {
    let place = Place::new();
    let ok = place.path("ok");
    place.file("data", "needed\n");
    let job = format!("grep -q needed data && test -e {}\n", ok.display());
    place.file("jobs.txt", &format!("{job}true\n"));
    place
        .gjob(&["run", "-j", "1", "-f", "data", "jobs.txt"])
        .code(1)
        .stderr(str![[r#"
run [DATE]-1: 2 jobs, 1 host
start #0: grep -q needed data && test -e [PLACE]/ok
FAILED #0: exit 1 · grep -q needed data && test -e [PLACE]/ok
start #1: true
ok #1 in [ELAPSED]
help: `gjob logs 0 -R [DATE]-1` and `gjob explain 0 -R [DATE]-1` say more, `gjob retry --attach -R [DATE]-1` retries failed jobs
run [DATE]-1: 1 done, 1 failed in [ELAPSED]

"#]])
        .run();
    let refused = place.gjob(&["retry", "1"]).code(1);
    refused
        .stderr(str![[r#"
gjob: job 1: it is done

"#]])
        .run();
    assert_eq!(place.status()["ended"], "complete", "nothing has changed");
    std::fs::write(&ok, "").unwrap();
    let run = place.status()["run"].as_str().unwrap().to_owned();
    place
        .gjob(&["retry", "-R", &run])
        .stdout(str![[r#"
reopened 1 job; resume the run with `gjob attach [DATE]-1`

"#]])
        .run();
    assert_eq!(states(&place), ["free", "done"]);
    place
        .gjob(&["attach"])
        .stderr(str![[r#"
run [DATE]-1 resumed: 2 jobs, 1 host
start #0 (2nd attempt): grep -q needed data && test -e [PLACE]/ok
ok #0 in [ELAPSED]
run [DATE]-1: 2 done in [ELAPSED]

"#]])
        .run();
    assert_eq!(states(&place), ["done", "done"]);
    let nothing = |command: &[&str], text: &str| {
        place.gjob(command).stdout(format!("nothing to {text}\n")).run();
    };
    nothing(&["retry"], "retry: no job of run [DATE]-1 has failed");
    nothing(&["kill", "--all"], "kill: all jobs of run [DATE]-1 have ended");
    nothing(&["pause"], "pause: all jobs of run [DATE]-1 have ended, or are paused");
    nothing(&["resume"], "resume: no job of run [DATE]-1 is paused");
    place.gjob(&["resume", "0"]).code(1).stderr("gjob: job 0: it is not paused\n").run();
}

#[test]
fn retry_in_a_resumed_run_finds_the_files_of_the_job() {
    let place = Place::new();
    let (ok, go) = (place.path("ok"), place.path("go"));
    place.file("data", "needed\n");
    let jobs = format!(
        "grep -q needed data && test -e {}\nwhile ! test -e {}; do sleep 0.05; done\n",
        ok.display(),
        go.display()
    );
    place.file("jobs.txt", &jobs);
    let manager = place.gjob(&["run", "-j", "2", "-f", "data", "jobs.txt"]).start();
    eventually("a job has failed", || {
        place.has_run() && states(&place)[0] == "error" && runs(&place, 1)
    });
    manager.kill_9();
    let manager = place
        .gjob(&["attach"])
        .side_by_side()
        .stderr(str![[r#"
run [DATE]-1: 2 done in [ELAPSED]
job 0 will be retried
run [DATE]-1 resumed: 2 jobs, 1 host
start #0 (2nd attempt): grep -q needed data && test -e [PLACE]/ok
ok #0 in [ELAPSED]
ok #1 in [ELAPSED]

"#]])
        .start();
    eventually("the run is managed", || place.status()["state"] == "busy");
    std::fs::write(&ok, "").unwrap();
    place.gjob(&["retry"]).stdout("reopened 1 job\n").run();
    eventually("the job is done", || states(&place)[0] == "done");
    std::fs::write(&go, "").unwrap();
    manager.wait();
}

#[test]
fn attach_follows_a_running_run_and_exits_with_its_status() {
    let place = Place::new();
    let go = place.path("go");
    let jobs = format!(
        "while ! test -e {}; do sleep 0.05; done; echo secret; exit 7\ntrue\n",
        go.display()
    );
    place.file("jobs.txt", &jobs);
    let manager = place.gjob(&["run", "-j", "1", "jobs.txt"]).start();
    eventually("a job runs", || runs(&place, 0));
    let idle = place.gjob(&["attach"]).start();
    let events = place.path("events");
    let watcher = place.gjob(&["attach", "--events", events.to_str().unwrap()]).start();
    eventually("the watcher watches", || {
        // A pause shows in its events as soon as it does.
        place.gjob(&["pause", "1"]).output();
        place.gjob(&["resume", "1"]).output();
        lines(&events).iter().any(|line| line.contains("job-paused"))
    });
    idle.signal(rustix::process::Signal::INT);
    assert_eq!(idle.output().code, 130);
    assert_eq!(place.status()["state"], "busy", "the run goes on");
    std::fs::write(&go, "").unwrap();
    let seen = watcher.output();
    let answer = manager.output();
    assert_eq!((seen.code, answer.code), (1, 1), "{}\n{}", seen.stderr, answer.stderr);
    assert_eq!(seen.stdout, "", "outputs are shown where the run is managed");
    assert_eq!(answer.stdout, "secret\n");
    // How often job 1 was paused depends on when the watcher had connected.
    let lines_but_pauses = |stderr: &str| -> Vec<String> {
        stderr.lines().filter(|line| !line.starts_with("job 1 ")).map(str::to_owned).collect()
    };
    let (seen, printed) = (lines_but_pauses(&seen.stderr), lines_but_pauses(&answer.stderr));
    let run = place.status()["run"].as_str().unwrap().to_owned();
    assert_eq!(seen[0], format!("following run {run}: another gjob process manages it"));
    let end = format!("run {run}: 1 done, 1 failed in ");
    assert!(seen.last().unwrap().starts_with(&end), "{seen:?}");
    // Job 0 had started before the watcher came.
    assert_eq!(seen[1..seen.len() - 1], printed[2..printed.len() - 1]);
    let told = lines(&events);
    assert!(told.last().unwrap().contains("\"event\":\"run-ended\""), "{told:?}");
}

#[test]
fn follower_sees_the_manager_leave_or_die() {
    for (kill, code, text) in [
        (false, 1, "(jobs keep running; resume with `gjob attach"),
        (true, 3, "has ended\nhelp: resume the run with `gjob attach"),
    ] {
        let place = Place::new();
        place.file("jobs.txt", "sleep 2\n");
        let manager = place.gjob(&["run", "jobs.txt"]).start();
        eventually("the job runs", || runs(&place, 0));
        let events = place.path("events");
        let watcher = place.gjob(&["attach", "--events", events.to_str().unwrap()]).start();
        eventually("the watcher watches", || {
            place.gjob(&["pause", "0"]).output();
            place.gjob(&["resume", "0"]).output();
            !lines(&events).is_empty()
        });
        if kill {
            manager.kill_9();
        } else {
            manager.signal(rustix::process::Signal::TERM);
            manager.output();
        }
        let seen = watcher.output();
        assert_eq!(seen.code, code, "{}", seen.stderr);
        assert!(seen.stderr.contains(text), "{}", seen.stderr);
        assert_eq!(place.gjob(&["attach"]).output().code, 0);
    }
}

#[test]
fn retry_at_the_end_of_a_run_is_not_lost() {
    for _ in 0..4 {
        let place = Place::new();
        let ok = place.path("ok");
        place.file("jobs.txt", &format!("test -e {}\n", ok.display()));
        let manager = place.gjob(&["run", "jobs.txt"]).start();
        eventually("the job has failed", || place.has_run() && states(&place)[0] == "error");
        std::fs::write(&ok, "").unwrap();
        let answer = place.gjob(&["retry", "0"]).output();
        assert_eq!(answer.code, 0, "{}", answer.stderr);
        assert!(answer.stdout.starts_with("reopened 1 job"), "{}", answer.stdout);
        manager.output();
        if states(&place)[0] != "done" {
            place
                .gjob(&["attach"])
                .stderr(str![[r#"
run [DATE]-1 resumed: 1 job, 1 host
start #0 (2nd attempt): test -e [PLACE]/ok
ok #0 in [ELAPSED]
run [DATE]-1: 1 done in [ELAPSED]

"#]])
                .run();
        }
        assert_eq!(states(&place), ["done"]);
    }
}

#[test]
fn bad_input_is_refused_with_status_2() {
    let place = Place::new();
    for act in ["kill", "pause", "resume", "retry"] {
        place
            .gjob(&[act, "0"])
            .code(2)
            .stderr(str![[r#"
gjob: no runs in [PLACE]/state/runs

"#]])
            .run();
    }
    place.file("jobs.txt", "true\n");
    place
        .gjob(&["run", "jobs.txt"])
        .stderr(str![[r#"
run [DATE]-1: 1 job, 1 host
start #0: true
ok #0 in [ELAPSED]
run [DATE]-1: 1 done in [ELAPSED]

"#]])
        .run();
    for act in ["kill", "pause", "resume", "retry"] {
        place
            .gjob(&[act, "0", "1"])
            .code(2)
            .stderr(str![[r#"
gjob: no job 1: the run has jobs 0 to 0

"#]])
            .run();
        place
            .gjob(&[act, "0", "x"])
            .code(2)
            .stderr(str![[r#"
gjob: no job named "x": expected an index, a range (3-7), a name or a glob of names

"#]])
            .run();
        place
            .gjob(&[act, "1-0"])
            .code(2)
            .stderr(str![[r#"
gjob: invalid range "1-0": its first index is greater than its last

"#]])
            .run();
        place
            .gjob(&[act, "-R", "1999-01-01-1", "0"])
            .code(2)
            .stderr(str![[r#"
gjob: no run 1999-01-01-1 in [PLACE]/state/runs

"#]])
            .run();
    }
    place
        .gjob(&["kill"])
        .code(2)
        .stderr(str![[r#"
gjob: kill: nothing is named
help: name jobs (3, 3-7, fit), or --all: `gjob status` lists them

"#]])
        .run();
    place
        .gjob(&["kill", "--all", "0"])
        .code(2)
        .stderr(str![[r#"
gjob: the argument '--all' cannot be used with '[JOB]...'
help: `gjob kill --help` lists what it takes

"#]])
        .run();
    assert_eq!(states(&place), ["done"]);
}

#[test]
fn control_socket_below_a_long_path_works_and_is_private() {
    let place = Place::new();
    let state = place.path(&"d".repeat(150));
    place.file("jobs.txt", "sleep 300\n");
    let manager = place.gjob(&["run", "jobs.txt"]).env("GJOB_STATE_DIR", &state).start();
    let gjob = |args: &[&str]| place.gjob(args).env("GJOB_STATE_DIR", &state).output();
    eventually("the job runs", || gjob(&["status", "--jobs"]).stdout.contains("  running "));
    let runs = std::fs::read_dir(state.join("runs")).unwrap();
    let run = runs.map(|run| run.unwrap().path()).next().unwrap();
    let mode = |path: &PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let socket = run.join("control");
    assert!(socket.as_os_str().len() > 108);
    assert_eq!((mode(&run), mode(&socket)), (0o700, 0o600));
    says(&gjob(&["kill", "0"]), 0, "killed 1 job\n", "");
    assert_eq!(manager.output().code, 1);
    assert!(!socket.exists());
}

#[test]
fn kill_names_the_machine_that_a_job_was_started_on_if_it_is_another_one() {
    let place = Place::new();
    place.file("jobs.txt", "sleep 300\n");
    let mut run = place.gjob(&["run", "jobs.txt"]).start();
    run.wait_until_printed("start #0");
    run.kill_9();
    // As another machine would have claimed it, in a results directory that both share.
    let keys = "for key in .gjob/runs/*/*/keys/0.1; do readlink $key; \
        set -- $(readlink $key) $key; mkdir other; mv $1 other; : > other/${1#*/}/.lock; \
        ln -sfn \"other/${1#*/} $2 $3 $4 00000000 0a0b0c0d\" $key; done";
    let mut shell = std::process::Command::new("sh");
    let claim = shell.args(["-c", keys]).current_dir(place.path("results")).output().unwrap();
    let claim = String::from_utf8(claim.stdout).unwrap();
    let words: Vec<&str> = claim.split_whitespace().collect();
    let (host, slot) = (words[0].split('/').next().unwrap(), words[2]);
    let expected = format!(
        "gjob: job 0: it was started on other, which is another machine than {host}; \
         process {slot} could not be ended\n"
    );
    let answer = place.gjob(&["kill", "0"]).output();
    assert_eq!((answer.code, &*answer.stdout, answer.stderr), (1, "", expected));
    // It would go on, since nobody here may end it.
    let end = format!("pkill -9 -P {slot}; kill -9 {slot}");
    std::process::Command::new("sh").args(["-c", &end]).output().unwrap();
}
