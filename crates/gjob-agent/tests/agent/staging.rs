//! Input files.

use gjob_core::Record;
use gjob_core::record::Scope;
use gjob_core::wire::{BlobHash, FromAgent, Input, InputKind, ToAgent};

use crate::driver::{Agent, Bed, launch};

pub(crate) fn hash(content: &[u8]) -> BlobHash {
    BlobHash(*blake3::hash(content).as_bytes())
}

pub(crate) fn store(agent: &mut Agent, hash: BlobHash, content: &[u8]) -> FromAgent {
    let size = content.len() as u64;
    agent.send(&ToAgent::Blob { hash, size, offset: 0 });
    for bytes in content.chunks(100_000) {
        let bytes = bytes.to_vec();
        agent.send(&ToAgent::BlobData { bytes });
    }
    agent.answer()
}

#[test]
fn stored_blob_becomes_an_input_of_a_job() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let content: Vec<u8> = (0..1_000_000u32).map(|i| (i % 251) as u8).collect();
    let (full, empty) = (hash(&content), hash(b""));
    agent.send(&ToAgent::AskBlobs { hashes: vec![full, empty] });
    let hashes = vec![full, empty];
    assert_eq!(
        agent.answer(),
        FromAgent::MissingBlobs { blobs: hashes.into_iter().map(|hash| (hash, 0)).collect() }
    );
    assert_eq!(store(&mut agent, full, &content), FromAgent::BlobStored { hash: full });
    assert_eq!(store(&mut agent, empty, b""), FromAgent::BlobStored { hash: empty });
    agent.send(&ToAgent::AskBlobs { hashes: vec![full, empty] });
    assert_eq!(agent.answer(), FromAgent::MissingBlobs { blobs: vec![] });
    let input = |name: &str, hash, mode| input_file(name, hash, mode);
    let mut job =
        launch(0, "test $(stat -c %s data) = 1000000; test ! -s none; test -x data; echo >> data");
    job.files = vec![input("data", full, 0o755), input("none", empty, 0o600)];
    assert!(agent.run(job.clone()).is_success());
    job.key.index = 1;
    assert!(agent.run(job).is_success(), "the first one has changed its own copy only");
}

#[test]
fn blob_with_another_hash_is_not_stored() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let wanted = hash(b"right");
    match store(&mut agent, wanted, b"wrong") {
        FromAgent::BlobFailed { hash, reason, .. } => {
            assert_eq!(hash, wanted);
            let reason = reason.shown();
            assert!(reason.contains(&crate::staging::hash(b"wrong").to_string()), "{reason}");
        }
        other => panic!("expected a failure, not {other:?}"),
    }
    agent.send(&ToAgent::Blob { hash: wanted, size: 3, offset: 0 });
    agent.send(&ToAgent::BlobData { bytes: b"right".to_vec() });
    assert!(matches!(agent.answer(), FromAgent::BlobFailed { .. }));
    agent.send(&ToAgent::Blob { hash: wanted, size: 5, offset: 0 });
    agent.send(&ToAgent::BlobAbort);
    agent.send(&ToAgent::BlobData { bytes: b"right".to_vec() });
    agent.send(&ToAgent::AskBlobs { hashes: vec![wanted] });
    assert_eq!(agent.answer(), FromAgent::MissingBlobs { blobs: vec![(wanted, 0)] });
    let blobs = std::fs::read_dir(bed.results().join(".gjob/blobs")).unwrap();
    assert_eq!(blobs.count(), 0);
}

#[test]
fn missing_blob_and_a_bad_name_are_refused() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    for (index, name, expected) in [(0, "data", Scope::Host), (1, "../data", Scope::Job)] {
        let mut job = launch(index, "true");
        job.files = vec![input_file(name, hash(b"x"), 0o600)];
        agent.launch(job);
        match agent.record() {
            Record::Refused { key, scope, reason, .. } => {
                assert_eq!((key.index, scope), (index, expected));
                let reason = reason.shown();
                assert!(reason.starts_with(&format!("input {name:?}: ")), "{reason}");
            }
            other => panic!("expected a refusal, not {other:?}"),
        }
    }
}

pub(crate) fn input_file(name: &str, hash: BlobHash, mode: u32) -> Input {
    let kind = InputKind::File;
    Input { name: name.into(), hash, mode, mtime_ns: 1_000_000_000, kind, hard_link: false }
}
