//! Exit statuses, and the one place that prints errors.

use std::io::Write;
use std::process::ExitCode;

use gjob_core::event::RunEnd;
use gjob_core::text::printable;

use crate::stamped::Stderr;
use crate::{report, tty};

/// Every job is done.
pub(crate) const ALL_DONE: u8 = 0;
/// Some job is not done.
pub(crate) const NOT_ALL_DONE: u8 = 1;
/// Invalid usage or input; nothing was started.
pub(crate) const BAD_INPUT: u8 = 2;
/// No host is usable, the store failed, or what was asked for cannot be written.
pub(crate) const MACHINERY: u8 = 3;
/// Interrupted by a user.
pub(crate) const INTERRUPTED: u8 = 130;

/// An error that says with which status it ends the program.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    pub(crate) error: anyhow::Error,
}

impl Failure {
    /// Invalid input; nothing was started.
    pub(crate) fn input(error: impl Into<anyhow::Error>) -> Self {
        Failure { code: BAD_INPUT, error: error.into() }
    }

    /// The machinery failed.
    pub(crate) fn machinery(error: impl Into<anyhow::Error>) -> Self {
        Failure { code: MACHINERY, error: error.into() }
    }
}

impl Failure {
    /// True if the answer could not be written because its reader has gone.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        let kind = |cause: &(dyn std::error::Error + 'static)| {
            cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind)
        };
        self.error.chain().any(|cause| kind(cause) == Some(std::io::ErrorKind::BrokenPipe))
    }
}

/// The exit status after a run. `failed` says that something of what was asked for
/// could not be written: that is no job's fault, and never hidden behind one's.
pub(crate) fn of_run(end: RunEnd, all_done: bool, failed: bool) -> u8 {
    match end {
        RunEnd::Interrupted => INTERRUPTED,
        RunEnd::NoHosts => MACHINERY,
        RunEnd::Complete | RunEnd::MaxFails | RunEnd::Enough | RunEnd::Left if failed => MACHINERY,
        RunEnd::Complete if all_done => ALL_DONE,
        // As many jobs are done as was asked for.
        RunEnd::Enough => ALL_DONE,
        RunEnd::Complete | RunEnd::MaxFails | RunEnd::Left => NOT_ALL_DONE,
    }
}

/// The error with its causes, each of them once: some contain theirs.
fn message(error: &anyhow::Error) -> String {
    let mut message = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !message.contains(&cause) {
            message.push_str(": ");
            message.push_str(&cause);
        }
    }
    message
}

/// Prints an error, and gives the exit status.
pub(crate) fn finish(result: Result<u8, Failure>) -> ExitCode {
    tty::close();
    let code = result.unwrap_or_else(|failure| {
        if failure.is_broken_pipe() {
            // A reader such as `head` has seen enough.
            return ALL_DONE;
        }
        print_error(&message(&failure.error));
        failure.code
    });
    ExitCode::from(code)
}

/// Prints an error line by line. It may contain file names, and text from hosts.
pub(crate) fn print_error(text: &str) {
    let columns = report::stderr_columns();
    for line in text.lines() {
        let prefix = if line.starts_with("help: ") { "" } else { "gjob: " };
        let line = format!("{prefix}{}\n", printable(line));
        // Without stderr there is no reader.
        let _ = Stderr.write_all(report::fit(&line, columns).as_bytes());
    }
}
