use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use gjob_core::resources::Cpus;

use super::turn::LOCK_TIMEOUT;
use super::*;

/// The ledger in `dir`, as a run sees it that has four processors.
fn ledger(dir: &Path, run: &str) -> Ledger {
    let writer = Writer { run: run.to_owned(), processors: vec![(0, 3)], ..Writer::default() };
    Ledger::with(Some(Book::open(dir).unwrap()), writer, Offer { cpus: 4, mem: 100 })
}

fn ask(cpus: u32) -> Ask {
    Ask { cpus: Cpus::Count(cpus), mem: 0, gpus: 0, bound: 0, may_overlap: false }
}

fn take(ledger: &mut Ledger, share: &mut Share, cpus: u32) -> Result<Vec<String>, NoRoom> {
    ledger.handle_wakeup();
    let taken = ledger.take(Some(share), &ask(cpus), &Free::default(), Instant::now());
    taken.map(|held| held.gpus)
}

/// The files in the ledger besides its lock.
fn files(dir: &Path) -> usize {
    std::fs::read_dir(dir.join(host::boot_id())).unwrap().count() - 1
}

#[test]
fn share_counts_as_long_as_a_process_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut first, mut second) = (ledger(dir.path(), "a"), ledger(dir.path(), "b"));
    let mut share = first.new_share().unwrap();
    assert_eq!(take(&mut first, &mut share, 4), Ok(Vec::new()));
    let mut slot = Command::new("sleep")
        .arg("600")
        .stdin(Stdio::null())
        .stdout(share.for_slot().unwrap())
        .spawn()
        .unwrap();
    // The agent is killed.
    drop((first, share));
    let mut share = second.new_share().unwrap();
    assert_eq!(take(&mut second, &mut share, 1), Err(NoRoom));
    assert_eq!(files(dir.path()), 3);
    slot.kill().unwrap();
    slot.wait().unwrap();
    assert_eq!(take(&mut second, &mut share, 1), Ok(Vec::new()));
    assert_eq!(files(dir.path()), 1);
}

#[test]
fn what_is_kept_for_the_next_job_is_given_up_once_somebody_waits() {
    let dir = tempfile::tempdir().unwrap();
    let (mut first, mut second) = (ledger(dir.path(), "a"), ledger(dir.path(), "b"));
    let mut kept = first.new_share().unwrap();
    assert_eq!(take(&mut first, &mut kept, 3), Ok(Vec::new()));
    assert!(first.has_kept(Some(&kept), &ask(3)) && !first.has_kept(Some(&kept), &ask(2)));
    let mut share = second.new_share().unwrap();
    assert_eq!(take(&mut second, &mut share, 2), Err(NoRoom));
    first.handle_wakeup();
    assert!(first.is_pressed() && !first.has_kept(Some(&kept), &ask(3)));
    first.give_up(&mut kept);
    // The other one has waited longer.
    assert_eq!(take(&mut first, &mut kept, 3), Err(NoRoom));
    assert_eq!(take(&mut second, &mut share, 2), Ok(Vec::new()));
    assert_eq!(take(&mut first, &mut kept, 2), Ok(Vec::new()));
    second.handle_wakeup();
    assert!(!second.is_pressed(), "nobody waits any more");
}

#[test]
fn wait_that_lasts_is_told_once_and_so_is_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let (mut first, mut second) = (ledger(dir.path(), "a"), ledger(dir.path(), "b"));
    let mut held = first.new_share().unwrap();
    assert_eq!(take(&mut first, &mut held, 4), Ok(Vec::new()));
    let mut share = second.new_share().unwrap();
    assert_eq!(take(&mut second, &mut share, 1), Err(NoRoom));
    let now = Instant::now();
    assert_eq!(second.next_notice(now), None);
    let what = "processors that another run of yours uses".to_owned();
    assert_eq!(second.next_notice(now + TELL_AFTER), Some(Notice::Waits(what)));
    assert_eq!(second.next_notice(now + TELL_AFTER), None);
    second.stop_waiting();
    assert_eq!(second.next_notice(now), Some(Notice::Goes));
    first.handle_wakeup();
    assert!(!first.is_pressed(), "what was withdrawn waits no more");
}

#[test]
fn odd_files_in_the_ledger_do_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = ledger(dir.path(), "a");
    let place = dir.path().join(host::boot_id());
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, place.join("share.pipe"), mode).unwrap();
    symlink("/dev/zero", place.join("wait.link")).unwrap();
    std::fs::create_dir(place.join("wait.dir")).unwrap();
    std::fs::write(place.join("share.text"), "no line").unwrap();
    let locked = std::fs::File::open(place.join("share.text")).unwrap();
    locked.lock().unwrap();
    let mut share = ledger.new_share().unwrap();
    assert_eq!(take(&mut ledger, &mut share, 4), Ok(Vec::new()));
    assert_eq!(ledger.next_notice(Instant::now()), None);
}

#[test]
fn ledger_that_stays_locked_or_vanishes_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let mut stuck = ledger(dir.path(), "a");
    let mut share = stuck.new_share().unwrap();
    let lock = std::fs::File::open(dir.path().join(host::boot_id()).join("lock")).unwrap();
    lock.lock().unwrap();
    assert_eq!(take(&mut stuck, &mut share, 1), Err(NoRoom));
    let later = Instant::now() + LOCK_TIMEOUT;
    assert!(stuck.next_due(later).is_some(), "nothing wakes it");
    assert!(stuck.take(Some(&mut share), &ask(1), &Free::default(), later).is_ok());
    let reason = "another process keeps it locked".to_owned();
    assert_eq!(stuck.next_notice(later), Some(Notice::LeftOut(reason)));
    lock.unlock().unwrap();
    let mut lost = ledger(dir.path(), "b");
    std::fs::remove_dir_all(dir.path().join(host::boot_id())).unwrap();
    assert!(lost.new_share().is_none());
    assert!(matches!(lost.next_notice(later), Some(Notice::LeftOut(_))));
}
