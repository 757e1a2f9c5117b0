//! What `gjob.toml` and the environment add to a command line: options that it does
//! not give itself.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;

use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, CommandFactory, Parser};
use gjob::config::{
    Config, ConfigError, ConfigErrors, ConfigProblem, DefaultOption, DefaultValues,
};
use gjob::nearest::nearest;
use gjob::units::{parse_duration_above_zero, parse_size};
use gjob_core::from_job::is_from_job;
use gjob_core::hosts::ConnectCommand;
use gjob_core::os_text::{from_os, to_os};
use gjob_core::resources::Cpus;

use super::Cli;

/// Hosts, where no option names any.
pub(crate) const HOSTS: &str = "GJOB_HOSTS";

/// Options that name hosts: one of them given, the others are not added.
const HOST_OPTIONS: [&str; 3] = ["hosts", "hosts-file", "cluster"];

/// Options whose values are added to those of the command line.
const ADDED: [&str; 4] = ["file", "output", "env", "skip-done"];

/// Options whose values are paths here.
const PATHS: [&str; 7] =
    ["file", "hosts-file", "cluster", "ssh-config", "into", "joblog", "events"];

/// A command line with all that was added to it.
pub(crate) struct Completed {
    pub(crate) cli: Cli,
    /// The options that a file gives: what it sets for a host counts more.
    pub(crate) from_files: BTreeSet<String>,
    /// True if the hosts are those of the environment.
    pub(crate) hosts_from_environment: bool,
}

/// Completes the command line of a subcommand. `errors` are those of the files so far.
///
/// # Errors
/// Everything that is wrong with the defaults of the files, whether they are used or not.
pub(crate) fn complete(
    args: &[OsString],
    config: &Config,
    mut errors: Vec<ConfigError>,
) -> Result<Completed, ConfigErrors> {
    let cli = Cli::command();
    let run = cli.find_subcommand("run").unwrap_or(&cli);
    let matches = cli.clone().try_get_matches_from(args).unwrap_or_default();
    let name = matches.subcommand_name().unwrap_or_default();
    let command = cli.find_subcommand(name).unwrap_or(&cli);
    let given = Given { command, matches: matches.subcommand_matches(name) };

    let mut words: Vec<OsString> = Vec::new();
    let hosts = std::env::var_os(HOSTS).filter(|hosts| !hosts.is_empty());
    let hosts = hosts.filter(|_| !HOST_OPTIONS.iter().any(|name| given.has_name(name)));
    let hosts_from_environment = hosts.is_some();
    words.extend(hosts.map(|hosts| to_os(&format!("--hosts={}", from_os(&hosts))).into_owned()));

    let mut from_files = BTreeSet::new();
    for default in config.defaults() {
        let added = match words_of(run, default) {
            Ok(words) => words,
            Err(problem) => {
                errors.push(default.error(problem));
                continue;
            }
        };
        let is_for_hosts = HOST_OPTIONS.contains(&default.name.as_str());
        if given.leaves_room_for(default) && !(is_for_hosts && hosts_from_environment) {
            from_files.insert(default.name.clone());
            words.extend(added.iter().map(|word| to_os(word).into_owned()));
        }
    }
    let (program, rest) = args.split_at(args.len().min(2));
    let completed = [program, &words, rest].concat();
    match (Cli::try_parse_from(completed), config.defaults().last()) {
        (Ok(cli), _) if errors.is_empty() => {
            return Ok(Completed { cli, from_files, hosts_from_environment });
        }
        // Each of them is right by itself; two may contradict each other.
        (Err(error), Some(last)) if errors.is_empty() => {
            errors.push(last.error(clap(last, &error)));
        }
        _ => {}
    }
    Err(ConfigErrors(errors))
}

/// What clap says of a value.
fn clap(default: &DefaultOption, error: &clap::Error) -> ConfigProblem {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    let first = match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(valid)) => &format!("expected one of {}", valid.join(", ")),
        _ => first,
    };
    let problem = first.strip_prefix("error: ").unwrap_or(first).to_owned();
    ConfigProblem::Value { name: default.name.clone(), problem }
}

/// What the command line gives itself.
struct Given<'a> {
    command: &'a clap::Command,
    matches: Option<&'a ArgMatches>,
}

impl Given<'_> {
    fn has(&self, arg: &Arg) -> bool {
        let source = self.matches.and_then(|matches| matches.value_source(arg.get_id().as_str()));
        matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable))
    }

    fn has_name(&self, name: &str) -> bool {
        option(self.command, name).is_some_and(|arg| self.has(arg))
    }

    /// True if a default has an effect here.
    fn leaves_room_for(&self, default: &DefaultOption) -> bool {
        let name = default.name.as_str();
        let Some(arg) = option(self.command, name) else { return false };
        if HOST_OPTIONS.contains(&name) {
            return !HOST_OPTIONS.iter().any(|name| self.has_name(name));
        }
        let conflicting = self.command.get_arg_conflicts_with(arg);
        (ADDED.contains(&name) || !self.has(arg)) && !conflicting.iter().any(|arg| self.has(arg))
    }
}

fn option<'a>(command: &'a clap::Command, name: &str) -> Option<&'a Arg> {
    command.get_arguments().find(|arg| arg.get_long() == Some(name))
}

/// A default as words of a command line.
fn words_of(run: &clap::Command, default: &DefaultOption) -> Result<Vec<String>, ConfigProblem> {
    let name = default.name.as_str();
    let Some(arg) = option(run, name).filter(|_| name != "no-config") else {
        let known = run.get_arguments().filter_map(Arg::get_long);
        let nearest = nearest(name, known).map(str::to_owned);
        return Err(ConfigProblem::UnknownOption { found: name.to_owned(), nearest });
    };
    let problem =
        |problem: &str| ConfigProblem::Value { name: name.to_owned(), problem: problem.to_owned() };
    let values = match (&default.values, arg.get_action()) {
        (DefaultValues::Flag(false), ArgAction::SetTrue | ArgAction::Count) => {
            return Ok(Vec::new());
        }
        (DefaultValues::Flag(true), ArgAction::SetTrue | ArgAction::Count) => {
            return Ok(vec![format!("--{name}")]);
        }
        (_, ArgAction::SetTrue | ArgAction::Count) => {
            return Err(problem("expected true or false"));
        }
        (DefaultValues::One(value), ArgAction::Set | ArgAction::Append) => {
            std::slice::from_ref(value)
        }
        (DefaultValues::Several(values), ArgAction::Append) => values,
        (_, ArgAction::Append) => return Err(problem("expected a value or several in brackets")),
        _ => return Err(problem("expected one value")),
    };
    let mut words = Vec::new();
    for value in values {
        check(name, value).map_err(|error| problem(&error))?;
        let value = match PATHS.contains(&name) && !is_from_job(value) {
            true => from_os(default.path(value).as_os_str()).into_owned(),
            false => value.clone(),
        };
        if name == "ssh-config" && !Path::new(&value).exists() {
            let expected = format!("expected an ssh configuration file: {value} does not exist");
            return Err(problem(&expected));
        }
        let word = format!("--{name}={value}");
        if let Err(error) = Cli::try_parse_from(["gjob", "run", &word]) {
            return Err(clap(default, &error));
        }
        words.push(word);
    }
    Ok(words)
}

/// Checks what is otherwise read later.
fn check(name: &str, value: &str) -> Result<(), String> {
    fn told<T, E: ToString>(result: Result<T, E>) -> Result<(), String> {
        result.map(drop).map_err(|error| error.to_string())
    }
    match name {
        "timeout" | "lost-after" | "setup-timeout" => told(parse_duration_above_zero(value)),
        "mem" | "max-output" | "blob-budget" => told(parse_size(value)),
        "cpus" => told(value.parse::<Cpus>()),
        "connect" => told(value.parse::<ConnectCommand>()),
        "env" if !value.contains('=') => Err("expected NAME=VALUE".to_owned()),
        _ => Ok(()),
    }
}
