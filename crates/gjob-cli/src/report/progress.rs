//! How far a run is, on stderr: a progress line on a terminal, event lines
//! otherwise.

use std::io::{IsTerminal, Write, stderr};

use gjob::manager::{Handler, JobLog};
use gjob_core::event::{Direction, Transfer};
use gjob_core::plural::counted;
use gjob_core::text::printable;
use gjob_core::{Event, Job, State, What};

use super::bar::Bar;
use super::headline;
use crate::cli::{LogFormat, ReportArgs};
use crate::stamped::Stderr;

#[derive(Debug)]
pub(crate) enum Progress {
    /// Lines of the seed, or our own, for jobs that start and end.
    Lines(JobLog<Stderr>, LogFormat),
    Bar(Bar),
    /// Only what has to be said.
    Quiet,
}

impl Progress {
    pub(crate) fn new(args: &ReportArgs, colour: bool) -> Self {
        if args.is_quiet() {
            Progress::Quiet
        } else if stderr().is_terminal() {
            Progress::Bar(Bar::new(colour))
        } else {
            Progress::Lines(JobLog::new(Stderr), args.log_format)
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

    /// Takes what has happened.
    pub(crate) fn note(&mut self, event: &Event) {
        match (self, &event.what) {
            (Progress::Bar(bar), What::Transfer(transfer)) => bar.transfer(transfer),
            (Progress::Lines(log, _), What::Transfer(transfer))
                // Lines tell of a large file once, when all of it has arrived.
                if transfer.bytes >= transfer.size =>
            {
                log.line(&format!("{} ({})", way(transfer), counted(transfer.size, "byte")));
            }
            (Progress::Bar(_) | Progress::Lines(..) | Progress::Quiet, _) => {}
        }
    }

    pub(crate) fn sleep(&mut self) {
        match self {
            Progress::Lines(log, LogFormat::Seed) => log.handle_sleep(),
            Progress::Lines(_, LogFormat::Plain) | Progress::Quiet | Progress::Bar(_) => {}
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
            Progress::Bar(bar) => {
                bar.area.put_away();
                // Without stderr there is no reader.
                drop(writeln!(stderr(), "{line}"));
            }
            Progress::Quiet => drop(writeln!(Stderr, "{line}")),
        }
    }

    /// Writes something else to the terminal meanwhile.
    pub(crate) fn aside<T>(&mut self, write: impl FnOnce() -> T) -> T {
        match self {
            Progress::Lines(log, _) => {
                log.end_sleep();
                write()
            }
            Progress::Bar(bar) => {
                bar.area.put_away();
                write()
            }
            Progress::Quiet => write(),
        }
    }

    pub(crate) fn finish(&mut self) {
        match self {
            Progress::Lines(log, _) => log.end_sleep(),
            Progress::Bar(bar) => bar.area.put_away(),
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
