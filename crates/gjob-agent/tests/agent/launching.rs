//! From a launch to its records.

use std::collections::HashSet;
use std::process::Stdio;
use std::time::SystemTime;

use gjob_core::record::Scope;
use gjob_core::wire::{FromAgent, PROTOCOL, Stream, ToAgent};
use gjob_core::{Cause, Ending, Key, Record, State};

use crate::driver::{Agent, Bed, eventually, kill_9, launch, pause};

fn output(agent: &mut Agent, id: &str, stream: Stream) -> String {
    agent.send(&ToAgent::Read {
        request: 9,
        id: id.parse().unwrap(),
        stream,
        offset: 0,
        max: 10_000,
    });
    match agent.answer() {
        FromAgent::Data { request: 9, bytes, size } => {
            assert_eq!(size, bytes.len() as u64);
            String::from_utf8(bytes).unwrap()
        }
        other => panic!("expected data, not {other:?}"),
    }
}

#[test]
fn exit_status_is_the_jobs_own() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 2);
    agent.launch(launch(0, "echo out; exit 7"));
    let id = agent.started(0);
    let finish = agent.finished(0);
    assert_eq!(finish.ending, Ending::Exit(7));
    assert_eq!(finish.cause, None);
    assert_eq!((finish.stdout_bytes, finish.stderr_bytes), (4, 0));
    assert_eq!(finish.id.as_str(), id);
    assert!(finish.ended >= finish.started);
    assert!(finish.max_rss_kib > 0);
    assert_eq!(output(&mut agent, &id, Stream::Stdout), "out\n");
    assert_eq!(agent.leave(), Some(0));
    bed.wait_until_empty();
}

#[test]
fn signal_is_recorded_as_one() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let finish = agent.run(launch(0, "kill -SEGV $$"));
    assert_eq!(finish.ending, Ending::Signal(11));
}

#[test]
fn first_failing_command_ends_the_script() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let finish = agent.run(launch(0, "echo a >&2\nfalse\necho b"));
    assert_eq!(finish.ending, Ending::Exit(1));
    assert_eq!((finish.stdout_bytes, finish.stderr_bytes), (0, 2));
    assert_eq!(output(&mut agent, finish.id.as_str(), Stream::Stderr), "a\n");
}

#[test]
fn job_sees_its_variables_and_only_its_own() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    // Of its machine's ledger, only gjob wants to know.
    let script = "env | grep -E '^(GJOB|MINE)' | grep -vE 'WITHIN|LEDGER' | sort; umask; pwd";
    let mut job = launch(3, script);
    job.key.attempt = 2;
    job.request.name = Some("a name".into());
    job.request.repeat_index = 4;
    job.request.env = [("MINE".into(), "x y".into())].into();
    agent.launch(job);
    let Record::Started { id, .. } = agent.record() else {
        panic!("expected the start");
    };
    let Record::Finished(_) = agent.record() else {
        panic!("expected the end");
    };
    let host = agent.hostname();
    let dir = bed.results().join(id.as_str());
    let dir = dir.display();
    let umask = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    rustix::process::umask(umask);
    let umask = umask.as_raw_mode();
    assert_eq!(
        output(&mut agent, id.as_str(), Stream::Stdout),
        format!(
            "GJOB_ATTEMPT=2\nGJOB_CPUS={}\nGJOB_DIR={dir}\nGJOB_HOST={host}\nGJOB_ID={id}\n\
             GJOB_INDEX=3\nGJOB_NAME=a name\nGJOB_REPEAT=4\nGJOB_RUN=2026-11-22-1\nGJOB_SLOT=1\n\
             MINE=x y\n{umask:04o}\n{dir}\n",
            agent.welcome().cpus
        )
    );
}

#[test]
fn launch_sent_again_changes_nothing() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 2);
    for _ in 0..3 {
        agent.launch(launch(0, "sleep 0.2; echo ran"));
    }
    let id = agent.started(0);
    agent.launch(launch(0, "echo other"));
    agent.finished(0);
    agent.launch(launch(0, "echo other"));
    agent.expect_no_record();
    assert_eq!(output(&mut agent, &id, Stream::Stdout), "ran\n");
}

#[test]
fn withdrawn_launch_never_starts() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let key = Key::new(5, 1);
    agent.send(&ToAgent::Withdraw { key });
    assert!(matches!(agent.record(), Record::Withdrawn { key: found, .. } if found == key));
    agent.launch(launch(5, "true"));
    agent.send(&ToAgent::Withdraw { key });
    agent.expect_no_record();
    agent.kill_9();
    let mut next = bed.attach(2, 0, 1);
    assert!(matches!(next.record(), Record::Withdrawn { .. }));
    next.launch(launch(5, "true"));
    next.expect_no_record();
}

#[test]
fn waiting_launch_can_be_withdrawn_and_a_running_one_cannot() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    agent.launch(launch(0, "sleep 0.3"));
    agent.launch(launch(1, "true"));
    agent.started(0);
    agent.send(&ToAgent::Withdraw { key: Key::new(0, 1) });
    agent.send(&ToAgent::Withdraw { key: Key::new(1, 1) });
    assert!(matches!(agent.record(), Record::Withdrawn { key, .. } if key.index == 1));
    assert!(agent.finished(0).is_success());
    agent.expect_no_record();
}

#[test]
fn job_that_runs_too_long_is_ended_with_all_its_processes() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let mut job = launch(0, "sleep 300 & setsid sleep 300 & sleep 300");
    job.request.timeout_ms = Some(200);
    let finish = agent.run(job);
    assert_eq!(finish.ending, Ending::Signal(15));
    assert_eq!(finish.cause, Some(Cause::Timeout));
    agent.leave();
    bed.wait_until_empty();
}

#[test]
fn processes_that_a_job_leaves_running_are_ended() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let finish = agent.run(launch(0, "setsid sleep 300 & (trap '' TERM; sleep 300) & exit 3"));
    assert_eq!((finish.ending, finish.cause), (Ending::Exit(3), None));
    agent.leave();
    bed.wait_until_empty();
}

#[test]
fn input_with_a_bad_name_is_the_jobs_fault() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let mut job = launch(0, "true");
    job.request.env = [("A=B".into(), String::new())].into();
    agent.launch(job);
    match agent.record() {
        Record::Refused { scope, reason, .. } => {
            assert_eq!(scope, Scope::Job);
            assert!(reason.shown().contains("A=B"), "{reason:?}");
        }
        other => panic!("expected a refusal, not {other:?}"),
    }
    assert!(agent.run(launch(1, "true")).is_success());
}

#[test]
fn many_jobs_on_two_slots_leave_nothing_behind() {
    const JOBS: u32 = 300;
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 2);
    for index in 0..JOBS {
        agent.launch(launch(index, "true"));
    }
    let mut ids = HashSet::new();
    let mut numbers = HashSet::new();
    while ids.len() < JOBS as usize {
        if let Record::Finished(finish) = agent.record() {
            assert!(finish.is_success());
            numbers.insert(finish.key);
            assert!(ids.insert(finish.id));
        }
    }
    assert_eq!(numbers.len(), JOBS as usize);
    assert!(bed.processes().len() <= 5, "one agent, two slots with a shim each");
    agent.expect_no_record();
    assert_eq!(agent.leave(), Some(0));
    bed.wait_until_empty();
}

#[test]
fn job_directories_show_the_state_of_their_jobs() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 2);
    let done = agent.run(launch(0, "true")).id;
    let failed = agent.run(launch(1, "false")).id;
    agent.launch(launch(2, "sleep 300"));
    let busy = agent.started(2).parse().unwrap();
    let missing = "nowhere/2026-11-22-1".parse().unwrap();
    agent.send(&ToAgent::Status { request: 4, ids: vec![done, failed, busy, missing] });
    let states = vec![State::Done, State::Error, State::Busy, State::Unknown];
    assert_eq!(agent.answer(), FromAgent::Statuses { request: 4, states });
}

#[test]
fn echo_follows_what_was_sent_before_it() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    agent.launch(launch(0, "sleep 300"));
    let dir = bed.results().join(agent.started(0));
    agent.launch(launch(1, "true"));
    agent.send(&pause(0));
    agent.send(&ToAgent::Withdraw { key: Key::new(1, 1) });
    agent.send(&ToAgent::Echo { request: 9 });
    assert_eq!(agent.answer(), FromAgent::Echo { request: 9 });
    // The order is in its place, unless the slot has carried it out already.
    let order = bed.run_dir().join("orders/0.1");
    eventually("the order to be carried out", || dir.join(".controlled").exists());
    assert!(!order.exists());
    assert!(bed.run_dir().join("keys/1.1").is_symlink(), "the withdrawal was carried out");
}

#[test]
fn agent_without_a_run_makes_no_files() {
    let bed = Bed::new();
    let before = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64;
    let mut agent = Agent::start(&bed);
    let ToAgent::Attach(mut attach) = bed.attach_message(1, 0, 1) else { unreachable!() };
    attach.run = None;
    agent.send(&ToAgent::Attach(attach));
    let FromAgent::Welcome(welcome) = agent.next() else { panic!("no welcome") };
    let platform = format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH);
    assert_eq!(welcome.platform, platform);
    agent.send(&ToAgent::Ping { nonce: 8, echo_ms: 0 });
    let FromAgent::Pong { nonce: 8, at_ms: 1.., clock_ms } = agent.next() else {
        panic!("no pong")
    };
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64;
    let clocks = [before, welcome.clock_ms, clock_ms, now];
    assert!(clocks.is_sorted(), "{clocks:?}");
    agent.send(&ToAgent::Echo { request: 3 });
    assert_eq!(agent.next(), FromAgent::Echo { request: 3 });
    assert!(!bed.results().exists());
    agent.launch(launch(0, "true"));
    let (reason, permanent) = agent.fault();
    assert!(permanent && reason.contains("no run"), "{reason}");
}

#[test]
fn malformed_message_is_a_fault() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    agent.send(&bed.attach_message(2, 0, 1));
    assert!(agent.fault().1);
    assert_eq!(agent.exit_code(), Some(1));
}

#[test]
fn program_knows_its_protocol_and_its_hash() {
    let bed = Bed::new();
    let protocol = bed.command("agent").arg("--protocol").output().unwrap();
    assert_eq!(protocol.stdout, format!("{PROTOCOL}\n").as_bytes());
    let bytes = std::fs::read(crate::driver::program()).unwrap();
    let verify = |hash: &str| {
        let mut command = bed.command("agent");
        command.args(["--verify", hash]).stdout(Stdio::null());
        command.status().unwrap().success()
    };
    assert!(verify(blake3::hash(&bytes).to_hex().as_str()));
    assert!(!verify(blake3::hash(b"other").to_hex().as_str()));
}

/// Waits for the refusal of a launch that is sent now; its reason.
fn refusal(agent: &mut Agent, index: u32) -> String {
    agent.launch(launch(index, "true"));
    match agent.record() {
        Record::Refused { key, reason, scope: Scope::Host, .. } if key.index == index => {
            reason.shown().into()
        }
        other => panic!("expected a refusal of {index}, not {other:?}"),
    }
}

#[test]
fn launch_that_slots_die_of_is_refused_with_their_last_error() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let host_dir = bed.results().join(agent.hostname());
    std::fs::remove_dir(&host_dir).unwrap();
    std::fs::write(&host_dir, "").unwrap();
    let reason = refusal(&mut agent, 0);
    let expected = "slots die before they start it: exit 1: failed to set up: /";
    assert!(reason.starts_with(expected) && reason.ends_with(": not a directory"), "{reason}");
    std::fs::remove_file(&host_dir).unwrap();
    assert!(agent.run(launch(1, "true")).is_success());
}

#[test]
fn launch_whose_slots_are_killed_is_refused_with_the_signal() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let next = std::fs::File::create(bed.results().join(agent.hostname()).join(".next"));
    let next = next.unwrap();
    // Slots wait for this before they claim anything.
    next.lock().unwrap();
    agent.launch(launch(0, "true"));
    // One that dies before it was handed the launch counts for nothing.
    let refused = agent.record_while(|agent| {
        let slots = bed.processes().into_iter().filter(|pid| *pid != agent.pid());
        slots.for_each(kill_9);
    });
    match refused {
        Record::Refused { reason, .. } => {
            assert_eq!(reason, "slots die before they start it: signal 9");
        }
        other => panic!("expected a refusal, not {other:?}"),
    }
    next.unlock().unwrap();
    assert!(agent.run(launch(1, "true")).is_success());
}

#[test]
fn attempt_that_was_begun_without_a_record_of_it_is_lost_and_not_begun_again() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let of_another = bed.results().join(agent.run(launch(5, "true")).id.as_str());
    let host_dir = of_another.parent().unwrap();
    // As if its job had removed the claim, and killed the slot.
    let dir = host_dir.join("2026-11-22-9");
    std::fs::create_dir(&dir).unwrap();
    let job = std::fs::read_to_string(of_another.join(".job")).unwrap();
    let own = job.replace("\"5.1\"", "\"0.1\"");
    assert_ne!(own, job);
    std::fs::write(dir.join(".job"), own).unwrap();
    for file in [".pid", ".lock"] {
        std::fs::copy(of_another.join(file), dir.join(file)).unwrap();
    }
    let next = std::fs::File::open(host_dir.join(".next")).unwrap();
    next.lock().unwrap();
    agent.launch(launch(0, "true"));
    let agent_pid = agent.pid();
    let slot = || bed.processes().into_iter().find(|pid| *pid != agent_pid);
    // The slot that has run the other one waits for the lock by now, or will.
    eventually("the slot", || slot().is_some());
    agent.ping(0);
    kill_9(slot().unwrap());
    match agent.record() {
        Record::Lost { key, id, .. } => {
            assert_eq!(key, Key::new(0, 1));
            assert!(id.unwrap().as_str().ends_with("/2026-11-22-9"));
        }
        other => panic!("expected a loss, not {other:?}"),
    }
    next.unlock().unwrap();
}
