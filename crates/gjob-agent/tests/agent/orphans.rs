//! Many jobs whose slots are dead, all at once.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use gjob_core::Record;
use gjob_testbed::Freezer;

use crate::driver::{Agent, Bed, eventually, is_alive, kill_9, launch, pid_in};

/// A manager that hears nothing for so long gives up the link.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(30);

/// Asked to end, it only takes note of it.
const DEAF: &str = "setsid bash -c 'trap \"echo > asked\" TERM; echo $$ > escaped; \
     while :; do sleep 0.05; done' &";

/// Jobs whose slots have died together with their agent.
struct Orphans {
    ids: Vec<String>,
    pids: Vec<u32>,
    /// Bytes of the run log before that.
    offset: u64,
}

fn orphans(bed: &Bed, count: u32, script: &str) -> Orphans {
    let mut agent = bed.attach(1, 0, count);
    for index in 0..count {
        agent.launch(launch(index, &format!("{script}\nsleep 300")));
    }
    let ids: Vec<String> = (0..count).map(|_| started(&agent.record())).collect();
    let pids = ids.iter().map(|id| pid_in(&bed.results().join(id).join("escaped"))).collect();
    let offset = agent.offset;
    agent.kill_9();
    for id in &ids {
        let lock = std::fs::read(bed.results().join(id).join(".lock")).unwrap();
        let lock: serde_json::Value = serde_json::from_slice(&lock).unwrap();
        let slot = lock["slot"]["pid"].as_u64().unwrap() as u32;
        kill_9(slot);
        eventually("the end of its slot", || !is_alive(slot));
    }
    Orphans { ids, pids, offset }
}

fn started(record: &Record) -> String {
    match record {
        Record::Started { id, .. } => id.to_string(),
        other => panic!("expected a start, not {other:?}"),
    }
}

/// The survivors of each of `count` jobs, as their losses name them.
fn losses(agent: &mut Agent, count: usize) -> Vec<Vec<u32>> {
    let records: Vec<Record> = (0..count).map(|_| agent.record()).collect();
    let mut keys = HashSet::new();
    let survivors = |record| match record {
        Record::Lost { key, survivors, .. } => {
            assert!(keys.insert(key), "{key} is lost once");
            survivors
        }
        other => panic!("expected a loss, not {other:?}"),
    };
    records.into_iter().map(survivors).collect()
}

#[test]
fn many_orphans_that_ignore_term_are_ended_together_while_the_agent_answers() {
    let bed = Bed::new();
    let orphans = orphans(&bed, 40, DEAF);
    let began = Instant::now();
    let mut agent = bed.attach(2, orphans.offset, 40);
    agent.ping(0);
    assert!(orphans.pids.iter().any(|pid| is_alive(*pid)), "the answer did not wait for them");
    assert_eq!(losses(&mut agent, 40), vec![Vec::<u32>::new(); 40]);
    assert!(began.elapsed() < SILENCE_TIMEOUT, "{:?}", began.elapsed());
    assert!(!orphans.pids.iter().any(|pid| is_alive(*pid)));
    for id in &orphans.ids {
        assert!(bed.results().join(id).join("asked").exists(), "TERM came before KILL");
    }
    assert!(agent.run(launch(99, "true")).is_success());
}

#[test]
fn many_orphans_that_cannot_be_ended_are_named_while_the_agent_answers() {
    let bed = Bed::new();
    let Some(freezer) = Freezer::new() else { return };
    let orphans = orphans(&bed, 20, &freezer.script());
    let began = Instant::now();
    let mut agent = bed.attach(2, orphans.offset, 20);
    agent.ping(0);
    let mut named: Vec<u32> = losses(&mut agent, 20).concat();
    assert!(began.elapsed() < SILENCE_TIMEOUT, "{:?}", began.elapsed());
    let mut frozen = orphans.pids;
    named.sort_unstable();
    frozen.sort_unstable();
    assert_eq!(named, frozen);
    assert!(agent.run(launch(99, "true")).is_success());
}

#[test]
fn agent_that_has_begun_to_end_orphans_finishes_it_before_it_leaves() {
    let bed = Bed::new();
    let orphans = orphans(&bed, 2, DEAF);
    assert_eq!(bed.attach(2, orphans.offset, 1).leave(), Some(0));
    assert!(!orphans.pids.iter().any(|pid| is_alive(*pid)));
    let lost = bed.log().into_iter().filter(|record| matches!(record, Record::Lost { .. }));
    assert_eq!(lost.count(), 2);
}
