use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gjob_core::JobRequest;
use gjob_core::wire::{Input, InputKind};

use super::*;
use crate::inputs::{InputDirectory, InputFile, Root};

const H: [HostIx; 4] = [HostIx(0), HostIx(1), HostIx(2), HostIx(3)];

fn blob(number: u8) -> BlobHash {
    BlobHash([number; 32])
}

fn file(number: u8) -> Arc<InputFile> {
    let path = PathBuf::from(format!("/f{number}"));
    let (hash, size) = (blob(number), 1000);
    Arc::new(InputFile { path, hash, size, mode: 0o600, mtime_ns: 0, ino: 0 })
}

/// The files 1 to 9; and the directory 100 with the files 1 and 2.
fn inputs() -> Inputs {
    let files = (1..10).map(|number| (number.to_string(), 0, Root::File(file(number))));
    let directory = InputDirectory {
        path: Path::new("/d").to_owned(),
        hash: blob(100),
        mode: 0o700,
        mtime_ns: 0,
        list: Arc::new([0; 50]),
        files: vec![file(1), file(2)],
    };
    Inputs::restore(files.chain([("100".into(), 0, Root::Directory(Arc::new(directory)))]))
}

/// Staging of hosts that are up, all in the place `place`.
fn staging(hosts: usize, place: &str) -> Staging {
    let mut staging = Staging::new(inputs(), hosts);
    H[..hosts].iter().for_each(|host| staging.handle_up(*host, place));
    staging
}

fn launch(index: u32, numbers: &[u8]) -> Launch {
    let input = |number: &u8| Input {
        name: number.to_string(),
        hash: blob(*number),
        mode: 0o600,
        mtime_ns: 0,
        kind: if *number < 100 { InputKind::File } else { InputKind::Tree },
        hard_link: false,
    };
    Launch {
        key: Key::new(index, 1),
        request: JobRequest::default(),
        script: "true\n".into(),
        files: numbers.iter().map(input).collect(),
        is_task: false,
        dropped: 0,
    }
}

/// The steps so far, one word each: `0 asks 1 2`, `0 gets 1 from 5`.
fn said(staging: &mut Staging) -> Vec<String> {
    let steps = std::iter::from_fn(|| staging.poll_step());
    let words = steps.map(|(host, step)| {
        let what = match step {
            StagingStep::Command(LinkCommand::Send(ToAgent::AskBlobs { hashes })) => {
                let numbers: Vec<String> = hashes.iter().map(|h| h.0[0].to_string()).collect();
                format!("asks {}", numbers.join(" "))
            }
            StagingStep::Command(LinkCommand::Send(ToAgent::TakeBlob { hash, size, id, path })) => {
                format!("takes {} of {size} from {id} {path}", hash.0[0])
            }
            StagingStep::Command(LinkCommand::Send(ToAgent::Launch(launch))) => {
                format!("runs {}", launch.key.index)
            }
            StagingStep::Command(LinkCommand::SendBlob { content, from, verify }) => {
                let verify = if verify { " verified" } else { "" };
                format!("gets {} from {from}{verify}", content.hash().0[0])
            }
            StagingStep::Refuse(Record::Refused { key, reason, scope, .. }) => {
                format!("refuses {} {scope:?}: {}", key.index, reason.shown())
            }
            other => panic!("{other:?}"),
        };
        format!("{} {what}", host.0)
    });
    words.collect()
}

fn missing(numbers: &[u8]) -> Vec<(BlobHash, u64)> {
    numbers.iter().map(|number| (blob(*number), 0)).collect()
}

#[test]
fn a_job_without_files_is_launched_at_once() {
    let mut staging = staging(1, "");
    staging.launch(H[0], launch(0, &[]));
    assert_eq!(said(&mut staging), ["0 runs 0"]);
}

#[test]
fn a_file_is_asked_about_and_sent_once_and_its_jobs_wait_for_it() {
    let mut staging = staging(1, "");
    staging.launch(H[0], launch(0, &[1]));
    staging.launch(H[0], launch(1, &[1]));
    assert_eq!(said(&mut staging), ["0 asks 1"]);
    staging.handle_missing(H[0], &missing(&[1]));
    assert_eq!(said(&mut staging), ["0 gets 1 from 0"]);
    staging.handle_stored(H[0], blob(1));
    assert_eq!(said(&mut staging), ["0 runs 0", "0 runs 1"]);
    staging.launch(H[0], launch(2, &[1]));
    assert_eq!(said(&mut staging), ["0 runs 2"]);
}

#[test]
fn jobs_whose_files_are_there_do_not_wait_for_the_files_of_others() {
    let mut staging = staging(2, "");
    staging.launch(H[0], launch(0, &[1, 2]));
    staging.launch(H[0], launch(1, &[3]));
    staging.launch(H[0], launch(2, &[]));
    staging.launch(H[1], launch(3, &[1]));
    assert_eq!(said(&mut staging), ["0 asks 1 2", "0 asks 3", "0 runs 2", "1 asks 1"]);
    staging.handle_missing(H[0], &missing(&[1, 2]));
    staging.handle_missing(H[0], &[]);
    staging.handle_missing(H[1], &missing(&[1]));
    assert_eq!(
        said(&mut staging),
        ["0 gets 1 from 0", "0 gets 2 from 0", "0 runs 1", "1 gets 1 from 0"]
    );
}

#[test]
fn a_directory_is_there_when_its_list_and_all_of_its_files_are() {
    let mut staging = staging(1, "");
    staging.launch(H[0], launch(0, &[100]));
    staging.launch(H[0], launch(1, &[2]));
    assert_eq!(said(&mut staging), ["0 asks 100 1 2"]);
    staging.handle_missing(H[0], &missing(&[100, 2]));
    assert_eq!(said(&mut staging), ["0 gets 100 from 0", "0 gets 2 from 0"]);
    staging.handle_stored(H[0], blob(100));
    assert!(said(&mut staging).is_empty());
    staging.handle_stored(H[0], blob(2));
    assert_eq!(said(&mut staging), ["0 runs 0", "0 runs 1"]);
}

#[test]
fn a_blob_goes_on_where_it_was_and_from_the_start_if_that_makes_no_sense() {
    let mut staging = staging(1, "");
    staging.launch(H[0], launch(0, &[1, 2]));
    staging.handle_missing(H[0], &[(blob(1), 700), (blob(2), 1001)]);
    assert_eq!(said(&mut staging)[1..], ["0 gets 1 from 700", "0 gets 2 from 0"]);
    staging.handle_down(H[0]);
    staging.handle_up(H[0], "");
    staging.launch(H[0], launch(0, &[1]));
    staging.handle_missing(H[0], &[(blob(1), 900)]);
    assert_eq!(said(&mut staging), ["0 asks 1", "0 gets 1 from 900"]);
}

#[test]
fn a_blob_that_is_not_taken_is_sent_once_more_from_its_start() {
    let mut staging = staging(1, "");
    staging.launch(H[0], launch(0, &[1]));
    staging.handle_missing(H[0], &[(blob(1), 700)]);
    staging.handle_refused(H[0], blob(1), "its content hashes to 00", Scope::Host);
    assert_eq!(said(&mut staging)[1..], ["0 gets 1 from 700", "0 gets 1 from 0 verified"]);
    staging.handle_refused(H[0], blob(1), "disk full", Scope::Host);
    assert_eq!(said(&mut staging), ["0 refuses 0 Host: disk full"]);
    staging.launch(H[0], launch(0, &[1]));
    staging.handle_missing(H[0], &missing(&[1]));
    staging.handle_stored(H[0], blob(1));
    assert_eq!(said(&mut staging), ["0 asks 1", "0 gets 1 from 0", "0 runs 0"]);
}

#[test]
fn a_file_that_cannot_be_read_refuses_the_jobs_that_need_it_and_no_others() {
    let mut staging = staging(1, "");
    for (index, number) in [(0, 1), (1, 3), (2, 100)] {
        staging.launch(H[0], launch(index, &[number]));
    }
    said(&mut staging);
    staging.handle_missing(H[0], &missing(&[1]));
    staging.handle_unreadable(H[0], blob(1), "f1 has changed");
    assert_eq!(
        said(&mut staging),
        ["0 gets 1 from 0", "0 refuses 0 Job: f1 has changed", "0 refuses 2 Job: f1 has changed"]
    );
    staging.handle_missing(H[0], &[]);
    assert_eq!(said(&mut staging), ["0 runs 1"]);
}

#[test]
fn what_a_host_had_is_asked_about_again_once_it_has_refused_a_launch() {
    let mut staging = staging(1, "");
    staging.launch(H[0], launch(0, &[100]));
    staging.launch(H[0], launch(1, &[3]));
    staging.handle_missing(H[0], &[]);
    staging.handle_missing(H[0], &[]);
    let reason = "its files are not there".into();
    let (key, at) = (Key::new(0, 1), now());
    let refused = Record::Refused { key, reason, scope: Scope::Host, at };
    staging.handle_record(H[0], &refused);
    said(&mut staging);
    staging.launch(H[0], launch(2, &[1]));
    staging.launch(H[0], launch(3, &[100]));
    staging.launch(H[0], launch(4, &[3]));
    assert_eq!(said(&mut staging), ["0 asks 1", "0 asks 100 2", "0 runs 4"]);
    // Once it has begun, what becomes of a launch says nothing about its files.
    staging.handle_record(H[0], &Record::Withdrawn { key: Key::new(1, 1), at });
    staging.handle_record(
        H[0],
        &Record::Refused { key: Key::new(1, 1), reason: "late".into(), scope: Scope::Host, at },
    );
    staging.launch(H[0], launch(5, &[3]));
    assert_eq!(said(&mut staging), ["0 runs 5"]);
}

#[test]
fn hosts_that_share_a_directory_are_sent_one_copy_in_all() {
    let mut staging = staging(3, "nfs");
    for (index, host) in (0..).zip(&H[..3]) {
        staging.launch(*host, launch(index, &[1]));
        staging.handle_missing(*host, &missing(&[1]));
    }
    assert_eq!(said(&mut staging), ["0 asks 1", "0 gets 1 from 0", "1 asks 1", "2 asks 1"]);
    staging.handle_stored(H[0], blob(1));
    assert_eq!(said(&mut staging), ["0 runs 0", "1 asks 1", "2 asks 1"]);
    staging.handle_missing(H[1], &[]);
    staging.handle_missing(H[2], &[]);
    assert_eq!(said(&mut staging), ["1 runs 1", "2 runs 2"]);
}

#[test]
fn hosts_that_share_a_directory_divide_its_files_among_their_links() {
    let mut staging = staging(2, "nfs");
    staging.launch(H[0], launch(0, &[1]));
    staging.handle_missing(H[0], &missing(&[1]));
    staging.launch(H[1], launch(1, &[1, 2]));
    staging.handle_missing(H[1], &missing(&[1, 2]));
    assert_eq!(said(&mut staging)[2..], ["1 asks 1 2", "1 gets 2 from 0"]);
    staging.launch(H[0], launch(2, &[2]));
    staging.handle_missing(H[0], &missing(&[2]));
    staging.handle_stored(H[1], blob(2));
    assert_eq!(said(&mut staging), ["0 asks 2", "0 asks 2"]);
}

#[test]
fn a_host_that_goes_away_or_gives_up_leaves_its_turn_to_a_peer() {
    let mut staging = staging(3, "nfs");
    for (index, host) in (0..).zip(&H[..3]) {
        staging.launch(*host, launch(index, &[1]));
        staging.handle_missing(*host, &missing(&[1]));
    }
    said(&mut staging);
    staging.handle_down(H[0]);
    assert_eq!(said(&mut staging), ["1 gets 1 from 0"]);
    staging.handle_refused(H[1], blob(1), "disk full", Scope::Host);
    staging.handle_refused(H[1], blob(1), "disk full", Scope::Host);
    assert_eq!(
        said(&mut staging),
        ["1 gets 1 from 0 verified", "1 refuses 1 Host: disk full", "2 gets 1 from 0"]
    );
    staging.handle_stored(H[2], blob(1));
    assert_eq!(said(&mut staging), ["2 runs 2"]);
}

#[test]
fn machines_with_the_same_name_for_their_directories_are_each_sent_what_they_lack() {
    let mut staging = staging(4, "clone");
    for (index, host) in (0..).zip(&H) {
        staging.launch(*host, launch(index, &[1]));
        staging.handle_missing(*host, &missing(&[1]));
    }
    said(&mut staging);
    for sent in 0..2 {
        staging.handle_stored(H[sent], blob(1));
        H[sent + 1..].iter().for_each(|host| staging.handle_missing(*host, &missing(&[1])));
        let gets = said(&mut staging).into_iter().filter(|step| step.contains("gets"));
        // The first time one of them at a time; then all that are left at once.
        let expected: &[&str] =
            [&["1 gets 1 from 0"][..], &["2 gets 1 from 0", "3 gets 1 from 0"]][sent];
        assert_eq!(gets.collect::<Vec<_>>(), expected);
    }
    H[2..].iter().for_each(|host| staging.handle_stored(*host, blob(1)));
    assert_eq!(said(&mut staging), ["2 runs 2", "3 runs 3"]);
}

/// Whatever the hosts answer, and whenever they come and go, every launch runs
/// or is refused in the end.
#[test]
fn nothing_waits_for_ever_whatever_becomes_of_the_hosts() {
    for seed in 0..500 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut staging = staging(4, "nfs");
        let mut due: BTreeMap<u32, u32> = BTreeMap::new();
        let mut questions: [VecDeque<Vec<BlobHash>>; 4] = Default::default();
        let mut sending: [VecDeque<BlobHash>; 4] = Default::default();
        let mut stored: [Vec<BlobHash>; 4] = Default::default();
        let shared = random.bool();
        for round in 0..2000 {
            let at = random.usize(..4);
            let host = H[at];
            match random.u32(..10) {
                0 if round < 300 => {
                    let numbers: Vec<u8> = (0..random.u8(..3)).map(|_| random.u8(1..4)).collect();
                    due.insert(round, host.0);
                    staging.launch(host, launch(round, &numbers));
                }
                1 if round < 300 && random.u32(..5) == 0 => {
                    staging.handle_down(host);
                    questions[at].clear();
                    sending[at].clear();
                    due.retain(|_, of| *of != host.0);
                    staging.handle_up(host, "nfs");
                }
                2..6 => {
                    if let Some(hashes) = questions[at].pop_front() {
                        let place = if shared { 0 } else { at };
                        let lacks = |hash: &BlobHash| !stored[place].contains(hash);
                        let lacking = hashes.into_iter().filter(lacks);
                        let lacking: Vec<_> = lacking.map(|hash| (hash, 0)).collect();
                        staging.handle_missing(host, &lacking);
                    }
                }
                _ => {
                    if let Some(hash) = sending[at].pop_front() {
                        if round < 300 && random.u32(..4) == 0 {
                            staging.handle_refused(host, hash, "disk full", Scope::Host);
                        } else {
                            stored[if shared { 0 } else { at }].push(hash);
                            staging.handle_stored(host, hash);
                        }
                    }
                }
            }
            while let Some((host, step)) = staging.poll_step() {
                match step {
                    StagingStep::Command(LinkCommand::Send(ToAgent::AskBlobs { hashes })) => {
                        questions[host.at()].push_back(hashes);
                    }
                    StagingStep::Command(LinkCommand::SendBlob { content, .. }) => {
                        sending[host.at()].push_back(content.hash());
                    }
                    StagingStep::Command(LinkCommand::Send(ToAgent::Launch(launch))) => {
                        assert_eq!(due.remove(&launch.key.index), Some(host.0), "seed {seed}");
                    }
                    StagingStep::Refuse(Record::Refused { key, .. }) => {
                        assert_eq!(due.remove(&key.index), Some(host.0), "seed {seed}");
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        assert!(due.is_empty(), "seed {seed}: {due:?}");
    }
}

/// The directory 100 as outputs of a job on a host.
fn outputs_on(host: HostIx) -> Vec<Placed> {
    let at = |number| {
        Arc::new(InputFile { path: format!("/d/s/{number}").into(), ..(*file(number)).clone() })
    };
    let directory = InputDirectory {
        path: Path::new("/d").to_owned(),
        hash: blob(100),
        mode: 0o700,
        mtime_ns: 0,
        list: Arc::new([0; 50]),
        files: vec![at(1), at(2)],
    };
    let origin = Some(Origin { host, id: "h/2026-11-22-3".parse().unwrap() });
    vec![Placed { name: "a".into(), directory: Arc::new(directory), origin }]
}

#[test]
fn outputs_are_taken_where_they_were_written_and_sent_where_they_are_not_or_no_more() {
    let spec = JobSpec::new(["true"]).unwrap();
    let mut staging = staging(3, "nfs");
    staging.handle_up(H[2], "other");
    for host in &H[..3] {
        let files = staging.inputs_of(*host, &spec, 0, outputs_on(H[0]));
        staging.launch(*host, Launch { files, ..launch(host.0, &[]) });
    }
    said(&mut staging);
    staging.handle_missing(H[2], &missing(&[100, 1, 2]));
    let sent = ["2 gets 100 from 0", "2 gets 1 from 0", "2 gets 2 from 0"];
    assert_eq!(said(&mut staging), sent, "it does not reach the host");
    staging.handle_missing(H[1], &[(blob(1), 700), (blob(2), 0)]);
    let take = |number| format!("1 takes {number} of 1000 from h/2026-11-22-3 s/{number}");
    assert_eq!(said(&mut staging), [take(1), take(2)]);
    staging.handle_refused(H[1], blob(1), "it has another hash", Scope::Host);
    assert_eq!(said(&mut staging), ["1 gets 1 from 0 verified"]);
    staging.handle_refused(H[1], blob(2), "it is full", Scope::Space);
    assert_eq!(said(&mut staging), ["1 refuses 1 Space: it is full"]);
    staging.handle_missing(H[0], &missing(&[100, 1, 2]));
    let take = |number| format!("0 takes {number} of 1000 from h/2026-11-22-3 s/{number}");
    assert_eq!(said(&mut staging), ["0 gets 100 from 0".to_owned(), take(2)], "a peer gets 1");
    staging.handle_stored(H[0], blob(2));
    staging.handle_stored(H[0], blob(100));
    assert!(said(&mut staging).is_empty());
    staging.handle_stored(H[1], blob(1));
    assert_eq!(said(&mut staging), ["0 asks 1"]);
    staging.handle_missing(H[0], &[]);
    assert_eq!(said(&mut staging), ["0 runs 0"]);
}
