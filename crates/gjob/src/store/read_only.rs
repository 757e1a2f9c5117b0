//! Reading a run: without a change, also where nothing can be changed.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rusqlite::{ErrorCode, OpenFlags, ffi};

use super::{RunDir, SCHEMA_VERSION, Store, StoreError, migrate};

const READ: OpenFlags = OpenFlags::SQLITE_OPEN_READ_ONLY.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

impl Store {
    /// Opens an existing run to look at it. Where nothing can be written beside
    /// the database, one that nobody uses is still read.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(dir: &RunDir) -> Result<Store, StoreError> {
        let path = dir.database();
        match Store::open(&path, READ) {
            Err(StoreError::Full { .. }) => Store::read_at_rest(dir, &path),
            Err(StoreError::Database { source, .. }) if is_for_want_of_writing(&source) => {
                Store::read_at_rest(dir, &path)
            }
            opened => opened,
        }
    }

    /// SQLite wants to write, beside the database, who reads. That can be left
    /// out when the database's file holds everything, and stays as it is.
    fn read_at_rest(dir: &RunDir, path: &Path) -> Result<Store, StoreError> {
        let why = if dir.is_managed()? {
            "another gjob process manages the run"
        } else if std::fs::metadata(log_of(path)).is_ok_and(|log| log.len() > 0) {
            "its last manager was killed, and `gjob attach` has not taken it up since"
        } else {
            let mut store = Store::open(&immutable(path), READ | OpenFlags::SQLITE_OPEN_URI)?;
            path.clone_into(&mut store.path);
            return Ok(store);
        };
        Err(StoreError::NotWritable { path: path.to_owned(), why })
    }

    fn open(path: &Path, flags: OpenFlags) -> Result<Store, StoreError> {
        let store = Store::connect(path, flags, None)?;
        match store.version()? {
            SCHEMA_VERSION => Ok(store),
            found if migrate::is_known(found) => store.migrated_copy(found),
            found => Err(StoreError::Version { path: store.path, found }),
        }
    }
}

fn is_for_want_of_writing(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(code, Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied))
        || error
            .sqlite_error()
            .is_some_and(|error| error.extended_code == ffi::SQLITE_IOERR_SHMOPEN)
}

/// SQLite's write-ahead log: what is not yet in the database's file.
pub(super) fn log_of(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// The name by which SQLite takes a file as one that nobody changes.
fn immutable(path: &Path) -> PathBuf {
    let mut name = String::from("file:");
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' => name.push(byte.into()),
            byte if byte.is_ascii_alphanumeric() => name.push(byte.into()),
            // Writing to a string cannot fail.
            byte => drop(write!(name, "%{byte:02X}")),
        }
    }
    name.push_str("?immutable=1");
    name.into()
}
