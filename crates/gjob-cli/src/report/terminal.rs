//! A run on the terminal: messages, progress, and jobs' output.

use std::collections::BTreeMap;

use gjob::manager::{Handler, Wanted};
use gjob::network::Fetched;
use gjob_core::event::{ClockOffset, HostChange, HostEvent};
use gjob_core::{Event, HostLabel, Job, Run, State, What};

use super::messages::{CLOCK_TOLERANCE_MS, message};
use super::output::Printer;
use super::progress::Progress;
use crate::cli::{ReportArgs, Show};

/// Messages and progress on stderr, jobs' output where they wrote it to.
#[derive(Debug)]
pub(crate) struct Terminal {
    show: Show,
    verbose: bool,
    progress: Progress,
    printer: Printer,
    /// Hosts' clocks as they were last told of.
    clocks: BTreeMap<HostLabel, ClockOffset>,
}

impl Terminal {
    pub(super) fn new(args: &ReportArgs, default_show: Show) -> Self {
        Terminal {
            show: args.show.unwrap_or(default_show),
            verbose: args.verbose,
            progress: Progress::new(),
            printer: Printer::new(args.keep_order, args.tag),
            clocks: BTreeMap::new(),
        }
    }

    /// True when an event tells nothing new of a host's clock: it is measured
    /// again and again, each time a little better.
    fn has_said_clock(&mut self, what: &What) -> bool {
        let What::Host(HostEvent { host, change: HostChange::Clock(measured) }) = what else {
            return false;
        };
        let said = self.clocks.insert(host.clone(), *measured);
        said.is_some_and(|said| said.offset_ms.abs_diff(measured.offset_ms) <= CLOCK_TOLERANCE_MS)
    }

    /// Prints a line next to the progress.
    pub(crate) fn print_line(&mut self, text: &str) {
        self.progress.line(text);
    }

    /// Prints what still waits, and ends the progress.
    pub(crate) fn finish(&mut self) {
        for text in self.printer.finish() {
            self.progress.line(&text);
        }
        self.progress.finish();
    }

    /// True if output of jobs could not be printed.
    pub(crate) fn output_failed(&self) -> bool {
        self.printer.has_failed()
    }
}

impl Handler for Terminal {
    fn handle_job_launch(&mut self, job: &Job) {
        self.progress.job_launch(job);
    }

    fn handle_job_done(&mut self, job: &Job) {
        self.progress.job_done(job);
    }

    fn handle_sleep(&mut self) {
        self.progress.sleep();
    }

    fn handle_event(&mut self, event: &Event, run: &Run) {
        if let What::Transfer(transfer) = &event.what {
            return self.progress.transfer(transfer);
        }
        self.progress.update(run);
        if self.has_said_clock(&event.what) {
            return;
        }
        if let Some(text) = message(&event.what, self.verbose) {
            self.progress.line(&text);
        }
    }

    fn wanted(&self, job: &Job) -> Wanted {
        let both = Wanted { stdout: true, stderr: true };
        match self.show {
            Show::All => both,
            Show::Failed if job.state() != State::Done => both,
            Show::Failed | Show::None => Wanted::default(),
        }
    }

    fn handle_job_output(&mut self, job: &Job, outputs: &mut Vec<Fetched>) {
        let (printer, progress) = (&mut self.printer, &mut self.progress);
        let outputs = std::mem::take(outputs);
        let problems = progress.aside(|| printer.job_output(job, outputs));
        for text in problems {
            self.progress.line(&text);
        }
    }
}
