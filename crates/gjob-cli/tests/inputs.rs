//! How the files and directories that jobs need get to the hosts.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use gjob_testbed::Bed;
use snapbox::str;
use support::{Gjob, Place, eventually};

const MIB: u64 = 1 << 20;

/// A directory `data` with a program, an empty directory and a link.
fn data(place: &Place) -> PathBuf {
    let data = place.path("here/data");
    fs::create_dir_all(data.join("sub/hollow")).unwrap();
    fs::write(data.join("sub/run"), "#!/bin/sh\necho ran\n").unwrap();
    fs::set_permissions(data.join("sub/run"), fs::Permissions::from_mode(0o750)).unwrap();
    symlink("sub/run", data.join("link")).unwrap();
    data
}

/// A file whose content no compression makes smaller.
fn noise(path: &Path, size: u64) {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut word = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let bytes: Vec<u8> = (0..size / 8).flat_map(|_| word()).collect();
    fs::write(path, bytes).unwrap();
}

/// Runs between the manager and ssh: keeps all bytes sent in `sent/`, and cuts off
/// the first connection after `$FIRST` bytes, if that is set.
const TAP: &str = r#"#!/bin/bash
[[ " $* " == *" -G "* ]] && exec ssh "$@"
here=$(dirname "$0")
pass=cat
[ -n "$FIRST" ] && mkdir "$here/first" 2>/dev/null && pass="stdbuf -o0 head -c $FIRST"
exec ssh "$@" < <($pass | tee "$here/sent/$$")
"#;

/// Everything that is sent over the links of a place.
struct Tap<'a> {
    place: &'a Place,
    bed: &'a Bed,
}

impl<'a> Tap<'a> {
    /// Results go to `results` on the host `h1`, which gets the program now, so that
    /// only files are counted.
    fn new(place: &'a Place, bed: &'a Bed, results: &str) -> Self {
        let program = place.path("tap");
        fs::write(&program, TAP).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
        let tap = Tap { place, bed };
        fs::create_dir(place.path("sent")).unwrap();
        let args = ["run", "-r", results, "-H", "h1", "--", "true", ":::", "1"];
        let answer = tap.gjob(&args).output();
        assert_eq!(answer.code, 0, "{}", answer.stderr);
        fs::remove_dir_all(place.path("sent")).unwrap();
        fs::create_dir(place.path("sent")).unwrap();
        tap
    }

    fn gjob(&self, args: &[&str]) -> Gjob {
        let config = self.bed.ssh_config().to_str().unwrap();
        let (command, rest) = args.split_first().unwrap();
        let mut all = vec![*command, "-F", config];
        all.extend(rest);
        self.place.gjob(&all).env("GJOB_SSH", self.place.path("tap"))
    }

    /// The number of bytes sent over all links.
    fn sent(&self) -> u64 {
        let files = fs::read_dir(self.place.path("sent")).unwrap().flatten();
        files.map(|file| file.metadata().unwrap().len()).sum()
    }
}

#[test]
fn directory_is_copied() {
    let place = Place::new();
    data(&place);
    place.file("jobs.txt", "cd data; find . | sort; ./link; stat -c %a sub/run; readlink link\n");
    place
        .gjob(&["run", "--show", "all", "-f", "data/", "jobs.txt"])
        .stdout(str![[r#"
.
./link
./sub
./sub/hollow
./sub/run
ran
750
sub/run

"#]])
        .stderr(str![[r#"
run [DATE]-1: 1 job, 1 host
start #0: cd data; find . | sort; ./link; stat -c %a sub/run; readlink link
ok #0 in [ELAPSED]
run [DATE]-1: 1 done in [ELAPSED]

"#]])
        .run();
}

#[test]
fn directory_that_cannot_be_sent_starts_nothing() {
    let place = Place::new();
    let data = data(&place);
    symlink("../../secret", data.join("sub/out")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(data.join("socket")).unwrap();
    place.file("jobs.txt", "true\n");
    place.gjob(&["run", "-f", "data", "jobs.txt"]).code(2).stderr(str![[r#"
gjob: file "data/socket" is a socket: expected a regular file or a directory
gjob: symlink "data/sub/out" leads out of its directory, to "../../secret": expected a relative one that stays inside

"#]]).run();
    assert!(!place.has_run());
}

/// Starts a run on a host that is down, and kills its manager.
fn start_and_die(place: &Place, bed: &Bed) {
    bed.host(1).stop();
    place.file("jobs.txt", "cat data/sub/run\n");
    let config = bed.ssh_config().to_str().unwrap();
    let args = ["run", "-F", config, "-r", "results", "-H", "h1", "-f", "data", "jobs.txt"];
    let manager = place.gjob(&args).start();
    eventually("the run exists", || place.has_run());
    manager.kill_9();
    bed.host(1).start();
}

#[test]
fn next_manager_sends_the_directory_of_the_first() {
    let (place, bed) = (Place::new(), Bed::start(1));
    let data = data(&place);
    start_and_die(&place, &bed);
    // It did not exist when the run was created.
    fs::write(data.join("later"), "").unwrap();
    let answer = place.gjob(&["attach"]).current_dir(Path::new("/")).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let id = place.of_jobs("id")[0].as_str().unwrap().to_owned();
    let sent = bed.host(1).home().join("results").join(id).join("data");
    assert_eq!(fs::read(sent.join("sub/run")).unwrap(), fs::read(data.join("sub/run")).unwrap());
    assert!(!sent.join("later").exists());
}

#[test]
fn changed_file_in_a_directory_fails_its_jobs() {
    let (place, bed) = (Place::new(), Bed::start(1));
    let data = data(&place);
    start_and_die(&place, &bed);
    fs::write(data.join("sub/run"), "other").unwrap();
    let answer = place.gjob(&["attach"]).output();
    assert_eq!(answer.code, 1, "{}", answer.stderr);
    let reason = place.of_jobs("reason")[0].as_str().unwrap().to_owned();
    assert!(reason.contains("data/sub/run\" changed: it must stay the same"), "{reason}");
}

#[test]
fn hosts_with_a_shared_results_directory_get_one_copy() {
    let (place, bed) = (Place::new(), Bed::start(4));
    let shared = place.path("shared").display().to_string();
    let tap = Tap::new(&place, &bed, &shared);
    noise(&place.path("here/big"), 24 * MIB);
    place.file("jobs.txt", &"cksum < big\n".repeat(16));
    let args = ["run", "-r", &shared, "-H", "h[1-4]", "-j", "1", "-f", "big", "jobs.txt"];
    let answer = tap.gjob(&args).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let sent = tap.sent();
    assert!((24 * MIB..30 * MIB).contains(&sent), "{sent} bytes");
}

#[test]
fn transfer_resumes_where_its_link_broke() {
    let (place, bed) = (Place::new(), Bed::start(1));
    let tap = Tap::new(&place, &bed, "results");
    noise(&place.path("here/big"), 40 * MIB);
    place.file("jobs.txt", "cksum < big\n");
    let args = ["run", "-r", "results", "-H", "h1", "-f", "big", "jobs.txt"];
    let answer = tap.gjob(&args).env("FIRST", (24 * MIB).to_string()).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert_eq!(bed.host(1).logins(), 3, "the last one resumes");
    let sent = tap.sent();
    assert!((40 * MIB..44 * MIB).contains(&sent), "{sent} bytes");
}

#[test]
fn file_that_a_host_lost_is_sent_again() {
    let place = Place::new();
    place.file("input", "content\n");
    let blobs = place.path("results/.gjob/blobs");
    let jobs = format!("rm -f {}/*\ncat input\ncat input\n", blobs.display());
    place.file("jobs.txt", &jobs);
    let args = ["run", "-H", "1/:", "--show", "all", "-f", "input", "jobs.txt"];
    let answer = place.gjob(&args).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert_eq!(answer.stdout, "content\ncontent\n");
}

#[test]
fn values_are_filled_into_the_name_files_outputs_and_variables_of_a_job() {
    let place = Place::new();
    place.file("a.dat", "1\n");
    place.file("b.dat", "2\n");
    let options = ["--name", "sum-{/.}", "-f", "{}", "-o", "{.}.out", "--env", "WHAT={/.}"];
    let run = ["--", "cat {} > {.}.out; echo $WHAT >> {.}.out", ":::", "a.dat", "b.dat"];
    let answer = place.gjob(&[&["run", "-q"], &options[..], &run].concat()).output();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let out = place.path("here/gjob-out").join(place.status()["run"].as_str().unwrap());
    let read = |path: &str| std::fs::read_to_string(out.join(path)).unwrap();
    assert_eq!(read("sum-a-0/a.out"), "1\na\n");
    assert_eq!(read("sum-b-1/b.out"), "2\nb\n");
    assert_eq!(place.of_jobs("params")[1]["1"], "b.dat");
    let missing = ["run", "-f", "{}", "--", "cat", ":::", "c.dat"];
    let answer = place.gjob(&missing).output();
    assert_eq!((answer.code, answer.stderr.contains("c.dat")), (2, true), "{}", answer.stderr);
}
