//! `gjob status --json`: one object with everything that the store knows. Its
//! members are never taken away or renamed.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use gjob_core::dependency::{FromGroup, PastProducer};
use gjob_core::os_text::from_os;
use gjob_core::run::{Attempt, Host, Tally};
use gjob_core::{Job, State};
use serde::Serialize;

use super::Snapshot;
use super::filter::Filter;
use crate::cli::RunState;
use crate::report::{HostWork, host_work};

#[derive(Serialize)]
struct Status {
    run: String,
    state: State,
    /// In the words that people read: running, stopped, done or failed.
    status: RunState,
    /// True while a process manages it.
    managed: bool,
    created: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<String>,
    /// From when it was submitted until it was over, or it was stopped, or until now, seconds.
    elapsed_s: f64,
    /// For how long of that it had no manager, seconds.
    unmanaged_s: f64,
    /// How long it will still take, seconds; none when that cannot be told.
    left_s: Option<f64>,
    counts: Tally,
    outputs_dir: String,
    hosts: Vec<HostStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jobs: Option<Vec<JobStatus>>,
}

#[derive(Serialize)]
struct HostStatus {
    host: String,
    state: State,
    /// connecting, up, paused, unreachable or failed, as its last manager knew it.
    status: &'static str,
    /// draining, drained, removing or removed; none for one that gets jobs.
    leaving: Option<&'static str>,
    reason: Option<String>,
    /// What jobs that were sent to it wait for, since others use it.
    waits_for: Option<String>,
    hostname: Option<String>,
    slots: Option<u32>,
    /// Slots in use.
    busy: u32,
    /// Jobs that are done on it, those that are not done and were there last, and how
    /// long those that are done took, seconds.
    done: u32,
    failed: u32,
    median_s: Option<f64>,
    mean_s: Option<f64>,
    /// Attempts that failed by themselves, and those that the host refused or lost.
    failed_attempts: u32,
    host_failures: u32,
    version: Option<String>,
    platform: Option<String>,
    results_dir: Option<String>,
    /// Its clock less the manager's, milliseconds.
    clock_offset_ms: Option<i64>,
    logins: u32,
    bytes_sent: u64,
    bytes_fetched: u64,
}

#[derive(Serialize)]
struct JobStatus {
    index: u32,
    name: Option<String>,
    command: String,
    commands: Vec<String>,
    /// What it was made with, by name.
    params: BTreeMap<String, String>,
    state: State,
    /// A user holds it.
    paused: bool,
    /// Memory that it asks for, or gets by now, bytes; none if it has not said.
    memory_bytes: Option<u64>,
    /// Why it waits; none for one that does not.
    waits: Option<String>,
    /// Its files that are outputs of other jobs.
    inputs: Vec<InputStatus>,
    host: Option<String>,
    id: Option<String>,
    attempt: u32,
    /// The exit status that counts; none for a job that is not done for another reason.
    exit: Option<u8>,
    signal: Option<u8>,
    reason: Option<String>,
    started: Option<String>,
    ended: Option<String>,
    /// Where its outputs are, if it declares any.
    outputs_dir: Option<String>,
    attempts: Vec<AttemptStatus>,
}

#[derive(Serialize)]
struct InputStatus {
    /// The entry of its files.
    file: String,
    /// The jobs that write them.
    jobs: Vec<u32>,
    /// Those of past runs that do, and that the run left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    past_jobs: Vec<PastJobStatus>,
}

#[derive(Serialize)]
struct PastJobStatus {
    run: String,
    index: u32,
}

#[derive(Serialize)]
struct AttemptStatus {
    attempt: u32,
    host: String,
    id: Option<String>,
    /// exited, refused, withdrawn, lost or abandoned; none while it is under way.
    outcome: Option<&'static str>,
    exit: Option<u8>,
    signal: Option<u8>,
    /// Why gjob ended it: timeout, killed, interrupted, superseded or lease.
    cause: Option<&'static str>,
    reason: Option<String>,
    assigned: String,
    started: Option<String>,
    ended: Option<String>,
    /// Bytes read from disks, and written for them, once it has exited.
    read_bytes: Option<u64>,
    written_bytes: Option<u64>,
    /// Those that it is bound to; none if it is not bound.
    processors: Vec<u32>,
}

pub(super) fn text(
    of: &Snapshot,
    filter: &Filter,
    attempts: Vec<Attempt>,
) -> serde_json::Result<String> {
    let mut by_job: HashMap<u32, Vec<Attempt>> = HashMap::new();
    for attempt in attempts {
        by_job.entry(attempt.key.index).or_default().push(attempt);
    }
    let jobs = || {
        let jobs = filter.jobs(of).into_iter();
        jobs.map(|(job, state)| {
            let attempts = by_job.remove(&job.index).unwrap_or_default();
            job_status(of, job, state, &attempts)
        })
        .collect()
    };
    let end = of.end.unwrap_or(of.now);
    let elapsed = Duration::from_millis(end.0.saturating_sub(of.row.created.0));
    let status = Status {
        run: of.row.id.to_string(),
        state: of.run.state(of.managed),
        status: RunState::of(of.run.state(of.managed)),
        managed: of.managed,
        created: of.row.created.to_string(),
        ended: of.row.ended.clone(),
        elapsed_s: seconds(elapsed),
        unmanaged_s: seconds(of.gaps.within(of.row.created, elapsed)),
        left_s: of.run.time_left(of.now).filter(|_| of.managed).map(seconds),
        counts: of.run.shown_tally(of.managed),
        outputs_dir: from_os(of.settings.outputs.dir(&of.row.id).as_os_str()).into_owned(),
        hosts: host_statuses(of),
        jobs: filter.is_explicit().then(jobs),
    };
    Ok(serde_json::to_string_pretty(&status)? + "\n")
}

/// To the millisecond.
fn seconds(duration: Duration) -> f64 {
    duration.as_millis() as f64 / 1000.0
}

fn host_statuses(of: &Snapshot) -> Vec<HostStatus> {
    let work = host_work(&of.run);
    let status = |(host, work): (&Host, HostWork)| HostStatus {
        failed: work.failed,
        median_s: work.median_ms.map(|median| median as f64 / 1000.0),
        ..host_status(host)
    };
    of.run.hosts().iter().zip(work).map(status).collect()
}

/// All but what only the run's jobs tell.
fn host_status(host: &Host) -> HostStatus {
    let facts = host.facts.as_ref();
    HostStatus {
        host: host.label.to_string(),
        state: host.state(),
        status: host.status.as_str(),
        leaving: host.leaving(),
        reason: host.reason.clone(),
        waits_for: host.waits_for.clone(),
        hostname: facts.map(|facts| facts.hostname.clone()),
        slots: facts.map(|facts| facts.offer.cpus),
        busy: host.load(),
        done: host.pace.jobs,
        mean_s: host.pace.mean_ms().map(|mean| mean as f64 / 1000.0),
        failed: 0,
        median_s: None,
        failed_attempts: host.totals.failed,
        host_failures: host.totals.host_failures,
        version: facts.map(|facts| facts.version.clone()),
        platform: facts.map(|facts| facts.platform.clone()),
        results_dir: facts.map(|facts| facts.results_dir.clone()),
        clock_offset_ms: host.clock.map(|clock| clock.offset_ms),
        logins: host.totals.logins,
        bytes_sent: host.totals.bytes_sent,
        bytes_fetched: host.totals.bytes_fetched,
    }
}

fn job_status(of: &Snapshot, job: &Job, state: State, attempts: &[Attempt]) -> JobStatus {
    let attempt = job.attempt.as_deref();
    let ended = job.ended.or_else(|| attempt.and_then(|attempt| attempt.ended));
    let outputs = &of.settings.outputs;
    let has_outputs = outputs.results || !job.spec.outputs.is_empty();
    let outputs_dir = || outputs.dir(&of.row.id).join(outputs.job_dir_name(job.name(), job.index));
    JobStatus {
        index: job.index,
        name: job.name().map(str::to_owned),
        command: job.spec.cmds.join("\n"),
        commands: job.spec.cmds.clone(),
        params: job.spec.params.clone(),
        state,
        paused: job.is_held(),
        memory_bytes: job.spec.mem,
        waits: of.run.wait_in_words(job.index, of.managed),
        inputs: inputs(of, job.index),
        host: job.host().map(ToString::to_string),
        id: job.id().map(ToString::to_string),
        attempt: job.key().map_or(0, |key| key.attempt),
        exit: job.exit(),
        signal: job.signal(),
        reason: job.reason.clone(),
        started: attempt.and_then(|attempt| attempt.started).map(|at| at.to_string()),
        ended: ended.map(|at| at.to_string()),
        outputs_dir: has_outputs.then(|| from_os(outputs_dir().as_os_str()).into_owned()),
        attempts: attempts.iter().map(attempt_status).collect(),
    }
}

fn inputs(of: &Snapshot, index: u32) -> Vec<InputStatus> {
    let dependencies = of.run.dependencies();
    let past_job = |past: &u32| {
        let PastProducer { run, index, .. } = &dependencies.past()[*past as usize];
        PastJobStatus { run: run.to_string(), index: *index }
    };
    let input = |from: &FromGroup| {
        let group = &dependencies.groups()[from.group as usize];
        InputStatus {
            file: from.entry.text.clone(),
            jobs: group.members.clone(),
            past_jobs: group.past.iter().map(past_job).collect(),
        }
    };
    dependencies.sources(index).iter().map(input).collect()
}

fn attempt_status(attempt: &Attempt) -> AttemptStatus {
    let finish = attempt.finish.as_deref();
    let cause = finish.and_then(|finish| finish.cause);
    AttemptStatus {
        attempt: attempt.key.attempt,
        host: attempt.host.to_string(),
        id: attempt.id.as_ref().map(ToString::to_string),
        outcome: attempt.outcome.map(|outcome| outcome.as_str()),
        exit: attempt.exit(),
        signal: attempt.signal(),
        cause: cause.map(|cause| cause.as_str()),
        reason: attempt.reason.clone(),
        assigned: attempt.assigned.to_string(),
        started: attempt.started.map(|at| at.to_string()),
        ended: attempt.ended.map(|at| at.to_string()),
        read_bytes: finish.map(|finish| finish.read_bytes),
        written_bytes: finish.map(|finish| finish.written_bytes),
        processors: attempt.processors.to_vec(),
    }
}
