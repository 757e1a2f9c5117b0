//! Job scripts: Python, run by the user's own interpreter with the functions `Job`
//! and `Repeat`. Their arguments come back through a pipe, job by job; what the
//! script prints goes to stderr.

mod process;

use std::io::{BufRead, BufReader, Read};

use gjob_core::os_text::to_path;
use gjob_core::plain_text;

use serde::Deserialize;
use serde_json::value::RawValue;

pub use process::Stopper;

use super::draft::JobDraft;
use super::errors::{Collector, JobFileErrors};
use super::fields;
use super::jobs::{Added, Jobs, JobsBuilder};
use super::origin::Origin;
use super::place::Place;
use super::problem::{Problem, ScriptProblem};
use process::Process;

/// A job script and its arguments.
#[derive(Clone, Debug)]
pub struct Script {
    path: String,
    arguments: Vec<String>,
    stopper: Stopper,
}

/// A line that the shim writes.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Message<'a> {
    /// A call of `Job`.
    Job {
        /// The line of the script with the call; 0 if it is not known.
        line: u32,
        #[serde(borrow)]
        spec: &'a RawValue,
    },
    /// The end of the script.
    End { jobs: u64 },
    /// It called `sys.exit`.
    Exit(String),
    /// It called a function with something that cannot be a job's.
    Call { file: String, line: usize, message: String },
    /// It raised an exception.
    Raised(String),
    /// Python is too old for the shim.
    Old(String),
}

impl Script {
    /// A script without arguments.
    #[must_use]
    pub fn new(path: impl Into<String>) -> Self {
        Script { path: path.into(), arguments: Vec::new(), stopper: Stopper::default() }
    }

    /// Sets the arguments in `sys.argv`.
    #[must_use]
    pub fn arguments<I, S>(mut self, arguments: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        self.arguments = arguments.into_iter().map(Into::into).collect();
        self
    }

    /// A handle that stops the script while it runs.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Runs the script to its end.
    pub(super) fn read(&self, defaults: &JobDraft) -> Result<Jobs, JobFileErrors> {
        // Python's own message would be about a traceback of the shim.
        let mut start = Vec::new();
        std::fs::File::open(to_path(&self.path))
            .and_then(|script| script.take(4).read_to_end(&mut start))
            .map_err(|error| JobFileErrors::one(self.whole(), Problem::Unreadable(error)))?;
        // Python's own would be about NUL bytes.
        plain_text::body(&start).map_err(|error| JobFileErrors::one(self.whole(), error))?;
        let process = Process::start(&self.path, &self.arguments, &self.stopper)
            .map_err(|problem| JobFileErrors::one(self.whole(), problem))?;
        let mut jobs = JobsBuilder::new(Origin::Lines(self.path.clone()), defaults);
        self.follow(process, &mut jobs);
        jobs.finish()
    }

    /// Takes the jobs up to the script's end.
    fn follow(&self, mut process: Process, jobs: &mut JobsBuilder<'_>) {
        let mut calls = 0;
        let mut line = Vec::new();
        let mut out = BufReader::with_capacity(1 << 16, process.out());
        let problem = loop {
            line.clear();
            match out.read_until(b'\n', &mut line) {
                Err(error) => break Some(ScriptProblem::Io(error)),
                Ok(_) if !line.ends_with(b"\n") => break None,
                Ok(_) => {}
            }
            match serde_json::from_slice(&line) {
                Ok(Message::Job { line, spec }) => {
                    calls += 1;
                    if add(line, spec, jobs) == Added::Full {
                        return;
                    }
                }
                Ok(last) => {
                    drop(out);
                    process.wait();
                    return self.end(last, calls, &process, &mut jobs.errors);
                }
                Err(error) => break Some(ScriptProblem::Garbled(fields::message(&error))),
            }
        };
        drop(out);
        let problem = problem.unwrap_or_else(|| ScriptProblem::Died(process.wait()));
        jobs.errors.push(self.whole(), problem);
    }

    fn whole(&self) -> Place {
        Place::File(self.path.clone())
    }

    /// Handles the script's last message.
    fn end(&self, last: Message<'_>, calls: u64, process: &Process, errors: &mut Collector) {
        let whole = self.whole();
        let (place, problem) = match last {
            Message::End { jobs } if jobs == calls => return,
            Message::End { jobs } => {
                (whole, ScriptProblem::Garbled(format!("{calls} of {jobs} jobs arrived")))
            }
            Message::Job { .. } => return,
            Message::Exit(text) => (whole, ScriptProblem::Exited(text)),
            Message::Call { file, line: 0, message } => {
                (Place::File(file), ScriptProblem::Call(message))
            }
            Message::Call { file, line, message } => {
                (Place::line(&file, line), ScriptProblem::Call(message))
            }
            Message::Raised(text) => (whole, ScriptProblem::Raised(text.trim_end().to_owned())),
            Message::Old(version) => {
                (whole, ScriptProblem::OldPython { python: process.python().to_owned(), version })
            }
        };
        errors.push(place, problem);
    }
}

/// Takes the job of a line of the script; 0 if the line is not known.
fn add(line: u32, spec: &RawValue, jobs: &mut JobsBuilder<'_>) -> Added {
    let error = match serde_json::from_str::<JobDraft>(spec.get()) {
        Ok(draft) => return jobs.add(draft, line),
        Err(error) => error,
    };
    let fields = serde_json::from_str(spec.get()).unwrap_or_default();
    let problems: Vec<Problem> = fields::problems(fields).map(|(_, problem)| problem).collect();
    if problems.is_empty() {
        jobs.refuse(line, None, ScriptProblem::Garbled(fields::message(&error)));
    }
    problems.into_iter().for_each(|problem| jobs.refuse(line, None, problem));
    Added::Bad
}

#[cfg(test)]
mod tests;
