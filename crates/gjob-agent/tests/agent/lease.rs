//! A host that hears nothing of its manager ends the run's jobs by itself.

use std::time::{Duration, Instant};

use gjob_core::record::Scope;
use gjob_core::{Cause, Ending, Record};

use crate::driver::{Bed, eventually, is_alive, launch, pause, pid_in};

/// Several processes, one of them in a session of its own.
const SEVERAL: &str = "setsid sleep 300 & sleep 300 & sleep 300";

#[test]
fn lease_ends_a_job_whose_agent_was_killed() {
    let bed = Bed::new();
    let began = Instant::now();
    let mut agent = bed.attach_leased(1, 0, 1500);
    agent.launch(launch(0, SEVERAL));
    let id = agent.started(0);
    agent.kill_9();
    let finish = bed.finish_in_log(0);
    assert!((1.4..10.0).contains(&began.elapsed().as_secs_f64()), "{:?}", began.elapsed());
    assert_eq!((finish.ending, finish.cause), (Ending::Signal(15), Some(Cause::Lease)));
    assert_eq!(finish.id.as_str(), id);
    bed.wait_until_empty();
    let mut next = bed.attach(2, 0, 1);
    next.started(0);
    assert_eq!(next.finished(0), finish);
}

#[test]
fn lease_ends_a_paused_job_whose_agent_is_frozen() {
    let bed = Bed::new();
    let mut agent = bed.attach_leased(1, 0, 1500);
    agent.launch(launch(0, SEVERAL));
    let id = agent.started(0);
    agent.send(&pause(0));
    let controlled = bed.results().join(id).join(".controlled");
    eventually("the pause", || controlled.exists());
    agent.stop();
    assert_eq!(bed.finish_in_log(0).cause, Some(Cause::Lease));
    eventually("only the agent and its slot left", || bed.processes().len() == 2);
}

#[test]
fn job_that_ignores_the_end_of_its_lease_is_killed() {
    let bed = Bed::new();
    let mut agent = bed.attach_leased(1, 0, 500);
    agent.launch(launch(0, "trap '' TERM; while :; do sleep 300; done"));
    agent.started(0);
    agent.kill_9();
    let finish = bed.finish_in_log(0);
    assert_eq!((finish.ending, finish.cause), (Ending::Signal(9), Some(Cause::Lease)));
    bed.wait_until_empty();
}

/// As when the machine itself has stood still: its clock since boot has not gone on.
#[test]
fn lease_that_has_long_ended_by_the_wall_clock_kills_without_a_grace() {
    let bed = Bed::new();
    let mut agent = bed.attach_leased(1, 0, 600_000);
    agent.launch(launch(0, "echo $PPID > slot; trap '' TERM; while :; do sleep 300; done"));
    let slot = pid_in(&bed.results().join(agent.started(0)).join("slot"));
    let path = bed.run_dir().join("lease");
    let lease = std::fs::read_to_string(&path).unwrap();
    let clock = lease.find("\"until_clock_ms\":").unwrap() + "\"until_clock_ms\":".len();
    std::fs::write(&path, format!("{}1}}\n", &lease[..clock])).unwrap();
    let began = Instant::now();
    let slot = rustix::process::Pid::from_raw(slot as i32).unwrap();
    rustix::process::kill_process(slot, rustix::process::Signal::USR1).unwrap();
    assert_eq!(agent.finished(0).cause, Some(Cause::Clock));
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[test]
fn echoes_keep_a_lease_and_pings_alone_do_not() {
    const LEASE: Duration = Duration::from_millis(1000);
    let bed = Bed::new();
    let mut agent = bed.attach_leased(1, 0, LEASE.as_millis() as u64);
    agent.launch(launch(0, "echo $$ > shell; sleep 300"));
    let shell = bed.results().join(agent.started(0)).join("shell");
    let mut heard = 0;
    let until = Instant::now() + 3 * LEASE;
    while Instant::now() < until {
        heard = agent.ping(heard);
        std::thread::sleep(Duration::from_millis(50));
    }
    let shell = pid_in(&shell);
    assert!(is_alive(shell));
    let since = Instant::now();
    while is_alive(shell) {
        // Far from silent, but it hears nothing new of us.
        agent.ping(heard);
        assert!(since.elapsed() < 10 * LEASE);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(agent.finished(0).cause, Some(Cause::Lease));
    agent.leave();
    bed.wait_until_empty();
}

#[test]
fn launch_waits_for_the_lease_to_be_renewed() {
    let bed = Bed::new();
    let mut agent = bed.attach_leased(1, 0, 300);
    let began = agent.ping(0);
    let mut heard = began;
    eventually("the end of the lease", || {
        heard = agent.ping(0);
        heard > began + 300
    });
    agent.launch(launch(0, "true"));
    agent.expect_no_record();
    heard = agent.ping(0);
    agent.ping(heard);
    agent.started(0);
    assert!(agent.finished(0).is_success());
}

#[test]
fn slot_starts_nothing_under_a_lease_that_has_run_out() {
    let bed = Bed::new();
    let mut agent = bed.attach_leased(1, 0, 600_000);
    let path = bed.run_dir().join("lease");
    let lease = std::fs::read_to_string(&path).unwrap();
    let until = lease.find("\"until_ms\":").unwrap() + "\"until_ms\":".len();
    let rest = lease[until..].find(',').unwrap() + until;
    // As if the agent had slept between its look at the lease and its launch.
    std::fs::write(&path, format!("{}1{}", &lease[..until], &lease[rest..])).unwrap();
    agent.launch(launch(0, "true"));
    match agent.record() {
        Record::Refused { scope, reason, .. } => {
            assert_eq!(scope, Scope::Host);
            assert_eq!(reason, "cannot start a job under the run's lease: the lease has run out");
        }
        other => panic!("expected a refusal, not {other:?}"),
    }
}

#[test]
fn job_started_without_a_lease_gets_that_of_the_next_attachment() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    agent.launch(launch(0, SEVERAL));
    agent.started(0);
    assert!(!bed.run_dir().join("lease").exists());
    let offset = agent.offset;
    agent.kill_9();
    bed.attach_leased(2, offset, 500).kill_9();
    assert_eq!(bed.finish_in_log(0).cause, Some(Cause::Lease));
    bed.wait_until_empty();
}

#[test]
fn attachment_without_a_lease_ends_the_lease_and_not_the_job() {
    let bed = Bed::new();
    let mut agent = bed.attach_leased(1, 0, 1000);
    agent.launch(launch(0, "sleep 2"));
    agent.started(0);
    let offset = agent.offset;
    agent.kill_9();
    let mut next = bed.attach(2, offset, 1);
    assert!(next.finished(0).is_success());
}

#[test]
fn job_that_keeps_replacing_the_lease_ends_no_job_and_lifts_no_lease() {
    for replaced in ["echo x > $d/lease", "rm -rf $d/lease; mkdir $d/lease"] {
        let bed = Bed::new();
        let mut agent = bed.attach_leased(1, 0, 700);
        let d = bed.run_dir();
        let again = format!("until [ -e go ]; do {{ {replaced}; }} 2> /dev/null || :; done");
        let script = format!("d={}; {again}", d.display());
        agent.launch(launch(0, &script));
        let gate = bed.results().join(agent.started(0)).join("go");
        let mut heard = agent.ping(0);
        let until = Instant::now() + Duration::from_millis(2100);
        while Instant::now() < until {
            heard = agent.ping(heard);
            std::thread::sleep(Duration::from_millis(50));
        }
        std::fs::write(gate, "").unwrap();
        assert!(agent.finished(0).is_success(), "{replaced}");
        agent.ping(heard);
        agent.launch(launch(1, &script));
        agent.started(1);
        agent.kill_9();
        assert_eq!(bed.finish_in_log(1).cause, Some(Cause::Lease), "{replaced}");
    }
}

/// What a job puts in the place of its run's lease.
const REPLACED: [&str; 4] = [
    "echo x > $d/lease",
    "rm $d/lease",
    "rm $d/lease; mkdir $d/lease; touch $d/lease/x",
    "rm $d/lease; mkfifo $d/lease",
];

#[test]
fn job_that_replaces_the_lease_ends_no_job_and_lifts_no_lease() {
    for replaced in REPLACED {
        let bed = Bed::new();
        let mut agent = bed.attach_leased(1, 0, 1500);
        let script = format!("d={}; {replaced}", bed.run_dir().display());
        assert!(agent.run(launch(0, &script)).is_success());
        let mut heard = agent.ping(0);
        agent.launch(launch(1, "until [ -e go ]; do sleep 0.02; done"));
        let gate = bed.results().join(agent.started(1)).join("go");
        let until = Instant::now() + Duration::from_secs(3);
        while Instant::now() < until {
            heard = agent.ping(heard);
            std::thread::sleep(Duration::from_millis(50));
        }
        std::fs::write(gate, "").unwrap();
        assert!(agent.finished(1).is_success(), "{replaced}");
        agent.launch(launch(2, &format!("{script}; sleep 300")));
        agent.started(2);
        agent.kill_9();
        assert_eq!(bed.finish_in_log(2).cause, Some(Cause::Lease), "{replaced}");
    }
}
