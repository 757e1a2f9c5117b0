//! What can be wrong with the tables of a TOML job file.

/// What is wrong with a job's table in a TOML file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableProblem {
    /// No job, for a reason that belongs to no single field.
    #[error("{0}")]
    Whole(String),
    /// A value of another type.
    #[error("invalid value of {name:?}: expected {expected}, found {found}")]
    Type {
        /// What it is the value of.
        name: String,
        /// What it is.
        found: &'static str,
        /// What it could be.
        expected: &'static str,
    },
    /// A range that cannot be counted.
    #[error("invalid range {found:?} of {name:?}: expected {expected}")]
    Range {
        /// The parameter.
        name: String,
        /// The text.
        found: String,
        /// What it could be.
        expected: &'static str,
    },
    /// A parameter's name that cannot be put between braces.
    #[error("invalid parameter {0:?}: expected letters, digits and _, not starting with a digit")]
    ParameterName(String),
    /// A list that belongs beside the matrix, not into it.
    #[error("{0:?} inside `matrix`: expected {0} = [{{ … }}] beside `matrix`")]
    Misplaced(String),
    /// `{name}` where only a parameter can be meant.
    #[error("unknown parameter {found:?}: {}", expected(known))]
    UnknownParameter {
        /// The name.
        found: String,
        /// The parameter that may have been meant.
        nearest: Option<String>,
        /// All parameters, with commas between them.
        known: String,
    },
    /// A parameter that a combination lacks.
    #[error("no value for {{{name}}} in the combination {combination}: expected one in `include`")]
    NoValue {
        /// The parameter.
        name: String,
        /// The values of the others.
        combination: String,
    },
}

fn expected(known: &str) -> String {
    match known {
        "" => "`matrix` has no parameters".to_owned(),
        known if known.contains(',') => format!("expected one of {known}"),
        known => format!("expected {known}"),
    }
}
