//! How far a run is, on stderr: a progress line on a terminal, event lines
//! otherwise.

use std::io::{IsTerminal, Stderr, Write, stderr};

use gjob::manager::{Handler, JobLog};
use gjob_core::event::{Direction, Transfer};
use gjob_core::plural::counted;
use gjob_core::text::printable;
use gjob_core::{Job, Run, State};

use super::bar::Bar;
use super::headline;
use crate::cli::{LogFormat, ReportArgs};

#[derive(Debug)]
pub(crate) enum Progress {
    /// Lines of the seed, or our own, for jobs that start and end.
    Lines(JobLog<Stderr>, LogFormat),
    Bar(Bar),
    /// Only what has to be said.
    Quiet,
}

impl Progress {
    pub(crate) fn new(args: &ReportArgs) -> Self {
        if args.quiet {
            Progress::Quiet
        } else if stderr().is_terminal() {
            Progress::Bar(Bar::new())
        } else {
            Progress::Lines(JobLog::new(stderr()), args.log_format)
        }
    }

    /// True where jobs that are not done are named beside the progress: the seed's
    /// lines do so themselves.
    pub(crate) fn names_failures(&self) -> bool {
        !matches!(self, Progress::Lines(_, LogFormat::Seed))
    }

    pub(crate) fn job_launch(&mut self, job: &Job) {
        match self {
            Progress::Lines(log, LogFormat::Seed) => log.handle_job_launch(job),
            Progress::Lines(log, LogFormat::Plain) => log.line(&headline::start(job)),
            Progress::Bar(_) | Progress::Quiet => {}
        }
    }

    pub(crate) fn job_done(&mut self, job: &Job) {
        match self {
            Progress::Lines(log, LogFormat::Seed) => log.handle_job_done(job),
            Progress::Lines(log, LogFormat::Plain) if job.state() == State::Done => {
                log.line(&headline::end(job));
            }
            Progress::Lines(..) | Progress::Bar(_) | Progress::Quiet => {}
        }
    }

    /// Shows how far the run is.
    pub(crate) fn update(&mut self, run: &Run) {
        if let Progress::Bar(bar) = self {
            bar.update(run);
        }
    }

    pub(crate) fn sleep(&mut self) {
        match self {
            Progress::Lines(log, LogFormat::Seed) => log.handle_sleep(),
            Progress::Lines(_, LogFormat::Plain) | Progress::Quiet => {}
            Progress::Bar(bar) => bar.bar.tick(),
        }
    }

    /// A large file has come this far.
    pub(crate) fn transfer(&mut self, transfer: &Transfer) {
        match self {
            // Lines tell of it once, when all of it has arrived.
            Progress::Lines(log, _) if transfer.bytes >= transfer.size => {
                log.line(&format!("{} ({})", way(transfer), counted(transfer.size, "byte")));
            }
            Progress::Lines(..) | Progress::Quiet => {}
            Progress::Bar(bar) => bar.transfer(transfer),
        }
    }

    /// A line of its own.
    pub(crate) fn line(&mut self, text: &str) {
        self.styled_line("", text);
    }

    /// A line of its own that begins with something else in colour.
    pub(crate) fn styled_line(&mut self, styled: &str, text: &str) {
        let line = format!("{styled}{}", printable(text));
        match self {
            Progress::Lines(log, _) => log.line(&line),
            Progress::Bar(bar) => bar.bar.println(line),
            // Without stderr there is no reader.
            Progress::Quiet => drop(writeln!(stderr(), "{line}")),
        }
    }

    /// Writes something else to the terminal meanwhile.
    pub(crate) fn aside<T>(&mut self, write: impl FnOnce() -> T) -> T {
        match self {
            Progress::Lines(log, _) => {
                log.end_sleep();
                write()
            }
            Progress::Bar(bar) => bar.bar.suspend(write),
            Progress::Quiet => write(),
        }
    }

    pub(crate) fn finish(&mut self) {
        match self {
            Progress::Lines(log, _) => log.end_sleep(),
            Progress::Bar(bar) => bar.bar.finish_and_clear(),
            Progress::Quiet => {}
        }
    }
}

/// Which file goes where.
pub(super) fn way(Transfer { host, direction, file, .. }: &Transfer) -> String {
    let name = printable(file.rsplit('/').next().unwrap_or(file));
    match direction {
        Direction::In => format!("{name} > {host}"),
        Direction::Out => format!("{host} > {name}"),
    }
}
