//! Which jobs and hosts are listed, and in what order.

use std::cmp::Reverse;

use gjob_core::job::Phase;
use gjob_core::run::{Host, HostIx};
use gjob_core::{Job, Run, State, Timestamp};

use super::timeline::Timeline;
use super::view::{HostSort, JobSort};
use crate::commands::status::job_word;
use crate::report::HostWork;

/// The jobs that have the text, sorted.
pub(crate) fn jobs(
    run: &Run,
    managed: bool,
    filter: &str,
    sort: JobSort,
    now: Timestamp,
) -> Vec<u32> {
    let state = |job: &Job| run.shown_state(job.index, managed).unwrap_or(State::Unknown);
    let jobs = run.jobs().iter().filter(|job| has_text(job, state(job), filter));
    match sort {
        JobSort::Index => jobs.map(|job| job.index).collect(),
        JobSort::State => sorted(jobs.map(|job| (rank(job, state(job)), job.index))),
        JobSort::Time => sorted(jobs.map(|job| (Reverse(time_ms(job, now)), job.index))),
        JobSort::Host => {
            let host = |job: &Job| job.host().and_then(|host| run.position(host));
            sorted(jobs.map(|job| ((host(job).is_none(), host(job)), job.index)))
        }
        JobSort::Name => sorted(jobs.map(|job| ((job.name().is_none(), job.name()), job.index))),
    }
}

fn sorted<K: Ord>(keyed: impl Iterator<Item = (K, u32)>) -> Vec<u32> {
    let mut keyed: Vec<(K, u32)> = keyed.collect();
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, index)| index).collect()
}

/// What people look for first: what runs, the longest first; then what has failed; what is
/// next; what waits; at last what is done, the latest first.
fn rank(job: &Job, state: State) -> (u8, u64) {
    let attempt = job.attempt.as_deref();
    let started = attempt.and_then(|attempt| attempt.started).map_or(u64::MAX, |at| at.0);
    let ended = u64::MAX - job.ended.map_or(0, |at| at.0);
    match state {
        State::Busy if job.phase == Phase::Assigned => (2, 0),
        State::Busy => (0, started),
        State::Unknown if !job.has_ended() => (0, started),
        State::Error | State::Unknown => (1, ended),
        State::Free => (3, 0),
        State::Done => (4, ended),
    }
}

/// For how long a job has been running, or ran, milliseconds.
pub(crate) fn time_ms(job: &Job, now: Timestamp) -> Option<u64> {
    let attempt = job.attempt.as_deref()?;
    match (attempt.duration(), attempt.started, job.phase) {
        (Some(took), ..) => Some(took.as_millis() as u64),
        (None, Some(started), Phase::Running) => Some(now.0.saturating_sub(started.0)),
        _ => None,
    }
}

fn has_text(job: &Job, state: State, text: &str) -> bool {
    text.is_empty()
        || job.spec.cmds.iter().any(|line| line.contains(text))
        || job.name().is_some_and(|name| name.contains(text))
        || job.host().is_some_and(|host| host.as_str().contains(text))
        || job.reason.as_ref().is_some_and(|reason| reason.contains(text))
        || job_word(job, state).contains(text)
}

/// The hosts that have the text, sorted.
pub(crate) fn hosts(run: &Run, work: &[HostWork], filter: &str, sort: HostSort) -> Vec<HostIx> {
    let all = (0..).map(HostIx).zip(run.hosts());
    let mut listed: Vec<(HostIx, &Host)> =
        all.filter(|(_, host)| host_has_text(host, filter)).collect();
    match sort {
        HostSort::Given => {}
        HostSort::Busy => listed.sort_by_key(|(_, host)| Reverse(host.load())),
        HostSort::Done => listed.sort_by_key(|(_, host)| Reverse(host.pace.jobs)),
        HostSort::Failed => listed.sort_by_key(|(ix, _)| Reverse(work[ix.at()].failed)),
        HostSort::Median => listed.sort_by_key(|(ix, _)| Reverse(work[ix.at()].median_ms)),
    }
    listed.into_iter().map(|(ix, _)| ix).collect()
}

fn host_has_text(host: &Host, text: &str) -> bool {
    text.is_empty()
        || host.label.as_str().contains(text)
        || host.status.as_str().contains(text)
        || host.reason.as_ref().is_some_and(|reason| reason.contains(text))
}

/// The lanes of these hosts: as many as a host has slots, or as have been used.
pub(crate) fn lanes(run: &Run, timeline: &Timeline, hosts: &[HostIx]) -> Vec<(HostIx, u32)> {
    let count = |ix: HostIx| {
        let slots = run.host(ix).filter(|host| host.facts.is_some()).map_or(0, Host::slots);
        (timeline.lanes(ix).len() as u32).max(slots)
    };
    hosts.iter().flat_map(|ix| (0..count(*ix)).map(|lane| (*ix, lane))).collect()
}
