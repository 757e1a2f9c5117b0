//! Events into tables: the jobs' and attempts' rows are a fold over the events.

use gjob_core::event::EventKind;
use gjob_core::outcome::name_survivors;
use gjob_core::record::Scope;
use gjob_core::{Ending, Event, HostLabel, JobId, Key, State, Timestamp};
use rusqlite::{Connection, Transaction, params};

use super::{JobOutputs, LogOffset};
use crate::outputs::OutputFile;

pub(super) fn commit(
    db: &mut Connection,
    events: &[Event],
    offsets: &[LogOffset],
    outputs: &[JobOutputs],
) -> Result<(), rusqlite::Error> {
    let tx = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    for event in events {
        log(&tx, event)?;
        apply(&tx, event)?;
    }
    for JobOutputs { key, files } in outputs {
        files.iter().try_for_each(|file| output(&tx, *key, file))?;
    }
    for LogOffset { host, offset } in offsets {
        tx.prepare_cached("UPDATE hosts SET offset = ?2 WHERE ix = ?1")?
            .execute(params![host, *offset as i64])?;
    }
    tx.commit()
}

fn output(tx: &Transaction<'_>, key: Key, file: &OutputFile) -> Result<(), rusqlite::Error> {
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

fn log(tx: &Transaction<'_>, event: &Event) -> Result<(), rusqlite::Error> {
    let json = serde_json::to_string(&event.kind)
        .map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))?;
    tx.prepare_cached("INSERT INTO events (at, event) VALUES (?1, ?2)")?
        .execute(params![event.at.0 as i64, json])
        .map(drop)
}

fn apply(tx: &Transaction<'_>, event: &Event) -> Result<(), rusqlite::Error> {
    let at = event.at.0 as i64;
    match &event.kind {
        EventKind::RunBegan { .. } | EventKind::RunEnded { .. } | EventKind::Transfer { .. } => {
            Ok(())
        }
        EventKind::HostUp { host, hostname, slots } => tx
            .prepare_cached(
                "UPDATE hosts SET state = 'free', reason = NULL, hostname = ?2, slots = ?3
                 WHERE label = ?1",
            )?
            .execute(params![host.as_str(), hostname, slots])
            .map(drop),
        EventKind::HostUnknown { host, reason } => host_state(tx, host, State::Unknown, reason),
        EventKind::HostError { host, reason } => host_state(tx, host, State::Error, reason),
        EventKind::HostPaused { host, reason, .. } => host_state(tx, host, State::Busy, reason),
        EventKind::HostProbed { host } => tx
            .prepare_cached("UPDATE hosts SET state = 'free', reason = NULL WHERE label = ?1")?
            .execute([host.as_str()])
            .map(drop),
        EventKind::JobAssigned { key, host } => assigned(tx, *key, host, at),
        EventKind::JobStarted { key, id, started, .. } => begun(tx, *key, id, *started),
        EventKind::JobFinished { finish, .. } => finished(tx, finish),
        EventKind::JobRefused { key, reason, .. } => closed(tx, *key, "refused", Some(reason), at),
        EventKind::JobWithdrawn { key, .. } => closed(tx, *key, "withdrawn", None, at),
        EventKind::JobLost { key, id, reason, survivors, .. } => {
            let values = params![key.index, key.attempt, id.as_ref().map(JobId::as_str)];
            tx.prepare_cached(
                "UPDATE attempts SET id = coalesce(id, ?3) WHERE idx = ?1 AND attempt = ?2",
            )?
            .execute(values)?;
            tx.prepare_cached(
                "UPDATE jobs SET id = coalesce(id, ?3)
                 WHERE idx = ?1 AND attempt = ?2 AND state = 'busy'",
            )?
            .execute(values)?;
            let known = name_survivors(Some(reason.clone()), survivors);
            closed(tx, *key, "lost", known.as_deref(), at)
        }
        EventKind::JobAbandoned { key, reason, .. } => {
            closed(tx, *key, "abandoned", Some(reason), at)
        }
        EventKind::JobSuperseded { key, .. } => tx
            .prepare_cached(
                "UPDATE attempts SET reason = 'superseded' WHERE idx = ?1 AND attempt = ?2",
            )?
            .execute(params![key.index, key.attempt])
            .map(drop),
        EventKind::JobCollecting { key, .. } => collecting(tx, *key),
        EventKind::JobCollected { .. } => Ok(()),
        EventKind::JobNotCollected { key, reason, scope, .. } => {
            not_collected(tx, *key, reason, *scope)
        }
        EventKind::JobKillAsked { key } => tx
            .prepare_cached("UPDATE jobs SET kill = 1 WHERE idx = ?1")?
            .execute([key.index])
            .map(drop),
        EventKind::JobPaused { key } => paused(tx, *key, true),
        EventKind::JobResumed { key } => paused(tx, *key, false),
        EventKind::JobReopened { key } => tx
            .prepare_cached(
                "UPDATE jobs SET state = 'free', failures = 0, paused = 0, kill = 0, reason = NULL
                 WHERE idx = ?1",
            )?
            .execute([key.index])
            .map(drop),
        EventKind::JobEnded { key, state, reason } => {
            ended(tx, *key, *state, reason.as_deref(), at)
        }
    }
}

/// The attempt that is collected is the one the job's row shows.
fn collecting(tx: &Transaction<'_>, key: Key) -> Result<(), rusqlite::Error> {
    tx.prepare_cached(
        "UPDATE jobs SET state = 'busy', collecting = 1, attempt = ?2,
             (host, id, exit, signal, started, ended) =
                 (SELECT host, id, exit, signal, started, ended FROM attempts
                  WHERE idx = ?1 AND attempt = ?2)
         WHERE idx = ?1",
    )?
    .execute(params![key.index, key.attempt])
    .map(drop)
}

fn not_collected(
    tx: &Transaction<'_>,
    key: Key,
    reason: &str,
    scope: Scope,
) -> Result<(), rusqlite::Error> {
    tx.prepare_cached("UPDATE attempts SET reason = ?3 WHERE idx = ?1 AND attempt = ?2")?
        .execute(params![key.index, key.attempt, reason])?;
    tx.prepare_cached(
        "UPDATE jobs SET state = 'free', collecting = 0, failures = failures + ?2 WHERE idx = ?1",
    )?
    .execute(params![key.index, scope == Scope::Job])
    .map(drop)
}

fn begun(
    tx: &Transaction<'_>,
    key: Key,
    id: &JobId,
    started: Timestamp,
) -> Result<(), rusqlite::Error> {
    let values = params![key.index, key.attempt, id.as_str(), started.0 as i64];
    tx.prepare_cached("UPDATE attempts SET id = ?3, started = ?4 WHERE idx = ?1 AND attempt = ?2")?
        .execute(values)?;
    tx.prepare_cached(
        "UPDATE jobs SET id = ?3, started = ?4
         WHERE idx = ?1 AND attempt = ?2 AND state = 'busy'",
    )?
    .execute(values)
    .map(drop)
}

fn paused(tx: &Transaction<'_>, key: Key, paused: bool) -> Result<(), rusqlite::Error> {
    tx.prepare_cached(
        "UPDATE jobs SET paused = ?2,
             resumed = NOT ?2 AND state = 'busy' AND started IS NOT NULL AND NOT collecting
         WHERE idx = ?1",
    )?
    .execute(params![key.index, paused])
    .map(drop)
}

/// The attempt that counts is the one the job's row shows.
fn ended(
    tx: &Transaction<'_>,
    key: Key,
    state: State,
    reason: Option<&str>,
    at: i64,
) -> Result<(), rusqlite::Error> {
    tx.prepare_cached(
        "UPDATE jobs SET state = ?3, reason = ?4, attempt = ?2, collecting = 0,
             (host, id, exit, signal, started, ended) =
                 (SELECT host, id, exit, signal, started, ended FROM attempts
                  WHERE idx = ?1 AND attempt = ?2)
         WHERE idx = ?1",
    )?
    .execute(params![key.index, key.attempt, state.as_str(), reason])?;
    tx.prepare_cached("UPDATE jobs SET ended = ?2 WHERE idx = ?1 AND ended IS NULL")?
        .execute(params![key.index, at])
        .map(drop)
}

fn host_state(
    tx: &Transaction<'_>,
    host: &HostLabel,
    state: State,
    reason: &str,
) -> Result<(), rusqlite::Error> {
    tx.prepare_cached("UPDATE hosts SET state = ?2, reason = ?3 WHERE label = ?1")?
        .execute(params![host.as_str(), state.as_str(), reason])
        .map(drop)
}

fn assigned(
    tx: &Transaction<'_>,
    key: Key,
    host: &HostLabel,
    at: i64,
) -> Result<(), rusqlite::Error> {
    tx.prepare_cached(
        "INSERT OR REPLACE INTO attempts (idx, attempt, host, assigned)
         SELECT ?1, ?2, ix, ?4 FROM hosts WHERE label = ?3",
    )?
    .execute(params![key.index, key.attempt, host.as_str(), at])?;
    tx.prepare_cached(
        "UPDATE jobs SET state = 'busy', collecting = 0, attempt = ?2, id = NULL, exit = NULL, signal = NULL,
             reason = NULL, started = NULL, ended = NULL, resumed = 0,
             host = (SELECT ix FROM hosts WHERE label = ?3)
         WHERE idx = ?1",
    )?
    .execute(params![key.index, key.attempt, host.as_str()])
    .map(drop)
}

fn finished(tx: &Transaction<'_>, finish: &gjob_core::Finish) -> Result<(), rusqlite::Error> {
    let Some(key) = finish.key else { return Ok(()) };
    let (outcome, exit, signal) = match finish.ending {
        Ending::Exit(code) => ("exit", Some(code), None),
        Ending::Signal(number) => ("signal", None, Some(number)),
    };
    tx.prepare_cached(
        "UPDATE attempts SET outcome = ?3, exit = ?4, signal = ?5, cause = ?6, id = ?7,
             started = ?8, ended = ?9, user_us = ?10, system_us = ?11, max_rss_kib = ?12,
             stdout_bytes = ?13, stderr_bytes = ?14, reason = ?15
         WHERE idx = ?1 AND attempt = ?2",
    )?
    .execute(params![
        key.index,
        key.attempt,
        outcome,
        exit,
        signal,
        finish.cause.map(gjob_core::Cause::as_str),
        finish.id.as_str(),
        finish.started.0 as i64,
        finish.ended.0 as i64,
        finish.user_us as i64,
        finish.system_us as i64,
        finish.max_rss_kib as i64,
        finish.stdout_bytes as i64,
        finish.stderr_bytes as i64,
        name_survivors(None, &finish.survivors),
    ])?;
    tx.prepare_cached(
        "UPDATE jobs SET failures = failures + ?2
         WHERE idx = ?1 AND state IN ('free', 'busy') AND NOT collecting",
    )?
    .execute(params![key.index, finish.is_own_failure()])?;
    tx.prepare_cached(
        "UPDATE jobs SET state = 'free', id = ?3, exit = ?4, signal = ?5, started = ?6, ended = ?7
         WHERE idx = ?1 AND attempt = ?2 AND state = 'busy'",
    )?
    .execute(params![
        key.index,
        key.attempt,
        finish.id.as_str(),
        exit,
        signal,
        finish.started.0 as i64,
        finish.ended.0 as i64,
    ])
    .map(drop)
}

/// An attempt that ended without an exit record.
fn closed(
    tx: &Transaction<'_>,
    key: Key,
    outcome: &str,
    reason: Option<&str>,
    at: i64,
) -> Result<(), rusqlite::Error> {
    tx.prepare_cached(
        "UPDATE attempts SET outcome = ?3, reason = ?4, ended = ?5
         WHERE idx = ?1 AND attempt = ?2",
    )?
    .execute(params![key.index, key.attempt, outcome, reason, at])?;
    tx.prepare_cached(
        "UPDATE jobs SET state = 'free' WHERE idx = ?1 AND attempt = ?2 AND state = 'busy'",
    )?
    .execute(params![key.index, key.attempt])
    .map(drop)
}
