//! Blobs that are made of files that jobs have written.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::PathBuf;

use gjob_core::wire::{BlobHash, FromAgent, ToAgent};

use crate::driver::{Agent, Bed, launch};
use crate::staging::{hash, store};

/// What the job has written to `d/x`.
const CONTENT: &[u8] = b"0123456789";

/// The directory of a job that has written it, and its id.
fn job_dir(bed: &Bed, agent: &mut Agent) -> (PathBuf, String) {
    let id = agent.run(launch(0, "mkdir d; printf 0123456789 > d/x; ln -s d l")).id.to_string();
    (bed.results().join(&id), id)
}

fn take(agent: &mut Agent, id: &str, path: &str) -> Result<(), String> {
    let (size, id, path) = (CONTENT.len() as u64, id.parse().unwrap(), path.to_owned());
    agent.send(&ToAgent::TakeBlob { hash: hash(CONTENT), size, id, path });
    match agent.answer() {
        FromAgent::BlobStored { hash: stored } if stored == hash(CONTENT) => Ok(()),
        FromAgent::BlobFailed { hash: failed, reason, .. } if failed == hash(CONTENT) => {
            Err(reason.shown().into())
        }
        other => panic!("expected what has become of the blob, not {other:?}"),
    }
}

fn blobs(bed: &Bed) -> Vec<String> {
    let entries = std::fs::read_dir(bed.results().join(".gjob/blobs")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn file_of_a_job_becomes_a_blob_that_the_job_cannot_change() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let (dir, id) = job_dir(&bed, &mut agent);
    let blob = bed.blob(hash(CONTENT));
    for path in ["d/x", "l/x"] {
        take(&mut agent, &id, path).unwrap();
        let meta = blob.metadata().unwrap();
        assert_eq!((meta.permissions().mode() & 0o7777, meta.nlink()), (0o444, 1));
        std::fs::write(dir.join("d/x"), b"overwriten").unwrap();
        assert_eq!(std::fs::read(&blob).unwrap(), CONTENT);
        agent.send(&ToAgent::AskBlobs { hashes: vec![hash(CONTENT)] });
        assert_eq!(agent.answer(), FromAgent::MissingBlobs { blobs: vec![] });
        std::fs::remove_file(&blob).unwrap();
        std::fs::write(dir.join("d/x"), CONTENT).unwrap();
    }
    assert_eq!(blobs(&bed), [""; 0]);
}

#[test]
fn what_is_not_that_content_any_more_is_refused_and_can_be_sent() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let (dir, id) = job_dir(&bed, &mut agent);
    let (file, outside) = (dir.join("d/x"), bed.path().join("outside"));
    std::fs::write(&outside, CONTENT).unwrap();
    let pipe = || rustix::fs::mkfifoat(rustix::fs::CWD, &file, rustix::fs::Mode::RUSR).unwrap();
    let changes: [(&dyn Fn(), &str); 6] = [
        (&|| std::fs::write(&file, b"changed...").unwrap(), "its content has the hash "),
        (&|| std::fs::write(&file, b"longer than it").unwrap(), "it is 14 bytes long"),
        (&|| symlink(&outside, &file).unwrap(), "leads out of the job directory"),
        (&pipe, "it is no regular file"),
        (&|| std::fs::create_dir(&file).unwrap(), "it is no regular file"),
        (&|| std::fs::remove_dir(&file).unwrap(), "it is a symbolic link to nothing"),
    ];
    for (change, expected) in changes {
        if !file.is_dir() {
            let _ = std::fs::remove_file(&file);
        }
        change();
        let reason = take(&mut agent, &id, "d/x").unwrap_err();
        assert!(reason.contains(expected), "{expected}: {reason}");
    }
    take(&mut agent, &id, "../../../outside").unwrap_err();
    take(&mut agent, &id.replace("-1", "-7"), "d/x").unwrap_err();
    assert_eq!(blobs(&bed), [""; 0]);
    let hash: BlobHash = hash(CONTENT);
    assert_eq!(store(&mut agent, hash, CONTENT), FromAgent::BlobStored { hash });
}

#[test]
fn what_is_in_the_place_of_the_copy_does_no_harm() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let (_, id) = job_dir(&bed, &mut agent);
    let hash = hash(CONTENT);
    let part = bed.blob(format!("{hash}.{}.copy.part", agent.hostname()));
    // What an agent has left that was killed.
    std::fs::write(&part, b"a part that is longer").unwrap();
    take(&mut agent, &id, "d/x").unwrap();
    assert_eq!((std::fs::read(bed.blob(hash)).unwrap(), part.exists()), (CONTENT.to_vec(), false));
    let outside = bed.path().join("outside");
    std::fs::write(&outside, b"kept").unwrap();
    symlink(&outside, &part).unwrap();
    take(&mut agent, &id, "d/x").unwrap();
    assert_eq!(std::fs::read(&outside).unwrap(), b"kept");
    // What was received of it by another link is not ended by a copy that fails.
    let received = bed.blob(format!("{hash}.{}.part", agent.hostname()));
    std::fs::write(&received, &CONTENT[..5]).unwrap();
    take(&mut agent, &id, "d/y").unwrap_err();
    assert_eq!(std::fs::read(&received).unwrap(), &CONTENT[..5]);
}
