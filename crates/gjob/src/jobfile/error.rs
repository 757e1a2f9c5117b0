//! What can be wrong with a job source, each with its place.

use std::fmt;
use std::io;

use gjob_core::job::MAX_JOBS;
use gjob_core::spec::SpecError;

use super::excerpt::{Excerpt, Spot};
use super::python::ScriptProblem;
use super::tables::TableProblem;

/// The most errors that are printed.
const SHOWN: usize = 20;

/// The most errors that are kept; the others are counted.
const KEPT: usize = 1000;

/// Everything that is wrong with a job source; the first twenty are printed,
/// one a line, the others counted.
#[derive(Debug)]
pub struct JobFileErrors {
    errors: Vec<JobFileError>,
    total: usize,
}

impl JobFileErrors {
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
        match self.total.saturating_sub(SHOWN) {
            0 => Ok(()),
            1 => f.write_str("\nand 1 more error"),
            more => write!(f, "\nand {more} more errors"),
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
    pub(super) fn push(&mut self, spot: impl Into<Spot>, problem: Problem) {
        self.total += 1;
        if self.errors.len() < KEPT {
            let Spot { place, excerpt } = spot.into();
            self.errors.push(JobFileError { place, problem, excerpt });
        }
    }

    /// True as long as nothing is wrong.
    pub(super) fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Puts what was found in the order of the text, if it is one text's.
    pub(super) fn sort(&mut self) {
        self.errors.sort_by_key(|error| match &error.place {
            Place::Line { line, column, .. } => (*line, column.unwrap_or(0)),
            _ => (0, 0),
        });
    }

    pub(super) fn finish(self) -> Result<(), JobFileErrors> {
        if self.total == 0 { Ok(()) } else { Err(self.into_errors()) }
    }

    pub(super) fn into_errors(self) -> JobFileErrors {
        JobFileErrors { errors: self.errors, total: self.total }
    }
}

/// One thing that is wrong, and where.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {problem}{}", below(excerpt.as_ref()))]
#[non_exhaustive]
pub struct JobFileError {
    /// Where it was found.
    pub place: Place,
    /// What was found, and what would be accepted.
    #[source]
    pub problem: Problem,
    /// What stands there.
    pub excerpt: Option<Excerpt>,
}

fn below(excerpt: Option<&Excerpt>) -> String {
    excerpt.map_or(String::new(), |excerpt| format!("\n{excerpt}"))
}

/// Where something was found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// In a file as a whole.
    File(String),
    /// On a line of a file.
    Line {
        /// The file's name.
        file: String,
        /// The line, from 1.
        line: usize,
        /// The byte in the line, from 1.
        column: Option<usize>,
    },
    /// In the command that arguments are filled into.
    Command,
    /// In the job of that number, from 1, of a command with arguments.
    Job(usize),
    /// In what an option of that name was given.
    Option(String),
}

impl Place {
    /// A line of a file, from 1.
    #[must_use]
    pub fn line(file: &str, line: usize) -> Self {
        Place::Line { file: file.to_owned(), line, column: None }
    }

    /// A byte of a line of a file, both from 1.
    #[must_use]
    pub fn column(file: &str, line: usize, column: usize) -> Self {
        Place::Line { file: file.to_owned(), line, column: Some(column) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File(name) | Place::Option(name) => f.write_str(name),
            Place::Line { file, line, column } => {
                write!(f, "{file}:{line}")?;
                column.map_or(Ok(()), |column| write!(f, ":{column}"))
            }
            Place::Command => f.write_str("command"),
            Place::Job(number) => write!(f, "job {number}"),
        }
    }
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A job source or a file of values.
    #[error("cannot be read: {0}")]
    Unreadable(#[source] io::Error),
    /// Text in another encoding.
    #[error("bytes that are not UTF-8: UTF-8 text is accepted")]
    NotUtf8,
    /// A job that can't be launched.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// More jobs than a run may have.
    #[error("more jobs than a run may have: at most {MAX_JOBS} are accepted")]
    TooManyJobs,
    /// A line that is no JSON object, or not that of a job.
    #[error("{0}: a JSON object such as {{\"cmds\": [\"echo hello\"]}} is expected")]
    Json(String),
    /// A field that no job has.
    #[error("unknown field {found:?}{}: the fields are {known}", suggestion(nearest.as_deref()))]
    UnknownField {
        /// Its name.
        found: String,
        /// The field that may have been meant.
        nearest: Option<String>,
        /// All fields, with commas between them.
        known: String,
    },
    /// A field that is given twice.
    #[error("field {0:?} is given twice: each is given once")]
    DuplicateField(String),
    /// A value that its field can't have.
    #[error("field {name:?}: {message}")]
    Field {
        /// The field's name.
        name: String,
        /// What was found and what is expected.
        message: String,
    },
    /// A placeholder for a source that there is not.
    #[error(
        "{found} stands for no source of values: positions from 1 to {sources} are accepted, or from -1 to -{sources}"
    )]
    Position {
        /// The placeholder.
        found: String,
        /// How many sources there are.
        sources: usize,
    },
    /// GNU parallel's slot number, which is not known before a job starts.
    #[error("{{%}} is not supported: a job finds its slot in the variable GJOB_SLOT")]
    Slot,
    /// GNU parallel's Perl expressions.
    #[error(
        "{found} is not supported: {{}}, {{.}}, {{/}}, {{//}}, {{/.}}, {{#}}, {{1}}, {{1.}} and the like are"
    )]
    Perl {
        /// The expression.
        found: String,
    },
    /// `::::` without files.
    #[error("{0} names no file: files with a value a line are expected behind it")]
    NoValueFile(String),
    /// Standard input, named by two sources of values.
    #[error("standard input is named twice: one source of values can be read from it")]
    StdinTwice,
    /// A value with a NUL byte.
    #[error("a value holds a NUL byte: text without NUL is accepted")]
    NulInValue,
    /// A file to be sent that is not there.
    #[error("file {0:?} does not exist: a file or a directory is expected")]
    MissingFile(String),
    /// A file to be sent that is something else.
    #[error("file {path:?} is a {kind}: a regular file or a directory is expected")]
    NotAFile {
        /// Its path.
        path: String,
        /// What it is.
        kind: &'static str,
    },
    /// A name of jobs to wait for that none has.
    #[error("after {found:?} names no job{}: the name of another job is expected", suggestion(nearest.as_deref()))]
    UnknownJob {
        /// The name.
        found: String,
        /// The job that may have been meant.
        nearest: Option<String>,
    },
    /// A number of a job to wait for that none has.
    #[error("after {found} names no job: the jobs are 0 to {last}")]
    UnknownJobNumber {
        /// The number.
        found: u32,
        /// The last job's.
        last: u32,
    },
    /// A text that is no TOML.
    #[error("no TOML: {0}")]
    NotToml(String),
    /// Something in a TOML file that has another meaning, or none.
    #[error(transparent)]
    Table(#[from] TableProblem),
    /// A job script that gave no jobs.
    #[error(transparent)]
    Script(#[from] ScriptProblem),
    /// A file to be sent that can't be opened.
    #[error("file {path:?} cannot be read: {source}")]
    UnreadableFile {
        /// Its path.
        path: String,
        /// Why.
        source: io::Error,
    },
}

pub(super) fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or(String::new(), |name| format!(", perhaps {name:?} is meant"))
}
