//! Managing a run without a terminal: another process takes the run up, in a session of
//! its own, and writes to a file in the run's directory.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, anyhow};
use gjob::store::RunDir;
use gjob_core::os_text::to_os;
use rustix::fs::OFlags;
use rustix::stdio::{dup2_stderr, dup2_stdout};

use crate::cli::{LogFormat, ReportArgs, Show};
use crate::exit::{ALL_DONE, Failure, print_error};
use crate::stamped;

/// The hidden option of `gjob attach` that makes it the other process.
const IN_BACKGROUND: &str = "--in-background";

/// What the other process writes to its standard output once it manages the run.
const BEGUN: &[u8] = b"begun\n";

/// Starts a manager in the background, and waits until it manages the run. Prints the
/// run's id. `change` are options of `gjob attach`.
pub(super) fn start(dir: &RunDir, report: &ReportArgs, change: &[OsString]) -> Result<u8, Failure> {
    let run = dir.run();
    let begun = spawn(dir, report, change).map_err(|error| {
        Failure::machinery(error.context(format!(
            "run {run} is recorded, but cannot be managed in the background; `gjob attach {run}` begins it"
        )))
    })?;
    if begun != ALL_DONE {
        return Ok(begun);
    }
    writeln!(io::stdout(), "{run}").map_err(|error| {
        Failure::machinery(anyhow!(
            "run {run} goes on in the background, but its id cannot be written: {error}"
        ))
    })?;
    if !report.is_quiet() {
        print_error(&format!(
            "help: run {run} goes on in the background: `gjob attach {run}` follows it, \
             `gjob kill --all -R {run}` ends it"
        ));
    }
    Ok(ALL_DONE)
}

/// The exit status of a manager that could not begin; it has said why. 0 for one that
/// has.
fn spawn(dir: &RunDir, report: &ReportArgs, change: &[OsString]) -> anyhow::Result<u8> {
    let program = std::env::current_exe().context("this program cannot be found")?;
    let mut command = Command::new(program);
    command.args(["attach", IN_BACKGROUND, "--run", dir.run().plain()]);
    command.args(words(report)).args(change);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    // Both end when the manager writes to its file instead.
    if let Some(mut complaints) = child.stderr.take() {
        io::copy(&mut complaints, &mut io::stderr())?;
    }
    let mut said = Vec::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_end(&mut said)?;
    }
    if said == BEGUN {
        return Ok(ALL_DONE);
    }
    let status = child.wait()?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.filter(|code| *code != 0).ok_or_else(|| anyhow!("its manager ended at once ({status})"))
}

/// What is to be reported, as words of a command line. Nobody reads it at once, so it is
/// little.
fn words(report: &ReportArgs) -> Vec<OsString> {
    let mut words = vec!["--color=never".into(), format!("--show={}", word(report)).into()];
    let mut flag = |is_given: bool, word: &str| {
        words.extend(is_given.then(|| OsString::from(word)));
    };
    flag(report.keep_order, "--keep-order");
    flag(report.tag, "--tag");
    flag(report.verbose, "--verbose");
    flag(!report.verbose, "--quiet");
    flag(report.log_format == LogFormat::Seed, "--log-format=seed");
    for (option, path) in [("--joblog", &report.joblog), ("--events", &report.events)] {
        if let Some(path) = path {
            words.extend([to_os(option).into_owned(), path.into()]);
        }
    }
    words
}

fn word(report: &ReportArgs) -> &'static str {
    match report.show {
        Some(Show::All) => "all",
        Some(Show::Failed) => "failed",
        Some(Show::None) | None => "none",
    }
}

/// Leaves the terminal that this process was started from.
pub(super) fn leave_terminal() -> Result<(), Failure> {
    // The leader of a session cannot make another one, and needs none.
    match rustix::process::setsid() {
        Ok(_) | Err(rustix::io::Errno::PERM) => Ok(()),
        Err(error) => Err(Failure::machinery(error)),
    }
}

/// Says that the run is managed, and writes to the run's file from now on.
pub(super) fn go_on_alone(dir: &RunDir) -> Result<(), Failure> {
    redirect(dir).with_context(|| log_path(dir).display().to_string()).map_err(Failure::machinery)
}

fn redirect(dir: &RunDir) -> io::Result<()> {
    let log = open_log(&log_path(dir))?;
    // The process that started this one may have exited.
    let _ = io::stdout().write_all(BEGUN).and_then(|()| io::stdout().flush());
    dup2_stdout(&log)?;
    dup2_stderr(&log)?;
    stamped::begin_log();
    Ok(())
}

/// A pipe in its place would be waited for, and a link leads elsewhere.
fn open_log(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let mut options = OpenOptions::new();
    let log = options.create(true).append(true).mode(0o600).custom_flags(flags).open(path)?;
    if log.metadata()?.is_file() {
        return Ok(log);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"))
}

/// What managers in the background have written.
pub(super) fn log_path(dir: &RunDir) -> PathBuf {
    dir.path().join("manager.log")
}
