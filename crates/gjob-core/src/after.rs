//! What a job says of those it waits for.

use serde::{Deserialize, Serialize};

/// What a job waits for to be `done`. As JSON a name, a number, or two.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum After {
    /// All jobs with this name.
    Name(String),
    /// The job with this number, from 0, in its job file or run.
    Job(u32),
    /// The jobs from one number to another, both included.
    Jobs(u32, u32),
}
