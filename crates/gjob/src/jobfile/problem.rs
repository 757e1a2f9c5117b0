//! What can be wrong with a job source, wherever that is.

mod script;
mod table;

use std::io;

use gjob_core::builder::AddJobError;
use gjob_core::dependency::DependencyError;
use gjob_core::job::MAX_JOBS;
use gjob_core::plain_text::TextError;
use gjob_core::plural::counted;
use gjob_core::spec::{SpecError, base_name};

pub use script::ScriptProblem;
pub use table::TableProblem;

use crate::inputs::InputError;

/// What is wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A job source or a file of values.
    #[error("cannot be read: {0}")]
    Unreadable(#[source] io::Error),
    /// Text in another encoding.
    #[error("invalid text: expected UTF-8")]
    NotUtf8,
    /// Text in another encoding altogether.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A source without jobs.
    #[error(transparent)]
    NoJobs(#[from] NoJobs),
    /// A job that cannot be launched.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A job that cannot be added to the others.
    #[error(transparent)]
    Add(AddJobError),
    /// More jobs than a run may have.
    #[error("too many jobs: expected at most {MAX_JOBS}")]
    TooManyJobs,
    /// A line that is not a JSON object, or not the one of a job.
    #[error("invalid job: {0}")]
    Json(String),
    /// A field that no job has.
    #[error("unknown field {found:?}: expected one of {known}")]
    UnknownField {
        /// Its name.
        found: String,
        /// The field that may have been meant.
        nearest: Option<String>,
        /// All fields, with commas between them.
        known: String,
    },
    /// A field that is given twice.
    #[error("duplicate field {0:?}")]
    DuplicateField(String),
    /// A value that its field cannot have.
    #[error("field {name:?}: {message}")]
    Field {
        /// The field's name.
        name: String,
        /// What was found and what was expected.
        message: String,
    },
    /// A placeholder for a source of values that does not exist.
    #[error(
        "no values for {found}: expected a position from 1 to {sources}, or from -1 to -{sources}"
    )]
    Position {
        /// The placeholder.
        found: String,
        /// How many sources there are.
        sources: usize,
    },
    /// GNU parallel's slot number, which is not known before a job starts.
    #[error("{{%}} is not supported")]
    Slot,
    /// GNU parallel's Perl expressions.
    #[error(
        "{found} is not supported: expected {{}}, {{.}}, {{/}}, {{//}}, {{/.}}, {{#}}, {{1}} or {{1.}}"
    )]
    Perl {
        /// The expression.
        found: String,
    },
    /// `::::` without files.
    #[error("no file after {0}: expected files with one value per line")]
    NoValueFile(String),
    /// A source without a first value, which would be its name.
    #[error("no name of the values: expected it as the first of list {number}")]
    NoHeader {
        /// The source, from 1.
        number: usize,
    },
    /// A first value that is no name.
    #[error(
        "invalid name {found:?} of the values of list {number}: expected letters, digits and _, no digit first"
    )]
    HeaderName {
        /// The source, from 1.
        number: usize,
        /// Its first value.
        found: String,
    },
    /// Two sources with one name.
    #[error("two lists of values are called {found:?}")]
    HeaderTwice {
        /// The name.
        found: String,
    },
    /// A script, where a list of commands was expected.
    #[error("this is a script: its lines would be {}, each on any host", counted(*jobs, "job"))]
    ShellScript {
        /// Its name.
        file: String,
        /// Lines that would be jobs.
        jobs: u64,
    },
    /// Standard input, named by two sources of values.
    #[error("standard input is named twice: expected one source that reads it")]
    StdinTwice,
    /// A value with a NUL byte.
    #[error("value contains a NUL byte: expected text without it")]
    NulInValue,
    /// A file or directory that cannot be sent.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A job name in `after` that no job has.
    #[error("unknown job {found:?}: expected the name of another job")]
    UnknownJob {
        /// The name.
        found: String,
        /// The job that may have been meant.
        nearest: Option<String>,
    },
    /// A job number in `after` that no job has.
    #[error("unknown job {found}: expected a number from 0 to {last}")]
    UnknownJobNumber {
        /// The number.
        found: u32,
        /// The last job's.
        last: u32,
    },
    /// Dependencies that cannot be resolved.
    #[error(transparent)]
    Dependency(#[from] DependencyError),
    /// A text that is not TOML.
    #[error("invalid TOML: {0}")]
    NotToml(String),
    /// Something in a TOML file that has another meaning, or none.
    #[error(transparent)]
    Table(#[from] TableProblem),
    /// A job script that gave no jobs.
    #[error(transparent)]
    Script(#[from] ScriptProblem),
}

/// Why a source has no jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoJobs {
    /// A command with arguments, but without values.
    #[error("no input values: give some after ::: or on standard input")]
    NoValues,
    /// Tables whose `exclude` leaves nothing.
    #[error("no jobs: `exclude` drops every combination of the matrix")]
    AllExcluded,
    /// Nothing in the file.
    #[error("no jobs: expected at least one command")]
    Empty,
    /// Jobs that are not wanted once.
    #[error("no jobs: every job has repeat = 0")]
    NeverRepeated,
}

impl Problem {
    /// What to do about it, for people.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Problem::UnknownField { nearest, .. }
            | Problem::UnknownJob { nearest, .. }
            | Problem::Table(TableProblem::UnknownParameter { nearest, .. }) => {
                nearest.as_ref().map(|name| format!("did you mean {name:?}?"))
            }
            Problem::Json(_) => {
                Some("a job is a JSON object such as {\"cmds\": [\"echo hello\"]}".to_owned())
            }
            Problem::Spec(SpecError::FileName { .. }) => Some(
                "a directory arrives with its name: -f data; for what is in it, name each: -f a -f b"
                    .to_owned(),
            ),
            Problem::ShellScript { file, .. } => {
                let name = shlex::try_quote(file).unwrap_or_default();
                let base = base_name(file).unwrap_or(file);
                let base = shlex::try_quote(base).unwrap_or_default();
                Some(format!(
                    "to run it as one job: gjob run -f {name} -- bash {base}\n\
                     help: to run each of its lines as a job: gjob run - < {name}"
                ))
            }
            Problem::NoJobs(NoJobs::NoValues) => {
                Some("to run the command once, as in a cron job: gjob run … -- CMD </dev/null".to_owned())
            }
            Problem::NulInValue => {
                Some("values that end in NUL, as find -print0 writes them: gjob run -0 …".to_owned())
            }
            Problem::Slot => Some("a job's slot is in its variable GJOB_SLOT".to_owned()),
            Problem::Script(problem) => problem.help().map(str::to_owned),
            _ => None,
        }
    }
}
