//! `gjob local`: the original's worker commands, on job directories of the local
//! machine. Each works on all of its directories; the exit status tells whether
//! one of them failed.

use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use gjob_agent::local::{self, StartOptions};

use crate::cli::LocalCommand;
use crate::exit::{ALL_DONE, Failure, NOT_ALL_DONE};

/// The default results directory, below the home directory.
const DEFAULT_RESULTS: &str = "gjob-results";

pub(crate) fn run(command: &LocalCommand) -> Result<u8, Failure> {
    match command {
        LocalCommand::Mkdir { results_dir } => mkdir(results_dir.as_deref()),
        LocalCommand::Start { dir, timeout } => start(dir, timeout.as_deref()),
        LocalCommand::Status { dirs } => each(dirs, |dir| local::status(dir).map(Some)),
        LocalCommand::Kill { dirs, grace } => {
            let grace =
                gjob::units::parse_duration(grace).context("--grace").map_err(Failure::input)?;
            each(dirs, |dir| local::kill(dir, grace).map(nothing))
        }
        LocalCommand::Pause { dirs } => each(dirs, |dir| local::pause(dir).map(nothing)),
        LocalCommand::Unpause { dirs } => each(dirs, |dir| local::unpause(dir).map(nothing)),
        LocalCommand::IsPaused { dirs } => is_paused(dirs),
        LocalCommand::Delete { dirs } => each(dirs, |dir| local::delete(dir).map(nothing)),
    }
}

fn nothing((): ()) -> Option<String> {
    None
}

fn mkdir(results: Option<&Path>) -> Result<u8, Failure> {
    let results = match results {
        Some(results) => results.to_owned(),
        None => std::env::home_dir()
            .ok_or_else(|| {
                Failure::input(anyhow!(
                    "no home directory\nhelp: name a results directory with --results-dir"
                ))
            })?
            .join(DEFAULT_RESULTS),
    };
    let id = local::mkdir(&results).map_err(Failure::machinery)?;
    print(&results.join(id.as_str()).display()).map_err(Failure::machinery)?;
    Ok(ALL_DONE)
}

fn start(dir: &Path, timeout: Option<&str>) -> Result<u8, Failure> {
    let timeout = timeout
        .map(gjob::units::parse_duration_above_zero)
        .transpose()
        .context("--timeout")
        .map_err(Failure::input)?;
    let program = std::env::current_exe().map_err(Failure::machinery)?;
    let options = StartOptions { name: None, timeout, program };
    local::start(dir, &options).map_err(Failure::machinery)?;
    Ok(ALL_DONE)
}

/// Applies `act` to each directory, prints the answers, and reports all failures.
fn each<T, E>(
    dirs: &[PathBuf],
    mut act: impl FnMut(&Path) -> Result<Option<T>, E>,
) -> Result<u8, Failure>
where
    T: Display,
    E: std::error::Error + Send + Sync + 'static,
{
    let mut errors = Vec::new();
    for dir in dirs {
        match act(dir) {
            Ok(Some(answer)) => print(&answer).map_err(Failure::machinery)?,
            Ok(None) => {}
            Err(error) => errors.push(error.to_string()),
        }
    }
    if errors.is_empty() {
        return Ok(ALL_DONE);
    }
    Err(Failure { code: NOT_ALL_DONE, error: anyhow!("{}", errors.join("\n")) })
}

fn is_paused(dirs: &[PathBuf]) -> Result<u8, Failure> {
    let mut all = true;
    each(dirs, |dir| {
        let paused = local::is_paused(dir)?;
        all &= paused;
        Ok::<_, local::StatusError>(Some(paused))
    })?;
    Ok(if all { ALL_DONE } else { NOT_ALL_DONE })
}

fn print(answer: &dyn Display) -> std::io::Result<()> {
    writeln!(std::io::stdout().lock(), "{answer}")
}
