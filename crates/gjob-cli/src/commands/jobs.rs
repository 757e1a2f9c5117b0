//! The jobs of a run, from the command line.

use std::io::{IsTerminal, stdin};

use anyhow::anyhow;
use gjob::jobfile::{self, Arguments, Source};
use gjob_core::{Builder, JobSpec};

use crate::cli::RunArgs;

/// Reads the jobs and puts every error into `errors`.
pub(super) fn collect(args: &RunArgs, errors: &mut Vec<anyhow::Error>) -> Vec<JobSpec> {
    let defaults = Defaults::new(args, errors);
    let Some(source) = source(args, errors) else { return Vec::new() };
    let jobs = match jobfile::read(&source, &mut stdin()) {
        Ok(jobs) => jobs,
        Err(found) => {
            errors.push(found.into());
            return Vec::new();
        }
    };
    if let Err(found) = jobs.check_files() {
        errors.push(found.into());
    }
    if jobs.specs.is_empty() {
        errors.push(anyhow!("no jobs: the job source has no command in it"));
    }
    if !errors.is_empty() {
        return Vec::new();
    }
    let mut builder = Builder::new();
    builder.set_repeat(args.repeat);
    for mut spec in jobs.specs {
        defaults.apply(&mut spec);
        if let Err(error) = builder.add_job(spec, None) {
            errors.push(error.into());
            // The same default is wrong for every job: once is enough.
            break;
        }
    }
    builder.make_job_specs()
}

fn source(args: &RunArgs, errors: &mut Vec<anyhow::Error>) -> Option<Source> {
    match (&args.jobs, args.command.as_slice()) {
        (Some(name), _) => Some(Source::named(name)),
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
    timeout: Option<std::time::Duration>,
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
        let timeout = args.timeout.as_deref().and_then(|text| {
            let parsed = gjob::units::parse_duration_above_zero(text);
            parsed.map_err(|error| errors.push(anyhow!("--timeout: {error}"))).ok()
        });
        if args.repeat == 0 {
            errors.push(anyhow!("--repeat 0 is not accepted: 1 or more is"));
        }
        let place = || jobfile::Place::Option("--file".to_owned());
        if let Err(found) =
            jobfile::check_files(args.files.iter().map(|path| (path.as_str(), place)))
        {
            errors.push(found.into());
        }
        let defaults = Defaults { args, env, timeout };
        defaults.check(errors);
        defaults
    }

    /// What the options say is checked by itself, whatever the jobs are like.
    fn check(&self, errors: &mut Vec<anyhow::Error>) {
        let Ok(mut spec) = JobSpec::new(["true"]) else { return };
        self.apply(&mut spec);
        errors.extend(spec.check().into_iter().map(|error| anyhow!("options: {error}")));
    }

    fn apply(&self, spec: &mut JobSpec) {
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
    }
}
