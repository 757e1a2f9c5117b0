//! `gjob status`: how a run stands, from its store alone.

use std::fmt;
use std::io::Write;

use gjob::store::{HostRow, JobRow, RunDir, Store, StoreError};
use gjob_core::State;
use gjob_core::text::printable;
use serde::Serialize;

use super::find_run;
use crate::cli::StatusArgs;
use crate::exit::{ALL_DONE, Failure};

/// Jobs by state.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Counts {
    free: u32,
    busy: u32,
    done: u32,
    unknown: u32,
    error: u32,
}

impl Counts {
    pub(super) fn of(store: &Store) -> Result<Counts, StoreError> {
        let mut counts = Counts::default();
        for (state, count) in store.counts()? {
            match state {
                State::Free => counts.free = count,
                State::Busy => counts.busy = count,
                State::Done => counts.done = count,
                State::Unknown => counts.unknown = count,
                State::Error => counts.error = count,
            }
        }
        Ok(counts)
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { free, busy, done, unknown, error } = self;
        write!(f, "{free} free, {busy} busy, {done} done, {unknown} unknown, {error} error")
    }
}

/// A run's state in the words for jobs: `busy` while a manager has it; then
/// `done` if every job is, `error` if every job has its outcome; `unknown`
/// while jobs may run without a manager, `free` while jobs only wait.
pub(super) fn run_state(counts: Counts, managed: bool) -> State {
    let Counts { free, busy, unknown, error, .. } = counts;
    match (managed, free, busy, unknown + error) {
        (true, ..) => State::Busy,
        (false, 0, 0, 0) => State::Done,
        (false, 0, 0, _) => State::Error,
        (false, _, 0, _) => State::Free,
        (false, ..) => State::Unknown,
    }
}

#[derive(Serialize)]
struct Status {
    run: String,
    state: State,
    created: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<String>,
    counts: Counts,
    hosts: Vec<HostStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jobs: Option<Vec<JobStatus>>,
}

#[derive(Serialize)]
struct HostStatus {
    host: String,
    state: State,
    reason: Option<String>,
    hostname: Option<String>,
    slots: Option<u32>,
}

#[derive(Serialize)]
struct JobStatus {
    index: u32,
    name: Option<String>,
    state: State,
    /// A user holds it.
    paused: bool,
    host: Option<String>,
    id: Option<String>,
    attempt: u32,
    exit: Option<u8>,
    signal: Option<u8>,
    reason: Option<String>,
    started: Option<String>,
    ended: Option<String>,
}

pub(crate) fn run(args: &StatusArgs) -> Result<u8, Failure> {
    let dir = find_run(args.run.as_deref())?;
    let status = collect(&dir, args.jobs).map_err(Failure::machinery)?;
    let printed = if args.json { print_json(&status) } else { print(&status) };
    printed.map_err(Failure::machinery)?;
    Ok(ALL_DONE)
}

fn collect(dir: &RunDir, with_jobs: bool) -> Result<Status, StoreError> {
    let store = Store::read(dir)?;
    let hosts = store.hosts()?;
    let managed = dir.is_managed()?;
    let mut counts = Counts::of(&store)?;
    let mut jobs = None;
    if with_jobs {
        let rows = store.jobs()?;
        jobs = Some(rows.into_iter().map(|row| job_status(row, &hosts, managed)).collect());
    }
    let state = run_state(counts, managed);
    if !managed {
        // What runs without a manager can't be asked about now.
        counts.unknown += std::mem::take(&mut counts.busy);
    }
    let row = store.run()?;
    Ok(Status {
        run: row.id.to_string(),
        state,
        created: row.created.to_string(),
        ended: row.ended,
        counts,
        hosts: hosts.into_iter().map(host_status).collect(),
        jobs,
    })
}

fn host_status(row: HostRow) -> HostStatus {
    HostStatus {
        host: row.label.to_string(),
        state: row.state,
        reason: row.reason,
        hostname: row.hostname,
        slots: row.slots,
    }
}

fn job_status(row: JobRow, hosts: &[HostRow], managed: bool) -> JobStatus {
    let host = row.host.and_then(|at| hosts.get(at as usize));
    let away = !managed || host.is_some_and(|host| host.state == State::Unknown);
    let state = if row.state == State::Busy && away { State::Unknown } else { row.state };
    JobStatus {
        index: row.index,
        state,
        paused: is_held(&row),
        name: row.name,
        host: host.map(|host| host.label.to_string()),
        id: row.id.map(|id| id.to_string()),
        attempt: row.attempt,
        exit: row.exit,
        signal: row.signal,
        reason: row.reason,
        started: row.started.map(|at| at.to_string()),
        ended: row.ended.map(|at| at.to_string()),
    }
}

/// True when a user holds the job; one that has its outcome is not held any more.
pub(super) fn is_held(row: &JobRow) -> bool {
    row.paused && matches!(row.state, State::Free | State::Busy)
}

fn print_json(status: &Status) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, status)?;
    writeln!(out)
}

fn print(status: &Status) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let ended = status.ended.as_ref().map(|why| format!(", {why}")).unwrap_or_default();
    line(&mut out, &format!("run {}: {}{ended}", status.run, status.state))?;
    line(&mut out, &format!("jobs: {}", status.counts))?;
    for host in &status.hosts {
        let slots = host.slots.map(|slots| format!(", {slots} slots")).unwrap_or_default();
        let reason = host.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        line(&mut out, &format!("host {}: {}{slots}{reason}", host.host, host.state))?;
    }
    for job in status.jobs.iter().flatten() {
        let word = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
        let reason = job.reason.as_ref().map(|why| format!("  {why}")).unwrap_or_default();
        let reason = if job.paused { format!("  paused{reason}") } else { reason };
        let (name, host, id) = (word(&job.name), word(&job.host), word(&job.id));
        line(
            &mut out,
            &format!("{:>6}  {:<7}  {host}  {id}  {name}{reason}", job.index, job.state),
        )?;
    }
    Ok(())
}

/// Names and reasons were cleaned on their way into the store; this is where
/// they meet the terminal.
fn line(out: &mut impl Write, text: &str) -> std::io::Result<()> {
    writeln!(out, "{}", printable(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runs_state_is_told_in_the_words_for_jobs() {
        let counts = |free, busy, done, unknown, error| Counts { free, busy, done, unknown, error };
        assert_eq!(run_state(counts(1, 1, 0, 0, 0), true), State::Busy);
        assert_eq!(run_state(counts(0, 0, 9, 0, 0), false), State::Done);
        assert_eq!(run_state(counts(0, 0, 9, 0, 1), false), State::Error);
        assert_eq!(run_state(counts(0, 0, 9, 1, 0), false), State::Error);
        assert_eq!(run_state(counts(3, 0, 9, 0, 0), false), State::Free);
        assert_eq!(run_state(counts(3, 1, 9, 0, 0), false), State::Unknown);
    }
}
