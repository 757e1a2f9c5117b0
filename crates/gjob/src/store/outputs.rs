//! The outputs of jobs that are local, as they are recorded.

use gjob_core::Key;
use rusqlite::Row;

use super::inputs::parse_hash;
use super::{Store, StoreError};
use crate::outputs::OutputFile;

impl Store {
    /// The outputs of an attempt.
    ///
    /// # Errors
    /// When the database fails or holds nonsense.
    pub fn outputs_of(&self, key: Key) -> Result<Vec<OutputFile>, StoreError> {
        let Key { index, attempt } = key;
        let sql = format!(
            "SELECT path, size, mode, hash FROM outputs WHERE idx = {index} AND attempt = {attempt}"
        );
        self.all(&sql, output)
    }

    /// The outputs of a job: of the attempt that counts.
    ///
    /// # Errors
    /// When the database fails or holds nonsense.
    pub fn outputs_of_job(&self, index: u32) -> Result<Vec<OutputFile>, StoreError> {
        let sql = format!(
            "SELECT path, size, mode, hash FROM outputs JOIN progress USING (idx, attempt) \
             WHERE idx = {index}"
        );
        self.all(&sql, output)
    }
}

pub(super) fn output(row: &Row<'_>) -> Result<OutputFile, rusqlite::Error> {
    Ok(OutputFile {
        path: row.get("path")?,
        size: row.get::<_, i64>("size")? as u64,
        mode: row.get("mode")?,
        hash: parse_hash(&row.get::<_, String>("hash")?)?,
    })
}
