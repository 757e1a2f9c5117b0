//! The jobs of a run, from the command line.

use std::io::{self, IsTerminal, stdin};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow};
use gjob::jobfile::{self, Arguments, JobDraft, Jobs, Source, ValueEnd};
use gjob::units;
use gjob_core::JobSpec;

use crate::cli::{RunArgs, misread};
use crate::exit::print_error;
use crate::signals;

/// The jobs that a user asks for.
pub(super) struct Collected {
    pub(super) specs: Vec<Arc<JobSpec>>,
    /// True if standard input was read for them: it has no keys for anything else.
    pub(super) has_read_stdin: bool,
}

/// Reads the jobs and puts every error into `errors`.
pub(super) fn collect(args: &RunArgs, errors: &mut Vec<anyhow::Error>) -> Collected {
    let defaults = defaults(args, errors);
    let Some(source) = source(args, errors) else {
        return Collected { specs: Vec::new(), has_read_stdin: false };
    };
    let has_read_stdin = match &source {
        Source::Stdin => true,
        Source::Arguments(arguments) => arguments.reads_stdin(),
        _ => false,
    };
    let specs = match &defaults {
        Some(defaults) => read(&source, defaults).and_then(|jobs| {
            if !args.report.is_quiet() {
                jobs.notes().iter().for_each(|note| print_error(note));
            }
            Ok(jobs.into_specs()?)
        }),
        // Only what is wrong with the jobs themselves: together they may lack what
        // the defaults should have been.
        None => read(&source, &JobDraft::default()).map(|_| Vec::new()),
    };
    let specs = specs.unwrap_or_else(|error| {
        errors.push(match as_command(args) {
            Some(help) => anyhow!("{error:#}\n{help}"),
            None => error,
        });
        Vec::new()
    });
    Collected { specs, has_read_stdin }
}

/// For a job file that does not exist, and is a command instead.
fn as_command(args: &RunArgs) -> Option<String> {
    let name = args.jobs.as_deref().filter(|name| !name.contains('/'))?;
    let is_program = |dir: PathBuf| dir.join(name).is_file();
    let is_command = std::env::split_paths(&std::env::var_os("PATH")?).any(is_program);
    (is_command && !Path::new(name).exists()).then(|| {
        format!("help: {name} is a command, which goes behind dashes: gjob run … -- {name}")
    })
}

/// Reads a source. A signal while a script runs ends it and this process.
fn read(source: &Source, defaults: &JobDraft) -> anyhow::Result<Jobs> {
    let Source::Script(script) = source else {
        return Ok(jobfile::read(source, defaults, &mut stdin())?);
    };
    let signals = signals::end_script(script.stopper()).context("cannot listen for signals")?;
    let jobs = jobfile::read(source, defaults, &mut io::empty());
    signals.settle();
    Ok(jobs?)
}

fn source(args: &RunArgs, errors: &mut Vec<anyhow::Error>) -> Option<Source> {
    match (args.jobs.as_deref().map(Source::named), args.command.as_slice()) {
        (Some(Source::Script(script)), words) => Some(Source::Script(script.arguments(words))),
        (Some(source), []) => Some(source),
        (Some(_), [word, ..]) => {
            let argv: Vec<_> = std::env::args_os().collect();
            let jobs = args.jobs.as_deref().unwrap_or_default();
            let meant = misread::value_taken_for_job_file(&argv, jobs).unwrap_or_else(|| {
                format!(
                    "-- {word}: expected no arguments for a job file other than a Python script (.py)\n\
                     help: to run a command with values, leave out the job file: -- CMD ::: VALUES"
                )
            });
            errors.push(anyhow!(meant));
            None
        }
        (None, []) if stdin().is_terminal() => {
            errors.push(anyhow!(
                "no jobs: expected a job file, - for standard input, or -- CMD ::: VALUES"
            ));
            None
        }
        (None, []) if !args.options.null => Some(Source::Stdin),
        (None, words) => {
            let end = if args.options.null { ValueEnd::Nul } else { ValueEnd::Line };
            let arguments = Arguments::new(words).values_end_in(end);
            let arguments = arguments.with_header(args.options.header.is_some());
            let has_values = has_values(args.options.null) && !args.options.each_host;
            let arguments = if has_values { arguments } else { arguments.alone() };
            if arguments.reads_stdin() && stdin().is_terminal() {
                print_error("reading values from the terminal, one a line; Ctrl-D ends them");
            }
            Some(Source::Arguments(arguments))
        }
    }
}

/// True if standard input may hold values: neither a terminal nor the null device does,
/// unless an option says so.
fn has_values(said: bool) -> bool {
    let device = |path: &str| std::fs::metadata(path).map(|found| found.rdev()).ok();
    let is_null =
        || matches!((device("/dev/stdin"), device("/dev/null")), (Some(a), Some(b)) if a == b);
    said || !(stdin().is_terminal() || is_null())
}

/// What the options set for jobs that do not set it themselves; none if anything is
/// wrong with them.
fn defaults(args: &RunArgs, errors: &mut Vec<anyhow::Error>) -> Option<JobDraft> {
    let known = errors.len();
    let defaults = JobDraft {
        files: args.files.files.clone(),
        link: args.files.link_files,
        outputs: args.files.outputs.output.clone(),
        name: args.options.name.clone(),
        env: args.options.env.iter().filter_map(|pair| variable(pair, errors)).collect(),
        timeout: option(
            "timeout",
            &args.failures.timeout,
            units::parse_duration_above_zero,
            errors,
        ),
        retries: args.failures.retries,
        retry_mem: args.failures.retry_mem,
        cpus: option("cpus", &args.options.cpus, str::parse, errors),
        affinity: args.options.affinity,
        gpus: args.options.gpus,
        mem: option("mem", &args.options.mem, units::parse_size, errors),
        repeat: Some(args.options.repeat),
        hosts: args.options.on_hosts.clone(),
        labels: args.options.label.clone(),
        pipefail: args.options.pipefail,
        shell: args.options.shell.map(Into::into),
        ..JobDraft::default()
    };
    let will_be_filled = args.jobs.is_none() && !args.command.is_empty();
    for (field, problem) in defaults.check_defaults(will_be_filled) {
        let option = match field {
            "files" => "file",
            "outputs" => "output",
            "hosts" => "on-hosts",
            "labels" => "label",
            "retry_mem" => "retry-mem",
            field => field,
        };
        let help = problem.help().map(|help| format!("\nhelp: {help}")).unwrap_or_default();
        errors.push(anyhow!("--{option}: {problem}{help}"));
    }
    (errors.len() == known).then_some(defaults)
}

fn variable(pair: &str, errors: &mut Vec<anyhow::Error>) -> Option<(String, String)> {
    let variable = pair.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    if variable.is_none() {
        errors.push(anyhow!("--env: invalid variable {pair:?}: expected NAME=VALUE"));
    }
    variable
}

/// The value of an option that may be wrong.
fn option<T, E: std::fmt::Display>(
    name: &str,
    text: &Option<String>,
    parse: impl Fn(&str) -> Result<T, E>,
    errors: &mut Vec<anyhow::Error>,
) -> Option<T> {
    let parsed = parse(text.as_deref()?);
    parsed.map_err(|error| errors.push(anyhow!("--{name}: {error}"))).ok()
}
