//! The command line's grammar: the arguments of each subcommand. What a
//! subcommand does is in `commands`.

mod act;
mod background;
mod changes;
pub(crate) mod defaults;
mod doctor;
mod environment;
mod foreign;
mod local;
mod look;
pub(crate) mod misread;
mod options;
mod plain_error;
mod remote;
mod report;
mod run;
mod shell;
mod table;
mod which_run;

use std::sync::LazyLock;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Parser, Subcommand};
use gjob::program::embedded_agents;
use gjob_core::os_text::from_os;
use gjob_core::size::shown_size;

use environment::ENVIRONMENT;

pub(crate) use act::{CleanArgs, FetchArgs, JobsArgs, KillArgs, RetryArgs};
pub(crate) use background::BackgroundArgs;
pub(crate) use changes::{AddHostsArgs, HostsCommand};
pub(crate) use doctor::{DuArgs, HostsArgs};
pub(crate) use local::{LocalArgs, LocalCommand};
pub(crate) use look::{ExplainArgs, LogsArgs, RunState, RunsArgs, StatusArgs, TopArgs};
pub(crate) use options::{FailureArgs, FileArgs, JobOptions, NewHalt, OutputArgs};
pub(crate) use remote::{JobIdArgs, RemoteArgs, RemoteCommand};
pub(crate) use report::{AttachArgs, Color, LogFormat, ReportArgs, Show};
pub(crate) use run::{HostArgs, RunArgs, TaskArgs};
pub(crate) use shell::{CompletionsArgs, ManArgs, Shell};
pub(crate) use table::{TableArgs, TableFormat};
pub(crate) use which_run::{RunName, RunOption};

/// Run N batch jobs on M machines over plain ssh, with nothing installed on them
#[derive(Debug, Parser)]
#[command(
    name = "gjob",
    version,
    long_version = VERSION.as_str(),
    max_term_width = 80,
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{ENVIRONMENT}"),
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run jobs
    Run(Box<RunArgs>),
    /// Resume a stopped run, or follow a running one
    Attach(Box<AttachArgs>),
    /// Kill jobs, and wait until their processes have ended
    Kill(KillArgs),
    /// Pause jobs: waiting jobs are not started, running jobs are stopped
    Pause(JobsArgs),
    /// Resume paused jobs
    Resume(JobsArgs),
    /// Retry failed jobs and jobs whose outcome is unknown
    Retry(RetryArgs),
    /// Check hosts, or change the hosts of a run
    Hosts(Box<HostsArgs>),
    /// Show how much room gjob takes on hosts and on this machine
    Du(Box<DuArgs>),
    /// List runs
    #[command(aliases = ["ls", "list"])]
    Runs(RunsArgs),
    /// Show the status of a run
    #[command(aliases = ["ps", "queue", "squeue", "qstat"])]
    Status(StatusArgs),
    /// Look at a run on the whole screen, and act on its jobs
    Top(TopArgs),
    /// Explain why a job waits, or what became of it
    Explain(ExplainArgs),
    /// Show the output of jobs
    #[command(alias = "log")]
    Logs(LogsArgs),
    /// Make a table of a run: a row per job, with parameters and results
    Table(TableArgs),
    /// Fetch output files of jobs, later or again
    Fetch(FetchArgs),
    /// Remove the files of a run from its hosts
    Clean(Box<CleanArgs>),
    /// Work on job directories of the local machine
    Local(LocalArgs),
    /// Work on single jobs of other machines
    Remote(RemoteArgs),
    /// Print what a shell needs to complete command lines
    Completions(CompletionsArgs),
    /// Write the manual
    Man(ManArgs),
}

const EXAMPLES: &str = "\
Examples:
  gjob run jobs.txt                       Run each line of a file, here
  gjob run -H node1,node2 -f fit.py -- ./fit.py {} ::: 0.1 0.2
                                          Run a command per value elsewhere
  gjob status                             Show what runs where, what has failed";

/// What `--version` says: which hosts can be sent an agent as well.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let agents = embedded_agents().iter().map(|agent| {
        let [length, sent] = [agent.length, agent.gzip.len() as u64].map(shown_size);
        format!("\nagent for {}: {length}, sent as {sent}", agent.platform)
    });
    let none = if embedded_agents().is_empty() { "\nno agents for hosts" } else { "" };
    format!("{}{}{none}", env!("CARGO_PKG_VERSION"), agents.collect::<String>())
});

/// Arguments that may be names, and so any bytes.
fn names() -> impl TypedValueParser<Value = String> {
    OsStringValueParser::new().map(|argument| from_os(&argument).into_owned())
}
