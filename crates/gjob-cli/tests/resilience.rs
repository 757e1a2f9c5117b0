//! What is killed while jobs run, and what must not come of it.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop here")]

mod support;

use std::path::{Path, PathBuf};

use gjob_testbed::{Bed, NetBed};
use snapbox::str;
use support::{Answer, Place, eventually, lines};

/// Jobs that note their beginnings and ends in a ledger outside gjob's reach.
struct Ledger(PathBuf);

impl Ledger {
    fn new(place: &Place) -> Self {
        Ledger(place.path("ledger"))
    }

    fn jobs(&self, count: usize, command: &str) -> String {
        let ledger = self.0.display();
        let job = format!(
            "echo begin $GJOB_INDEX >> {ledger}; {command}; echo end $GJOB_INDEX >> {ledger}\n"
        );
        job.repeat(count)
    }

    fn count(&self, word: &str) -> usize {
        lines(&self.0).iter().filter(|line| line.starts_with(word)).count()
    }

    /// Each of `count` jobs has begun and ended exactly once.
    fn assert_each_once(&self, count: usize) {
        let mut all = lines(&self.0);
        all.sort();
        let once = |word: &str| (0..count).map(move |i| format!("{word} {i}")).collect::<Vec<_>>();
        let mut expected = [once("begin"), once("end")].concat();
        expected.sort();
        assert_eq!(all, expected);
    }
}

fn run_args<'a>(config: &'a Path, rest: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["run", "-F", config.to_str().unwrap(), "-r", "results"];
    args.extend(rest);
    args
}

fn assert_all_done(place: &Place, answer: &Answer, count: usize) {
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let status = place.status();
    assert_eq!(status["state"], "done");
    assert_eq!(status["counts"]["done"], count);
    let attempts = place.of_jobs("attempt");
    assert!(attempts.iter().all(|attempt| *attempt == 1), "{attempts:?}");
}

#[test]
fn attach_after_a_killed_manager_runs_each_job_once() {
    let place = Place::new();
    let bed = Bed::start(2);
    let ledger = Ledger::new(&place);
    place.file("jobs.txt", &ledger.jobs(60, "sleep 0.1"));
    let args = run_args(bed.ssh_config(), &["-H", "3/h1,3/h2", "jobs.txt"]);
    let manager = place.gjob(&args).start();
    eventually("a third of the jobs has ended", || ledger.count("end") >= 20);
    manager.kill_9();
    assert_eq!(place.status()["state"], "unknown");
    let answer = place.gjob(&["attach"]).output();
    assert_all_done(&place, &answer, 60);
    ledger.assert_each_once(60);
}

#[test]
fn attach_after_a_killed_manager_runs_each_local_job_once() {
    let place = Place::new();
    let ledger = Ledger::new(&place);
    place.file("jobs.txt", &ledger.jobs(30, "sleep 0.1"));
    let manager = place.gjob(&["run", "-j", "3", "jobs.txt"]).start();
    eventually("some jobs have ended", || ledger.count("end") >= 6);
    manager.kill_9();
    let answer = place.gjob(&["attach"]).output();
    assert_all_done(&place, &answer, 30);
    ledger.assert_each_once(30);
}

#[test]
fn jobs_continue_while_connections_are_killed() {
    let place = Place::new();
    let bed = Bed::start(2);
    let ledger = Ledger::new(&place);
    place.file("jobs.txt", &ledger.jobs(40, "sleep 0.2"));
    let args = run_args(bed.ssh_config(), &["-H", "2/h1,2/h2", "jobs.txt"]);
    let manager = place.gjob(&args).start();
    for round in 1..=3 {
        eventually("more jobs have ended", || ledger.count("end") >= round * 8);
        let killed: usize = bed.hosts().iter().map(|host| host.kill_connections()).sum();
        assert!(killed > 0);
    }
    let answer = manager.output();
    assert_all_done(&place, &answer, 40);
    ledger.assert_each_once(40);
    assert!(bed.hosts().iter().all(|host| host.logins() > 1));
}

#[test]
fn killing_an_agent_touches_no_job() {
    let place = Place::new();
    let bed = Bed::start(1);
    let ledger = Ledger::new(&place);
    place.file("jobs.txt", &ledger.jobs(20, "sleep 0.2"));
    let args = run_args(bed.ssh_config(), &["-H", "2/h1", "jobs.txt"]);
    let manager = place.gjob(&args).start();
    for round in 1..=2 {
        eventually("more jobs have ended", || ledger.count("end") >= round * 5);
        let agents = bed
            .processes()
            .into_iter()
            .filter(|process| process.argv().iter().any(|arg| arg == "agent"));
        let agents: Vec<_> = agents.collect();
        assert!(!agents.is_empty());
        agents.iter().for_each(gjob_testbed::Process::kill);
    }
    assert_all_done(&place, &manager.output(), 20);
    ledger.assert_each_once(20);
}

#[test]
fn second_attach_follows_the_run() {
    let place = Place::new();
    place.file("jobs.txt", "sleep 60\n");
    let manager = place
        .gjob(&["run", "jobs.txt"])
        .code(130)
        .stderr(str![[r#"
run [DATE]-1: 1 job, 1 host
start #0: sleep 60
interrupted: killing 1 running job, to be started again by `gjob attach`; Ctrl-C again exits and leaves what still runs
run [DATE]-1: 0 done, 1 left in [ELAPSED] (interrupted; resume with `gjob attach [DATE]-1`)

"#]])
        .start();
    eventually("the job runs", || place.has_run() && !place.of_jobs("started")[0].is_null());
    let mut second = place
        .gjob(&["attach"])
        .code(130)
        .stderr(str![[r#"
following run [DATE]-1: another gjob process manages it
interrupted: killing 1 running job, to be started again by `gjob attach`; Ctrl-C again exits and leaves what still runs
run [DATE]-1: 0 done, 1 left in [ELAPSED] (interrupted; resume with `gjob attach [DATE]-1`)

"#]])
        .start();
    second.wait_until_printed("another gjob process manages it\n");
    manager.signal(rustix::process::Signal::INT);
    manager.wait();
    second.wait();
    assert_eq!(place.of_jobs("attempt"), [1]);
}

#[test]
fn ctrl_c_kills_the_jobs_and_attach_runs_them_again() {
    let place = Place::new();
    let bed = Bed::start(1);
    let go = place.path("go");
    let job = format!("test -e {} || exec sleep 300\n", go.display());
    place.file("jobs.txt", &job.repeat(3));
    let args = run_args(bed.ssh_config(), &["-H", "2/h1", "jobs.txt"]);
    let manager = place
        .gjob(&args)
        .code(130)
        .side_by_side()
        .stderr(str![[r#"
run [DATE]-1: 0 done, 3 left in [ELAPSED] (interrupted; resume with `gjob attach [DATE]-1`)
run [DATE]-1: 3 jobs, 1 host
start #0 on [ANY]: test -e [PLACE]/go || exec sleep 300
start #1 on [ANY]: test -e [PLACE]/go || exec sleep 300
interrupted: killing 2 running jobs, to be started again by `gjob attach`; Ctrl-C again exits and leaves what still runs

"#]])
        .start();
    let running = || {
        place.has_run() && place.of_jobs("started").iter().filter(|at| !at.is_null()).count() == 2
    };
    eventually("two jobs run", running);
    manager.signal(rustix::process::Signal::INT);
    manager.wait();
    eventually("no process is left", || bed.processes().is_empty());
    assert_eq!(place.status()["state"], "free");
    std::fs::write(&go, "").unwrap();
    place
        .gjob(&["attach"])
        .side_by_side()
        .stderr(str![[r#"
run [DATE]-1: 3 done in [ELAPSED]
run [DATE]-1 resumed: 3 jobs, 1 host
start #0 on [ANY] (2nd attempt): test -e [PLACE]/go || exec sleep 300
ok #0 on [ANY] in [ELAPSED]
start #2 on [ANY]: test -e [PLACE]/go || exec sleep 300
start #1 on [ANY] (2nd attempt): test -e [PLACE]/go || exec sleep 300
ok #1 on [ANY] in [ELAPSED]
ok #2 on [ANY] in [ELAPSED]

"#]])
        .run();
    assert_eq!(place.of_jobs("state"), ["done", "done", "done"]);
}

#[test]
fn sigterm_leaves_the_jobs_running() {
    let place = Place::new();
    let ledger = Ledger::new(&place);
    place.file("jobs.txt", &ledger.jobs(2, "sleep 1"));
    let run = place.gjob(&["run", "-j", "2", "jobs.txt"]).code(1);
    let manager = run
        .side_by_side()
        .stderr(str![[r#"
run [DATE]-1: 0 done, 2 left in [ELAPSED] (jobs keep running; resume with `gjob attach [DATE]-1`)
run [DATE]-1: 2 jobs, 1 host
start #0: echo begin $GJOB_INDEX >> [PLACE]/ledger; sleep 1; echo end $GJOB_INDEX >> [PLACE]/ledger
start #1: echo begin $GJOB_INDEX >> [PLACE]/ledger; sleep 1; echo end $GJOB_INDEX >> [PLACE]/ledger

"#]])
        .start();
    eventually("both jobs run", || {
        place.has_run() && place.of_jobs("started").iter().all(|at| !at.is_null())
    });
    manager.signal(rustix::process::Signal::TERM);
    manager.wait();
    eventually("both jobs end without a manager", || ledger.count("end") == 2);
    let answer = place.gjob(&["attach"]).output();
    assert_all_done(&place, &answer, 2);
    ledger.assert_each_once(2);
}

#[test]
fn host_cut_off_for_a_while_loses_nothing() {
    let Some(bed) = NetBed::start(2) else { return };
    let place = Place::new();
    let ledger = Ledger::new(&place);
    place.file("jobs.txt", &ledger.jobs(30, "sleep 0.5"));
    let args = run_args(bed.ssh_config(), &["-H", "2/h1,2/h2", "jobs.txt"]);
    let manager = place.gjob(&args).start();
    eventually("some jobs have ended", || ledger.count("end") >= 6);
    bed.host(1).cut_off();
    eventually("the others go on", || ledger.count("end") >= 14);
    bed.host(1).heal();
    assert_all_done(&place, &manager.output(), 30);
    ledger.assert_each_once(30);
}

/// A run of three jobs, one at a time, whose manager is killed while the first
/// runs. Each shows the input file.
fn killed_while_the_first_job_holds_its_input(place: &Place) {
    place.file("input", "as it was\n");
    let go = place.path("go");
    let job = format!("while ! test -e {}; do sleep 0.05; done; cat input\n", go.display());
    place.file("jobs.txt", &job.repeat(3));
    let args = ["run", "-j", "1", "-f", "input", "--joblog", "log", "jobs.txt"];
    let manager = place.gjob(&args).start();
    eventually("the first job runs", || place.has_run() && !place.of_jobs("started")[0].is_null());
    manager.kill_9();
    std::fs::write(go, "").unwrap();
}

#[test]
fn attach_from_another_directory_uses_the_files_of_the_run_and_appends_to_its_joblog() {
    let place = Place::new();
    killed_while_the_first_job_holds_its_input(&place);
    let elsewhere = place.path("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::write(elsewhere.join("input"), "another file\n").unwrap();
    let log = place.path("here/log");
    let args = ["attach", "--show", "all", "-k", "--joblog", log.to_str().unwrap()];
    let answer = place.gjob(&args).current_dir(&elsewhere).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert_eq!(answer.stdout, "as it was\n".repeat(3));
    let log = lines(&log);
    assert_eq!(log.len(), 4, "{log:?}");
}

#[test]
fn changed_input_fails_the_jobs_that_still_need_it() {
    let place = Place::new();
    place.file("input", "as it was\n");
    let bed = Bed::start(1);
    bed.host(1).stop();
    place.file("jobs.txt", "cat input\n");
    let args = run_args(bed.ssh_config(), &["-H", "h1", "-f", "input", "jobs.txt"]);
    let mut manager = place.gjob(&args).start();
    manager.wait_until_printed("1 host");
    manager.kill_9();
    bed.host(1).start();
    place.file("input", "now it is\n");
    place.gjob(&["attach"]).code(1).stderr(str![[r#"
run [DATE]-1 resumed: 1 job, 1 host
host h1 cannot start job 0: file "[PLACE]/here/input" changed: it must stay the same until the jobs are done
FAILED #0 on h1: file "[PLACE]/here/input" changed: it must stay the same until the jobs are done · cat input
help: `gjob logs 0 -R [DATE]-1` and `gjob explain 0 -R [DATE]-1` say more, `gjob retry --attach -R [DATE]-1` retries failed jobs
run [DATE]-1: 0 done, 1 failed in [ELAPSED]

"#]]).run();
}

#[test]
fn next_manager_gets_the_outcomes_from_a_host_that_refused_the_last_one() {
    let place = Place::new();
    let bed = Bed::start(1);
    let go = place.path("go");
    let job = format!("while ! test -e {}; do sleep 0.05; done; exit 5\n", go.display());
    place.file("jobs.txt", &job);
    let args = run_args(bed.ssh_config(), &["-H", "h1", "jobs.txt"]);
    let manager = place.gjob(&args).start();
    eventually("the job runs", || place.has_run() && !place.of_jobs("started")[0].is_null());
    manager.kill_9();
    bed.host(1).refuse_key();
    place.gjob(&["attach"]).code(3).stderr(str![[r#"
run [DATE]-1 resumed: 1 job, 1 host
host h1 failed: login was not permitted: root@127.0.0.1: Permission denied (publickey).
run [DATE]-1: 0 done, 1 left in [ELAPSED] (stopped: no usable host; resume with `gjob attach [DATE]-1`)

"#]]).run();
    assert_eq!(place.of_jobs("state"), ["unknown"]);
    std::fs::write(go, "").unwrap();
    bed.host(1).accept_key();
    place
        .gjob(&["attach"])
        .code(1)
        .stderr(str![[r#"
run [DATE]-1 resumed: 1 job, 1 host
FAILED #0 on h1: exit 5 · while ! test -e [PLACE]/go; do sleep 0.05; done; exit 5
help: `gjob logs 0 -R [DATE]-1` and `gjob explain 0 -R [DATE]-1` say more, `gjob retry --attach -R [DATE]-1` retries failed jobs
run [DATE]-1: 0 done, 1 failed in [ELAPSED]

"#]])
        .run();
    assert_eq!(place.of_jobs("exit"), [5]);
    assert_eq!(place.of_jobs("state"), ["error"]);
}
