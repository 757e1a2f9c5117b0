//! The arguments of `gjob hosts`.

use clap::Args;
use clap_complete::engine::ArgValueCandidates;

use super::HostArgs;
use crate::completion::runs;

#[derive(Debug, Args)]
#[command(after_help = HOSTS_HELP)]
pub(crate) struct HostsArgs {
    /// Check the hosts of a run, instead of those of -H
    #[arg(short = 'R', long, value_name = "RUN", add = ArgValueCandidates::new(runs))]
    pub(crate) run: Option<String>,

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
