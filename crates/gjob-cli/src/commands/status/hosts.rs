//! The hosts of a run: how busy they are, what they have done, and which one is slow.

use std::collections::HashMap;
use std::time::Duration;

use gjob::units::format_duration;
use gjob_core::plural::counted;
use gjob_core::run::{Host, HostStatus};
use gjob_core::{HostLabel, State};

use super::Snapshot;
use crate::report::{Columns, headline};

/// A host is slow if its median is this many times that of the other hosts.
const SLOW: f64 = 2.0;

/// A median of fewer jobs says nothing.
const ENOUGH: usize = 3;

pub(super) fn table(of: &Snapshot) -> Columns {
    let medians = medians(of);
    let failed = failures(of);
    let mut columns = Columns::new(["HOST", "STATE", "BUSY", "DONE", "FAILED", "MEDIAN", "NOTE"]);
    for host in of.run.hosts() {
        let median = medians.get(&host.label).map(|(median, _)| *median);
        let busy = host.facts.as_ref().map(|_| format!("{}/{}", host.load(), host.slots()));
        columns.row([
            Some(headline::spoken(&host.label).to_owned()),
            Some(state(host, of).to_owned()),
            busy,
            Some(host.pace.jobs.to_string()),
            Some(failed.get(&host.label).copied().unwrap_or(0).to_string()),
            median.map(|median| format_duration(Duration::from_millis(median))),
            note(host, of, &medians),
        ]);
    }
    columns
}

/// What a host is for the run now.
fn state(host: &Host, of: &Snapshot) -> &'static str {
    match (of.managed, host.status) {
        (true, status) => status.as_str(),
        (false, HostStatus::Failed) => "failed",
        (false, ..) if is_unused(host) => "not used",
        (false, _) => "-",
    }
}

/// Jobs whose outcome is not `done`, by the host that had them last.
pub(super) fn failures(of: &Snapshot) -> HashMap<&HostLabel, u32> {
    let mut failed = HashMap::new();
    for job in of.run.jobs() {
        if let (State::Error | State::Unknown, Some(host)) = (job.state(), job.host()) {
            *failed.entry(host).or_default() += 1;
        }
    }
    failed
}

/// The median duration of the jobs that are done on each host, milliseconds, and
/// how many there are.
pub(super) fn medians(of: &Snapshot) -> HashMap<&HostLabel, (u64, usize)> {
    let mut durations: HashMap<&HostLabel, Vec<u64>> = HashMap::new();
    for job in of.run.jobs().iter().filter(|job| job.state() == State::Done) {
        let took = job.attempt.as_deref().and_then(|attempt| attempt.duration());
        if let (Some(host), Some(took)) = (job.host(), took) {
            durations.entry(host).or_default().push(took.as_millis() as u64);
        }
    }
    let median = |mut all: Vec<u64>| {
        all.sort_unstable();
        (all[all.len() / 2], all.len())
    };
    durations.into_iter().map(|(host, all)| (host, median(all))).collect()
}

fn note(host: &Host, of: &Snapshot, medians: &HashMap<&HostLabel, (u64, usize)>) -> Option<String> {
    let mut notes: Vec<String> = Vec::new();
    if let Some(reason) =
        host.reason.clone().filter(|_| of.managed || is_out(host) || is_unused(host))
    {
        notes.push(reason);
    }
    let waiting = host.needed_by();
    if of.managed && host.status == HostStatus::Unreachable && waiting > 0 {
        notes.push(format!("{} on it", counted(waiting.into(), "job")));
    }
    notes.extend(slowness(host, medians));
    (!notes.is_empty()).then(|| notes.join("; "))
}

/// True for a host that never answered.
fn is_unused(host: &Host) -> bool {
    host.facts.is_none()
}

fn is_out(host: &Host) -> bool {
    host.status == HostStatus::Failed
}

/// How much slower a host is than the others, if it is.
fn slowness(host: &Host, medians: &HashMap<&HostLabel, (u64, usize)>) -> Option<String> {
    let (own, _) = medians.get(&host.label).filter(|(_, jobs)| *jobs >= ENOUGH)?;
    let others =
        medians.iter().filter(|(label, (_, jobs))| **label != &host.label && *jobs >= ENOUGH);
    let mut others: Vec<u64> = others.map(|(_, (median, _))| *median).collect();
    others.sort_unstable();
    let usual = *others.get(others.len().checked_sub(1)? / 2)?;
    let ratio = *own as f64 / (usual as f64).max(1.0);
    (ratio >= SLOW).then(|| format!("jobs take {ratio:.1} times as long as on the others"))
}
