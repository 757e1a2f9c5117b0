//! A run's rows into the database, as they are. What an event changes is decided
//! by [`Run::apply`] alone; this writes the rows that it touched.

use std::collections::BTreeSet;

use gjob_core::event::{HostChange, HostEvent};
use gjob_core::outcome::{Ending, Finish};
use gjob_core::run::{Attempt, Host, HostIx, TaskAttempt, Touched};
use gjob_core::{Event, Job, Key, Run, What};
use rusqlite::{ToSql, Transaction, params, params_from_iter};

use super::{JobOutputs, LogOffset};
use crate::outputs::OutputFile;

/// What has happened since the last commit, and the rows that it changed.
#[derive(Debug, Default)]
pub struct Changes {
    /// What happened.
    pub events: Vec<Event>,
    /// How far hosts' run logs are applied with that.
    pub offsets: Vec<LogOffset>,
    /// Outputs that are local with that.
    pub outputs: Vec<JobOutputs>,
    jobs: BTreeSet<u32>,
    hosts: BTreeSet<HostIx>,
    /// Hosts to whose tasks something has happened.
    tasks: BTreeSet<HostIx>,
    attempts: BTreeSet<Key>,
    /// Attempts that the run no longer keeps.
    dropped: Vec<Attempt>,
    all_hosts: bool,
    run: bool,
    /// Other settings of the run, as JSON.
    pub settings: Option<String>,
}

impl Changes {
    /// Adds an event, and the rows that it touched.
    pub fn add(&mut self, event: Event, touched: Touched) {
        let Touched { job, host, attempt, dropped, run, all_hosts } = touched;
        self.jobs.extend(job);
        self.tasks.extend(host.filter(|_| is_about_task(&event.what)));
        self.hosts.extend(host);
        self.attempts.extend(attempt);
        self.dropped.extend(dropped);
        self.run |= run;
        self.all_hosts |= all_hosts;
        self.events.push(event);
    }

    /// True when something of it must be recorded before anybody is notified or
    /// anything is done.
    #[must_use]
    pub fn must_be_durable(&self) -> bool {
        self.events.iter().any(|event| event.what.is_durable())
            || !self.offsets.is_empty()
            || !self.outputs.is_empty()
            || self.settings.is_some()
    }

    /// Forgets the rows that are committed; handlers are yet to be notified of the
    /// events.
    pub fn forget_rows(&mut self) {
        let (events, offsets) =
            (std::mem::take(&mut self.events), std::mem::take(&mut self.offsets));
        *self = Changes { events, offsets, ..Changes::default() };
    }
}

fn is_about_task(what: &What) -> bool {
    let What::Host(HostEvent { change, .. }) = what else { return false };
    matches!(
        change,
        HostChange::TaskAssigned { .. }
            | HostChange::TaskStarted { .. }
            | HostChange::TaskEnded { .. }
    )
}

/// Writes the rows that have changed.
pub(super) fn save(
    tx: &Transaction<'_>,
    run: &Run,
    changes: &Changes,
) -> Result<(), rusqlite::Error> {
    for event in changes.events.iter().filter(|event| event.what.is_durable()) {
        save_event(tx, event)?;
    }
    if changes.run {
        tx.execute("UPDATE run SET revision = ?1", [run.revision()])?;
    }
    if let Some(json) = &changes.settings {
        tx.execute("UPDATE run SET settings = ?1", [json])?;
    }
    for ix in &changes.hosts {
        if let Some(host) = run.host(*ix).filter(|_| !changes.all_hosts) {
            save_host(tx, *ix, host)?;
        }
    }
    if changes.all_hosts {
        for (ix, host) in (0..).map(HostIx).zip(run.hosts()) {
            save_host(tx, ix, host)?;
        }
    }
    for (ix, host) in changes.tasks.iter().filter_map(|ix| Some((ix, run.host(*ix)?))) {
        host.tasks().all().try_for_each(|attempt| save_task(tx, *ix, attempt))?;
    }
    let kept = changes.attempts.iter().filter_map(|key| run.attempt(*key));
    for attempt in kept.chain(&changes.dropped) {
        save_attempt(tx, run, attempt)?;
    }
    for job in changes.jobs.iter().filter_map(|index| run.job(*index)) {
        save_job(tx, job)?;
    }
    for JobOutputs { key, files } in &changes.outputs {
        files.iter().try_for_each(|file| save_output(tx, *key, file))?;
    }
    for LogOffset { host, offset } in &changes.offsets {
        tx.prepare_cached("UPDATE hosts SET offset = ?2 WHERE ix = ?1")?
            .execute(params![host, *offset as i64])?;
    }
    Ok(())
}

fn save_event(tx: &Transaction<'_>, event: &Event) -> Result<(), rusqlite::Error> {
    let json = serde_json::to_string(&event.what)
        .map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))?;
    tx.prepare_cached("INSERT INTO events (seq, at, event) VALUES (?1, ?2, ?3)")?
        .execute(params![event.seq as i64, event.at.0 as i64, json])
        .map(drop)
}

fn save_host(tx: &Transaction<'_>, ix: HostIx, host: &Host) -> Result<(), rusqlite::Error> {
    let Host { label, status, reason, waits_for, duty, facts, clock, totals, history, .. } = host;
    let facts = facts.as_ref();
    tx.prepare_cached(
        "INSERT INTO hosts (ix, status, reason, hostname, version, platform, results_dir, cpus,
             mem, gpus, clock_offset_ms, clock_error_ms, logins, started, succeeded, failed,
             host_failures, bytes_sent, bytes_fetched, duty, label, history, boot_id, waits_for)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
             ?19, ?20, ?21, ?22, ?23, ?24)
         ON CONFLICT (ix) DO UPDATE SET status = ?2, reason = ?3, hostname = ?4, version = ?5,
             platform = ?6, results_dir = ?7, cpus = ?8, mem = ?9, gpus = ?10,
             clock_offset_ms = ?11, clock_error_ms = ?12, logins = ?13, started = ?14,
             succeeded = ?15, failed = ?16, host_failures = ?17, bytes_sent = ?18,
             bytes_fetched = ?19, duty = ?20, history = ?22, boot_id = ?23, waits_for = ?24",
    )?
    .execute(params![
        ix.0,
        status.as_str(),
        reason,
        facts.map(|facts| &facts.hostname),
        facts.map(|facts| &facts.version),
        facts.map(|facts| &facts.platform),
        facts.map(|facts| &facts.results_dir),
        facts.map(|facts| facts.offer.cpus),
        facts.map(|facts| i64::try_from(facts.offer.mem).unwrap_or(i64::MAX)),
        facts.map(|facts| facts.offer.gpus),
        clock.map(|clock| clock.offset_ms),
        clock.map(|clock| clock.error_ms as i64),
        totals.logins,
        totals.started,
        totals.succeeded,
        totals.failed,
        totals.host_failures,
        totals.bytes_sent as i64,
        totals.bytes_fetched as i64,
        duty.as_str(),
        label.as_str(),
        history.as_str(),
        facts.map(|facts| &facts.boot_id),
        waits_for,
    ])
    .map(drop)
}

fn save_job(tx: &Transaction<'_>, job: &Job) -> Result<(), rusqlite::Error> {
    tx.prepare_cached(
        "UPDATE progress SET state = ?2, phase = ?3, attempt = ?4, last_attempt = ?5,
             failures = ?6, paused = ?7, resumed = ?8, kill = ?9, reason = ?10, ended = ?11,
             raised_mem = ?12
         WHERE idx = ?1",
    )?
    .execute(params![
        job.index,
        job.state().as_str(),
        job.phase.as_str(),
        job.key().map_or(0, |key| key.attempt),
        job.last_attempt,
        job.failures,
        job.paused,
        job.resumed,
        job.kill,
        job.reason,
        job.ended.map(|at| at.0 as i64),
        job.raised_mem.map(|mem| mem as i64),
    ])
    .map(drop)
}

fn save_task(tx: &Transaction<'_>, host: HostIx, it: &TaskAttempt) -> Result<(), rusqlite::Error> {
    let sql = "INSERT OR REPLACE INTO host_tasks (idx, attempt, host, outcome, assigned, revision, id,
             started, ended, exit, signal, cause, reason, user_us, system_us, max_rss_kib,
             read_bytes, written_bytes, stdout_bytes, stderr_bytes, survivors, task, boot_id, setups,
             jobs)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
             ?19, ?20, ?21, ?22, ?23, ?24, ?25)";
    let own = params![it.task.as_str(), it.boot_id, it.setups, it.jobs];
    insert_attempt(tx, sql, Some(host.0), &it.attempt, own)
}

fn save_attempt(tx: &Transaction<'_>, run: &Run, attempt: &Attempt) -> Result<(), rusqlite::Error> {
    let sql =
        "INSERT OR REPLACE INTO attempts (idx, attempt, host, outcome, assigned, revision, id,
             started, ended, exit, signal, cause, reason, user_us, system_us, max_rss_kib,
             read_bytes, written_bytes, stdout_bytes, stderr_bytes, survivors, processors)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
             ?19, ?20, ?21, ?22)";
    let host = run.position(&attempt.host).map(|ix| ix.0);
    insert_attempt(tx, sql, host, attempt, params![numbers(Some(&attempt.processors))?])
}

/// Inserts an attempt of a job or of a host's task: both begin with the same columns;
/// `more` are the values of those behind them.
fn insert_attempt(
    tx: &Transaction<'_>,
    sql: &str,
    host: Option<u32>,
    attempt: &Attempt,
    more: &[&dyn ToSql],
) -> Result<(), rusqlite::Error> {
    let finish = attempt.finish.as_deref();
    let (exit, signal) = ending(finish);
    let columns = params![
        attempt.key.index,
        attempt.key.attempt,
        host,
        attempt.outcome.map(gjob_core::run::Outcome::as_str),
        attempt.assigned.0 as i64,
        attempt.revision,
        attempt.id.as_ref().map(gjob_core::JobId::as_str),
        attempt.started.map(|at| at.0 as i64),
        attempt.ended.map(|at| at.0 as i64),
        exit,
        signal,
        finish.and_then(|finish| finish.cause).map(gjob_core::Cause::as_str),
        attempt.reason,
        finish.map(|finish| finish.user_us as i64),
        finish.map(|finish| finish.system_us as i64),
        finish.map(|finish| finish.max_rss_kib as i64),
        finish.map(|finish| finish.read_bytes as i64),
        finish.map(|finish| finish.written_bytes as i64),
        finish.map(|finish| finish.stdout_bytes as i64),
        finish.map(|finish| finish.stderr_bytes as i64),
        numbers(finish.map(|finish| &*finish.survivors))?,
    ];
    tx.prepare_cached(sql)?.execute(params_from_iter(columns.iter().chain(more))).map(drop)
}

/// The exit status or the signal of an exit record.
fn ending(finish: Option<&Finish>) -> (Option<u8>, Option<u8>) {
    match finish.map(|finish| finish.ending) {
        None => (None, None),
        Some(Ending::Exit(code)) => (Some(code), None),
        Some(Ending::Signal(number)) => (None, Some(number)),
    }
}

/// Numbers as JSON, if there are any.
fn numbers(numbers: Option<&[u32]>) -> Result<Option<String>, rusqlite::Error> {
    let numbers = numbers.filter(|numbers| !numbers.is_empty());
    let json = numbers.map(serde_json::to_string).transpose();
    json.map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))
}

fn save_output(tx: &Transaction<'_>, key: Key, file: &OutputFile) -> Result<(), rusqlite::Error> {
    tx.prepare_cached(
        "INSERT OR REPLACE INTO outputs (idx, path, attempt, size, mode, hash)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        key.index,
        file.path,
        key.attempt,
        file.size as i64,
        file.mode,
        file.hash.to_string(),
    ])
    .map(drop)
}
