//! What is reported during a run, and how: for `run` and `attach`.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

use gjob_core::halt::Halt;

use super::options::{NewHalt, never_or_halt};
use super::{BackgroundArgs, HostArgs, RunName};

#[derive(Debug, Default, Args)]
#[command(next_help_heading = "What is shown")]
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
    #[arg(short, long, conflicts_with = "quiet")]
    pub(crate) verbose: bool,

    /// Report only jobs that are not done, and the end; -qq: nothing if all jobs are done
    #[arg(short, long, action = ArgAction::Count)]
    pub(crate) quiet: u8,

    /// Colour what is reported on a terminal
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,

    /// Lines for jobs where no terminal is
    #[arg(long, value_name = "FORMAT", default_value = "plain")]
    pub(crate) log_format: LogFormat,

    /// Print help (-h: a summary)
    #[arg(short, long, action = ArgAction::Help)]
    help: Option<bool>,
}

impl ReportArgs {
    /// As little as `-q` reports, or as `-qq` does.
    pub(crate) fn quiet(quiet: u8) -> Self {
        ReportArgs { quiet, ..ReportArgs::default() }
    }

    /// Only what is wrong is reported, and the end.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet > 0
    }

    /// Nothing is reported of a run that succeeds.
    pub(crate) fn is_silent(&self) -> bool {
        self.quiet > 1
    }
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Everywhere
    Always,
    /// Nowhere
    Never,
}

/// How jobs are reported line by line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// `start #0`, `ok #0`, `FAILED #0`
    #[default]
    Plain,
    /// `LAUNCH`, `DONE`, `ERROR`, `WAIT`: the lines of glimpse.util.cluster
    Seed,
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
#[command(disable_help_flag = true, after_help = ATTACH_HELP)]
pub(crate) struct AttachArgs {
    #[command(flatten)]
    pub(crate) run: RunName,

    /// Stop starting jobs after N failures in all, or never (none) [default: as before]
    #[arg(long, value_name = "N", value_parser = max_fails, conflicts_with = "halt")]
    pub(crate) max_fails: Option<NewHalt>,

    /// End the run early: soon,fail=3, now,success=10%, or never [default: as before]
    #[arg(long, value_name = "WHEN", value_parser = never_or_halt)]
    pub(crate) halt: Option<NewHalt>,

    /// With -H: remove hosts of the run that have never answered, such as mistyped ones
    #[arg(long, requires = "hosts")]
    pub(crate) replace: bool,

    /// Resume a copy whose original is gone or will not be used again: hosts refuse that from then on
    ///
    /// Hosts tell what they have run since the copy was made, and that does not run again. Hosts
    /// that were added to the run since then have to be named with -H, or what they have run
    /// begins again.
    #[arg(long)]
    pub(crate) moved: bool,

    #[command(flatten)]
    pub(crate) background: BackgroundArgs,

    /// This process is the one that `--detach` has started.
    #[arg(long, hide = true, conflicts_with = "detach")]
    pub(crate) in_background: bool,

    #[command(flatten)]
    pub(crate) hosts: HostArgs,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

const ATTACH_HELP: &str = "\
Hosts of -H that the run does not have are added to it; -j changes how many jobs
all of its hosts run at once. If another process manages the run, that process
makes the changes. `gjob hosts` has commands that drain and remove hosts.";

fn max_fails(text: &str) -> Result<NewHalt, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    match (text, number) {
        ("none", _) => Ok(NewHalt(None)),
        (_, Some(number)) => Ok(NewHalt(Some(Halt::after_failures(number)))),
        (_, None) => Err("expected a number of failures from 1, or none".to_owned()),
    }
}
