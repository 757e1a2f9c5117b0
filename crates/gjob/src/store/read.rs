//! Rows out of the store, for `attach` and for whoever looks at a run.

use std::str::FromStr;
use std::sync::Arc;

use gjob_core::scheduler::{HostIx, JobInit, JobStart};
use gjob_core::{HostLabel, JobId, JobSpec, Key, RunId, State, Timestamp};
use rusqlite::Row;

use super::{Store, StoreError};

/// The run itself.
#[derive(Clone, Debug)]
pub struct RunRow {
    /// Its id.
    pub id: RunId,
    /// The same as its hosts know it.
    pub on_hosts: RunId,
    /// When it was made.
    pub created: Timestamp,
    /// Why its last manager stopped, if one did so in order.
    pub ended: Option<String>,
    /// What it was asked, as JSON.
    pub settings: String,
}

/// A host of the run.
#[derive(Clone, Debug)]
pub struct HostRow {
    /// What the manager calls it.
    pub label: HostLabel,
    /// Its state when it was last known.
    pub state: State,
    /// Why it is `unknown` or `error`.
    pub reason: Option<String>,
    /// What it calls itself.
    pub hostname: Option<String>,
    /// Jobs it runs at once.
    pub slots: Option<u32>,
    /// Bytes of its run log that are applied.
    pub offset: u64,
}

/// A job of the run, with its last attempt.
#[derive(Clone, Debug)]
pub struct JobRow {
    /// Its position in the run.
    pub index: u32,
    /// Its name.
    pub name: Option<String>,
    /// Its state; `busy` whether its host answers or not.
    pub state: State,
    /// The attempt that counts, or the last one; 0 before the first.
    pub attempt: u32,
    /// True while that attempt's outputs are on their way here.
    pub collecting: bool,
    /// The last attempt there was; a later one may be less than that which counts.
    pub last_attempt: u32,
    /// True while a user holds it.
    pub paused: bool,
    /// True when its last attempt was paused and is to go on.
    pub resumed: bool,
    /// True when a user wants its last attempt ended.
    pub kill: bool,
    /// Failures of its own.
    pub failures: u32,
    /// The last attempt's host, by position.
    pub host: Option<u32>,
    /// The last attempt's job directory.
    pub id: Option<JobId>,
    /// The last attempt's exit status.
    pub exit: Option<u8>,
    /// The signal that ended the last attempt.
    pub signal: Option<u8>,
    /// Why it is not done.
    pub reason: Option<String>,
    /// When the last attempt was started.
    pub started: Option<Timestamp>,
    /// When the last attempt ended.
    pub ended: Option<Timestamp>,
}

impl JobRow {
    /// The row as a scheduler takes it over.
    #[must_use]
    pub fn to_init(&self, spec: &JobSpec) -> JobInit {
        let start = match (self.state, self.host, self.started) {
            (State::Busy, Some(host), _) if self.collecting => {
                JobStart::Collecting(HostIx(host), self.attempt)
            }
            (State::Done | State::Error | State::Unknown, _, _) => JobStart::Ended(self.state),
            (State::Busy, Some(host), Some(_)) => JobStart::Running(HostIx(host)),
            (State::Busy, Some(host), None) => JobStart::Assigned(HostIx(host)),
            (State::Free, _, _) | (State::Busy, None, _) => JobStart::Waiting,
        };
        let (attempt, failures) = (self.last_attempt, self.failures);
        let (paused, resumed, kill) = (self.paused, self.resumed, self.kill);
        JobInit { attempt, failures, start, paused, resumed, kill, ..JobInit::of(spec) }
    }
}

const JOB_COLUMNS: &str =
    "idx, name, state, attempt, collecting, failures, paused, resumed, kill, host, id, exit,
    signal, reason, started, ended,
    (SELECT max(attempt) FROM attempts WHERE attempts.idx = jobs.idx) AS last_attempt";

impl Store {
    /// The run.
    ///
    /// # Errors
    /// When the database fails or holds nonsense.
    pub fn run(&self) -> Result<RunRow, StoreError> {
        let row = |row: &Row<'_>| {
            let id: RunId = parsed(row, "id")?;
            Ok(RunRow {
                on_hosts: id.identified(row.get::<_, i64>("identity")? as u64),
                id,
                created: timestamp(row.get("created")?),
                ended: row.get("ended")?,
                settings: row.get("settings")?,
            })
        };
        let sql = "SELECT id, identity, created, ended, settings FROM run";
        self.db.query_row(sql, [], row).map_err(|e| self.error(e))
    }

    /// The hosts, in their order.
    ///
    /// # Errors
    /// When the database fails or holds nonsense.
    pub fn hosts(&self) -> Result<Vec<HostRow>, StoreError> {
        self.all("SELECT * FROM hosts ORDER BY ix", |row| {
            Ok(HostRow {
                label: parsed(row, "label")?,
                state: parsed(row, "state")?,
                reason: row.get("reason")?,
                hostname: row.get("hostname")?,
                slots: row.get("slots")?,
                offset: row.get::<_, i64>("offset")? as u64,
            })
        })
    }

    /// The jobs, in their order.
    ///
    /// # Errors
    /// When the database fails or holds nonsense.
    pub fn jobs(&self) -> Result<Vec<JobRow>, StoreError> {
        self.all(&format!("SELECT {JOB_COLUMNS} FROM jobs ORDER BY idx"), job_row)
    }

    /// The jobs' states, in their order.
    ///
    /// # Errors
    /// When the database fails or holds nonsense.
    pub fn job_states(&self) -> Result<Vec<State>, StoreError> {
        self.all("SELECT state FROM jobs ORDER BY idx", |row| parsed(row, "state"))
    }

    /// One job.
    ///
    /// # Errors
    /// When the database fails or holds nonsense.
    pub fn job(&self, index: u32) -> Result<Option<JobRow>, StoreError> {
        let sql = format!("SELECT {JOB_COLUMNS} FROM jobs WHERE idx = {index}");
        Ok(self.all(&sql, job_row)?.pop())
    }

    /// Attempts that are not waited for but may live still, with their hosts.
    ///
    /// # Errors
    /// When the database fails or holds nonsense.
    pub fn strays(&self) -> Result<Vec<(HostIx, Key)>, StoreError> {
        let sql = "SELECT a.idx, a.attempt, a.host FROM attempts a JOIN jobs j ON j.idx = a.idx
            WHERE a.outcome = 'abandoned'
               OR a.outcome IS NULL AND NOT (j.state = 'busy' AND j.attempt = a.attempt)";
        self.all(sql, |row| {
            let key = Key::new(row.get("idx")?, row.get("attempt")?);
            Ok((HostIx(row.get("host")?), key))
        })
    }

    /// The directories that attempts have got, and on which hosts.
    ///
    /// # Errors
    /// When the database fails or holds nonsense.
    pub fn job_dirs(&self) -> Result<Vec<(HostIx, Key, JobId)>, StoreError> {
        let sql = "SELECT idx, attempt, host, id FROM attempts WHERE id IS NOT NULL";
        self.all(sql, |row| {
            let key = Key::new(row.get("idx")?, row.get("attempt")?);
            Ok((HostIx(row.get("host")?), key, parsed(row, "id")?))
        })
    }

    /// How many jobs there are in each state that has any.
    ///
    /// # Errors
    /// When the database fails or holds nonsense.
    pub fn counts(&self) -> Result<Vec<(State, u32)>, StoreError> {
        self.all("SELECT state, count(*) AS n FROM jobs GROUP BY state", |row| {
            Ok((parsed(row, "state")?, row.get("n")?))
        })
    }

    /// The jobs' specifications, in their order.
    ///
    /// # Errors
    /// When the database fails or holds nonsense.
    pub fn specs(&self) -> Result<Vec<Arc<JobSpec>>, StoreError> {
        self.all("SELECT spec FROM jobs ORDER BY idx", |row| {
            let json: String = row.get(0)?;
            serde_json::from_str(&json).map(Arc::new).map_err(|e| nonsense(&e))
        })
    }

    pub(super) fn all<T>(
        &self,
        sql: &str,
        row: impl FnMut(&Row<'_>) -> Result<T, rusqlite::Error>,
    ) -> Result<Vec<T>, StoreError> {
        let query = || -> Result<Vec<T>, rusqlite::Error> {
            self.db.prepare_cached(sql)?.query_map([], row)?.collect()
        };
        query().map_err(|e| self.error(e))
    }
}

fn job_row(row: &Row<'_>) -> Result<JobRow, rusqlite::Error> {
    let id: Option<String> = row.get("id")?;
    Ok(JobRow {
        index: row.get("idx")?,
        name: row.get("name")?,
        state: parsed(row, "state")?,
        attempt: row.get("attempt")?,
        collecting: row.get("collecting")?,
        failures: row.get("failures")?,
        last_attempt: row.get::<_, Option<u32>>("last_attempt")?.unwrap_or(0),
        paused: row.get("paused")?,
        resumed: row.get("resumed")?,
        kill: row.get("kill")?,
        host: row.get("host")?,
        id: id.map(|id| id.parse().map_err(|e| nonsense(&e))).transpose()?,
        exit: row.get("exit")?,
        signal: row.get("signal")?,
        reason: row.get("reason")?,
        started: row.get::<_, Option<i64>>("started")?.map(timestamp),
        ended: row.get::<_, Option<i64>>("ended")?.map(timestamp),
    })
}

fn timestamp(millis: i64) -> Timestamp {
    Timestamp(millis.max(0) as u64)
}

fn parsed<T: FromStr<Err: std::error::Error>>(
    row: &Row<'_>,
    column: &str,
) -> Result<T, rusqlite::Error> {
    row.get::<_, String>(column)?.parse().map_err(|e| nonsense(&e))
}

fn nonsense(error: &dyn std::error::Error) -> rusqlite::Error {
    let text = rusqlite::types::Type::Text;
    rusqlite::Error::FromSqlConversionFailure(0, text, error.to_string().into())
}
