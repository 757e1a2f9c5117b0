//! `gjob runs`: every run, oldest first. A run that cannot be read, because of
//! another version's database or a damaged one, does not hide the others.

use std::io::Write;
use std::time::Duration;

use gjob::store::{RunDir, RunDirError, StateDir, Store, StoreError, now};
use gjob::units::format_duration;
use gjob_core::os_text::from_os;
use gjob_core::run::{Tally, run_state};
use gjob_core::{State, Timestamp};
use serde::Serialize;

use super::status::{Paused, tally_in_words};
use crate::cli::{RunState, RunsArgs};
use crate::exit::{ALL_DONE, Failure, print_error};
use crate::local_time::local_minute;
use crate::report::{Columns, stdout_columns, with_gaps};

/// As many other names are said.
const NAMED: usize = 5;

#[derive(Serialize)]
struct Listed {
    run: String,
    #[serde(flatten)]
    summary: Summary,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Summary {
    Read(Overview),
    Unreadable {
        /// Why, in one line.
        error: String,
    },
}

#[derive(Serialize)]
pub(super) struct Overview {
    /// In the words for jobs: busy, free, unknown, done or error.
    state: State,
    /// In the words that people read: running, stopped, done or failed.
    status: RunState,
    /// True while a process manages it.
    managed: bool,
    created: String,
    #[serde(skip)]
    began: Timestamp,
    /// From when it was submitted until it was over, or it was stopped, or until now, seconds.
    elapsed_s: f64,
    /// For how long of that it had no manager, seconds.
    unmanaged_s: f64,
    counts: Tally,
    /// Without regard to who answers now.
    #[serde(skip)]
    own_counts: Tally,
    hosts: usize,
    /// The script of the first job.
    command: String,
}

pub(crate) fn run(args: &RunsArgs) -> Result<u8, Failure> {
    let state = StateDir::from_env().map_err(Failure::input)?;
    let mut runs = state.runs().map_err(Failure::machinery)?;
    name_others(&state).map_err(Failure::machinery)?;
    let mut listed = Vec::new();
    while let Some(run) = runs.pop() {
        if args.last.is_some_and(|most| listed.len() >= most) {
            break;
        }
        let dir = state.find(Some(&run)).map_err(|error| match error {
            RunDirError::NoRun { .. } => "it has no database".to_owned(),
            other => other.to_string(),
        });
        let summary = dir.and_then(|dir| overview(&dir).map_err(|error| error.to_string()));
        let summary = summary.map_or_else(|error| unreadable(&error), Summary::Read);
        if is_wanted(&summary, args) {
            listed.push(Listed { run: run.to_string(), summary });
        }
    }
    listed.reverse();
    print(&listed, args.json).map_err(Failure::machinery)?;
    Ok(ALL_DONE)
}

/// What a list shows of a run.
pub(super) fn overview(dir: &RunDir) -> Result<Overview, StoreError> {
    let store = Store::read(dir)?;
    let managed = dir.is_managed()?;
    let (jobs, counts) = store.tally(managed)?;
    let created = store.row()?.created;
    let end = end(&store, jobs, managed)?.unwrap_or_else(now);
    let state = run_state(jobs, managed);
    let millis = end.0.saturating_sub(created.0);
    let unmanaged = store.gaps(managed, now())?.within(created, Duration::from_millis(millis));
    Ok(Overview {
        state,
        status: RunState::of(state),
        managed,
        created: created.to_string(),
        began: created,
        elapsed_s: millis as f64 / 1000.0,
        unmanaged_s: unmanaged.as_millis() as f64 / 1000.0,
        counts,
        own_counts: jobs,
        hosts: store.hosts()?.len(),
        command: store.first_command()?.unwrap_or_default(),
    })
}

/// When a run was over, or stopped; none while it goes on.
pub(super) fn end(
    store: &Store,
    jobs: Tally,
    managed: bool,
) -> Result<Option<Timestamp>, StoreError> {
    match (jobs.left(), managed) {
        (0, true) => store.over_at(),
        (0, false) => Ok(store.over_at()?.or(store.last_event()?)),
        // It stands still.
        (_, false) => store.last_event(),
        (_, true) => Ok(None),
    }
}

/// Hints are for one run at a time.
fn unreadable(error: &str) -> Summary {
    let error = error.lines().next().unwrap_or_default().to_owned();
    Summary::Unreadable { error }
}

/// A run that cannot be read is listed unless something of it is asked for.
fn is_wanted(summary: &Summary, args: &RunsArgs) -> bool {
    let Summary::Read(overview) = summary else {
        return args.state.is_empty() && args.grep.is_none();
    };
    let has_text = |text: &String| overview.command.contains(text);
    (args.state.is_empty() || args.state.contains(&overview.status))
        && args.grep.as_ref().is_none_or(has_text)
}

/// Says what no run is called: a directory of a run that was renamed is not listed.
fn name_others(state: &StateDir) -> Result<(), RunDirError> {
    let others = state.other_names()?;
    let named: Vec<String> =
        others.iter().take(NAMED).map(|name| format!("{:?}", from_os(name))).collect();
    if named.is_empty() {
        return Ok(());
    }
    let more = match others.len() - named.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    print_error(&format!(
        "passed over in {}: {}{more}: expected runs, called DATE-N",
        state.path().display(),
        named.join(", ")
    ));
    Ok(())
}

fn print(runs: &[Listed], json: bool) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, runs)?;
        return writeln!(out);
    }
    let headings = ["RUN", "STATE", "BEGAN", "TOOK", "HOSTS", "JOBS", "COMMAND"];
    let mut columns = Columns::new(headings).wrap("TOOK").wrap("JOBS").cut("COMMAND");
    for Listed { run, summary } in runs {
        let run = Some(run.clone());
        columns.row(match summary {
            Summary::Read(it) => [
                run,
                Some(format!("{:?}", it.status).to_lowercase()),
                Some(local_minute(it.began)),
                Some(with_gaps(
                    &format_duration(Duration::from_secs_f64(it.elapsed_s)),
                    Duration::from_secs_f64(it.unmanaged_s),
                )),
                Some(it.hosts.to_string()),
                Some(tally_in_words(it.counts, it.own_counts, Paused::default())),
                Some(it.command.clone()),
            ],
            Summary::Unreadable { error } => {
                [run, None, None, None, None, None, Some(format!("cannot be read: {error}"))]
            }
        });
    }
    out.write_all(columns.text(stdout_columns()).as_bytes())
}
