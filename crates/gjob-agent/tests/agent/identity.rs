//! A pid is not a process: what is written down of an earlier one is never
//! acted on by what has its number now.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use gjob_agent::local;
use gjob_core::record::Loss;
use gjob_core::{Cause, Key, Record, State};
use serde_json::{Value, json};

use crate::driver::{Agent, Bed, kill, kill_9, launch, pause, pid_in, resume};

/// Nobody's job, with a pid that a job's files name. Any signal would end it.
struct Bystander {
    child: Child,
}

impl Bystander {
    fn new() -> Self {
        use std::os::unix::process::CommandExt as _;
        Bystander { child: Command::new("sleep").arg("300").process_group(0).spawn().unwrap() }
    }

    /// What would name it.
    fn identity(&self) -> Value {
        let pid = self.child.id();
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let start: u64 =
            stat.rsplit(") ").next().unwrap().split(' ').nth(19).unwrap().parse().unwrap();
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        json!({ "boot_id": boot.trim(), "pid": pid, "start": start })
    }

    /// What names an earlier process that had its pid.
    fn with_another_start(&self) -> Value {
        let mut identity = self.identity();
        identity["start"] = json!(identity["start"].as_u64().unwrap() - 1);
        identity
    }

    fn with_another_boot(&self) -> Value {
        let mut identity = self.identity();
        identity["boot_id"] = json!("00000000-0000-4000-8000-000000000000");
        identity
    }

    fn assert_untouched(mut self) {
        assert_eq!(self.child.try_wait().unwrap(), None);
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Makes a job's files name another process as its slot and as its shell.
fn forge(dir: &Path, identity: &Value) {
    let edit = |name: &str, change: &dyn Fn(&mut Value)| {
        let path = dir.join(name);
        let mut json: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        change(&mut json);
        std::fs::write(path, json.to_string()).unwrap();
    };
    edit(".lock", &|lock| lock["slot"] = identity.clone());
    edit(".pid", &|pid| {
        pid["slot"] = identity.clone();
        pid["job"] = identity.clone();
    });
}

/// Makes an attempt's claim name another process as its slot.
fn forge_claim(bed: &Bed, key: Key, identity: &Value) {
    let path = bed.run_dir().join("keys").join(key.to_string());
    let claim = std::fs::read_link(&path).unwrap();
    let mut words: Vec<String> = claim.to_str().unwrap().split(' ').map(str::to_owned).collect();
    words[2] = identity["pid"].to_string();
    words[3] = identity["start"].to_string();
    words[4] = identity["boot_id"].as_str().unwrap()[..8].to_owned();
    let forged = words.join(" ");
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(forged, path).unwrap();
}

/// A job that runs, and its directory.
fn running(bed: &Bed, agent: &mut Agent) -> PathBuf {
    agent.launch(launch(0, "echo $PPID > slot; echo $$ > shell; sleep 300"));
    let dir = bed.results().join(agent.started(0));
    pid_in(&dir.join("shell"));
    dir
}

/// A job of which nothing lives and nothing was recorded; the log's offset.
fn abandoned(bed: &Bed) -> (PathBuf, u64) {
    let mut agent = bed.attach(1, 0, 1);
    let dir = running(bed, &mut agent);
    let offset = agent.offset;
    agent.kill_9();
    kill_9(pid_in(&dir.join("slot")));
    bed.empty();
    (dir, offset)
}

fn lost(agent: &mut Agent) -> (Loss, String) {
    match agent.record() {
        Record::Lost { how, reason, .. } => (how, reason.shown().into()),
        other => panic!("expected a loss, not {other:?}"),
    }
}

#[test]
fn slot_whose_pid_is_another_process_now_is_not_adopted_and_nothing_is_signalled() {
    let bed = Bed::new();
    let (dir, offset) = abandoned(&bed);
    let bystander = Bystander::new();
    forge(&dir, &bystander.with_another_start());
    forge_claim(&bed, Key::new(0, 1), &bystander.with_another_start());
    let mut agent = bed.attach(2, offset, 1);
    assert_eq!(lost(&mut agent), (Loss::Slot, "its slot died while it was running".into()));
    bystander.assert_untouched();
}

#[test]
fn job_from_before_a_restart_is_lost_and_nothing_is_signalled() {
    let bed = Bed::new();
    let (dir, offset) = abandoned(&bed);
    let bystander = Bystander::new();
    forge(&dir, &bystander.with_another_boot());
    forge_claim(&bed, Key::new(0, 1), &bystander.with_another_boot());
    let mut agent = bed.attach(2, offset, 1);
    let reason = "the host was restarted while it was running".into();
    assert_eq!(lost(&mut agent), (Loss::Restart, reason));
    bystander.assert_untouched();
    assert!(agent.run(launch(1, "true")).is_success());
}

#[test]
fn job_that_had_ended_before_a_restart_keeps_its_exit_status() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let finish = agent.run(launch(0, "exit 4"));
    agent.leave();
    let log = bed.run_dir().join("log");
    let text = std::fs::read_to_string(&log).unwrap();
    let two: String = text.lines().take(2).map(|line| format!("{line}\n")).collect();
    std::fs::write(&log, &two).unwrap();
    let bystander = Bystander::new();
    forge(&bed.results().join(finish.id.as_str()), &bystander.with_another_boot());
    forge_claim(&bed, Key::new(0, 1), &bystander.with_another_boot());
    let mut next = bed.attach(2, two.len() as u64, 1);
    assert_eq!(next.finished(0), finish);
    bystander.assert_untouched();
}

#[test]
fn order_does_not_reach_another_process_with_the_slots_pid() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let dir = running(&bed, &mut agent);
    let bystander = Bystander::new();
    for identity in [bystander.with_another_start(), bystander.with_another_boot()] {
        let key = Key::new(0, 1);
        forge(&dir, &identity);
        forge_claim(&bed, key, &identity);
        agent.send(&pause(0));
        agent.send(&resume(0));
        agent.expect_no_record();
    }
    // The agent knows its slot.
    agent.send(&kill(0, 0));
    assert_eq!(agent.finished(0).cause, Some(Cause::Killed));
    bystander.assert_untouched();
}

#[test]
fn kill_by_hand_does_not_reach_another_process_with_the_pid() {
    let bed = Bed::new();
    let (dir, _) = abandoned(&bed);
    let bystander = Bystander::new();
    for identity in [bystander.with_another_start(), bystander.with_another_boot()] {
        forge(&dir, &identity);
        assert_eq!(local::status(&dir).unwrap(), State::Unknown);
        local::kill(&dir, Duration::from_millis(10)).unwrap();
    }
    bystander.assert_untouched();
}

/// Whoever can write a job's files could name any process in them.
#[test]
fn process_that_is_only_named_in_a_jobs_files_is_not_signalled() {
    let bed = Bed::new();
    let (dir, _) = abandoned(&bed);
    let bystander = Bystander::new();
    forge(&dir, &bystander.identity());
    assert!(local::pause(&dir).is_err());
    local::kill(&dir, Duration::from_millis(10)).unwrap();
    bystander.assert_untouched();
}

/// The order to wake up would end any process but a slot.
#[test]
fn process_that_is_only_named_in_a_lock_is_not_adopted() {
    let bed = Bed::new();
    let (dir, offset) = abandoned(&bed);
    let bystander = Bystander::new();
    forge(&dir, &bystander.identity());
    let mut agent = bed.attach_changed(|attach| {
        attach.epoch = gjob_core::Epoch(2);
        attach.offset = offset;
        attach.lease_ms = Some(600_000);
    });
    assert_eq!(lost(&mut agent).0, Loss::Slot);
    bystander.assert_untouched();
}
