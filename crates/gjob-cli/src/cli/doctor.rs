//! The arguments of `gjob hosts`.

use clap::Args;

use super::{HostArgs, RunOption};

#[derive(Debug, Args)]
#[command(after_help = HOSTS_HELP)]
pub(crate) struct HostsArgs {
    #[command(flatten)]
    pub(crate) run: RunOption,

    /// Print a JSON array
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) hosts: HostArgs,
}

const HOSTS_HELP: &str = "\
Asks the hosts of -H, of a run (-R RUN), or those that a run without either would use: all at
once, each for up to 20 seconds.

Exit status: 0 all hosts can run jobs; 1 some host cannot; 2 invalid usage or input.";
