//! The arguments of `gjob run`: jobs, hosts and outputs.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use gjob_core::scheduler::OnLost;

use super::{ReportArgs, names};

#[derive(Debug, Args)]
#[command(after_help = RUN_HELP)]
pub(crate) struct RunArgs {
    /// Job file: one command per line, JSON Lines (.jsonl), TOML (.toml) or a Python
    /// script (.py), which gets the arguments after --; - for standard input
    #[arg(value_parser = names())]
    pub(crate) jobs: Option<String>,

    /// Copy a file or directory into the directory of every job (repeatable)
    #[arg(short, long = "file", value_name = "PATH", value_parser = names())]
    pub(crate) files: Vec<String>,

    /// Place files as read-only hard links to one copy per host
    #[arg(long)]
    pub(crate) link_files: bool,

    /// Default repeat count for jobs without `repeat`
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) repeat: u32,

    /// Default name for jobs without one
    #[arg(long, value_parser = names())]
    pub(crate) name: Option<String>,

    /// CPUs per job, or `all` for one job per host [default: 1]
    #[arg(long, value_name = "N")]
    pub(crate) cpus: Option<String>,

    /// GPUs per job [default: 0]
    #[arg(long, value_name = "N")]
    pub(crate) gpus: Option<u32>,

    /// Memory per job (500M, 8G)
    #[arg(long, value_name = "SIZE")]
    pub(crate) mem: Option<String>,

    /// Set an environment variable for the jobs (repeatable)
    #[arg(long, value_name = "NAME=VALUE", value_parser = names())]
    pub(crate) env: Vec<String>,

    /// Kill an attempt that runs longer (90, 90s, 1h30m)
    #[arg(long, value_name = "DURATION")]
    pub(crate) timeout: Option<String>,

    /// Retry a failed job up to N times, on another host first [default: 0]
    #[arg(long, value_name = "N")]
    pub(crate) retries: Option<u32>,

    /// Stop starting jobs after N failures (failed dependents don't count)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_fails: Option<u32>,

    /// What to do with jobs on an unreachable host
    #[arg(long, value_name = "WHAT", default_value = "rerun")]
    pub(crate) on_lost: Lost,

    /// Give a host up after this time without contact, if another host answers
    #[arg(long, value_name = "DURATION", default_value = "5m")]
    pub(crate) lost_after: String,

    /// Skip jobs that are done in RUN or in the latest run (repeatable)
    #[arg(long, value_name = "RUN|latest")]
    pub(crate) skip_done: Vec<String>,

    /// Show jobs and hosts, start nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Print the jobs of --dry-run as a job file in JSON Lines
    #[arg(long, requires = "dry_run")]
    pub(crate) json: bool,

    /// Values in files and on standard input end in NUL, as from find -print0
    #[arg(short = '0', long)]
    pub(crate) null: bool,

    /// A command and its values: -- CMD {} ::: a b c; or the arguments of a Python
    /// script
    #[arg(last = true, value_name = "CMD", value_parser = names())]
    pub(crate) command: Vec<String>,

    #[command(flatten)]
    pub(crate) hosts: HostArgs,

    #[command(flatten)]
    pub(crate) outputs: OutputArgs,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Outputs")]
pub(crate) struct OutputArgs {
    /// Fetch the files that match GLOB (*, ?, [a-z], **) from the job's directory; a job
    /// is done when they have arrived (repeatable)
    #[arg(short, long = "output", value_name = "GLOB", value_parser = names())]
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

const RUN_HELP: &str = "\
A command after -- runs once per value: `gjob run -- gzip {} ::: *.txt`. Values come from
::: lists (several give all combinations), from :::: FILE or from standard input, one per
line. {} is the value, {.} without extension, {/} its base name, {//} its directory, {/.} its
base name without extension, {#} the job's number, {1} {2} the values of the first and second
list.

Exit status: 0 all jobs done; 1 some job not done; 2 invalid usage or input, nothing was
started; 3 no usable host, or the run's store or outputs cannot be written; 130 interrupted.";

const HOSTS_HELP: &str =
    "Hosts: [SLOTS/][USER@]NAME[:PORT], comma-separated, ranges node[01-32]; : is this machine";

#[derive(Debug, Args)]
#[command(next_help_heading = "Hosts")]
pub(crate) struct HostArgs {
    #[arg(short = 'H', long, value_name = "LIST", help = HOSTS_HELP)]
    pub(crate) hosts: Vec<String>,

    /// File of hosts, one per line
    #[arg(long, value_name = "FILE")]
    pub(crate) hosts_file: Vec<PathBuf>,

    /// Cluster file: TOML (.toml), or a management node on the first line and its
    /// workers below
    #[arg(short, long, value_name = "FILE", value_delimiter = ',')]
    pub(crate) cluster: Vec<PathBuf>,

    /// Create job directories below DIR on the hosts [default: gjob-results]
    #[arg(
        short,
        long,
        value_name = "DIR",
        env = "GJOB_REMOTE_PATH",
        default_value = "",
        hide_default_value = true,
        value_parser = names()
    )]
    pub(crate) results_dir: String,

    /// Command that opens a pipe to a host, instead of ssh: 'docker exec -i {host}';
    /// {user} and {port} are replaced, too
    #[arg(long, value_name = "COMMAND", value_parser = names())]
    pub(crate) connect: Option<String>,

    /// ssh configuration file, instead of ~/.ssh/config
    #[arg(short = 'F', value_name = "FILE")]
    pub(crate) ssh_config: Option<PathBuf>,

    /// Jobs at once on each host without SLOTS/ [default: its processors]
    #[arg(short = 'j', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) slots: Option<u32>,

    /// Disk space for staged files on a host; files in use stay [default: 20G]
    #[arg(long, value_name = "SIZE")]
    pub(crate) blob_budget: Option<String>,

    /// Worker program for hosts of a platform, such as linux-aarch64=PATH
    #[arg(long, value_name = "OS-ARCH=PATH", value_parser = names())]
    pub(crate) agent: Vec<String>,
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
