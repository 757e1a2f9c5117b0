//! What is written and read for every job: frames on the wire, and lines of a run log.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up has nothing to say")]

use divan::counter::{BytesCount, ItemsCount};
use divan::{AllocProfiler, Bencher, black_box};
use gjob_core::wire::{Encoder, FrameBuffer, FromAgent, Launch, ToAgent, encode};
use gjob_core::{JobRequest, Key, Record, Timestamp};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

/// Jobs whose records are sent in one frame.
const BATCHES: [u32; 3] = [1, 10, 100];

fn main() {
    divan::main();
}

#[divan::bench]
fn encode_launch(bencher: Bencher<'_, '_>) {
    let launch = launch();
    bencher.bench(|| encode(black_box(&launch)));
}

#[divan::bench]
fn decode_launch(bencher: Bencher<'_, '_>) {
    let frame = encode(&launch());
    bencher.bench(|| decode::<ToAgent>(black_box(&frame)));
}

#[divan::bench(args = BATCHES)]
fn encode_records(bencher: Bencher<'_, '_>, jobs: u32) {
    let message = FromAgent::Records { offset: 0, lines: lines(jobs) };
    let mut encoder = Encoder::default();
    bencher.counter(ItemsCount::new(jobs)).bench_local(|| encoder.encode(black_box(&message)));
}

#[divan::bench(args = BATCHES)]
fn decode_records(bencher: Bencher<'_, '_>, jobs: u32) {
    let message = FromAgent::Records { offset: 0, lines: lines(jobs) };
    let frame = Encoder::default().encode(&message);
    bencher.counter(ItemsCount::new(jobs)).bench(|| decode::<FromAgent>(black_box(&frame)));
}

#[divan::bench]
fn write_record(bencher: Bencher<'_, '_>) {
    let record = started(7);
    bencher.bench(|| black_box(&record).to_line());
}

#[divan::bench]
fn read_record(bencher: Bencher<'_, '_>) {
    let line = started(7).to_line();
    let line = line.trim_ascii_end();
    bencher.counter(BytesCount::of_slice(line)).bench(|| Record::parse(black_box(line)).unwrap());
}

fn decode<M: serde::de::DeserializeOwned>(frame: &[u8]) -> M {
    let mut buffer = FrameBuffer::new();
    buffer.extend(frame);
    buffer.next().unwrap().unwrap()
}

fn launch() -> ToAgent {
    ToAgent::Launch(Box::new(Launch {
        key: Key::new(7, 1),
        request: JobRequest::default(),
        script: "./sample --seed $GJOB_REPEAT\n".to_owned(),
        files: Vec::new(),
        is_task: false,
        dropped: 0,
    }))
}

fn lines(jobs: u32) -> Vec<u8> {
    (0..jobs).flat_map(|index| started(index).to_line()).collect()
}

fn started(index: u32) -> Record {
    let id = "node17/2026-11-22-1".parse().unwrap();
    Record::Started {
        key: Key::new(index, 1),
        id,
        pid: 4711,
        at: Timestamp(1_795_305_600_000),
        processors: Vec::new(),
    }
}
