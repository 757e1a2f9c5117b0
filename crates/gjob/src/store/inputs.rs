//! The files and directories that a run's jobs need, as they were when it was made.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::Arc;

use gjob_core::wire::BlobHash;
use rusqlite::{Row, Transaction, params};

use super::{Store, StoreError, past};
use crate::inputs::{InputDirectory, InputFile, Inputs, Root};

pub(super) fn insert(tx: &Transaction<'_>, inputs: &Inputs) -> Result<(), rusqlite::Error> {
    let sql = "INSERT OR REPLACE INTO inputs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    let mut insert = tx.prepare(sql)?;
    let mut add =
        |(path, revision): (&str, u32), nth: usize, file: &InputFile, list: Option<&[u8]>| {
            insert.execute(params![
                path,
                revision,
                nth as i64,
                file.path.as_os_str().as_bytes(),
                file.hash.to_string(),
                file.size as i64,
                file.mode,
                file.mtime_ns,
                file.ino as i64,
                list,
            ])
        };
    for (path, revision, root) in inputs.roots() {
        let of = (path, revision);
        match root {
            Root::File(file) => drop(add(of, 0, file, None)?),
            Root::Directory(directory) => {
                add(of, 0, &as_file(directory), Some(&directory.list))?;
                for (nth, file) in (1..).zip(&directory.files) {
                    add(of, nth, file, None)?;
                }
            }
        }
    }
    past::insert(tx, inputs.past())
}

/// What a directory has in common with files.
fn as_file(directory: &InputDirectory) -> InputFile {
    InputFile {
        path: directory.path.clone(),
        hash: directory.hash,
        size: directory.list.len() as u64,
        mode: directory.mode,
        mtime_ns: directory.mtime_ns,
        ino: 0,
    }
}

impl Store {
    /// The files and directories that the jobs need.
    ///
    /// # Errors
    /// When the database fails or holds nonsense.
    pub fn inputs(&self) -> Result<Inputs, StoreError> {
        let sql = "SELECT * FROM inputs ORDER BY path, revision, nth";
        let mut rows = self.all(sql, row)?.into_iter();
        let mut next = rows.next();
        let mut roots = Vec::new();
        while let Some((of, file, list)) = next {
            let mut files = Vec::new();
            next = rows.next();
            while let Some((_, file, _)) = next.take_if(|(other, _, _)| *other == of) {
                files.push(Arc::new(file));
                next = rows.next();
            }
            let root = match list {
                None => Root::File(Arc::new(file)),
                Some(list) => Root::Directory(Arc::new(InputDirectory {
                    path: file.path,
                    hash: file.hash,
                    mode: file.mode,
                    mtime_ns: file.mtime_ns,
                    list: list.into(),
                    files,
                })),
            };
            roots.push((of.0, of.1, root));
        }
        Ok(Inputs::restore(roots))
    }
}

/// Its path and revision, one of its files, and a directory's list.
type InputRow = ((String, u32), InputFile, Option<Vec<u8>>);

fn row(row: &Row<'_>) -> Result<InputRow, rusqlite::Error> {
    let file = InputFile {
        path: OsString::from_vec(row.get("file")?).into(),
        hash: parse_hash(&row.get::<_, String>("hash")?)?,
        size: row.get::<_, i64>("size")? as u64,
        mode: row.get("mode")?,
        mtime_ns: row.get("mtime_ns")?,
        ino: row.get::<_, i64>("ino")? as u64,
    };
    Ok(((row.get("path")?, row.get("revision")?), file, row.get("list")?))
}

pub(super) fn parse_hash(text: &str) -> Result<BlobHash, rusqlite::Error> {
    text.parse().map_err(|error| {
        let kind = rusqlite::types::Type::Text;
        rusqlite::Error::FromSqlConversionFailure(3, kind, Box::new(error))
    })
}
