//! `gjob logs`: what jobs have printed so far, read from their hosts, or from what was
//! fetched of them. What a job wrote to its standard output goes to this one's, as it
//! is; what tells whose it is goes to standard error.

mod reader;

use std::time::Duration;

use anyhow::anyhow;
use gjob::settings::RunSettings;
use gjob::store::{RunDir, Store};
use gjob_core::{Job, Run};

use self::reader::Reader;
use super::job_outputs::JobOutputs;
use super::{find_run, selection};
use crate::cli::LogsArgs;
use crate::exit::{ALL_DONE, Failure, print_error};

/// How often to look for the start of a job.
const POLL_INTERVAL: Duration = Duration::from_millis(300);

pub(crate) fn run(args: &LogsArgs) -> Result<u8, Failure> {
    let dir = find_run(args.run.word())?;
    let store = Store::read(&dir).map_err(Failure::machinery)?;
    let mut run = store.load().map_err(Failure::machinery)?;
    let settings = store.row().map_err(Failure::machinery)?.settings;
    let settings = RunSettings::from_json(&settings).map_err(Failure::machinery)?;
    while args.follow && awaits_start(&dir, &run, args).map_err(Failure::input)? {
        std::thread::sleep(POLL_INTERVAL);
        run = store.load().map_err(Failure::machinery)?;
    }
    let chosen = chosen(args, &run).map_err(Failure::input)?;
    let jobs = match args.attempt {
        None => chosen.into_iter().cloned().collect(),
        Some(number) => attempts(&store, &chosen, number)?,
    };
    drop(store);
    let outputs = JobOutputs::of(dir.run(), settings).map_err(Failure::machinery)?;
    let mut reader = Reader { args, outputs, several: jobs.len() > 1 };
    let mut first = None;
    for job in &jobs {
        let shown = match job.id() {
            None => Err(Failure::input(anyhow!("job {} has not started", job.index))),
            Some(_) => reader.show(job).map_err(Failure::machinery),
        };
        // The others may have some; without a reader, none is shown.
        match (shown, &first) {
            (Ok(()), _) => {}
            (Err(failure), _) if failure.is_broken_pipe() => return Err(failure),
            (Err(failure), None) => first = Some(failure),
            (Err(failure), Some(_)) => print_error(&format!("{:#}", failure.error)),
        }
    }
    first.map_or(Ok(ALL_DONE), Err)
}

/// The jobs that are meant: those that are named, or all that have started.
fn chosen<'a>(args: &LogsArgs, run: &'a Run) -> anyhow::Result<Vec<&'a Job>> {
    let is_named = !args.jobs.is_empty();
    let mut jobs = match is_named {
        true => selection::select(run.jobs(), &args.jobs)?,
        false => run.jobs().iter().filter(|job| job.id().is_some()).collect(),
    };
    if args.failed {
        jobs.retain(|job| job.has_failed() && job.id().is_some());
    }
    Ok(jobs)
}

/// The jobs as they were in an earlier attempt, those that had it.
fn attempts(store: &Store, jobs: &[&Job], number: u32) -> Result<Vec<Job>, Failure> {
    let mut earlier = Vec::new();
    for job in jobs {
        let attempts = store.attempts_of(job.index).map_err(Failure::machinery)?;
        let attempt = attempts.into_iter().find(|attempt| attempt.key.attempt == number);
        let found = attempt.and_then(|attempt| Some((attempt.key, attempt.host, attempt.id?)));
        earlier.extend(found.map(|(key, host, id)| Job::launched(job.spec.clone(), key, host, id)));
    }
    match (earlier.is_empty(), jobs) {
        (false, _) => Ok(earlier),
        (true, [job]) => Err(Failure::input(anyhow!(
            "job {} has no attempt {number} that has started",
            job.index
        ))),
        (true, _) => {
            Err(Failure::input(anyhow!("no job has an attempt {number} that has started")))
        }
    }
}

/// True while a chosen job has not started but may, since there is a manager.
fn awaits_start(dir: &RunDir, run: &Run, args: &LogsArgs) -> anyhow::Result<bool> {
    let waits = |job: &&Job| job.id().is_none() && !job.has_ended();
    let waiting = selection::select(run.jobs(), &args.jobs)?.iter().any(waits);
    Ok(waiting && dir.is_managed()?)
}
