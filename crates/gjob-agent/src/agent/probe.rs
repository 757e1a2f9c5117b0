//! A job that does nothing, started as all jobs are: whether it still runs at the next
//! login shows whether jobs survive a logout.

use std::fs;
use std::path::Path;
use std::time::Duration;

use gjob_core::jobdir::OwnFile;
use gjob_core::record::one_line;
use gjob_core::text::Foreign;
use gjob_core::{JobId, State};

use crate::host::program;
use crate::jobdir::Layout;
use crate::local::{self, StartOptions};

/// What such a job is called.
const NAME: &str = "gjob hosts --probe";

/// Starts one, which ends by itself after `life`; the error is why not, in one line.
pub(super) fn start_probe(layout: &Layout, life: Duration) -> Result<JobId, Foreign> {
    let id = local::mkdir(layout.results()).map_err(|error| one_line(&error.to_string()))?;
    let dir = layout.job_dir(&id);
    match start(&dir, life) {
        Ok(()) => Ok(id),
        Err(error) => {
            // What is left is an empty job directory.
            let _ = local::delete(&dir);
            Err(one_line(&error))
        }
    }
}

fn start(dir: &Path, life: Duration) -> Result<(), String> {
    let script = format!("exec sleep {}\n", life.as_secs());
    fs::write(dir.join(OwnFile::Script.name()), script).map_err(|error| error.to_string())?;
    let program = program().map_err(|error| error.to_string())?;
    // A host that is suspended meanwhile is no reason to run for longer.
    let options = StartOptions { name: Some(NAME.to_owned()), timeout: Some(life), program };
    local::start(dir, &options).map(drop).map_err(|error| error.to_string())
}

/// Ends one, and removes its directory. True if it was still running; the error is why
/// that cannot be told, in one line.
pub(super) fn end_probe(layout: &Layout, id: &JobId) -> Result<bool, Foreign> {
    end(&layout.job_dir(id)).map_err(|error| one_line(&error))
}

fn end(dir: &Path) -> Result<bool, String> {
    let state = local::status(dir).map_err(|error| error.to_string())?;
    if matches!(state, State::Busy | State::Unknown) {
        local::kill(dir, Duration::ZERO).map_err(|error| error.to_string())?;
    }
    local::delete(dir).map_err(|error| error.to_string())?;
    Ok(state == State::Busy)
}
