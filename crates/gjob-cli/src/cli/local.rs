//! The arguments of `gjob local`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

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
