//! `gjob runs`, also where a run cannot be read.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop here")]

mod support;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

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
RUN  STATE  CREATED  HOSTS  JOBS

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
    place.gjob(&["runs"]).stdout(str![[r#"
RUN           STATE  CREATED                   HOSTS  JOBS
[DATE]-1  -      -                         -      cannot be read: store [PLACE]/state/runs/[DATE]-1/run.db has schema version 1, this gjob reads versions 3 to 4
[DATE]-2  -      -                         -      cannot be read: store [PLACE]/state/runs/[DATE]-2/run.db: database disk image is malformed
[DATE]-3  -      -                         -      cannot be read: store [PLACE]/state/runs/[DATE]-3/run.db: file is not a database
[DATE]-4  -      -                         -      cannot be read: it has no database
[DATE]-5  done   [TIME]  1      0 free, 0 busy, 1 done, 0 unknown, 0 error

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
    "created": "[TIME]",
    "counts": {
      "free": 0,
      "busy": 0,
      "done": 1,
      "unknown": 0,
      "error": 0
    },
    "hosts": 1
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
:  -  0/1  1  0  [ELAPSED]  -

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
