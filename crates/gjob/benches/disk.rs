//! What touches the disk of this side: a commit of events, and the hashing of input files.
//! Files are in the directory for temporary files (TMPDIR).

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up has nothing to say")]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use divan::counter::{BytesCount, ItemsCount};
use divan::{AllocProfiler, Bencher};
use gjob::inputs::{InputFile, Inputs};
use gjob::store::{Changes, StateDir, Store};
use gjob::{HostLabel, JobSpec, Run};
use gjob_core::dependency::Dependencies;
use gjob_core::event::HostFacts;
use gjob_core::resources::Offer;
use gjob_core::run::HostIx;
use gjob_core::scheduler::{Action, Config, Scheduler};
use gjob_core::{Ending, Finish, Key, Record, Timestamp};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

/// Commits that are measured.
const COMMITS: u32 = 20;

fn main() {
    divan::main();
}

/// The ends of a number of jobs, and the assignments that follow, in one transaction.
#[divan::bench(args = [1, 10, 100, 1_000], sample_count = COMMITS, sample_size = 1)]
fn commit_outcomes(bencher: Bencher<'_, '_>, outcomes: u32) {
    let temp = tempfile::tempdir().unwrap();
    let dir = StateDir::new(temp.path()).create_run(Timestamp(1_795_305_600_000)).unwrap();
    let spec = Arc::new(JobSpec::new(["true"]).unwrap());
    let specs = vec![spec; (outcomes * (COMMITS + 2)) as usize];
    let host: HostLabel = "h1".parse().unwrap();
    let mut store =
        Store::create(&dir, "{}", std::slice::from_ref(&host), &specs, &Inputs::default()).unwrap();
    let run = Run::new([host], specs, Dependencies::default());
    let work = RefCell::new(Work::begin(run, outcomes));
    bencher
        .counter(ItemsCount::new(outcomes))
        .with_inputs(|| work.borrow_mut().end(outcomes))
        .bench_local_values(|changes| {
            store.commit(work.borrow().scheduler.run(), &changes).unwrap();
        });
}

#[divan::bench(args = [1_000, 1_000_000, 50_000_000])]
fn hash_input(bencher: Bencher<'_, '_>, size: usize) {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("input");
    std::fs::write(&path, vec![7; size]).unwrap();
    bencher.counter(BytesCount::new(size)).bench(|| InputFile::hash(&path).unwrap());
}

/// A run on one host with as many slots as outcomes come at once.
struct Work {
    scheduler: Scheduler,
    running: VecDeque<Key>,
}

impl Work {
    fn begin(run: Run, slots: u32) -> Self {
        let mut scheduler = Scheduler::new(Config::default(), run);
        let facts = HostFacts { offer: Offer::cpus(slots), ..HostFacts::default() };
        scheduler.handle_host_up(Duration::from_secs(1), HostIx(0), facts);
        let mut work = Self { scheduler, running: VecDeque::new() };
        work.changes();
        work
    }

    /// Lets this number of jobs end.
    fn end(&mut self, outcomes: u32) -> Changes {
        for _ in 0..outcomes {
            let key = self.running.pop_front().unwrap();
            self.scheduler.handle_record(Duration::from_secs(2), HostIx(0), finished(key));
        }
        self.changes()
    }

    fn changes(&mut self) -> Changes {
        let mut changes = Changes::default();
        while let Some(action) = self.scheduler.poll_action() {
            match action {
                Action::Emit { event, touched } => changes.add(event, touched),
                Action::Launch { key, .. } => self.running.push_back(key),
                _ => {}
            }
        }
        changes
    }
}

fn finished(key: Key) -> Record {
    let id = "h1/2026-11-22-1".parse().unwrap();
    let finish = Finish::new(id, Ending::Exit(0), Timestamp(0), Timestamp(60_000));
    Record::Finished(Finish { key: Some(key), ..finish })
}
