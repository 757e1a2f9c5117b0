//! `gjob runs`, also where a run cannot be read.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop here")]

mod support;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;

use snapbox::str;
use support::Place;

/// Where SQLite's file format has the number that gjob uses for its schema.
const USER_VERSION_OFFSET: u64 = 60;

/// A place with this many runs that are done.
fn place_with_runs(count: u64) -> Place {
    let place = Place::new();
    place.file("jobs.txt", "true\n");
    for _ in 0..count {
        assert_eq!(place.gjob(&["run", "-j", "1", "jobs.txt"]).output().code, 0);
    }
    place
}

/// The directories of all runs, oldest first.
fn run_dirs(place: &Place) -> Vec<PathBuf> {
    let dirs = fs::read_dir(place.path("state/runs")).unwrap();
    let mut dirs: Vec<PathBuf> = dirs.map(|dir| dir.unwrap().path()).collect();
    dirs.sort();
    dirs
}

#[test]
fn runs_without_a_run_shows_only_the_heading() {
    let place = Place::new();
    place
        .gjob(&["runs"])
        .stdout(str![[r#"
RUN  STATE  BEGAN  TOOK  HOSTS  JOBS  COMMAND

"#]])
        .run();
    place.gjob(&["runs", "--json"]).stdout("[]\n").run();
}

#[test]
fn runs_that_cannot_be_read_are_listed_beside_the_others() {
    let place = place_with_runs(5);
    let dirs = run_dirs(&place);
    let database = File::options().write(true).open(dirs[0].join("run.db")).unwrap();
    database.write_all_at(&1_u32.to_be_bytes(), USER_VERSION_OFFSET).unwrap();
    File::options().write(true).open(dirs[1].join("run.db")).unwrap().set_len(5000).unwrap();
    fs::write(dirs[2].join("run.db"), "no database at all").unwrap();
    fs::remove_file(dirs[3].join("run.db")).unwrap();
    place.gjob(&["runs"]).any_width().stdout(str![[r#"
RUN  STATE  BEGAN  TOOK  HOSTS  JOBS  COMMAND
[DATE]-1  -  -  -  -  -  cannot be read: store [PLACE]/state/runs/[DATE]-1/run.db has schema version 1, this gjob reads versions 3 to 4
[DATE]-2  -  -  -  -  -  cannot be read: store [PLACE]/state/runs/[DATE]-2/run.db: database disk image is malformed
[DATE]-3  -  -  -  -  -  cannot be read: store [PLACE]/state/runs/[DATE]-3/run.db: file is not a database
[DATE]-4  -  -  -  -  -  cannot be read: it has no database
[DATE]-5  done  [CLOCK]  [ELAPSED]  1  1 done  true

"#]]).run();
    place.gjob(&["runs", "--json"]).stdout(str![[r#"
[
  {
    "run": "[DATE]-1",
    "error": "store [PLACE]/state/runs/[DATE]-1/run.db has schema version 1, this gjob reads versions 3 to 4"
  },
  {
    "run": "[DATE]-2",
    "error": "store [PLACE]/state/runs/[DATE]-2/run.db: database disk image is malformed"
  },
  {
    "run": "[DATE]-3",
    "error": "store [PLACE]/state/runs/[DATE]-3/run.db: file is not a database"
  },
  {
    "run": "[DATE]-4",
    "error": "it has no database"
  },
  {
    "run": "[DATE]-5",
    "state": "done",
    "status": "done",
    "managed": false,
    "created": "[TIME]",
    "elapsed_s": [..],
    "unmanaged_s": [..],
    "counts": {
      "free": 0,
      "busy": 0,
      "done": 1,
      "unknown": 0,
      "error": 0
    },
    "hosts": 1,
    "command": "true"
  }
]

"#]]).run();
    place
        .gjob(&["status"])
        .any_width()
        .stdout(str![[r#"
run [DATE]-5: done in [ELAPSED]
1 job: 1 done

HOST  STATE  BUSY  DONE  FAILED  MEDIAN  NOTE
this machine  -  0/1  1  0  [ELAPSED]  -

"#]])
        .run();
    let oldest = dirs[0].file_name().unwrap().to_str().unwrap();
    place
        .gjob(&["status", oldest])
        .code(3)
        .stderr(str![[r#"
gjob: store [PLACE]/state/runs/[DATE]-1/run.db has schema version 1, this gjob reads versions 3 to 4

"#]])
        .run();
}

#[test]
fn run_that_cannot_be_read_does_not_stand_in_the_way() {
    let place = place_with_runs(4);
    let dirs = run_dirs(&place);
    let replace = |at: usize, with: fn(&std::path::Path)| {
        let database = dirs[at].join("run.db");
        fs::remove_file(&database).unwrap();
        with(&database);
    };
    let pipe = |path: &std::path::Path| {
        assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    };
    replace(0, pipe);
    replace(1, |path| fs::create_dir(path).unwrap());
    let log = dirs[2].join("run.db-wal");
    // Readers leave an empty one.
    fs::write(&log, "").and_then(|()| fs::remove_file(&log)).unwrap();
    pipe(&log);
    let limit = std::time::Duration::from_secs(20);
    let listed = place.gjob(&["runs"]).start().output_within(limit);
    assert_eq!(listed.code, 0, "{listed:?}");
    assert_eq!(listed.stdout.matches("it is no regular file").count(), 3, "{listed:?}");
    for dir in &dirs[..3] {
        let run = dir.file_name().unwrap().to_str().unwrap();
        let shown = place.gjob(&["status", run]).start().output_within(limit);
        assert!(shown.stderr.contains("it is no regular file"), "{shown:?}");
        let cleaned = place.gjob(&["clean", run, "--record"]).start().output_within(limit);
        assert_eq!(cleaned.code, 1, "{cleaned:?}");
        assert!(cleaned.stdout.contains("its files on hosts are left"), "{cleaned:?}");
    }
    assert_eq!(run_dirs(&place), dirs[3..]);
}

#[test]
fn latest_run_is_named_where_it_is_not_the_one_of_the_latest_date() {
    let place = place_with_runs(1);
    let dirs = run_dirs(&place);
    fs::rename(&dirs[0], dirs[0].with_file_name("2099-01-01-1")).unwrap();
    assert_eq!(place.gjob(&["run", "-j", "1", "jobs.txt"]).output().code, 0);
    let shown = place.gjob(&["status"]).output();
    assert!(shown.stdout.starts_with("run 20"), "{shown:?}");
    assert!(!shown.stdout.starts_with("run 2099"), "{shown:?}");
    assert!(shown.stderr.ends_with(": it was made last, though others have later dates\n"));
}

#[test]
fn what_no_run_is_called_is_named_once_and_listed_nowhere() {
    let place = place_with_runs(1);
    let dir = run_dirs(&place).remove(0);
    fs::rename(&dir, dir.with_file_name("my copy\n")).unwrap();
    for name in ["2026-11-22-1.bak", "a", "b", "c", "d", "e"] {
        fs::create_dir(dir.with_file_name(name)).unwrap();
    }
    place.gjob(&["runs"]).stdout(str![[r#"
RUN  STATE  BEGAN  TOOK  HOSTS  JOBS  COMMAND

"#]]).stderr(str![[r#"
gjob: passed over in [PLACE]/state/runs: "[DATE]-1.bak", "a", "b", "c", "d" and 2 more: expected runs, called DATE-N

"#]]).run();
    place.gjob(&["runs", "--json"]).stdout("[]\n").stderr(str![[r#"
gjob: passed over in [PLACE]/state/runs: "[DATE]-1.bak", "a", "b", "c", "d" and 2 more: expected runs, called DATE-N

"#]]).run();
}

/// Lets all that was recorded of the latest run be two hours older.
fn age(place: &Place) {
    let script = r"
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
for table, columns in {'run': ['created'], 'events': ['at'], 'progress': ['ended'],
                       'attempts': ['assigned', 'started', 'ended']}.items():
    for column in columns:
        db.execute(f'UPDATE {table} SET {column} = {column} - 7200000')
db.commit()
";
    let db = place.path("state/latest/run.db");
    let python = Command::new("python3").args(["-c", script]).arg(db).status().unwrap();
    assert!(python.success());
}

#[test]
fn time_without_a_manager_is_told_apart_everywhere() {
    let place = Place::new();
    place.file("jobs.txt", "test -e go\n");
    assert_eq!(place.gjob(&["run", "-q", "jobs.txt"]).output().code, 1);
    age(&place);
    let gap = "2h, 2h of it without a manager";
    // What came after the last job's end is none of the run's time.
    let status = place.gjob(&["status"]).output().stdout;
    assert!(status.contains(": failed in ") && !status.contains("without a manager"), "{status}");
    let answer = place.gjob(&["retry", "--attach"]).output();
    assert!(answer.stderr.contains(&format!("1 failed in {gap}")), "{}", answer.stderr);
    for command in ["status", "runs"] {
        let text = place.gjob(&[command]).output().stdout;
        assert!(text.contains(gap), "{text}");
    }
    let unmanaged = place.status()["unmanaged_s"].as_f64().unwrap();
    assert!((7200.0..7260.0).contains(&unmanaged), "{unmanaged}");
    let top = place.gjob(&["top"]).on_screen(20, 120);
    top.wait_for_text(gap);
}

#[test]
fn how_long_a_run_took_is_the_same_everywhere_and_does_not_change() {
    let place = Place::new();
    place.file("jobs.txt", "true\n");
    let answer = place.gjob(&["run", "--teardown", "sleep 0.4", "jobs.txt"]).output();
    let took = answer.stderr.lines().last().unwrap().rsplit(' ').next().unwrap();
    let seconds = || {
        let listed = place.gjob(&["runs", "--json"]).output().stdout;
        let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
        (place.status()["elapsed_s"].as_f64(), listed[0]["elapsed_s"].as_f64())
    };
    let first = seconds();
    assert!(first.0 == first.1 && first.0 > Some(0.4), "{first:?}");
    for args in [["runs"], ["status"], ["attach"], ["runs"]] {
        let answer = place.gjob(&args).any_width().output();
        assert!((answer.stdout + &answer.stderr).contains(took), "{args:?}: {took}");
    }
    assert_eq!(seconds(), first);
}

#[test]
fn state_of_a_run_is_one_word_everywhere() {
    let place = Place::new();
    place.file("jobs.txt", "exit 3\ntrue\n");
    assert_eq!(place.gjob(&["run", "-q", "jobs.txt"]).output().code, 1);
    let listed = |args: &[&str]| place.gjob(args).output().stdout;
    let of_run = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(of_run(&listed(&["runs", "--json"]))[0]["status"], "failed");
    assert_eq!(place.status()["status"], "failed");
    assert!(listed(&["status"]).contains(": failed in "));
    assert!(listed(&["runs"]).contains("  failed  "));
    assert!(listed(&["runs", "--state", "failed"]).contains("  failed  "));
    // One that is stopped took as long as it went on.
    assert_eq!(place.gjob(&["retry"]).output().code, 0);
    age(&place);
    assert_eq!(place.status()["status"], "stopped");
    let seconds = place.status()["elapsed_s"].as_f64().unwrap();
    assert_eq!(of_run(&listed(&["runs", "--json"]))[0]["elapsed_s"].as_f64(), Some(seconds));
    assert!(seconds < 3600.0, "{seconds}");
}
