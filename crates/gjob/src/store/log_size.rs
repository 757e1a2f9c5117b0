//! How large SQLite's write-ahead log gets. It begins it anew by itself when nobody
//! reads from it: while several processes look at a run again and again, there is always
//! one that does, and the log would grow beyond all that the database holds.

use std::cell::Cell;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

use super::BUSY_TIMEOUT;
use super::read_only::log_of;

/// The log may have this size, bytes, twice of what SQLite lets it grow to without
/// readers.
pub(super) const LIMIT: u64 = 8 << 20;

/// How long those are waited for that read now. Who begins to read meanwhile needs
/// nothing of the log.
const READERS_TIMEOUT: Duration = Duration::from_secs(1);

/// The size at which the log is begun anew.
#[derive(Debug)]
pub(super) struct LogLimit(Cell<u64>);

impl Default for LogLimit {
    fn default() -> Self {
        LogLimit(Cell::new(LIMIT))
    }
}

impl LogLimit {
    /// Begins the log anew if it is too large. A reader that does not go away, such as
    /// one that was stopped, is waited for again only when the log has doubled.
    pub(super) fn keep(&self, db: &Connection, database: &Path) {
        let size = std::fs::metadata(log_of(database)).map_or(0, |log| log.len());
        if size <= self.0.get() {
            return;
        }
        let is_new = begin_anew(db).unwrap_or(false);
        self.0.set(if is_new { LIMIT } else { size.saturating_mul(2) });
    }
}

/// False if somebody still reads from the log.
fn begin_anew(db: &Connection) -> Result<bool, rusqlite::Error> {
    db.busy_timeout(READERS_TIMEOUT)?;
    let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
    let is_busy = db.query_row(sql, [], |row| row.get::<_, bool>(0));
    db.busy_timeout(BUSY_TIMEOUT)?;
    is_busy.map(|is_busy| !is_busy)
}

/// A log that SQLite itself begins anew does not keep the size that it had.
pub(super) fn limit(db: &Connection) -> Result<(), rusqlite::Error> {
    db.pragma_update(None, "journal_size_limit", LIMIT as i64)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::super::tests::{host, specs, temp_run};
    use super::super::{RunDir, Store};
    use super::*;
    use crate::inputs::Inputs;

    /// How much a commit of these tests writes, bytes, about.
    const COMMIT: u64 = 2 << 20;

    fn write(store: &Store) {
        let sql = "UPDATE specs SET command = hex(randomblob(2000))";
        store.write(|tx| tx.execute(sql, []).map(drop)).unwrap();
    }

    fn log_size(dir: &RunDir) -> u64 {
        std::fs::metadata(log_of(&dir.database())).map_or(0, |log| log.len())
    }

    #[test]
    fn log_is_bounded_while_readers_take_turns() {
        let (_temp, dir) = temp_run();
        let store = Store::create(&dir, "{}", &[host(0)], &specs(500), &Inputs::default()).unwrap();
        let stop = AtomicBool::new(false);
        let largest = std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let reader = Store::read(&dir).unwrap();
                    while !stop.load(Ordering::Relaxed) {
                        reader.load().unwrap();
                    }
                });
            }
            let sizes = (0..40).map(|_| {
                write(&store);
                log_size(&dir)
            });
            let largest = sizes.max().unwrap_or_default();
            stop.store(true, Ordering::Relaxed);
            largest
        });
        assert!(largest <= LIMIT + 2 * COMMIT, "{largest}");
    }

    #[test]
    fn log_is_small_again_once_a_long_reader_has_gone() {
        let (_temp, dir) = temp_run();
        let store = Store::create(&dir, "{}", &[host(0)], &specs(500), &Inputs::default()).unwrap();
        let reader = Store::read(&dir).unwrap();
        let snapshot = reader.db.unchecked_transaction().unwrap();
        let count: i64 =
            snapshot.query_row("SELECT count(*) FROM specs", [], |r| r.get(0)).unwrap();
        assert_eq!(count, 500);
        (0..12).for_each(|_| write(&store));
        assert!(log_size(&dir) > 2 * LIMIT, "{}", log_size(&dir));
        drop(snapshot);
        (0..2).for_each(|_| write(&store));
        assert!(log_size(&dir) <= LIMIT, "{}", log_size(&dir));
    }
}
