//! What can be wrong with a job's specification.

#[cfg(doc)]
use super::JobSpec;
use super::{
    FILE_OVERHEAD, MAX_ENV_BYTES, MAX_FILES_BYTES, MAX_NAME_BYTES, MAX_OUTPUTS_BYTES,
    MAX_SPEC_BYTES, MAX_TIMEOUT_DAYS, MAX_VARIABLE_BYTES, RETRY_MEM,
};
use crate::from_job::FromJobError;
use crate::hosts::ChoiceError;
use crate::output::{MAX_COMPONENT, PatternError};

/// One thing wrong with a [`JobSpec`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// Nothing to run.
    #[error("no command: expected at least one that is not blank")]
    NoCommand,
    /// A NUL byte, which neither a script nor an environment can hold.
    #[error("{place} contains a NUL byte: expected text without it")]
    Nul {
        /// The field.
        field: &'static str,
        /// The part of the field, such as `command 2`.
        place: String,
    },
    /// A name that would break the lines it is printed in.
    #[error(
        "invalid job name {found:?}: expected 1 to {MAX_NAME_BYTES} bytes of printable characters"
    )]
    Name {
        /// The name.
        found: String,
    },
    /// A parameter's name that cannot be the head of a column.
    #[error(
        "invalid parameter name {found:?}: expected 1 to {MAX_NAME_BYTES} bytes of printable characters"
    )]
    Param {
        /// The name.
        found: String,
    },
    /// A variable's name that a shell could not use.
    #[error(
        "invalid environment variable name {found:?}: expected letters, digits and _, not starting with a digit"
    )]
    EnvName {
        /// The name.
        found: String,
    },
    /// A variable that gjob sets itself.
    #[error(
        "reserved environment variable {found}: expected a name that does not start with GJOB_"
    )]
    EnvReserved {
        /// The name.
        found: String,
    },
    /// A variable that no program can be started with.
    #[error(
        "environment variable {found} has {bytes} bytes with its name: expected at most {MAX_VARIABLE_BYTES}"
    )]
    EnvValue {
        /// Its name.
        found: String,
        /// Its length with its name and `=`.
        bytes: usize,
    },
    /// More variables than a program can be started with.
    #[error(
        "environment has {found} bytes, 10 of them for each variable besides its name and value: expected at most {MAX_ENV_BYTES}"
    )]
    EnvTooLarge {
        /// Bytes in all.
        found: usize,
    },
    /// A base name that no file can have.
    #[error("file {found:?} has a name of {bytes} bytes: expected at most {MAX_COMPONENT}")]
    FileNameLong {
        /// The path.
        found: String,
        /// The length of its base name.
        bytes: usize,
    },
    /// More files than fit into a launch.
    #[error(
        "{files} files have {found} bytes of names, {FILE_OVERHEAD} of them for each file: expected at most {MAX_FILES_BYTES}, or a directory that holds the files"
    )]
    TooManyFiles {
        /// How many.
        files: usize,
        /// Bytes in all.
        found: usize,
    },
    /// More output patterns than fit into a request.
    #[error("output patterns have {found} bytes: expected at most {MAX_OUTPUTS_BYTES}")]
    TooManyOutputs {
        /// Bytes in all.
        found: usize,
    },
    /// A path without a base name.
    #[error("file {found:?} has no base name: expected a path to a file or directory")]
    FileName {
        /// The path.
        found: String,
    },
    /// Two files that would be copied over each other.
    #[error(
        "files {first:?} and {second:?} have the same base name: expected a different one for each file in the job directory"
    )]
    SameFileName {
        /// The earlier path.
        first: String,
        /// The later path.
        second: String,
    },
    /// A file's name that gjob uses itself.
    #[error(
        "file {found:?} has a reserved name: expected one that gjob itself does not use (.cmds, .job, .done, log, err and others)"
    )]
    FileReserved {
        /// The path.
        found: String,
    },
    /// A file that is to be an output of another job.
    #[error(transparent)]
    FromJob(FromJobError),
    /// An output that cannot be fetched.
    #[error("output {found:?} {source}")]
    Output {
        /// The pattern.
        found: String,
        /// What is wrong with it.
        source: PatternError,
    },
    /// Hosts or labels that no host can have.
    #[error(transparent)]
    Choice(ChoiceError),
    /// A job without a processor.
    #[error("invalid cpus 0: expected 1 or more, or \"all\"")]
    Cpus,
    /// A factor that does not raise memory, or does so without measure.
    #[error("invalid retry_mem: expected a factor from {} to {}", RETRY_MEM.start(), RETRY_MEM.end())]
    RetryMem,
    /// A timeout of zero.
    #[error("invalid timeout 0: expected more than 0")]
    Timeout,
    /// A timeout that no clock reaches.
    #[error("invalid timeout: expected at most {MAX_TIMEOUT_DAYS} days")]
    LongTimeout,
    /// Larger than a launch may be.
    #[error(
        "job is too large: expected at most {MAX_SPEC_BYTES} bytes of commands, environment and name, found {found}"
    )]
    TooLarge {
        /// Bytes in all.
        found: usize,
    },
}

impl SpecError {
    /// The field of [`JobSpec`] that it is about; none if it is about several.
    #[must_use]
    pub fn field(&self) -> Option<&'static str> {
        match self {
            SpecError::NoCommand => Some("cmds"),
            SpecError::Nul { field, .. } => Some(field),
            SpecError::Name { .. } => Some("name"),
            SpecError::Param { .. } => Some("params"),
            SpecError::EnvName { .. }
            | SpecError::EnvReserved { .. }
            | SpecError::EnvValue { .. }
            | SpecError::EnvTooLarge { .. } => Some("env"),
            SpecError::FileName { .. }
            | SpecError::FromJob(_)
            | SpecError::SameFileName { .. }
            | SpecError::FileNameLong { .. }
            | SpecError::TooManyFiles { .. }
            | SpecError::FileReserved { .. } => Some("files"),
            SpecError::Output { .. } | SpecError::TooManyOutputs { .. } => Some("outputs"),
            SpecError::Choice(ChoiceError::Host(_)) => Some("hosts"),
            SpecError::Choice(ChoiceError::Label(_)) => Some("labels"),
            SpecError::Cpus => Some("cpus"),
            SpecError::RetryMem => Some("retry_mem"),
            SpecError::Timeout | SpecError::LongTimeout => Some("timeout"),
            SpecError::TooLarge { .. } => None,
        }
    }
}
