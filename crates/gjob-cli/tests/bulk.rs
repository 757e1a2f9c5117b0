//! Files in and results out where there is much of them. Left out of a plain
//! `cargo test`; `make bulk` runs them, optimized, and shows what they took.

#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop here")]

mod support;

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use gjob_testbed::Bed;
use rustix::process::{Pid, Signal, kill_process};
use support::{Place, Running, eventually};

/// Bytes of the file that is cut off.
const GIANT: u64 = 1 << 30;

/// Jobs that write outputs.
const JOBS: u64 = 10_000;

/// Longer than anything here takes.
const TIMEOUT: Duration = Duration::from_secs(900);

/// Writes what no compression makes smaller.
fn noise(path: &Path, size: u64) {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path).unwrap());
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..size / 8 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        file.write_all(&state.to_le_bytes()).unwrap();
    }
    file.flush().unwrap();
}

/// The ssh that a manager talks to, if there is one.
fn ssh_of(manager: &Running) -> Option<Pid> {
    let tasks = fs::read_dir(format!("/proc/{}/task", manager.pid())).ok()?;
    let children = tasks.flatten().filter_map(|task| {
        let children = fs::read_to_string(task.path().join("children")).ok()?;
        let is_ssh = |pid: &&str| {
            fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm == "ssh\n")
        };
        let pid = children.split_whitespace().find(is_ssh)?.parse().ok()?;
        Pid::from_raw(pid)
    });
    children.into_iter().next()
}

/// Bytes that a process has read, from wherever.
fn read_by(process: Pid) -> Option<u64> {
    let io = fs::read_to_string(format!("/proc/{}/io", process.as_raw_nonzero())).ok()?;
    io.lines().find_map(|line| line.strip_prefix("rchar: ")?.parse().ok())
}

fn sha256(paths: &[PathBuf]) -> Vec<String> {
    let mut hashes = Vec::new();
    for some in paths.chunks(1000) {
        let output = Command::new("sha256sum").args(some).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        hashes.extend(text.lines().map(|line| line[..64].to_owned()));
    }
    assert_eq!(hashes.len(), paths.len());
    hashes
}

#[test]
#[ignore = "sends a gigabyte: half a minute, and more than a minute unoptimized"]
fn gigabyte_transfer_resumes_after_ssh_is_killed() {
    let (place, bed) = (Place::new(), Bed::start(1));
    let big = place.path("here/big");
    noise(&big, GIANT);
    place.file("jobs.txt", "sha256sum < big\n");
    let config = bed.ssh_config().to_str().unwrap();
    let args = ["run", "-F", config, "-r", "results", "-H", "h1", "--show", "all"];
    let files = ["-f", "big", "--link-files", "jobs.txt"];
    let began = Instant::now();
    let manager = place.gjob(&[&args[..], &files[..]].concat()).start();
    let (mut first, mut sent_first) = (None, 0);
    eventually("half of it is sent", || {
        first = ssh_of(&manager);
        sent_first = first.and_then(read_by).unwrap_or(0);
        sent_first > GIANT / 2
    });
    kill_process(first.unwrap(), Signal::KILL).unwrap();
    let (mut second, mut sent_second) = (None, 0);
    eventually("it is sent to its end", || {
        second = second.or_else(|| ssh_of(&manager).filter(|ssh| Some(*ssh) != first));
        let now = second.and_then(read_by);
        sent_second = now.unwrap_or(sent_second);
        // Its ssh is gone when the run has ended.
        second.is_some() && now.is_none()
    });
    let answer = manager.output_within(TIMEOUT);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert_eq!(&answer.stdout[..64], sha256(&[big])[0]);
    assert_eq!(bed.host(1).logins(), 2);
    let sent = sent_first + sent_second;
    println!("{sent_first} + {sent_second} bytes in {:.1?}", began.elapsed());
    assert!((GIANT..GIANT + GIANT / 10).contains(&sent), "{sent} bytes were sent");
}

#[test]
#[ignore = "ten thousand jobs: some minutes unoptimized"]
fn outputs_of_ten_thousand_jobs_arrive_unchanged() {
    let (place, bed) = (Place::new(), Bed::start(4));
    let script = "for k in 1 2 3; do echo {} $k $RANDOM$RANDOM$RANDOM >$k.out; done; \
                  sha256sum 1.out 2.out 3.out";
    let numbers: String = (0..JOBS).map(|index| format!("{index}\n")).collect();
    let (config, out) = (bed.ssh_config().to_str().unwrap(), place.path("out"));
    let into = out.to_str().unwrap();
    let args = ["run", "-F", config, "-r", "results", "-H", "h[1-4]", "-j", "2", "-k"];
    let outputs = ["--show", "all", "-o", "*.out", "--into", into, "--", script];
    let began = Instant::now();
    let gjob = place.gjob(&[&args[..], &outputs[..]].concat()).stdin(&numbers);
    let answer = gjob.start().output_within(TIMEOUT);
    let took = began.elapsed();
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let there: Vec<&str> = answer.stdout.lines().map(|line| &line[..64]).collect();
    let dirs = (0..JOBS).map(|index| out.join(index.to_string()));
    let paths: Vec<PathBuf> =
        dirs.flat_map(|dir| (1..=3).map(move |k| dir.join(format!("{k}.out")))).collect();
    assert!(sha256(&paths) == there, "some output is not what its job wrote");
    let rate = JOBS as f64 / took.as_secs_f64();
    println!("{JOBS} jobs with 3 outputs each in {took:.1?}: {rate:.0} jobs/s");
}
