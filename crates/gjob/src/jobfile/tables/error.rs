//! What can be wrong with the tables of a TOML job file.

use super::super::error::suggestion;

/// What is wrong with a job's table in a TOML file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableProblem {
    /// No job, for a reason that is no field's alone.
    #[error("{0}")]
    Whole(String),
    /// A value of another type.
    #[error("{name:?} is {found}: {expected} is expected")]
    Type {
        /// What it is the value of.
        name: String,
        /// What it is.
        found: &'static str,
        /// What it could be.
        expected: &'static str,
    },
    /// A text that counts nothing.
    #[error("range {found:?} of {name:?} is not accepted: {why}")]
    Range {
        /// The parameter.
        name: String,
        /// The text.
        found: String,
        /// Why not, and what is.
        why: &'static str,
    },
    /// A parameter's name that can't stand between braces.
    #[error(
        "parameter {0:?} is not accepted: letters, digits and _ are, not beginning with a digit"
    )]
    ParameterName(String),
    /// A word that is beside the matrix, not in it.
    #[error(
        "{0:?} stands beside the matrix, not in it: {0} = [{{ … }}] below `matrix` is expected"
    )]
    Misplaced(String),
    /// `{name}` where nothing else than a parameter can be meant.
    #[error("{found:?} is no parameter{}: {}", suggestion(nearest.as_deref()), parameters(known))]
    UnknownParameter {
        /// The name.
        found: String,
        /// The parameter that may have been meant.
        nearest: Option<String>,
        /// All of them, with commas between.
        known: String,
    },
    /// A parameter that a combination lacks.
    #[error(
        "{{{name}}} has no value in the combination {combination}: one in `include` is expected"
    )]
    NoValue {
        /// The parameter.
        name: String,
        /// The values that there are.
        combination: String,
    },
}

fn parameters(known: &str) -> String {
    match known {
        "" => "there are no parameters in `matrix`".to_owned(),
        known => format!("the parameters are {known}"),
    }
}
