//! Everything that is wrong with a job source, gathered until all of it is read.

use std::fmt;

use gjob_core::plural::counted;

use super::place::{Excerpt, Place, Spot};
use super::problem::Problem;
use crate::inputs::InputError;

/// The most errors that are printed.
const SHOWN: usize = 20;

/// The most errors that are kept; the others are counted.
const KEPT: usize = 1000;

/// Everything that is wrong with a job source. The first twenty errors are
/// printed, the others counted.
#[derive(Debug)]
pub struct JobFileErrors {
    errors: Vec<JobFileError>,
    total: usize,
}

impl JobFileErrors {
    /// One error alone.
    pub(super) fn one(spot: impl Into<Spot>, problem: impl Into<Problem>) -> Self {
        let mut errors = Collector::default();
        errors.push(spot, problem);
        errors.into_errors()
    }

    /// The errors in the order of their places; the first thousand of them.
    #[must_use]
    pub fn errors(&self) -> &[JobFileError] {
        &self.errors
    }

    /// How many errors there are in all.
    #[must_use]
    pub fn total(&self) -> usize {
        self.total
    }
}

impl fmt::Display for JobFileErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.errors.iter().take(SHOWN).enumerate() {
            let line_end = if i == 0 { "" } else { "\n" };
            write!(f, "{line_end}{error}")?;
        }
        match self.total.saturating_sub(SHOWN) as u64 {
            0 => Ok(()),
            more => write!(f, "\nand {}", counted(more, "more error")),
        }
    }
}

impl std::error::Error for JobFileErrors {}

/// Gathers errors until all of a source is read.
#[derive(Debug, Default)]
pub(super) struct Collector {
    errors: Vec<JobFileError>,
    total: usize,
}

impl Collector {
    pub(super) fn push(&mut self, spot: impl Into<Spot>, problem: impl Into<Problem>) {
        self.total += 1;
        if self.errors.len() < KEPT {
            let Spot { place, excerpt } = spot.into();
            self.errors.push(JobFileError { place, problem: problem.into(), excerpt });
        }
    }

    /// True as long as nothing is wrong.
    pub(super) fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Puts the errors of one text in its order.
    pub(super) fn sort(&mut self) {
        self.errors.sort_by_key(|error| match &error.place {
            Place::Line { line, column, .. } => (*line, column.unwrap_or(0)),
            Place::File(_) | Place::Command | Place::Job(_) => (0, 0),
        });
    }

    pub(super) fn finish(self) -> Result<(), JobFileErrors> {
        if self.total == 0 { Ok(()) } else { Err(self.into_errors()) }
    }

    pub(super) fn into_errors(self) -> JobFileErrors {
        JobFileErrors { errors: self.errors, total: self.total }
    }
}

/// One thing that is wrong, and where. It is shown with the text there, and with
/// a line of help if there is any.
#[derive(Debug)]
#[non_exhaustive]
pub struct JobFileError {
    /// Where it was found.
    pub place: Place,
    /// What was found, and what was expected.
    pub problem: Problem,
    /// The text there.
    pub excerpt: Option<Excerpt>,
}

impl fmt::Display for JobFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)?;
        if let Some(excerpt) = &self.excerpt {
            write!(f, "\n{excerpt}")?;
        }
        self.help().map_or(Ok(()), |help| write!(f, "\nhelp: {help}"))
    }
}

impl JobFileError {
    /// What to do about it, for people.
    fn help(&self) -> Option<String> {
        match (&self.problem, &self.place) {
            (
                Problem::Input(InputError::Missing { path }),
                Place::Line { file, .. } | Place::File(file),
            ) if path.is_relative() && file.ends_with(".py") && file.contains('/') => Some(
                "paths in a Python job file start at the working directory, not beside the file"
                    .to_owned(),
            ),
            (problem, _) => problem.help(),
        }
    }
}

impl std::error::Error for JobFileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.problem)
    }
}
