//! The arguments of what acts on jobs and on what they leave behind.

use std::path::PathBuf;

use clap::{ArgAction, ArgGroup, Args};
use clap_complete::engine::ArgValueCandidates;

use super::{HostArgs, RunOption, names};
use crate::completion::{jobs, runs};

#[derive(Debug, Args)]
pub(crate) struct FetchArgs {
    /// Jobs: an index, a range (3-7) or a name [default: all ended jobs]
    #[arg(add = ArgValueCandidates::new(jobs))]
    pub(crate) jobs: Vec<String>,

    #[command(flatten)]
    pub(crate) run: RunOption,

    /// Fetch these files instead of the declared outputs (repeatable)
    #[arg(short, long = "output", value_name = "GLOB", value_parser = names())]
    pub(crate) output: Vec<String>,

    /// Write below DIR, one directory per job [default: the run's own]
    #[arg(long, value_name = "DIR")]
    pub(crate) into: Option<PathBuf>,

    /// Fetch the jobs' stdout and stderr, too, as `log` and `err`
    #[arg(long)]
    pub(crate) results: bool,
}

#[derive(Debug, Args)]
#[command(
    override_usage = "gjob clean [OPTIONS] <RUN>...\n       gjob clean [OPTIONS] --all | --older AGE\n       gjob clean [OPTIONS] --unrecorded [-H LIST]",
    after_help = CLEAN_HELP,
    group(ArgGroup::new("which").args(["runs", "run", "all", "older", "unrecorded"]).required(true).multiple(true))
)]
pub(crate) struct CleanArgs {
    /// Runs: an id, the end of one (7, 22-7) or `latest`
    #[arg(value_name = "RUN", add = ArgValueCandidates::new(runs), conflicts_with_all = ["all", "older"])]
    pub(crate) runs: Vec<String>,

    /// The same, as all commands take it
    #[arg(short = 'R', long, value_name = "RUN", add = ArgValueCandidates::new(runs), conflicts_with_all = ["all", "older"])]
    pub(crate) run: Vec<String>,

    /// All runs whose jobs have ended
    #[arg(long)]
    pub(crate) all: bool,

    /// Runs whose jobs have all ended longer ago than AGE (7d, 12h)
    #[arg(long, value_name = "AGE")]
    pub(crate) older: Option<String>,

    /// What hosts have of runs that no record here names: those hosts that options name, or
    /// all hosts of the recorded runs
    #[arg(long, conflicts_with_all = ["runs", "run", "all", "older", "record", "forget_host"])]
    pub(crate) unrecorded: bool,

    /// Show what would be removed
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Remove the local record of a run, too, once its hosts are clean
    #[arg(long)]
    pub(crate) record: bool,

    /// Give HOST up: what it has of the runs is left there (repeatable)
    #[arg(long, value_name = "HOST", value_parser = names())]
    pub(crate) forget_host: Vec<String>,

    #[command(flatten)]
    pub(crate) hosts: HostArgs,
}

const CLEAN_HELP: &str = "\
--unrecorded removes the runs that `gjob du` calls `not recorded`, with the
directories of their jobs. Runs of another state directory or another machine
are among them: look with --dry-run first. A run that a gjob process uses stays,
and so does one with a job that is still running.

Exit status: 0 all was removed; 1 something was not; 2 invalid usage or input.";

#[derive(Debug, Args)]
#[command(after_help = ACT_HELP)]
pub(crate) struct JobsArgs {
    /// Jobs: an index, a range (3-7) or a name [default: all jobs to which it applies]
    #[arg(value_name = "JOB", value_parser = names(), add = ArgValueCandidates::new(jobs))]
    pub(crate) jobs: Vec<String>,

    #[command(flatten)]
    pub(crate) run: RunOption,
}

#[derive(Debug, Args)]
#[command(after_help = ACT_HELP)]
pub(crate) struct RetryArgs {
    #[command(flatten)]
    pub(crate) jobs: JobsArgs,

    /// Send files of the jobs that have changed: attempts that start from now on get them
    #[arg(long)]
    pub(crate) new_files: bool,

    /// Use the files that were sent for the jobs, though they have changed since
    #[arg(long, conflicts_with = "new_files")]
    pub(crate) old_files: bool,

    /// Give those that were tried SIZE of memory from now on (500M, 8G)
    #[arg(long, value_name = "SIZE")]
    pub(crate) mem: Option<String>,

    /// Resume the run, or follow it, as `gjob attach` does
    #[arg(long)]
    pub(crate) attach: bool,

    /// With --attach: report only jobs that are not done, and the end; -qq: nothing if all jobs are done
    #[arg(short, long, action = ArgAction::Count, requires = "attach")]
    pub(crate) quiet: u8,
}

#[derive(Debug, Args)]
#[command(after_help = ACT_HELP)]
pub(crate) struct KillArgs {
    /// Jobs: an index, a range (3-7) or a name
    #[arg(value_name = "JOB", required_unless_present = "all", conflicts_with = "all", value_parser = names(), add = ArgValueCandidates::new(jobs))]
    pub(crate) jobs: Vec<String>,

    /// All jobs without an outcome
    #[arg(long)]
    pub(crate) all: bool,

    #[command(flatten)]
    pub(crate) run: RunOption,
}

const ACT_HELP: &str = "\
If the run has a manager, the manager does it. Otherwise this process contacts
the jobs' hosts itself; `gjob attach` resumes the run later.

Exit status: 0 done; 1 refused for some job, or its host is unreachable; 2
invalid usage or input; 3 the run's manager or store failed.";
