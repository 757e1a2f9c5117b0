//! A run on the terminal: messages, progress, and jobs' output.

use std::collections::BTreeMap;
use std::io::stderr;
use std::path::Path;

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Color, Style};
use gjob::manager::{Handler, Wanted};
use gjob::network::Fetched;
use gjob_core::event::{ClockOffset, HostChange, HostEvent};
use gjob_core::plural::counted;
use gjob_core::{Event, HostLabel, Job, Run, RunId, State, What};

use super::failures::Failures;
use super::headline;
use super::messages::{CLOCK_TOLERANCE_MS, message};
use super::output::Printer;
use super::progress::Progress;
use crate::cli::{self, ReportArgs, Show};

/// Messages and progress on stderr, jobs' output where they wrote it to.
#[derive(Debug)]
pub(crate) struct Terminal {
    show: Show,
    verbose: bool,
    quiet: bool,
    progress: Progress,
    printer: Printer,
    failures: Failures,
    colour: bool,
    /// The job that was named last: its output may follow.
    named: Option<u32>,
    /// Hosts' clocks as they were last told of.
    clocks: BTreeMap<HostLabel, ClockOffset>,
}

impl Terminal {
    pub(super) fn new(args: &ReportArgs, default_show: Show) -> Self {
        let show = args.show.unwrap_or(default_show);
        let tails = show == Show::Failed;
        Terminal {
            show,
            verbose: args.verbose,
            quiet: args.quiet,
            progress: Progress::new(args),
            printer: Printer::new(args.keep_order, args.tag, tails),
            failures: Failures::default(),
            colour: wants_colour(args.color),
            named: None,
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
        self.named = None;
        self.progress.line(text);
    }

    /// What became of the run, a line each.
    pub(super) fn outcome(&self, id: &RunId, run: &Run, outputs: Option<&Path>) -> Vec<String> {
        if self.quiet || !self.progress.names_failures() {
            return Vec::new();
        }
        let mut lines = Vec::new();
        let failed = u64::from(run.tally().failed());
        // A single one has just been named.
        if failed > 1 {
            lines.push(format!("{} not done:", counted(failed, "job")));
            lines.extend(self.failures.lines(run.jobs()));
        }
        lines.extend(self.failures.hint(run.jobs()).map(|hint| format!("help: {hint}")));
        if let Some(Job { index, .. }) = run.jobs().iter().find(|job| job.has_failed()) {
            lines.push(format!(
                "help: `gjob logs {index} -R {id}` and `gjob explain {index} -R {id}` say more, `gjob retry -R {id}` retries failed jobs"
            ));
        }
        lines.extend(outputs.map(|outputs| format!("outputs: {}", outputs.display())));
        lines
    }

    fn name_failure(&mut self, job: &Job) {
        let (what, why) = (headline::what_failed(job), headline::why(job));
        let style = if self.colour { FAILURE } else { Style::new() };
        self.progress.styled_line(&format!("{style}{what}{style:#}"), &why);
        self.named = Some(job.index);
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
        if job.state() != State::Done && self.progress.names_failures() {
            self.name_failure(job);
        }
    }

    fn handle_sleep(&mut self) {
        self.progress.sleep();
    }

    fn handle_event(&mut self, event: &Event, run: &Run) {
        if let What::Transfer(transfer) = &event.what {
            return self.progress.transfer(transfer);
        }
        self.progress.update(run);
        let is_seed = !self.progress.names_failures();
        if self.has_said_clock(&event.what) || (is_seed && matches!(event.what, What::Run(_))) {
            return;
        }
        let is_about_job = matches!(event.what, What::Job(_));
        let is_said = !self.quiet || is_hosts_failure(&event.what);
        if let Some(text) = message(&event.what, self.verbose).filter(|_| is_said) {
            // Of a job that has just been named more may follow.
            if !is_about_job {
                self.named = None;
            }
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
        let outputs = std::mem::take(outputs);
        let is_named = self.named == Some(job.index);
        let is_bar = matches!(self.progress, Progress::Bar(_));
        if is_bar && job.state() != State::Done && !outputs.is_empty() && !is_named {
            self.progress.line(&format!("output of {}:", headline::title(job)));
        }
        let (printer, progress) = (&mut self.printer, &mut self.progress);
        let problems = progress.aside(|| printer.job_output(job, outputs));
        for text in problems {
            self.progress.line(&text);
        }
        for (index, line) in self.printer.take_last_lines() {
            self.failures.note_last_line(index, &line);
        }
        self.named = None;
    }
}

/// True for what keeps a host from doing its jobs.
fn is_hosts_failure(what: &What) -> bool {
    matches!(
        what,
        What::Host(HostEvent {
            change: HostChange::Failed { .. } | HostChange::Unreachable { .. },
            ..
        })
    )
}

/// How the beginning of a line about a failure looks.
const FAILURE: Style = Style::new().bold().fg_color(Some(Color::Ansi(AnsiColor::Red)));

/// Whether lines on stderr may be coloured.
pub(crate) fn wants_colour(color: cli::Color) -> bool {
    match color {
        cli::Color::Always => true,
        cli::Color::Never => false,
        cli::Color::Auto => AutoStream::choice(&stderr()) != ColorChoice::Never,
    }
}
