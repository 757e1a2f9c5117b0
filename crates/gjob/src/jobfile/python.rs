//! Job scripts: Python, run by the user's own interpreter with the functions
//! `Job` and `Repeat` in reach. What they are told comes back on a pipe of its
//! own, job by job; what the script prints goes to stderr.

mod error;
mod process;

use std::io::{BufRead, BufReader};

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

pub use error::ScriptProblem;
pub use process::Stopper;

use super::draft::Draft;
use super::error::{Collector, JobFileErrors, Place, Problem};
use super::jobs::Jobs;
use super::jsonl::{message, wrong_field};
use super::{Gathered, fields};
use process::Process;

/// A job script, and what it is run with.
#[derive(Clone, Debug)]
pub struct Script {
    path: String,
    arguments: Vec<String>,
    stopper: Stopper,
}

/// What the shim writes, one a line.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Message<'a> {
    /// A call of `Job`.
    Job {
        /// The script's line that it comes from; 0 if none is known.
        line: u32,
        repeat: Option<u32>,
        #[serde(borrow)]
        spec: &'a RawValue,
    },
    /// The script has come to its end.
    End { jobs: u64 },
    /// It has called `sys.exit`.
    Exit(String),
    /// It has called a function wrongly.
    Call { file: String, line: usize, message: String },
    /// It has raised an exception.
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

    /// Sets what the script finds in `sys.argv`.
    #[must_use]
    pub fn arguments<I, S>(mut self, arguments: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        self.arguments = arguments.into_iter().map(Into::into).collect();
        self
    }

    /// What ends the script while it is being run.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Runs the script to its end.
    pub(super) fn read(&self) -> Result<Jobs, JobFileErrors> {
        let mut errors = Collector::default();
        let whole = || Place::File(self.path.clone());
        // Python would say the same, but not as gjob says it.
        if let Err(error) = std::fs::File::open(&self.path) {
            errors.push(whole(), Problem::Unreadable(error));
            return Err(errors.into_errors());
        }
        let mut jobs = Gathered::default();
        match Process::start(self) {
            Ok(process) => self.follow(process, &mut jobs, &mut errors),
            Err(problem) => errors.push(whole(), problem.into()),
        }
        errors.finish()?;
        Ok(jobs.of_file(&self.path))
    }

    /// Takes the jobs up to the script's end.
    fn follow(&self, mut process: Process, jobs: &mut Gathered, errors: &mut Collector) {
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
                Ok(Message::Job { line, repeat, spec }) => {
                    calls += 1;
                    if !self.add(line, repeat, spec, jobs, errors) {
                        return;
                    }
                }
                Ok(last) => {
                    drop(out);
                    process.wait();
                    return self.end(last, calls, &process, errors);
                }
                Err(error) => break Some(ScriptProblem::Garbled(error.to_string())),
            }
        };
        drop(out);
        let problem = problem.unwrap_or_else(|| ScriptProblem::Died(process.wait()));
        errors.push(Place::File(self.path.clone()), problem.into());
    }

    /// Takes a job; false when there is no room for more.
    fn add(
        &self,
        line: u32,
        repeat: Option<u32>,
        spec: &RawValue,
        jobs: &mut Gathered,
        errors: &mut Collector,
    ) -> bool {
        let place = || self.line(line as usize);
        match serde_json::from_str::<Draft>(spec.get()) {
            Ok(draft) => {
                let (spec, mut said) = draft.into_spec();
                said.repeat = repeat;
                jobs.add(spec, said, line as usize, place, errors)
            }
            Err(error) => {
                let problem =
                    wrong(spec).unwrap_or_else(|| ScriptProblem::Garbled(message(&error)).into());
                errors.push(place(), problem);
                true
            }
        }
    }

    fn line(&self, line: usize) -> Place {
        match line {
            0 => Place::File(self.path.clone()),
            line => Place::line(&self.path, line),
        }
    }

    /// What the script's last word means.
    fn end(&self, last: Message<'_>, calls: u64, process: &Process, errors: &mut Collector) {
        let whole = Place::File(self.path.clone());
        let (place, problem) = match last {
            Message::End { jobs } if jobs == calls => return,
            Message::End { jobs } => {
                (whole, ScriptProblem::Garbled(format!("{calls} of {jobs} jobs have come")))
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
        errors.push(place, problem.into());
    }
}

/// The first field of a job that has something wrong with it.
fn wrong(spec: &RawValue) -> Option<Problem> {
    let fields: serde_json::Map<String, Value> = serde_json::from_str(spec.get()).ok()?;
    let known = fields.into_iter().filter(|(name, _)| fields::is_known(name));
    known.into_iter().find_map(|(name, value)| wrong_field(&name, value))
}

#[cfg(test)]
mod tests;
