//! What was probably meant by a command line that gjob does not understand: words of
//! other programs, several values where an option takes one, options of a command
//! that is not behind `--`.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser};
use gjob::nearest::nearest;
use gjob_core::os_text::from_os;

use super::{Cli, Command, foreign, plain_error};
use crate::exit::{BAD_INPUT, Failure, finish, print_error};

/// Reads the command line. What is wrong with it is printed.
pub(crate) fn parse(args: &[OsString]) -> Result<Cli, ExitCode> {
    let mut error = match Cli::try_parse_from(args) {
        Ok(cli) => return Ok(cli),
        Err(error) => error,
    };
    if let Some(text) = explain(&error, args) {
        print_error(&text);
        return Err(ExitCode::from(BAD_INPUT));
    }
    if suggested(&error).is_some_and(|option| !is_shown(option, args)) {
        error.remove(ContextKind::SuggestedArg);
    }
    // That an unknown option goes behind `--` "as a value" is not what is meant: it
    // would be run.
    error.remove(ContextKind::Suggested);
    match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        | ErrorKind::DisplayVersion => {
            // It is what was asked for, if it goes to stdout. Without stderr there is no reader.
            if let Err(failure) = error.print().map_err(Failure::machinery)
                && !error.use_stderr()
            {
                return Err(finish(Err(failure)));
            }
        }
        _ => print_error(&plain_error::text(&error.render().to_string(), args)),
    }
    Err(ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(BAD_INPUT)))
}

fn suggested(error: &clap::Error) -> Option<&str> {
    match error.get(ContextKind::SuggestedArg)? {
        ContextValue::String(option) => Some(option),
        _ => None,
    }
}

/// True for an option that the help of the command shows.
fn is_shown(option: &str, args: &[OsString]) -> bool {
    let cli = Cli::command();
    let command = args.get(1).and_then(|name| cli.find_subcommand(name)).unwrap_or(&cli);
    let mut longs = command.get_arguments().filter_map(clap::Arg::get_long);
    longs.any(|long| option.strip_prefix("--") == Some(long))
}

fn explain(error: &clap::Error, args: &[OsString]) -> Option<String> {
    let word = |kind| match error.get(kind) {
        Some(ContextValue::String(word)) => Some(word.clone()),
        _ => None,
    };
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            Some(unknown_command(&word(ContextKind::InvalidSubcommand)?, args))
        }
        ErrorKind::UnknownArgument => {
            let word = word(ContextKind::InvalidArg)?;
            let unknown = || if is_run(args) { unknown_argument(&word, args) } else { None };
            slip(&word, args).or_else(unknown)
        }
        ErrorKind::MissingRequiredArgument => {
            let command = command_of(args)?;
            let advice = foreign::slip(&command, "")?;
            Some(format!("{command}: nothing is named\nhelp: {advice}"))
        }
        _ => None,
    }
}

/// For a word that a command of gjob's does not take, though others do.
fn slip(word: &str, args: &[OsString]) -> Option<String> {
    let advice = foreign::slip(&command_of(args)?, word)?;
    let what = if word.starts_with('-') { "unknown option" } else { "unexpected argument" };
    Some(format!("{what} {word}\nhelp: {advice}"))
}

/// The command, whichever of its names it was called by.
fn command_of(args: &[OsString]) -> Option<String> {
    let cli = Cli::command();
    Some(cli.find_subcommand(args.get(1)?)?.get_name().to_owned())
}

fn is_run(args: &[OsString]) -> bool {
    args.get(1).is_some_and(|word| word == "run")
}

fn unknown_command(word: &str, args: &[OsString]) -> String {
    let cli = Cli::command();
    let shown = cli.get_subcommands().filter(|command| !command.is_hide_set());
    let nearest = nearest(word, shown.map(clap::Command::get_name));
    let rest = args.get(1..).unwrap_or_default();
    let advice = match (foreign::command(word), nearest) {
        (Some(advice), _) => advice.to_owned(),
        (None, Some(nearest)) => format!("did you mean {nearest:?}?"),
        (None, None) if Path::new(word).is_file() => {
            format!("for the jobs in a file: gjob run {}", joined(rest))
        }
        (None, None) => format!("to run it as a job: gjob run -- {}", joined(rest)),
    };
    format!("unknown command {word:?}\nhelp: {advice}")
}

fn unknown_argument(word: &str, args: &[OsString]) -> Option<String> {
    let is_it = |arg: &OsString| {
        let arg = from_os(arg);
        arg == word
            || (word.starts_with("--") && arg.starts_with(&format!("{word}=")))
            || (word.len() == 2 && word.starts_with('-') && arg.starts_with(word))
    };
    let at = args.iter().position(is_it)?;
    if let Some(text) = stray(word, args, at) {
        return Some(text);
    }
    let advice = foreign::option(word)?;
    Some(format!("unknown option {word}\nhelp: {advice}"))
}

/// For a word behind what was taken for the job file.
fn stray(word: &str, args: &[OsString], at: usize) -> Option<String> {
    let Ok(Cli { command: Command::Run(run) }) = Cli::try_parse_from(&args[..at]) else {
        return None;
    };
    let jobs = run.jobs?;
    if let Some(text) = value_taken_for_job_file(&args[..at], &jobs) {
        return Some(text);
    }
    let rest = joined(args.get(at..)?);
    let is_option = word.starts_with('-');
    Some(match jobs.ends_with(".py") {
        // Options of gjob's come behind the job file, too.
        true if is_option && foreign::option(word).is_some() => return None,
        true => format!(
            "unexpected argument {word:?}: arguments of {jobs} go after --\nhelp: gjob run {jobs} -- {rest}"
        ),
        false if is_option && foreign::option(word).is_some() => return None,
        false if is_option || !Path::new(word).exists() => format!(
            "unexpected argument {word:?}: {jobs} was taken for the job file\n\
             help: a command goes after --: gjob run -- {jobs} {rest}"
        ),
        false => format!(
            "unexpected argument {word:?}: expected one job file\n\
             help: cat {jobs} {word} | gjob run -"
        ),
    })
}

/// What was meant if the word that was taken for the job file is the second value of
/// an option that takes one: `-f a b`, or `-f *.py` as a shell expands it.
pub(crate) fn value_taken_for_job_file(args: &[OsString], jobs: &str) -> Option<String> {
    let end = args.iter().position(|arg| arg == "--").unwrap_or(args.len());
    let at = args[..end].iter().rposition(|arg| from_os(arg) == jobs)?;
    let first = from_os(args.get(at.checked_sub(1)?)?);
    let (option, first) = match from_os(args.get(at.checked_sub(2)?)?) {
        option if is_list(&option) => (option.into_owned(), first.into_owned()),
        _ => {
            let (option, value) = split(&first)?;
            (option.to_owned(), value.to_owned())
        }
    };
    let told = format!("{jobs} was taken for the job file: {option} takes one value");
    Some(match option.as_str() {
        "-H" | "--hosts" => {
            format!("{told}\nhelp: hosts have commas between them: {option} {first},{jobs}")
        }
        "-o" | "--output" => format!(
            "{told}\nhelp: {option} {first} {option} {jobs}, or a pattern in quotes: {option} '*.csv'"
        ),
        _ => format!("{told}\nhelp: one for each: {option} {first} {option} {jobs}"),
    })
}

/// True for an option that is often given several values.
fn is_list(option: &str) -> bool {
    ["-f", "--file", "-o", "--output", "-H", "--hosts", "--env"].contains(&option)
}

/// `--file=a` and `-fa` as option and value.
fn split(arg: &str) -> Option<(&str, &str)> {
    let (option, value) = match arg.starts_with("--") {
        true => arg.split_once('=')?,
        false => arg.split_at_checked(2)?,
    };
    (is_list(option) && !value.is_empty()).then_some((option, value))
}

fn joined(args: &[OsString]) -> String {
    let words: Vec<_> = args.iter().map(OsString::as_os_str).map(quoted).collect();
    words.join(" ")
}

fn quoted(arg: &OsStr) -> String {
    let arg = from_os(arg);
    shlex::try_quote(&arg).map_or_else(|_| arg.to_string(), |quoted| quoted.into_owned())
}
