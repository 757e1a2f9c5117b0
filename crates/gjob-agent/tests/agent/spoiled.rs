//! What a job does to its own directory keeps nobody from hearing of its end.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gjob_core::{Cause, Ending, Finish, Key, Record};

use crate::driver::{
    Agent, Bed, eventually, is_alive, kill, kill_9, kill_for, launch, pause, pid_in, resume,
};

/// An outcome that takes longer hangs on something.
const PROMPTLY: Duration = Duration::from_secs(10);

/// What closes a directory to its owner.
const CLOSINGS: [&str; 3] = ["chmod a-w .", "chmod 500 .", "chmod 000 ."];

/// Takes the directory away from under the job.
const REMOVE: &str = "rm -rf \"$PWD\"";

fn run_promptly(agent: &mut Agent, index: u32, script: &str) -> Finish {
    let began = Instant::now();
    let finish = agent.run(launch(index, script));
    assert!(began.elapsed() < PROMPTLY, "{script}: {:?}", began.elapsed());
    finish
}

/// What `.done` says of a job's exit; none when it is no exit record.
fn exit_in(dir: &Path) -> Option<u64> {
    let done: serde_json::Value =
        serde_json::from_slice(&std::fs::read(dir.join(".done")).ok()?).ok()?;
    done["ending"]["exit"].as_u64()
}

fn slots_err(bed: &Bed) -> String {
    std::fs::read_to_string(bed.run_dir().join("slots.err")).unwrap_or_default()
}

/// How often the run log tells how an attempt ended.
fn ends(bed: &Bed, index: u32) -> usize {
    let log = bed.log();
    let of_it = log.iter().filter(|record| record.key() == Some(Key::new(index, 1)));
    of_it.filter(|record| !matches!(record, Record::Started { .. })).count()
}

#[test]
fn closed_directory_is_opened_again_for_the_exit_record() {
    let bed = Bed::new();
    let mut agent = bed.attach_unprivileged(1, 0);
    for (index, closing) in CLOSINGS.iter().enumerate() {
        let finish = run_promptly(&mut agent, index as u32, &format!("{closing}; echo hi; exit 4"));
        assert_eq!((finish.ending, finish.stdout_bytes), (Ending::Exit(4), 3), "{closing}");
        let dir = bed.results().join(finish.id.as_str());
        assert_eq!(exit_in(&dir), Some(4), "{closing}");
        let mode = std::fs::metadata(&dir).unwrap().permissions().mode();
        assert_eq!(mode & 0o700, 0o700, "{closing}");
        assert!(!dir.join(".done.new").exists(), "{closing}");
    }
    assert_eq!(slots_err(&bed), "");
    assert!(run_promptly(&mut agent, 9, "true").is_success());
}

#[test]
fn job_that_has_closed_its_directory_can_be_killed() {
    let bed = Bed::new();
    let mut agent = bed.attach_unprivileged(1, 0);
    for (index, closing) in CLOSINGS.iter().enumerate() {
        let gate = bed.path().join(format!("closed{index}"));
        let script = format!("{closing}; touch {}; sleep 300", gate.display());
        agent.launch(launch(index as u32, &script));
        agent.started(index as u32);
        eventually("a closed directory", || gate.exists());
        agent.send(&kill(index as u32, 5000));
        let finish = agent.finished(index as u32);
        assert_eq!((finish.ending, finish.cause), (Ending::Signal(15), Some(Cause::Killed)));
    }
}

/// What takes a job's directory away, or puts another in its place.
const REMOVALS: [&str; 4] = [
    REMOVE,
    "rm -rf \"$PWD\"; mkdir \"$PWD\"",
    "rm -rf \"$PWD\"; ln -s / \"$PWD\"",
    "mv \"$PWD\" \"$PWD.aside\"; mkdir \"$PWD\"",
];

/// Starts a job that spoils its directory and goes on; the file it counts in.
fn start_spoilt(bed: &Bed, agent: &mut Agent, index: u32, spoil: &str) -> PathBuf {
    let count = bed.path().join(format!("count{index}"));
    let script = format!("{spoil}\nwhile :; do echo >> {}; sleep 0.01; done", count.display());
    agent.launch(launch(index, &script));
    agent.started(index);
    eventually("a spoilt directory", || count.exists());
    count
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().len()
}

#[test]
fn job_that_has_removed_its_directory_is_paused_resumed_and_killed() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    for (index, spoil) in (0..).zip(REMOVALS) {
        let count = start_spoilt(&bed, &mut agent, index, spoil);
        agent.send(&pause(index));
        let (mut last, mut since) = (length(&count), Instant::now());
        eventually("it to stand still", || {
            if length(&count) != last {
                (last, since) = (length(&count), Instant::now());
            }
            since.elapsed() > Duration::from_millis(200)
        });
        agent.send(&resume(index));
        eventually("it to go on", || length(&count) > last);
        agent.send(&kill(index, 5000));
        let finish = agent.finished(index);
        assert_eq!(
            (finish.ending, finish.cause),
            (Ending::Signal(15), Some(Cause::Killed)),
            "{spoil}"
        );
    }
    let orders = std::fs::read_dir(bed.run_dir().join("orders")).unwrap();
    assert_eq!(orders.count(), 0, "an order is taken away");
}

#[test]
fn job_that_has_removed_its_directory_is_killed_by_a_later_agent() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    start_spoilt(&bed, &mut agent, 0, REMOVE);
    let offset = agent.offset;
    agent.kill_9();
    let mut next = bed.attach(2, offset, 1);
    next.send(&kill_for(Cause::Superseded, 0, 0));
    assert_eq!(next.finished(0).cause, Some(Cause::Superseded));
    next.leave();
    bed.wait_until_empty();
}

#[test]
fn job_that_has_removed_its_directory_runs_out_of_time() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let mut job = launch(0, &format!("{REMOVE}; sleep 300"));
    job.request.timeout_ms = Some(100);
    let finish = agent.run(job);
    assert_eq!((finish.ending, finish.cause), (Ending::Signal(15), Some(Cause::Timeout)));
}

#[test]
fn exit_record_is_written_although_its_reserved_file_was_replaced() {
    let bed = Bed::new();
    let precious = bed.path().join("precious");
    std::fs::write(&precious, "precious").unwrap();
    let mut agent = bed.attach(1, 0, 1);
    let tricks = [
        "rm .done.new",
        "rm .done.new; mkdir .done.new",
        "rm .done.new; mkfifo .done.new",
        "rm .done.new; echo '{}' > .done.new",
        &format!("rm .done.new; ln {} .done.new", precious.display()),
        &format!("ln -sf {} .done.new", precious.display()),
        &format!("ln -sf {} .done", precious.display()),
        &format!("rm .done.new; ln -sf {0} .done; ln {0} .done.again", precious.display()),
        "rm .done.new; mkfifo .done.again",
        "chmod 000 .done.new",
    ];
    for (index, trick) in tricks.iter().enumerate() {
        let finish = run_promptly(&mut agent, index as u32, &format!("{trick}; exit 13"));
        assert_eq!(finish.ending, Ending::Exit(13), "{trick}");
        let dir = bed.results().join(finish.id.as_str());
        assert_eq!(exit_in(&dir), Some(13), "{trick}");
    }
    assert_eq!(std::fs::read_to_string(&precious).unwrap(), "precious");
    assert_eq!(slots_err(&bed), "");
}

#[test]
fn outcome_is_in_the_run_log_when_its_directory_cannot_hold_it() {
    let bed = Bed::new();
    let decoy = bed.path().join("decoy");
    std::fs::create_dir(&decoy).unwrap();
    let mut agent = bed.attach(1, 0, 1);
    let spoils = [
        "mkdir .done",
        "mkdir .done && touch .done/it",
        "rm .done.new; mkdir .done.again",
        REMOVE,
        &format!("{REMOVE}; mkdir \"$PWD\""),
        &format!("{REMOVE}; ln -s {} \"$PWD\"", decoy.display()),
        &format!("{REMOVE}; echo > \"$PWD\""),
        &format!("mv \"$PWD\" \"$PWD.aside\"; {REMOVE}; ln -s {} \"$PWD\"", decoy.display()),
    ];
    for (index, spoil) in spoils.iter().enumerate() {
        let finish = run_promptly(&mut agent, index as u32, &format!("{spoil}; exit 16"));
        assert_eq!(finish.ending, Ending::Exit(16), "{spoil}");
        let dir = bed.results().join(finish.id.as_str());
        assert_eq!(exit_in(&dir), None, "{spoil}");
        let aside = dir.with_file_name(format!("{}.aside", dir.file_name().unwrap().display()));
        assert_eq!(exit_in(&aside), spoil.starts_with("mv").then_some(16), "{spoil}");
        let complaint = format!("job {}: cannot write .done", finish.id);
        assert_eq!(slots_err(&bed).contains(&complaint), !spoil.starts_with("mv"), "{spoil}");
    }
    assert_eq!(std::fs::read_dir(&decoy).unwrap().count(), 0);
    assert!(run_promptly(&mut agent, 99, "true").is_success());
    assert_eq!(agent.leave(), Some(0));
    bed.wait_until_empty();
}

#[test]
fn job_whose_directory_is_gone_is_not_lost_while_its_slot_lives() {
    let spoils = [
        REMOVE,
        &format!("{REMOVE}; mkdir \"$PWD\""),
        &format!("{REMOVE}; ln -s / \"$PWD\""),
        "rm .lock",
        "chmod 000 .",
    ];
    for spoil in spoils {
        let bed = Bed::new();
        let mut agent = bed.attach_unprivileged(1, 0);
        let (spoilt, gate) = (bed.path().join("spoilt"), bed.path().join("gate"));
        let (touch, wait) = (spoilt.display(), gate.display());
        let script =
            format!("{spoil}; touch {touch}; until [ -e {wait} ]; do sleep 0.02; done; exit 16");
        agent.launch(launch(0, &script));
        agent.started(0);
        eventually("a spoilt directory", || spoilt.exists());
        let offset = agent.offset;
        agent.kill_9();
        let mut next = bed.attach_unprivileged(2, offset);
        next.expect_no_record();
        std::fs::write(&gate, "").unwrap();
        assert_eq!(next.finished(0).ending, Ending::Exit(16), "{spoil}");
        next.expect_no_record();
        assert_eq!(ends(&bed, 0), 1, "{spoil}");
    }
}

#[test]
fn orphans_are_ended_whatever_the_job_did_to_its_directory() {
    // By its environment, by its lock, and by descent.
    const LEAVE: [&str; 3] = [
        "setsid sleep 300 & echo $! > ../named",
        "(env -i setsid sleep 300 & echo $! > ../locked)",
        "bash -c 'env -i setsid sleep 300 9>&- 8>&- 7>&- 6>&- 5>&- 4>&- 3>&- & echo $! > ../born; \
         sleep 300' &",
    ];
    let spoils = REMOVALS.into_iter().chain(["chmod 000 .", "echo > .lock", "rm .lock .pid"]);
    let openable = |spoil: &str| spoil != REMOVE && !spoil.contains("ln -s");
    for (spoil, later) in spoils.flat_map(|spoil| [(spoil, false), (spoil, true)]) {
        let bed = Bed::new();
        let mut agent = bed.attach_unprivileged(1, 0);
        let at = |name: &str| bed.path().join(name);
        let leave = LEAVE.join("\n").replace("../", &format!("{}/", bed.path().display()));
        let script = format!(
            "{spoil}\n{leave}\necho $PPID > {}; echo $$ > {}; sleep 300",
            at("slot").display(),
            at("shell").display()
        );
        agent.launch(launch(0, &script));
        agent.started(0);
        let left = ["shell", "named", "locked", "born"].map(|name| (name, pid_in(&at(name))));
        if later {
            // One that has not inherited what its slots leave.
            let offset = agent.offset;
            agent.kill_9();
            agent = bed.attach_unprivileged(2, offset);
        }
        kill_9(pid_in(&at("slot")));
        match agent.record() {
            Record::Lost { key, reason, survivors, .. } => {
                assert_eq!((key, survivors), (Key::new(0, 1), vec![]), "{spoil}");
                let reason = reason.shown();
                let closed = reason.contains("cannot be opened");
                assert_eq!(closed, !openable(spoil), "{spoil}: {reason}");
            }
            other => panic!("expected a loss, not {other:?}"),
        }
        for (name, pid) in left {
            // What was moved away is called by its new name.
            let moved = later && name == "locked" && spoil.starts_with("mv");
            assert_eq!(is_alive(pid), moved, "{spoil}: {name}");
        }
        assert_eq!(ends(&bed, 0), 1, "{spoil}");
    }
}
