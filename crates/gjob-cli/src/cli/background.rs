//! Arguments of what goes on without the user.

use clap::Args;

use super::names;

#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Leaving it running")]
pub(crate) struct BackgroundArgs {
    /// Manage the run in the background and print its id; `gjob attach` follows it
    #[arg(short, long, alias = "background")]
    pub(crate) detach: bool,

    /// Shell command to run when the run has ended, with a record of it in JSON on
    /// standard input [default with attach: as before, '' for none]
    #[arg(long, value_name = "CMD", value_parser = names())]
    pub(crate) notify: Option<String>,
}
