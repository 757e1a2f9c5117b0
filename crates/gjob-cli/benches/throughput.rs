//! Jobs per second: many jobs `true` on four hosts with two slots each, beside
//! what else one might use, in one run on the same hosts.
//!
//! `cargo bench -p gjob-cli --bench throughput [-- JOBS]`. GNU parallel takes
//! part where it is installed. The peers log in for each job, so they are given
//! a tenth of the jobs and their rate is what counts.

#![expect(clippy::print_stdout, reason = "that is what a benchmark is for")]
#![expect(clippy::unwrap_used, reason = "a benchmark that can't go on should stop here")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use gjob_testbed::{Bed, find_program};

fn main() {
    let jobs = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(1000);
    let bed = Bed::builder().hosts(4).sshd_option("MaxStartups 200").start();
    let scratch = tempfile::tempdir().unwrap();
    println!("{jobs} jobs `true`, 4 hosts x 2 slots; peers {} jobs", jobs / 10);
    // The program is sent to the hosts once, outside the measured runs.
    gjob(&bed, scratch.path(), 8);
    let ours = rate("gjob run", jobs, || gjob(&bed, scratch.path(), jobs));
    let limit = rate("xargs on each host (the limit)", jobs, || xargs_there(&bed, jobs));
    println!("{:40} {:8.2}", "  gjob / limit", ours / limit);
    let peers = jobs / 10;
    let xargs = rate("xargs -P 8, an ssh a job", peers, || xargs_here(&bed, peers));
    println!("{:40} {:8.1}", "  gjob / xargs", ours / xargs);
    if find_program("parallel").is_some() {
        let parallel = rate("parallel -j 2 -S h1,h2,h3,h4", peers, || parallel(&bed, peers));
        println!("{:40} {:8.1}", "  gjob / GNU parallel", ours / parallel);
    }
}

/// The best of three, jobs per second.
fn rate(name: &str, jobs: usize, mut run: impl FnMut()) -> f64 {
    let once = |run: &mut dyn FnMut()| {
        let began = Instant::now();
        run();
        jobs as f64 / began.elapsed().as_secs_f64()
    };
    let rates: Vec<f64> = (0..3).map(|_| once(&mut run)).collect();
    let best = rates.iter().copied().fold(0.0, f64::max);
    println!("{name:40} {best:8.1} jobs/s   (of {rates:.1?})");
    best
}

fn gjob(bed: &Bed, scratch: &Path, jobs: usize) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gjob"));
    command
        .args(["run", "-", "-H", &bed.host_list(), "-j", "2", "-r", "results", "-F"])
        .arg(bed.ssh_config())
        .env("GJOB_STATE_DIR", scratch.join("state"));
    feed(&mut command, &"true\n".repeat(jobs));
}

/// No login and no bookkeeping per job: what the hosts can do at all.
fn xargs_there(bed: &Bed, jobs: usize) {
    let script = format!("seq {} | xargs -P 2 -I@ bash -ec true", jobs / 4);
    let mut children: Vec<_> = bed
        .hosts()
        .iter()
        .map(|host| bed.ssh(host.alias()).arg(&script).spawn().unwrap())
        .collect();
    children.iter_mut().for_each(|child| assert!(child.wait().unwrap().success()));
}

fn xargs_here(bed: &Bed, jobs: usize) {
    let config = bed.ssh_config().display();
    let mut command = Command::new("xargs");
    command
        .args(["-P", "8", "-I@", "sh", "-c"])
        .arg(format!("ssh -F {config} h$((@ % 4 + 1)) true"));
    let numbers: String = (0..jobs).map(|i| format!("{i}\n")).collect();
    feed(&mut command, &numbers);
}

fn parallel(bed: &Bed, jobs: usize) {
    let mut command = Command::new("parallel");
    command
        .args(["-j", "2", "-S", &bed.host_list(), "--ssh"])
        .arg(format!("ssh -F {}", bed.ssh_config().display()))
        .args(["--will-cite", "true"]);
    let numbers: String = (0..jobs).map(|i| format!("{i}\n")).collect();
    feed(&mut command, &numbers);
}

fn feed(command: &mut Command, input: &str) {
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "{command:?}");
}
