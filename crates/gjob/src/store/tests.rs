use std::sync::Arc;

use gjob_core::dependency::Dependencies;
use gjob_core::event::HostFacts;
use gjob_core::outcome::{Ending, Finish};
use gjob_core::record::Record;
use gjob_core::resources::Offer;
use gjob_core::run::HostIx;
use gjob_core::scheduler::{Action, Config, Scheduler};
use gjob_core::{Key, State};

use super::*;
use crate::settings::RunSettings;

pub(crate) fn temp_run() -> (tempfile::TempDir, RunDir) {
    let temp = tempfile::tempdir().unwrap();
    let dir = StateDir::new(temp.path()).create_run(Timestamp(1_795_305_600_000)).unwrap();
    (temp, dir)
}

pub(crate) fn specs(count: usize) -> Vec<std::sync::Arc<JobSpec>> {
    (0..count)
        .map(|i| JobSpec::new([format!("echo {i}")]).unwrap().name(format!("n{i}")).into())
        .collect()
}

pub(crate) fn host(at: u32) -> HostLabel {
    format!("h{at}").parse().unwrap()
}

/// A scheduler of a stored run, and what it has decided.
fn scheduler(specs: &[Arc<JobSpec>]) -> Scheduler {
    let run = Run::new([host(0), host(1)], specs.to_vec(), Dependencies::default());
    Scheduler::new(Config::default(), run)
}

fn commit(store: &mut Store, scheduler: &mut Scheduler, changes: &mut Changes) {
    while let Some(action) = scheduler.poll_action() {
        if let Action::Emit { event, touched } = action {
            changes.add(event, touched);
        }
    }
    store.commit(scheduler.run(), changes).unwrap();
    *changes = Changes::default();
}

fn finished(key: Key, ending: Ending) -> Record {
    Record::Finished(Finish {
        key: Some(key),
        id: "x/2026-11-22-1".parse().unwrap(),
        ending,
        cause: None,
        started: Timestamp(5),
        ended: Timestamp(9),
        user_us: 1,
        system_us: 2,
        max_rss_kib: 3,
        read_bytes: 0,
        written_bytes: 0,
        stdout_bytes: 4,
        stderr_bytes: 5,
        survivors: vec![6, 7],
    })
}

#[test]
fn a_loaded_run_equals_the_committed_one_after_every_step() {
    let (_temp, dir) = temp_run();
    let all = specs(6);
    let labels = [host(0), host(1)];
    let mut store = Store::create(&dir, "{}", &labels, &all, &Inputs::default()).unwrap();
    let mut scheduler = scheduler(&all);
    let now = std::time::Duration::from_secs(1);
    let offer = Offer { cpus: 2, mem: 1 << 30, gpus: 1 };
    let facts = move || HostFacts {
        hostname: "x".into(),
        version: "1".into(),
        platform: "linux-x86_64".into(),
        boot_id: "boot".into(),
        results_dir: "/r".into(),
        offer,
    };
    let id = || "x/2026-11-22-1".parse().unwrap();
    let key = |index| Key::new(index, 1);
    let started =
        |key| Record::Started { key, id: id(), pid: 1, at: Timestamp(5), processors: Vec::new() };
    type Step = Box<dyn Fn(&mut Scheduler)>;
    let record = |host, record: Record| -> Step {
        Box::new(move |scheduler: &mut Scheduler| {
            scheduler.handle_record(now, host, record.clone());
        })
    };
    let (h0, h1) = (HostIx(0), HostIx(1));
    let up = facts();
    let steps: Vec<Step> = vec![
        Box::new(|scheduler| scheduler.handle_start("2026-11-22-1".parse().unwrap(), false)),
        Box::new(move |scheduler| scheduler.handle_host_up(now, h0, up.clone())),
        record(h0, started(key(0))),
        record(h0, finished(key(0), Ending::Exit(0))),
        record(h0, finished(key(1), Ending::Signal(9))),
        Box::new(move |scheduler| scheduler.handle_host_unreachable(now, h0, "cut")),
        // Its attempts are abandoned, start elsewhere, and come back late.
        Box::new(move |scheduler| scheduler.handle_host_up(now, h1, facts())),
        Box::new(|scheduler| scheduler.handle_timeout(std::time::Duration::from_secs(900))),
        record(h0, finished(key(2), Ending::Exit(0))),
        Box::new(|scheduler| {
            assert!(scheduler.handle_pause(5) && scheduler.handle_kill(5));
        }),
    ];
    for (nth, step) in steps.iter().enumerate() {
        scheduler.set_time(Timestamp(nth as u64));
        step(&mut scheduler);
        commit(&mut store, &mut scheduler, &mut Changes::default());
        let loaded = Store::read(&dir).unwrap().load().unwrap();
        // Survivors are known to the manager that heard of them alone.
        assert_eq!(
            format!("{:?}", loaded.jobs()),
            format!("{:?}", scheduler.run().jobs()),
            "{nth}"
        );
        assert_eq!(loaded.hosts(), scheduler.run().hosts(), "{nth}");
        assert_eq!(
            (loaded.tally(), loaded.seq()),
            (scheduler.run().tally(), scheduler.run().seq())
        );
    }
    let run = scheduler.run();
    assert!(!run.abandoned(3).is_empty(), "the scene has an abandoned attempt");
    let (tally, shown) = Store::read(&dir).unwrap().tally(true).unwrap();
    assert_eq!((tally, shown), (run.tally(), run.shown_tally(true)));
}

#[test]
fn a_reader_sees_what_a_writer_has_committed() {
    let (_temp, dir) = temp_run();
    let all = specs(5);
    let mut writer =
        Store::create(&dir, "{\"a\":1}", &[host(0), host(1)], &all, &Inputs::default()).unwrap();
    let mut scheduler = scheduler(&all);
    let now = std::time::Duration::from_secs(1);
    let facts = HostFacts { offer: Offer::cpus(1), ..HostFacts::default() };
    scheduler.handle_host_up(now, HostIx(1), facts);
    scheduler.handle_record(now, HostIx(1), finished(Key::new(0, 1), Ending::Exit(0)));
    let mut changes = Changes::default();
    changes.offsets.push(LogOffset { host: 1, offset: 77 });
    commit(&mut writer, &mut scheduler, &mut changes);

    let reader = Store::read(&dir).unwrap();
    let run = reader.load().unwrap();
    let job = &run.jobs()[0];
    assert_eq!((job.state(), job.attempt.as_ref().unwrap().exit()), (State::Done, Some(0)));
    assert_eq!(job.name(), Some("n0"));
    assert_eq!(reader.offsets().unwrap(), [0, 77]);
    assert_eq!(reader.row().unwrap().settings, "{\"a\":1}");
    let sql = "SELECT command, state, exit FROM jobs WHERE idx = 0";
    let by_hand = reader.db.query_row(sql, [], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, u8>(2)?))
    });
    assert_eq!(by_hand.unwrap(), ("echo 0".into(), "done".into(), 0));
    assert_eq!(reader.specs().unwrap()[3].cmds, ["echo 3"]);
}

#[test]
fn killed_job_that_exits_with_0_has_no_exit_status_in_the_view() {
    let (_temp, dir) = temp_run();
    let all = specs(1);
    let mut store =
        Store::create(&dir, "{}", &[host(0), host(1)], &all, &Inputs::default()).unwrap();
    let mut scheduler = scheduler(&all);
    let now = std::time::Duration::from_secs(1);
    let facts = HostFacts { offer: Offer::cpus(1), ..HostFacts::default() };
    scheduler.handle_host_up(now, HostIx(0), facts);
    let (key, id) = (Key::new(0, 1), "x/2026-11-22-1".parse().unwrap());
    let started = Record::Started { key, id, pid: 1, at: Timestamp(5), processors: Vec::new() };
    scheduler.handle_record(now, HostIx(0), started);
    assert!(scheduler.handle_kill(0));
    let Record::Finished(finish) = finished(key, Ending::Exit(0)) else { unreachable!() };
    let killed = Record::Finished(Finish { cause: Some(gjob_core::Cause::Killed), ..finish });
    scheduler.handle_record(now, HostIx(0), killed);
    commit(&mut store, &mut scheduler, &mut Changes::default());
    let sql = "SELECT state, cause, j.exit, a.exit FROM jobs j JOIN attempts a USING (idx, cause)";
    let shown = Store::read(&dir).unwrap().db.query_row(sql, [], |row| {
        let (state, cause): (String, String) = (row.get(0)?, row.get(1)?);
        Ok((state, cause, row.get::<_, Option<u8>>(2)?, row.get::<_, Option<u8>>(3)?))
    });
    assert_eq!(shown.unwrap(), ("error".into(), "killed".into(), None, Some(0)));
    let run = scheduler.run();
    assert_eq!((run.jobs()[0].exit(), run.jobs()[0].state()), (None, State::Error));
}

/// A run that gjob 0.1 left behind, with schema 3.
fn old_run() -> (tempfile::TempDir, RunDir) {
    let (temp, dir) = temp_run();
    let old = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/run-schema-3.db");
    std::fs::copy(old, dir.database()).unwrap();
    (temp, dir)
}

#[test]
fn a_run_of_the_version_before_is_read_and_stays_as_it_is() {
    let (_temp, dir) = old_run();
    let before = std::fs::read(dir.database()).unwrap();
    let store = Store::read(&dir).unwrap();
    let run = store.load().unwrap();
    let states: Vec<String> = run.jobs().iter().map(|job| job.state().to_string()).collect();
    assert_eq!(states, ["done", "error", "done", "error", "done", "error", "busy", "free"]);
    let fails = &run.jobs()[1];
    assert_eq!(fails.key(), Some(Key::new(1, 2)));
    assert_eq!(fails.finish().unwrap().ending, Ending::Exit(7));
    assert_eq!(run.hosts()[0].facts.as_ref().unwrap().hostname, "node1");
    assert_eq!(run.hosts()[0].in_flight().collect::<Vec<_>>(), [6]);
    assert_eq!(store.job_dirs().unwrap().len(), 7);
    assert_eq!(store.specs().unwrap()[4].files, ["data.txt"]);
    assert_eq!(store.inputs().unwrap().roots().count(), 1);
    let settings = RunSettings::from_json(&store.row().unwrap().settings).unwrap();
    assert_eq!(settings.network.clusters[0].workers, [gjob_core::HostEntry::local()]);
    assert_eq!(settings.network.options.slots, Some(4));
    assert_eq!(settings.outputs.into.as_deref(), Some(Path::new("/tmp/lab/out")));
    drop(store);
    assert!(before == std::fs::read(dir.database()).unwrap(), "reading changed the file");
}

#[test]
fn a_run_of_the_version_before_is_not_resumed() {
    let (_temp, dir) = old_run();
    let refused = Store::take_up(&dir).unwrap_err().to_string();
    assert!(refused.contains("can read the run, but not resume or clean it"));
    assert!(refused.contains("\nhelp: "), "{refused}");
}

/// A migrated database has what a new one has, so that both are read alike.
#[test]
fn a_migrated_schema_has_the_columns_of_a_new_one() {
    let columns = |store: &Store| -> Vec<String> {
        let sql = "SELECT m.name || '.' || c.name FROM sqlite_schema m, pragma_table_info(m.name) c
            WHERE m.type IN ('table', 'view') ORDER BY 1";
        store.all(sql, |row| row.get(0)).unwrap()
    };
    let (_temp, dir) = temp_run();
    let new = Store::create(&dir, "{}", &[host(0)], &specs(1), &Inputs::default()).unwrap();
    let (_old_temp, old_dir) = old_run();
    assert_eq!(columns(&Store::read(&old_dir).unwrap()), columns(&new));
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
fn a_manager_whose_run_was_taken_up_elsewhere_records_nothing_more() {
    let (_temp, dir) = temp_run();
    let mut store = Store::create(&dir, "{}", &[host(0)], &specs(1), &Inputs::default()).unwrap();
    // What `take_up` does on another machine, where this lock does not show.
    let other = Connection::open(dir.database()).unwrap();
    other.execute("UPDATE run SET epoch = epoch + 1", []).unwrap();
    let offset = LogOffset { host: 0, offset: 7 };
    let mut changes = Changes::default();
    changes.offsets.push(offset);
    let run = store.load().unwrap();
    let is_fenced = |done: Result<(), StoreError>| {
        matches!(done, Err(StoreError::TakenUp { found: 2, own: 1 }))
    };
    assert!(is_fenced(store.commit(&run, &changes)));
    assert!(is_fenced(store.set_ended("complete")));
    assert!(is_fenced(store.forget_logs(&[HostIx(0)])));
    assert_eq!(store.offsets().unwrap(), [0]);
    assert_eq!(store.epoch().unwrap(), Epoch(1), "its own");
}

#[test]
fn a_database_that_is_not_gjobs_is_named() {
    let (_temp, dir) = temp_run();
    let store = Store::create(&dir, "{}", &[host(0)], &specs(1), &Inputs::default()).unwrap();
    store.db.pragma_update(None, "application_id", 7).unwrap();
    drop(store);
    for error in [Store::read(&dir).unwrap_err(), Store::take_up(&dir).unwrap_err()] {
        assert!(error.to_string().ends_with("but not one of gjob's"), "{error}");
    }
}

#[test]
fn the_latest_run_is_the_one_made_last_whatever_its_date() {
    let temp = tempfile::tempdir().unwrap();
    let state = StateDir::new(temp.path());
    let made = |day: u64| {
        let dir = state.create_run(Timestamp(day * 86_400_000)).unwrap();
        drop(Store::create(&dir, "{}", &[host(0)], &specs(1), &Inputs::default()).unwrap());
        dir
    };
    let first = made(20_000);
    assert_eq!(state.find(None).unwrap().run(), first.run());
    assert!(!state.is_latest_ambiguous().unwrap());
    let second = made(10_000);
    assert_eq!(state.find(None).unwrap().run(), second.run());
    assert!(state.is_latest_ambiguous().unwrap());
    std::fs::remove_dir_all(second.path()).unwrap();
    assert!(!state.is_latest_ambiguous().unwrap());
    assert_eq!(state.find(None).unwrap().run(), first.run());
}

#[test]
fn another_versions_database_names_both_versions() {
    let (_temp, dir) = temp_run();
    let store = Store::create(&dir, "{}", &[host(0)], &specs(1), &Inputs::default()).unwrap();
    store.db.pragma_update(None, "user_version", 9).unwrap();
    drop(store);
    let error = Store::read(&dir).unwrap_err().to_string();
    assert!(error.ends_with("has schema version 9, this gjob reads versions 3 to 4"), "{error}");
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
        let roots = inputs
            .roots()
            .map(|(path, revision, root)| ((path.to_owned(), revision), root.clone()));
        roots.collect::<std::collections::BTreeMap<_, _>>()
    };
    assert_eq!(sorted(&kept).len(), 3);
    assert_eq!(sorted(&kept), sorted(&inputs));
}
