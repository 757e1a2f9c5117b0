//! The cost of each of the queue's methods, at a thousand to a million
//! objects: it must not grow with their number. `cargo bench -p gjob-core`.

#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up has nothing to say")]

use divan::{AllocProfiler, Bencher, black_box};
use gjob_core::{Queue, STATES, State};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

const SIZES: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];

fn main() {
    divan::main();
}

/// A queue in which one object in a thousand is free, the rest is busy.
fn queue(size: usize) -> Queue<usize, State> {
    let mut queue = Queue::new(STATES, 0..size).expect("numbers are distinct");
    for index in 0..size {
        let state = if index % 1000 == 999 { State::Free } else { State::Busy };
        queue.set_state_at(index, &state).expect("a known state");
    }
    queue
}

#[divan::bench(args = SIZES)]
fn all_in_state(bencher: Bencher<'_, '_>, size: usize) {
    let queue = queue(size);
    bencher.bench_local(|| queue.all_in_state(black_box(&State::Busy)));
}

#[divan::bench(args = SIZES)]
fn any_in_state(bencher: Bencher<'_, '_>, size: usize) {
    let queue = queue(size);
    bencher.bench_local(|| queue.any_in_state(black_box(&State::Error)));
}

#[divan::bench(args = SIZES)]
fn choose_next(bencher: Bencher<'_, '_>, size: usize) {
    let queue = queue(size);
    bencher.bench_local(|| queue.choose_next(black_box(&State::Free)).copied());
}

#[divan::bench(args = SIZES)]
fn choose_random(bencher: Bencher<'_, '_>, size: usize) {
    let queue = queue(size);
    let mut rng = fastrand::Rng::with_seed(1);
    bencher.bench_local(|| queue.choose_random(black_box(&State::Busy), &mut rng).copied());
}

/// Each call looks up another object, as far from the caches as they come.
#[divan::bench(args = SIZES)]
fn set_state(bencher: Bencher<'_, '_>, size: usize) {
    let mut queue = queue(size);
    let mut rng = fastrand::Rng::with_seed(1);
    bencher.bench_local(|| {
        let object = rng.usize(..size);
        queue.set_state(&object, &STATES[object % STATES.len()])
    });
}

/// What the scheduler does: the first of those that wait is taken.
#[divan::bench(args = SIZES)]
fn choose_next_and_set_state(bencher: Bencher<'_, '_>, size: usize) {
    let mut queue = Queue::new(STATES, 0..size).expect("numbers are distinct");
    bencher.bench_local(|| {
        let (from, to) = if queue.any_in_state(&State::Free) {
            (State::Free, State::Busy)
        } else {
            (State::Busy, State::Free)
        };
        let index = queue.first_index(&from)?;
        queue.set_state_at(index, &to).ok()
    });
}
