//! Programs the bed calls, and waiting with an end.

use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// What a test waits for has to happen within this; nothing takes a tenth of it.
const LIMIT: Duration = Duration::from_secs(60);

/// How long a bed waits for anything it started itself.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// Finds a program by name on the `PATH` and in the directories for system
/// programs, which an ordinary user's `PATH` often lacks.
#[must_use]
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path).chain(system).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// Waits until `condition` holds, looking every few milliseconds.
///
/// # Panics
///
/// When it does not hold within `limit`; the message names `what` was awaited.
#[track_caller]
pub fn wait_within(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + limit;
    while !condition() {
        assert!(Instant::now() < end, "waited {limit:?} in vain for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until `condition` holds, for a minute at most.
///
/// # Panics
///
/// When it does not hold within that; the message names `what` was awaited.
#[track_caller]
pub fn eventually(what: &str, condition: impl FnMut() -> bool) {
    wait_within(LIMIT, what, condition);
}

/// Runs a command to its end: what it printed, or what it complained of.
pub(crate) fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?}: {}: {}", output.status, complaint.trim()))
}

/// Runs a program with the arguments in `line`, which are split at blanks.
pub(crate) fn run_line(program: &str, line: &str) -> Result<String, String> {
    let path = find_program(program).ok_or_else(|| format!("{program} is not installed"))?;
    run(Command::new(path).args(line.split_whitespace()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_by_name_or_not_at_all() {
        assert!(find_program("sh").is_some());
        assert_eq!(find_program("no-such-program-anywhere"), None);
    }

    #[test]
    fn a_failed_command_says_what_it_complained_of() {
        let error = run(Command::new("sh").args(["-c", "echo because >&2; exit 3"])).unwrap_err();
        assert!(error.ends_with("exit status: 3: because"), "{error}");
    }

    #[test]
    #[should_panic(expected = "in vain for the end of time")]
    fn a_wait_ends_and_names_what_it_waited_for() {
        wait_within(Duration::from_millis(20), "the end of time", || false);
    }
}
