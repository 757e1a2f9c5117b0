//! The arguments of `gjob run`, and its hosts.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use clap_complete::engine::ArgValueCompleter;

use super::{BackgroundArgs, FailureArgs, FileArgs, JobOptions, ReportArgs, names};
use crate::completion::hosts;

#[derive(Debug, Args)]
#[command(after_help = RUN_HELP, disable_help_flag = true)]
pub(crate) struct RunArgs {
    /// Job file: one command per line, JSON Lines (.jsonl), TOML (.toml) or a Python
    /// script (.py), which gets the arguments after --; - for standard input
    #[arg(value_parser = names(), value_hint = ValueHint::FilePath)]
    pub(crate) jobs: Option<String>,

    /// A command: -- CMD, with values: -- CMD {} ::: a b c; or the arguments of a Python
    /// script
    #[arg(last = true, value_name = "CMD", value_parser = names(), value_hint = ValueHint::AnyPath)]
    pub(crate) command: Vec<String>,

    #[command(flatten)]
    pub(crate) hosts: HostArgs,

    #[command(flatten)]
    pub(crate) tasks: TaskArgs,

    #[command(flatten)]
    pub(crate) files: FileArgs,

    #[command(flatten)]
    pub(crate) options: JobOptions,

    #[command(flatten)]
    pub(crate) failures: FailureArgs,

    /// Show jobs and hosts, start nothing
    #[arg(long, help_heading = "What is shown", alias = "dryrun")]
    pub(crate) dry_run: bool,

    /// Print the jobs of --dry-run as a job file in JSON Lines
    #[arg(long, requires = "dry_run", help_heading = "What is shown")]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) background: BackgroundArgs,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

const RUN_HELP: &str = "\
A command after -- runs once per value: `gjob run -- gzip {} ::: *.txt`. Values
come from ::: lists (several give all combinations), from :::: FILE or from
standard input, one per line. {} is the value, {.} without extension, {/} its
base name, {//} its directory, {/.} its base name without extension, {#} the
job's number, {1} {2} the values of the first and second list.

Exit status: 0 all jobs done; 1 some job not done; 2 invalid usage or input,
nothing was started; 3 no usable host, or the run's store or outputs cannot be
written; 130 interrupted.

Environment variables: see `gjob --help`.";

const HOSTS_HELP: &str = "Hosts: [SLOTS/][USER@]NAME[:PORT], comma-separated, ranges node[01-32]; : is this machine, \
     @GROUP a group in gjob.toml [env: GJOB_HOSTS]";

#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Hosts")]
pub(crate) struct HostArgs {
    #[arg(
        short = 'H',
        long,
        value_name = "LIST",
        help = HOSTS_HELP,
        add = ArgValueCompleter::new(hosts),
        short_aliases = ['S', 'w'],
        aliases = ["host", "sshlogin", "nodelist"]
    )]
    pub(crate) hosts: Vec<String>,

    /// File of hosts, one per line; labels, results_dir and variables may follow:
    /// h1 labels=big,a100 results_dir=/scratch/me env.X=1
    #[arg(long, value_name = "FILE", aliases = ["hostfile", "sshloginfile", "slf"])]
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

    /// ssh configuration file, instead of ~/.ssh/config; a connection of yours (ControlPath) is used when a login is refused
    #[arg(short = 'F', long, value_name = "FILE")]
    pub(crate) ssh_config: Option<PathBuf>,

    /// Jobs at once on each host without SLOTS/ [default: its processors]
    #[arg(
        short = 'j',
        long,
        value_name = "N",
        short_alias = 'P',
        aliases = ["jobs", "max-procs"],
        value_parser = clap::value_parser!(u32).range(1..=10_000)
    )]
    pub(crate) slots: Option<u32>,

    /// Disk space for staged files on a host; files in use stay [default: 20G]
    #[arg(long, value_name = "SIZE")]
    pub(crate) blob_budget: Option<String>,

    /// Start no job on a host while less than SIZE is free where its results are
    #[arg(long, value_name = "SIZE")]
    pub(crate) min_free: Option<String>,

    /// Start no job on a host while its load is MAX or more: a number, or a share of its
    /// processors (80%)
    #[arg(long, value_name = "MAX")]
    pub(crate) load: Option<String>,

    /// Run jobs with this niceness, 0 to 19
    #[arg(long, value_name = "N")]
    pub(crate) nice: Option<String>,

    /// Start jobs on a host at least so long after one another: 0.5, 2s
    #[arg(long, value_name = "DURATION")]
    pub(crate) delay: Option<String>,

    /// Start jobs on a host although your other runs use its processors, memory or GPUs
    #[arg(long)]
    pub(crate) oversubscribe: bool,

    /// Read no gjob.toml
    #[arg(long)]
    pub(crate) no_config: bool,

    /// Worker program for hosts of a platform, such as linux-aarch64=PATH
    #[arg(long, value_name = "OS-ARCH=PATH", value_parser = names())]
    pub(crate) agent: Vec<String>,
}

/// What is run once on each host besides its jobs.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Hosts")]
pub(crate) struct TaskArgs {
    /// Run CMD once on each host, with the files of -f, before its first job; a host where
    /// it fails gets no jobs
    #[arg(long, value_name = "CMD", value_parser = names())]
    pub(crate) setup: Option<String>,

    /// Run CMD once on each host after its last job, however the run ends
    #[arg(long, value_name = "CMD", value_parser = names())]
    pub(crate) teardown: Option<String>,

    /// Kill a set-up or teardown that runs longer
    #[arg(long, value_name = "DURATION", default_value = "30m")]
    pub(crate) setup_timeout: String,
}
