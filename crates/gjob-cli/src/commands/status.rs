//! `gjob status`: the state of a run, from its store alone.

use std::io::Write;

use gjob::store::{RunDir, Store, StoreError};
use gjob_core::run::{Host, Tally};
use gjob_core::text::printable;
use gjob_core::{Job, Run, State};
use serde::Serialize;

use super::find_run;
use crate::cli::StatusArgs;
use crate::exit::{ALL_DONE, Failure};
use crate::report::Columns;

#[derive(Serialize)]
struct Status {
    run: String,
    state: State,
    created: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<String>,
    counts: Tally,
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
    version: Option<String>,
    platform: Option<String>,
    results_dir: Option<String>,
    /// Its clock less the manager's, milliseconds.
    clock_offset_ms: Option<i64>,
    logins: u32,
}

#[derive(Serialize)]
struct JobStatus {
    index: u32,
    name: Option<String>,
    command: String,
    state: State,
    /// A user holds it.
    paused: bool,
    /// Why it waits; none for one that does not.
    waits: Option<String>,
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
    let managed = dir.is_managed()?;
    let (row, run) = (store.row()?, store.load()?);
    let jobs = || run.jobs().iter().map(|job| job_status(&run, job, managed)).collect();
    Ok(Status {
        run: row.id.to_string(),
        state: run.state(managed),
        created: row.created.to_string(),
        ended: row.ended,
        counts: run.shown_tally(managed),
        hosts: run.hosts().iter().map(host_status).collect(),
        jobs: with_jobs.then(jobs),
    })
}

fn host_status(host: &Host) -> HostStatus {
    let facts = host.facts.as_ref();
    HostStatus {
        host: host.label.to_string(),
        state: host.state(),
        reason: host.reason.clone(),
        hostname: facts.map(|facts| facts.hostname.clone()),
        slots: facts.map(|facts| facts.offer.cpus),
        version: facts.map(|facts| facts.version.clone()),
        platform: facts.map(|facts| facts.platform.clone()),
        results_dir: facts.map(|facts| facts.results_dir.clone()),
        clock_offset_ms: host.clock.map(|clock| clock.offset_ms),
        logins: host.totals.logins,
    }
}

fn job_status(run: &Run, job: &Job, managed: bool) -> JobStatus {
    let attempt = job.attempt.as_deref();
    let ended = job.ended.or_else(|| attempt.and_then(|attempt| attempt.ended));
    JobStatus {
        index: job.index,
        name: job.name().map(str::to_owned),
        command: job.spec.cmds.join("\n"),
        state: run.shown_state(job.index, managed).unwrap_or(State::Unknown),
        paused: job.is_held(),
        waits: run.why_waiting(job.index, managed).map(|why| why.to_string()),
        host: job.host().map(ToString::to_string),
        id: job.id().map(ToString::to_string),
        attempt: job.key().map_or(0, |key| key.attempt),
        exit: attempt.and_then(gjob_core::run::Attempt::exit),
        signal: attempt.and_then(gjob_core::run::Attempt::signal),
        reason: job.reason.clone(),
        started: attempt.and_then(|attempt| attempt.started).map(|at| at.to_string()),
        ended: ended.map(|at| at.to_string()),
    }
}

fn print_json(status: &Status) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, status)?;
    writeln!(out)
}

fn print(status: &Status) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let ended = status.ended.as_ref().map(|why| format!(", {why}")).unwrap_or_default();
    writeln!(out, "run {}: {}{ended}", status.run, status.state)?;
    writeln!(out, "jobs: {}", status.counts)?;
    write!(out, "\n{}", hosts(&status.hosts))?;
    match &status.jobs {
        None => Ok(()),
        Some(listed) => write!(out, "\n{}", jobs(listed)),
    }
}

fn hosts(hosts: &[HostStatus]) -> Columns {
    let mut columns = Columns::new(["HOST", "STATE", "SLOTS", "REASON"]);
    for host in hosts {
        columns.row([
            Some(host.host.clone()),
            Some(host.state.to_string()),
            host.slots.map(|slots| slots.to_string()),
            host.reason.clone(),
        ]);
    }
    columns
}

fn jobs(jobs: &[JobStatus]) -> Columns {
    let mut columns = Columns::new(["JOB", "STATE", "HOST", "ID", "NAME", "REASON"]);
    for job in jobs {
        let why = job.reason.as_ref().or(job.waits.as_ref());
        let paused = (job.paused && job.waits.is_none()).then_some("paused");
        let why: Vec<&str> = paused.into_iter().chain(why.map(String::as_str)).collect();
        columns.row([
            Some(job.index.to_string()),
            Some(job.state.to_string()),
            job.host.clone(),
            job.id.clone(),
            job.name.as_deref().map(printable),
            (!why.is_empty()).then(|| why.join("; ")),
        ]);
    }
    columns
}
