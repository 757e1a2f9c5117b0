//! A run on the terminal: messages, progress, and jobs' output.

mod alike;
mod saying;

use std::collections::BTreeMap;
use std::io::stderr;
use std::path::Path;
use std::time::Duration;

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Color, Style};
use gjob::manager::{Handler, Wanted};
use gjob::network::Fetched;
use gjob::settings::RunSettings;
use gjob::store::{RunDir, Store};
use gjob::units::format_duration;
use gjob_core::event::{ClockOffset, HostChange, HostEvent, RunEvent};
use gjob_core::plural::counted;
use gjob_core::resources::Ask;
use gjob_core::{Event, HostLabel, Job, Run, RunId, State, What};

use super::away::{FateOfJobs, newly_away};
use super::failures::{Failures, unused_hosts};
use super::headline::subject_host;
use super::lending::{Keys, LOOK_INTERVAL, Lending};
use super::messages::{CLOCK_TOLERANCE_MS, message};
use super::output::Printer;
use super::progress::Progress;
use super::{Absences, remedies};
use crate::cli::{self, ReportArgs, Show};
use alike::Alike;
use saying::Said;

/// Messages and progress on stderr, jobs' output where they wrote it to.
#[derive(Debug)]
pub(crate) struct Terminal {
    show: Show,
    verbose: bool,
    quiet: bool,
    /// Lines that are said only if the run does not succeed; none if they are said at once.
    withheld: Option<Vec<String>>,
    /// The first line of a run that may still be refused for what its jobs ask for.
    began: Option<String>,
    progress: Progress,
    printer: Printer,
    failures: Failures,
    /// Outputs of jobs that fail alike; none if all are to be shown.
    alike: Option<Alike>,
    colour: bool,
    /// The job that was named last: its output may follow.
    named: Option<u32>,
    /// Hosts' clocks as they were last told of.
    clocks: BTreeMap<HostLabel, ClockOffset>,
    absences: Absences,
    /// What becomes of the jobs of a host that is away.
    on_lost: Option<FateOfJobs>,
    lending: Option<Lending>,
    /// What is said with the next drawing of the progress, or when the terminal is back.
    kept: Vec<Said>,
    /// Outputs that were not kept.
    left_out: u64,
    /// True once the run is being ended early.
    is_ending: bool,
    is_over: bool,
}

impl Terminal {
    pub(super) fn new(args: &ReportArgs, default_show: Show) -> Self {
        // Outputs are no news of a run that succeeds.
        let default_show = if args.is_silent() { Show::Failed } else { default_show };
        let show = args.show.unwrap_or(default_show);
        let tails = show == Show::Failed;
        let colour = wants_colour(args.color);
        Terminal {
            show,
            verbose: args.verbose,
            quiet: args.is_quiet(),
            withheld: args.is_silent().then(Vec::new),
            began: None,
            progress: Progress::new(args, colour),
            printer: Printer::new(args.keep_order, args.tag, tails),
            failures: Failures::default(),
            alike: args.show.is_none().then(Alike::default),
            colour,
            named: None,
            clocks: BTreeMap::new(),
            absences: Absences::default(),
            on_lost: None,
            lending: None,
            kept: Vec::new(),
            left_out: 0,
            is_ending: false,
            is_over: false,
        }
    }

    /// The run begins to be reported on. Where there is a progress, keys are read.
    pub(super) fn begin(&mut self, dir: &RunDir, keys: Option<Keys>) {
        let row = Store::read(dir).and_then(|store| store.row()).ok();
        let settings = row.as_ref().and_then(|row| RunSettings::from_json(&row.settings).ok());
        self.on_lost = settings.map(|settings| FateOfJobs::of(&settings));
        let Progress::Bar(bar) = &mut self.progress else { return };
        if let Some(row) = row {
            bar.created = row.created;
        }
        self.lending = keys.and_then(|keys| Lending::start(dir, self.colour, keys));
        bar.has_keys = self.lending.is_some();
    }

    fn is_lent(&self) -> bool {
        self.lending.as_ref().is_some_and(Lending::is_lent)
    }

    /// Says what was kept, and draws the progress below it; returns when to do so again.
    fn draw(&mut self, run: &Run) -> Duration {
        self.say_kept();
        match &mut self.progress {
            Progress::Bar(bar) => bar.draw(run, &self.absences),
            Progress::Lines(..) | Progress::Quiet => LOOK_INTERVAL,
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
        self.say_line(text, false);
    }

    fn say_line(&mut self, text: &str, is_about_job: bool) {
        match &mut self.withheld {
            Some(withheld) => withheld.push(text.to_owned()),
            None => self.say(Said::Line(text.to_owned(), is_about_job)),
        }
    }

    /// Prints the last lines of a run, after what was withheld; nothing if that is not wanted
    /// of a run that `succeeds`.
    pub(super) fn print_end(&mut self, lines: &[String], succeeds: bool) {
        let withheld = match (self.withheld.take(), succeeds) {
            (Some(_), true) => return,
            (withheld, _) => withheld.unwrap_or_default(),
        };
        withheld.iter().chain(lines).for_each(|line| self.say_line(line, false));
    }

    /// What became of the run, a line each.
    pub(super) fn outcome(&self, id: &RunId, run: &Run, outputs: Option<&Path>) -> Vec<String> {
        let left_out = self.alike.as_ref().and_then(|alike| alike.note(id));
        if self.quiet || !self.progress.names_failures() {
            return left_out.into_iter().collect();
        }
        let mut lines: Vec<String> = unused_hosts(run, id).into_iter().collect();
        let failed = u64::from(run.tally().failed());
        // A single one has just been named.
        if failed > 1 {
            lines.push(format!("{} not done:", counted(failed, "job")));
            lines.extend(self.failures.lines(run.jobs()));
        }
        lines.extend(left_out);
        lines.extend(self.failures.hint(run.jobs(), id).map(|hint| format!("help: {hint}")));
        if let Some(Job { index, .. }) = run.jobs().iter().find(|job| job.has_failed()) {
            lines.push(format!(
                "help: `gjob logs {index} -R {id}` and `gjob explain {index} -R {id}` say more, `gjob retry --attach -R {id}` retries failed jobs"
            ));
        }
        lines.extend(remedies(run.jobs(), id));
        lines.extend(outputs.map(|outputs| format!("outputs: {}", outputs.display())));
        lines
    }

    /// Prints what still waits, and ends the progress.
    pub(crate) fn finish(&mut self) {
        if let Some(mut lending) = self.lending.take() {
            lending.end();
        }
        self.is_over = true;
        self.say_kept();
        let (printer, progress) = (&mut self.printer, &mut self.progress);
        let problems = progress.aside(|| printer.finish());
        for text in problems {
            self.progress.line(&text);
        }
        for (index, line) in self.printer.take_last_lines() {
            self.failures.note_last_line(index, &line);
        }
        self.progress.finish();
    }

    /// From now on the same output of several jobs is shown once, at the end.
    pub(super) fn gather(&mut self) {
        self.printer.gather();
    }

    /// The jobs' commands are words of a command line that were joined.
    pub(super) fn of_words(&mut self) {
        self.failures.of_words = true;
    }

    /// True if output of jobs could not be printed.
    pub(crate) fn output_failed(&self) -> bool {
        self.printer.has_failed()
    }
}

impl Handler for Terminal {
    fn handle_job_launch(&mut self, job: &Job) {
        // What had started when the run was ended early is being killed, as was said.
        self.say_began();
        if !self.is_ending {
            self.progress.job_launch(job);
        }
    }

    fn handle_job_done(&mut self, job: &Job) {
        self.say_began();
        self.progress.job_done(job);
        if job.state() != State::Done && self.progress.names_failures() {
            self.say(Said::Failure(job.clone()));
        }
    }

    fn handle_sleep(&mut self) {
        self.progress.sleep();
    }

    fn handle_event(&mut self, event: &Event, run: &Run) {
        self.progress.note(event);
        self.is_ending |= matches!(
            event.what,
            What::Run(RunEvent::Halting { .. } | RunEvent::Interrupted { .. })
        );
        let is_seed = !self.progress.names_failures();
        if let What::Host(host) = &event.what
            && let Some(away) = self.absences.apply(host, event.at)
            && !is_seed
            && !self.quiet
        {
            let back =
                format!("{} is back after {}", subject_host(&host.host), format_duration(away));
            self.say_line(&back, false);
        }
        if self.has_said_clock(&event.what) || (is_seed && matches!(event.what, What::Run(_))) {
            return;
        }
        let is_about_job = matches!(event.what, What::Job(_));
        let is_said = !self.quiet || is_hosts_failure(&event.what);
        let away = newly_away(&event.what, run, &self.absences);
        if away == Some(false) && !self.verbose {
            return;
        }
        if let Some(text) = message(&event.what, self.verbose).filter(|_| is_said) {
            if may_be_refused(&event.what, run) {
                self.began = Some(text);
                return;
            }
            for line in text.lines() {
                self.say_line(line, is_about_job);
            }
        }
        if let (Some(true), What::Host(host)) = (away, &event.what)
            && let Some(text) = self.on_lost.and_then(|on_lost| on_lost.said_of(&host.host, run))
            && is_said
        {
            self.say_line(&text, false);
        }
    }

    fn handle_wait(&mut self, run: &Run) -> Option<Duration> {
        let progress = &mut self.progress;
        if let Some(lending) = &self.lending
            && lending.settle(|| progress.aside(|| ()))
        {
            self.say_kept();
        }
        if self.is_lent() {
            return Some(LOOK_INTERVAL);
        }
        let has_more = !self.kept.is_empty();
        let Progress::Bar(bar) = &self.progress else { return None };
        let rest = bar.rest(run, has_more).unwrap_or_else(|| self.draw(run));
        Some(if self.lending.is_some() { rest.min(LOOK_INTERVAL) } else { rest })
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
        self.say(Said::Output(job.clone(), std::mem::take(outputs)));
    }
}

/// True for the beginning of a run with a job that hosts may not have room for.
fn may_be_refused(what: &What, run: &Run) -> bool {
    let asks = |job: &Job| job.spec.ask() != Ask::default();
    matches!(what, What::Run(RunEvent::Began { resumed: false, .. })) && run.jobs().iter().any(asks)
}

/// True for what keeps a host from doing its jobs.
fn is_hosts_failure(what: &What) -> bool {
    matches!(
        what,
        What::Host(HostEvent {
            change: HostChange::Failed { .. }
                | HostChange::Unreachable { .. }
                | HostChange::TaskSkipped { .. },
            ..
        })
    )
}

/// How the beginning of a line about a failure looks.
pub(super) const FAILURE: Style = Style::new().bold().fg_color(Some(Color::Ansi(AnsiColor::Red)));

/// Whether lines on stderr may be coloured.
pub(crate) fn wants_colour(color: cli::Color) -> bool {
    match color {
        cli::Color::Always => true,
        cli::Color::Never => false,
        cli::Color::Auto => AutoStream::choice(&stderr()) != ColorChoice::Never,
    }
}
