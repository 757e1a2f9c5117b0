//! What is said next to the progress: at once where there is none; else with its next
//! drawing, so that both are written together, and not while the terminal is lent.

use anstyle::Style;
use gjob::network::Fetched;
use gjob_core::plural::counted;
use gjob_core::{Job, State};

use super::{FAILURE, Progress, Terminal};
use crate::report::bar::size;
use crate::report::headline;
use crate::report::wrap::wrap;

/// Something that is to be said.
#[derive(Debug)]
pub(super) enum Said {
    /// A line; true if more about the job that was named last may follow.
    Line(String, bool),
    Failure(Job),
    Output(Job, Vec<Fetched>),
}

/// As much is kept until the next drawing of the progress.
const MOST_KEPT: usize = 1000;

impl Terminal {
    /// Says something: at once, or with the next drawing of the progress.
    pub(super) fn say(&mut self, said: Said) {
        self.say_began();
        let is_lent = self.is_lent();
        if self.is_over || !(is_lent || matches!(self.progress, Progress::Bar(_))) {
            return self.say_now(said);
        }
        if self.kept.len() < MOST_KEPT || !is_lent {
            self.kept.push(said);
        } else if let Said::Output(..) = said {
            self.left_out += 1;
        } else {
            self.kept.push(said);
        }
        if self.kept.len() >= MOST_KEPT && !is_lent {
            self.say_kept();
        }
    }

    /// Says that the run has begun, if that has waited for it to be accepted.
    pub(super) fn say_began(&mut self) {
        if let Some(text) = self.began.take() {
            self.say(Said::Line(text, false));
        }
    }

    pub(super) fn say_kept(&mut self) {
        for said in std::mem::take(&mut self.kept) {
            self.say_now(said);
        }
        if let count @ 1.. = std::mem::take(&mut self.left_out) {
            let jobs = counted(count, "job");
            self.progress.line(&format!("output of {jobs} left out: `gjob logs` shows it"));
        }
    }

    /// A text as lines that the terminal does not break within words.
    fn lines_of(&self, text: &str) -> Vec<String> {
        match &self.progress {
            Progress::Bar(_) => wrap(text, size().0),
            Progress::Lines(..) | Progress::Quiet => vec![text.to_owned()],
        }
    }

    fn say_now(&mut self, said: Said) {
        match said {
            Said::Line(text, is_about_job) => {
                if !is_about_job {
                    self.named = None;
                }
                self.lines_of(&text).iter().for_each(|line| self.progress.line(line));
            }
            Said::Failure(job) => self.name_failure(&job),
            Said::Output(job, outputs) => self.print_output(&job, outputs),
        }
    }

    fn print_output(&mut self, job: &Job, mut outputs: Vec<Fetched>) {
        if self.progress.names_failures()
            && !self.printer.gathers()
            && let Some(alike) = &mut self.alike
            && let Some(line) = alike.take_out(job, self.show, &mut outputs)
        {
            self.failures.note_last_line(job.index, &line);
        }
        // A job without any does not come between another and its own.
        let comes_between = !outputs.is_empty();
        let is_named = self.named == Some(job.index);
        let follows = self.progress.names_failures() && !self.printer.gathers();
        if follows && job.state() != State::Done && !outputs.is_empty() && !is_named {
            let title = format!("output of {}:", headline::title(job));
            self.lines_of(&title).iter().for_each(|line| self.progress.line(line));
        }
        let (printer, progress) = (&mut self.printer, &mut self.progress);
        let problems = progress.aside(|| printer.job_output(job, outputs));
        for text in problems {
            self.progress.line(&text);
        }
        for (index, line) in self.printer.take_last_lines() {
            self.failures.note_last_line(index, &line);
        }
        if comes_between {
            self.named = None;
        }
    }

    fn name_failure(&mut self, job: &Job) {
        let (what, why) = (headline::what_failed(job), headline::why(job));
        let style = if self.colour { FAILURE } else { Style::new() };
        let lines = self.lines_of(&format!("{what}{why}"));
        for (number, line) in lines.iter().enumerate() {
            match line.strip_prefix(&what).filter(|_| number == 0) {
                Some(rest) => {
                    self.progress.styled_line(&format!("{style}{what}{style:#}"), rest);
                }
                None => self.progress.line(line),
            }
        }
        self.named = Some(job.index);
    }
}
