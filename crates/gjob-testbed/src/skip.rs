//! Tests that cannot run everywhere: without root, without a shell. None is
//! left out in silence: each says so, and `make test` counts them.

use std::env;
use std::fs::File;
use std::io::Write;
use std::panic::Location;
use std::thread;

use crate::tools::find_program;

/// The environment variable that names the file which lists what was skipped.
const LIST: &str = "GJOB_SKIPPED_TESTS";

/// Notes that the calling test, or a part of it, is skipped, and why.
///
/// # Panics
///
/// When the list of skipped tests cannot be written.
#[track_caller]
#[expect(clippy::print_stderr, reason = "a skipped test says so, and why")]
pub fn skip(reason: &str) {
    let thread = thread::current();
    let test = thread.name().filter(|name| *name != "main");
    let test = test.map_or_else(|| Location::caller().to_string(), str::to_owned);
    eprintln!("skipped: {test}: {reason}");
    if let Some(list) = env::var_os(LIST) {
        let mut options = File::options();
        let list = options.create(true).append(true).open(list);
        let written =
            list.and_then(|mut list| list.write_all(format!("{test}: {reason}\n").as_bytes()));
        written.expect("the list of skipped tests can be written");
    }
}

/// True if this program is installed; else what needs it is noted as skipped.
#[must_use]
#[track_caller]
pub fn is_installed(program: &str) -> bool {
    let found = find_program(program).is_some();
    if !found {
        skip(&format!("{program} is not installed"));
    }
    found
}
