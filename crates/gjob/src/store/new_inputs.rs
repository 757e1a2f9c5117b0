//! Input files on their way from `gjob retry` to the run's manager: in a database of their
//! own beside the run's, which one process alone writes.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use rusqlite::OpenFlags;

use super::inputs::insert;
use super::{RunDir, RunDirError, Store, StoreError, WRITE};
use crate::inputs::Inputs;

const READ: OpenFlags = OpenFlags::SQLITE_OPEN_READ_ONLY.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

/// Files for the manager to take over, until this is dropped.
#[derive(Debug)]
pub(crate) struct NewInputs {
    path: PathBuf,
    name: String,
}

impl NewInputs {
    /// Writes them down.
    pub(crate) fn write(dir: &RunDir, inputs: &Inputs) -> Result<Self, StoreError> {
        let name = format!("inputs-{}.db", std::process::id());
        let path = dir.path().join(&name);
        // One that a process of the same number has left behind is nobody's.
        let mut options = OpenOptions::new();
        let file = options.create(true).truncate(true).write(true).mode(0o600).open(&path);
        file.map_err(|source| RunDirError::Io { path: path.clone(), source })?;
        let new = NewInputs { path, name };
        let store = Store::connect(&new.path, WRITE, None)?;
        store.db.execute_batch(super::SCHEMA).map_err(|e| store.error(e))?;
        let begun = store.db.unchecked_transaction();
        begun
            .and_then(|tx| insert(&tx, inputs).and_then(|()| tx.commit()))
            .map_err(|e| store.error(e))?;
        Ok(new)
    }

    /// What the manager knows them by.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Reads what another process has written.
    pub(crate) fn read(dir: &RunDir, name: &str) -> Result<Inputs, String> {
        let number = name.strip_prefix("inputs-").and_then(|rest| rest.strip_suffix(".db"));
        let is_number = |text: &str| text.parse::<u32>().is_ok();
        if !number.is_some_and(is_number) {
            return Err("the request names no file of new inputs".into());
        }
        let store = Store::connect(&dir.path().join(name), READ, None);
        store.and_then(|store| store.inputs()).map_err(|error| error.to_string())
    }
}

impl Drop for NewInputs {
    fn drop(&mut self) {
        // What is left is in nobody's way, and goes with the run.
        let _ = std::fs::remove_file(&self.path);
    }
}
