//! A run log that is not what it was.

use std::path::PathBuf;

use gjob_core::{Ending, Key, Record};

use crate::driver::{Agent, Bed, eventually, launch};

/// An agent that runs a job, and the file that the job waits for.
fn with_running_job(bed: &Bed) -> (Agent, PathBuf) {
    let gate = bed.path().join("gate");
    let mut agent = bed.attach(1, 0, 1);
    let script = format!("until [ -e {} ]; do sleep 0.02; done; exit 7", gate.display());
    agent.launch(launch(0, &script));
    agent.started(0);
    (agent, gate)
}

fn log(bed: &Bed) -> PathBuf {
    bed.run_dir().join("log")
}

/// Damages the log while the agent looks on; the offset the agent had sent it up to.
fn damage(bed: &Bed, mut agent: Agent, how: impl FnOnce(PathBuf)) -> u64 {
    how(log(bed));
    let (reason, permanent) = agent.fault();
    assert!(!permanent, "{reason}");
    assert!(reason.contains("follow the run: the run log "), "{reason}");
    agent.offset
}

#[test]
fn running_job_is_adopted_and_its_end_is_found_in_its_directory() {
    let damages: [fn(PathBuf); 4] = [
        |log| std::fs::write(log, "").unwrap(),
        |log| std::fs::write(log, "x\n".repeat(100_000)).unwrap(),
        |log| std::fs::remove_file(log).unwrap(),
        |log| std::fs::rename(&log, log.with_extension("old")).unwrap(),
    ];
    for how in damages {
        let bed = Bed::new();
        let (agent, gate) = with_running_job(&bed);
        let offset = damage(&bed, agent, how);
        let mut next = bed.attach(2, offset, 1);
        let damage = next.welcome().damage.clone().unwrap();
        assert!(damage.log_lost && !damage.claims_lost, "{damage:?}");
        // It goes on at the same offset, and says again what has begun.
        next.started(0);
        std::fs::write(&gate, "").unwrap();
        assert_eq!(next.finished(0).ending, Ending::Exit(7));
        assert!(next.run(launch(1, "true")).is_success());
        let offset = next.offset;
        next.leave();
        let mut last = bed.attach(3, offset, 1);
        assert_eq!(last.welcome().damage, None);
        last.expect_no_record();
    }
}

#[test]
fn attempts_that_were_begun_or_withdrawn_never_begin_again() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let count = bed.path().join("count");
    let counted = format!("echo >> {}", count.display());
    assert!(agent.run(launch(0, &counted)).is_success());
    agent.send(&gjob_core::wire::ToAgent::Withdraw { key: Key::new(1, 1) });
    assert!(matches!(agent.record(), Record::Withdrawn { .. }));
    let offset = damage(&bed, agent, |log| std::fs::remove_file(log).unwrap());
    let mut next = bed.attach(2, offset, 1);
    next.launch(launch(0, &counted));
    next.launch(launch(1, &counted));
    let (mut finished, mut withdrawn) = (0, 0);
    while finished + withdrawn < 2 {
        match next.record() {
            Record::Finished(_) => finished += 1,
            Record::Withdrawn { .. } => withdrawn += 1,
            other => panic!("unexpected {other:?}"),
        }
    }
    next.expect_no_record();
    assert_eq!((finished, withdrawn), (1, 1));
    assert_eq!(std::fs::read_to_string(&count).unwrap(), "\n");
}

#[test]
fn removed_claims_are_named_until_the_manager_sends_another_job() {
    let bed = Bed::new();
    let (mut agent, gate) = with_running_job(&bed);
    let offset = agent.offset;
    std::fs::remove_dir_all(bed.run_dir()).unwrap();
    agent.fault();
    for epoch in [2, 3] {
        let next = bed.attach(epoch, offset, 1);
        assert!(next.welcome().damage.as_ref().unwrap().claims_lost);
        next.leave();
    }
    // The job that runs still has what it had of the machine.
    let mut next = bed.attach_changed(|attach| {
        (attach.epoch, attach.offset) = (gjob_core::Epoch(4), offset);
        attach.limits.oversubscribe = Some(true);
    });
    assert!(next.run(launch(1, "true")).is_success());
    let offset = next.offset;
    next.leave();
    assert_eq!(bed.attach(5, offset, 1).welcome().damage, None);
    std::fs::write(&gate, "").unwrap();
    eventually("no process", || bed.processes().is_empty());
}
