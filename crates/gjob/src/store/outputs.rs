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
        self.all(&sql, |row: &Row<'_>| {
            Ok(OutputFile {
                path: row.get("path")?,
                size: row.get::<_, i64>("size")? as u64,
                mode: row.get("mode")?,
                hash: parse_hash(&row.get::<_, String>("hash")?)?,
            })
        })
    }
}
