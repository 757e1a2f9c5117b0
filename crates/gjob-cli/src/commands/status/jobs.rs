//! The jobs that `gjob status` lists.

use std::time::Duration;

use gjob::units::format_duration;
use gjob_core::job::Phase;
use gjob_core::plural::counted;
use gjob_core::size::shown_size;
use gjob_core::text::printable;
use gjob_core::{Job, State};

use super::filter::Filter;
use super::{Snapshot, job_word};
use crate::report::{Columns, fit, headline, whole_seconds};

/// As many jobs are listed without being asked for.
const MOST: usize = 40;

/// The table, and what is left out of it; nothing without jobs.
pub(super) fn table(of: &Snapshot, filter: &Filter, terminal: Option<usize>) -> String {
    let jobs = filter.jobs(of);
    let most = if filter.is_explicit() { jobs.len() } else { MOST };
    if jobs.is_empty() {
        return match filter.is_explicit() {
            true => "no job matches\n".to_owned(),
            false => String::new(),
        };
    }
    let headings = ["JOB", "STATE", "HOST", "TIME", "NAME", "REASON", "COMMAND"];
    let mut columns = Columns::new(headings).cut("HOST").cut("NAME").wrap("REASON").cut("COMMAND");
    for (job, state) in jobs.iter().take(most) {
        columns.row([
            Some(job.index.to_string()),
            Some(job_word(job, *state).to_owned()),
            host(job),
            time(job, of),
            job.name().map(printable),
            reason(job, *state, of),
            Some(headline::whole_command(job)),
        ]);
    }
    let mut text = columns.text(terminal);
    if let more @ 1.. = jobs.len().saturating_sub(most) {
        let more = counted(more as u64, "more job");
        let more = format!("and {more}: `gjob status --all -R {}`\n", of.row.id);
        text.push_str(&fit(&more, terminal));
    }
    text
}

/// Where a job runs or ran; a waiting one is nowhere, wherever it was tried before.
fn host(job: &Job) -> Option<String> {
    let host = job.host().filter(|_| job.phase != Phase::Waiting)?;
    Some(headline::spoken(host).to_owned())
}

/// For how long a job has been running, or ran.
fn time(job: &Job, of: &Snapshot) -> Option<String> {
    if job.phase == Phase::Waiting {
        return None;
    }
    let attempt = job.attempt.as_deref()?;
    let took = match (attempt.duration(), attempt.started, job.phase) {
        (Some(took), ..) => took,
        (None, Some(started), Phase::Running) => {
            // Hundredths of a time that goes on would only flicker.
            return Some(whole_seconds(Duration::from_millis(of.now.0.saturating_sub(started.0))));
        }
        _ => return None,
    };
    Some(format_duration(took))
}

/// Why a job is as it is, and how often it was tried.
fn reason(job: &Job, state: State, of: &Snapshot) -> Option<String> {
    let mut parts: Vec<String> = Vec::new();
    if !job.is_held()
        && let Some(why) = of.run.wait_in_words(job.index, of.managed)
    {
        parts.push(why);
    }
    parts.extend(job.reason.clone());
    if let Some(mem) = job.raised_mem.filter(|_| !job.has_ended()) {
        parts.push(format!("{} of memory by now", shown_size(mem)));
    }
    if state == State::Unknown && !job.has_ended() {
        let why = if of.managed { ": its host does not answer" } else { "" };
        parts.push(format!("as far as is known{why}"));
    }
    if job.last_attempt > 1 {
        parts.push(format!("attempt {}", job.key().map_or(job.last_attempt, |key| key.attempt)));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}
