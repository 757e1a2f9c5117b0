//! The arguments of `gjob hosts` and `gjob du`.

use clap::Args;
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter};

use super::{HostArgs, HostsCommand};
use crate::completion::{hosts, runs};

#[derive(Debug, Args)]
#[command(
    after_help = HOSTS_HELP,
    args_conflicts_with_subcommands = true,
    override_usage = "gjob hosts [OPTIONS]\n       gjob hosts <COMMAND>"
)]
pub(crate) struct HostsArgs {
    #[command(subcommand)]
    pub(crate) change: Option<HostsCommand>,

    /// Check the hosts of a run, instead of those of -H
    #[arg(short = 'R', long, value_name = "RUN", add = ArgValueCandidates::new(runs))]
    pub(crate) run: Option<String>,

    /// Start a process that does nothing, log out, log in again, and see whether it lives:
    /// whether jobs survive a logout
    #[arg(long)]
    pub(crate) probe: bool,

    /// Print a JSON array
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) hosts: HostArgs,
}

const HOSTS_HELP: &str = "\
Asks the hosts of -H, of a run (-R RUN), or those that a run without either
would use: all at once, each for up to 20 seconds; no host that was removed from
the run. What --probe starts is ended in any case, by itself after 3 minutes.

Exit status: 0 all hosts can run jobs; 1 some host cannot; 2 invalid usage or
input.";

#[derive(Debug, Args)]
#[command(after_help = DU_HELP)]
pub(crate) struct DuArgs {
    /// Hosts, as -H takes them
    #[arg(value_name = "HOST", conflicts_with_all = ["run", "hosts"], add = ArgValueCompleter::new(hosts))]
    pub(crate) host: Vec<String>,

    /// Measure the hosts of these runs, and list only these runs
    #[arg(short = 'R', long, value_name = "RUN", num_args = 1.., add = ArgValueCandidates::new(runs))]
    pub(crate) run: Vec<String>,

    /// Print a JSON object
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) hosts: HostArgs,
}

const DU_HELP: &str = "\
Without HOST and -R RUN it asks the hosts that a run without -H would use. Each
is asked about the first 500,000 files in its results directory. `gjob clean
RUN` removes what a run has left on its hosts; `gjob clean --unrecorded` what
runs have left that no record here names (`not recorded`).

Exit status: 0 all hosts answered; 1 some host did not; 2 invalid usage or
input.";
