//! What each subcommand does, one file each; the hosts and jobs that several
//! of them take from the command line.

pub(crate) mod acting;
pub(crate) mod attach;
mod background;
mod change_hosts;
pub(crate) mod clean;
pub(crate) mod completions;
mod config;
pub(crate) mod doctor;
mod dry_run;
pub(crate) mod du;
mod each_host;
pub(crate) mod explain;
pub(crate) mod fetch;
mod hosts;
pub(crate) mod job_outputs;
mod jobs;
pub(crate) mod kill;
pub(crate) mod local;
pub(crate) mod logs;
pub(crate) mod man;
mod manage;
mod misnamed;
mod notes;
mod notify;
pub(crate) mod pause;
pub(crate) mod remote;
pub(crate) mod resume;
pub(crate) mod retry;
pub(crate) mod run;
pub(crate) mod runs;
mod selection;
mod skip_done;
pub(crate) mod status;
pub(crate) mod table;
pub(crate) mod top;
mod watch;

use gjob::settings::RunSettings;
use gjob::store::{LATEST, RunDir, RunRow, StateDir, Store};
use gjob_core::Run;

use crate::exit::{Failure, print_error};

/// The run that a user names, or the latest.
fn find_run(word: Option<&str>) -> Result<RunDir, Failure> {
    let state = StateDir::from_env().map_err(Failure::input)?;
    let run = match word {
        None | Some(LATEST) => None,
        Some(word) => Some(state.run_named(word).map_err(Failure::input)?),
    };
    let dir = state.find(run.as_ref()).map_err(Failure::input)?;
    if run.is_none() && state.is_latest_ambiguous().is_ok_and(|ambiguous| ambiguous) {
        print_error(&format!(
            "run {}: it was made last, though others have later dates",
            dir.run()
        ));
    }
    Ok(dir)
}

/// A size in the unit in which it has up to three digits.
fn rounded(bytes: u64) -> String {
    let power = (0..=5).find(|power| bytes >> (10 * power) < 1000).unwrap_or(5);
    gjob::units::format_size((bytes >> (10 * power)) << (10 * power))
}

/// What is recorded of a run, and its settings.
struct Recorded {
    run: Run,
    row: RunRow,
    settings: RunSettings,
}

fn read_run(dir: &RunDir) -> Result<Recorded, Failure> {
    let store = Store::read(dir).map_err(Failure::machinery)?;
    let run = store.load().map_err(Failure::machinery)?;
    let row = store.row().map_err(Failure::machinery)?;
    let settings = RunSettings::from_json(&row.settings).map_err(Failure::machinery)?;
    Ok(Recorded { run, row, settings })
}

/// A size that an option gives.
fn size(option: &str, text: Option<&str>, errors: &mut Vec<anyhow::Error>) -> Option<u64> {
    let parsed = gjob::units::parse_size(text?);
    parsed.map_err(|error| errors.push(anyhow::anyhow!("{option}: {error}"))).ok()
}
