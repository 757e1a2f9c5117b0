//! `gjob retry`: retries failed jobs and jobs whose outcome is unknown, with the files
//! that were sent for them.

use anyhow::anyhow;
use gjob::manager::Act;
use gjob::store::{RunDir, Store};
use gjob_core::Job;
use gjob_core::text::printable;

use super::acting::{choose, not_acted, on_chosen};
use super::attach;
use crate::cli::{ReportArgs, RetryArgs};
use crate::exit::{Failure, print_error};

/// As many files are named.
const NAMED: usize = 5;

pub(crate) fn run(args: &RetryArgs) -> Result<u8, Failure> {
    let jobs = &args.jobs;
    let (dir, chosen) = choose(Act::Retry, jobs.run.word(), &jobs.jobs, Job::has_failed)?;
    if !args.old_files {
        refuse_changed_files(&dir, &chosen).map_err(Failure::input)?;
    }
    let acted = on_chosen(dir.clone(), Act::Retry, &chosen).map_err(not_acted)?;
    if !args.attach {
        return acted.say();
    }
    acted.refusals().for_each(|refusal| print_error(&refusal));
    attach::to_the_end(&dir, &ReportArgs::default(), &attach::Resume::default())
}

/// Who has mended a file wants the mended one: that it would not be used has to be said.
pub(crate) fn refuse_changed_files(dir: &RunDir, chosen: &[u32]) -> anyhow::Result<()> {
    let store = Store::read(dir)?;
    let (run, inputs) = (store.load()?, store.inputs()?);
    let jobs = chosen.iter().filter_map(|index| run.job(*index)).filter(|job| job.has_failed());
    let changed = inputs.changed(jobs.map(|job| &*job.spec));
    if changed.is_empty() {
        return Ok(());
    }
    let run = dir.run();
    let named: Vec<String> = changed.iter().take(NAMED).map(|path| printable(path)).collect();
    let more = match changed.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let have = if changed.len() == 1 { "has" } else { "have" };
    Err(anyhow!(
        "{}{more} {have} changed since run {run} was submitted: a retry uses what was sent then\n\
         help: to retry with the old files, `gjob retry --old-files -R {run}`\n\
         help: to use the new ones, submit the jobs again with `gjob run … --skip-done {run}`: \
         it runs those that are not done, and those whose files have changed",
        named.join(", ")
    ))
}
