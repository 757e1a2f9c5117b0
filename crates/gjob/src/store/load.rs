//! Rows out of the database: a whole [`Run`], or the few facts of it that a list
//! of runs shows.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;

use gjob_core::dependency::Dependencies;
use gjob_core::event::{ClockOffset, HostFacts};
use gjob_core::job::Phase;
use gjob_core::outcome::{Cause, Ending, Finish};
use gjob_core::resources::Offer;
use gjob_core::run::{
    Attempt, Host, HostIx, HostTotals, RunParts, Tally, TaskAttempt, shown_state,
};
use gjob_core::{HostLabel, Job, JobId, JobSpec, Key, Run, RunId, State, Timestamp};
use rusqlite::Row;

use super::{Store, StoreError};
use crate::settings::RunSettings;

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
    /// Its settings, as JSON.
    pub settings: String,
}

impl Store {
    /// The run's own row.
    ///
    /// # Errors
    /// When the database fails or its content is invalid.
    pub fn row(&self) -> Result<RunRow, StoreError> {
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

    /// The run as it was last committed: jobs, hosts, and the attempts that
    /// still matter.
    ///
    /// # Errors
    /// When the database fails or its content is invalid.
    pub fn load(&self) -> Result<Run, StoreError> {
        // One view of the database, whatever a manager commits meanwhile.
        let _snapshot = self.db.unchecked_transaction().map_err(|e| self.error(e))?;
        let hosts = self.hosts()?;
        let labels: Vec<HostLabel> = hosts.iter().map(|host| host.label.clone()).collect();
        let specs = self.specs()?;
        let dependencies = self.dependencies(&specs)?;
        let (mut shown, others) = self.attempts(&labels)?;
        let jobs = self.all("SELECT * FROM progress ORDER BY idx", |row| {
            let index: u32 = row.get("idx")?;
            let spec = specs.get(index as usize).cloned().unwrap_or_default();
            job(row, index, spec, shown.remove(&index))
        })?;
        let ended = self.row()?.ended.map(|word| word.parse()).transpose();
        let ended = ended.map_err(|e| self.invalid(&e))?;
        let seq = self.last_seq()?;
        let revision = self.revision()?;
        let has_open = jobs.iter().any(|job| !job.has_ended());
        let over_at = if has_open { None } else { self.over_at()? };
        let parts = RunParts { hosts, jobs, others, dependencies, ended, over_at, revision, seq };
        let run = Run::from_parts(parts).with_task_attempts(self.latest_tasks(&labels)?);
        let settings = RunSettings::from_json(&self.row()?.settings);
        let settings = settings.map_err(|e| self.invalid(&e))?;
        let is_bound = specs.iter().any(|spec| spec.is_bound());
        if !is_bound && !settings.network.has_tasks() {
            return Ok(run);
        }
        let hosts = settings.network.plan_hosts().map_err(|e| self.invalid(&e))?;
        let run = run.with_labels(hosts.iter().map(|host| host.labels()));
        Ok(run.with_tasks(hosts.iter().map(|host| settings.host_tasks.specs(host))))
    }

    /// What the jobs, which are these, wait for and need of others.
    pub(crate) fn dependencies(&self, specs: &[Arc<JobSpec>]) -> Result<Dependencies, StoreError> {
        let past = self.past_inputs()?.producers();
        Dependencies::resolve_with(specs, past).map_err(|e| self.invalid(&e))
    }

    /// The latest execution of each task of each host.
    fn latest_tasks(&self, hosts: &[HostLabel]) -> Result<Vec<TaskAttempt>, StoreError> {
        let sql = "SELECT *, max(attempt) FROM host_tasks GROUP BY host, task";
        self.all(sql, |row| {
            Ok(TaskAttempt {
                task: parsed(row, "task")?,
                attempt: attempt(row, hosts)?,
                boot_id: row.get("boot_id")?,
                setups: row.get("setups")?,
                jobs: row.get("jobs")?,
            })
        })
    }

    fn revision(&self) -> Result<u32, StoreError> {
        let sql = "SELECT revision FROM run";
        self.db.query_row(sql, [], |row| row.get(0)).map_err(|e| self.error(e))
    }

    /// The number of the last event.
    ///
    /// # Errors
    /// When the database fails.
    pub fn last_seq(&self) -> Result<u64, StoreError> {
        let sql = "SELECT coalesce(max(seq), 0) FROM events";
        let seq: i64 = self.db.query_row(sql, [], |row| row.get(0)).map_err(|e| self.error(e))?;
        Ok(seq as u64)
    }

    /// The hosts, in their order.
    ///
    /// # Errors
    /// When the database fails or its content is invalid.
    pub fn hosts(&self) -> Result<Vec<Host>, StoreError> {
        self.all("SELECT * FROM hosts ORDER BY ix", host)
    }

    /// How far each host's run log is applied, bytes, in the hosts' order.
    ///
    /// # Errors
    /// When the database fails or its content is invalid.
    pub fn offsets(&self) -> Result<Vec<u64>, StoreError> {
        self.all("SELECT offset FROM hosts ORDER BY ix", |row| Ok(row.get::<_, i64>(0)? as u64))
    }

    /// The jobs' states, in their order, each with the revision of the inputs that its
    /// attempt has.
    ///
    /// # Errors
    /// When the database fails or its content is invalid.
    pub fn job_states(&self) -> Result<Vec<(State, u32)>, StoreError> {
        let sql = "SELECT p.state, coalesce(a.revision, 0) AS revision
            FROM progress p LEFT JOIN attempts a USING (idx, attempt) ORDER BY idx";
        self.all(sql, |row| Ok((parsed(row, "state")?, row.get("revision")?)))
    }

    /// Jobs by state: as they are, and as people are shown them. Costs less than
    /// loading the run.
    ///
    /// # Errors
    /// When the database fails or its content is invalid.
    pub fn tally(&self, managed: bool) -> Result<(Tally, Tally), StoreError> {
        let sql = "SELECT p.state, h.status, count(*) AS jobs
            FROM progress p LEFT JOIN attempts USING (idx, attempt) LEFT JOIN hosts h ON h.ix = host
            GROUP BY 1, 2";
        let groups = self.all(sql, |row| {
            let state: State = parsed(row, "state")?;
            let status = row.get::<_, Option<String>>("status")?;
            let status = status.map(|word| word.parse().map_err(|e| invalid(&e))).transpose()?;
            Ok((state, status, row.get::<_, u32>("jobs")?))
        })?;
        let (mut tally, mut shown) = (Tally::default(), Tally::default());
        for (state, status, jobs) in groups {
            tally.add(state, jobs);
            shown.add(shown_state(state, status, managed), jobs);
        }
        Ok((tally, shown))
    }

    /// The directories that attempts have, and on which hosts.
    ///
    /// # Errors
    /// When the database fails or its content is invalid.
    pub fn job_dirs(&self) -> Result<Vec<(HostIx, Key, JobId)>, StoreError> {
        let sql = "SELECT idx, attempt, host, id FROM attempts WHERE id IS NOT NULL
            UNION ALL SELECT idx, attempt, host, id FROM host_tasks WHERE id IS NOT NULL";
        self.all(sql, |row| {
            let key = Key::new(row.get("idx")?, row.get("attempt")?);
            Ok((HostIx(row.get("host")?), key, parsed(row, "id")?))
        })
    }

    /// The jobs' specifications, in their order.
    ///
    /// # Errors
    /// When the database fails or its content is invalid.
    pub fn specs(&self) -> Result<Vec<Arc<JobSpec>>, StoreError> {
        self.all("SELECT spec FROM specs ORDER BY idx", |row| {
            let json: String = row.get(0)?;
            serde_json::from_str(&json).map(Arc::new).map_err(|e| invalid(&e))
        })
    }

    /// The attempts that jobs show, by job, and others that may be alive.
    fn attempts(
        &self,
        hosts: &[HostLabel],
    ) -> Result<(HashMap<u32, Attempt>, Vec<Attempt>), StoreError> {
        let sql = "SELECT a.*, a.attempt = p.attempt AS shown
            FROM attempts a JOIN progress p USING (idx)
            WHERE shown OR outcome IS NULL OR outcome = 'abandoned'";
        let rows = self.all(sql, |row| Ok((row.get("shown")?, job_attempt(row, hosts)?)))?;
        let (shown, others): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(shown, _)| *shown);
        let shown = shown.into_iter().map(|(_, attempt)| (attempt.key.index, attempt)).collect();
        Ok((shown, others.into_iter().map(|(_, attempt)| attempt).collect()))
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

fn host(row: &Row<'_>) -> Result<Host, rusqlite::Error> {
    let mut host = Host::new(parsed(row, "label")?);
    host.status = parsed(row, "status")?;
    host.reason = row.get("reason")?;
    host.waits_for = row.get("waits_for")?;
    host.history = parsed(row, "history")?;
    host.duty = parsed(row, "duty")?;
    let text = |column| row.get::<_, Option<String>>(column).map(Option::unwrap_or_default);
    if let Some(hostname) = row.get("hostname")? {
        let offer = Offer {
            cpus: row.get("cpus")?,
            mem: row.get::<_, i64>("mem")? as u64,
            gpus: row.get("gpus")?,
        };
        let (version, platform) = (text("version")?, text("platform")?);
        let (results_dir, boot_id) = (text("results_dir")?, text("boot_id")?);
        host.facts = Some(HostFacts { hostname, version, platform, results_dir, boot_id, offer });
    }
    if let Some(offset_ms) = row.get("clock_offset_ms")? {
        let error_ms = row.get::<_, Option<i64>>("clock_error_ms")?.unwrap_or(0) as u64;
        host.clock = Some(ClockOffset { offset_ms, error_ms });
    }
    host.totals = HostTotals {
        logins: row.get("logins")?,
        started: row.get("started")?,
        succeeded: row.get("succeeded")?,
        failed: row.get("failed")?,
        host_failures: row.get("host_failures")?,
        bytes_sent: row.get::<_, i64>("bytes_sent")? as u64,
        bytes_fetched: row.get::<_, i64>("bytes_fetched")? as u64,
    };
    Ok(host)
}

fn job(
    row: &Row<'_>,
    index: u32,
    spec: Arc<JobSpec>,
    shown: Option<Attempt>,
) -> Result<Job, rusqlite::Error> {
    let state: State = parsed(row, "state")?;
    let mut job = Job::new(spec);
    job.index = index;
    job.phase = match row.get::<_, String>("phase")?.as_str() {
        // An attempt that is waited for has a row; without it, the job waits.
        "assigned" | "running" | "collecting" if shown.is_none() => Phase::Waiting,
        "assigned" => Phase::Assigned,
        "running" => Phase::Running,
        "collecting" => Phase::Collecting,
        "ended" => Phase::Ended(state),
        _ => Phase::Waiting,
    };
    job.attempt = shown.map(Box::new);
    job.last_attempt = row.get("last_attempt")?;
    job.failures = row.get("failures")?;
    if let Some(mem) = row.get::<_, Option<i64>>("raised_mem")? {
        job.raise_memory(mem as u64);
    }
    job.paused = row.get("paused")?;
    job.resumed = row.get("resumed")?;
    job.kill = row.get("kill")?;
    job.reason = row.get("reason")?;
    job.ended = row.get::<_, Option<i64>>("ended")?.map(timestamp);
    Ok(job)
}

fn attempt(row: &Row<'_>, hosts: &[HostLabel]) -> Result<Attempt, rusqlite::Error> {
    let key = Key::new(row.get("idx")?, row.get("attempt")?);
    let host: u32 = row.get("host")?;
    let host = hosts.get(host as usize).ok_or_else(|| nonsense("an attempt on an unknown host"))?;
    let mut attempt = Attempt::new(key, host.clone(), timestamp(row.get("assigned")?));
    attempt.revision = row.get("revision")?;
    let id: Option<String> = row.get("id")?;
    attempt.id = id.map(|id| id.parse().map_err(|e| invalid(&e))).transpose()?;
    attempt.started = row.get::<_, Option<i64>>("started")?.map(timestamp);
    attempt.ended = row.get::<_, Option<i64>>("ended")?.map(timestamp);
    let outcome: Option<String> = row.get("outcome")?;
    attempt.outcome = outcome.map(|word| word.parse().map_err(|e| invalid(&e))).transpose()?;
    attempt.reason = row.get("reason")?;
    attempt.finish = finish(row, &attempt)?.map(Box::new);
    Ok(attempt)
}

/// An attempt of a job, which may be bound to processors.
pub(super) fn job_attempt(row: &Row<'_>, hosts: &[HostLabel]) -> Result<Attempt, rusqlite::Error> {
    let mut attempt = attempt(row, hosts)?;
    attempt.processors = numbers(row, "processors")?.into();
    Ok(attempt)
}

/// Numbers that are stored as JSON, if there are any.
fn numbers(row: &Row<'_>, column: &str) -> Result<Vec<u32>, rusqlite::Error> {
    let json: Option<String> = row.get(column)?;
    let numbers = json.map(|json| serde_json::from_str(&json).map_err(|e| invalid(&e)));
    Ok(numbers.transpose()?.unwrap_or_default())
}

/// The exit record, for an attempt that has one.
fn finish(row: &Row<'_>, attempt: &Attempt) -> Result<Option<Finish>, rusqlite::Error> {
    let ending = match (row.get("exit")?, row.get("signal")?) {
        (Some(code), _) => Ending::Exit(code),
        (None, Some(number)) => Ending::Signal(number),
        (None, None) => return Ok(None),
    };
    let (Some(id), Some(started), Some(ended)) =
        (attempt.id.clone(), attempt.started, attempt.ended)
    else {
        return Err(nonsense("an exit without a job directory or a time"));
    };
    let cause: Option<String> = row.get("cause")?;
    let cause: Option<Cause> =
        cause.map(|word| word.parse().map_err(|e| invalid(&e))).transpose()?;
    let number = |column| row.get::<_, Option<i64>>(column).map(|value| value.unwrap_or(0) as u64);
    Ok(Some(Finish {
        key: Some(attempt.key),
        id,
        ending,
        cause,
        started,
        ended,
        user_us: number("user_us")?,
        system_us: number("system_us")?,
        max_rss_kib: number("max_rss_kib")?,
        read_bytes: number("read_bytes")?,
        written_bytes: number("written_bytes")?,
        stdout_bytes: number("stdout_bytes")?,
        stderr_bytes: number("stderr_bytes")?,
        survivors: numbers(row, "survivors")?,
    }))
}

pub(super) fn timestamp(millis: i64) -> Timestamp {
    Timestamp(millis.max(0) as u64)
}

pub(super) fn parsed<T: FromStr<Err: std::error::Error>>(
    row: &Row<'_>,
    column: &str,
) -> Result<T, rusqlite::Error> {
    row.get::<_, String>(column)?.parse().map_err(|e| invalid(&e))
}

pub(super) fn invalid(error: &dyn std::error::Error) -> rusqlite::Error {
    nonsense(&error.to_string())
}

fn nonsense(what: &str) -> rusqlite::Error {
    let text = rusqlite::types::Type::Text;
    rusqlite::Error::FromSqlConversionFailure(0, text, what.into())
}
