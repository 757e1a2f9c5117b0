//! The command line's grammar: the arguments of each subcommand. What a
//! subcommand does is in `commands`.

use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use gjob_core::os_text::from_os;
use gjob_core::scheduler::OnLost;

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

#[derive(Debug, Args)]
pub(crate) struct FetchArgs {
    /// Jobs: an index, a range (3-7) or a name [default: all ended jobs]
    pub(crate) jobs: Vec<String>,

    /// Run id [default: the latest run]
    #[arg(short = 'R', long, value_name = "RUN")]
    pub(crate) run: Option<String>,

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
pub(crate) struct CleanArgs {
    /// Run id
    pub(crate) run: String,

    /// Remove the local record of the run, too, once its hosts are clean
    #[arg(long)]
    pub(crate) record: bool,
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

#[derive(Debug, Args)]
#[command(next_help_heading = "Reporting")]
pub(crate) struct ReportArgs {
    /// Jobs whose output is shown [default: all with -- CMD, else failed]
    #[arg(long, value_name = "WHICH")]
    pub(crate) show: Option<Show>,

    /// Show output in the order of the jobs
    #[arg(short = 'k', long)]
    pub(crate) keep_order: bool,

    /// Prefix each line of output with the job's name
    #[arg(long)]
    pub(crate) tag: bool,

    /// Write one line per ended job, in the columns of GNU parallel
    #[arg(long, value_name = "FILE")]
    pub(crate) joblog: Option<PathBuf>,

    /// Write each event as one line of JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) events: Option<PathBuf>,

    /// Report hosts, retries and uploads, too
    #[arg(short, long)]
    pub(crate) verbose: bool,
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

/// Jobs whose output is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Show {
    /// Jobs that are not done
    Failed,
    /// All jobs
    All,
    /// No job
    None,
}

#[derive(Debug, Args)]
pub(crate) struct AttachArgs {
    /// Run id [default: the latest run]
    pub(crate) run: Option<String>,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

#[derive(Debug, Args)]
#[command(after_help = ACT_HELP)]
pub(crate) struct JobsArgs {
    /// Jobs: an index, a range (3-7) or a name [default: all jobs to which it applies]
    #[arg(value_name = "JOB", value_parser = names())]
    pub(crate) jobs: Vec<String>,

    /// Run id [default: the latest run]
    #[arg(short = 'R', long, value_name = "RUN")]
    pub(crate) run: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = ACT_HELP)]
pub(crate) struct KillArgs {
    /// Jobs: an index, a range (3-7) or a name
    #[arg(value_name = "JOB", required_unless_present = "all", conflicts_with = "all", value_parser = names())]
    pub(crate) jobs: Vec<String>,

    /// All jobs without an outcome
    #[arg(long)]
    pub(crate) all: bool,

    /// Run id [default: the latest run]
    #[arg(short = 'R', long, value_name = "RUN")]
    pub(crate) run: Option<String>,
}

const ACT_HELP: &str = "\
If the run has a manager, the manager does it. Otherwise this process contacts the jobs' hosts
itself; `gjob attach` resumes the run later.

Exit status: 0 done; 1 refused for some job, or its host is unreachable; 2 invalid usage or
input; 3 the run's manager or store failed.";

#[derive(Debug, Args)]
pub(crate) struct RunsArgs {
    /// Print a JSON array
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Run id [default: the latest run]
    #[arg(conflicts_with = "run_option")]
    pub(crate) run: Option<String>,

    /// Run id, as other commands take it
    #[arg(short = 'R', long = "run", value_name = "RUN")]
    pub(crate) run_option: Option<String>,

    /// List every job, not only those that are running, failed or unknown
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
pub(crate) struct ExplainArgs {
    /// Jobs: an index, a range (3-7) or a name
    #[arg(required = true, value_name = "JOB")]
    pub(crate) jobs: Vec<String>,

    /// Run id [default: the latest run]
    #[arg(short = 'R', long, value_name = "RUN")]
    pub(crate) run: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// Jobs: an index, a range (3-7) or a name
    #[arg(required = true, value_name = "JOB", value_parser = names())]
    pub(crate) jobs: Vec<String>,

    /// Run id [default: the latest run]
    #[arg(short = 'R', long, value_name = "RUN")]
    pub(crate) run: Option<String>,

    /// Show standard error instead of standard output
    #[arg(long)]
    pub(crate) err: bool,

    /// Follow the output until the job has ended
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
    /// Create a job directory and print its path
    Mkdir {
        /// Create the job directory below DIR
        #[arg(short, long, value_name = "DIR", env = "GJOB_REMOTE_PATH")]
        results_dir: Option<PathBuf>,
    },
    /// Start the script `.cmds` of a job directory, detached
    Start {
        /// Job directory
        dir: PathBuf,
        /// Kill the job if it runs longer than this
        #[arg(long, value_name = "DURATION")]
        timeout: Option<String>,
    },
    /// Print the state of each job: free, busy, done, unknown or error
    Status {
        /// Job directories
        #[arg(required = true)]
        dirs: Vec<PathBuf>,
    },
    /// Kill each job: SIGTERM, then SIGKILL
    Kill {
        /// Job directories
        #[arg(required = true)]
        dirs: Vec<PathBuf>,
        /// Time between SIGTERM and SIGKILL
        #[arg(long, value_name = "DURATION", default_value = "10s")]
        grace: String,
    },
    /// Pause each job
    Pause {
        /// Job directories
        #[arg(required = true)]
        dirs: Vec<PathBuf>,
    },
    /// Resume each paused job
    Unpause {
        /// Job directories
        #[arg(required = true)]
        dirs: Vec<PathBuf>,
    },
    /// Print true or false for each job; the exit status is 0 if all are paused
    IsPaused {
        /// Job directories
        #[arg(required = true)]
        dirs: Vec<PathBuf>,
    },
    /// Remove each job directory that has no running job
    Delete {
        /// Job directories
        #[arg(required = true)]
        dirs: Vec<PathBuf>,
    },
}
