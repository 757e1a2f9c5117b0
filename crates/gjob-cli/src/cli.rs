//! The command line's grammar: the arguments of each subcommand. What a
//! subcommand does is in `commands`.

mod act;
mod local;
mod look;
mod report;
mod run;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Parser, Subcommand};
use gjob_core::os_text::from_os;

pub(crate) use act::{CleanArgs, FetchArgs, JobsArgs, KillArgs};
pub(crate) use local::{LocalArgs, LocalCommand};
pub(crate) use look::{ExplainArgs, LogsArgs, RunState, RunsArgs, StatusArgs};
pub(crate) use report::{AttachArgs, Color, LogFormat, MaxFails, ReportArgs, Show};
pub(crate) use run::{HostArgs, OutputArgs, RunArgs};

/// Run N batch jobs on M machines over plain ssh, with nothing installed on them
#[derive(Debug, Parser)]
#[command(name = "gjob", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run jobs
    Run(Box<RunArgs>),
    /// Resume a stopped run, or follow a running one
    Attach(AttachArgs),
    /// Kill jobs, and wait until their processes have ended
    Kill(KillArgs),
    /// Pause jobs: waiting jobs are not started, running jobs are stopped
    Pause(JobsArgs),
    /// Resume paused jobs
    Resume(JobsArgs),
    /// Retry failed jobs and jobs whose outcome is unknown
    Retry(JobsArgs),
    /// List runs
    Runs(RunsArgs),
    /// Show the status of a run
    Status(StatusArgs),
    /// Explain why a job waits, or what became of it
    Explain(ExplainArgs),
    /// Show the output of jobs
    Logs(LogsArgs),
    /// Fetch output files of jobs, later or again
    Fetch(FetchArgs),
    /// Remove the files of a run from its hosts
    Clean(CleanArgs),
    /// Work on job directories of the local machine
    Local(LocalArgs),
}

/// Arguments that may be names, and so any bytes.
fn names() -> impl TypedValueParser<Value = String> {
    OsStringValueParser::new().map(|argument| from_os(&argument).into_owned())
}
