//! All decisions of a run in which every job succeeds, and what its events change: by
//! numbers of jobs and hosts. The cost of a job must not grow with them, and jobs that are
//! bound to hosts must cost about what others do.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up has nothing to say")]

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher};
use gjob_core::dependency::Dependencies;
use gjob_core::event::HostFacts;
use gjob_core::resources::Offer;
use gjob_core::run::HostIx;
use gjob_core::scheduler::{Action, Config, Scheduler};
use gjob_core::{Ending, Event, Finish, JobSpec, Key, Record, Run, Timestamp};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

/// Jobs and hosts.
const SIZES: [(u32, u32); 3] = [(1_000, 10), (10_000, 100), (100_000, 1_000)];

/// Of this many jobs, one is bound.
const BOUND: u32 = 11;

fn main() {
    divan::main();
}

#[divan::bench(args = SIZES, sample_count = 10, sample_size = 1)]
fn scheduler(bencher: Bencher<'_, '_>, (jobs, hosts): (u32, u32)) {
    bench_scheduler(bencher, jobs, || run(jobs, hosts, |_| JobSpec::default()), hosts);
}

/// Half of the bound jobs have one host each, the others a label that a tenth of the hosts has.
#[divan::bench(args = SIZES, sample_count = 10, sample_size = 1)]
fn scheduler_with_bound_jobs(bencher: Bencher<'_, '_>, (jobs, hosts): (u32, u32)) {
    let spec = |index: u32| {
        let spec = JobSpec::default();
        match (index % BOUND, index / BOUND % 2) {
            (0, 0) => spec.hosts([format!("h{}", index / BOUND / 2 % hosts)]),
            (0, _) => spec.labels([format!("l{}", index / BOUND / 2 % 10)]),
            _ => spec,
        }
    };
    bench_scheduler(bencher, jobs, || run(jobs, hosts, spec), hosts);
}

/// The events of a run, carried over to what they change.
#[divan::bench(args = SIZES, sample_count = 10, sample_size = 1)]
fn apply_events(bencher: Bencher<'_, '_>, (jobs, hosts): (u32, u32)) {
    let new = || run(jobs, hosts, |_| JobSpec::default());
    let mut events = Vec::new();
    process(&mut scheduler_of(new()), hosts, |event| events.push(event));
    bencher.counter(ItemsCount::new(jobs)).with_inputs(new).bench_local_refs(|run| {
        for event in &events {
            run.apply(event);
        }
    });
}

fn bench_scheduler(bencher: Bencher<'_, '_>, jobs: u32, new: impl Fn() -> Run, hosts: u32) {
    bencher
        .counter(ItemsCount::new(jobs))
        .with_inputs(|| scheduler_of(new()))
        .bench_local_refs(|scheduler| process(scheduler, hosts, drop));
}

fn run(jobs: u32, hosts: u32, spec: impl Fn(u32) -> JobSpec) -> Run {
    let specs: Vec<Arc<JobSpec>> = (0..jobs).map(|index| Arc::new(spec(index))).collect();
    let labels = (0..hosts).map(|host| format!("h{host}").parse().unwrap());
    let run = Run::new(labels, specs, Dependencies::default());
    run.with_labels((0..hosts).map(|host| vec![format!("l{}", host % 10)]))
}

fn scheduler_of(run: Run) -> Scheduler {
    Scheduler::new(Config::default(), run)
}

/// Processes all jobs: the one that was launched first ends first.
fn process(scheduler: &mut Scheduler, hosts: u32, mut notify: impl FnMut(Event)) {
    let mut running: VecDeque<(HostIx, Key)> = VecDeque::new();
    for host in 0..hosts {
        let facts = HostFacts { offer: Offer::cpus(4), ..HostFacts::default() };
        scheduler.handle_host_up(Duration::from_secs(1), HostIx(host), facts);
    }
    loop {
        while let Some(action) = scheduler.poll_action() {
            match action {
                Action::Launch { host, key } => running.push_back((host, key)),
                Action::Emit { event, .. } => notify(event),
                _ => {}
            }
        }
        let Some((host, key)) = running.pop_front() else { break };
        scheduler.handle_record(Duration::from_secs(2), host, finished(key));
    }
    assert!(scheduler.run().is_all_done());
}

fn finished(key: Key) -> Record {
    let id = "h/2026-11-22-1".parse().unwrap();
    let finish = Finish::new(id, Ending::Exit(0), Timestamp(0), Timestamp(60_000));
    Record::Finished(Finish { key: Some(key), ..finish })
}
