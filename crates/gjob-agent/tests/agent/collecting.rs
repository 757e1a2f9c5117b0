//! Outputs.

use gjob_core::record::Scope;
use gjob_core::wire::{BlobHash, CHUNK, FromAgent, OutputPart, Resume, ToAgent};

use crate::driver::{Agent, Bed, launch};
use crate::staging::{hash, input_file, store};

/// An output as it was received: its path, and a file's bytes from an offset on.
type Received = Vec<(String, Option<(u64, Vec<u8>)>)>;

fn ask(agent: &mut Agent, id: &str, patterns: &[&str], all: bool, resume: Option<Resume>) {
    let patterns = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
    agent.send(&ToAgent::Collect { request: 1, id: id.parse().unwrap(), patterns, all, resume });
}

fn receive(agent: &mut Agent) -> (Received, Result<u64, (String, Scope)>, u32) {
    let (mut received, mut messages): (Received, u32) = (Vec::new(), 0);
    loop {
        match agent.answer() {
            FromAgent::Outputs { request: 1, parts } => {
                messages += 1;
                assert!(parts.iter().map(length).sum::<usize>() <= CHUNK);
                parts.into_iter().for_each(|part| add(&mut received, part));
            }
            FromAgent::Collected { request: 1, files } => return (received, Ok(files), messages),
            FromAgent::CollectFailed { request: 1, reason, scope, .. } => {
                return (received, Err((reason.shown().into(), scope)), messages);
            }
            other => panic!("expected outputs, not {other:?}"),
        }
    }
}

fn length(part: &OutputPart) -> usize {
    match part {
        OutputPart::Dir { path, .. } | OutputPart::File { path, .. } => path.len(),
        OutputPart::Bytes(bytes) => bytes.len(),
        OutputPart::End { .. } => 0,
    }
}

fn add(received: &mut Received, part: OutputPart) {
    match part {
        OutputPart::Dir { path, .. } => received.push((path, None)),
        OutputPart::File { path, offset, .. } => received.push((path, Some((offset, Vec::new())))),
        OutputPart::Bytes(more) => {
            let (_, bytes) = received.last_mut().unwrap().1.as_mut().unwrap();
            bytes.extend(more);
        }
        OutputPart::End { hash: found } => {
            let (offset, bytes) = received.last().unwrap().1.as_ref().unwrap();
            assert!(*offset > 0 || found == hash(bytes));
        }
    }
}

fn paths(received: &Received) -> Vec<&str> {
    received.iter().map(|(path, _)| path.as_str()).collect()
}

fn run(agent: &mut Agent, script: &str) -> String {
    agent.run(launch(0, script)).id.to_string()
}

#[test]
fn outputs_come_sorted_and_once_each() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let input = hash(b"input");
    store(&mut agent, input, b"input");
    let script = "mkdir -p b/c empty 'b c' d; echo 1 > b/c/x.csv; echo 2 > b.csv; : > b/0
                  echo 3 > 'b c/z.txt'; echo no > d/no.txt; echo 4 > .hid.csv; echo said";
    let mut job = launch(0, script);
    job.files = vec![input_file("in.csv", input, 0o600)];
    let id = agent.run(job).id.to_string();
    let mut collect = |patterns: &[&str]| {
        ask(&mut agent, &id, patterns, true, None);
        let (received, end, _) = receive(&mut agent);
        let files = received.iter().filter(|(_, file)| file.is_some()).count();
        assert_eq!(end, Ok(files as u64));
        received
    };
    let all = collect(&["*.csv", "b", "b/c/*", "**/*.csv", "empty/", "*/z.txt", "log"]);
    let expected = ["b", "b/0", "b/c", "b/c/x.csv", "b c", "b c/z.txt", "b.csv", "empty", "log"];
    assert_eq!(paths(&all), expected);
    assert_eq!(all.last().unwrap().1, Some((0, b"said\n".to_vec())));
    assert_eq!(paths(&collect(&["in.csv", ".h*"])), [".hid.csv", "in.csv"]);
    let visible = collect(&["*"]);
    let expected =
        ["b", "b/0", "b/c", "b/c/x.csv", "b c", "b c/z.txt", "b.csv", "d", "d/no.txt", "empty"];
    assert_eq!(paths(&visible), expected);
}

#[test]
fn many_small_outputs_take_few_messages() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let id = run(&mut agent, "mkdir d; cd d; for i in $(seq 3000); do echo $i > $i; done");
    ask(&mut agent, &id, &["d"], true, None);
    let (received, end, messages) = receive(&mut agent);
    assert_eq!((received.len(), end), (3001, Ok(3000)));
    assert!(messages <= 4, "{messages}");
}

#[test]
fn outputs_continue_where_their_link_broke() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let script = "mkdir d; echo 1 > d/a; seq 1000000 > d/b; echo 2 > d/c; echo 3 > e";
    let id = run(&mut agent, script);
    let whole = std::fs::read(bed.results().join(&id).join("d/b")).unwrap();
    for (here, from) in [(5_000_000, 5_000_000), (whole.len(), whole.len()), (9_000_000, 0)] {
        let partial = Some(("d/b".to_owned(), here as u64));
        let resume = Resume { after: Some("d/a".to_owned()), partial };
        let mut agent = bed.attach_changed(|attach| attach.run = None);
        ask(&mut agent, &id, &["*"], true, Some(resume));
        let mut seen = Vec::new();
        let (received, end, _) = loop {
            match agent.answer() {
                FromAgent::Outputs { parts, .. } => seen.extend(parts),
                FromAgent::Collected { files, .. } => break (&seen, files, 0),
                other => panic!("expected outputs, not {other:?}"),
            }
        };
        assert_eq!(end, 4);
        let mut files: Received = Vec::new();
        let ends: Vec<BlobHash> = received.iter().filter_map(end_of).collect();
        received.iter().cloned().for_each(|part| add(&mut files, part));
        assert_eq!(paths(&files), ["d/b", "d/c", "e"]);
        assert_eq!(files[0].1, Some((from as u64, whole[from..].to_vec())));
        assert_eq!(ends[0], hash(&whole), "the hash is that of all of it");
    }
}

fn end_of(part: &OutputPart) -> Option<BlobHash> {
    match part {
        OutputPart::End { hash } => Some(*hash),
        OutputPart::Dir { .. } | OutputPart::File { .. } | OutputPart::Bytes(_) => None,
    }
}

#[test]
fn symlinks_that_stay_inside_are_followed() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let script = "mkdir -p d/e; echo 1 > d/e/f; ln -s d/e short; ln -s ../../d/e/f d/e/up
                  ln -s $PWD/d/e/f full; ln -s short/../e/f around";
    let id = run(&mut agent, script);
    ask(&mut agent, &id, &["short", "full", "around"], true, None);
    let (received, end, _) = receive(&mut agent);
    assert_eq!(end, Ok(4));
    assert_eq!(paths(&received), ["around", "full", "short", "short/f", "short/up"]);
    assert_eq!(received[0].1, Some((0, b"1\n".to_vec())));
}

#[test]
fn unacceptable_output_is_the_jobs_failure() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    std::fs::write(bed.results().join("secret"), "secret").unwrap();
    let link = "is a symbolic link";
    let cases = [
        ("mkfifo d/p", "\"d/p\" is a named pipe".to_owned()),
        (
            "ln -s ../../../secret d/l",
            format!("\"d/l\" {link} that leads out of the job directory"),
        ),
        ("ln -s /etc/hostname d/l", format!("\"d/l\" {link} that leads out of the job directory")),
        (
            "ln -s . d/dot; ln -s dot/../.. d/l",
            format!("\"d/dot\" {link} to a directory that it is in"),
        ),
        ("ln -s nothing d/l", format!("\"d/l\" {link} to nothing")),
        ("ln -s l d/l", format!("\"d/l\" {link} to itself")),
        ("true", "\"x.csv\" is missing".to_owned()),
    ];
    for (index, (script, why)) in cases.into_iter().enumerate() {
        let id = agent.run(launch(index as u32, &format!("mkdir d; {script}"))).id.to_string();
        ask(&mut agent, &id, &["d", "x.csv"], true, None);
        let (_, end, _) = receive(&mut agent);
        assert_eq!(end, Err((format!("output {why}"), Scope::Job)), "{script}");
    }
    let id = agent.run(launch(20, "ln -s / root; mkfifo p; echo > x")).id.to_string();
    ask(&mut agent, &id, &["x", "*/etc/hostname", "*.csv"], false, None);
    let (received, end, _) = receive(&mut agent);
    assert_eq!((paths(&received), end), (vec!["x"], Ok(1)), "what is not asked for is no matter");
}

#[test]
fn too_many_outputs_are_refused() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let script = "mkdir -p d/a; cd d/a; seq 1000 | xargs touch; cd ..
                  for i in $(seq 100); do ln -s a l$i; done";
    let id = run(&mut agent, script);
    ask(&mut agent, &id, &["d"], true, None);
    let (_, end, _) = receive(&mut agent);
    assert_eq!(end, Err(("there are more than 100000 outputs".to_owned(), Scope::Job)));
}

#[test]
fn outputs_of_a_closed_directory_are_sent_and_those_of_a_missing_one_fail() {
    let bed = Bed::new();
    let mut agent = bed.attach_unprivileged(1, 0);
    let id = run(&mut agent, "echo 1 > x; chmod 0 .");
    ask(&mut agent, &id, &["x"], true, None);
    let (received, end, _) = receive(&mut agent);
    assert_eq!((paths(&received), end), (vec!["x"], Ok(1)));
    let gone = id.rsplit_once('-').unwrap().0.to_owned() + "-99";
    ask(&mut agent, &gone, &["x"], true, None);
    let (_, end, _) = receive(&mut agent);
    let reason =
        format!("open the directory of job {gone}: No such file or directory (os error 2)");
    assert_eq!(end, Err((reason, Scope::Job)));
}

#[test]
fn request_for_outputs_can_be_stopped_and_delays_nothing() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let id = run(&mut agent, "truncate -s 200G big; echo 1 > small");
    ask(&mut agent, &id, &["big"], true, None);
    assert!(matches!(agent.answer(), FromAgent::Outputs { .. }));
    agent.send(&ToAgent::Ping { nonce: 7, echo_ms: 0 });
    while !matches!(agent.answer(), FromAgent::Pong { nonce: 7, .. }) {}
    agent.send(&ToAgent::CollectStop { request: 1 });
    let (patterns, id) = (vec!["small".to_owned()], id.parse().unwrap());
    agent.send(&ToAgent::Collect { request: 2, id, patterns, all: true, resume: None });
    let end = loop {
        match agent.answer() {
            FromAgent::Outputs { .. } => {}
            other => break other,
        }
    };
    assert_eq!(end, FromAgent::Collected { request: 2, files: 1 });
}

#[test]
fn stopped_request_for_outputs_that_has_to_wait_is_not_answered() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let id = run(&mut agent, "truncate -s 200G big; echo 1 > small");
    ask(&mut agent, &id, &["big"], true, None);
    assert!(matches!(agent.answer(), FromAgent::Outputs { .. }));
    for request in [2, 3] {
        let (patterns, id) = (vec!["small".to_owned()], id.parse().unwrap());
        agent.send(&ToAgent::Collect { request, id, patterns, all: true, resume: None });
    }
    agent.send(&ToAgent::CollectStop { request: 2 });
    agent.send(&ToAgent::CollectStop { request: 1 });
    agent.send(&ToAgent::Echo { request: 8 });
    while agent.answer() != (FromAgent::Echo { request: 8 }) {}
    assert!(matches!(agent.answer(), FromAgent::Outputs { request: 3, .. }));
    assert_eq!(agent.answer(), FromAgent::Collected { request: 3, files: 1 });
}

#[test]
fn file_that_changes_while_it_is_read_is_no_output() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let id = run(&mut agent, "truncate -s 200G big");
    ask(&mut agent, &id, &["big"], true, None);
    assert!(matches!(agent.answer(), FromAgent::Outputs { .. }));
    let big = std::fs::File::options().write(true).open(bed.results().join(&id).join("big"));
    big.unwrap().set_len(1).unwrap();
    let end = loop {
        match agent.answer() {
            FromAgent::Outputs { .. } => {}
            other => break other,
        }
    };
    let reason = "output \"big\" changes while it is read".into();
    let (scope, is_gone) = (Scope::Job, false);
    assert_eq!(end, FromAgent::CollectFailed { request: 1, reason, scope, is_gone });
}
