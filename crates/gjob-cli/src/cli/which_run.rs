//! Which run is meant, for every command that takes one.

use clap::Args;
use clap_complete::engine::ArgValueCandidates;

use crate::completion::runs;

/// Help of the option and the argument.
const HELP: &str = "Run: an id, the end of one (7, 22-7) or `latest` [default: the latest run]";

#[derive(Debug, Args)]
pub(crate) struct RunOption {
    #[arg(short = 'R', long, value_name = "RUN", help = HELP, add = ArgValueCandidates::new(runs))]
    run: Option<String>,
}

impl RunOption {
    /// What the user wrote; none for the latest run.
    pub(crate) fn word(&self) -> Option<&str> {
        self.run.as_deref()
    }
}

/// For commands without jobs among their arguments: the option, or an argument.
#[derive(Debug, Args)]
pub(crate) struct RunName {
    #[arg(value_name = "RUN", conflicts_with = "run", help = HELP, add = ArgValueCandidates::new(runs))]
    run_argument: Option<String>,

    #[command(flatten)]
    option: RunOption,
}

impl RunName {
    /// What the user wrote; none for the latest run.
    pub(crate) fn word(&self) -> Option<&str> {
        self.run_argument.as_deref().or(self.option.word())
    }
}
