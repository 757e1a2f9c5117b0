//! The jobs of a run, from the command line.

use std::io::{self, IsTerminal, stdin};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use gjob::jobfile::{self, Arguments, Jobs, Said, Source};
use gjob::units;
use gjob_core::dependency::Dependencies;
use gjob_core::resources::Cpus;
use gjob_core::{Builder, JobSpec};

use crate::cli::RunArgs;
use crate::signals;

/// Reads the jobs and puts every error into `errors`.
pub(super) fn collect(args: &RunArgs, errors: &mut Vec<anyhow::Error>) -> Vec<Arc<JobSpec>> {
    let defaults = Defaults::new(args, errors);
    let Some(source) = source(args, errors) else { return Vec::new() };
    let mut jobs = match read(&source) {
        Ok(jobs) => jobs,
        Err(found) => {
            errors.push(found);
            return Vec::new();
        }
    };
    errors.extend(jobs.why_none().map(anyhow::Error::msg));
    for index in 0..jobs.specs.len() {
        let said = jobs.said(index);
        defaults.apply(&mut jobs.specs[index], said);
    }
    let found = [jobs.check_files(), jobs.check_after()];
    errors.extend(found.into_iter().filter_map(Result::err).map(anyhow::Error::from));
    if !errors.is_empty() {
        return Vec::new();
    }
    make(jobs, args.repeat).unwrap_or_else(|error| {
        errors.push(error);
        Vec::new()
    })
}

/// Reads a source. A signal while a script runs ends it and this process.
fn read(source: &Source) -> anyhow::Result<Jobs> {
    let Source::Script(script) = source else {
        return Ok(jobfile::read(source, &mut stdin())?);
    };
    let signals = signals::end_script(script.stopper()).context("can't listen to signals")?;
    let jobs = jobfile::read(source, &mut io::empty());
    signals.settle();
    Ok(jobs?)
}

/// The jobs with all their copies, none of which waits in vain.
fn make(jobs: Jobs, repeat: u32) -> anyhow::Result<Vec<Arc<JobSpec>>> {
    let mut builder = Builder::new();
    builder.set_repeat(repeat);
    let said: Vec<Said> = (0..jobs.specs.len()).map(|index| jobs.said(index)).collect();
    for (spec, said) in jobs.specs.into_iter().zip(said) {
        // An option that is wrong for one job is wrong for every job.
        builder.add_job(spec, said.repeat)?;
    }
    let specs: Vec<Arc<JobSpec>> = builder.into_job_specs().into_iter().map(Arc::new).collect();
    if specs.is_empty() {
        return Err(anyhow!("no jobs: every job is to be repeated 0 times"));
    }
    Dependencies::resolve(&specs)?;
    Ok(specs)
}

fn source(args: &RunArgs, errors: &mut Vec<anyhow::Error>) -> Option<Source> {
    match (args.jobs.as_deref().map(Source::named), args.command.as_slice()) {
        (Some(Source::Script(script)), words) => Some(Source::Script(script.arguments(words))),
        (Some(source), []) => Some(source),
        (Some(_), [word, ..]) => {
            errors.push(anyhow!(
                "-- {word}: a job file takes no arguments: those of a Python script (.py) are \
                 accepted, or -- CMD ::: VALUES without a job file"
            ));
            None
        }
        (None, []) if stdin().is_terminal() => {
            errors.push(anyhow!(
                "no jobs: a job file, - for stdin, or -- CMD ::: VALUES is expected"
            ));
            None
        }
        (None, []) => Some(Source::Stdin),
        (None, words) => Some(Source::Arguments(Arguments::new(words))),
    }
}

/// What the options say for all jobs that don't say it themselves.
struct Defaults<'a> {
    args: &'a RunArgs,
    env: Vec<(&'a str, &'a str)>,
    timeout: Option<Duration>,
    cpus: Option<Cpus>,
    mem: Option<u64>,
}

impl<'a> Defaults<'a> {
    fn new(args: &'a RunArgs, errors: &mut Vec<anyhow::Error>) -> Self {
        let mut env = Vec::new();
        for pair in &args.env {
            match pair.split_once('=') {
                Some(pair) => env.push(pair),
                None => errors.push(anyhow!("--env {pair:?}: NAME=VALUE is expected")),
            }
        }
        let timeout = option("--timeout", &args.timeout, units::parse_duration_above_zero, errors);
        let cpus = option("--cpus", &args.cpus, str::parse, errors);
        let mem = option("--mem", &args.mem, units::parse_size, errors);
        if args.repeat == 0 {
            errors.push(anyhow!("--repeat 0 is not accepted: 1 or more is"));
        }
        let place = || jobfile::Place::Option("--file".to_owned());
        if let Err(found) =
            jobfile::check_files(args.files.iter().map(|path| (path.as_str(), place)))
        {
            errors.push(found.into());
        }
        let defaults = Defaults { args, env, timeout, cpus, mem };
        defaults.check(errors);
        defaults
    }

    /// What the options say is checked by itself, whatever the jobs are like.
    fn check(&self, errors: &mut Vec<anyhow::Error>) {
        let Ok(mut spec) = JobSpec::new(["true"]) else { return };
        self.apply(&mut spec, Said::default());
        errors.extend(spec.check().into_iter().map(|error| anyhow!("options: {error}")));
    }

    fn apply(&self, spec: &mut JobSpec, said: Said) {
        spec.files.extend(self.args.files.iter().cloned());
        spec.link |= self.args.link_files;
        spec.outputs.extend(self.args.outputs.output.iter().cloned());
        if spec.name.is_none() {
            spec.name.clone_from(&self.args.name);
        }
        for (name, value) in &self.env {
            spec.env.entry((*name).to_owned()).or_insert_with(|| (*value).to_owned());
        }
        spec.timeout = spec.timeout.or(self.timeout);
        spec.retries = spec.retries.or(Some(self.args.retries));
        spec.mem = spec.mem.or(self.mem);
        if let Some(cpus) = self.cpus.filter(|_| !said.cpus) {
            spec.cpus = cpus;
        }
        if let Some(gpus) = self.args.gpus.filter(|_| !said.gpus) {
            spec.gpus = gpus;
        }
    }
}

/// The value of an option that may be wrong.
fn option<T, E: std::fmt::Display>(
    name: &str,
    text: &Option<String>,
    parse: impl Fn(&str) -> Result<T, E>,
    errors: &mut Vec<anyhow::Error>,
) -> Option<T> {
    let parsed = parse(text.as_deref()?);
    parsed.map_err(|error| errors.push(anyhow!("{name}: {error}"))).ok()
}
