//! What one entry of a job's `after` can be.

use serde::{Deserialize, Serialize};

/// Jobs that have to be `done` first. In JSON it is a name, a number, or two numbers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum After {
    /// All jobs with this name, or whose names it matches as a glob.
    Name(String),
    /// The job with this number, from 0, in its job file or run.
    Job(u32),
    /// The jobs from one number to another, inclusive.
    Jobs(u32, u32),
}
