//! The command line's grammar. Each subcommand's arguments are here, what it
//! does is in `commands`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use gjob_core::scheduler::OnLost;

/// Runs N batch jobs on M machines over plain ssh, with nothing installed on them.
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
    /// Take a run up where it stopped, or watch a living one
    Attach(AttachArgs),
    /// End jobs, and wait until they are gone
    Kill(KillArgs),
    /// Hold jobs: waiting ones are not started, running ones are stopped
    Pause(JobsArgs),
    /// Let held jobs go on
    Resume(JobsArgs),
    /// Do jobs again that have failed, or whose outcome is unknown
    Retry(JobsArgs),
    /// List runs
    Runs(RunsArgs),
    /// Show how a run stands
    Status(StatusArgs),
    /// Show what jobs have written
    Logs(LogsArgs),
    /// Bring outputs of jobs here, later or again
    Fetch(FetchArgs),
    /// Remove what a run has left on its hosts
    Clean(CleanArgs),
    /// Work on job directories of this machine
    Local(LocalArgs),
}

#[derive(Debug, Args)]
#[command(after_help = RUN_HELP)]
pub(crate) struct RunArgs {
    /// Job file: one command per line, JSON Lines (.jsonl), TOML (.toml) or a Python
    /// script (.py), which gets the arguments after --; - for standard input
    pub(crate) jobs: Option<String>,

    #[command(flatten)]
    pub(crate) hosts: HostArgs,

    /// Copy a file or directory into every job's directory (repeatable)
    #[arg(short, long = "file", value_name = "PATH")]
    pub(crate) files: Vec<String>,

    /// Place files as read-only hard links to one copy per host
    #[arg(long)]
    pub(crate) link_files: bool,

    #[command(flatten)]
    pub(crate) outputs: OutputArgs,

    /// Default repeat count for jobs without `repeat`
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) repeat: u32,

    /// Default name for jobs without one
    #[arg(long)]
    pub(crate) name: Option<String>,

    /// CPUs per job, or all for one job per host [default: 1]
    #[arg(long, value_name = "N")]
    pub(crate) cpus: Option<String>,

    /// GPUs per job [default: 0]
    #[arg(long, value_name = "N")]
    pub(crate) gpus: Option<u32>,

    /// Memory per job (500M, 8G)
    #[arg(long, value_name = "SIZE")]
    pub(crate) mem: Option<String>,

    /// Set an environment variable for the jobs (repeatable)
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) env: Vec<String>,

    /// Kill an attempt that runs longer (90, 90s, 1h30m)
    #[arg(long, value_name = "DURATION")]
    pub(crate) timeout: Option<String>,

    /// Retry a failed job up to N times, on another host first [default: 0]
    #[arg(long, value_name = "N")]
    pub(crate) retries: Option<u32>,

    /// Start no more jobs once N have failed, without those that waited for them
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_fails: Option<u32>,

    /// What is done about the jobs of a host that can't be reached any more
    #[arg(long, value_name = "WHAT", default_value = "rerun")]
    pub(crate) on_lost: Lost,

    /// How long a host can't be reached before it is lost, while another one can
    #[arg(long, value_name = "DURATION", default_value = "5m")]
    pub(crate) lost_after: String,

    /// Skip jobs that are done in RUN or in the latest run (repeatable)
    #[arg(long, value_name = "RUN|latest")]
    pub(crate) skip_done: Vec<String>,

    #[command(flatten)]
    pub(crate) report: ReportArgs,

    /// Show jobs and hosts, start nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Print the jobs of --dry-run as a job file in JSON Lines
    #[arg(long, requires = "dry_run")]
    pub(crate) json: bool,

    /// A command and its values: -- CMD {} ::: a b c; or the arguments of a Python
    /// script
    #[arg(last = true, value_name = "CMD")]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Outputs")]
pub(crate) struct OutputArgs {
    /// Bring back what matches GLOB in the job's directory (*, ?, [a-z], **); a
    /// job is done when that is here. May be given several times
    #[arg(short, long = "output", value_name = "GLOB")]
    pub(crate) output: Vec<String>,

    /// Where outputs go, a directory per job [default: gjob-out/RUN]
    #[arg(long, value_name = "DIR")]
    pub(crate) into: Option<PathBuf>,

    /// Keep what jobs write to stdout and stderr there as well, as log and err
    #[arg(long)]
    pub(crate) results: bool,

    /// Remove a job's directory on its host once it is done and its outputs are here
    #[arg(long)]
    pub(crate) cleanup: bool,

    /// The most that one job's outputs may come to [default: 64G]
    #[arg(long, value_name = "SIZE")]
    pub(crate) max_output: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct FetchArgs {
    /// Jobs: an index, a range 3-7 or a name [default: all that have ended]
    pub(crate) jobs: Vec<String>,

    /// The run [default: the latest]
    #[arg(short = 'R', long, value_name = "RUN")]
    pub(crate) run: Option<String>,

    /// What to bring instead of the outputs that the jobs declare
    #[arg(short, long = "output", value_name = "GLOB")]
    pub(crate) output: Vec<String>,

    /// Where to, a directory per job [default: where the run's outputs go]
    #[arg(long, value_name = "DIR")]
    pub(crate) into: Option<PathBuf>,

    /// Bring what the jobs have written to stdout and stderr as well
    #[arg(long)]
    pub(crate) results: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CleanArgs {
    /// The run
    pub(crate) run: String,

    /// Remove the run's record here as well, once its hosts are clean
    #[arg(long)]
    pub(crate) record: bool,
}

const RUN_HELP: &str = "\
A command after -- runs once per value: `gjob run -- gzip {} ::: *.txt`. Values come from
::: lists (several give all combinations), from :::: FILE or from standard input, one per
line. {} is the value, {.} without extension, {/} its base name, {//} its directory, {/.} its
base name without extension, {#} the job's number, {1} {2} the values of the first and second
list.

Exit status: 0 all jobs done; 1 some job is not done; 2 bad usage or input, nothing was
started; 3 no host could be used, or the run's store failed; 130 interrupted.";

const HOSTS_HELP: &str =
    "Hosts: [SLOTS/][USER@]NAME[:PORT], comma-separated, ranges node[01-32]; : is this machine";

#[derive(Debug, Args)]
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

    /// Directory on the hosts for job directories [default: gjob-results]
    #[arg(
        short,
        long,
        value_name = "DIR",
        env = "GJOB_REMOTE_PATH",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) results_dir: String,

    /// Command that opens a pipe to a host, instead of ssh: 'docker exec -i {host}';
    /// {user} and {port} are replaced, too
    #[arg(long, value_name = "COMMAND")]
    pub(crate) connect: Option<String>,

    /// ssh configuration file to use instead of the user's
    #[arg(short = 'F', value_name = "FILE")]
    pub(crate) ssh_config: Option<PathBuf>,

    /// Jobs at once on each host without SLOTS/ [default: its processors]
    #[arg(short = 'j', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) slots: Option<u32>,

    /// Room for staged files on a host; those in use stay [default: 20G]
    #[arg(long, value_name = "SIZE")]
    pub(crate) blob_budget: Option<String>,

    /// Worker program for hosts of a platform, such as linux-aarch64=PATH
    #[arg(long, value_name = "OS-ARCH=PATH")]
    pub(crate) agent: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Whose output to show [default: all with -- CMD, else failed]
    #[arg(long, value_name = "WHICH")]
    pub(crate) show: Option<Show>,

    /// Show outputs in the order of the jobs
    #[arg(short = 'k', long)]
    pub(crate) keep_order: bool,

    /// Put the job's name before each line of its output
    #[arg(long)]
    pub(crate) tag: bool,

    /// Write a line per ended job, in GNU parallel's columns
    #[arg(long, value_name = "FILE")]
    pub(crate) joblog: Option<PathBuf>,

    /// Write every event as a line of JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) events: Option<PathBuf>,

    /// Say more: hosts, retries, uploads
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

/// What is done about the jobs of a host that is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Lost {
    /// Start them elsewhere; the first result counts, late ones are ended
    Rerun,
    /// Wait for the host: never two attempts of a job at once
    Wait,
    /// The host ends them itself, and only then are they started elsewhere
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

/// Whose output is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Show {
    /// Jobs that are not done
    Failed,
    /// Every job
    All,
    /// No job
    None,
}

#[derive(Debug, Args)]
pub(crate) struct AttachArgs {
    /// The run [default: the latest]
    pub(crate) run: Option<String>,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

#[derive(Debug, Args)]
#[command(after_help = ACT_HELP)]
pub(crate) struct JobsArgs {
    /// Jobs: an index, a range 3-7, or a name [default: all that it can be done to]
    #[arg(value_name = "JOB")]
    pub(crate) jobs: Vec<String>,

    /// The run [default: the latest]
    #[arg(short = 'R', long, value_name = "RUN")]
    pub(crate) run: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = ACT_HELP)]
pub(crate) struct KillArgs {
    /// Jobs: an index, a range 3-7, or a name
    #[arg(value_name = "JOB", required_unless_present = "all", conflicts_with = "all")]
    pub(crate) jobs: Vec<String>,

    /// Every job that has no outcome yet
    #[arg(long)]
    pub(crate) all: bool,

    /// The run [default: the latest]
    #[arg(short = 'R', long, value_name = "RUN")]
    pub(crate) run: Option<String>,
}

const ACT_HELP: &str = "\
The run's manager does it if one lives; else this process reaches the jobs' hosts, and leaves
the run for `gjob attach` to go on with.

Exit status: 0 done; 1 refused for some job, or its host can't be reached; 2 bad usage or
input; 3 the run's manager or store failed.";

#[derive(Debug, Args)]
pub(crate) struct RunsArgs {
    /// As a JSON array
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// The run [default: the latest]
    pub(crate) run: Option<String>,

    /// Every job
    #[arg(long)]
    pub(crate) jobs: bool,

    /// As one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// Jobs: an index, a range 3-7, or a name
    #[arg(required = true, value_name = "JOB")]
    pub(crate) jobs: Vec<String>,

    /// The run [default: the latest]
    #[arg(short = 'R', long, value_name = "RUN")]
    pub(crate) run: Option<String>,

    /// Standard error instead of standard output
    #[arg(long)]
    pub(crate) err: bool,

    /// Go on until the job has ended
    #[arg(short, long)]
    pub(crate) follow: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LocalArgs {
    #[command(subcommand)]
    pub(crate) command: LocalCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LocalCommand {
    /// Make a job directory and print its path
    Mkdir {
        /// Directory below which job directories are made
        #[arg(short, long, value_name = "DIR", env = "GJOB_REMOTE_PATH")]
        results_dir: Option<PathBuf>,
    },
    /// Start the script .cmds in a job directory, detached
    Start {
        /// The job directory
        dir: PathBuf,
        /// End the job if it runs longer
        #[arg(long, value_name = "DURATION")]
        timeout: Option<String>,
    },
    /// Print each job's state: free, busy, done, unknown or error
    Status {
        /// Job directories
        #[arg(required = true)]
        dirs: Vec<PathBuf>,
    },
    /// End each job: TERM, then KILL
    Kill {
        /// Job directories
        #[arg(required = true)]
        dirs: Vec<PathBuf>,
        /// How long between TERM and KILL
        #[arg(long, value_name = "DURATION", default_value = "10s")]
        grace: String,
    },
    /// Stop each job for a while
    Pause {
        /// Job directories
        #[arg(required = true)]
        dirs: Vec<PathBuf>,
    },
    /// Let each paused job go on
    Unpause {
        /// Job directories
        #[arg(required = true)]
        dirs: Vec<PathBuf>,
    },
    /// Print true or false for each job; exit status 0 if all are paused
    IsPaused {
        /// Job directories
        #[arg(required = true)]
        dirs: Vec<PathBuf>,
    },
    /// Remove each job directory; one with a running job is refused
    Delete {
        /// Job directories
        #[arg(required = true)]
        dirs: Vec<PathBuf>,
    },
}
