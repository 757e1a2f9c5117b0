//! Events of jobs, whichever of their attempts.

use serde::{Deserialize, Serialize};

use crate::id::Key;
use crate::state::State;

/// What happened to a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobEvent {
    /// Its latest attempt; of [`JobChange::Ended`] the one that counts.
    pub key: Key,
    /// What.
    #[serde(flatten)]
    pub change: JobChange,
}

/// What can happen to a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event")]
pub enum JobChange {
    /// A user killed it (`gjob kill`); its processes end as soon as its host
    /// can be reached.
    #[serde(rename = "job-kill-requested")]
    KillRequested,
    /// A user paused it (`gjob pause`): it does not start, or its processes are
    /// stopped.
    #[serde(rename = "job-paused")]
    Paused,
    /// A user resumed it (`gjob resume`).
    #[serde(rename = "job-resumed")]
    Resumed,
    /// It is to be run again with other memory: it ran out of it, and that failure is not
    /// counted; or a user has said how much (`gjob retry --mem`).
    #[serde(rename = "job-memory-raised")]
    MemoryRaised {
        /// What it gets by now, bytes.
        mem: u64,
    },
    /// It had its outcome, and a user wants it run again (`gjob retry`).
    #[serde(rename = "job-reopened")]
    Reopened,
    /// It has its outcome: the one that counts, once per job.
    #[serde(rename = "job-ended")]
    Ended {
        /// `done`, `error` or `unknown`.
        state: State,
        /// Why it is not `done`, or which of its processes could not be ended,
        /// in one line.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
}
