//! Reports on a run while it runs: on the terminal, in the job log, in the event
//! file. Each is a handler of its own; none of them can fail the run.

mod columns;
mod events;
mod filter;
mod joblog;
mod messages;
mod output;
mod progress;
mod terminal;

use std::fs::File;
use std::io;
use std::path::Path;

use gjob::manager::Handler;

use crate::cli::{ReportArgs, Show};
pub(crate) use columns::Columns;
use events::EventFile;
pub(crate) use filter::TerminalFilter;
use joblog::JobLogFile;
pub(crate) use terminal::Terminal;

/// Everything that reports on a run: the terminal, and the files.
pub(crate) type Reporters = (Terminal, Vec<Box<dyn Handler>>);

/// Reports on a run that starts, or (`resumed`) on one that continues: then its
/// files are appended to.
///
/// # Errors
/// When a file to be written cannot be opened; the path is in the error.
pub(crate) fn reporters(
    args: &ReportArgs,
    default_show: Show,
    resumed: bool,
) -> io::Result<Reporters> {
    let mut files: Vec<Box<dyn Handler>> = Vec::new();
    if let Some(path) = &args.joblog {
        files.push(Box::new(JobLogFile::new(open(path, resumed)?)?));
    }
    if let Some(path) = &args.events {
        files.push(Box::new(EventFile::new(open(path, resumed)?)));
    }
    Ok((Terminal::new(args, default_show), files))
}

/// Opens a file for writing or appending, with its path in the error.
fn open(path: &Path, add: bool) -> io::Result<File> {
    let mut options = File::options();
    options.create(true).append(add).write(true).truncate(!add);
    options
        .open(path)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}
