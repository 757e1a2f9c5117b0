//! `gjob status`: what of a run is done, what runs where and for how long, and how
//! long the rest will take; from its store alone.

mod filter;
mod hosts;
mod jobs;
mod json;

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use gjob::settings::RunSettings;
use gjob::store::{Gaps, RunDir, RunRow, Store};
use gjob::units::format_duration;
use gjob_core::event::RunEnd;
use gjob_core::job::Phase;
use gjob_core::plural::counted;
use gjob_core::{Job, Run, RunId, State, Tally, Timestamp};

use self::filter::Filter;
use super::{find_run, runs};
use crate::cli::StatusArgs;
use crate::exit::{ALL_DONE, Failure};
use crate::report::remedies;
use crate::report::{fit, stdout_columns, whole_seconds, with_gaps};

/// How often `--watch` looks again.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);

/// Moves the cursor to the top and clears what is below.
const CLEAR: &str = "\x1b[H\x1b[J";

/// A run as its store has it now.
struct Snapshot {
    run: Run,
    row: RunRow,
    settings: RunSettings,
    /// True while a process manages it.
    managed: bool,
    now: Timestamp,
    /// When it was over, or stopped.
    end: Option<Timestamp>,
    gaps: Gaps,
}

pub(crate) fn run(args: &StatusArgs) -> Result<u8, Failure> {
    let filter = Filter::new(args).map_err(Failure::input)?;
    let dir = find_run(args.run.word())?;
    loop {
        let store = Store::read(&dir).map_err(Failure::machinery)?;
        let snapshot = Snapshot::take(&dir, &store).map_err(Failure::machinery)?;
        let text = if args.json {
            let lists_jobs = filter.is_explicit();
            let attempts = lists_jobs.then(|| store.all_attempts()).transpose();
            let attempts = attempts.map_err(Failure::machinery)?.unwrap_or_default();
            json::text(&snapshot, &filter, attempts).map_err(Failure::machinery)?
        } else {
            snapshot.text(&filter, stdout_columns())
        };
        drop(store);
        let is_over = !snapshot.managed;
        show(&text, args.watch).map_err(Failure::machinery)?;
        if !args.watch || is_over {
            return Ok(ALL_DONE);
        }
        std::thread::sleep(WATCH_INTERVAL);
    }
}

fn show(text: &str, watch: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if watch && out.is_terminal() {
        out.write_all(CLEAR.as_bytes())?;
    }
    out.write_all(text.as_bytes())?;
    out.flush()
}

impl Snapshot {
    fn take(dir: &RunDir, store: &Store) -> anyhow::Result<Snapshot> {
        // A manager that comes or goes meanwhile is seen at the next look.
        let managed = dir.is_managed()?;
        let (row, run) = (store.row()?, store.load()?);
        let settings = RunSettings::from_json(&row.settings)?;
        let now = gjob::store::now();
        let end = runs::end(store, run.tally(), managed)?;
        let gaps = store.gaps(managed, now)?;
        Ok(Snapshot { run, row, settings, managed, now, end, gaps })
    }

    /// The status as text; `columns` is the width of the terminal, none off a terminal.
    fn text(&self, filter: &Filter, columns: Option<usize>) -> String {
        let counts = counts(&self.run, self.managed);
        let head = format!("run {}: {}\n{counts}\n", self.row.id, self.headline());
        let mut text = format!("{}\n{}", fit(&head, columns), hosts::table(self, columns));
        let jobs = jobs::table(self, filter, columns);
        if !jobs.is_empty() {
            text.push_str(&format!("\n{jobs}"));
        }
        if !self.managed && self.run.tally().failed() > 0 {
            text.push_str(&format!("\n{}", fit(&self.next_steps(), columns)));
        }
        text
    }

    /// After a run with failures.
    fn next_steps(&self) -> String {
        let id = &self.row.id;
        let remedies: String =
            remedies(self.run.jobs(), id).iter().map(|line| format!("{line}\n")).collect();
        format!(
            "help: `gjob explain JOB -R {id}` says what became of a job, `gjob logs JOB -R {id}` what it printed\n\
             help: `gjob retry --attach -R {id}` retries the failed jobs\n{remedies}"
        )
    }

    fn headline(&self) -> String {
        headline(&self.run, &self.row.id, self.row.created, self.managed, self.now, &self.gaps)
    }
}

/// What a person wants to know of a run first, and may do next.
pub(crate) fn headline(
    run: &Run,
    id: &RunId,
    created: Timestamp,
    managed: bool,
    now: Timestamp,
    gaps: &Gaps,
) -> String {
    let tally = run.tally();
    let took = run.elapsed(created, now);
    let unmanaged = gaps.within(created, took);
    if managed {
        let left = run.time_left(now).map(|left| format!(", about {} left", whole_seconds(left)));
        let took = with_gaps(&whole_seconds(took), unmanaged);
        return format!("running for {took}{}", left.unwrap_or_default());
    }
    let took = with_gaps(&format_duration(took), unmanaged);
    match (tally.busy, tally.left()) {
        (_, 0) if run.is_all_done() => format!("done in {took}"),
        (_, 0) => format!("failed in {took}"),
        (0, left) => {
            let left = counted(left.into(), "job");
            match run.ended() {
                Some(RunEnd::MaxFails) => format!(
                    "stopped by its failures, {left} still to do; resume with `gjob attach {id} --max-fails N`"
                ),
                Some(RunEnd::Enough) => format!(
                    "stopped, since enough jobs are done, {left} still to do; resume with `gjob attach {id} --halt never`"
                ),
                _ => format!("stopped: {left} still to do; resume with `gjob attach {id}`"),
            }
        }
        (busy, _) => {
            let waiting = match tally.free {
                0 => String::new(),
                waiting => format!(", {waiting} waiting"),
            };
            let busy = counted(busy.into(), "job");
            format!(
                "stopped, no gjob is attached: {busy} running, as far as is known{waiting}; resume with `gjob attach {id}`"
            )
        }
    }
}

/// The jobs of a run by state.
pub(crate) fn counts(run: &Run, managed: bool) -> String {
    let mut tally = run.shown_tally(managed);
    // A host may have been given more than it can run at once.
    let answering = run.hosts().iter().filter(|host| managed && host.status.answers());
    let queued: u32 = answering.map(|host| run.queued(host)).sum();
    tally.shift(State::Busy, State::Free, queued);
    let words = tally_in_words(tally, run.tally(), Paused::of(run));
    format!("{}: {words}", counted(tally.total().into(), "job"))
}

/// How many jobs are paused.
#[derive(Clone, Copy, Default)]
pub(super) struct Paused {
    running: usize,
    waiting: usize,
}

impl Paused {
    fn of(run: &Run) -> Self {
        let (waiting, running): (Vec<&Job>, _) = run
            .jobs()
            .iter()
            .filter(|job| job.is_held())
            .partition(|job| job.state() == State::Free);
        Paused { running: running.len(), waiting: waiting.len() }
    }
}

/// How many jobs are in which state: `7 done, 1 failed`. The tallies are the one that is
/// shown and the run's own: what is unknown in the first one only runs as far as is known.
pub(super) fn tally_in_words(tally: Tally, own: Tally, paused: Paused) -> String {
    let parts = [
        (tally.done, "done", 0),
        (tally.error, "failed", 0),
        (own.unknown, "unknown", 0),
        (tally.busy, "running", paused.running),
        (tally.unknown.saturating_sub(own.unknown), "running as far as is known", 0),
        (tally.free, "waiting", paused.waiting),
    ];
    let shown = parts.iter().filter(|(count, word, _)| *count > 0 || *word == "done");
    let part = |(count, word, paused): &(u32, &str, usize)| match paused {
        0 => format!("{count} {word}"),
        paused => format!("{count} {word} ({paused} paused)"),
    };
    shown.map(part).collect::<Vec<_>>().join(", ")
}

/// How a job is, in one word.
pub(crate) fn job_word(job: &Job, state: State) -> &'static str {
    match (job.phase, state) {
        (Phase::Collecting, _) => "fetching",
        (_, State::Free | State::Busy) if job.is_held() => "paused",
        // Its host has it, and has not begun it yet.
        (Phase::Assigned, State::Busy) => "queued",
        (_, State::Unknown) if !job.has_ended() => word(State::Busy),
        (..) => word(state),
    }
}

/// The state of a job in the words that people are shown.
fn word(state: State) -> &'static str {
    match state {
        State::Free => "waiting",
        State::Busy => "running",
        State::Done => "done",
        State::Unknown => "unknown",
        State::Error => "failed",
    }
}
