//! `gjob status`: what of a run is done, what runs where and for how long, and how
//! long the rest will take; from its store alone.

mod filter;
mod hosts;
mod jobs;
mod json;

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use gjob::settings::RunSettings;
use gjob::store::{RunDir, RunRow, Store};
use gjob::units::format_duration;
use gjob_core::plural::counted;
use gjob_core::run::Host;
use gjob_core::{Run, RunId, State, Timestamp};

use self::filter::Filter;
use super::find_run;
use crate::cli::StatusArgs;
use crate::exit::{ALL_DONE, Failure};
use crate::report::whole_seconds;

/// How often `--watch` looks again.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);

/// Moves the cursor to the top and clears what is below.
const CLEAR: &str = "\x1b[H\x1b[J";

/// After a run with failures.
const NEXT_STEPS: &str = "
`gjob explain JOB` says what became of a job, `gjob logs JOB` what it printed;
`gjob retry` has the failed ones run again
";

/// A run as its store has it now.
struct Snapshot {
    run: Run,
    row: RunRow,
    settings: RunSettings,
    /// True while a process manages it.
    managed: bool,
    now: Timestamp,
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
            snapshot.text(&filter)
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
        Ok(Snapshot { run, row, settings, managed, now: gjob::store::now() })
    }

    fn text(&self, filter: &Filter) -> String {
        let mut text = format!("run {}: {}\n", self.row.id, self.headline());
        text.push_str(&format!("{}\n", counts(&self.run, self.managed)));
        text.push_str(&format!("\n{}", hosts::table(self)));
        let jobs = jobs::table(self, filter);
        if !jobs.is_empty() {
            text.push_str(&format!("\n{jobs}"));
        }
        if !self.managed && self.run.tally().failed() > 0 {
            text.push_str(NEXT_STEPS);
        }
        text
    }

    fn headline(&self) -> String {
        headline(&self.run, &self.row.id, self.row.created, self.managed, self.now)
    }
}

/// What a person wants to know of a run first, and may do next.
pub(crate) fn headline(
    run: &Run,
    id: &RunId,
    created: Timestamp,
    managed: bool,
    now: Timestamp,
) -> String {
    let tally = run.tally();
    let took = took(run, created, now);
    if managed {
        let left = run.time_left(now).map(|left| format!(", about {} left", whole_seconds(left)));
        return format!("running for {}{}", whole_seconds(took), left.unwrap_or_default());
    }
    let took = format_duration(took);
    match (tally.busy, tally.left()) {
        (_, 0) if run.is_all_done() => format!("done in {took}"),
        (_, 0) => format!("finished in {took}"),
        (0, left) => format!(
            "stopped: {} still to do; resume with `gjob attach {id}`",
            counted(left.into(), "job")
        ),
        (busy, _) => {
            let waiting = match tally.free {
                0 => String::new(),
                waiting => format!(", {waiting} waiting"),
            };
            let busy = counted(busy.into(), "job");
            format!(
                "stopped, no gjob is attached: {busy} may be running{waiting}; resume with `gjob attach {id}`"
            )
        }
    }
}

/// The jobs of a run by state.
pub(crate) fn counts(run: &Run, managed: bool) -> String {
    let tally = run.shown_tally(managed);
    let all = counted(tally.total().into(), "job");
    // A host may have been given more than it can run at once.
    let answering = run.hosts().iter().filter(|host| managed && host.status.answers());
    let queued: u32 = answering.map(Host::queued).sum();
    let parts = [
        (tally.done, "done"),
        (tally.error, "failed"),
        (tally.unknown, "unknown"),
        (tally.busy - queued, "running"),
        (tally.free + queued, "waiting"),
    ];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(count, word)| *count > 0 || *word == "done")
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    format!("{all}: {}", parts.join(", "))
}

/// For how long a run has been worked on; until its last job ended, if all have.
fn took(run: &Run, created: Timestamp, now: Timestamp) -> Duration {
    let last = match run.tally().left() {
        0 => run.jobs().iter().filter_map(|job| job.ended).max(),
        1.. => None,
    };
    Duration::from_millis(last.unwrap_or(now).0.saturating_sub(created.0))
}

/// The state of a job in the words that people are shown.
pub(crate) fn word(state: State) -> &'static str {
    match state {
        State::Free => "waiting",
        State::Busy => "running",
        State::Done => "done",
        State::Unknown => "unknown",
        State::Error => "failed",
    }
}
