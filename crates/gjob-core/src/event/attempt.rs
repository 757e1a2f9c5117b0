//! Events of attempts.

use serde::{Deserialize, Serialize};

use crate::id::{HostLabel, JobId, Key};
use crate::outcome::Finish;
use crate::record::Scope;
use crate::time::Timestamp;

/// What happened to an attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptEvent {
    /// The attempt.
    pub key: Key,
    /// Its host.
    pub host: HostLabel,
    /// What.
    #[serde(flatten)]
    pub change: AttemptChange,
}

/// What can happen to an attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event")]
pub enum AttemptChange {
    /// It was assigned to its host. Committed before the launch is sent.
    #[serde(rename = "attempt-assigned")]
    Assigned,
    /// Its host started it.
    #[serde(rename = "attempt-started")]
    Started {
        /// The job directory.
        id: JobId,
        /// When, by the host's clock.
        started: Timestamp,
        /// The processors that it is bound to; none if it is not bound.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        processors: Vec<u32>,
    },
    /// Its script exited, or a signal ended it. Whether the job has its outcome
    /// with that, [`JobChange::Ended`](super::JobChange::Ended) says.
    #[serde(rename = "attempt-exited")]
    Exited {
        /// Its exit record.
        finish: Finish,
    },
    /// Its host could not start it.
    #[serde(rename = "attempt-refused")]
    Refused {
        /// Why, in one line.
        reason: String,
        /// Whose fault it is.
        scope: Scope,
    },
    /// It had not started and was taken back from its host; its number may be
    /// used again on another one.
    #[serde(rename = "attempt-withdrawn")]
    Withdrawn,
    /// Its outcome cannot be known.
    #[serde(rename = "attempt-lost")]
    Lost {
        /// The job directory, if it had got one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<JobId>,
        /// What is known, in one line.
        reason: String,
        /// Its processes that could not be ended: their pids.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        survivors: Vec<u32>,
        /// True when its host was restarted: nothing of it is alive, and neither it nor
        /// its host has failed.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        restarted: bool,
    },
    /// Its host is lost, so that it is no longer waited for: the job will start
    /// elsewhere. Its result still counts if it is the first.
    #[serde(rename = "attempt-abandoned")]
    Abandoned {
        /// Why, in one line.
        reason: String,
    },
    /// It came too late: its job has its outcome from another attempt.
    #[serde(rename = "attempt-superseded")]
    Superseded,
    /// It succeeded; its job is done once its outputs are local.
    #[serde(rename = "attempt-collecting")]
    Collecting,
    /// Its outputs are local, verified by hash.
    #[serde(rename = "attempt-collected")]
    Collected {
        /// Files among them.
        files: u64,
        /// Bytes in all.
        bytes: u64,
    },
    /// Its outputs cannot be fetched: it does not count.
    #[serde(rename = "attempt-collect-failed")]
    CollectFailed {
        /// Why, in one line.
        reason: String,
        /// Whose fault it is.
        scope: Scope,
    },
}
