//! The jobs that `gjob status` lists.

use std::time::Duration;

use gjob::units::format_duration;
use gjob_core::job::Phase;
use gjob_core::plural::counted;
use gjob_core::text::printable;
use gjob_core::{Job, State};

use super::filter::Filter;
use super::{Snapshot, word};
use crate::report::Columns;

/// As many jobs are listed without being asked for.
const MOST: usize = 40;

/// As much of a command is shown, characters.
const COMMAND: usize = 60;

/// The table, and what is left out of it; nothing without jobs.
pub(super) fn table(of: &Snapshot, filter: &Filter) -> String {
    let jobs = filter.jobs(of);
    let most = if filter.is_explicit() { jobs.len() } else { MOST };
    if jobs.is_empty() {
        return if filter.is_explicit() { "no such job\n".to_owned() } else { String::new() };
    }
    let mut columns = Columns::new(["JOB", "STATE", "HOST", "TIME", "NAME", "REASON", "COMMAND"]);
    for (job, state) in jobs.iter().take(most) {
        columns.row([
            Some(job.index.to_string()),
            Some(if job.phase == Phase::Collecting { "fetching" } else { word(*state) }.to_owned()),
            job.host().map(ToString::to_string),
            time(job, of),
            job.name().map(printable),
            reason(job, *state, of),
            Some(command(job)),
        ]);
    }
    let mut text = columns.to_string();
    if let more @ 1.. = jobs.len().saturating_sub(most) {
        let more = counted(more as u64, "more job");
        text.push_str(&format!("and {more}: gjob status --all\n"));
    }
    text
}

/// For how long a job has been running, or ran.
fn time(job: &Job, of: &Snapshot) -> Option<String> {
    let attempt = job.attempt.as_deref()?;
    let took = match (attempt.duration(), attempt.started, job.phase) {
        (Some(took), ..) => took,
        (None, Some(started), Phase::Running) => {
            Duration::from_millis(of.now.0.saturating_sub(started.0))
        }
        _ => return None,
    };
    Some(format_duration(took))
}

/// Why a job is as it is, and how often it was tried.
fn reason(job: &Job, state: State, of: &Snapshot) -> Option<String> {
    let mut parts: Vec<String> = Vec::new();
    if job.is_held() {
        parts.push("paused".to_owned());
    } else if let Some(why) = of.run.why_waiting(job.index, of.managed) {
        parts.push(why.to_string());
    }
    parts.extend(job.reason.clone());
    if state == State::Unknown && !job.has_ended() && of.managed {
        parts.push("its host does not answer".to_owned());
    }
    if job.last_attempt > 1 {
        parts.push(format!("attempt {}", job.key().map_or(job.last_attempt, |key| key.attempt)));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn command(job: &Job) -> String {
    let command = printable(&job.spec.cmds.join("; "));
    match command.char_indices().nth(COMMAND) {
        None => command,
        Some((end, _)) => format!("{}…", &command[..end]),
    }
}
