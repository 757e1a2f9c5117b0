//! The arguments of what changes the hosts of a run.

use clap::{Args, Subcommand};
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter};

use super::{HostArgs, RunOption, names};
use crate::completion::{hosts, hosts_of_run};

#[derive(Debug, Subcommand)]
pub(crate) enum HostsCommand {
    /// Add hosts to a run, or return drained and removed ones to service
    Add(Box<AddHostsArgs>),
    /// Let hosts of a run end what they have begun, and get no more jobs
    Drain(NamedHostsArgs),
    /// Remove hosts from a run: what they have begun is killed and runs again elsewhere
    Remove(NamedHostsArgs),
    /// Change how many jobs hosts of a run run at once
    Slots(SlotsArgs),
}

#[derive(Debug, Args)]
#[command(after_help = ADD_HELP)]
pub(crate) struct AddHostsArgs {
    /// Hosts, as -H takes them
    #[arg(
        value_name = "HOST",
        required_unless_present_any = ["hosts", "hosts_file", "cluster"],
        add = ArgValueCompleter::new(hosts)
    )]
    pub(crate) host: Vec<String>,

    #[command(flatten)]
    pub(crate) run: RunOption,

    #[command(flatten)]
    pub(crate) hosts: HostArgs,
}

#[derive(Debug, Args)]
#[command(after_help = CHANGE_HELP)]
pub(crate) struct NamedHostsArgs {
    /// Hosts of the run: names, ranges node[01-32], patterns gpu* or @LABEL
    #[arg(value_name = "HOST", required = true, value_parser = names(), add = ArgValueCandidates::new(hosts_of_run))]
    pub(crate) host: Vec<String>,

    #[command(flatten)]
    pub(crate) run: RunOption,
}

#[derive(Debug, Args)]
#[command(after_help = CHANGE_HELP)]
pub(crate) struct SlotsArgs {
    /// Jobs at once on each of the hosts
    #[arg(value_name = "N", value_parser = slots)]
    pub(crate) slots: u32,

    /// Hosts of the run: names, ranges node[01-32], patterns gpu* or @LABEL [default: all]
    #[arg(value_name = "HOST", value_parser = names(), add = ArgValueCandidates::new(hosts_of_run))]
    pub(crate) host: Vec<String>,

    #[command(flatten)]
    pub(crate) run: RunOption,
}

const ADD_HELP: &str = "\
What is not given for the hosts is as for the other hosts of the run. A host
that the run has already keeps how it is reached. Jobs that are bound to a label
of an added host may run on it; --each-host has made its jobs before.

If the run has a manager, the manager does it. Otherwise it is recorded, and
`gjob attach` does it.

Exit status: 0 done; 2 invalid usage or input, nothing was changed; 3 the run's
manager or store failed.";

const CHANGE_HELP: &str = "\
If the run has a manager, the manager does it. Otherwise it is recorded, and
`gjob attach` does it.

Exit status: 0 done; 2 invalid usage or input, nothing was changed; 3 the run's
manager or store failed.";

fn slots(text: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| (1..=10_000).contains(number));
    number.ok_or_else(|| {
        "expected a number from 1 to 10000, then hosts: gjob hosts slots 2 h1".to_owned()
    })
}
