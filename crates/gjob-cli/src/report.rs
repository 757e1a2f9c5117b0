//! Reports on a run while it runs: on the terminal, in the job log, in the event
//! file. None of them can fail the run; what could not be reported, the exit status
//! tells.

mod absences;
mod area;
mod away;
mod bar;
mod columns;
mod events;
mod failures;
mod filter;
mod folded;
mod glance;
pub(crate) mod headline;
mod host_work;
mod joblog;
mod lending;
mod lines;
mod messages;
mod not_executable;
mod output;
mod progress;
mod remedies;
mod tail;
mod terminal;
mod unsent;
mod wrap;

use std::io;
use std::path::Path;
use std::time::Duration;

use gjob::manager::{Handler, Wanted};
use gjob::network::Fetched;
use gjob::store::RunDir;
use gjob_core::{Event, Job, Run, RunId};

use crate::cli::{ReportArgs, Show};
pub(crate) use absences::Absences;
pub(crate) use away::FateOfJobs;
pub(crate) use bar::{stderr_columns, stdout_columns, whole_seconds, with_gaps};
pub(crate) use columns::Columns;
use events::EventFile;
pub(crate) use filter::TerminalFilter;
pub(crate) use folded::folded;
pub(crate) use glance::rate_text;
pub(crate) use host_work::{HostWork, host_work};
use joblog::JobLogFile;
pub(crate) use lending::{Borrower, Keys};
use lines::LineFile;
pub(crate) use messages::name_files;
pub(crate) use remedies::remedies;
pub(crate) use tail::{ByLine, Tail};
use terminal::FAILURE;
use terminal::Terminal;
pub(crate) use terminal::wants_colour;
pub(crate) use wrap::{fit, fit_hints};

/// Everything that reports on a run.
#[derive(Debug)]
pub(crate) struct Reporters {
    terminal: Terminal,
    joblog: Option<JobLogFile>,
    events: Option<EventFile>,
    failed: bool,
}

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
    if let (Some(joblog), Some(events)) = (&args.joblog, &args.events)
        && std::path::absolute(joblog)? == std::path::absolute(events)?
    {
        let text = format!("{}: --joblog and --events need a file each", joblog.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let joblog = args.joblog.as_deref().map(|path| JobLogFile::open(path, resumed));
    let events = args.events.as_deref().map(|path| EventFile::open(path, resumed));
    Ok(Reporters {
        terminal: Terminal::new(args, default_show),
        joblog: joblog.transpose()?,
        events: events.transpose()?,
        failed: false,
    })
}

impl Reporters {
    /// From now on the same output of several jobs is shown once, at the end, below the
    /// jobs' names.
    pub(crate) fn gather(mut self) -> Self {
        self.terminal.gather();
        self
    }

    /// The jobs' commands are words of a command line that were joined.
    pub(crate) fn of_words(mut self) -> Self {
        self.terminal.of_words();
        self
    }

    /// Prints a line next to the progress.
    pub(crate) fn print_line(&mut self, text: &str) {
        self.terminal.print_line(text);
    }

    /// The run begins to be reported on. `keys` are given if standard input is used for
    /// nothing else.
    pub(crate) fn begin(&mut self, dir: &RunDir, keys: Option<Keys>) {
        self.terminal.begin(dir, keys);
    }

    /// Prints and writes what still waits, and ends the progress.
    pub(crate) fn finish(&mut self) {
        self.print_problems();
        let missing: Vec<String> = self.files().filter_map(LineFile::finish).collect();
        for text in missing {
            self.failed = true;
            self.terminal.print_line(&text);
        }
        self.terminal.finish();
    }

    /// What became of the run, a line each: the jobs that are not done by cause, and
    /// where outputs are.
    pub(crate) fn outcome(&self, id: &RunId, run: &Run, outputs: Option<&Path>) -> Vec<String> {
        self.terminal.outcome(id, run, outputs)
    }

    /// Prints the last lines of a run; nothing if that is not wanted of one that succeeds.
    pub(crate) fn print_end(&mut self, lines: &[String], succeeds: bool) {
        self.terminal.print_end(lines, succeeds);
    }

    /// True if something of what was asked for could not be reported.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed || self.terminal.output_failed()
    }

    fn files(&mut self) -> impl Iterator<Item = &mut LineFile> {
        let joblog = self.joblog.as_mut().map(|joblog| &mut joblog.0);
        joblog.into_iter().chain(self.events.as_mut().map(|events| &mut events.0))
    }

    fn print_problems(&mut self) {
        let problems: Vec<String> = self.files().filter_map(LineFile::take_problem).collect();
        problems.iter().for_each(|problem| self.terminal.print_line(problem));
    }
}

impl Handler for Reporters {
    fn handle_job_launch(&mut self, job: &Job) {
        self.terminal.handle_job_launch(job);
    }

    fn handle_job_done(&mut self, job: &Job) {
        self.terminal.handle_job_done(job);
        self.joblog.iter_mut().for_each(|joblog| joblog.handle_job_done(job));
        self.print_problems();
    }

    fn handle_sleep(&mut self) {
        self.terminal.handle_sleep();
    }

    fn handle_event(&mut self, event: &Event, run: &Run) {
        self.terminal.handle_event(event, run);
        self.events.iter_mut().for_each(|events| events.handle_event(event, run));
        self.print_problems();
    }

    fn handle_wait(&mut self, run: &Run) -> Option<Duration> {
        self.terminal.handle_wait(run)
    }

    fn wanted(&self, job: &Job) -> Wanted {
        self.terminal.wanted(job)
    }

    fn handle_job_output(&mut self, job: &Job, outputs: &mut Vec<Fetched>) {
        self.terminal.handle_job_output(job, outputs);
    }
}
