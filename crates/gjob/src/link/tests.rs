//! Links to agents that are scripts: what a real one can't be made to do.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use gjob_core::hosts::{ConnectCommand, HostLimits};
use gjob_core::wire::{Attach, FrameBuffer, ManagedAt, OutputPart, PROTOCOL, encode, magic_line};
use gjob_core::{HostEntry, HostLabel, HostOptions};
use tempfile::TempDir;
use tokio::sync::mpsc::Receiver;

use super::error::ConnectError;
use super::*;
use crate::inputs::InputFile;
use crate::program::Platform;

/// An agent that prints its magic line and the file `says`, keeps what it
/// hears in `heard`, and ends as `ending` has it.
struct Fake {
    dir: TempDir,
    events: Receiver<Arrival>,
    channels: Channels,
}

impl Fake {
    fn new(magic: &str, says: &[FromAgent], ending: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let said: Vec<u8> = says.iter().flat_map(encode).collect();
        std::fs::write(dir.path().join("says"), [magic.as_bytes(), &said].concat()).unwrap();
        let here = dir.path().display();
        let script = format!("#!/bin/sh\ncd {here}\necho $$ >>pids\ncat says\n{ending}\n");
        let program = dir.path().join("gjob");
        write_program(&program, &script);
        let (inbox, events) = mpsc::channel(4);
        let channels = Channels::new(inbox, MemoryBudget::new(64 << 20), MemoryBudget::new(0));
        Fake { dir, events, channels }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A link to this machine, or to the host `h` by a command.
    fn config(&self, connect: Option<&[&str]>) -> LinkConfig {
        let program = self.path().join("gjob");
        let programs = Programs::new().with_own(&program).with_agent(Platform::own(), &program);
        let words = |connect: &[&str]| connect.iter().map(|word| (*word).to_owned()).collect();
        let name = if connect.is_some() { "h" } else { HostLabel::LOCAL };
        let entry = HostEntry { name: name.to_owned(), ..HostEntry::local() };
        let options = HostOptions {
            connect: connect.map(|connect| ConnectCommand::new(words(connect)).unwrap()),
            blob_budget: Some(u64::MAX),
            slots: Some(2),
            ..HostOptions::default()
        };
        LinkConfig {
            plan: Arc::new(HostPlan::new(entry, None, Arc::new(options)).unwrap()),
            run: RunId::new("2026-11-22", 1).ok(),
            managed: ManagedAt::default(),
            programs: Arc::new(programs),
            epoch_base: 10,
            connections: Arc::default(),
            offset: Arc::new(AtomicU64::new(7)),
        }
    }

    fn spawn(&self) -> LinkHandle {
        self.spawn_as(self.config(None))
    }

    fn spawn_over(&self, connect: &[&str]) -> LinkHandle {
        self.spawn_as(self.config(Some(connect)))
    }

    fn spawn_as(&self, config: LinkConfig) -> LinkHandle {
        let limits = Arc::new(Handshakes::new());
        spawn(&Handle::current(), 3, config, limits, self.channels.clone())
    }

    /// The next event; what its clock is apart.
    async fn event(&mut self) -> LinkEvent {
        loop {
            let event = tokio::time::timeout(Duration::from_secs(20), self.events.recv());
            let Arrival { host, event, .. } = event.await.unwrap().unwrap();
            assert_eq!(host, 3);
            if !matches!(event, LinkEvent::Clock(_) | LinkEvent::RoundTrip(_)) {
                return event;
            }
        }
    }

    /// What the agent has read, but for the first ping, which is for the clock.
    fn heard(&self) -> Vec<ToAgent> {
        let mut frames = FrameBuffer::new();
        frames.extend(&std::fs::read(self.path().join("heard")).unwrap());
        let mut heard: Vec<ToAgent> = std::iter::from_fn(|| frames.next().unwrap()).collect();
        assert!(matches!(heard.remove(1), ToAgent::Ping { .. }));
        heard
    }

    /// A link to this machine waits for the end of what its program says, not for the program's own.
    fn await_end(&self) {
        gjob_testbed::eventually("the end of the program", || self.all_gone());
    }

    /// True when none of the agents that were started is left, not even unreaped.
    fn all_gone(&self) -> bool {
        let pids = std::fs::read_to_string(self.path().join("pids")).unwrap();
        pids.lines().all(|pid| !Path::new("/proc").join(pid).exists())
    }
}

/// Writes a script that can be run at once. Another process writes it: were it
/// open for writing here, a child that another test's thread is just about to
/// start would have it open too, and it could not be run ("text file busy").
pub(super) fn write_program(path: &Path, text: &str) {
    let mut writer = Command::new("/bin/sh")
        .args(["-c", "cat >\"$0\" && chmod 755 \"$0\""])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    writer.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(writer.wait().unwrap().success());
}

fn welcome() -> FromAgent {
    FromAgent::Welcome(Box::new(Welcome {
        version: "0.1.0".into(),
        platform: "linux-x86_64".to_owned(),
        clock_ms: 0,
        hostname: "node1".into(),
        boot_id: "b".to_owned(),
        results_dir: "/r".to_owned(),
        cpus: 4,
        memory_bytes: 1,
        slots: 2,
        gpus: 0,
        place: String::new(),
        free_bytes: 0,
        damage: None,
    }))
}

fn attach(host: &str, epoch: u64) -> ToAgent {
    ToAgent::Attach(Attach {
        lease_ms: None,
        blob_budget: u64::MAX,
        limits: HostLimits::default(),
        within: Vec::new(),
        managed: ManagedAt::default(),
        run: RunId::new("2026-11-22", 1).ok(),
        host: host.parse().unwrap(),
        results_dir: DEFAULT_RESULTS_DIR.to_owned(),
        epoch: gjob_core::Epoch(epoch),
        offset: 7,
        slots: Some(2),
    })
}

/// The agent listens until its input ends; its output stays open as long.
const LISTENS: &str = "cat >heard";

#[tokio::test(flavor = "multi_thread")]
async fn a_link_carries_messages_and_sends_what_is_queued_before_it_detaches() {
    let record = FromAgent::Records { offset: 7, lines: b"{}\n".to_vec() };
    let mut fake = Fake::new(&magic_line(), &[welcome(), record.clone()], LISTENS);
    let link = fake.spawn();
    assert!(matches!(fake.event().await, LinkEvent::Up(welcome) if welcome.hostname == "node1"));
    assert!(matches!(fake.event().await, LinkEvent::Message(message) if message == record));
    let question = ToAgent::Status { request: 1, ids: Vec::new() };
    link.send(LinkCommand::Send(question.clone()));
    let call = link.sender().call(&QueryStates { ids: Vec::new() });
    link.send(LinkCommand::Close);
    link.ended().await;
    assert!(call.await.is_err());
    let heard = fake.heard();
    assert_eq!(heard[..2], [attach(":", 11), question]);
    assert!(matches!(heard[2..], [ToAgent::Status { .. }, ToAgent::Detach]), "{heard:?}");
    fake.await_end();
    assert!(fake.events.try_recv().is_err());
}

#[tokio::test]
async fn files_go_in_pieces_and_one_that_is_not_there_is_said() {
    let mut fake = Fake::new(&magic_line(), &[welcome()], LISTENS);
    let file = fake.path().join("file");
    std::fs::write(&file, "content").unwrap();
    let (good, bad) = (BlobHash([1; 32]), BlobHash([2; 32]));
    let link = fake.spawn();
    assert!(matches!(fake.event().await, LinkEvent::Up(_)));
    let send = |file: InputFile| {
        let content = Content::File(Arc::new(file));
        link.send(LinkCommand::SendBlob { content, from: 0, verify: false });
    };
    let file = InputFile { hash: good, ..InputFile::hash(&file).unwrap() };
    send(file.clone());
    send(InputFile { hash: bad, path: fake.path().join("missing"), ..file });
    match fake.event().await {
        LinkEvent::BlobSourceFailed { hash, reason } => {
            assert_eq!(hash, bad);
            assert!(reason.contains("missing\" does not exist"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    link.close();
    link.ended().await;
    let heard = fake.heard();
    assert_eq!(heard[1], ToAgent::Blob { hash: good, size: 7, offset: 0 });
    assert_eq!(heard[2], ToAgent::BlobData { bytes: b"content".to_vec() });
    assert!(matches!(heard[3], ToAgent::Ping { .. }));
    assert_eq!(heard[4], ToAgent::Detach);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_link_comes_up_again_with_a_newer_epoch_and_forgets_what_was_queued() {
    let mut fake = Fake::new(
        &magic_line(),
        &[welcome()],
        "[ -e again ] && cat >heard\n>again\necho lost it >&2",
    );
    let link = fake.spawn();
    assert!(matches!(fake.event().await, LinkEvent::Up(_)));
    match fake.event().await {
        LinkEvent::Down { reason, retry_in } => {
            assert_eq!(reason, "the connection ended: lost it");
            assert!(retry_in <= Duration::from_millis(500));
        }
        other => panic!("{other:?}"),
    }
    link.send(LinkCommand::Send(ToAgent::BlobAbort));
    assert!(matches!(fake.event().await, LinkEvent::Up(_)));
    link.close();
    link.ended().await;
    assert_eq!(fake.heard(), [attach(":", 12), ToAgent::Detach]);
    fake.await_end();
}

/// The reason of the one event of a link that fails at once.
async fn failure(mut fake: Fake, connect: Option<&[&str]>) -> String {
    let link = fake.spawn_as(fake.config(connect));
    let reason = match fake.event().await {
        LinkEvent::Failed { reason } => reason,
        other => panic!("{other:?}"),
    };
    link.ended().await;
    assert!(fake.events.try_recv().is_err());
    reason
}

#[tokio::test]
async fn what_cannot_be_mended_by_trying_again_is_said_once() {
    let other = Fake::new("gjob-agent protocol 999\n", &[], LISTENS);
    let reason = failure(other, None).await;
    let own = format!("this program {PROTOCOL}");
    assert!(reason.contains("\"999\"") && reason.contains(&own), "{reason}");

    let fault = FromAgent::Fault { reason: "a newer\x1b[2J manager".into(), permanent: true };
    let fenced = Fake::new(&magic_line(), &[fault], LISTENS);
    assert_eq!(failure(fenced, None).await, "a newer [2J manager");

    let rude =
        Fake::new(&magic_line(), &[FromAgent::Pong { nonce: 1, at_ms: 1, clock_ms: 1 }], LISTENS);
    let reason = failure(rude, None).await;
    assert!(reason.contains("did not start with a welcome message"), "{reason}");

    let absent = Fake::new("", &[], "");
    let reason = failure(absent, Some(&["/no/such/transport"])).await;
    assert!(reason.starts_with("cannot start /no/such/transport"), "{reason}");
}

#[tokio::test]
async fn a_command_that_gives_no_shell_is_tried_again_and_its_own_words_are_shown() {
    let mut fake = Fake::new("", &[], "");
    let refuses = "echo starting >&2; echo Error: no such container {host} >&2; exit 1";
    let link = fake.spawn_over(&["sh", "-c", refuses]);
    for _ in 0..2 {
        match fake.event().await {
            LinkEvent::Down { reason, .. } => {
                assert_eq!(reason, "the connect command ended: Error: no such container h");
            }
            other => panic!("{other:?}"),
        }
    }
    link.close();
    link.ended().await;
}

#[tokio::test]
async fn frames_that_make_no_sense_take_the_link_down() {
    let mut fake = Fake::new(&magic_line(), &[welcome()], r"printf '\377\377\377\377'; cat >heard");
    let link = fake.spawn();
    assert!(matches!(fake.event().await, LinkEvent::Up(_)));
    match fake.event().await {
        LinkEvent::Down { reason, .. } => assert!(reason.contains("2147483647"), "{reason}"),
        other => panic!("{other:?}"),
    }
    link.close();
    link.ended().await;
}

#[tokio::test]
async fn a_host_that_floods_is_held_back_by_a_full_inbox_and_nothing_is_lost() {
    const PIECES: u32 = 400;
    let piece = FromAgent::Records { offset: 0, lines: vec![b'x'; 100_000] };
    let mut fake = Fake::new(
        &magic_line(),
        &[welcome()],
        "for i in $(seq 400); do cat piece && echo $i >sent; done; cat >heard",
    );
    std::fs::write(fake.path().join("piece"), encode(&piece)).unwrap();
    let link = fake.spawn();
    assert!(matches!(fake.event().await, LinkEvent::Up(_)));
    // Long enough for all of them, were it not held back.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let sent: u32 =
        std::fs::read_to_string(fake.path().join("sent")).unwrap().trim().parse().unwrap();
    // The inbox holds four, the link one and a part, the pipe a part.
    assert!((4..=7).contains(&sent), "{sent}");
    for _ in 0..PIECES {
        assert!(matches!(fake.event().await, LinkEvent::Message(message) if message == piece));
    }
    link.close();
    link.ended().await;
}

#[tokio::test]
async fn a_command_is_a_transport_and_goes_through_the_bootstrap() {
    let mut fake = Fake::new(&magic_line(), &[welcome()], LISTENS);
    let home = fake.path().join("home");
    std::fs::create_dir(&home).unwrap();
    let script = std::fs::read_to_string(fake.path().join("gjob")).unwrap();
    let verified = script.replacen('\n', "\n[ \"$2\" = --verify ] && exit 0\n", 1);
    write_program(&fake.path().join("gjob"), &verified);
    let link = fake.spawn_over(&["env", &format!("HOME={}", home.display())]);
    assert!(matches!(fake.event().await, LinkEvent::Uploading { bytes } if bytes > 0));
    assert!(matches!(fake.event().await, LinkEvent::Up(_)));
    assert!(home.join(DEFAULT_RESULTS_DIR).join(".gjob/bin").is_dir());
    link.close();
    link.ended().await;
    assert_eq!(fake.heard(), [attach("h", 11), ToAgent::Detach]);
    assert!(fake.all_gone());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handle_dropped_closes_its_link() {
    let mut fake = Fake::new(&magic_line(), &[welcome()], LISTENS);
    let link = fake.spawn();
    assert!(matches!(fake.event().await, LinkEvent::Up(_)));
    let LinkHandle { task, sender, closing } = link;
    drop((sender, closing));
    task.await.unwrap();
    fake.await_end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transport_that_hangs_is_ended_with_its_whole_group() {
    let fake = Fake::new("", &[], "");
    let here = fake.path().display();
    let script =
        format!("sleep 1000 & echo $! >{here}/pids; echo $$ >>{here}/pids; >{here}/up; wait");
    let link = fake.spawn_over(&["sh", "-c", &script]);
    let patience = Duration::from_secs(10);
    let is_up = || fake.path().join("up").exists();
    gjob_testbed::wait_within(patience, "the transport", is_up);
    link.close();
    link.ended().await;
    // Killed; reaped by the runtime and by init a moment later.
    gjob_testbed::wait_within(patience, "the end of the group", || fake.all_dead());
}

impl Fake {
    /// True when no agent or transport that was started still runs.
    fn all_dead(&self) -> bool {
        let pids = std::fs::read_to_string(self.path().join("pids")).unwrap();
        pids.lines().all(|pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.is_empty() || stat.contains(") Z ")
        })
    }
}

#[test]
fn a_host_that_was_up_is_out_only_for_what_no_time_mends() {
    let failed = |trouble| ConnectError::Transport(Diagnosis { trouble, said: String::new() });
    let gone = || ConnectError::Start {
        program: "ssh".to_owned(),
        source: std::io::ErrorKind::NotFound.into(),
    };
    for error in [failed(Trouble::Unresolved), failed(Trouble::Auth), gone()] {
        assert!(error.is_permanent(false) && !error.is_permanent(true), "{error}");
    }
    assert!(failed(Trouble::HostKey).is_permanent(true));
    assert!(!failed(Trouble::Refused).is_permanent(false));
}

/// A message that is small on the wire and of `parts` in memory.
fn empty_parts(parts: usize) -> FromAgent {
    FromAgent::Outputs { request: 0, parts: vec![OutputPart::Bytes(Vec::new()); parts] }
}

#[tokio::test]
async fn hosts_that_flood_share_one_room_and_none_holds_back_another() {
    let piece = FromAgent::Records { offset: 0, lines: vec![b'x'; 250_000] };
    let flood = "while cat piece; do echo x >>sent; done";
    let mut fake = Fake::new(&magic_line(), &[welcome()], flood);
    std::fs::write(fake.path().join("piece"), encode(&piece)).unwrap();
    let (inbox, events) = mpsc::channel(1024);
    fake.channels = Channels::new(inbox, MemoryBudget::new(8 << 20), MemoryBudget::new(0));
    fake.events = events;
    let links = [fake.spawn(), fake.spawn()];
    tokio::time::sleep(Duration::from_secs(2)).await;
    let sent = || std::fs::read(fake.path().join("sent")).unwrap().len() / 2;
    // 8 MiB of 250 kB, and what each link and pipe holds.
    assert!((30..50).contains(&sent()), "{}", sent());

    // A third comes up once there is room, and its outputs go past the rest.
    let answers = "grep -q -a needle; cat part; cat >heard";
    let other = Fake::new(&magic_line(), &[welcome()], answers);
    std::fs::write(other.path().join("part"), encode(&empty_parts(3))).unwrap();
    let config = other.config(None);
    let limits = Arc::new(Handshakes::new());
    let third = spawn(&Handle::current(), 4, config, limits, fake.channels.clone());
    let emptied = async { while fake.events.recv().await.is_some_and(|came| came.host != 4) {} };
    tokio::time::timeout(Duration::from_secs(20), emptied).await.unwrap();
    let id = "h/2026-11-22-1".parse().unwrap();
    let mut outputs = third.sender().collect(&id, &["needle\n".to_owned()], false, None);
    let part = tokio::time::timeout(Duration::from_secs(20), outputs.next()).await.unwrap();
    assert!(matches!(part, Ok(StreamPart::Parts(parts)) if parts.len() == 3));
    for link in links.into_iter().chain([third]) {
        link.close();
        link.ended().await;
    }
}

#[tokio::test]
async fn a_message_that_swells_in_memory_is_refused() {
    let mut fake = Fake::new(&magic_line(), &[welcome(), empty_parts(200_000)], LISTENS);
    let link = fake.spawn();
    assert!(matches!(fake.event().await, LinkEvent::Up(_)));
    match fake.event().await {
        LinkEvent::Down { reason, .. } => assert!(reason.contains("more parts"), "{reason}"),
        other => panic!("{other:?}"),
    }
    link.close();
    link.ended().await;
}
