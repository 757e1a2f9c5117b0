//! Options of `gjob run` in the groups in which its help shows them: files, jobs, and
//! what happens when something fails.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};
use clap_complete::engine::ArgValueCandidates;
use gjob::past_runs::Same;
use gjob_core::Shell;
use gjob_core::halt::{Halt, ParseHaltError};
use gjob_core::scheduler::OnLost;

use super::names;
use crate::completion::runs;

#[derive(Debug, Args)]
#[command(next_help_heading = "Files")]
pub(crate) struct FileArgs {
    /// Copy a file or directory into the directory of every job; @JOBS/PATH: outputs of other jobs (repeatable)
    #[arg(short, long = "file", value_name = "PATH", value_hint = ValueHint::AnyPath, aliases = ["files", "basefile", "bf"], value_parser = names())]
    pub(crate) files: Vec<String>,

    /// Place files as read-only hard links to one copy per host
    #[arg(long)]
    pub(crate) link_files: bool,

    #[command(flatten)]
    pub(crate) outputs: OutputArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Files")]
pub(crate) struct OutputArgs {
    /// Fetch the files that match GLOB (*, ?, [a-z], **) from the job's directory; a job
    /// is done when they have arrived (repeatable)
    #[arg(short, long = "output", value_name = "GLOB", aliases = ["outputs", "return"], value_parser = names())]
    pub(crate) output: Vec<String>,

    /// Write outputs below DIR, one directory per job [default: gjob-out/RUN]
    #[arg(long, value_name = "DIR")]
    pub(crate) into: Option<PathBuf>,

    /// Write the jobs' stdout and stderr there, too, as `log` and `err`
    #[arg(long)]
    pub(crate) results: bool,

    /// Remove the directory of a job from its host once its outputs have arrived
    #[arg(long)]
    pub(crate) cleanup: bool,

    /// Size limit of one job's outputs [default: 64G]
    #[arg(long, value_name = "SIZE")]
    pub(crate) max_output: Option<String>,
}

/// What jobs are like that do not say it themselves.
#[derive(Debug, Args)]
#[command(next_help_heading = "Jobs")]
pub(crate) struct JobOptions {
    /// Default repeat count for jobs without `repeat`
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) repeat: u32,

    /// Default name for jobs without one
    #[arg(long, alias = "job-name", value_parser = names())]
    pub(crate) name: Option<String>,

    /// CPUs per job, or `all` for one job per host [default: 1]
    #[arg(long, value_name = "N")]
    pub(crate) cpus: Option<String>,

    /// Bind a job to as many processors of its host as it has CPUs: no two bound jobs have the same
    #[arg(long)]
    pub(crate) affinity: bool,

    /// GPUs per job [default: 0]
    #[arg(long, value_name = "N")]
    pub(crate) gpus: Option<u32>,

    /// Memory per job (500M, 8G)
    #[arg(long, value_name = "SIZE")]
    pub(crate) mem: Option<String>,

    /// Run the one command on every host: a job per host, named after it; the same output
    /// is shown once, with the hosts that gave it (with --tag or -k host by host)
    #[arg(long, alias = "nonall")]
    pub(crate) each_host: bool,

    /// Run jobs on some of the run's hosts only: h1, node[1-4], gpu*, @GROUP (repeatable)
    #[arg(long, value_name = "LIST", value_parser = names())]
    pub(crate) on_hosts: Vec<String>,

    /// Run jobs only on hosts with this label, from gjob.toml or a hosts file
    /// (repeatable: all are needed)
    #[arg(long, value_name = "LABEL", aliases = ["labels", "constraint"], value_parser = names())]
    pub(crate) label: Vec<String>,

    /// Set an environment variable for the jobs (repeatable)
    #[arg(long, value_name = "NAME=VALUE", value_parser = names())]
    pub(crate) env: Vec<String>,

    /// Fail a job with any command of a pipeline, not with the last one alone: with -e, as
    /// scripts run, `./fit | tee log` succeeds if tee does
    #[arg(long)]
    pub(crate) pipefail: bool,

    /// Run each job with bash (always), or those that are one plain command without it (auto)
    /// [default: auto]
    #[arg(long, value_name = "WHEN", value_enum)]
    pub(crate) shell: Option<ShellChoice>,

    /// Values in files and on standard input end in NUL, as from find -print0
    #[arg(short = '0', long)]
    pub(crate) null: bool,

    /// With : the first value of each list is its name: {NAME} stands for the value, and
    /// `gjob table` has a column NAME
    #[arg(long, value_name = "HEADER", value_parser = [":"])]
    pub(crate) header: Option<String>,

    /// Skip jobs that are done in RUN, or in the runs that it skipped jobs for
    /// (repeatable; `latest`, `all`)
    #[arg(long, value_name = "RUN", group = "past", add = ArgValueCandidates::new(runs))]
    pub(crate) skip_done: Vec<String>,

    /// Run only jobs that failed in RUN, or whose outcome is unknown there, and that are
    /// not done in the runs that it skipped jobs for (repeatable; `latest`, `all`)
    #[arg(long, value_name = "RUN", group = "past", conflicts_with = "skip_done", add = ArgValueCandidates::new(runs))]
    pub(crate) only_failed: Vec<String>,

    /// Jobs are the same for --skip-done and --only-failed with the same files, or command
    #[arg(long, value_name = "WHAT", default_value = "files", requires = "past")]
    pub(crate) same: SameArg,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "When things fail")]
pub(crate) struct FailureArgs {
    /// Kill an attempt that runs longer (90, 90s, 1h30m)
    #[arg(long, alias = "time-limit", value_name = "DURATION")]
    pub(crate) timeout: Option<String>,

    /// Retry a failed job up to N times, on another host first [default: 0]
    #[arg(long, value_name = "N")]
    pub(crate) retries: Option<u32>,

    /// Retry a job that ran out of memory with FACTOR times what it had used or asked for,
    /// whichever is more, while a host offers it
    #[arg(long, value_name = "FACTOR")]
    pub(crate) retry_mem: Option<f64>,

    /// Stop starting jobs after N failures (failed dependents don't count)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "halt")]
    pub(crate) max_fails: Option<u32>,

    /// End the run early: soon,fail=3 or now,success=10%; now kills running jobs, which
    /// wait for `gjob attach`
    #[arg(long, value_name = "WHEN", value_parser = never_or_halt)]
    pub(crate) halt: Option<NewHalt>,

    /// What to do with jobs on an unreachable host
    #[arg(long, value_name = "WHAT", default_value = "rerun")]
    pub(crate) on_lost: Lost,

    /// Give a host up after this time without contact, if another host answers: from its
    /// last word; with --on-lost lease, from the end of its connection. One that falls
    /// silent without ending its connection keeps it for 30s, whatever is given here
    #[arg(long, value_name = "DURATION", default_value = "5m")]
    pub(crate) lost_after: String,
}

/// When to end a run early; none for never.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewHalt(pub(crate) Option<Halt>);

pub(crate) fn never_or_halt(text: &str) -> Result<NewHalt, ParseHaltError> {
    if text == "never" { Ok(NewHalt(None)) } else { text.parse().map(Some).map(NewHalt) }
}

/// What makes jobs the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SameArg {
    /// Command, variables, outputs and the content of the files
    Files,
    /// All of that but the files
    Command,
}

impl From<SameArg> for Same {
    fn from(same: SameArg) -> Same {
        match same {
            SameArg::Files => Same::Files,
            SameArg::Command => Same::Command,
        }
    }
}

/// What to do with jobs on a host that was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Lost {
    /// Start them on other hosts; the first result counts, others are killed
    Rerun,
    /// Wait for the host; two attempts of a job never run at once
    Wait,
    /// Start them on other hosts after the host has killed them itself
    Lease,
}

impl From<Lost> for OnLost {
    fn from(lost: Lost) -> OnLost {
        match lost {
            Lost::Rerun => OnLost::Rerun,
            Lost::Wait => OnLost::Wait,
            Lost::Lease => OnLost::Lease,
        }
    }
}

/// When a job's script is run by a shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ShellChoice {
    Auto,
    Always,
}

impl From<ShellChoice> for Shell {
    fn from(choice: ShellChoice) -> Self {
        match choice {
            ShellChoice::Auto => Shell::Auto,
            ShellChoice::Always => Shell::Always,
        }
    }
}
