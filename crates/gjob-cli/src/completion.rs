//! What a shell completes that only gjob knows: runs, jobs and hosts.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::CommandFactory;
use clap_complete::engine::CompletionCandidate;
use clap_complete::env::CompleteEnv;
use gjob::config::Config;
use gjob::store::{LATEST, RunDir, StateDir, Store};
use gjob_core::os_text::from_os;

use crate::cli::Cli;
use crate::known_hosts::{of_ssh_config, ssh_config};

/// Set by a shell that wants completions.
pub(crate) const VARIABLE: &str = "GJOB_COMPLETE";

/// As many runs are proposed.
const RUNS: usize = 50;

/// Names of jobs are looked for in runs of no more jobs than these: a shell waits.
const JOBS: u32 = 10_000;

/// Answers a shell that wants completions, and ends the process; returns otherwise.
pub(crate) fn answer() {
    CompleteEnv::with_factory(Cli::command).var(VARIABLE).complete();
}

/// The newest runs.
pub(crate) fn runs() -> Vec<CompletionCandidate> {
    let runs = StateDir::from_env().and_then(|state| state.runs()).unwrap_or_default();
    let runs = runs.iter().rev().take(RUNS).map(ToString::to_string);
    candidates([LATEST.to_owned()].into_iter().chain(runs))
}

/// The names and indexes of the jobs of the run that the command line names.
pub(crate) fn jobs() -> Vec<CompletionCandidate> {
    let Some(jobs) = named_run().and_then(|dir| {
        let store = Store::read(&dir).ok()?;
        let (tally, _) = store.tally(false).ok()?;
        (tally.total() <= JOBS).then(|| store.load().ok()).flatten()
    }) else {
        return Vec::new();
    };
    let mut names: Vec<String> =
        jobs.jobs().iter().filter_map(|job| job.name().map(str::to_owned)).collect();
    names.sort_unstable();
    names.dedup();
    candidates(names.into_iter().chain(jobs.jobs().iter().map(|job| job.index.to_string())))
}

/// The run behind `-R`, else the latest.
fn named_run() -> Option<RunDir> {
    let words: Vec<OsString> = std::env::args_os().collect();
    let at = words.iter().position(|word| word == "-R" || word == "--run");
    let word = at.and_then(|at| words.get(at + 1)).map(|word| from_os(word).into_owned());
    let state = StateDir::from_env().ok()?;
    let run = word.filter(|word| word != LATEST).map(|word| state.run_named(&word)).transpose();
    state.find(run.ok()?.as_ref()).ok()
}

/// The hosts of the run that the command line names.
pub(crate) fn hosts_of_run() -> Vec<CompletionCandidate> {
    let hosts = named_run().and_then(|dir| Store::read(&dir).ok()?.hosts().ok());
    candidates(hosts.into_iter().flatten().map(|host| host.label.to_string()))
}

/// The last host of a list that is being written: those of `gjob.toml`, its groups, and
/// those of ssh's configuration.
pub(crate) fn hosts(current: &OsStr) -> Vec<CompletionCandidate> {
    let current = from_os(current);
    let at = current.rfind([',', '/']).map_or(0, |at| at + 1);
    let (before, host) = current.split_at(at);
    let here = std::env::current_dir().unwrap_or_default();
    // What is wrong with the files is not for now.
    let config = Config::read(&here, &mut Vec::new());
    let groups = config.group_names().into_iter().map(|name| format!("@{name}"));
    let hosts = config.host_names().into_iter().map(str::to_owned);
    let mut known: Vec<String> = groups.chain(hosts).chain(of_ssh_config(&ssh_config())).collect();
    known.sort_unstable();
    known.dedup();
    let fitting = known.into_iter().filter(|name| name.starts_with(host));
    candidates(fitting.map(|name| format!("{before}{name}")))
}

/// Those that no shell takes for anything else.
fn candidates(words: impl IntoIterator<Item = String>) -> Vec<CompletionCandidate> {
    let is_plain = |word: &String| {
        word.chars().all(|c| c.is_ascii_alphanumeric() || "-._@,/:[]+%".contains(c))
    };
    words.into_iter().filter(is_plain).map(CompletionCandidate::new).collect()
}

/// What a shell is told to call: gjob as it was called.
pub(crate) fn completer() -> String {
    let called = std::env::args_os().next().unwrap_or_default();
    let called = Path::new(&called);
    match called.components().count() {
        0 | 1 => "gjob".to_owned(),
        _ => std::path::absolute(called).unwrap_or(called.to_owned()).display().to_string(),
    }
}
