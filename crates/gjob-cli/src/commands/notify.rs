//! `--notify CMD`: runs a command of the user's when a run has ended, with a record of the
//! end.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use anyhow::{Context, anyhow};
use gjob::settings::RunSettings;
use gjob::store::{RunDir, Store};
use gjob_core::event::RunEnd;
use gjob_core::os_text::to_os;
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Serialize;

use super::runs::{Overview, overview};
use crate::signals;

/// How long the command may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The record of a run's end, in the run's directory. Its members are never taken away or
/// renamed.
const RECORD: &str = "end.json";

/// Set for the command: the run of whose end it was notified. A manager that the command
/// starts for this run would otherwise notify it again, and so on.
const NOTIFIED: &str = "GJOB_NOTIFIED";

#[derive(Serialize)]
struct Record {
    run: String,
    /// Why its manager has stopped; none if that was an error.
    end: Option<RunEnd>,
    /// With which `gjob run` or `gjob attach` exits.
    exit_status: u8,
    /// The error that has stopped the manager.
    error: Option<String>,
    #[serde(flatten)]
    overview: Overview,
    /// Where outputs are, or would be.
    outputs_dir: PathBuf,
}

/// What has become of a manager.
pub(super) enum Outcome<'a> {
    Ended(RunEnd),
    Failed(&'a anyhow::Error),
}

/// Runs the command that the run's settings name. A run that was left goes on, so
/// nothing is said of it.
pub(super) fn notify(dir: &RunDir, outcome: &Outcome<'_>, exit_status: u8) -> anyhow::Result<()> {
    let is_notified = std::env::var_os(NOTIFIED).is_some_and(|of| Path::new(&of) == dir.path());
    // A run that was refused is not there any more.
    let is_gone = !dir.database().exists();
    if is_notified || is_gone || matches!(outcome, Outcome::Ended(RunEnd::Left)) {
        return Ok(());
    }
    let row = Store::read(dir)?.row()?;
    let settings = RunSettings::from_json(&row.settings)?;
    let Some(command) = settings.notify.filter(|command| !command.is_empty()) else {
        return Ok(());
    };
    let (end, error) = match outcome {
        Outcome::Ended(end) => (Some(*end), None),
        Outcome::Failed(error) => (None, Some(format!("{error:#}"))),
    };
    let overview = overview(dir)?;
    let outputs_dir = settings.outputs.dir(dir.run());
    let run = dir.run().to_string();
    let record = Record { run, end, exit_status, error, overview, outputs_dir };
    call(dir, &command, &record).context("--notify")
}

fn call(dir: &RunDir, command: &str, record: &Record) -> anyhow::Result<()> {
    let path = dir.path().join(RECORD);
    let text = format!("{}\n", serde_json::to_string(record)?);
    let written = write(dir.path(), &path, text.as_bytes());
    let input = written.with_context(|| path.display().to_string())?;
    // From its first moment on, a signal ends the wait for it.
    let (sender, receiver) = mpsc::channel();
    let signalled = sender.clone();
    signals::instead(move || drop(signalled.send(None)));
    let child = Command::new("/bin/sh")
        .arg("-c")
        .arg(to_os(command))
        .env(NOTIFIED, dir.path())
        .stdin(input)
        .process_group(0)
        .spawn()?;
    let status = wait(child, sender, &receiver)?;
    if status.success() {
        return Ok(());
    }
    Err(match (status.code(), status.signal()) {
        (Some(code), _) => anyhow!("the command exited with {code}"),
        (None, signal) => anyhow!("the command was ended by signal {}", signal.unwrap_or_default()),
    })
}

/// Writes a new file that takes the place of whatever is there, and opens it for reading.
fn write(dir: &Path, path: &Path, bytes: &[u8]) -> io::Result<File> {
    let mut new = tempfile::NamedTempFile::new_in(dir)?;
    new.write_all(bytes)?;
    let input = new.reopen()?;
    new.persist(path)?;
    Ok(input)
}

/// Waits for the command, and kills it with all that it has started when it takes too
/// long. A signal ends the wait, not the command.
fn wait(
    mut child: Child,
    sender: Sender<Option<io::Result<ExitStatus>>>,
    receiver: &Receiver<Option<io::Result<ExitStatus>>>,
) -> anyhow::Result<ExitStatus> {
    let group = Pid::from_raw(child.id().cast_signed()).context("it has no process")?;
    let waiter = std::thread::Builder::new().name("gjob-notify".into());
    waiter.spawn(move || sender.send(Some(child.wait())))?;
    match receiver.recv_timeout(TIMEOUT) {
        Ok(Some(status)) => Ok(status?),
        Ok(None) => Err(anyhow!("the command is no longer waited for, and goes on")),
        Err(_) => {
            kill_process_group(group, Signal::KILL)?;
            Err(anyhow!("the command was killed after {} s", TIMEOUT.as_secs()))
        }
    }
}
