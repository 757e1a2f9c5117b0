//! gjob beside what else one might use, on real ssh hosts, in one run: `make bench`, or
//! `cargo bench -p gjob-cli --bench peers -- --help`.

#[path = "peers/bench.rs"]
mod bench;

use std::process::ExitCode;

fn main() -> ExitCode {
    bench::main(std::env::args_os())
}
