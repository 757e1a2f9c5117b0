//! Ending jobs.

use gjob_core::wire::ToAgent;
use gjob_core::{Cause, Ending, Key, Record};

use crate::driver::{Bed, is_alive, launch, pid_in};

fn kill(index: u32, grace_ms: u32) -> ToAgent {
    ToAgent::Kill { key: Key::new(index, 1), cause: Cause::Killed, grace_ms }
}

#[test]
fn a_kill_reaches_a_grandchild_in_a_session_of_its_own() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    agent.launch(launch(
        0,
        "(setsid bash -c 'trap \"\" TERM; echo $$ > sleeper; sleep 300; sleep 300' &)\nsleep 300",
    ));
    let id = agent.started(0);
    let sleeper = pid_in(&bed.results().join(&id).join("sleeper"));
    agent.send(&kill(0, 200));
    let finish = agent.finished(0);
    assert_eq!((finish.ending, finish.cause), (Ending::Signal(15), Some(Cause::Killed)));
    assert!(!is_alive(sleeper));
    agent.leave();
    bed.wait_until_empty();
}

#[test]
fn a_job_that_ends_itself_on_term_keeps_its_exit_status() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    agent.launch(launch(0, "trap 'exit 42' TERM; echo > ready; while :; do sleep 0.02; done"));
    let id = agent.started(0);
    let ready = bed.results().join(&id).join("ready");
    crate::driver::eventually("the trap", || ready.exists());
    agent.send(&kill(0, 10_000));
    let finish = agent.finished(0);
    assert_eq!((finish.ending, finish.cause), (Ending::Exit(42), Some(Cause::Killed)));
}

#[test]
fn a_waiting_job_that_is_killed_is_withdrawn() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    agent.launch(launch(0, "sleep 300"));
    agent.started(0);
    agent.launch(launch(1, "true"));
    agent.send(&kill(1, 0));
    assert!(matches!(agent.record(), Record::Withdrawn { key, .. } if key.index == 1));
    agent.send(&kill(0, 0));
    assert_eq!(agent.finished(0).cause, Some(Cause::Killed));
    agent.send(&kill(0, 0));
    agent.expect_no_record();
}

#[test]
fn a_job_of_an_earlier_agent_can_be_killed() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    agent.launch(launch(0, "sleep 300"));
    agent.started(0);
    let offset = agent.offset;
    agent.kill_9();
    let mut next = bed.attach(2, offset, 1);
    next.send(&kill(0, 1000));
    assert_eq!(next.finished(0).cause, Some(Cause::Killed));
    next.leave();
    bed.wait_until_empty();
}
