//! `gjob retry`: retries failed jobs and jobs whose outcome is unknown, with the files
//! that were sent for them, or with those that are there now.

use std::collections::BTreeSet;

use anyhow::anyhow;
use gjob::inputs::{InputError, Inputs};
use gjob::manager::Act;
use gjob::store::{RunDir, Store};
use gjob::units::parse_size;
use gjob_core::size::shown_size;
use gjob_core::{Job, Run};

use super::acting::{choose, not_acted, on_chosen, retry_with};
use super::attach;
use crate::cli::{ReportArgs, RetryArgs};
use crate::exit::{Failure, print_error};
use crate::report::name_files;

pub(crate) fn run(args: &RetryArgs) -> Result<u8, Failure> {
    let jobs = &args.jobs;
    let mem = args.mem.as_deref().map(parse_size).transpose();
    let mem = mem.map_err(|error| Failure::input(anyhow!("--mem: {error}")))?;
    let (dir, chosen) = choose(Act::Retry, jobs.run.word(), &jobs.jobs, Job::has_failed)?;
    if let Some(mem) = mem {
        refuse_memory(&dir, &chosen, mem)?;
    }
    let new_files = match (args.new_files, args.old_files) {
        (true, _) => new_files(&dir, &chosen, jobs.jobs.is_empty())?,
        (false, true) => None,
        (false, false) => {
            refuse_changed_files(&dir, &chosen, args.attach).map_err(Failure::input)?;
            None
        }
    };
    let acted = match new_files.is_some() || mem.is_some() && !chosen.is_empty() {
        true => retry_with(dir.clone(), &chosen, new_files, mem),
        false => on_chosen(dir.clone(), Act::Retry, &chosen),
    };
    let acted = acted.map_err(not_acted)?;
    if !args.attach {
        return acted.say();
    }
    acted.refusals().for_each(|refusal| print_error(&refusal));
    let report = ReportArgs::quiet(args.quiet);
    attach::to_the_end(&dir, &report, &attach::Resume::default())
}

/// Refuses memory that no host offers any of the jobs that would get it.
fn refuse_memory(dir: &RunDir, chosen: &[u32], mem: u64) -> Result<(), Failure> {
    let run = Store::read(dir).and_then(|store| store.load());
    let run = run.map_err(Failure::machinery)?;
    let was_tried = |job: &Job| job.has_failed() && job.last_attempt > 0;
    let tried = |index: &u32| run.job(*index).is_some_and(was_tried);
    let getting: Vec<u32> = chosen.iter().copied().filter(tried).collect();
    if getting.is_empty() || run.without_memory(&getting, mem).len() < getting.len() {
        return Ok(());
    }
    let mem = shown_size(mem);
    Err(Failure::input(anyhow!("no host offers {mem} of memory\nno job was retried")))
}

/// The files of jobs that are not what was sent, as they are now; none if all are.
fn new_files(dir: &RunDir, chosen: &[u32], all: bool) -> Result<Option<Inputs>, Failure> {
    let (inputs, changed) = changed_files(dir, chosen, all).map_err(Failure::machinery)?;
    if changed.is_empty() {
        return Ok(None);
    }
    let changed: Vec<&str> = changed.iter().map(String::as_str).collect();
    inputs.hash_again(&changed).map(Some).map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(InputError::to_string).collect();
        Failure::input(anyhow!("{}\nno job was retried", errors.join("\n")))
    })
}

/// What was sent of a run's files, and the paths that are not the same now, of those that
/// jobs need which would be retried, or, with `all`, that have not ended.
fn changed_files(dir: &RunDir, chosen: &[u32], all: bool) -> anyhow::Result<(Inputs, Vec<String>)> {
    let store = Store::read(dir)?;
    let (run, inputs) = (store.load()?, store.inputs()?);
    let mut retried = with_dependants(&run, chosen);
    let is_open = |job: &&Job| all && !job.has_ended();
    retried.extend(run.jobs().iter().filter(is_open).map(|job| job.index));
    let jobs = retried.iter().filter_map(|index| run.job(*index));
    let changed = inputs.changed(jobs.map(|job| &*job.spec));
    let changed = changed.into_iter().map(str::to_owned).collect();
    Ok((inputs, changed))
}

/// The failed ones of these jobs, and the failed ones that wait for them.
fn with_dependants(run: &Run, chosen: &[u32]) -> BTreeSet<u32> {
    let has_failed = |index: &u32| run.job(*index).is_some_and(Job::has_failed);
    let mut found: BTreeSet<u32> = chosen.iter().copied().filter(has_failed).collect();
    let dependencies = run.dependencies();
    let mut next: Vec<u32> = found.iter().copied().collect();
    let mut seen = BTreeSet::new();
    while let Some(index) = next.pop() {
        for group in dependencies.member_of(index).iter().filter(|group| seen.insert(**group)) {
            let dependants = &dependencies.groups()[*group as usize].dependants;
            let failed = dependants.iter().copied().filter(has_failed);
            next.extend(failed.filter(|dependant| found.insert(*dependant)));
        }
    }
    found
}

/// Who has mended a file wants the mended one: that it would not be used has to be said.
pub(crate) fn refuse_changed_files(
    dir: &RunDir,
    chosen: &[u32],
    attach: bool,
) -> anyhow::Result<()> {
    let (_, changed) = changed_files(dir, chosen, false)?;
    if changed.is_empty() {
        return Ok(());
    }
    let (has, it) = match changed.len() {
        1 => ("has", "it"),
        _ => ("have", "them"),
    };
    let attach = if attach { " --attach" } else { "" };
    Err(anyhow!(
        "{files} {has} changed since gjob sent {it}\n\
         help: to send {it} again: `gjob retry --new-files{attach} -R {run}`; \
         to use what was sent: `--old-files`",
        files = name_files(&changed),
        run = dir.run()
    ))
}
