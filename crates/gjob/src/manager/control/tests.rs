//! The socket with a small engine behind it.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use gjob_core::event::{HostChange, HostEvent, JobChange, JobEvent};
use gjob_core::halt::Halt;
use gjob_core::{Key, State, Tally, Timestamp, What};

use super::protocol::{Fault, parse};
use super::*;
use crate::store::StateDir;

/// A run's directory whose path is longer than a socket's address.
fn long_dir() -> (tempfile::TempDir, RunDir) {
    let temp = tempfile::tempdir().unwrap();
    let state = temp.path().join("d".repeat(120));
    let dir = StateDir::new(state).create_run(Timestamp(1_795_305_600_000)).unwrap();
    assert!(dir.path().as_os_str().len() > 108);
    (temp, dir)
}

fn listen(dir: &RunDir) -> Control {
    let control = Control::listen(dir, Waker::default());
    assert_eq!(control.problem(), None);
    control
}

fn next(control: &mut Control) -> (ClientId, Request) {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(asked) = control.next() {
            return asked;
        }
        assert!(std::time::Instant::now() < deadline, "nobody asks");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn raw(dir: &RunDir) -> (UnixStream, BufReader<UnixStream>) {
    let stream = socket::connect(dir.path()).unwrap().unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let reader = BufReader::new(stream.try_clone().unwrap());
    (stream, reader)
}

fn line(reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    line
}

fn event(text: &str) -> Event {
    let host = "h1".parse().unwrap();
    let change = HostChange::Unreachable { reason: text.into() };
    Event { seq: 3, at: Timestamp(5), what: What::Host(HostEvent { host, change }) }
}

#[test]
fn the_protocols_lines_are_those_of_version_5() {
    let text = |value: &Request| serde_json::to_string(value).unwrap();
    assert_eq!(text(&Request::of(Act::Kill, vec![1, 2])), r#"{"do":"kill","jobs":[1,2]}"#);
    assert_eq!(text(&Request::of(Act::Pause, vec![])), r#"{"do":"pause","jobs":[]}"#);
    assert_eq!(text(&Request::of(Act::Resume, vec![3])), r#"{"do":"resume","jobs":[3]}"#);
    assert_eq!(text(&Request::of(Act::Retry, vec![3])), r#"{"do":"retry","jobs":[3]}"#);
    let with_files = Request::Retry { jobs: vec![3], files: Some("inputs-7.db".into()), mem: None };
    assert_eq!(text(&with_files), r#"{"do":"retry","jobs":[3],"files":"inputs-7.db"}"#);
    let with_memory = Request::Retry { jobs: vec![3], files: None, mem: Some(7) };
    assert_eq!(text(&with_memory), r#"{"do":"retry","jobs":[3],"mem":7}"#);
    assert_eq!(text(&Request::Interrupt {}), r#"{"do":"interrupt"}"#);
    assert_eq!(text(&Request::Watch {}), r#"{"do":"watch"}"#);
    let refused = vec![Refusal { job: 2, why: "it is done".into() }];
    assert_eq!(
        serde_json::to_string(&Answer { ok: vec![1], refused }).unwrap(),
        r#"{"ok":[1],"refused":[{"job":2,"why":"it is done"}]}"#
    );
    let snapshot = Snapshot { jobs: Tally { free: 4, ..Tally::default() }, ended: None };
    assert_eq!(
        serde_json::to_string(&snapshot).unwrap(),
        r#"{"jobs":{"free":4,"busy":0,"done":0,"unknown":0,"error":0},"ended":null}"#
    );
    let add = Change::Slots { hosts: vec!["h1".parse().unwrap()], slots: 2 };
    let changes = vec![add, Change::Halt { halt: Some(Halt::after_failures(3)) }];
    assert_eq!(
        text(&Request::Change { changes }),
        r#"{"do":"change","changes":[{"slots":{"hosts":["h1"],"slots":2}},{"halt":{"halt":"soon,fail=3"}}]}"#
    );
    assert_eq!(CONTROL_VERSION, 5);
}

#[test]
fn what_is_no_request_is_refused() {
    assert_eq!(parse(br#"{"do":"watch"}"#), Ok(Request::Watch {}));
    for bad in ["", "{}", "[]", r#"{"do":"kill"}"#, r#"{"do":"fly","jobs":[1]}"#, "\u{0}"] {
        assert!(parse(bad.as_bytes()).is_err(), "{bad}");
    }
    assert!(parse(br#"{"do":"kill","jobs":[1],"more":2}"#).is_err());
    assert!(parse(br#"{"do":"kill","jobs":[-1]}"#).is_err());
    let many = Request::of(Act::Kill, vec![0; MAX_JOBS + 1]);
    assert!(parse(&serde_json::to_vec(&many).unwrap()).is_err());
    let most = Request::of(Act::Kill, vec![u32::MAX; MAX_JOBS]);
    assert!(serde_json::to_vec(&most).unwrap().len() < MAX_LINE);
}

#[test]
fn a_client_is_greeted_and_answered_though_the_path_is_long() {
    let (_temp, dir) = long_dir();
    let mut control = listen(&dir);
    let (mut stream, mut reader) = raw(&dir);
    let hello = line(&mut reader);
    assert_eq!(hello, "{\"gjob\":\"control\",\"version\":5,\"run\":\"2026-11-22-1\"}\n");
    stream.write_all(b"{\"do\":\"kill\",\"jobs\":[0,3]}\n").unwrap();
    let (client, request) = next(&mut control);
    assert_eq!(request, Request::of(Act::Kill, vec![0, 3]));
    control.answer(client, &Answer { ok: vec![0, 3], refused: vec![] });
    assert_eq!(line(&mut reader), "{\"ok\":[0,3],\"refused\":[]}\n");
    control.close();
    assert_eq!(line(&mut reader), "", "the connection ends with the manager");
    assert!(ControlClient::connect(&dir).unwrap().is_none());
    assert!(!dir.path().join("control").exists());
}

#[test]
fn the_socket_is_the_users_alone() {
    let (_temp, dir) = long_dir();
    let _control = listen(&dir);
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&dir.path().join("control")) & 0o777, 0o600);
    assert_eq!(mode(dir.path()) & 0o777, 0o700);
}

#[test]
fn a_stale_socket_is_replaced() {
    let (_temp, dir) = long_dir();
    // A listener that is gone leaves its file.
    drop(socket::bind(dir.path()).unwrap());
    assert!(dir.path().join("control").exists());
    assert!(ControlClient::connect(&dir).unwrap().is_none());
    let _control = listen(&dir);
    assert!(ControlClient::connect(&dir).unwrap().is_some());
}

#[test]
fn nonsense_and_endless_lines_are_named_and_end_the_connection() {
    let (_temp, dir) = long_dir();
    let mut control = listen(&dir);
    for bad in ["nonsense\n".to_owned(), "x".repeat(MAX_LINE + 1)] {
        let (mut stream, mut reader) = raw(&dir);
        line(&mut reader);
        let _ = stream.write_all(bad.as_bytes());
        let said = std::thread::spawn(move || (line(&mut reader), line(&mut reader)));
        while !said.is_finished() {
            assert!(control.next().is_none());
            std::thread::sleep(Duration::from_millis(2));
        }
        let (fault, end) = said.join().unwrap();
        assert!(serde_json::from_str::<Fault>(&fault).is_ok(), "{fault}");
        assert_eq!(end, "");
    }
}

#[test]
fn a_watcher_hears_events_and_one_that_does_not_read_is_cut_off() {
    let (_temp, dir) = long_dir();
    let mut control = listen(&dir);
    let (mut stream, mut reader) = raw(&dir);
    line(&mut reader);
    stream.write_all(b"{\"do\":\"watch\"}\n").unwrap();
    let (client, _) = next(&mut control);
    control.notify(&event("too early"));
    control.watch(client, &Snapshot { jobs: Tally::default(), ended: None });
    control.notify(&event("heard"));
    assert!(line(&mut reader).starts_with("{\"jobs\":"));
    assert_eq!(
        line(&mut reader),
        "{\"seq\":3,\"at\":5,\"host\":\"h1\",\"event\":\"host-unreachable\",\"reason\":\"heard\"}\n"
    );
    let began = std::time::Instant::now();
    while control.clients.contains_key(&client) {
        control.notify(&event(&"x".repeat(1000)));
        assert!(began.elapsed() < Duration::from_secs(20), "the watcher blocks or stays");
    }
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).unwrap();
}

#[test]
fn events_come_as_they_went_about_jobs_never_attempted_too() {
    let key = Key::new(3, 0);
    let reason = Some("killed".to_owned());
    for (key, change) in [
        (key, JobChange::Paused),
        (Key::new(3, 2), JobChange::Resumed),
        (key, JobChange::Reopened),
        (key, JobChange::Ended { state: State::Error, reason }),
    ] {
        let what = What::Job(JobEvent { key, change });
        let event = Event { seq: 1, at: Timestamp(5), what };
        assert_eq!(protocol::event(&protocol::line(&event).unwrap()).unwrap(), event);
    }
    assert!(
        protocol::event(b"{\"seq\":1,\"at\":5,\"event\":\"job-paused\",\"key\":\"x.0\"}").is_err()
    );
}

#[test]
fn clients_are_bounded() {
    let (_temp, dir) = long_dir();
    let _control = listen(&dir);
    let clients: Vec<_> = (0..32).map(|_| ControlClient::connect(&dir).unwrap().unwrap()).collect();
    let (_stream, mut reader) = raw(&dir);
    line(&mut reader);
    let fault: Fault = serde_json::from_str(&line(&mut reader)).unwrap();
    assert!(fault.error.contains("32 clients"), "{}", fault.error);
    drop(clients);
}
