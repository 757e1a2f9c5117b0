//! The slim worker program: `gjob-agent agent`, and what that starts,
//! `slot` and `shim`; nothing else. The big `gjob` program has the same words.

use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    gjob_agent::dispatch(std::env::args_os()).unwrap_or_else(|| {
        // Without a stderr, nobody can be told.
        let _ = writeln!(
            std::io::stderr(),
            "gjob-agent: expected `agent`, `agent --protocol`, `agent --verify HASH`, `slot` or `shim`"
        );
        ExitCode::from(2)
    })
}
