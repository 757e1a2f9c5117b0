//! Ending jobs.

use std::path::PathBuf;
use std::time::Duration;

use gjob_core::record::RECORD_VERSION;
use gjob_core::wire::ToAgent;
use gjob_core::{Cause, Ending, Record};

use crate::driver::{Agent, Bed, eventually, is_alive, kill, launch, pause, pid_in, resume};

#[test]
fn kill_reaches_a_grandchild_in_a_session_of_its_own() {
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
fn job_that_ends_itself_on_term_keeps_its_exit_status() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    agent.launch(launch(0, "trap 'exit 42' TERM; echo > ready; while :; do sleep 0.02; done"));
    let id = agent.started(0);
    let ready = bed.results().join(&id).join("ready");
    eventually("the trap", || ready.exists());
    agent.send(&kill(0, 10_000));
    let finish = agent.finished(0);
    assert_eq!((finish.ending, finish.cause), (Ending::Exit(42), Some(Cause::Killed)));
}

#[test]
fn waiting_job_that_is_killed_is_withdrawn() {
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
fn job_of_an_earlier_agent_can_be_killed() {
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

/// A job that counts, and what it has counted to.
struct Counter {
    dir: PathBuf,
}

impl Counter {
    const SCRIPT: &str = "i=0; while [ ! -e end ]; do echo $((++i)) > count; sleep 0.01; done";

    fn start(bed: &Bed, agent: &mut Agent, timeout_ms: Option<u64>) -> Self {
        let mut job = launch(0, Counter::SCRIPT);
        job.request.timeout_ms = timeout_ms;
        agent.launch(job);
        let counter = Counter { dir: bed.results().join(agent.started(0)) };
        counter.wait_for_progress();
        counter
    }

    fn count(&self) -> String {
        std::fs::read_to_string(self.dir.join("count")).unwrap_or_default()
    }

    fn wait_for_progress(&self) {
        let before = self.count();
        eventually("it to count on", || !self.count().is_empty() && self.count() != before);
    }

    fn order(&self, agent: &mut Agent, order: &ToAgent) {
        let _ = std::fs::remove_file(self.dir.join(".controlled"));
        agent.send(order);
        eventually("the order to be obeyed", || self.dir.join(".controlled").exists());
    }

    fn pause(&self, agent: &mut Agent) {
        self.order(agent, &pause(0));
        let at = self.count();
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(self.count(), at, "it has stopped");
    }

    fn resume(&self, agent: &mut Agent) {
        self.order(agent, &resume(0));
        self.wait_for_progress();
    }
}

#[test]
fn job_is_paused_and_resumed_by_any_agent() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let counter = Counter::start(&bed, &mut agent, None);
    counter.pause(&mut agent);
    counter.resume(&mut agent);
    counter.pause(&mut agent);
    counter.pause(&mut agent);
    let offset = agent.offset;
    agent.kill_9();
    let mut next = bed.attach(2, offset, 1);
    counter.resume(&mut next);
    counter.pause(&mut next);
    counter.resume(&mut next);
    std::fs::write(counter.dir.join("end"), "").unwrap();
    assert!(next.finished(0).is_success());
    next.send(&pause(0));
    next.send(&resume(7));
    next.expect_no_record();
}

#[test]
fn paused_job_that_is_killed_dies() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let counter = Counter::start(&bed, &mut agent, None);
    counter.pause(&mut agent);
    agent.send(&kill(0, 10_000));
    let finish = agent.finished(0);
    assert_eq!((finish.ending, finish.cause), (Ending::Signal(15), Some(Cause::Killed)));
    agent.leave();
    bed.wait_until_empty();
}

#[test]
fn clock_of_a_timeout_stops_while_its_job_is_paused() {
    const TIMEOUT_MS: u64 = 800;
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let counter = Counter::start(&bed, &mut agent, Some(TIMEOUT_MS));
    counter.pause(&mut agent);
    std::thread::sleep(Duration::from_millis(TIMEOUT_MS));
    counter.resume(&mut agent);
    let finish = agent.finished(0);
    assert_eq!(finish.cause, Some(Cause::Timeout));
    let took = finish.ended.0 - finish.started.0;
    assert!((2 * TIMEOUT_MS..3 * TIMEOUT_MS + 1000).contains(&took), "{took} ms");
}

#[test]
fn order_by_hand_kills_and_has_no_reason_of_the_managers() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let order = format!(r#"[{RECORD_VERSION},{{"kill":{{"cause":"interrupted","grace_ms":0}}}}]"#);
    agent.launch(launch(0, &format!("ln -s '{order}' .control; kill -USR1 $PPID; sleep 300")));
    agent.started(0);
    assert_eq!(agent.finished(0).cause, Some(Cause::Killed));
}
