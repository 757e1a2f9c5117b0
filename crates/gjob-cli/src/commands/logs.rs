//! `gjob logs`: what jobs have printed so far, read from their hosts, or from what was
//! fetched of them. What one job wrote goes to the streams that it wrote to, as it is;
//! what several wrote goes to standard output, with their names.

mod follow;
mod reader;
mod sink;

use anyhow::{anyhow, bail};
use gjob::settings::RunSettings;
use gjob::store::Store;
use gjob_core::run::{HostTask, TaskAttempt};
use gjob_core::{Job, Run};

use self::follow::Follower;
use self::reader::Reader;
use super::job_outputs::JobOutputs;
use super::{find_run, selection};
use crate::cli::LogsArgs;
use crate::exit::{ALL_DONE, Failure, print_error};

pub(crate) fn run(args: &LogsArgs) -> Result<u8, Failure> {
    let dir = find_run(args.run.word())?;
    let store = Store::read(&dir).map_err(Failure::machinery)?;
    let run = store.load().map_err(Failure::machinery)?;
    let settings = store.row().map_err(Failure::machinery)?.settings;
    let settings = RunSettings::from_json(&settings).map_err(Failure::machinery)?;
    let outputs = JobOutputs::of(dir.run(), settings).map_err(Failure::machinery)?;
    if let Some((task, host)) = task_of(args) {
        let attempt = attempt_of(&run, task, host).map_err(Failure::input)?;
        let (job, outputs) = (attempt.as_job(), outputs.with_task(&dir, attempt));
        let job = job.ok_or_else(|| anyhow!("the {task} of host {host} has not started"));
        let mut reader = Reader { args, outputs, several: false, has_shown: false };
        reader.show(&job.map_err(Failure::input)?).map_err(Failure::machinery)?;
        return Ok(ALL_DONE);
    }
    if args.follow {
        let jobs = match &args.jobs[..] {
            [] => run.jobs().iter().collect(),
            words => selection::select(run.jobs(), words).map_err(Failure::input)?,
        };
        let chosen: Vec<u32> = jobs.into_iter().map(|job| job.index).collect();
        let reader = Reader { args, outputs, several: chosen.len() > 1, has_shown: false };
        return Follower::new(&dir, store, run, chosen, reader).follow().map(|()| ALL_DONE);
    }
    let chosen = chosen(args, &run).map_err(Failure::input)?;
    let jobs = match args.attempt {
        None => chosen.into_iter().cloned().collect(),
        Some(number) => attempts(&store, &chosen, number)?,
    };
    drop(store);
    let mut reader = Reader { args, outputs, several: jobs.len() > 1, has_shown: false };
    let mut first = None;
    for job in &jobs {
        let shown = match job.id() {
            None => Err(Failure::input(anyhow!("job {} has not started", job.index))),
            Some(_) => reader.show(job).map_err(Failure::machinery),
        };
        // The others may have some; without a reader, none is shown.
        shown.or_else(|failure| keep_first(&mut first, failure))?;
    }
    first.map_or(Ok(ALL_DONE), Err)
}

/// Keeps the first failure for the end, and prints any other. One that says that nobody
/// reads is returned.
fn keep_first(first: &mut Option<Failure>, failure: Failure) -> Result<(), Failure> {
    match first {
        _ if failure.is_broken_pipe() => return Err(failure),
        None => *first = Some(failure),
        Some(_) => print_error(&format!("{:#}", failure.error)),
    }
    Ok(())
}

/// The task of a host that is meant instead of jobs.
fn task_of(args: &LogsArgs) -> Option<(HostTask, &str)> {
    let setup = args.setup.as_deref().map(|host| (HostTask::Setup, host));
    setup.or(args.teardown.as_deref().map(|host| (HostTask::Teardown, host)))
}

/// The latest execution of a host's task.
fn attempt_of(run: &Run, task: HostTask, host: &str) -> anyhow::Result<TaskAttempt> {
    let Some(host) = run.hosts().iter().find(|it| it.label.as_str() == host) else {
        let known: Vec<&str> = run.hosts().iter().map(|it| it.label.as_str()).take(8).collect();
        bail!("no host {host:?} in this run: expected one of {}", known.join(", "));
    };
    match host.tasks().latest(task) {
        Some(attempt) => Ok(attempt.clone()),
        None => bail!("the {task} of host {} has not started", host.label),
    }
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
