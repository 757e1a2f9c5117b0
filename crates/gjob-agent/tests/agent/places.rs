//! What jobs put in the place of gjob's own directories and files is put aside, and their
//! host goes on.

use std::path::Path;

use gjob_core::wire::{FromAgent, ToAgent};

use crate::driver::{Bed, launch};
use crate::staging::{hash, store};

const ODD: [fn(&Path); 3] = [
    |path| std::fs::write(path, "x").unwrap(),
    |path| std::os::unix::fs::symlink("/", path).unwrap(),
    |path| {
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, path, mode).unwrap();
    },
];

fn replace(path: &Path, put: fn(&Path)) {
    let _ = std::fs::remove_dir_all(path);
    let _ = std::fs::remove_file(path);
    put(path);
}

#[test]
fn what_has_the_place_of_a_directory_of_gjobs_own_is_put_aside() {
    for name in ["keys", "orders", "../../../blobs", "../../../bin"] {
        for put in ODD {
            let bed = Bed::new();
            let mut agent = bed.attach(1, 0, 1);
            assert!(agent.run(launch(0, "true")).is_success());
            let offset = agent.offset;
            agent.leave();
            replace(&bed.run_dir().join(name), put);
            let mut next = bed.attach(2, offset, 1);
            assert!(next.run(launch(1, "true")).is_success(), "{name}");
            let dir = std::fs::canonicalize(bed.run_dir().join(name)).unwrap();
            let above = std::fs::read_dir(dir.parent().unwrap()).unwrap();
            let is_aside = |name: &str| name.ends_with(".aside");
            let aside = above
                .filter(|entry| is_aside(&entry.as_ref().unwrap().file_name().to_string_lossy()));
            assert_eq!(aside.count(), 1, "{name}");
        }
    }
}

#[test]
fn claims_that_are_replaced_under_an_agent_end_it_for_a_while_only() {
    for put in ODD {
        let bed = Bed::new();
        let mut agent = bed.attach(1, 0, 1);
        assert!(agent.run(launch(0, "true")).is_success());
        replace(&bed.run_dir().join("keys"), put);
        agent.launch(launch(1, "true"));
        let (reason, permanent) = agent.fault();
        assert!(!permanent && reason.contains("claims"), "{reason}");
        let mut next = bed.attach(2, agent.offset, 1);
        assert!(next.welcome().damage.as_ref().unwrap().claims_lost);
        assert!(next.run(launch(2, "true")).is_success());
    }
}

#[test]
fn blobs_that_are_replaced_under_an_agent_are_received_again() {
    for put in ODD {
        let bed = Bed::new();
        let mut agent = bed.attach(1, 0, 1);
        let content = hash(b"content");
        agent.send(&ToAgent::AskBlobs { hashes: vec![content] });
        agent.answer();
        store(&mut agent, content, b"content");
        replace(&bed.results().join(".gjob/blobs"), put);
        agent.send(&ToAgent::AskBlobs { hashes: vec![content] });
        let missing = FromAgent::MissingBlobs { blobs: vec![(content, 0)] };
        assert_eq!(agent.answer(), missing);
        store(&mut agent, content, b"content");
        assert!(bed.blob(content).exists());
    }
}

#[test]
fn file_is_received_whatever_has_its_place_or_that_of_its_part() {
    let full_dir: fn(&Path) = |path| {
        std::fs::create_dir(path).unwrap();
        std::fs::write(path.join("x"), "kept").unwrap();
    };
    for put in ODD.into_iter().skip(1).chain([full_dir]) {
        let bed = Bed::new();
        let mut agent = bed.attach(1, 0, 1);
        let content = hash(b"content");
        let part = bed.blob(format!("{content}.{}.part", agent.hostname()));
        for path in [part, bed.blob(content)] {
            replace(&path, put);
            agent.send(&ToAgent::AskBlobs { hashes: vec![content] });
            assert_eq!(agent.answer(), FromAgent::MissingBlobs { blobs: vec![(content, 0)] });
            let answer = store(&mut agent, content, b"content");
            assert_eq!(answer, FromAgent::BlobStored { hash: content }, "{}", path.display());
            assert_eq!(std::fs::read(bed.blob(content)).unwrap(), b"content");
        }
    }
}

#[test]
fn log_is_replaced_whatever_lies_beside_it() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    assert!(agent.run(launch(0, "true")).is_success());
    let offset = agent.offset;
    agent.leave();
    let at = |name: &str| bed.run_dir().join(name);
    for name in ["log", "log.damaged", "log.new"] {
        let _ = std::fs::remove_file(at(name));
        std::fs::create_dir(at(name)).unwrap();
        std::fs::write(at(name).join("x"), "").unwrap();
    }
    let mut next = bed.attach(2, offset, 1);
    assert!(next.welcome().damage.as_ref().unwrap().log_lost);
    assert!(next.finished(0).is_success());
    assert!(next.run(launch(1, "true")).is_success());
}
