use gjob_core::event::{EventKind, RunEnd};
use gjob_core::scheduler::{HostIx, JobInit, JobStart};
use gjob_core::{Cause, Ending, Finish, Key, State};

use super::*;

fn temp_run() -> (tempfile::TempDir, RunDir) {
    let temp = tempfile::tempdir().unwrap();
    let dir = StateDir::new(temp.path()).create_run(Timestamp(1_795_305_600_000)).unwrap();
    (temp, dir)
}

fn specs(count: usize) -> Vec<std::sync::Arc<JobSpec>> {
    (0..count)
        .map(|i| JobSpec::new([format!("echo {i}")]).unwrap().name(format!("n{i}")).into())
        .collect()
}

fn host(at: u32) -> HostLabel {
    format!("h{at}").parse().unwrap()
}

fn finish(key: Key, ending: Ending, cause: Option<Cause>) -> EventKind {
    EventKind::JobFinished {
        host: host(1),
        finish: Finish {
            key: Some(key),
            id: "x/2026-11-22-1".parse().unwrap(),
            ending,
            cause,
            started: Timestamp(5),
            ended: Timestamp(9),
            user_us: 1,
            system_us: 2,
            max_rss_kib: 3,
            stdout_bytes: 4,
            stderr_bytes: 5,
        },
    }
}

/// A life of each kind, as a scheduler would tell it.
fn lives() -> Vec<EventKind> {
    let key = Key::new;
    let assign = |key| EventKind::JobAssigned { key, host: host(1) };
    let start = |key| EventKind::JobStarted {
        key,
        host: host(1),
        id: "x/2026-11-22-1".parse().unwrap(),
        started: Timestamp(5),
    };
    let end = |key, state| EventKind::JobEnded { key, state, reason: Some("r".into()) };
    vec![
        // 0: done
        assign(key(0, 1)),
        start(key(0, 1)),
        finish(key(0, 1), Ending::Exit(0), None),
        end(key(0, 1), State::Done),
        // 1: failed once, running again
        assign(key(1, 1)),
        start(key(1, 1)),
        finish(key(1, 1), Ending::Exit(7), None),
        assign(key(1, 2)),
        start(key(1, 2)),
        // 2: sent, nothing heard
        assign(key(2, 1)),
        // 3: taken back
        assign(key(3, 1)),
        EventKind::JobWithdrawn { key: key(3, 1), host: host(1) },
        // 4: lost
        assign(key(4, 1)),
        start(key(4, 1)),
        EventKind::JobLost { key: key(4, 1), host: host(1), id: None, reason: "slot died".into() },
        end(key(4, 1), State::Unknown),
        // 5: ended by an interrupt, waiting again
        assign(key(5, 1)),
        start(key(5, 1)),
        finish(key(5, 1), Ending::Signal(15), Some(Cause::Killed)),
        // 6: failed for the first time
        assign(key(6, 1)),
        finish(key(6, 1), Ending::Exit(1), None),
        // 7: untouched
        EventKind::RunEnded { end: RunEnd::Interrupted, done: 1, error: 0, unknown: 1, left: 6 },
    ]
}

#[test]
fn the_tables_are_the_fold_of_the_events() {
    let (_temp, dir) = temp_run();
    let hosts = [host(0), host(1)];
    let mut store = Store::create(&dir, "{}", &hosts, &specs(8), &Inputs::default()).unwrap();
    let mut folded = vec![JobInit::new(3); 8];
    for kind in lives() {
        if let Some(key) = kind.key() {
            let at = kind.host().map(|label| HostIx(u32::from(label.as_str() == "h1")));
            folded[key.index as usize].apply(&kind, at);
        }
        store.commit(&[Event { at: Timestamp(100), kind }], &[]).unwrap();
    }
    for (row, expected) in store.jobs().unwrap().iter().zip(&folded) {
        let init = row.to_init(3);
        assert_eq!(init.start, expected.start, "job {}", row.index);
        assert_eq!(init.attempt, expected.attempt, "job {}", row.index);
        assert_eq!(init.failures, expected.failures, "job {}", row.index);
    }
    assert_eq!(folded[7].start, JobStart::Waiting);
}

#[test]
fn a_reader_sees_what_a_writer_has_committed() {
    let (_temp, dir) = temp_run();
    let mut writer =
        Store::create(&dir, "{\"a\":1}", &[host(0), host(1)], &specs(5), &Inputs::default())
            .unwrap();
    let events: Vec<Event> =
        lives().into_iter().take(4).map(|kind| Event { at: Timestamp(1), kind }).collect();
    writer.commit(&events, &[LogOffset { host: 1, offset: 77 }]).unwrap();

    let reader = Store::read(&dir).unwrap();
    let row = reader.job(0).unwrap().unwrap();
    assert_eq!((row.state, row.exit, row.attempt), (State::Done, Some(0), 1));
    assert_eq!(row.name.as_deref(), Some("n0"));
    assert_eq!(reader.hosts().unwrap()[1].offset, 77);
    assert_eq!(reader.run().unwrap().settings, "{\"a\":1}");
    assert_eq!(reader.counts().unwrap(), [(State::Done, 1), (State::Free, 4)]);
    assert_eq!(reader.specs().unwrap()[3].cmds, ["echo 3"]);
}

#[test]
fn a_run_has_one_manager_at_a_time() {
    let (_temp, dir) = temp_run();
    let store = Store::create(&dir, "{}", &[host(0)], &specs(1), &Inputs::default()).unwrap();
    assert!(dir.is_managed().unwrap());
    let refused = Store::take_up(&dir).unwrap_err().to_string();
    assert_eq!(refused, "run 2026-11-22-1 is managed by another gjob process");
    let first = store.epoch().unwrap();
    drop(store);
    assert!(!dir.is_managed().unwrap());
    assert!(Store::take_up(&dir).unwrap().epoch().unwrap() > first);
}

#[test]
fn another_versions_database_names_both_versions() {
    let (_temp, dir) = temp_run();
    let store = Store::create(&dir, "{}", &[host(0)], &specs(1), &Inputs::default()).unwrap();
    store.db.pragma_update(None, "user_version", 9).unwrap();
    drop(store);
    let error = Store::read(&dir).unwrap_err().to_string();
    assert!(error.ends_with("has schema version 9, this gjob reads version 3"), "{error}");
}

#[test]
fn a_database_is_for_its_user_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (_temp, dir) = temp_run();
    let _store = Store::create(&dir, "{}", &[host(0)], &specs(1), &Inputs::default()).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(dir.path()), 0o700);
    assert_eq!(mode(&dir.database()), 0o600);
}

#[test]
fn runs_are_numbered_on_within_a_day() {
    let temp = tempfile::tempdir().unwrap();
    let state = StateDir::new(temp.path());
    let day = Timestamp(1_795_305_600_000);
    let ids: Vec<String> =
        (0..11).map(|_| state.create_run(day).unwrap().run().to_string()).collect();
    assert_eq!(ids[0], "2026-11-22-1");
    assert_eq!(ids[10], "2026-11-22-11");
    assert!(matches!(state.find(None), Err(RunDirError::NoRuns { .. })));
}

#[test]
fn files_and_directories_are_kept_as_they_were() {
    let (temp, dir) = temp_run();
    std::fs::write(temp.path().join("input"), "content").unwrap();
    for name in ["tree/sub", "hollow"] {
        std::fs::create_dir_all(temp.path().join(name)).unwrap();
    }
    for name in ["tree/b", "tree/a", "tree/sub/c"] {
        std::fs::write(temp.path().join(name), name).unwrap();
    }
    std::os::unix::fs::symlink("a", temp.path().join("tree/link")).unwrap();
    let paths = ["input", "tree", "hollow"].map(|name| temp.path().join(name));
    let spec = JobSpec::new(["true"]).unwrap().files(paths.map(|p| p.display().to_string()));
    let inputs = Inputs::hash([&spec]).unwrap();
    let store = Store::create(&dir, "{}", &[host(0)], &specs(1), &inputs).unwrap();
    let kept = store.inputs().unwrap();
    let sorted = |inputs: &Inputs| {
        let roots = inputs.roots().map(|(path, root)| (path.to_owned(), root.clone()));
        roots.collect::<std::collections::BTreeMap<_, _>>()
    };
    assert_eq!(sorted(&kept).len(), 3);
    assert_eq!(sorted(&kept), sorted(&inputs));
}
