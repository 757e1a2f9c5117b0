//! What can be wrong with a `gjob.toml`, each with its place.

use std::fmt;
use std::io;

use gjob_core::hosts::HostProblem;
use gjob_core::plain_text::TextError;
use gjob_core::spec::SpecError;
use gjob_core::trust::Distrust;

use crate::jobfile::place::Spot;
use crate::limits::LimitError;
use crate::units::ParseSizeError;

/// Everything that is wrong, printed one after another.
#[derive(Debug)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            let line_end = if i == 0 { "" } else { "\n" };
            write!(f, "{line_end}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// One thing that is wrong. It is shown with the text there.
#[derive(Debug)]
pub struct ConfigError {
    pub(super) spot: Spot,
    /// What was found, and what was expected.
    pub problem: ConfigProblem,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.spot.place, self.problem)?;
        if let Some(excerpt) = &self.spot.excerpt {
            write!(f, "\n{excerpt}")?;
        }
        self.problem.help().map_or(Ok(()), |help| write!(f, "\nhelp: {help}"))
    }
}

impl std::error::Error for ConfigError {}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigProblem {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(#[source] io::Error),
    /// Another user could have written it.
    #[error("not relied on: {why}")]
    Unsafe {
        /// Why.
        why: Distrust,
    },
    /// It is in another encoding.
    #[error(transparent)]
    Text(#[from] TextError),
    /// Hosts, or a key or value of their tables.
    #[error(transparent)]
    Host(#[from] HostProblem),
    /// A size.
    #[error(transparent)]
    Size(#[from] ParseSizeError),
    /// A limit of a host.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// A variable that no job can have.
    #[error(transparent)]
    Variable(#[from] SpecError),
    /// A name that two tables have.
    #[error("group {0} is defined twice")]
    Duplicate(String),
    /// A group that is not in the files.
    #[error("no group @{found}: expected {}", listed(.known))]
    UnknownGroup {
        /// Its name.
        found: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// An option that `gjob run` does not have.
    #[error("unknown option {found:?}: expected the long name of an option of `gjob run`")]
    UnknownOption {
        /// Its name.
        found: String,
        /// The option that may have been meant.
        nearest: Option<String>,
    },
    /// A value that its option cannot have.
    #[error("{name}: {problem}")]
    Value {
        /// The option.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl ConfigProblem {
    fn help(&self) -> Option<String> {
        match self {
            ConfigProblem::UnknownOption { nearest, .. } => {
                nearest.as_ref().map(|name| format!("did you mean {name:?}?"))
            }
            ConfigProblem::Unsafe { .. } => {
                Some("make it yours alone, or leave it out with --no-config".to_owned())
            }
            _ => None,
        }
    }
}

fn listed(known: &[String]) -> String {
    match known {
        [] => "one that is in gjob.toml, as [group.NAME], and there is none".to_owned(),
        known => format!("one of {}", known.join(", ")),
    }
}
