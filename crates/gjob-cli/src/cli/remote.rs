//! The arguments of `gjob remote`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use clap_complete::engine::ArgValueCompleter;

use super::{HostArgs, names};
use crate::completion::hosts;

#[derive(Debug, Args)]
#[command(after_help = REMOTE_HELP)]
pub(crate) struct RemoteArgs {
    #[command(subcommand)]
    pub(crate) command: RemoteCommand,
}

const REMOTE_HELP: &str = "\
A job's id is HOST/HOSTNAME/DATE-N, as `gjob remote start` prints it: the host
as it was named there, and the job's directory below the results directory.
Where both names are the same, HOST/DATE-N will do. Exit status: 0 done; 1
refused for some job, or its host is unreachable; 2 invalid usage; 3 a job
cannot be started. `gjob remote cmd` ends as its commands do, or with 255 when
ssh fails.";

#[derive(Debug, Subcommand)]
pub(crate) enum RemoteCommand {
    /// Run the commands of standard input in a job's directory, or a shell with -i
    Cmd {
        /// Start an interactive shell
        #[arg(short)]
        interactive: bool,
        /// Job id
        #[arg(value_name = "JOB-ID")]
        id: String,
        #[command(flatten)]
        host: HostName,
        #[command(flatten)]
        reach: ReachArgs,
    },
    /// Start a job with the commands of standard input, and print its id
    Start {
        /// HOST is a cluster file; one of its workers is chosen at random
        #[arg(short)]
        cluster: bool,
        /// Show the job's standard output until it ends
        #[arg(short)]
        tail: bool,
        /// Host, or cluster file with -c
        #[arg(add = ArgValueCompleter::new(hosts))]
        host: String,
        /// Files to copy into the job's directory
        #[arg(value_name = "FILE", value_parser = names(), value_hint = ValueHint::AnyPath)]
        files: Vec<String>,
        /// Kill the job if it runs longer than this
        #[arg(long, value_name = "DURATION")]
        timeout: Option<String>,
        #[command(flatten)]
        reach: ReachArgs,
    },
    /// Print the state of each job: free, busy, done, unknown or error
    Status(JobIdArgs),
    /// Kill each job: SIGTERM, then SIGKILL
    Kill {
        #[command(flatten)]
        jobs: JobIdArgs,
        /// Time between SIGTERM and SIGKILL
        #[arg(long, value_name = "DURATION", default_value = "10s")]
        grace: String,
    },
    /// Pause each job
    Pause(JobIdArgs),
    /// Resume each paused job
    Unpause(JobIdArgs),
    /// Print true or false for each job; the exit status is 0 if all are paused
    IsPaused(JobIdArgs),
}

#[derive(Debug, Args)]
pub(crate) struct JobIdArgs {
    /// Job ids
    #[arg(required = true, value_name = "JOB-ID")]
    pub(crate) ids: Vec<String>,

    #[command(flatten)]
    pub(crate) host: HostName,

    #[command(flatten)]
    pub(crate) reach: ReachArgs,
}

/// The host of jobs.
#[derive(Debug, Args)]
pub(crate) struct HostName {
    /// Host of the jobs, instead of the one that begins their ids
    #[arg(short = 'H', long = "host", value_name = "HOST", add = ArgValueCompleter::new(hosts))]
    name: Option<String>,
}

impl HostName {
    /// What it is called, if that is given.
    pub(crate) fn given(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

/// How the jobs' hosts are reached.
#[derive(Debug, Args)]
pub(crate) struct ReachArgs {
    /// Results directory on the host [default: gjob-results]
    #[arg(
        short,
        long,
        value_name = "DIR",
        env = "GJOB_REMOTE_PATH",
        default_value = "",
        hide_default_value = true,
        value_parser = names()
    )]
    results_dir: String,

    /// ssh configuration file, instead of ~/.ssh/config
    #[arg(short = 'F', long, value_name = "FILE")]
    ssh_config: Option<PathBuf>,

    /// Command that opens a pipe to a host, instead of ssh
    #[arg(long, value_name = "COMMAND", value_parser = names())]
    connect: Option<String>,

    /// Read no gjob.toml
    #[arg(long)]
    no_config: bool,
}

impl ReachArgs {
    /// The arguments of a run on a host that is called so.
    pub(crate) fn to(&self, host: &str) -> HostArgs {
        HostArgs { hosts: vec![host.to_owned()], ..self.without_host() }
    }

    /// The same for the workers of a cluster file.
    pub(crate) fn to_cluster(&self, file: PathBuf) -> HostArgs {
        HostArgs { cluster: vec![file], ..self.without_host() }
    }

    fn without_host(&self) -> HostArgs {
        HostArgs {
            results_dir: self.results_dir.clone(),
            ssh_config: self.ssh_config.clone(),
            connect: self.connect.clone(),
            no_config: self.no_config,
            ..HostArgs::default()
        }
    }
}
