//! What can become of a job script.

use std::io;

/// What became of a job script.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptProblem {
    /// There is no Python to run it.
    #[error(
        "job scripts need Python 3.6 or newer, and {python:?} can't be started: {source}; GJOB_PYTHON can name another, and jobs can be in TOML (.toml), in JSON Lines (.jsonl) or one command a line"
    )]
    NoPython {
        /// What was to be started.
        python: String,
        /// Why it wasn't.
        source: io::Error,
    },
    /// Its Python is of another age.
    #[error(
        "job scripts need Python 3.6 or newer, and {python:?} is Python {version}: GJOB_PYTHON can name another"
    )]
    OldPython {
        /// What was started.
        python: String,
        /// Its version.
        version: String,
    },
    /// A call of a function that has something wrong with it.
    #[error("{0}")]
    Call(String),
    /// It raised an exception.
    #[error("the script has failed:\n{0}")]
    Raised(String),
    /// It called `sys.exit` with something else than success.
    #[error("the script has ended itself: {0}")]
    Exited(String),
    /// It is gone without having come to its end.
    #[error("the script has not come to its end: {0}")]
    Died(String),
    /// It could not be followed.
    #[error("the script can't be followed: {0}")]
    Io(#[source] io::Error),
    /// It wrote something else to the jobs' pipe.
    #[error("the script has spoilt the pipe its jobs come through: {0}")]
    Garbled(String),
}
