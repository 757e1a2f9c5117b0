//! Links over real ssh, to real sshds, with the real agent. The agent's
//! program has to be built before: `cargo build -p gjob-agent`.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test's helpers end it")]

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use gjob::inputs::{Content, InputFile};
use gjob::link::{
    Arrival, Channels, Handshakes, HostPlan, LinkCommand, LinkConfig, LinkEvent, LinkHandle,
    MemoryBudget, spawn,
};
use gjob::program::Programs;
use gjob_core::event::ClockOffset;
use gjob_core::wire::{BlobHash, FromAgent, ManagedAt, ToAgent, Welcome};
use gjob_core::{HostEntry, HostOptions, RunId};
use gjob_testbed::{Bed, NOWHERE, NetBed, STRANGER, is_installed, wait_within};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, Receiver};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Links of one process and what they say.
struct Links {
    programs: Arc<Programs>,
    limits: Arc<Handshakes>,
    channels: Channels,
    events: Receiver<Arrival>,
}

impl Links {
    fn new() -> Self {
        let programs = Arc::new(Programs::new());
        let built = programs.local();
        assert!(built.is_ok(), "build gjob-agent first: {built:?}");
        let (inbox, events) = mpsc::channel(64);
        let channels = Channels::new(inbox, MemoryBudget::new(64 << 20), MemoryBudget::new(0));
        Links { programs, limits: Arc::new(Handshakes::new()), channels, events }
    }

    /// A link to `name` for the run number `run`.
    fn open(&self, name: &str, run: u64, options: HostOptions) -> LinkHandle {
        let entry = HostEntry { name: name.to_owned(), ..HostEntry::local() };
        let options = HostOptions {
            results_dir: Some("my results".to_owned()),
            blob_budget: Some(u64::MAX),
            slots: Some(1),
            ..options
        };
        let config = LinkConfig {
            plan: Arc::new(HostPlan::new(entry, None, Arc::new(options)).unwrap()),
            run: RunId::new("2026-11-22", run).ok(),
            managed: ManagedAt::default(),
            programs: Arc::clone(&self.programs),
            epoch_base: 0,
            connections: Arc::default(),
            offset: Arc::new(AtomicU64::new(0)),
        };
        let limits = Arc::clone(&self.limits);
        spawn(&Handle::current(), run as usize, config, limits, self.channels.clone())
    }

    fn ssh(&self, bed: &Bed, name: &str) -> LinkHandle {
        self.open(name, 1, over(bed))
    }

    /// The next event; a run log's first lines, clocks and what takes a while apart.
    async fn event(&mut self) -> LinkEvent {
        loop {
            let event = tokio::time::timeout(PATIENCE, self.events.recv()).await;
            match event.expect("an event in time").expect("a sender is held").event {
                LinkEvent::Message(FromAgent::Records { .. })
                | LinkEvent::Clock(_)
                | LinkEvent::RoundTrip(_)
                | LinkEvent::Connecting { .. } => {}
                other => return other,
            }
        }
    }

    /// Waits for the link to come up; true when the program was sent for it.
    async fn up(&mut self) -> (bool, Box<Welcome>) {
        let mut sent = false;
        loop {
            match self.event().await {
                LinkEvent::Uploading { .. } => sent = true,
                LinkEvent::Up(welcome) => return (sent, welcome),
                other => panic!("{other:?}"),
            }
        }
    }

    async fn failure(&mut self) -> String {
        match self.event().await {
            LinkEvent::Failed { reason } => reason,
            other => panic!("{other:?}"),
        }
    }

    async fn fall(&mut self) -> String {
        match self.event().await {
            LinkEvent::Down { reason, .. } => reason,
            other => panic!("{other:?}"),
        }
    }
}

fn over(bed: &Bed) -> HostOptions {
    HostOptions { ssh_config: Some(bed.ssh_config().to_owned()), ..HostOptions::default() }
}

async fn close(link: LinkHandle) {
    link.close();
    link.ended().await;
}

/// Nothing of a link is left: no ssh here, no agent there.
fn assert_nothing_left(bed: &Bed) {
    wait_within(PATIENCE, "the end of all that ran there", || bed.processes().is_empty());
    let children = format!("/proc/{0}/task/{0}/children", std::process::id());
    let children = std::fs::read_to_string(children).unwrap_or_default();
    let is_ssh = |pid: &&str| {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.contains(&*bed.ssh_config().to_string_lossy())
    };
    assert_eq!(children.split_whitespace().find(is_ssh), None);
}

#[tokio::test]
async fn one_login_brings_the_program_and_the_agent() {
    let bed = Bed::start(1);
    let mut links = Links::new();
    for expected in [true, false] {
        let before = bed.host(1).logins();
        let link = links.ssh(&bed, "h1");
        let (sent, welcome) = links.up().await;
        assert_eq!(sent, expected);
        assert_eq!(bed.host(1).logins(), before + 1);
        assert!(welcome.results_dir.ends_with("/home/my results"), "{welcome:?}");
        close(link).await;
        assert_nothing_left(&bed);
    }
}

#[tokio::test]
async fn any_login_shell_and_noisy_start_up_files_will_do() {
    let bed = Bed::builder().noise("Welcome to the \u{1b}[1mmachine").start();
    let mut links = Links::new();
    for shell in ["sh", "bash", "dash", "csh", "tcsh", "fish", "zsh", "ksh"] {
        if !is_installed(shell) {
            continue;
        }
        bed.host(1).set_login_shell(shell);
        let link = links.ssh(&bed, "h1");
        links.up().await;
        close(link).await;
    }
    assert_nothing_left(&bed);
}

#[tokio::test]
async fn a_connection_killed_comes_back_by_itself() {
    let bed = Bed::start(1);
    let mut links = Links::new();
    let link = links.ssh(&bed, "h1");
    links.up().await;
    assert!(bed.host(1).kill_connections() > 0);
    assert!(links.fall().await.contains("closed"));
    let (sent, _) = links.up().await;
    assert!(!sent);
    close(link).await;
    assert_nothing_left(&bed);
}

#[tokio::test]
async fn a_host_that_refuses_is_tried_until_it_accepts() {
    let bed = Bed::start(1);
    let mut links = Links::new();
    bed.host(1).stop();
    let link = links.ssh(&bed, "h1");
    let reason = links.fall().await;
    assert!(reason.starts_with("the connection was refused: ssh: connect to host"), "{reason}");
    bed.host(1).start();
    loop {
        match links.event().await {
            LinkEvent::Up(_) => break,
            LinkEvent::Down { .. } | LinkEvent::Uploading { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    close(link).await;
    assert_nothing_left(&bed);
}

#[tokio::test]
async fn what_a_user_must_mend_is_said_once_in_sshs_words() {
    let bed = Bed::start(1);
    let mut links = Links::new();
    bed.host(1).refuse_key();
    for (name, said) in [
        (NOWHERE, "its name does not resolve: ssh: Could not resolve hostname"),
        (STRANGER, "its host key could not be verified: Host key verification failed"),
        ("h1", "login was not permitted: "),
    ] {
        let link = links.ssh(&bed, name);
        let reason = links.failure().await;
        assert!(reason.starts_with(said), "{reason}");
        link.ended().await;
    }
    assert!(links.events.try_recv().is_err());
}

#[tokio::test]
async fn many_logins_at_one_host_lose_none_to_a_default_sshd() {
    let bed = Bed::start(1);
    let mut links = Links::new();
    let opened: Vec<_> = (1..=24).map(|run| links.open("h1", run, over(&bed))).collect();
    for _ in &opened {
        links.up().await;
    }
    assert_eq!(bed.host(1).logins(), opened.len());
    opened.iter().for_each(LinkHandle::close);
    for link in opened {
        link.ended().await;
    }
    assert_nothing_left(&bed);
}

/// A file, and the hash the agent will check.
fn blob(dir: &std::path::Path, name: &str, content: &[u8]) -> (LinkCommand, BlobHash) {
    let path = dir.join(name);
    std::fs::write(&path, content).unwrap();
    let file = InputFile::hash(&path).unwrap();
    let hash = file.hash;
    (LinkCommand::SendBlob { content: Content::File(file.into()), from: 0, verify: false }, hash)
}

#[tokio::test]
async fn files_arrive_whole_between_other_messages() {
    let bed = Bed::start(1);
    let mut links = Links::new();
    let link = links.ssh(&bed, "h1");
    links.up().await;
    let big: Vec<u8> = (0..5_000_000u32).map(|i| (i ^ (i >> 8)) as u8).collect();
    let (send_big, big) = blob(bed.dir(), "big", &big);
    let (send_empty, empty) = blob(bed.dir(), "empty", b"");
    link.send(send_big);
    link.send(send_empty);
    link.send(LinkCommand::Send(ToAgent::Ping { nonce: 5, echo_ms: 0 }));
    let mut said = Vec::new();
    while said.len() < 3 {
        match links.event().await {
            LinkEvent::Message(message) => said.push(message),
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(said[0], FromAgent::Pong { nonce: 5, .. }), "{:?}", said[0]);
    let stored = |hash| FromAgent::BlobStored { hash };
    assert_eq!(said[1..], [stored(big), stored(empty)]);
    close(link).await;
    assert_nothing_left(&bed);
}

#[tokio::test]
async fn how_far_a_large_file_has_come_is_told_up_to_its_end() {
    let bed = Bed::start(1);
    let mut links = Links::new();
    let link = links.ssh(&bed, "h1");
    links.up().await;
    let (send, big) = blob(bed.dir(), "big", &vec![7; 9 << 20]);
    link.send(send);
    let (mut told, mut stored) = (Vec::new(), false);
    while !stored || told.last() != Some(&(9 << 20)) {
        match links.event().await {
            LinkEvent::Sending { hash, sent, size } => {
                assert_eq!((hash, size), (big, 9 << 20));
                told.push(sent);
            }
            LinkEvent::Message(FromAgent::BlobStored { .. }) => stored = true,
            other => panic!("{other:?}"),
        }
    }
    assert!(told.len() > 1 && told.is_sorted(), "{told:?}");
    close(link).await;
}

#[tokio::test]
async fn this_machine_needs_no_ssh() {
    let home = tempfile::tempdir().unwrap();
    let mut links = Links::new();
    let results_dir = home.path().join("r").display().to_string();
    let options = HostOptions { results_dir: Some(results_dir.clone()), ..HostOptions::default() };
    let config = LinkConfig {
        plan: Arc::new(HostPlan::new(HostEntry::local(), None, Arc::new(options)).unwrap()),
        run: RunId::new("2026-11-22", 1).ok(),
        managed: ManagedAt::default(),
        programs: Arc::clone(&links.programs),
        epoch_base: 0,
        connections: Arc::default(),
        offset: Arc::new(AtomicU64::new(0)),
    };
    let limits = Arc::clone(&links.limits);
    let link = spawn(&Handle::current(), 0, config, limits, links.channels.clone());
    let (sent, welcome) = links.up().await;
    assert!(!sent);
    assert_eq!(welcome.results_dir, results_dir);
    close(link).await;
}

#[tokio::test]
async fn the_clock_of_a_host_is_measured_when_its_link_comes_up() {
    let bed = Bed::start(1);
    let mut links = Links::new();
    let link = links.ssh(&bed, "h1");
    links.up().await;
    let ClockOffset { offset_ms, error_ms } = loop {
        let arrival = tokio::time::timeout(PATIENCE, links.events.recv()).await.unwrap();
        match arrival.unwrap().event {
            LinkEvent::Clock(offset) => break offset,
            LinkEvent::Message(FromAgent::Records { .. }) => {}
            other => panic!("{other:?}"),
        }
    };
    // One machine, one clock.
    assert!(offset_ms.unsigned_abs() <= error_ms, "{offset_ms} {error_ms}");
    close(link).await;
}

#[tokio::test]
#[ignore = "takes 40 s"]
async fn an_agent_that_hangs_is_given_up_within_40_seconds_and_replaced() {
    let bed = Bed::start(1);
    let mut links = Links::new();
    let link = links.ssh(&bed, "h1");
    links.up().await;
    let began = std::time::Instant::now();
    for process in bed.processes() {
        process.signal(rustix::process::Signal::STOP);
    }
    let reason = tokio::time::timeout(Duration::from_secs(40), links.fall()).await;
    assert_eq!(reason.unwrap(), "agent does not answer");
    assert!(began.elapsed() < Duration::from_secs(40));
    links.up().await;
    close(link).await;
}

#[tokio::test]
#[ignore = "takes a minute, and root"]
async fn a_network_cut_shows_within_60_seconds_and_heals_by_itself() {
    let Some(bed) = NetBed::start(1) else { return };
    let mut links = Links::new();
    let options =
        HostOptions { ssh_config: Some(bed.ssh_config().to_owned()), ..HostOptions::default() };
    let link = links.open("h1", 1, options);
    links.up().await;
    bed.host(1).cut_off();
    let reason = tokio::time::timeout(Duration::from_secs(60), links.fall()).await;
    assert_eq!(reason.unwrap(), "agent does not answer");
    links.fall().await;
    bed.host(1).heal();
    while !matches!(links.event().await, LinkEvent::Up(_)) {}
    close(link).await;
}
