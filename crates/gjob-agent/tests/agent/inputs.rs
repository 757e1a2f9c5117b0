//! Inputs as jobs find them: copies, links and whole directories.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use gjob_core::Record;
use gjob_core::record::Scope;
use gjob_core::tree::{Tree, TreeEntry};
use gjob_core::wire::{FromAgent, Input, InputKind};

use crate::driver::{Agent, Bed, launch};
use crate::staging::{hash, input_file, store};

fn stored(agent: &mut Agent, content: &[u8]) -> gjob_core::wire::BlobHash {
    let hash = hash(content);
    assert_eq!(store(agent, hash, content), FromAgent::BlobStored { hash });
    hash
}

fn mode(path: &Path) -> u32 {
    path.symlink_metadata().unwrap().permissions().mode() & 0o7777
}

#[test]
fn copy_has_the_mode_and_the_time_of_its_file() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let hash = stored(&mut agent, b"content");
    let mut job = launch(0, "true");
    job.files = vec![input_file("data", hash, 0o750)];
    job.files[0].mtime_ns = -1_500_000_000;
    let finish = agent.run(job);
    let path = bed.results().join(finish.id.as_str()).join("data");
    let meta = path.metadata().unwrap();
    assert_eq!((meta.mtime(), meta.mtime_nsec()), (-2, 500_000_000));
    assert_eq!((mode(&path), std::fs::read(path).unwrap()), (0o750, b"content".to_vec()));
}

#[test]
fn hard_links_share_a_copy_of_the_blob_and_a_program_can_be_run() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let hash = stored(&mut agent, b"#!/bin/sh\nexit 7\n");
    for index in 0..2 {
        let mut job =
            launch(index, "test ! -x data; status=0; ./program || status=$?; exit $status");
        job.files = vec![input_file("data", hash, 0o644), input_file("program", hash, 0o755)];
        job.files.iter_mut().for_each(|input| input.hard_link = true);
        let finish = agent.run(job);
        assert_eq!(finish.ending, gjob_core::Ending::Exit(7));
        let dir = bed.results().join(finish.id.as_str());
        for (name, blob, bits) in [("data", "l", 0o444), ("program", "x", 0o555)] {
            let blob = bed.linked(hash, blob).metadata().unwrap();
            assert_eq!(dir.join(name).metadata().unwrap().ino(), blob.ino());
            assert_eq!(mode(&dir.join(name)), bits);
        }
    }
}

#[test]
fn hard_link_that_cannot_be_made_becomes_a_read_only_copy() {
    let bed = Bed::new();
    let Some(mut agent) = bed.attach_with_blobs_elsewhere() else { return };
    let hash = stored(&mut agent, b"content");
    let mut job = launch(0, "true");
    job.files = vec![input_file("data", hash, 0o755)];
    job.files[0].hard_link = true;
    let finish = agent.run(job);
    let path = bed.results().join(finish.id.as_str()).join("data");
    assert_eq!((mode(&path), path.metadata().unwrap().mtime()), (0o555, 1));
    assert_eq!(std::fs::read(path).unwrap(), b"content");
}

fn tree_input(agent: &mut Agent, entries: Vec<TreeEntry>) -> Input {
    let hash = stored(agent, &Tree { entries }.to_text());
    let kind = InputKind::Tree;
    Input {
        name: "tree".into(),
        hash,
        mode: 0o500,
        mtime_ns: 9_000_000_000,
        kind,
        hard_link: false,
    }
}

fn dir(path: &str, mode: u32) -> TreeEntry {
    TreeEntry::Dir { path: path.into(), mode, mtime_ns: 5_000_000_000 }
}

fn symlink(path: &str, target: &str) -> TreeEntry {
    TreeEntry::Link { path: path.into(), target: target.into() }
}

#[test]
fn directory_is_placed_as_it_was() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let hash = stored(&mut agent, b"content");
    let file = |path: &str| TreeEntry::File {
        path: path.into(),
        mode: 0o640,
        mtime_ns: 6_000_000_000,
        size: 7,
        hash,
    };
    let entries = vec![
        dir("a", 0o500),
        dir("a/b", 0o711),
        file("a/b/f"),
        file("a/g"),
        dir("ab", 0o700),
        file("ab/h"),
        symlink("up", "a/b/../g"),
        symlink("a/b/back", "../../ab/h"),
    ];
    let input = tree_input(&mut agent, entries);
    for hard_link in [false, true] {
        let script = "cat tree/up tree/a/b/back tree/a/b/f";
        let mut job = launch(hard_link.into(), script);
        job.files = vec![Input { hard_link, ..input.clone() }];
        let finish = agent.run(job);
        let top = bed.results().join(finish.id.as_str());
        assert_eq!(std::fs::read_to_string(top.join("log")).unwrap(), "content".repeat(3));
        let root = top.join("tree");
        for (path, bits, time) in [("", 0o500, 9), ("a", 0o500, 5), ("a/b", 0o711, 5)] {
            assert_eq!(mode(&root.join(path)), bits, "{path}");
            assert_eq!(root.join(path).metadata().unwrap().mtime(), time, "{path}");
        }
        let placed = root.join("a/b/f").metadata().unwrap();
        assert_ne!(placed.ino(), bed.blob(hash).metadata().unwrap().ino());
        let linked = bed.linked(hash, "l").metadata();
        assert_eq!(linked.is_ok_and(|linked| linked.ino() == placed.ino()), hard_link);
        assert_eq!(mode(&root.join("a/g")), if hard_link { 0o444 } else { 0o640 });
    }
}

#[test]
fn directory_that_leads_out_of_itself_is_refused() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let hash = hash(b"not here");
    let file =
        |path: &str| TreeEntry::File { path: path.into(), mode: 0o600, mtime_ns: 0, size: 8, hash };
    let out = "is a symbolic link that leads out of the directory";
    let cases = [
        (vec![symlink("l", "/etc/passwd")], Scope::Job, format!("its \"l\" {out}")),
        (vec![symlink("d", "."), symlink("l", "d/../..")], Scope::Job, format!("its \"l\" {out}")),
        (
            vec![symlink("l", "x"), dir("l/d", 0o700)],
            Scope::Job,
            "its \"l/d\" is not in a directory of the list".into(),
        ),
        (vec![dir("d", 0o700), dir("d", 0o700)], Scope::Job, "its \"d\" appears twice".into()),
        (vec![file("f")], Scope::Host, format!("its content {hash} is missing on this host")),
    ];
    for (index, (entries, expected, why)) in cases.into_iter().enumerate() {
        let mut job = launch(index as u32, "true");
        job.files = vec![tree_input(&mut agent, entries)];
        agent.launch(job);
        match agent.record() {
            Record::Refused { scope, reason, .. } => {
                assert_eq!(
                    (scope, reason.shown().into()),
                    (expected, format!("input \"tree\": {why}"))
                );
            }
            other => panic!("expected a refusal, not {other:?}"),
        }
    }
}
