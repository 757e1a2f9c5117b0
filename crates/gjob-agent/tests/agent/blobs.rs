//! Blobs over broken links, several agents, jobs that change them, and their
//! budget.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use gjob_core::wire::{BlobHash, FromAgent, ToAgent};

use crate::driver::{Agent, Bed, eventually, launch};
use crate::staging::{hash, input_file, store};

fn content(length: u32) -> Vec<u8> {
    (0..length).map(|i| (i % 253) as u8).collect()
}

fn send(agent: &mut Agent, hash: BlobHash, whole: &[u8], range: std::ops::Range<usize>) {
    let (size, offset) = (whole.len() as u64, range.start as u64);
    agent.send(&ToAgent::Blob { hash, size, offset });
    for bytes in whole[range].chunks(100_000) {
        agent.send(&ToAgent::BlobData { bytes: bytes.to_vec() });
    }
}

fn ask(agent: &mut Agent, hash: BlobHash) -> Option<u64> {
    agent.send(&ToAgent::AskBlobs { hashes: vec![hash] });
    match agent.answer() {
        FromAgent::MissingBlobs { blobs } => {
            assert!(blobs.len() <= 1, "{blobs:?}");
            blobs.first().map(|(missing, here)| {
                assert_eq!(*missing, hash);
                *here
            })
        }
        other => panic!("expected what is missing, not {other:?}"),
    }
}

fn failure(agent: &mut Agent) -> String {
    match agent.answer() {
        FromAgent::BlobFailed { reason, .. } => reason.shown().into(),
        other => panic!("expected a failure, not {other:?}"),
    }
}

/// The part of a blob that is kept for a later agent.
fn part(bed: &Bed, agent: &Agent, hash: BlobHash) -> std::path::PathBuf {
    bed.blob(format!("{hash}.{}.part", agent.hostname()))
}

#[test]
fn blob_continues_where_its_link_broke() {
    let bed = Bed::new();
    let whole = content(900_000);
    let hash = hash(&whole);
    let mut agent = bed.attach(1, 0, 1);
    send(&mut agent, hash, &whole, 0..500_000);
    agent.ping(0);
    agent.kill_9();
    let mut agent = bed.attach(2, 0, 1);
    assert_eq!(ask(&mut agent, hash), Some(500_000));
    send(&mut agent, hash, &whole, 500_000..700_000);
    assert!(bed.blob(hash).symlink_metadata().is_err());
    agent.leave();
    let mut agent = bed.attach(3, 0, 1);
    assert_eq!(ask(&mut agent, hash), Some(700_000));
    send(&mut agent, hash, &whole, 700_000..900_000);
    assert_eq!(agent.answer(), FromAgent::BlobStored { hash });
    assert_eq!(ask(&mut agent, hash), None);
    assert_eq!(std::fs::read(bed.blob(hash)).unwrap(), whole);
    assert_eq!(bed.blob(hash).metadata().unwrap().permissions().mode() & 0o7777, 0o444);
    assert!(!part(&bed, &agent, hash).exists());
}

#[test]
fn blob_sent_from_a_wrong_offset_is_refused_and_begins_anew() {
    let bed = Bed::new();
    let whole = content(300_000);
    let hash = hash(&whole);
    let mut agent = bed.attach(1, 0, 1);
    send(&mut agent, hash, &whole, 0..100_000);
    agent.leave();
    let mut agent = bed.attach(2, 0, 1);
    send(&mut agent, hash, &whole, 100_001..300_000);
    assert_eq!(
        failure(&mut agent),
        "it should continue at byte 100001, but 100000 bytes were received"
    );
    assert_eq!(ask(&mut agent, hash), Some(0));
    send(&mut agent, hash, &whole, 0..300_000);
    assert_eq!(agent.answer(), FromAgent::BlobStored { hash });
}

#[test]
fn changed_part_of_a_blob_is_detected_and_removed() {
    let bed = Bed::new();
    let whole = content(300_000);
    let hash = hash(&whole);
    let mut agent = bed.attach(1, 0, 1);
    send(&mut agent, hash, &whole, 0..100_000);
    agent.leave();
    let mut agent = bed.attach(2, 0, 1);
    std::fs::write(part(&bed, &agent, hash), vec![0; 100_000]).unwrap();
    send(&mut agent, hash, &whole, 100_000..300_000);
    assert!(failure(&mut agent).starts_with("its content has the hash "));
    assert_eq!(ask(&mut agent, hash), Some(0));
    assert!(!part(&bed, &agent, hash).exists());
}

#[test]
fn agent_answers_while_it_hashes_what_an_earlier_one_received() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let (hash, size) = (hash(b"something else"), 256 * 1024 * 1024);
    std::fs::File::create(part(&bed, &agent, hash)).unwrap().set_len(size).unwrap();
    assert_eq!(ask(&mut agent, hash), Some(size));
    agent.send(&ToAgent::Blob { hash, size: size + 1, offset: size });
    agent.send(&ToAgent::BlobData { bytes: b"x".to_vec() });
    // The next one does not have to wait for it either.
    let small = crate::staging::hash(b"small");
    assert_eq!(store(&mut agent, small, b"small"), FromAgent::BlobStored { hash: small });
    agent.ping(0);
    assert!(failure(&mut agent).starts_with("its content has the hash "));
}

#[test]
fn two_agents_can_receive_the_same_blob() {
    let bed = Bed::new();
    let whole = content(300_000);
    let hash = hash(&whole);
    let mut first = bed.attach(1, 0, 1);
    send(&mut first, hash, &whole, 0..100_000);
    first.ping(0);
    let mut second =
        bed.attach_changed(|attach| attach.run = Some("2026-11-22-2".parse().unwrap()));
    assert_eq!(ask(&mut second, hash), Some(0));
    send(&mut second, hash, &whole, 0..300_000);
    assert_eq!(second.answer(), FromAgent::BlobStored { hash });
    for bytes in whole[100_000..].chunks(100_000) {
        first.send(&ToAgent::BlobData { bytes: bytes.to_vec() });
    }
    assert_eq!(first.answer(), FromAgent::BlobStored { hash });
    assert_eq!(std::fs::read(bed.blob(hash)).unwrap(), whole);
    assert_eq!(std::fs::read_dir(bed.blob("")).unwrap().count(), 1);
}

#[test]
fn blob_that_was_changed_counts_as_missing() {
    for change in ["chmod u+w; echo x >>", "chmod u+w", "touch"] {
        let bed = Bed::new();
        let mut agent = bed.attach(1, 0, 1);
        let hash = hash(b"content");
        assert_eq!(store(&mut agent, hash, b"content"), FromAgent::BlobStored { hash });
        let blob = bed.blob(hash);
        let commands = change.split(';').map(|command| format!("{command} {}", blob.display()));
        assert!(agent.run(launch(0, &commands.collect::<Vec<_>>().join("\n"))).is_success());
        assert_eq!(ask(&mut agent, hash), Some(0), "{change}");
        assert!(!blob.exists());
    }
}

#[test]
fn job_that_changes_its_hard_link_changes_no_copy_and_no_blob() {
    let bed = Bed::new();
    let mut agent = bed.attach(1, 0, 1);
    let hash = hash(b"content");
    assert_eq!(store(&mut agent, hash, b"content"), FromAgent::BlobStored { hash });
    let restored =
        "cp -p data was; chmod u+w data; printf CHANGED > data; touch -r was data; chmod 444 data";
    let is_right = "test $(cat data) = content";
    let run = |agent: &mut Agent, index, script, hard_link| {
        let mut job = launch(index, script);
        job.files = vec![input_file("data", hash, 0o600)];
        job.files[0].hard_link = hard_link;
        assert!(agent.run(job).is_success(), "{index}: {script}");
    };
    run(&mut agent, 0, restored, true);
    run(&mut agent, 1, is_right, false);
    run(&mut agent, 2, "touch data", true);
    run(&mut agent, 3, is_right, true);
    run(&mut agent, 4, restored, true);
    assert_eq!(ask(&mut agent, hash), None);
    let later = "2026-11-22-2".parse().unwrap();
    let mut next = bed.attach_changed(|attach| attach.run = Some(later));
    run(&mut next, 0, is_right, true);
    assert_eq!(std::fs::read(bed.blob(hash)).unwrap(), b"content");
}

#[test]
fn blob_beyond_the_limit_on_the_size_of_files_is_refused_with_the_reason() {
    let bed = Bed::new();
    let mut agent = bed.attach_behind("ulimit -f 64");
    let content = vec![7; 100_000];
    let hash = hash(&content);
    send(&mut agent, hash, &content, 0..content.len());
    assert!(failure(&mut agent).ends_with("File too large (os error 27)"));
    assert!(agent.run(launch(0, "true")).is_success());
}

#[test]
fn parts_that_no_agent_continues_are_removed() {
    let bed = Bed::new();
    bed.attach(1, 0, 1).leave();
    let (old, new) = (bed.blob("a.h.part"), bed.blob("b.h.part"));
    let day = Duration::from_secs(24 * 3600);
    for (path, age) in [(&old, day), (&new, day / 2)] {
        let file = std::fs::File::create(path).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }
    // A job can make anything here.
    let odd: Vec<_> = (0..20).map(|i| bed.blob(format!("odd{i}.part"))).collect();
    for dir in &odd {
        std::fs::create_dir_all(dir.join("deep")).unwrap();
        std::fs::File::open(dir).unwrap().set_modified(SystemTime::now() - day).unwrap();
    }
    let _agent = bed.attach(2, 0, 1);
    eventually("the end of what is old", || !odd.iter().chain([&old]).any(|path| path.exists()));
    assert!(new.exists());
}

#[test]
fn part_without_its_permissions_begins_anew() {
    let bed = Bed::new();
    let whole = content(300_000);
    let hash = hash(&whole);
    let mut agent = bed.attach_unprivileged(1, 0);
    for mode in [0o444, 0] {
        let part = part(&bed, &agent, hash);
        std::fs::write(&part, &whole[..100_000]).unwrap();
        std::fs::set_permissions(&part, std::fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(ask(&mut agent, hash), Some(0));
        send(&mut agent, hash, &whole, 0..whole.len());
        assert_eq!(agent.answer(), FromAgent::BlobStored { hash });
        std::fs::remove_file(bed.blob(hash)).unwrap();
    }
}

/// Stores three blobs; the second was used longest ago.
fn three_blobs(bed: &Bed) -> (Agent, [BlobHash; 3]) {
    let mut agent = bed.attach(1, 0, 1);
    let hashes = [(1, 20), (2, 30), (3, 10)].map(|(byte, hours)| {
        let content = vec![byte; 100_000];
        let hash = hash(&content);
        assert_eq!(ask(&mut agent, hash), Some(0));
        assert_eq!(store(&mut agent, hash, &content), FromAgent::BlobStored { hash });
        let used = SystemTime::now() - Duration::from_secs(hours * 3600);
        let times = std::fs::FileTimes::new().set_accessed(used);
        std::fs::File::open(bed.blob(hash)).unwrap().set_times(times).unwrap();
        hash
    });
    (agent, hashes)
}

fn attach_thrifty(bed: &Bed, run: &str, blob_budget: u64) -> Agent {
    bed.attach_changed(|attach| {
        attach.run = Some(run.parse().unwrap());
        attach.blob_budget = blob_budget;
    })
}

fn exist(bed: &Bed, hashes: &[BlobHash]) -> Vec<bool> {
    hashes.iter().map(|hash| bed.blob(hash).exists()).collect()
}

#[test]
fn blobs_used_longest_ago_are_removed_when_there_are_too_many() {
    let bed = Bed::new();
    let (agent, hashes) = three_blobs(&bed);
    agent.leave();
    let mut agent = attach_thrifty(&bed, "2026-11-22-2", 250_000);
    eventually("room", || exist(&bed, &hashes) == [true, false, true]);
    // Being asked for is a use.
    assert_eq!(ask(&mut agent, hashes[0]), None);
    agent.leave();
    let _last = attach_thrifty(&bed, "2026-11-22-3", 150_000);
    eventually("more room", || exist(&bed, &hashes) == [true, false, false]);
}

#[test]
fn blobs_of_a_run_in_use_stay() {
    let bed = Bed::new();
    let (first, hashes) = three_blobs(&bed);
    let mut second = attach_thrifty(&bed, "2026-11-22-2", 0);
    let fourth = hash(b"fourth");
    assert_eq!(ask(&mut second, fourth), Some(0));
    assert_eq!(store(&mut second, fourth, b"fourth"), FromAgent::BlobStored { hash: fourth });
    second.ping(0);
    assert_eq!(ask(&mut second, fourth), None);
    assert_eq!(exist(&bed, &hashes), [true; 3]);
    let list = std::fs::read_to_string(bed.run_dir().join("blobs")).unwrap();
    assert_eq!(list, hashes.map(|hash| format!("{hash}\n")).concat());
    first.leave();
    second.leave();
    let _last = attach_thrifty(&bed, "2026-11-22-3", 0);
    eventually("room", || is_empty(&bed.blob("")));
}

fn is_empty(dir: &Path) -> bool {
    std::fs::read_dir(dir).unwrap().next().is_none()
}

#[test]
fn results_directory_has_one_name() {
    let bed = Bed::new();
    let looks = bed.attach_changed(|attach| attach.run = None);
    assert_eq!(looks.welcome().place, "");
    let first = bed.attach(1, 0, 1);
    let second = bed.attach(2, 0, 1);
    let looks = bed.attach_changed(|attach| attach.run = None);
    let place = first.welcome().place.clone();
    assert_eq!(place.len(), 36);
    assert_eq!([&second.welcome().place, &looks.welcome().place], [&place; 2]);
    assert!(looks.welcome().free_bytes > 0);
    assert_ne!(Bed::new().attach(1, 0, 1).welcome().place, place);
}
