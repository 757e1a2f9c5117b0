//! Files in: jobs that all need the same 50 MB, on four hosts that share nothing
//! with two slots each, beside what else one might use, in one run on the same
//! hosts.
//!
//! `cargo bench -p gjob-cli --bench staging [-- JOBS…]`; `ROUNDS=N` for more or
//! fewer rounds than five. With `TMPDIR=/dev/shm` no disk takes part. GNU parallel
//! takes part where it and rsync are installed; what sends the file for each job is
//! given a few jobs only, and what it takes for all of them is reckoned from that.
//!
//! The limit is one copy a host by `ssh HOST 'cat >f'`, all at once, and jobs
//! started by xargs there. No run finds anything left by an earlier one but
//! gjob's program.

#![expect(clippy::print_stdout, reason = "that is what a benchmark is for")]
#![expect(clippy::unwrap_used, reason = "a benchmark that can't go on should stop here")]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use gjob_testbed::{Bed, find_program};

/// Bytes of the file.
const SIZE: u64 = 50_000_000;
/// Hosts.
const HOSTS: usize = 4;
/// Jobs given to what sends the file for each of them.
const FEW: usize = 16;
/// Set for the copies of this program that count what goes to an ssh.
const COUNTS: &str = "GJOB_BENCH_COUNTS";

fn main() {
    if let Some(dir) = std::env::var_os(COUNTS) {
        count(Path::new(&dir));
    }
    let asked: Vec<usize> = std::env::args().skip(1).filter_map(|arg| arg.parse().ok()).collect();
    let rounds = std::env::var("ROUNDS").map_or(5, |rounds| rounds.parse().unwrap());
    let field = Field::new();
    for jobs in if asked.is_empty() { vec![40, 200] } else { asked } {
        field.race(jobs, rounds);
    }
    field.weigh();
}

/// The hosts and the file.
struct Field {
    bed: Bed,
    scratch: tempfile::TempDir,
}

/// One way to do it.
struct Way {
    name: &'static str,
    run: fn(&Field, usize),
    /// The most jobs that it is given.
    most: usize,
}

/// The first is the limit.
const WAYS: [Way; 4] = [
    Way { name: "the limit: cat >f, xargs", run: Field::limit, most: usize::MAX },
    Way { name: "the same, and cp f for each job", run: Field::limit_copied, most: usize::MAX },
    Way { name: "gjob run --link-files", run: Field::gjob_linked, most: usize::MAX },
    Way { name: "gjob run, private copies", run: Field::gjob_copied, most: usize::MAX },
];

const PARALLEL: [Way; 3] = [
    Way { name: "parallel --basefile", run: Field::basefile, most: usize::MAX },
    Way { name: "parallel --transferfile, one workdir", run: Field::transfer_shared, most: FEW },
    Way { name: "parallel --transferfile, one a job", run: Field::transfer_own, most: FEW },
];

impl Field {
    fn new() -> Self {
        let bed = Bed::builder().hosts(HOSTS).sshd_option("MaxStartups 200").start();
        let field = Field { bed, scratch: tempfile::tempdir().unwrap() };
        noise(&field.file(), SIZE);
        // The program is sent to the hosts once, outside the measured runs.
        field.gjob(HOSTS * 2, &[]);
        field
    }

    fn file(&self) -> PathBuf {
        self.scratch.path().join("big")
    }

    fn ssh(&self) -> String {
        format!("ssh -F {}", self.bed.ssh_config().display())
    }

    /// Removes what a run has left on the hosts, but for gjob's program.
    fn clean(&self) {
        let shell = "rm -rf f f.* results/[!.]* results/.gjob/blobs/* .parallel shared";
        for host in self.bed.hosts() {
            let status = Command::new("sh").args(["-c", shell]).current_dir(host.home()).status();
            assert!(status.unwrap().success());
        }
    }

    /// All ways in turn, round after round: what disturbs one disturbs the others.
    fn race(&self, jobs: usize, rounds: usize) {
        println!("{jobs} jobs that need {SIZE} bytes, {HOSTS} hosts x 2 slots, {rounds} rounds");
        let has_parallel = ["parallel", "rsync"].iter().all(|name| find_program(name).is_some());
        let ways: Vec<&Way> = WAYS.iter().chain(PARALLEL.iter().filter(|_| has_parallel)).collect();
        let mut times = vec![Vec::new(); ways.len()];
        for _ in 0..rounds {
            for (way, times) in ways.iter().zip(&mut times) {
                let given = jobs.min(way.most);
                let began = Instant::now();
                (way.run)(self, given);
                times.push(began.elapsed().as_secs_f64() * jobs as f64 / given as f64);
                self.clean();
            }
        }
        times.iter_mut().for_each(|times| times.sort_unstable_by(f64::total_cmp));
        let best_and_median = |times: &[f64]| (times[0], times[times.len() / 2]);
        let (limit, median_limit) = best_and_median(&times[0]);
        println!("{:38} {:>8} {:>8}  of the limit's", "seconds", "best", "median");
        for (way, times) in ways.iter().zip(&times) {
            let (best, median) = best_and_median(times);
            let (ratio, median_ratio) = (best / limit, median / median_limit);
            let note = if way.most < jobs { "  (reckoned from fewer jobs)" } else { "" };
            let name = way.name;
            println!("{name:38} {best:8.2} {median:8.2}  {ratio:6.2} {median_ratio:6.2}{note}");
        }
    }

    /// What goes over the links, in a run of its own.
    fn weigh(&self) {
        let jobs = 40;
        for args in [&["--link-files"][..], &[]] {
            let dir = self.scratch.path().join("counts");
            fs::create_dir(&dir).unwrap();
            let mut command = self.gjob_command(jobs, args);
            command.env(COUNTS, &dir).env("GJOB_SSH", std::env::current_exe().unwrap());
            run(&mut command);
            self.clean();
            let counts = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
            let sent: u64 =
                counts.map(|path| fs::read_to_string(path).unwrap().parse::<u64>().unwrap()).sum();
            let least = HOSTS as u64 * SIZE;
            println!("gjob run {args:?}, {jobs} jobs: {sent} bytes to its sshs, {least} at least");
            assert!((least..least + least / 50).contains(&sent), "more than 2 % above");
            fs::remove_dir_all(&dir).unwrap();
        }
    }

    fn gjob_linked(&self, jobs: usize) {
        self.gjob(jobs, &["--link-files"]);
    }

    fn gjob_copied(&self, jobs: usize) {
        self.gjob(jobs, &[]);
    }

    fn gjob(&self, jobs: usize, args: &[&str]) {
        run(&mut self.gjob_command(jobs, args));
    }

    fn gjob_command(&self, jobs: usize, args: &[&str]) -> Command {
        let script = self.scratch.path().join("jobs.txt");
        fs::write(&script, "test -s big\n".repeat(jobs)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_gjob"));
        command
            .args(["run", "-H", &self.bed.host_list(), "-j", "2", "-r", "results", "-F"])
            .arg(self.bed.ssh_config())
            .args(["-f", "big"])
            .args(args)
            .arg(script)
            .current_dir(self.scratch.path())
            .env("GJOB_STATE_DIR", self.scratch.path().join("state"));
        command
    }

    fn limit(&self, jobs: usize) {
        self.xargs_there(jobs, "test -s f");
    }

    fn limit_copied(&self, jobs: usize) {
        self.xargs_there(jobs, "cp f f.@; test -s f.@");
    }

    fn xargs_there(&self, jobs: usize, job: &str) {
        let each = jobs / HOSTS;
        let script = format!("cat >f; seq {each} | xargs -P 2 -I@ bash -ec '{job}'");
        let start = |host: &gjob_testbed::Host| {
            let mut command = self.bed.ssh(host.alias());
            command.arg(&script).stdin(File::open(self.file()).unwrap()).spawn().unwrap()
        };
        let mut children: Vec<_> = self.bed.hosts().iter().map(start).collect();
        children.iter_mut().for_each(|child| assert!(child.wait().unwrap().success()));
    }

    fn basefile(&self, jobs: usize) {
        self.parallel(jobs, &["--basefile", "big", "--wd", "shared"]);
    }

    fn transfer_shared(&self, jobs: usize) {
        self.parallel(jobs, &["--transferfile", "big", "--wd", "shared"]);
    }

    fn transfer_own(&self, jobs: usize) {
        self.parallel(jobs, &["--transferfile", "big", "--wd", "..."]);
    }

    fn parallel(&self, jobs: usize, args: &[&str]) {
        let numbers: String = (0..jobs).map(|i| format!("{i}\n")).collect();
        let input = self.scratch.path().join("numbers");
        fs::write(&input, numbers).unwrap();
        let mut command = Command::new("parallel");
        command
            .args(["--will-cite", "-j", "2", "-S", &self.bed.host_list(), "--ssh", &self.ssh()])
            .args(args)
            .args(["-a", "numbers", "true {}; test -s big"])
            .current_dir(self.scratch.path());
        run(&mut command);
    }
}

/// Runs a command that has to succeed.
fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A file that no compression makes smaller.
fn noise(path: &Path, size: u64) {
    let mut random = File::open("/dev/urandom").unwrap().take(size);
    std::io::copy(&mut random, &mut File::create(path).unwrap()).unwrap();
}

/// Stands for ssh: hands it what comes, and leaves in `dir` how much that was.
fn count(dir: &Path) -> ! {
    let mut ssh = Command::new("ssh");
    ssh.args(std::env::args_os().skip(1)).stdin(Stdio::piped());
    let mut child = ssh.spawn().unwrap();
    let mut to = child.stdin.take().unwrap();
    let sent = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&sent);
    std::thread::spawn(move || {
        let mut piece = vec![0; 1 << 16];
        while let Ok(count @ 1..) = std::io::stdin().read(&mut piece) {
            if to.write_all(&piece[..count]).is_err() {
                return;
            }
            counted.fetch_add(count as u64, Ordering::Relaxed);
        }
    });
    let status = child.wait().unwrap();
    let file = dir.join(std::process::id().to_string());
    fs::write(file, sent.load(Ordering::Relaxed).to_string()).unwrap();
    std::process::exit(status.code().unwrap_or(255));
}
