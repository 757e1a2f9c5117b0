//! How much room the records of runs take on this machine.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use gjob_core::RunId;

use crate::store::{RunDirError, StateDir, Store};

/// The most files that are looked at in the directory of one run.
const MAX_FILES: usize = 10_000;

/// Bytes of a block as `stat` counts them.
const BLOCK: u64 = 512;

/// The record of a run.
#[derive(Clone, Debug)]
pub struct RecordedRun {
    /// The run.
    pub run: RunId,
    /// What hosts call it; none when its record cannot be read.
    pub on_hosts: Option<RunId>,
    /// What its record takes, bytes.
    pub bytes: u64,
}

/// The records of all runs, oldest first.
///
/// # Errors
/// As [`StateDir::runs`].
pub fn recorded_runs(state: &StateDir) -> Result<Vec<RecordedRun>, RunDirError> {
    let recorded = |run: RunId| {
        let row = state.find(Some(&run)).ok().and_then(|dir| Store::read(&dir).ok()?.row().ok());
        let bytes = state.directory(&run).map_or(0, |dir| bytes_in(&dir));
        RecordedRun { run, on_hosts: row.map(|row| row.on_hosts), bytes }
    };
    Ok(state.runs()?.into_iter().map(recorded).collect())
}

/// What everything below a directory takes. No link is followed.
fn bytes_in(dir: &Path) -> u64 {
    let (mut dirs, mut bytes, mut left) = (vec![dir.to_owned()], 0, MAX_FILES);
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten().take(left) {
            left -= 1;
            let Ok(meta) = entry.metadata() else { continue };
            bytes += meta.blocks() * BLOCK;
            if meta.is_dir() {
                dirs.push(entry.path());
            }
        }
    }
    bytes
}
