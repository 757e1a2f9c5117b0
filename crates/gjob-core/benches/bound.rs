//! The cost of a decision with jobs that are bound to hosts, beside the same without:
//! 10,000 bound jobs among 100,000 free ones on 1,000 hosts, and a tenth of all of it.
//! Half of the bound jobs have one host each, the others a label that one host in ten
//! has. `cargo bench -p gjob-core --bench bound`; `ROUNDS=N` for more or fewer than five.

#![expect(clippy::print_stdout, reason = "that is what a benchmark is for")]
#![expect(clippy::unwrap_used, reason = "a benchmark that can't go on should stop here")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gjob_core::dependency::Dependencies;
use gjob_core::event::HostFacts;
use gjob_core::resources::Offer;
use gjob_core::run::HostIx;
use gjob_core::scheduler::{Action, Config, Scheduler};
use gjob_core::{Ending, Finish, JobSpec, Key, Record, Run, Timestamp};

/// Hosts, free jobs and bound jobs.
const SIZES: [(u32, u32, u32); 2] = [(100, 10_000, 1_000), (1_000, 100_000, 10_000)];

fn main() {
    let rounds = std::env::var("ROUNDS").map_or(5, |rounds| rounds.parse().unwrap());
    for (hosts, free, bound) in SIZES {
        let jobs = free + bound;
        // Alternately, so that what disturbs the machine disturbs both.
        let (mut without, mut with) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            without.push(run(hosts, jobs, |_| JobSpec::default()));
            with.push(run(hosts, jobs, |index| spec(index, hosts, jobs / bound)));
        }
        let (without, with) = (median(without), median(with));
        let each = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(jobs);
        println!(
            "{jobs} jobs, {hosts} hosts: {:.2} µs a job without bounds, {:.2} µs with {bound} bound \
             jobs, {:.2} times as much",
            each(without),
            each(with),
            with.as_secs_f64() / without.as_secs_f64()
        );
    }
}

/// One in so many jobs is bound: to a host, or by a label.
fn spec(index: u32, hosts: u32, one_in: u32) -> JobSpec {
    let spec = JobSpec::default();
    match (index % one_in, index / one_in % 2) {
        (0, 0) => spec.hosts([format!("h{}", index / one_in / 2 % hosts)]),
        (0, _) => spec.labels([format!("l{}", index / one_in / 2 % 10)]),
        _ => spec,
    }
}

/// How long all decisions of a run take in which every job succeeds.
fn run(hosts: u32, jobs: u32, spec: impl Fn(u32) -> JobSpec) -> Duration {
    let specs: Vec<Arc<JobSpec>> = (0..jobs).map(|index| Arc::new(spec(index))).collect();
    let labels = (0..hosts).map(|host| format!("h{host}").parse().unwrap());
    let run = Run::new(labels, specs, Dependencies::default());
    let run = run.with_labels((0..hosts).map(|host| vec![format!("l{}", host % 10)]));
    let began = Instant::now();
    let mut scheduler = Scheduler::new(Config::default(), run);
    let mut running: VecDeque<(HostIx, Key)> = VecDeque::new();
    for host in 0..hosts {
        let facts = HostFacts { offer: Offer::cpus(4), ..HostFacts::default() };
        scheduler.handle_host_up(Duration::from_secs(1), HostIx(host), facts);
    }
    loop {
        while let Some(action) = scheduler.poll_action() {
            if let Action::Launch { host, key } = action {
                running.push_back((host, key));
            }
        }
        let Some((host, key)) = running.pop_front() else { break };
        scheduler.handle_record(Duration::from_secs(2), host, finished(key));
    }
    let took = began.elapsed();
    assert!(scheduler.run().is_all_done());
    took
}

fn finished(key: Key) -> Record {
    Record::Finished(Finish {
        key: Some(key),
        id: "h/2026-11-22-1".parse().unwrap(),
        ending: Ending::Exit(0),
        cause: None,
        started: Timestamp(0),
        ended: Timestamp(60_000),
        user_us: 0,
        system_us: 0,
        max_rss_kib: 0,
        read_bytes: 0,
        written_bytes: 0,
        stdout_bytes: 0,
        stderr_bytes: 0,
        survivors: Vec::new(),
    })
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
