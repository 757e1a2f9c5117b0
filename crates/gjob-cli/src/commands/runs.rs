//! `gjob runs`: every run, oldest first, with how it stands.

use std::io::Write;

use gjob::store::{StateDir, Store, StoreError};
use gjob_core::State;
use gjob_core::plural::counted;
use gjob_core::run::{Tally, run_state};
use serde::Serialize;

use crate::cli::RunsArgs;
use crate::exit::{ALL_DONE, Failure};

#[derive(Serialize)]
struct Line {
    run: String,
    state: State,
    created: String,
    counts: Tally,
    hosts: usize,
}

pub(crate) fn run(args: &RunsArgs) -> Result<u8, Failure> {
    let state = StateDir::from_env().map_err(Failure::input)?;
    let lines = collect(&state).map_err(Failure::machinery)?;
    print(&lines, args.json).map_err(Failure::machinery)?;
    Ok(ALL_DONE)
}

fn collect(state: &StateDir) -> Result<Vec<Line>, StoreError> {
    let mut lines = Vec::new();
    for run in state.runs()? {
        // A run whose database is not made yet, or that launched jobs without one.
        let Ok(dir) = state.find(Some(&run)) else { continue };
        let store = Store::read(&dir)?;
        let managed = dir.is_managed()?;
        let (jobs, shown) = store.tally(managed)?;
        lines.push(Line {
            run: run.to_string(),
            state: run_state(jobs, managed),
            created: store.row()?.created.to_string(),
            counts: shown,
            hosts: store.hosts()?.len(),
        });
    }
    Ok(lines)
}

fn print(lines: &[Line], json: bool) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, lines)?;
        return writeln!(out);
    }
    for line in lines {
        let Line { run, state, created, counts, hosts } = line;
        writeln!(
            out,
            "{run:<16} {state:<8} {created}  {}  {counts}",
            counted(*hosts as u64, "host")
        )?;
    }
    Ok(())
}
