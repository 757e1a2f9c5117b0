//! Where runs are recorded there is no room left, nothing can be written at all, or
//! another user could write. The file systems and files of other users for it take
//! root; elsewhere this is passed over.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop here")]

mod support;

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use snapbox::str;
use support::{Gjob, Place, eventually, lines};

/// A place whose state is on a file system of its own, in a mount namespace that
/// lives as long as this.
struct Mounted {
    holder: Child,
    place: Place,
}

impl Mounted {
    /// One that is soon full.
    fn small() -> Option<Self> {
        let place = Place::new();
        std::fs::create_dir(place.path("state")).unwrap();
        Mounted::new(place, "mount -t tmpfs -o size=2m,mode=700 gjob \"$0\"")
    }

    /// One that can only be read.
    fn read_only(place: Place) -> Option<Self> {
        Mounted::new(place, "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\"")
    }

    fn new(place: Place, mount: &str) -> Option<Self> {
        let mut holder = Command::new("unshare");
        holder.args(["-m", "sh", "-c", &format!("{mount} && echo ready && cat")]);
        holder.arg(place.path("state"));
        holder.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut holder = holder.spawn().ok()?;
        let ready = holder.stdout.take().map(BufReader::new).and_then(|out| out.lines().next());
        let mounted = Mounted { holder, place };
        if ready.is_some_and(|line| line.is_ok_and(|line| line == "ready")) {
            return Some(mounted);
        }
        gjob_testbed::skip("only root can mount a file system");
        None
    }

    fn gjob(&self, args: &[&str]) -> Gjob {
        let mut command = Command::new("nsenter");
        command
            .args(["-m", "-t", &self.holder.id().to_string()])
            .args(["sh", "-c", "cd \"$0\" && exec \"$@\""])
            .arg(self.place.path("here"))
            .arg(env!("CARGO_BIN_EXE_gjob"))
            .args(args);
        self.place.invoke(command)
    }

    fn status(&self) -> serde_json::Value {
        let answer = self.gjob(&["status", "--jobs", "--json"]).output();
        serde_json::from_str(&answer.stdout).unwrap_or_default()
    }

    fn of_jobs(&self, field: &str) -> Vec<serde_json::Value> {
        let status = self.status();
        status["jobs"].as_array().into_iter().flatten().map(|job| job[field].clone()).collect()
    }

    /// What takes all the room there is.
    fn hog(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(self.place.path("state/hog").strip_prefix("/").unwrap())
    }

    fn fill(&self) {
        let mut hog = OpenOptions::new().create(true).append(true).open(self.hog()).unwrap();
        let full = loop {
            if let Err(error) = hog.write_all(&[0; 512]) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::StorageFull);
    }

    fn make_room(&self) {
        std::fs::remove_file(self.hog()).unwrap();
    }

    fn ledger(&self) -> Vec<String> {
        let mut ledger = lines(&self.place.path("ledger"));
        ledger.sort();
        ledger
    }

    fn let_go(&self, index: usize) {
        std::fs::write(self.place.path(&format!("go{index}")), "").unwrap();
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// A line that waits until this file is there; or until nobody wants it any more.
fn wait_for(place: &Place, file: &str) -> String {
    let (place, file) = (place.path("here"), place.path(file));
    let (place, file) = (place.display(), file.display());
    format!("while test -e {place} && ! test -e {file}; do sleep 0.05; done")
}

#[test]
fn full_state_directory_stops_the_manager_but_no_job() {
    let Some(disk) = Mounted::small() else { return };
    let ledger = disk.place.path("ledger");
    let hold = wait_for(&disk.place, "go$GJOB_INDEX");
    let job = |exit| {
        format!(
            "echo begin $GJOB_INDEX >> {ledger}; \
             {hold}; \
             echo end $GJOB_INDEX >> {ledger}; exit {exit}\n",
            ledger = ledger.display()
        )
    };
    disk.place.file("jobs.txt", &[0, 7, 0, 0].map(job).concat());
    let run = disk.gjob(&["run", "-j", "2", "jobs.txt"]).code(3);
    let manager = run
        .side_by_side()
        .stderr(str![[r#"
gjob: run [DATE]-1: store [PLACE]/state/runs/[DATE]-1/run.db: its disk is full
gjob: running jobs continue
help: free space in [PLACE]/state/runs/[DATE]-1, then resume the run with `gjob attach [DATE]-1`
run [DATE]-1: 4 jobs, 1 host
start #0: echo begin $GJOB_INDEX >> [PLACE]/ledger; while test -e [PLACE]/here && ! test -e [PLACE]/go$GJOB_INDEX; do sleep 0.05; done; echo end $GJOB_INDEX >> [PLACE]/ledger; ex…
start #1: echo begin $GJOB_INDEX >> [PLACE]/ledger; while test -e [PLACE]/here && ! test -e [PLACE]/go$GJOB_INDEX; do sleep 0.05; done; echo end $GJOB_INDEX >> [PLACE]/ledger; ex…

"#]])
        .start();
    eventually("two jobs run", || {
        disk.of_jobs("id").iter().filter(|id| id.is_string()).count() == 2
    });
    disk.fill();
    disk.let_go(0);
    manager.wait();
    // What the store had to spare is there again: while that is taken as well,
    // nothing changes, and nothing is spoiled.
    disk.fill();
    // However often: what could not be recorded has not happened.
    for _ in 0..4 {
        disk.gjob(&["attach"])
            .code(3)
            .stderr(str![[r#"
gjob: run [DATE]-1: store [PLACE]/state/runs/[DATE]-1/run.db: its disk is full
gjob: running jobs continue
help: free space in [PLACE]/state/runs/[DATE]-1, then resume the run with `gjob attach [DATE]-1`

"#]])
            .run();
    }
    disk.let_go(1);
    eventually("the job that runs has ended", || disk.ledger().contains(&"end 1".to_owned()));
    assert_eq!(disk.ledger(), ["begin 0", "begin 1", "end 0", "end 1"], "nothing else was begun");
    disk.make_room();
    [2, 3].into_iter().for_each(|index| disk.let_go(index));
    let attach = disk.gjob(&["attach", "--show", "none"]).code(1);
    attach
        .side_by_side()
        .stderr(str![[r#"
run [DATE]-1 resumed: 4 jobs, 1 host
ok #0 in [ELAPSED]
ok #2 in [ELAPSED]
ok #3 in [ELAPSED]
help: `gjob logs 1 -R [DATE]-1` and `gjob explain 1 -R [DATE]-1` say more, `gjob retry --attach -R [DATE]-1` retries failed jobs
run [DATE]-1: 3 done, 1 failed in [ELAPSED]
FAILED #1: exit 7 · echo begin $GJOB_INDEX >> [PLACE]/ledger; while test -e [PLACE]/here && ! test -e [PLACE]/go$GJOB_INDEX; do sleep 0.05; done; echo end $GJOB_INDEX >> [PLACE]/ledger; ex…
start #3: echo begin $GJOB_INDEX >> [PLACE]/ledger; while test -e [PLACE]/here && ! test -e [PLACE]/go$GJOB_INDEX; do sleep 0.05; done; echo end $GJOB_INDEX >> [PLACE]/ledger; ex…
start #2: echo begin $GJOB_INDEX >> [PLACE]/ledger; while test -e [PLACE]/here && ! test -e [PLACE]/go$GJOB_INDEX; do sleep 0.05; done; echo end $GJOB_INDEX >> [PLACE]/ledger; ex…

"#]])
        .run();
    assert_eq!(disk.of_jobs("state"), ["done", "error", "done", "done"]);
    assert_eq!(disk.of_jobs("exit"), [0, 7, 0, 0]);
    assert_eq!(disk.of_jobs("attempt"), [1, 1, 1, 1]);
    assert_eq!(disk.ledger().len(), 8, "each was begun once");
}

#[test]
fn run_without_space_for_its_store_starts_nothing_and_leaves_nothing() {
    let Some(disk) = Mounted::small() else { return };
    disk.place.file("jobs.txt", "echo begin >> ../ledger\n");
    disk.fill();
    disk.gjob(&["run", "jobs.txt"])
        .code(3)
        .stderr(str![[r#"
gjob: store [PLACE]/state/runs/[DATE]-1/run.db.new: its disk is full
gjob: nothing was started

"#]])
        .run();
    assert_eq!(std::fs::read_dir(disk.hog().with_file_name("runs")).unwrap().count(), 0);
    assert_eq!(disk.ledger(), [""; 0]);
    disk.make_room();
    disk.gjob(&["run", "jobs.txt"])
        .stderr(str![[r#"
run [DATE]-1: 1 job, 1 host
start #0: echo begin >> ../ledger
ok #0 in [ELAPSED]
run [DATE]-1: 1 done in [ELAPSED]

"#]])
        .run();
}

/// All that looks at a run and needs no host.
/// What says the same whenever it is asked.
const LOOKS: [&[&str]; 3] = [&["runs"], &["runs", "--json"], &["explain", "0"]];

#[test]
fn run_in_a_read_only_directory_can_be_shown() {
    let place = Place::new();
    place.file("jobs.txt", "true\nexit 7\n");
    assert_eq!(place.gjob(&["run", "jobs.txt"]).output().code, 1);
    let looks = LOOKS.map(|args| place.gjob(args).output());
    let Some(mounted) = Mounted::read_only(place) else { return };
    for (args, expected) in LOOKS.into_iter().zip(looks) {
        let answer = mounted.gjob(args).output();
        assert_eq!((answer.code, &*answer.stderr), (0, ""), "{args:?}");
        assert_eq!(answer.stdout, expected.stdout, "{args:?}");
    }
    mounted
        .gjob(&["attach"])
        .code(3)
        .stderr(str![[r#"
gjob: run [DATE]-1: [PLACE]/state/runs/[DATE]-1/lock: Read-only file system (os error 30)
gjob: running jobs continue
help: when its store is usable again, resume the run with `gjob attach [DATE]-1`

"#]])
        .run();
}

/// A table or JSON whose job has been running for a while, without how long.
fn without_times(table: &str) -> String {
    let is_time =
        |word: &&str| word.ends_with('s') && word.starts_with(|c: char| c.is_ascii_digit());
    let words = |line: &str| {
        line.split_whitespace().filter(|it| !is_time(it)).collect::<Vec<_>>().join(" ")
    };
    table
        .lines()
        .filter(|line| !line.contains("\"elapsed_s\""))
        .map(words)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn read_only_run_is_shown_with_its_write_ahead_log() {
    let place = Place::new();
    place.file("jobs.txt", &wait_for(&place, "go"));
    let manager = place.gjob(&["run", "jobs.txt"]).start();
    eventually("the job runs", || place.has_run() && place.of_jobs("id")[0].is_string());
    manager.kill_9();
    std::fs::write(place.path("go"), "").unwrap();
    let looks = LOOKS.map(|args| place.gjob(args).output());
    let run = std::fs::read_dir(place.path("state/runs")).unwrap().next().unwrap().unwrap().path();
    let Some(mounted) = Mounted::read_only(place) else { return };
    for (args, expected) in LOOKS.into_iter().zip(looks) {
        let answer = mounted.gjob(args).output();
        assert_eq!((answer.code, &*answer.stderr), (0, ""), "{args:?}");
        assert_eq!(without_times(&answer.stdout), without_times(&expected.stdout), "{args:?}");
    }
    // Without this one, SQLite would have to make it.
    std::fs::remove_file(run.join("run.db-shm")).unwrap();
    mounted.gjob(&["status"]).code(3).stderr(str![[r#"
gjob: store [PLACE]/state/runs/[DATE]-1/run.db cannot be read without writing beside it: its last manager was killed, and `gjob attach` has not taken it up since

"#]]).run();
}

/// A user who runs nothing here.
const SOMEBODY: u32 = 61001;

#[test]
fn state_directory_that_another_user_could_change_is_refused() {
    let place = Place::new();
    set_mode(&place.path(""), 0o755);
    place.file("jobs.txt", "true\n");
    assert_eq!(place.gjob(&["run", "jobs.txt"]).output().code, 0);
    let run = std::fs::read_dir(place.path("state/runs")).unwrap().next().unwrap().unwrap().path();
    let run = run.strip_prefix(place.path("")).unwrap().to_str().unwrap().to_owned();
    for dir in ["state", "state/runs", &run] {
        set_mode(&place.path(dir), 0o755);
    }
    let (run, database) = (run.clone(), format!("{run}/run.db"));
    let others = "other users can write to it";
    let mut cases = vec![
        ("state", 0o777, None, others),
        ("state/runs", 0o1777, None, others),
        (&*run, 0o777, None, others),
        (&*database, 0o666, None, others),
    ];
    if rustix::process::geteuid().is_root() {
        let another = "it belongs to user 61001";
        cases.push(("state", 0o1777, Some(SOMEBODY), another));
        cases.push((&*run, 0o755, Some(SOMEBODY), another));
        cases.push((&*database, 0o644, Some(SOMEBODY), another));
    } else {
        gjob_testbed::skip("only root can make files of another user");
    }
    for (below, mode, owner, why) in cases {
        let path = place.path(below);
        let before = path.metadata().unwrap();
        set_mode(&path, mode);
        std::os::unix::fs::chown(&path, owner, None).unwrap();
        for command in ["status", "attach"] {
            let answer = place.gjob(&[command]).output();
            let expected = format!("gjob: unsafe state directory: {}: {why}\n", path.display());
            assert!(answer.stderr.starts_with(&expected), "{below}: {}", answer.stderr);
            assert_eq!((answer.code, &*answer.stdout), (2, ""), "{below}");
        }
        std::os::unix::fs::chown(&path, Some(before.uid()), None).unwrap();
        set_mode(&path, before.mode());
    }
    assert_eq!(place.gjob(&["status"]).output().code, 0);
}

fn set_mode(path: &std::path::Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn database_that_is_no_file_is_refused() {
    let place = Place::new();
    let run = place.path("state/runs/2026-11-22-1");
    std::fs::create_dir_all(&run).unwrap();
    assert!(Command::new("mkfifo").arg(run.join("run.db")).status().unwrap().success());
    place
        .gjob(&["status"])
        .code(2)
        .stderr(str![[r#"
gjob: [PLACE]/state/runs/[DATE]-1/run.db: it is no regular file

"#]])
        .run();
}
