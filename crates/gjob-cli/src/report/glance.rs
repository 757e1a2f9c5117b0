//! How a run is, in a few lines for a terminal: how far it is and how long it takes yet,
//! the hosts that are not there, and the jobs that have been running longest.

use std::time::Duration;

use gjob_core::job::Phase;
use gjob_core::plural::counted;
use gjob_core::run::{Host, HostStatus};
use gjob_core::text::printable;
use gjob_core::{Job, Run, Timestamp};
use unicode_width::UnicodeWidthStr;

use super::wrap::cut;
use super::{Absences, headline, whole_seconds};

/// A job that runs shorter comes and goes too fast to be read.
const LONG: Duration = Duration::from_secs(5);

/// As many running jobs are shown, and no more than this part of the terminal's lines.
const MOST_JOBS: usize = 5;
const PART_OF_LINES: usize = 4;

/// What keys do: in the first line if there is room for it, else below all others.
const KEYS: &str = "t for top, d to detach";

/// A terminal with fewer lines has no line for them.
const LINES_FOR_KEYS: usize = 10;

/// What the run itself does not tell.
#[derive(Debug)]
pub(super) struct Glance<'a> {
    pub(super) run: &'a Run,
    pub(super) now: Timestamp,
    /// How long the run has taken so far.
    pub(super) took: Duration,
    /// About how long the rest takes.
    pub(super) left: Option<Duration>,
    /// Jobs that end in a minute.
    pub(super) rate: Option<f64>,
    pub(super) absences: &'a Absences,
    /// The large file that is on its way, and how many more are.
    pub(super) transfer: Option<String>,
    /// True if keys are read.
    pub(super) has_keys: bool,
}

impl Glance<'_> {
    /// The lines for a terminal of this size.
    pub(super) fn lines(&self, columns: usize, rows: usize) -> Vec<String> {
        let mut lines = vec![self.progress(columns)];
        let with_keys = format!("{} · {KEYS}", lines[0]);
        let fits = with_keys.width() <= columns;
        if self.has_keys && fits {
            lines[0] = with_keys;
        }
        lines.extend(self.hosts());
        lines.extend(self.transfer.clone());
        lines.extend(self.longest((rows / PART_OF_LINES).min(MOST_JOBS)));
        lines.extend((self.has_keys && !fits && rows >= LINES_FOR_KEYS).then(|| KEYS.to_owned()));
        lines.iter().map(|line| cut(line, columns)).collect()
    }

    /// How far it is, and as much of the rest as fits.
    fn progress(&self, columns: usize) -> String {
        let tally = self.run.tally();
        let ended = tally.total() - tally.left();
        let cells = if columns < 100 { 10 } else { 20 };
        let filled = ended as usize * cells / (tally.total() as usize).max(1);
        let bar = "=".repeat(filled) + &" ".repeat(cells - filled);
        let running: u32 = self.run.hosts().iter().map(|host| self.running(host)).sum();
        let waiting = tally.left().saturating_sub(running);
        let left = self.left.filter(|left| left.as_secs() > 0);
        let took = whole_seconds(self.took);
        let failed = match tally.failed() {
            0 => String::new(),
            failed => format!("{failed} failed, "),
        };
        let parts = [
            left.map(|left| format!(", about {} left", whole_seconds(left))),
            Some(format!(" · {failed}{running} running")),
            (waiting > 0).then(|| format!(", {waiting} waiting")),
            self.rate.map(|rate| format!(" · {}", rate_text(rate))),
        ];
        let mut line = format!("[{bar}] {ended}/{} {took}", tally.total());
        for part in parts.into_iter().flatten() {
            if line.width() + part.width() <= columns {
                line.push_str(&part);
            }
        }
        line
    }

    /// Jobs that run on a host; those that are promised to it wait.
    fn running(&self, host: &Host) -> u32 {
        host.in_flight().len() as u32 - self.run.queued(host)
    }

    /// What keeps hosts away, as long as some are.
    fn hosts(&self) -> Option<String> {
        let hosts = self.run.hosts();
        let hosts: Vec<&Host> =
            hosts.iter().filter(|host| host.leaving() != Some("removed")).collect();
        let gone: Vec<&Host> = hosts.iter().copied().filter(|host| !is_heard(host)).collect();
        let all = counted(hosts.len() as u64, "host");
        let heard = || hosts.iter().copied().filter(|host| is_heard(host));
        let waits = heard().filter_map(waits);
        let tasks: Vec<String> =
            heard().filter_map(|host| self.task(host)).chain(waits).take(4).collect();
        if gone.is_empty() {
            return (!tasks.is_empty()).then(|| tasks.join(" · "));
        }
        let mut parts = Vec::new();
        let connecting = gone.iter().filter(|host| host.status == HostStatus::Connecting).count();
        if gone.len() < hosts.len() {
            parts.push(format!("{} of {all} up", hosts.len() - gone.len()));
        } else if connecting == hosts.len() && gone.iter().all(|host| host.reason.is_none()) {
            return Some(format!("connecting to {all}"));
        }
        let named = gone.iter().filter(|host| host.reason.is_some()).map(|host| self.away(host));
        parts.extend(named.take(4));
        parts.extend(tasks);
        Some(parts.join(" · "))
    }

    /// `h2 setting up 12s`
    fn task(&self, host: &Host) -> Option<String> {
        let task = host.tasks().under_way()?;
        let runs = Duration::from_millis(self.now.0.saturating_sub(task.attempt.assigned.0));
        Some(format!("{} {} {}", host.label, host.condition(), whole_seconds(runs)))
    }

    /// `h2 away 48s (connection refused)`
    fn away(&self, host: &Host) -> String {
        let word = match host.status {
            _ if host.is_silent() => "silent",
            HostStatus::Failed => "out",
            HostStatus::Unreachable if host.facts.is_some() => "away",
            _ => "not reached",
        };
        let lasts = self.absences.of(&host.label, self.now);
        let is_away = host.status == HostStatus::Unreachable || host.is_silent();
        let lasts = lasts.filter(|_| is_away);
        let lasts = lasts.map(|lasts| format!(" {}", whole_seconds(lasts)));
        if let Some(lasts) = lasts.as_ref().filter(|_| host.is_silent()) {
            return format!("{} {word}{lasts}", host.label);
        }
        let reason = host.reason.as_deref().map_or_else(String::new, printable);
        // What ssh itself has said was printed when it happened.
        let reason = reason.split(": ").next().unwrap_or_default();
        format!("{} {word}{} ({reason})", host.label, lasts.unwrap_or_default())
    }

    /// The jobs that have been running longest, the longest first.
    fn longest(&self, most: usize) -> Vec<String> {
        let since = |job: &Job| job.attempt.as_deref().and_then(|attempt| attempt.started);
        let in_flight = self.run.hosts().iter().filter(|host| host.status.answers());
        let jobs = in_flight.flat_map(Host::in_flight).filter_map(|index| self.run.job(index));
        let mut long: Vec<(Duration, &Job)> = jobs
            .filter(|job| job.phase == Phase::Running)
            .filter_map(|job| {
                let runs = self.now.0.saturating_sub(since(job)?.0);
                Some((Duration::from_millis(runs), job))
            })
            .filter(|(runs, _)| *runs >= LONG)
            .collect();
        long.sort_unstable_by_key(|(runs, job)| (std::cmp::Reverse(*runs), job.index));
        let line = |(runs, job): &(Duration, &Job)| {
            format!("{:>8}  {}", whole_seconds(*runs), headline::running(job))
        };
        long.iter().take(most).map(line).collect()
    }
}

/// True for a host that answers, as far as is known.
fn is_heard(host: &Host) -> bool {
    host.status.answers() && !host.is_silent()
}

/// `h2 waits for processors that run 2026-11-22-1 uses`
fn waits(host: &Host) -> Option<String> {
    let what = host.waits_for.as_deref().map(printable)?;
    Some(format!("{} waits for {what}", host.label))
}

/// `31/min`
pub(crate) fn rate_text(rate: f64) -> String {
    if rate < 10.0 { format!("{rate:.1}/min") } else { format!("{rate:.0}/min") }
}
