//! The store: one SQLite database per run, in a directory of the run's own.
//! Everything the manager knows is in it before the manager acts on it; the rest
//! is in the hosts' run logs.
//!
//! One process writes, held by a lock on the run's directory; any number may
//! read meanwhile.

mod history;
mod inputs;
mod load;
mod log_size;
mod migrate;
mod new_inputs;
mod original;
mod outputs;
mod past;
mod read_only;
mod run_dir;
mod save;

use std::path::{Path, PathBuf};
use std::time::Duration;

use gjob_core::scheduler::HostIx;
use gjob_core::{Epoch, HostLabel, JobSpec, Key, Run, RunId, Timestamp};
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, ffi, params};

use crate::inputs::Inputs;
use crate::outputs::OutputFile;
pub use history::Gaps;
pub use load::RunRow;
use log_size::LogLimit;
pub(crate) use new_inputs::NewInputs;
use original::FileIdentity;
pub use run_dir::{LATEST, RunDir, RunDirError, StateDir};
pub use save::Changes;

/// The version of the database's schema (SQLite's `user_version`).
pub const SCHEMA_VERSION: i64 = 4;

/// All tables and views, empty.
const SCHEMA: &str = include_str!("store/schema.sql");

/// Marks a file as gjob's (SQLite's `application_id`): "gjob" in ASCII.
const APPLICATION_ID: i64 = 0x676a_6f62;

/// The epoch of the manager that makes a run.
const FIRST_EPOCH: i64 = 1;

/// How long another process may hold what is needed.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How the one process that writes opens the database.
const WRITE: OpenFlags = OpenFlags::SQLITE_OPEN_READ_WRITE.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

/// The store cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No room is left for what has to be written.
    #[error("store {path}: its disk is full")]
    Full {
        /// The database's file.
        path: PathBuf,
    },
    /// It can only be read by who can write beside it.
    #[error("store {path} cannot be read without writing beside it: {why}")]
    NotWritable {
        /// The database's file.
        path: PathBuf,
        /// Why it can't be taken as it is.
        why: &'static str,
    },
    /// The database failed: a failing disk, a damaged file.
    #[error("store {path}: {source}")]
    Database {
        /// The database's file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// Another version's database.
    #[error(
        "store {path} has schema version {found}, this gjob reads versions 3 to {SCHEMA_VERSION}"
    )]
    Version {
        /// The database's file.
        path: PathBuf,
        /// The version it names.
        found: i64,
    },
    /// A database of a version that can be read, and whose run cannot be resumed.
    #[error(
        "store {path} has schema version {found}: this gjob writes version {SCHEMA_VERSION}, and \
         can read the run, but not resume or clean it\nhelp: use the gjob that began the run, or \
         run its unfinished jobs anew with `gjob run --skip-done`"
    )]
    Outdated {
        /// The database's file.
        path: PathBuf,
        /// The version it names.
        found: i64,
    },
    /// A value in it that makes no sense.
    #[error("store {path}: {what}")]
    Content {
        /// The database's file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A copy of a run: its hosts would get its jobs from two managers.
    #[error(
        "{path} is a copy of run {run}, whose jobs would run twice\nhelp: if the original is \
         gone or will not be used again: `gjob attach {run} --moved`"
    )]
    Copy {
        /// The database's file.
        path: PathBuf,
        /// The run.
        run: RunId,
    },
    /// Another manager has taken the run up, where this one's lock does not show.
    #[error(
        "another gjob process has taken the run up (as manager number {found}, this one is \
         number {own}): nothing more is done here"
    )]
    TakenUp {
        /// The epoch that the store names.
        found: i64,
        /// That of this process.
        own: i64,
    },
    /// The run's directory.
    #[error(transparent)]
    RunDir(#[from] RunDirError),
}

impl StoreError {
    /// True when there was no room for what had to be written.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            StoreError::Full { .. } => true,
            StoreError::RunDir(error) => error.is_full(),
            StoreError::NotWritable { .. }
            | StoreError::Database { .. }
            | StoreError::Version { .. }
            | StoreError::Outdated { .. }
            | StoreError::Copy { .. }
            | StoreError::TakenUp { .. }
            | StoreError::Content { .. } => false,
        }
    }

    fn database(path: &Path, source: rusqlite::Error) -> StoreError {
        let code = source.sqlite_error().map(|error| error.extended_code);
        let path = path.to_owned();
        match code {
            // The second: for the index that readers and the writer share.
            Some(ffi::SQLITE_FULL | ffi::SQLITE_IOERR_SHMSIZE) => StoreError::Full { path },
            _ => StoreError::Database { path, source },
        }
    }
}

/// An open store.
#[derive(Debug)]
pub struct Store {
    db: Connection,
    path: PathBuf,
    /// The epoch with which this process took the run up; none for a reader.
    epoch: Option<i64>,
    log: LogLimit,
    /// Lets go of the run when the store is dropped; none for a reader.
    _lock: Option<run_dir::RunLock>,
}

/// How far a host's run log is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogOffset {
    /// The host's position in the run.
    pub host: u32,
    /// Bytes.
    pub offset: u64,
}

/// Outputs of a job that are local.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobOutputs {
    /// The attempt that wrote them.
    pub key: Key,
    /// Its files.
    pub files: Vec<OutputFile>,
}

impl Store {
    /// Makes the store of a new run, all of it or nothing.
    ///
    /// # Errors
    /// When the run's directory or the database cannot be written.
    pub fn create(
        dir: &RunDir,
        settings: &str,
        hosts: &[HostLabel],
        specs: &[std::sync::Arc<JobSpec>],
        inputs: &Inputs,
    ) -> Result<Store, StoreError> {
        let lock = dir.lock()?;
        let made = Store::make(dir, settings, hosts, specs, inputs);
        made.inspect_err(|_| dir.discard())?;
        let mut store = Store::connect(&dir.database(), WRITE, Some(lock))?;
        store.set_durable()?;
        store.epoch = Some(FIRST_EPOCH);
        Ok(store)
    }

    fn make(
        dir: &RunDir,
        settings: &str,
        hosts: &[HostLabel],
        specs: &[std::sync::Arc<JobSpec>],
        inputs: &Inputs,
    ) -> Result<(), StoreError> {
        let unfinished = dir.create_database()?;
        let mut store = Store::connect(&unfinished, WRITE, None)?;
        store.fill(dir.run(), settings, hosts, specs, inputs)?;
        let Store { db, path, .. } = store;
        db.close().map_err(|(_, source)| StoreError::database(&path, source))?;
        Ok(dir.publish_database(&unfinished)?)
    }

    /// Opens an existing run to take it up, and counts its epoch on.
    ///
    /// # Errors
    /// When another process has it, it cannot be read, or it is a copy.
    pub fn take_up(dir: &RunDir) -> Result<Store, StoreError> {
        Store::open_to_write(dir)?.begin_epoch(dir, false)
    }

    /// The same for a run that was copied, and whose original is used no more.
    ///
    /// # Errors
    /// When another process has it, or it cannot be read.
    pub fn take_up_moved(dir: &RunDir) -> Result<Store, StoreError> {
        Store::open_to_write(dir)?.begin_epoch(dir, true)
    }

    fn open_to_write(dir: &RunDir) -> Result<Store, StoreError> {
        let lock = dir.lock()?;
        let mut store = Store::connect(&dir.database(), WRITE, Some(lock))?;
        match store.version()? {
            SCHEMA_VERSION => {}
            found if migrate::is_known(found) && found >= migrate::OLDEST_RESUMABLE => {
                migrate::migrate(&mut store.db, found).map_err(|e| store.error(e))?;
            }
            found if migrate::is_known(found) => {
                return Err(StoreError::Outdated { path: store.path, found });
            }
            found => return Err(StoreError::Version { path: store.path, found }),
        }
        store.set_durable()?;
        Ok(store)
    }

    /// Makes the run this process's, unless it is a copy that has not `moved` here.
    fn begin_epoch(mut self, dir: &RunDir, moved: bool) -> Result<Store, StoreError> {
        let file = self.identity()?;
        if file.is_copy(&self.db).map_err(|e| self.error(e))? {
            if !moved {
                return Err(StoreError::Copy { path: self.path, run: dir.run().clone() });
            }
            file.make_original(&self.db).map_err(|e| self.error(e))?;
        }
        self.epoch = Some(self.count_epoch_on().map_err(|e| self.error(e))?);
        Ok(self)
    }

    /// What tells the database's file from copies.
    fn identity(&self) -> Result<FileIdentity, StoreError> {
        let source = |source| RunDirError::Io { path: self.path.clone(), source };
        Ok(FileIdentity::of(&self.path).map_err(source)?)
    }

    /// Counts the epoch on, durably. The row arrives before the commit, which a full
    /// disk may still refuse.
    fn count_epoch_on(&self) -> Result<i64, rusqlite::Error> {
        let tx = Transaction::new_unchecked(&self.db, TransactionBehavior::Immediate)?;
        let sql = "UPDATE run SET epoch = epoch + 1, ended = NULL RETURNING epoch";
        let epoch = tx.query_row(sql, [], |row| row.get(0))?;
        tx.commit()?;
        Ok(epoch)
    }

    /// The database's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Records what happened, and the rows of `run` that it changed: all of it,
    /// durably, or nothing.
    ///
    /// # Errors
    /// When the database fails; then nothing of it is recorded.
    pub fn commit(&mut self, run: &Run, changes: &Changes) -> Result<(), StoreError> {
        self.write(|tx| save::save(tx, run, changes))
    }

    /// Writes all or nothing, while the run is this process's: a lock may not show
    /// on other machines, or be lost.
    fn write(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<(), rusqlite::Error>,
    ) -> Result<(), StoreError> {
        let begun = Transaction::new_unchecked(&self.db, TransactionBehavior::Immediate);
        let tx = begun.map_err(|e| self.error(e))?;
        let sql = "SELECT epoch FROM run";
        let found: i64 = tx.query_row(sql, [], |row| row.get(0)).map_err(|e| self.error(e))?;
        if let Some(own) = self.epoch.filter(|own| *own != found) {
            return Err(StoreError::TakenUp { found, own });
        }
        work(&tx).and_then(|()| tx.commit()).map_err(|e| self.error(e))?;
        self.log.keep(&self.db, &self.path);
        Ok(())
    }

    /// Notes that hosts have no run log of this run any more.
    ///
    /// # Errors
    /// When the database fails.
    pub fn forget_logs(&self, hosts: &[HostIx]) -> Result<(), StoreError> {
        let sql = "UPDATE hosts SET offset = 0 WHERE ix = ?1";
        self.write(|tx| hosts.iter().try_for_each(|host| tx.execute(sql, [host.0]).map(drop)))
    }

    /// Keeps files of another revision. Nothing uses them before the run is in it.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) fn add_inputs(&self, inputs: &Inputs) -> Result<(), StoreError> {
        self.write(|tx| inputs::insert(tx, inputs))
    }

    /// Keeps other settings for the run than it was begun with.
    ///
    /// # Errors
    /// When the database fails.
    pub fn set_settings(&self, json: &str) -> Result<(), StoreError> {
        self.write(|tx| tx.execute("UPDATE run SET settings = ?1", [json]).map(drop))
    }

    /// Notes why the manager stops. It is durable once the store is closed: without it, the
    /// manager counts as one that was killed, and no event is missing.
    ///
    /// # Errors
    /// When the database fails.
    pub fn set_ended(&self, why: &str) -> Result<(), StoreError> {
        let set = |level| self.db.pragma_update(None, "synchronous", level);
        set("NORMAL").map_err(|e| self.error(e))?;
        let written = self.write(|tx| tx.execute("UPDATE run SET ended = ?1", [why]).map(drop));
        set("FULL").map_err(|e| self.error(e))?;
        written
    }

    fn connect(
        path: &Path,
        flags: OpenFlags,
        lock: Option<run_dir::RunLock>,
    ) -> Result<Store, StoreError> {
        let fail = |source| StoreError::database(path, source);
        let db = Connection::open_with_flags(path, flags).map_err(fail)?;
        db.busy_timeout(BUSY_TIMEOUT).map_err(fail)?;
        db.set_prepared_statement_cache_capacity(64);
        let log = LogLimit::default();
        Ok(Store { db, path: path.to_owned(), epoch: None, log, _lock: lock })
    }

    fn error(&self, source: rusqlite::Error) -> StoreError {
        StoreError::database(&self.path, source)
    }

    fn fill(
        &mut self,
        run: &RunId,
        settings: &str,
        hosts: &[HostLabel],
        specs: &[std::sync::Arc<JobSpec>],
        inputs: &Inputs,
    ) -> Result<(), StoreError> {
        let file = self.identity()?;
        let filled = self.fill_file(file, run, settings, hosts, specs, inputs);
        filled.map_err(|source| self.error(source))
    }

    /// Without a journal and unsynced: the file is synced as a whole before it gets its
    /// name, and removed if anything fails.
    fn fill_file(
        &mut self,
        file: FileIdentity,
        run: &RunId,
        settings: &str,
        hosts: &[HostLabel],
        specs: &[std::sync::Arc<JobSpec>],
        inputs: &Inputs,
    ) -> Result<(), rusqlite::Error> {
        self.db.pragma_update(None, "synchronous", "OFF")?;
        self.db.pragma_update(None, "journal_mode", "OFF")?;
        let tx = self.db.transaction()?;
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        tx.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        tx.execute_batch(SCHEMA)?;
        let created = now().0 as i64;
        tx.execute(
            "INSERT INTO run (id, identity, created, epoch, settings) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![run.as_str(), identity(), created, FIRST_EPOCH, settings],
        )?;
        {
            let mut insert = tx.prepare("INSERT INTO hosts (ix, label) VALUES (?1, ?2)")?;
            for (ix, label) in hosts.iter().enumerate() {
                insert.execute(params![ix as i64, label.as_str()])?;
            }
            let sql = "INSERT INTO specs (idx, name, command, spec) VALUES (?1, ?2, ?3, ?4)";
            let mut insert = tx.prepare(sql)?;
            let mut insert_progress = tx.prepare("INSERT INTO progress (idx) VALUES (?1)")?;
            for (index, spec) in specs.iter().enumerate() {
                let json = serde_json::to_string(&**spec)
                    .map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))?;
                let command = spec.cmds.join("\n");
                insert.execute(params![index as i64, spec.name, command, json])?;
                insert_progress.execute([index as i64])?;
            }
            inputs::insert(&tx, inputs)?;
        }
        file.name_in(&tx)?;
        tx.commit()?;
        self.db.pragma_update(None, "journal_mode", "WAL")
    }

    /// The version of a database that is gjob's.
    fn version(&self) -> Result<i64, StoreError> {
        let pragma = |name| {
            let value = self.db.pragma_query_value(None, name, |row| row.get(0));
            value.map_err(|e| self.error(e))
        };
        match pragma("application_id")? {
            APPLICATION_ID => pragma("user_version"),
            _ => {
                let what = "it is a database, but not one of gjob's".to_owned();
                Err(StoreError::Content { path: self.path.clone(), what })
            }
        }
    }

    /// What is committed is to survive a power cut (a launch that was sent must be known), and to take no more room than it must.
    fn set_durable(&self) -> Result<(), StoreError> {
        let set = self.db.pragma_update(None, "synchronous", "FULL");
        set.and_then(|()| log_size::limit(&self.db)).map_err(|e| self.error(e))
    }

    pub(crate) fn invalid(&self, error: &dyn std::error::Error) -> StoreError {
        StoreError::Content { path: self.path.clone(), what: error.to_string() }
    }

    /// The epoch of the manager that has the run.
    ///
    /// # Errors
    /// When the database fails.
    pub fn epoch(&self) -> Result<Epoch, StoreError> {
        if let Some(own) = self.epoch {
            return Ok(Epoch(own as u64));
        }
        let sql = "SELECT epoch FROM run";
        let epoch: i64 = self.db.query_row(sql, [], |row| row.get(0)).map_err(|e| self.error(e))?;
        Ok(Epoch(epoch as u64))
    }
}

/// What tells a run from others' of its id. Tests that have to know it beforehand
/// set `GJOB_RUN_IDENTITY`, a number.
fn identity() -> i64 {
    let set = std::env::var("GJOB_RUN_IDENTITY").ok().and_then(|number| number.parse().ok());
    set.unwrap_or_else(|| fastrand::i64(..))
}

/// The wall clock.
#[must_use]
pub fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp(since.unwrap_or_default().as_millis() as u64)
}

#[cfg(test)]
pub(crate) mod tests;
