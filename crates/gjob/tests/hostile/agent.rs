//! An agent that speaks the protocol and does what its role says: this test
//! program itself, started over ssh by a script that stands for `gjob-agent`.

use std::io::{Read, Write};

use gjob_core::record::{Loss, Scope};
use gjob_core::wire::{
    BlobHash, FrameBuffer, FromAgent, OutputPart, Resume, ToAgent, Welcome, encode, magic_line,
};
use gjob_core::{Cause, Ending, Finish, JobId, Key, Record, Timestamp};

/// A file of the honest agent that takes several messages.
pub(crate) const BIG: usize = 1_000_000;

/// A file of which it is said how far it has come.
pub(crate) const LARGE: usize = 9 << 20;

/// What the honest agent sends.
pub(crate) fn big() -> Vec<u8> {
    (0..BIG as u32).map(|i| (i ^ (i >> 7)) as u8).collect()
}

/// Serves its link until that ends.
pub(crate) fn serve() {
    let home = std::env::var("HOME").unwrap();
    let role = std::fs::read_to_string(format!("{home}/role")).unwrap();
    // libtest may have begun a line.
    say_bytes(format!("\n{}", magic_line()).as_bytes());
    let (mut frames, mut piece) = (FrameBuffer::new(), [0; 4096]);
    let mut log = Log::default();
    loop {
        while let Some(message) = frames.next::<ToAgent>().unwrap() {
            log.keep(&role, &message);
            answer(&role, message);
        }
        match std::io::stdin().read(&mut piece) {
            Ok(count @ 1..) => frames.extend(&piece[..count]),
            _ => std::process::exit(0),
        }
    }
}

/// A run log that says of launches what the role wants.
#[derive(Default)]
struct Log {
    length: u64,
}

impl Log {
    fn keep(&mut self, role: &str, message: &ToAgent) {
        match message {
            ToAgent::Attach(attach) => self.length = attach.offset,
            ToAgent::Launch(launch) => records(role, launch.key).iter().for_each(|record| {
                let (offset, lines) = (self.length, record.to_line());
                self.length += lines.len() as u64;
                if role == "robbed" && is_taken(record, launch.key) {
                    return;
                }
                say(&FromAgent::Records { offset, lines });
            }),
            _ => {}
        }
    }
}

/// True the first time that an attempt begins: its job takes that from the agent's output.
fn is_taken(record: &Record, key: Key) -> bool {
    let home = std::env::var("HOME").unwrap();
    let begins = matches!(record, Record::Started { .. });
    begins && std::fs::File::create_new(format!("{home}/taken-{key}")).is_ok()
}

fn records(role: &str, key: Key) -> Vec<Record> {
    let at = Timestamp(if role == "boundless" { u64::MAX } else { 1 });
    let id: JobId = format!("node/2026-11-22-{}", key.index + 1).parse().unwrap();
    let number = if role == "boundless" { u64::MAX } else { 0 };
    let finished = |cause: Option<Cause>| {
        let ending = if cause.is_none() { Ending::Exit(0) } else { Ending::Signal(15) };
        Record::Finished(Finish {
            key: Some(key),
            id: id.clone(),
            ending,
            cause,
            started: at,
            ended: Timestamp(1),
            user_us: number,
            system_us: number,
            max_rss_kib: number,
            read_bytes: 0,
            written_bytes: 0,
            stdout_bytes: number,
            stderr_bytes: number,
            survivors: Vec::new(),
        })
    };
    let started = Record::Started { key, id: id.clone(), pid: 1, at, processors: Vec::new() };
    let end = match role {
        "interrupts" => finished(Some(Cause::Interrupted)),
        "supersedes" => finished(Some(Cause::Superseded)),
        "mute" => return Vec::new(),
        "withdraws" => return vec![Record::Withdrawn { key, at }],
        "restarts" => {
            let (how, reason) = (Loss::Restart, "it says so".into());
            Record::Lost { key, how, id: None, reason, survivors: Vec::new(), at }
        }
        _ => finished(None),
    };
    vec![started, end]
}

fn answer(role: &str, message: ToAgent) {
    match message {
        ToAgent::Attach(attach) => {
            say(&FromAgent::Welcome(Box::new(Welcome {
                version: "0".into(),
                platform: "linux-x86_64".to_owned(),
                clock_ms: 0,
                hostname: "node".into(),
                boot_id: "b".to_owned(),
                results_dir: attach.results_dir,
                cpus: if role == "greedy" { u32::MAX } else { 1 },
                memory_bytes: if role == "greedy" { u64::MAX } else { 1 },
                slots: if role == "greedy" { u32::MAX } else { attach.slots.unwrap_or(1) },
                gpus: if role == "greedy" { u32::MAX } else { 0 },
                place: String::new(),
                free_bytes: 0,
                damage: None,
            })));
            if role == "flood" {
                flood();
            }
        }
        ToAgent::Ping { nonce, .. } => say(&FromAgent::Pong { nonce, at_ms: 1, clock_ms: 1 }),
        ToAgent::Collect { request, resume, .. } => play(role, request, resume),
        ToAgent::Remove { request, jobs, .. } => {
            let kept = vec![(jobs[0].1.clone(), "it\u{1b}[1m runs".into())];
            say(&FromAgent::Removed { request, gone: jobs.len() as u32 - 1, kept });
        }
        ToAgent::Forget { request, .. } => {
            let result = match role {
                "honest" => Ok((2, 10)),
                _ => Err("\u{7}its disk is read-only".into()),
            };
            say(&FromAgent::Forgotten { request, result });
        }
        ToAgent::Detach => std::process::exit(0),
        _ => {}
    }
}

fn play(role: &str, request: u32, resume: Option<Resume>) {
    let parts = |parts: Vec<OutputPart>| say(&FromAgent::Outputs { request, parts });
    let collected = |files| say(&FromAgent::Collected { request, files });
    match role {
        "stalling" if request == 0 => parts(vec![head("a", 9, 0), OutputPart::Bytes(vec![1])]),
        "honest" | "stalling" => {
            parts(vec![dir("d"), head("d/big", BIG as u64, 0)]);
            big().chunks(200_000).for_each(|piece| parts(vec![OutputPart::Bytes(piece.to_vec())]));
            parts(vec![end(&big()), head("e", 0, 0), end(b"")]);
            collected(2);
        }
        "torn" => torn(request, resume),
        "grown" => grown(request, resume),
        "added" => added(request, resume.is_none()),
        "large" => {
            let content = vec![0; LARGE];
            parts(vec![head("large\u{202e}", LARGE as u64, 0)]);
            content
                .chunks(200_000)
                .for_each(|piece| parts(vec![OutputPart::Bytes(piece.to_vec())]));
            parts(vec![end(&content)]);
            collected(1);
        }
        "parent" => parts(vec![head("../escaped", 1, 0), OutputPart::Bytes(vec![1]), end(&[1])]),
        "absolute" => parts(vec![head("/tmp/gjob-test-escaped", 0, 0), end(b"")]),
        "escapes" => parts(vec![head("\u{1b}[2J\u{1b}]0;owned\u{7}\0", 0, 0), end(b"")]),
        "endless" => parts(vec![head("a", 1 << 63, 0)]),
        "longer" => parts(vec![head("a", 1, 0), OutputPart::Bytes(vec![0; 100_000])]),
        "forged" => parts(vec![head("a", 1, 0), OutputPart::Bytes(vec![0]), end(b"other")]),
        "twice" => parts(vec![head("a", 0, 0), end(b""), head("a", 0, 0)]),
        "miscounted" => collected(7),
        "million" => {
            for thousand in 0..1000 {
                let name = |at| format!("f{:07}", thousand * 1000 + at);
                parts((0..1000).flat_map(|at| [head(&name(at), 0, 0), end(b"")]).collect());
            }
            collected(0);
        }
        "swelling" => parts(vec![OutputPart::Bytes(Vec::new()); 250_000]),
        "bomb" => {
            let mut frame = (100_u32 | 1 << 31).to_le_bytes().to_vec();
            frame.extend(u32::MAX.to_le_bytes());
            frame.extend([0; 96]);
            say_bytes(&frame);
        }
        "rude" => {
            let reason = "\u{1b}[31mno such\noutput\u{202e}file".into();
            let (scope, is_gone) = (Scope::Job, false);
            say(&FromAgent::CollectFailed { request, reason, scope, is_gone });
        }
        "flood" => {}
        other => panic!("no role {other:?}"),
    }
}

/// The connection breaks in the middle; the next goes on from there.
fn torn(request: u32, resume: Option<Resume>) {
    let big = big();
    let (from, to) = match resume {
        None => (0, 600_000),
        Some(resume) => {
            assert_eq!(resume.after.as_deref(), Some("a"));
            let (path, got) = resume.partial.unwrap();
            assert_eq!(path, "d/big");
            (got as usize, BIG)
        }
    };
    let mut parts = Vec::new();
    if from == 0 {
        parts.extend([head("a", 0, 0), end(b"")]);
    }
    parts.push(head("d/big", BIG as u64, from as u64));
    say(&FromAgent::Outputs { request, parts });
    for piece in big[from..to].chunks(200_000) {
        let parts = vec![OutputPart::Bytes(piece.to_vec())];
        say(&FromAgent::Outputs { request, parts });
    }
    if to < BIG {
        std::process::exit(1);
    }
    say(&FromAgent::Outputs { request, parts: vec![end(&big)] });
    say(&FromAgent::Collected { request, files: 2 });
}

/// Answers to nothing, without end, to each of the manager's queues.
fn flood() {
    let (request, bytes) = (u32::MAX, vec![0; 250_000]);
    let parts = vec![OutputPart::Bytes(bytes.clone())];
    let pieces = [
        encode(&FromAgent::Data { request, bytes, size: u64::MAX }),
        encode(&FromAgent::Outputs { request, parts }),
    ];
    std::thread::spawn(move || {
        loop {
            pieces.iter().for_each(|piece| say_bytes(piece));
        }
    });
}

fn dir(path: &str) -> OutputPart {
    OutputPart::Dir { path: path.to_owned(), mode: 0o755 }
}

fn head(path: &str, size: u64, offset: u64) -> OutputPart {
    OutputPart::File { path: path.to_owned(), mode: 0o644, mtime_ns: 0, size, offset }
}

fn end(content: &[u8]) -> OutputPart {
    OutputPart::End { hash: BlobHash(*blake3::hash(content).as_bytes()) }
}

fn say(message: &FromAgent) {
    say_bytes(&encode(message));
}

fn say_bytes(bytes: &[u8]) {
    let mut stdout = std::io::stdout();
    if stdout.write_all(bytes).and_then(|()| stdout.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Its file grows while the link is broken.
fn grown(request: u32, resume: Option<Resume>) {
    let big = big();
    let parts = |parts: Vec<OutputPart>| say(&FromAgent::Outputs { request, parts });
    let Some(Resume { partial, .. }) = resume else {
        parts(vec![dir("d"), head("d/big", 100, 0), OutputPart::Bytes(big[..60].to_vec())]);
        std::process::exit(1);
    };
    let from = partial.map_or(0, |(_, got)| got);
    parts(vec![head("d/big", BIG as u64, from)]);
    for piece in big[from as usize..].chunks(200_000) {
        parts(vec![OutputPart::Bytes(piece.to_vec())]);
    }
    parts(vec![end(&big)]);
    say(&FromAgent::Collected { request, files: 1 });
}

/// A file comes up, while the link is broken, before one that was sent.
fn added(request: u32, anew: bool) {
    let parts = |parts: Vec<OutputPart>| say(&FromAgent::Outputs { request, parts });
    let first = std::env::var("HOME").unwrap() + "/broken";
    if !std::fs::exists(&first).unwrap() {
        std::fs::write(&first, "").unwrap();
        parts(vec![head("b", 0, 0), end(b""), head("c", 9, 0)]);
        std::process::exit(1);
    }
    if anew {
        parts(vec![head("a", 0, 0), end(b""), head("b", 0, 0), end(b"")]);
    }
    parts(vec![head("c", 0, 0), end(b"")]);
    say(&FromAgent::Collected { request, files: 3 });
}
