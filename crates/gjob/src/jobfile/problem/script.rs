//! What can go wrong with a job script.

use std::io;

/// What went wrong with a job script.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptProblem {
    /// There is no Python to run it.
    #[error("cannot start {python:?}: {source}: job scripts need Python 3.6 or newer")]
    NoPython {
        /// What was to be started.
        python: String,
        /// Why it did not start.
        source: io::Error,
    },
    /// Its Python is too old.
    #[error("{python:?} is Python {version}: job scripts need Python 3.6 or newer")]
    OldPython {
        /// What was started.
        python: String,
        /// Its version.
        version: String,
    },
    /// A call of a function with something wrong in it.
    #[error("{0}")]
    Call(String),
    /// It raised an exception.
    #[error("the script failed:\n{0}")]
    Raised(String),
    /// It called `sys.exit` with something other than success.
    #[error("the script exited: {0}")]
    Exited(String),
    /// Its process ended before the script did.
    #[error("the script ended early: {0}")]
    Died(String),
    /// Its jobs could not be read.
    #[error("cannot read jobs from the script: {0}")]
    Io(#[source] io::Error),
    /// Something other than jobs came through the pipe.
    #[error("the script wrote to gjob's job pipe: {0}")]
    Garbled(String),
}

impl ScriptProblem {
    /// What to do about it, for people.
    #[must_use]
    pub fn help(&self) -> Option<&'static str> {
        match self {
            ScriptProblem::NoPython { .. } => Some(
                "set GJOB_PYTHON to a Python, or write jobs in TOML (.toml), JSON Lines (.jsonl) \
                 or as one command per line",
            ),
            ScriptProblem::OldPython { .. } => Some("set GJOB_PYTHON to a newer Python"),
            ScriptProblem::Call(_)
            | ScriptProblem::Raised(_)
            | ScriptProblem::Exited(_)
            | ScriptProblem::Died(_)
            | ScriptProblem::Io(_)
            | ScriptProblem::Garbled(_) => None,
        }
    }
}
