//! `gjob run --skip-done`: leaves out the jobs that are done in earlier runs,
//! and says why the others are not.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::Arc;

use gjob::NetworkError;
use gjob::earlier::{Earlier, Standing};
use gjob::inputs::Inputs;
use gjob_core::JobSpec;
use gjob_core::subset::subset;

use super::find_run;
use crate::exit::Failure;

/// The jobs that are left to be run.
pub(super) struct Left {
    pub(super) specs: Vec<Arc<JobSpec>>,
    /// Their files, hashed, and perhaps those of others.
    pub(super) inputs: Inputs,
}

/// Reads the runs that the option names; none when it names none. Every error
/// is put into `errors`.
pub(super) fn read(runs: &[String], errors: &mut Vec<anyhow::Error>) -> Option<Earlier> {
    let mut earlier = Earlier::default();
    for run in runs {
        let found = find_run(Some(run)).map_err(|failure| failure.error);
        let added = found.and_then(|dir| Ok(earlier.add(&dir)?));
        errors.extend(added.err().map(|error| error.context("--skip-done")));
    }
    (!runs.is_empty()).then_some(earlier)
}

/// Leaves out what is done.
pub(super) fn leave_out(
    earlier: Earlier,
    specs: Vec<Arc<JobSpec>>,
    verbose: bool,
) -> Result<Left, Failure> {
    let inputs = Inputs::hash(specs.iter().map(|spec| &**spec))
        .map_err(|errors| Failure::input(NetworkError::Inputs(errors)))?;
    let runs: Vec<&str> = earlier.runs().iter().map(gjob_core::RunId::as_str).collect();
    let runs = match runs.as_slice() {
        [run] => format!("run {run}"),
        runs => format!("runs {}", runs.join(", ")),
    };
    let standings = earlier.compare(&specs, &inputs);
    let mut text = String::new();
    if verbose {
        for (index, (spec, standing)) in specs.iter().zip(&standings).enumerate() {
            let name = spec.name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
            // Writing to a string can't fail.
            let _ = writeln!(text, "job {index}{name}: {}", of_one(*standing));
        }
    }
    text.push_str(&summary(&runs, &standings));
    // With stderr gone there is nobody to tell.
    let _ = writeln!(io::stderr().lock(), "{text}");
    let is_kept: Vec<bool> = standings.iter().map(|at| *at != Standing::Done).collect();
    Ok(Left { specs: subset(specs, &is_kept), inputs })
}

fn of_one(standing: Standing) -> &'static str {
    match standing {
        Standing::Done => "is done and skipped",
        Standing::New => "is new",
        Standing::Failed => "has failed there",
        Standing::Unknown => "has an unknown outcome there",
        Standing::NotEnded => "has no outcome there yet",
        Standing::MoreCopies => "is one copy more than are there",
        Standing::OtherFiles => "has other files",
        Standing::OtherOutputs => "has other outputs",
    }
}

fn of_many(standing: Standing) -> &'static str {
    match standing {
        Standing::Done => "are done and skipped",
        Standing::New => "are new",
        Standing::Failed => "have failed there",
        Standing::Unknown => "have an unknown outcome there",
        Standing::NotEnded => "have no outcome there yet",
        Standing::MoreCopies => "are more copies than are there",
        Standing::OtherFiles => "have other files",
        Standing::OtherOutputs => "have other outputs",
    }
}

/// How many jobs are skipped, and why the others are not.
fn summary(runs: &str, standings: &[Standing]) -> String {
    let count = |standing: Standing| standings.iter().filter(|at| **at == standing).count();
    let (all, done) = (standings.len(), count(Standing::Done));
    let are = if done == 1 { "is" } else { "are" };
    let mut text = format!("{done} of {all} jobs {are} done in {runs} and skipped");
    let others = [
        Standing::New,
        Standing::Failed,
        Standing::Unknown,
        Standing::NotEnded,
        Standing::MoreCopies,
        Standing::OtherFiles,
        Standing::OtherOutputs,
    ];
    let others: Vec<String> = others
        .into_iter()
        .filter_map(|standing| match count(standing) {
            0 => None,
            1 => Some(format!("1 {}", of_one(standing))),
            count => Some(format!("{count} {}", of_many(standing))),
        })
        .collect();
    if others.is_empty() {
        text.push_str(": nothing is left to be run");
    } else {
        text.push_str("; ");
        text.push_str(&others.join(", "));
    }
    text
}
