//! The hosts of a run: how busy they are, what they have done, and which one is slow.

use std::time::Duration;

use gjob::units::format_duration;
use gjob_core::plural::counted;
use gjob_core::run::{Host, HostDuty, HostStatus};

use super::Snapshot;
use crate::report::{Columns, HostWork, headline, host_work, whole_seconds};

/// A host is slow if its median is this many times that of the other hosts.
const SLOW: f64 = 2.0;

/// A median of fewer jobs says nothing.
const ENOUGH: usize = 3;

pub(super) fn table(of: &Snapshot, terminal: Option<usize>) -> String {
    let work = host_work(&of.run);
    let headings = ["HOST", "STATE", "BUSY", "DONE", "FAILED", "MEDIAN", "NOTE"];
    let mut columns = Columns::new(headings).cut("HOST").wrap("NOTE");
    for (at, host) in of.run.hosts().iter().enumerate() {
        let busy =
            host.facts.as_ref().map(|_| format!("{}/{}", of.run.busy_slots(host), host.slots()));
        columns.row([
            Some(headline::spoken(&host.label).to_owned()),
            Some(state(host, of).to_owned()),
            busy,
            Some(host.pace.jobs.to_string()),
            Some(work[at].failed.to_string()),
            work[at].median_ms.map(|median| format_duration(Duration::from_millis(median))),
            note(host, of, slowness(at, &work)),
        ]);
    }
    columns.text(terminal)
}

/// What a host is for the run now.
fn state(host: &Host, of: &Snapshot) -> &'static str {
    match (of.managed, host.status) {
        (true, _) => host.condition(),
        (false, _) if host.duty != HostDuty::Serving => host.condition(),
        (false, HostStatus::Failed) => "failed",
        (false, ..) if is_unused(host) => "not used",
        (false, _) => "-",
    }
}

fn note(host: &Host, of: &Snapshot, slowness: Option<String>) -> Option<String> {
    let mut notes: Vec<String> = Vec::new();
    if let Some(reason) =
        host.reason.clone().filter(|_| of.managed || is_out(host) || is_unused(host))
    {
        notes.push(reason);
    }
    if let Some(what) = host.waits_for.as_ref().filter(|_| of.managed) {
        notes.push(format!("for {what}"));
    }
    if let Some(task) = host.tasks().under_way().filter(|_| of.managed) {
        let runs = of.now.0.saturating_sub(task.attempt.assigned.0);
        notes.push(format!("for {}", whole_seconds(Duration::from_millis(runs))));
    }
    if host.is_teardown_due() && (!of.managed || is_out(host)) {
        notes.push("not torn down".to_owned());
    }
    let waiting = host.needed_by();
    if of.managed && host.status == HostStatus::Unreachable && waiting > 0 {
        notes.push(format!("{} on it", counted(waiting.into(), "job")));
    }
    notes.extend(slowness);
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
fn slowness(at: usize, work: &[HostWork]) -> Option<String> {
    let median = |of: &HostWork| of.median_ms.filter(|_| of.timed >= ENOUGH);
    let own = median(&work[at])?;
    let others = work.iter().enumerate().filter(|(other, _)| *other != at);
    let mut others: Vec<u64> = others.filter_map(|(_, of)| median(of)).collect();
    others.sort_unstable();
    let usual = *others.get(others.len().checked_sub(1)? / 2)?;
    let ratio = own as f64 / (usual as f64).max(1.0);
    (ratio >= SLOW).then(|| format!("{ratio:.1} times as slow as the others"))
}
