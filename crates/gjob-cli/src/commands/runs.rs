//! `gjob runs`: every run, oldest first. A run that cannot be read, because of
//! another version's database or a damaged one, does not hide the others.

use std::io::Write;

use gjob::store::{RunDir, RunDirError, StateDir, Store, StoreError};
use gjob_core::State;
use gjob_core::run::{Tally, run_state};
use serde::Serialize;

use crate::cli::RunsArgs;
use crate::exit::{ALL_DONE, Failure};
use crate::report::Columns;

#[derive(Serialize)]
struct Listed {
    run: String,
    #[serde(flatten)]
    summary: Summary,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Summary {
    Read {
        state: State,
        created: String,
        counts: Tally,
        hosts: usize,
    },
    Unreadable {
        /// Why, in one line.
        error: String,
    },
}

pub(crate) fn run(args: &RunsArgs) -> Result<u8, Failure> {
    let state = StateDir::from_env().map_err(Failure::input)?;
    let runs = state.runs().map_err(Failure::machinery)?;
    let runs: Vec<Listed> = runs
        .into_iter()
        .map(|run| {
            let dir = state.find(Some(&run)).map_err(|error| match error {
                RunDirError::NoRun { .. } => "it has no database".to_owned(),
                other => other.to_string(),
            });
            let summary = dir.and_then(|dir| summary(&dir).map_err(|error| error.to_string()));
            Listed {
                run: run.to_string(),
                summary: summary.unwrap_or_else(|error| unreadable(&error)),
            }
        })
        .collect();
    print(&runs, args.json).map_err(Failure::machinery)?;
    Ok(ALL_DONE)
}

fn summary(dir: &RunDir) -> Result<Summary, StoreError> {
    let store = Store::read(dir)?;
    let managed = dir.is_managed()?;
    let (jobs, counts) = store.tally(managed)?;
    Ok(Summary::Read {
        state: run_state(jobs, managed),
        created: store.row()?.created.to_string(),
        counts,
        hosts: store.hosts()?.len(),
    })
}

/// Hints are for one run at a time.
fn unreadable(error: &str) -> Summary {
    let error = error.lines().next().unwrap_or_default().to_owned();
    Summary::Unreadable { error }
}

fn print(runs: &[Listed], json: bool) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, runs)?;
        return writeln!(out);
    }
    let mut columns = Columns::new(["RUN", "STATE", "CREATED", "HOSTS", "JOBS"]);
    for Listed { run, summary } in runs {
        let run = Some(run.clone());
        columns.row(match summary {
            Summary::Read { state, created, counts, hosts } => [
                run,
                Some(state.to_string()),
                Some(created.clone()),
                Some(hosts.to_string()),
                Some(counts.to_string()),
            ],
            Summary::Unreadable { error } => {
                [run, None, None, None, Some(format!("cannot be read: {error}"))]
            }
        });
    }
    write!(out, "{columns}")
}
