//! Which file a run's database is. A copy of it would be taken up beside the original,
//! and each manager would run the jobs: so the database names its own file.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::UNIX_EPOCH;
use std::{fs, io};

use gjob_core::run::History;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::{Store, StoreError};

/// How far the epoch of a run that has moved is above that of its original, at least:
/// no original is taken up so often.
const MOVED: i64 = 1 << 20;

impl Store {
    /// True for a run that was taken up as a copy once: another manager may have done more
    /// of it than is recorded here.
    pub(crate) fn has_moved(&self) -> Result<bool, StoreError> {
        Ok(self.epoch()?.0 >= MOVED as u64)
    }
}

/// What tells a file from copies of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileIdentity {
    /// Its number in its file system.
    ino: i64,
    /// When it was made, in nanoseconds since 1970; not all file systems know that.
    born_ns: Option<i64>,
}

impl FileIdentity {
    /// That of the file at `path`.
    pub(super) fn of(path: &Path) -> io::Result<FileIdentity> {
        let meta = fs::metadata(path)?;
        let born = meta.created().ok().and_then(|born| born.duration_since(UNIX_EPOCH).ok());
        let born_ns = born.map(|born| born.as_nanos() as i64);
        Ok(FileIdentity { ino: meta.ino() as i64, born_ns })
    }

    /// Names the file in the database that it is.
    pub(super) fn name_in(self, db: &Connection) -> Result<(), rusqlite::Error> {
        let sql = "UPDATE run SET ino = ?1, born_ns = ?2";
        db.execute(sql, params![self.ino, self.born_ns]).map(drop)
    }

    /// True for a database that names another file than the one it is.
    pub(super) fn is_copy(self, db: &Connection) -> Result<bool, rusqlite::Error> {
        db.query_row("SELECT ino, born_ns FROM run", [], |row| {
            let (ino, born_ns): (i64, Option<i64>) = (row.get(0)?, row.get(1)?);
            let was_born_apart = born_ns.zip(self.born_ns).is_some_and(|(was, is)| was != is);
            Ok(ino != self.ino || was_born_apart)
        })
    }

    /// Makes the database at hand the original. Hosts that it has attached to serve the
    /// former one no more; of several such, they serve the one of the greatest epoch.
    pub(super) fn make_original(self, db: &Connection) -> Result<(), rusqlite::Error> {
        let tx = Transaction::new_unchecked(db, TransactionBehavior::Immediate)?;
        self.name_in(&tx)?;
        let ahead = MOVED + fastrand::i64(0..MOVED);
        tx.execute("UPDATE run SET epoch = epoch + ?1", [ahead])?;
        // The copy may be older than what they have begun.
        tx.execute("UPDATE hosts SET history = ?1", [History::Awaited.as_str()])?;
        tx.commit()
    }
}
