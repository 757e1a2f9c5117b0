//! Databases of earlier versions, brought to the present schema. A reader does it
//! on a copy in memory, so that the file stays as it is; a manager does it in
//! the file, if hosts of that version's runs are still understood.

use rusqlite::Connection;
use rusqlite::backup::Backup;

use super::{SCHEMA_VERSION, Store, StoreError};

/// One step from a version to the next.
struct Migration {
    from: i64,
    sql: &'static str,
}

/// All steps there are, in their order.
const MIGRATIONS: [Migration; 1] = [Migration { from: 3, sql: include_str!("migrate/from-3.sql") }];

/// The oldest version whose runs can be resumed: before it, the run logs on the
/// hosts had another format.
pub(super) const OLDEST_RESUMABLE: i64 = 4;

/// True for a version from which steps lead to the present one.
pub(super) fn is_known(version: i64) -> bool {
    version == SCHEMA_VERSION || MIGRATIONS.iter().any(|step| step.from == version)
}

/// Brings a database from `found` to the present version, all of it or nothing.
pub(super) fn migrate(db: &mut Connection, found: i64) -> Result<(), rusqlite::Error> {
    let tx = db.transaction()?;
    for step in MIGRATIONS.iter().filter(|step| step.from >= found) {
        tx.execute_batch(step.sql)?;
    }
    tx.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    tx.commit()
}

impl Store {
    /// The same store as a copy in memory, in the present schema.
    pub(super) fn migrated_copy(self, found: i64) -> Result<Store, StoreError> {
        let copy = || -> Result<Connection, rusqlite::Error> {
            let mut copy = Connection::open_in_memory()?;
            Backup::new(&self.db, &mut copy)?.run_to_completion(
                1000,
                std::time::Duration::ZERO,
                None,
            )?;
            migrate(&mut copy, found)?;
            Ok(copy)
        };
        let db = copy().map_err(|e| self.error(e))?;
        Ok(Store { db, ..self })
    }
}
