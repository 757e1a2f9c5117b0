//! What a job does to outlive its end, and that nothing of it does.

use std::time::{Duration, Instant};

use gjob_core::{Cause, Record};
use gjob_testbed::Freezer;

use crate::driver::{Agent, Bed, eventually, is_alive, kill, kill_9, launch, pid_in};

/// Ways to get out of sight. Each leaves a process whose pid is in `escaped`.
const ESCAPES: [(&str, &str); 7] = [
    ("a session of its own", "setsid bash -c 'echo $$ > escaped; exec sleep 300' &"),
    ("forked twice", "(setsid bash -c 'bash -c \"echo \\$\\$ > escaped; exec sleep 300\" &' &)"),
    ("no environment", "env -i bash -c 'echo $$ > escaped; exec sleep 300' &"),
    (
        "no environment, its own session, parents gone",
        "(env -i setsid bash -c '(bash -c \"echo \\$\\$ > escaped; exec sleep 300\" &)' &)",
    ),
    (
        "deaf to TERM, HUP and INT",
        "setsid bash -c 'trap \"\" TERM HUP INT; echo $$ > escaped; while :; do sleep 1; done' &",
    ),
    ("stopped", "setsid bash -c 'echo $$ > escaped; kill -STOP $$; sleep 300' &"),
    (
        "stopped, and deaf",
        "bash -c 'trap \"\" TERM; echo $$ > escaped; kill -STOP $$; while :; do sleep 1; done' &",
    ),
];

/// Nothing but its parent leads to it: no environment, no lock, a session of its
/// own. Only its reaper can find it: its slot, and after that the slot's agent.
const NAMELESS: &str = "(env -i setsid bash -c '(bash -c \"for fd in /proc/self/fd/*; do \
     n=\\${fd##*/}; [ \\$n -lt 3 ] || eval exec \\$n\\>\\&-; done; \
     echo \\$\\$ > escaped; exec sleep 300\" &)' > /dev/null 2>&1 &)";

/// Forks without end (but for the end of its directory), in a session of its own: a chain, each link of which
/// ends as soon as it has forked the next.
const CHAIN: &str =
    "setsid bash -c 'trap \"\" TERM; f() { [ -e .cmds ] && echo $BASHPID > escaped && f & }; f' &";

/// The same, some ten times faster, where there is a perl.
const FAST_CHAIN: &str = "setsid perl -e '$SIG{TERM} = \"IGNORE\"; \
     while (-e \".cmds\") { open(F, \">escaped\"); print F \"$$\\n\"; close(F); exit if fork }' &";

/// The same, with nothing that leads to it but its reaper.
const NAMELESS_CHAIN: &str = "(env -i setsid perl -MPOSIX -e '$SIG{TERM} = \"IGNORE\"; \
     POSIX::close($_) for 3 .. 30; while (-e \".cmds\") { open(F, \">escaped\"); \
     print F \"$$\\n\"; close(F); exit if fork }' > /dev/null 2>&1 &)";

/// Forks without end: many that live for a while.
const SWARM: &str =
    "setsid bash -c 'trap \"\" TERM; echo $$ > escaped; while [ -e .cmds ]; do sleep 0.2 & done' &";

fn start(bed: &Bed, agent: &mut Agent, index: u32, escape: &str) -> (String, u32) {
    agent.launch(launch(index, &format!("{escape}\nsleep 300")));
    let id = agent.started(index);
    let escaped = pid_in(&bed.results().join(&id).join("escaped"));
    (id, escaped)
}

/// True while a process of the job is there, found as the job's directory
/// being its working directory.
fn anything_in(bed: &Bed, id: &str) -> Vec<u32> {
    let dir = bed.results().join(id);
    let processes = std::fs::read_dir("/proc").unwrap();
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid| std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == dir))
        .collect()
}

fn slot_of(bed: &Bed, id: &str) -> u32 {
    let lock = std::fs::read(bed.results().join(id).join(".lock")).unwrap();
    let lock: serde_json::Value = serde_json::from_slice(&lock).unwrap();
    lock["slot"]["pid"].as_u64().unwrap() as u32
}

#[test]
fn kill_leaves_no_process_however_it_hides() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    for ((how, escape), index) in ESCAPES.into_iter().chain([("nameless", NAMELESS)]).zip(0..) {
        let (id, escaped) = start(&bed, &mut agent, index, escape);
        agent.send(&kill(index, 200));
        assert_eq!(agent.finished(index).cause, Some(Cause::Killed), "{how}");
        assert!(!is_alive(escaped), "{how}");
        assert_eq!(anything_in(&bed, &id), Vec::<u32>::new(), "{how}");
    }
    agent.leave();
    bed.wait_until_empty();
}

#[test]
fn kill_ends_a_job_that_forks_without_end() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    for (escape, index) in [CHAIN, SWARM, FAST_CHAIN].into_iter().zip(0..) {
        let (id, _) = start(&bed, &mut agent, index, escape);
        agent.send(&kill(index, 100));
        assert_eq!(agent.finished(index).cause, Some(Cause::Killed), "{escape}");
        assert_eq!(anything_in(&bed, &id), Vec::<u32>::new(), "{escape}");
    }
    assert_eq!(std::fs::read_to_string(bed.run_dir().join("slots.err")).unwrap(), "");
}

/// An agent that does not inherit what its slots leave, for it has a child
/// already: that child's pid.
fn attach_without_inheriting(bed: &Bed) -> (Agent, u32) {
    let agent = bed.attach_behind("sleep 300 & echo $! > child");
    (agent, pid_in(&bed.path().join("child")))
}

#[test]
fn orphans_are_found_by_their_lock_and_ended() {
    let bed = Bed::new();
    let (mut agent, child) = attach_without_inheriting(&bed);
    for ((how, escape), index) in ESCAPES.into_iter().chain([("a swarm", SWARM)]).zip(0..) {
        let (id, escaped) = start(&bed, &mut agent, index, escape);
        kill_9(slot_of(&bed, &id));
        match agent.record() {
            Record::Lost { reason, .. } => {
                assert_eq!(reason, "its slot died while it was running", "{how}");
            }
            other => panic!("expected a loss, not {other:?}: {how}"),
        }
        assert!(!is_alive(escaped), "{how}");
        eventually("nothing left", || anything_in(&bed, &id).is_empty());
    }
    kill_9(child);
    agent.leave();
    bed.wait_until_empty();
}

#[test]
fn orphans_that_fork_without_end_are_ended() {
    let bed = Bed::new();
    let (mut agent, child) = attach_without_inheriting(&bed);
    for (escape, index) in [CHAIN, FAST_CHAIN].into_iter().zip(0..) {
        let (id, _) = start(&bed, &mut agent, index, escape);
        kill_9(slot_of(&bed, &id));
        match agent.record() {
            Record::Lost { reason, .. } => assert_eq!(reason, "its slot died while it was running"),
            other => panic!("expected a loss, not {other:?}"),
        }
        assert_eq!(anything_in(&bed, &id), Vec::<u32>::new());
    }
    kill_9(child);
}

/// Nothing leads to it but that it was the dead slot's.
#[test]
fn unmarked_orphan_is_ended_by_its_slots_agent() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 2);
    agent.launch(launch(9, "sleep 300"));
    let other = agent.started(9);
    let (id, escaped) = start(&bed, &mut agent, 0, NAMELESS);
    kill_9(slot_of(&bed, &id));
    assert!(matches!(agent.record(), Record::Lost { .. }));
    assert_eq!(anything_in(&bed, &id), Vec::<u32>::new());
    let stat = std::fs::read_to_string(format!("/proc/{escaped}/stat"));
    assert!(stat.is_err(), "it is reaped: {stat:?}");
    assert!(!anything_in(&bed, &other).is_empty(), "another slot's job goes on");
    assert!(agent.run(launch(1, "true")).is_success());
}

#[test]
fn unmarked_orphans_that_fork_without_end_are_ended_by_their_slots_agent() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let (id, _) = start(&bed, &mut agent, 0, NAMELESS_CHAIN);
    kill_9(slot_of(&bed, &id));
    assert!(matches!(agent.record(), Record::Lost { .. }));
    assert_eq!(anything_in(&bed, &id), Vec::<u32>::new());
    let last = bed.results().join(&id).join("escaped");
    let before = std::fs::read(&last).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(std::fs::read(&last).unwrap(), before, "nothing goes on");
}

/// The limit of what can be known: no mark of the job is on it, and who was to
/// reap it is gone as well.
#[test]
fn only_an_unmarked_orphan_outlives_a_slot_killed_after_its_agent() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let (id, escaped) = start(&bed, &mut agent, 0, NAMELESS);
    let offset = agent.offset;
    agent.kill_9();
    let mut next = bed.attach(2, offset, 1);
    kill_9(slot_of(&bed, &id));
    assert!(matches!(next.record(), Record::Lost { .. }));
    assert_eq!(anything_in(&bed, &id), [escaped]);
    kill_9(escaped);
}

#[test]
fn process_started_before_the_agent_is_not_ended() {
    let bed = Bed::new();
    let mut agent =
        bed.attach_behind("(sleep 300 & echo $! > stranger; sleep 300) & echo $! > parent");
    let stranger = pid_in(&bed.path().join("stranger"));
    kill_9(pid_in(&bed.path().join("parent")));
    let (id, _) = start(&bed, &mut agent, 0, NAMELESS);
    kill_9(slot_of(&bed, &id));
    assert!(matches!(agent.record(), Record::Lost { .. }));
    assert!(is_alive(stranger));
    anything_in(&bed, &id).into_iter().for_each(kill_9);
}

#[test]
fn survivor_is_named_and_does_not_delay_the_next_job() {
    let bed = Bed::new();
    let Some(freezer) = Freezer::new() else { return };
    let mut agent = bed.attach(1, 0, 1);
    let (id, escaped) = start(&bed, &mut agent, 0, &freezer.script());
    agent.send(&kill(0, 100));
    let finish = agent.finished(0);
    assert_eq!((finish.cause, &finish.survivors[..]), (Some(Cause::Killed), &[escaped][..]));
    assert!(is_alive(escaped));
    let done = std::fs::read_to_string(bed.results().join(id).join(".done")).unwrap();
    assert!(done.contains(&format!("\"survivors\":[{escaped}]")), "{done}");
    let said = std::fs::read_to_string(bed.run_dir().join("slots.err")).unwrap();
    assert!(said.ends_with(&format!(": could not end [{escaped}]\n")), "{said}");
    let began = Instant::now();
    assert!(agent.run(launch(1, "true")).is_success());
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[test]
fn survivor_of_a_dead_slots_job_is_named() {
    let bed = Bed::new();
    let Some(freezer) = Freezer::new() else { return };
    let mut agent = bed.attach(1, 0, 1);
    let (id, escaped) = start(&bed, &mut agent, 0, &freezer.script());
    kill_9(slot_of(&bed, &id));
    match agent.record() {
        Record::Lost { reason, survivors, .. } => {
            assert_eq!(
                (&*reason.shown(), survivors),
                ("its slot died while it was running", vec![escaped])
            );
        }
        other => panic!("expected a loss, not {other:?}"),
    }
    assert!(is_alive(escaped));
}

#[test]
fn survivor_is_named_once() {
    let bed = Bed::new();
    let Some(freezer) = Freezer::new() else { return };
    let mut agent = bed.attach(1, 0, 1);
    let (id, escaped) = start(&bed, &mut agent, 0, &freezer.script());
    kill_9(slot_of(&bed, &id));
    let of = |record| match record {
        Record::Lost { survivors, .. } => survivors,
        other => panic!("expected a loss, not {other:?}"),
    };
    assert_eq!(of(agent.record()), [escaped]);
    let (id, _) = start(&bed, &mut agent, 1, NAMELESS);
    kill_9(slot_of(&bed, &id));
    assert_eq!(of(agent.record()), Vec::<u32>::new());
}
