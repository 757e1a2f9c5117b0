//! The hidden commands, `agent`, `slot` and `shim`, for whichever program holds
//! them. This crate reads no other command lines.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use gjob_core::wire::PROTOCOL;

use crate::{agent, slot};

/// Runs the program as an agent, a slot or a slot's shim if that is what its arguments ask
/// for; none for any other command line.
///
/// `args` begins with the program's name, as [`std::env::args_os`] does.
pub fn dispatch(args: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let args: Vec<OsString> = args.take(5).collect();
    let words: Vec<Option<&str>> = args.iter().skip(1).map(|word| word.to_str()).collect();
    match words.as_slice() {
        [Some("agent")] => Some(agent::run()),
        [Some("agent"), Some("--protocol")] => Some(print_protocol()),
        [Some("agent"), Some("--verify"), Some(hash)] => Some(verify(hash)),
        [Some("slot")] => Some(slot::run()),
        [Some("shim")] => Some(slot::run_shim()),
        [Some("agent" | "slot" | "shim"), ..] => Some(ExitCode::from(2)),
        _ => None,
    }
}

/// Has a write beyond the limit on the size of files (`ulimit -f`) fail with a reason,
/// instead of ending the process. The signal is handled, not ignored: jobs would inherit
/// that.
pub fn report_size_limit() {
    // Where it cannot be handled, it ends the process as before.
    let _ = signal_hook::flag::register(libc::SIGXFSZ, Arc::default());
}

fn print_protocol() -> ExitCode {
    exit_code(writeln!(io::stdout(), "{PROTOCOL}").is_ok())
}

/// Succeeds when this very executable has the hash.
fn verify(hash: &str) -> ExitCode {
    let found = File::open("/proc/self/exe").and_then(|mut file| {
        let mut hasher = blake3::Hasher::new();
        io::copy(&mut file, &mut hasher)?;
        Ok(hasher.finalize())
    });
    exit_code(found.is_ok_and(|found| found.to_hex().as_str().eq_ignore_ascii_case(hash)))
}

fn exit_code(success: bool) -> ExitCode {
    if success { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_command_lines_are_left_alone() {
        let words = |line: &str| dispatch(line.split(' ').map(OsString::from));
        assert!(words("gjob").is_none());
        assert!(words("gjob run agent").is_none());
        assert!(words("gjob agent --unknown").is_some());
    }
}
