//! `gjob run --skip-done` and `--only-failed`: which jobs are left out because of what
//! past runs know of them, and why the others are not.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::Arc;

use gjob::NetworkError;
use gjob::inputs::Inputs;
use gjob::past_runs::{LostOutputs, PastJob, PastOutcome, PastRuns, Select, follow};
use gjob::settings::{OutputSettings, RunSettings};
use gjob::store::{RunDir, StateDir, Store};
use gjob_core::plural::counted;
use gjob_core::text::{excerpt, printable};
use gjob_core::{JobSpec, RunId};

use super::find_run;
use crate::cli::{JobOptions, ReportArgs};
use crate::exit::{Failure, print_error};

/// The jobs that are left to run.
pub(super) struct Remaining {
    pub(super) specs: Vec<Arc<JobSpec>>,
    /// Their files, hashed, and perhaps those of others.
    pub(super) inputs: Inputs,
    /// For each, the job of a past run that it runs again.
    pub(super) again: Vec<Option<PastJob>>,
}

/// As many runs are named.
const NAMED: usize = 5;

/// Names every run.
const ALL: &str = "all";

/// Reads the runs that an option names, and those whose jobs they left out; none if
/// neither is given. Errors go to `errors`.
pub(super) fn read(args: &JobOptions, errors: &mut Vec<anyhow::Error>) -> Option<PastRuns> {
    let (words, select) = match args.only_failed.as_slice() {
        [] => (&args.skip_done, Select::NotDone),
        [_, ..] => (&args.only_failed, Select::Failed),
    };
    let mut past = PastRuns::new(args.same.into(), select);
    for word in words {
        let added = match word.as_str() {
            ALL => add_all(&mut past),
            _ => find_run(Some(word)).map_err(|failure| failure.error).and_then(|dir| {
                past.add(&dir)?;
                add_chain(&mut past, &dir)
            }),
        };
        errors.extend(added.err().map(|error| error.context(option(select))));
    }
    (!words.is_empty()).then_some(past)
}

fn option(select: Select) -> &'static str {
    match select {
        Select::NotDone => "--skip-done",
        Select::Failed => "--only-failed",
    }
}

/// Adds every run that can be read.
fn add_all(past: &mut PastRuns) -> anyhow::Result<()> {
    let state = StateDir::from_env()?;
    for run in state.runs()? {
        let added = state.find(Some(&run)).map_err(anyhow::Error::from);
        if let Err(error) = added.and_then(|dir| Ok(past.add(&dir)?)) {
            let option = option(past.select());
            print_error(&format!("{option} all: run {run}: {error:#}"));
        }
    }
    Ok(())
}

/// Adds the runs whose done jobs were left out of a run, and so on. One that was removed
/// since is nobody's.
fn add_chain(past: &mut PastRuns, dir: &RunDir) -> anyhow::Result<()> {
    let state = StateDir::from_env()?;
    let mut next = skipped_for(dir)?;
    while let Some(run) = next.pop() {
        if past.runs().contains(&run) {
            continue;
        }
        if let Ok(dir) = state.find(Some(&run)) {
            past.add(&dir)?;
            next.extend(skipped_for(&dir)?);
        }
    }
    Ok(())
}

fn skipped_for(dir: &RunDir) -> anyhow::Result<Vec<RunId>> {
    let settings = Store::read(dir)?.row()?.settings;
    Ok(RunSettings::from_json(&settings)?.skipped_for)
}

/// Leaves out what is done, and reports it.
pub(super) fn leave_out(
    past: PastRuns,
    specs: Vec<Arc<JobSpec>>,
    report: &ReportArgs,
) -> Result<Remaining, Failure> {
    let inputs = Inputs::hash(specs.iter().map(|spec| &**spec))
        .map_err(|errors| Failure::input(NetworkError::Inputs(errors)))?;
    let (runs, select) = (past.runs().to_vec(), past.select());
    let names: Vec<Option<String>> = match report.verbose {
        true => specs.iter().map(|spec| spec.name.clone()).collect(),
        false => Vec::new(),
    };
    let compared = past.compare(specs, &inputs).map_err(Failure::input)?;
    let mut text = String::new();
    for (index, (name, outcome)) in names.iter().zip(&compared.outcomes).enumerate() {
        let name = name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
        // Writing to a string cannot fail.
        let skipped = if select.takes(*outcome) { "" } else { ", skipped" };
        let _ = writeln!(text, "job {index}{}: {}{skipped}", printable(&name), reason(*outcome));
    }
    text.push_str(&summary(&runs, select, &compared.outcomes));
    if let Some(line) = lost_outputs(&compared.lost_outputs) {
        let _ = write!(text, "\n{line}");
    }
    if !report.is_silent() {
        // There is no other place to report that stderr is gone.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }
    let mended = compared.failed_with_other_files;
    if select == Select::Failed && mended > 0 {
        let help = "help: --same command runs them with the files that are here now";
        if compared.remaining.is_empty() {
            let (runs, jobs) = (name_runs(&runs), counted(mended, "job"));
            return Err(Failure::input(anyhow::anyhow!(
                "nothing was started: {jobs} failed in {runs} with other files\n{help}"
            )));
        }
        if !report.is_quiet() {
            print_error(help);
        }
    }
    let inputs = inputs.with_past(compared.past);
    Ok(Remaining { specs: compared.remaining, inputs, again: compared.again })
}

/// Which jobs run again for their outputs, and why.
fn lost_outputs(lost: &[LostOutputs]) -> Option<String> {
    let (LostOutputs { job, reason }, others) = lost.split_first()?;
    let (job, reason) = (excerpt(job), printable(reason));
    Some(match others.len() as u64 {
        0 => format!("job {job} runs again, since its outputs are needed: {reason}"),
        more => {
            let more = counted(more, "more job");
            format!("job {job} and {more} run again, since their outputs are needed: {reason}")
        }
    })
}

/// Goes on with the directory of outputs of the past runs, if the new run has the same.
pub(super) fn follow_outputs(
    outputs: &mut OutputSettings,
    runs: &[RunId],
    left: &Remaining,
) -> Result<(), Failure> {
    let Some(into) = outputs.into.clone() else { return Ok(()) };
    let state = StateDir::from_env().map_err(Failure::input)?;
    let dirs = runs.iter().map(|run| state.find(Some(run))).collect::<Result<Vec<_>, _>>();
    let dirs = dirs.map_err(Failure::input)?;
    let jobs: Vec<_> = left.specs.iter().cloned().zip(left.again.iter().copied()).collect();
    outputs.follows = follow(&dirs, &into, &jobs).map_err(Failure::machinery)?;
    Ok(())
}

/// Why a job is skipped or not.
fn reason(outcome: PastOutcome) -> &'static str {
    match outcome {
        PastOutcome::Done => "done",
        PastOutcome::Needed => "its outputs are needed",
        PastOutcome::New => "new",
        PastOutcome::Failed => "failed",
        PastOutcome::Unknown => "unknown outcome",
        PastOutcome::Unfinished => "unfinished",
        PastOutcome::ExtraCopy => "extra copy",
        PastOutcome::OtherFiles => "other files",
        PastOutcome::OtherOutputs => "other outputs",
    }
}

/// A number of jobs that are not skipped for the same reason.
fn group(outcome: PastOutcome, count: u64) -> String {
    let reason = reason(outcome);
    match outcome {
        PastOutcome::Done | PastOutcome::New | PastOutcome::Failed | PastOutcome::Unfinished => {
            format!("{count} {reason}")
        }
        PastOutcome::Needed => format!("{count} whose outputs are needed"),
        PastOutcome::ExtraCopy => counted(count, reason),
        PastOutcome::Unknown | PastOutcome::OtherFiles | PastOutcome::OtherOutputs => {
            format!("{count} with {reason}")
        }
    }
}

/// How many jobs are skipped or run, and what the others are.
fn summary(runs: &[RunId], select: Select, outcomes: &[PastOutcome]) -> String {
    let mut counts: BTreeMap<PastOutcome, u64> = BTreeMap::new();
    outcomes.iter().for_each(|outcome| *counts.entry(*outcome).or_default() += 1);
    let (taken, left_out): (Vec<_>, Vec<_>) =
        counts.into_iter().partition(|(outcome, _)| select.takes(*outcome));
    let number = |groups: &[(PastOutcome, u64)]| groups.iter().map(|(_, count)| count).sum::<u64>();
    let (run, skipped) = (number(&taken), number(&left_out));
    let named = |groups: Vec<(PastOutcome, u64)>| {
        let groups = groups.into_iter().map(|(outcome, count)| group(outcome, count));
        groups.collect::<Vec<_>>().join(", ")
    };
    let (runs, all) = (name_runs(runs), outcomes.len());
    match (select, run, skipped) {
        (Select::NotDone, 0, done) => {
            format!("skipping jobs done in {runs}: {done} of {all}; nothing left to run")
        }
        (Select::NotDone, _, done) => {
            format!("skipping jobs done in {runs}: {done} of {all}; left: {}", named(taken))
        }
        (Select::Failed, failed, 0) => {
            format!("running only jobs that failed in {runs}: {failed} of {all}")
        }
        (Select::Failed, failed, _) => format!(
            "running only jobs that failed in {runs}: {failed} of {all}; skipped: {}",
            named(left_out)
        ),
    }
}

fn name_runs(runs: &[RunId]) -> String {
    let names: Vec<&str> = runs.iter().map(RunId::as_str).collect();
    match names.as_slice() {
        [run] => format!("run {run}"),
        runs if runs.len() <= NAMED => format!("runs {}", runs.join(", ")),
        runs => format!("{} runs", runs.len()),
    }
}
