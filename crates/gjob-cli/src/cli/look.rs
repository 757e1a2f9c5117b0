//! The arguments of what looks at runs and jobs.

use clap::Args;
use clap_complete::engine::ArgValueCandidates;
use gjob_core::State;
use serde::Serialize;

use super::{RunName, RunOption, names};
use crate::completion::jobs;

#[derive(Debug, Args)]
pub(crate) struct RunsArgs {
    /// List only the last N runs
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) last: Option<usize>,

    /// List runs in these states: running, stopped, done, failed
    #[arg(long, value_name = "STATE", value_delimiter = ',')]
    pub(crate) state: Vec<RunState>,

    /// List runs with TEXT in the command of their first job
    #[arg(long, value_name = "TEXT")]
    pub(crate) grep: Option<String>,

    /// Print a JSON array
    #[arg(long)]
    pub(crate) json: bool,
}

/// How a run is, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lower")]
pub(crate) enum RunState {
    /// A process manages it
    Running,
    /// Jobs are left, and no process manages it
    Stopped,
    /// Every job is done
    Done,
    /// Every job has ended, and not all are done
    Failed,
}

impl RunState {
    /// The same of a run's state in the words for jobs.
    pub(crate) fn of(state: State) -> Self {
        match state {
            State::Busy => RunState::Running,
            State::Free | State::Unknown => RunState::Stopped,
            State::Done => RunState::Done,
            State::Error => RunState::Failed,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) run: RunName,

    /// List every job, not only those that are running, paused, failed or unknown
    #[arg(short, long, visible_alias = "jobs")]
    pub(crate) all: bool,

    /// List jobs in these states: waiting, running, done, failed, unknown
    #[arg(long, value_name = "STATE", value_delimiter = ',')]
    pub(crate) state: Vec<String>,

    /// List jobs whose host matches GLOB
    #[arg(long, value_name = "GLOB")]
    pub(crate) host: Option<String>,

    /// List jobs whose name matches GLOB
    #[arg(long, value_name = "GLOB")]
    pub(crate) name: Option<String>,

    /// List jobs with TEXT in their command, name or reason
    #[arg(long, value_name = "TEXT")]
    pub(crate) grep: Option<String>,

    /// Show the status again every 2 seconds, until no process manages the run
    #[arg(short, long)]
    pub(crate) watch: bool,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = TOP_HELP)]
pub(crate) struct TopArgs {
    #[command(flatten)]
    pub(crate) run: RunName,
}

const TOP_HELP: &str = "\
Keys: arrows, PgUp, PgDn, Home and End scroll, Tab changes the panel, s sorts, /
filters, Enter or l shows the log of a job, e explains it, k kills, p pauses or
resumes, r retries it, ? lists all keys, q leaves. Leaving stops nothing. Needs
a terminal.";

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Jobs: an index, a range (3-7) or a name
    #[arg(required_unless_present = "failed", value_name = "JOB", add = ArgValueCandidates::new(jobs))]
    pub(crate) jobs: Vec<String>,

    #[command(flatten)]
    pub(crate) run: RunOption,

    /// Of the jobs only those that have failed, or whose outcome is unknown
    #[arg(long)]
    pub(crate) failed: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// Jobs: an index, a range (3-7), a name or a GLOB of names [default: all that have started]
    #[arg(value_name = "JOB", value_parser = names(), add = ArgValueCandidates::new(jobs))]
    pub(crate) jobs: Vec<String>,

    #[command(flatten)]
    pub(crate) run: RunOption,

    /// Of the jobs only those that have failed, or whose outcome is unknown
    #[arg(long)]
    pub(crate) failed: bool,

    /// Show only standard output
    #[arg(long, conflicts_with = "err")]
    pub(crate) out: bool,

    /// Show only standard error
    #[arg(long)]
    pub(crate) err: bool,

    /// Show only the last N lines of each stream
    #[arg(long, value_name = "N")]
    pub(crate) tail: Option<usize>,

    /// Show only lines with TEXT in them, with the jobs that they are from
    #[arg(long, value_name = "TEXT")]
    pub(crate) grep: Option<String>,

    /// Show an earlier attempt, by its number from 1
    #[arg(long, value_name = "N", conflicts_with = "follow")]
    pub(crate) attempt: Option<u32>,

    /// Follow the output until the jobs have ended; those of several come line by line, and jobs that start later are followed, too
    #[arg(short, long)]
    pub(crate) follow: bool,

    /// Show what the set-up of HOST has printed
    #[arg(long, value_name = "HOST", conflicts_with_all = ["jobs", "failed", "attempt", "follow", "teardown"])]
    pub(crate) setup: Option<String>,

    /// Show what the teardown of HOST has printed
    #[arg(long, value_name = "HOST", conflicts_with_all = ["jobs", "failed", "attempt", "follow"])]
    pub(crate) teardown: Option<String>,
}
