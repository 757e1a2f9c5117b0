//! The files that a run's jobs need, as they were when it was made.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use gjob_core::wire::BlobHash;
use rusqlite::{Row, Transaction, params};

use super::{Store, StoreError};
use crate::input_file::InputFile;
use crate::network::Inputs;

pub(super) fn insert(tx: &Transaction<'_>, inputs: &Inputs) -> Result<(), rusqlite::Error> {
    let mut insert = tx.prepare("INSERT INTO inputs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    for (path, file) in inputs.files() {
        insert.execute(params![
            path,
            file.path.as_os_str().as_bytes(),
            file.hash.to_string(),
            file.size as i64,
            file.mode,
            file.mtime_ns,
            file.ino as i64,
        ])?;
    }
    Ok(())
}

impl Store {
    /// The files that the jobs need.
    ///
    /// # Errors
    /// When the database fails or holds nonsense.
    pub fn inputs(&self) -> Result<Inputs, StoreError> {
        Ok(Inputs::restore(self.all("SELECT * FROM inputs", file)?))
    }
}

fn file(row: &Row<'_>) -> Result<(String, InputFile), rusqlite::Error> {
    let file = InputFile {
        path: OsString::from_vec(row.get("file")?).into(),
        hash: parse_hash(&row.get::<_, String>("hash")?)?,
        size: row.get::<_, i64>("size")? as u64,
        mode: row.get("mode")?,
        mtime_ns: row.get("mtime_ns")?,
        ino: row.get::<_, i64>("ino")? as u64,
    };
    Ok((row.get("path")?, file))
}

fn parse_hash(text: &str) -> Result<BlobHash, rusqlite::Error> {
    let hash = blake3::Hash::from_hex(text).map_err(|error| {
        let kind = rusqlite::types::Type::Text;
        rusqlite::Error::FromSqlConversionFailure(2, kind, Box::new(error))
    })?;
    Ok(BlobHash(*hash.as_bytes()))
}
