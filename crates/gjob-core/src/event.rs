//! The one kind of event: what happened in a run, in the order the manager
//! settled it. Store, log, progress, report and `--events` all read these.

use serde::{Deserialize, Serialize};

use crate::id::{HostLabel, JobId, Key, RunId};
use crate::outcome::Finish;
use crate::record::Scope;
use crate::state::State;
use crate::time::Timestamp;

/// Something that happened, and when the manager knew it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When, by the manager's clock.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum EventKind {
    /// A manager took the run up.
    RunBegan {
        /// The run.
        run: RunId,
        /// Jobs in it.
        jobs: u32,
        /// Hosts it may use.
        hosts: u32,
        /// True when the run had begun before (`gjob attach`).
        attached: bool,
    },
    /// A host answers and takes jobs.
    HostUp {
        /// The host.
        host: HostLabel,
        /// What it calls itself.
        hostname: String,
        /// Jobs it runs at once.
        slots: u32,
    },
    /// A host can't be asked now; it is tried again.
    HostUnknown {
        /// The host.
        host: HostLabel,
        /// Why, in one line.
        reason: String,
    },
    /// A host can't be used; it is out of the run.
    HostError {
        /// The host.
        host: HostLabel,
        /// Why, in one line.
        reason: String,
    },
    /// A host gets no more jobs for a while, since it fails them.
    HostPaused {
        /// The host.
        host: HostLabel,
        /// Why, in one line.
        reason: String,
        /// For how long, seconds.
        seconds: u64,
    },
    /// A paused host gets a job again, to see how it does.
    HostProbed {
        /// The host.
        host: HostLabel,
    },
    /// An attempt was given to a host. Committed before the launch is sent.
    JobAssigned {
        /// The attempt.
        key: Key,
        /// The host.
        host: HostLabel,
    },
    /// A host started an attempt.
    JobStarted {
        /// The attempt.
        key: Key,
        /// The host.
        host: HostLabel,
        /// The job directory.
        id: JobId,
        /// When, by the host's clock.
        started: Timestamp,
    },
    /// An attempt ended.
    JobFinished {
        /// The host.
        host: HostLabel,
        /// Its exit record.
        finish: Finish,
    },
    /// A host could not start an attempt.
    JobRefused {
        /// The attempt.
        key: Key,
        /// The host.
        host: HostLabel,
        /// Why, in one line.
        reason: String,
        /// Whose fault it is.
        scope: Scope,
    },
    /// An unstarted attempt was taken back from a host; its number may be used
    /// again on another one.
    JobWithdrawn {
        /// The attempt.
        key: Key,
        /// The host.
        host: HostLabel,
    },
    /// An attempt's outcome cannot be known.
    JobLost {
        /// The attempt.
        key: Key,
        /// The host.
        host: HostLabel,
        /// The job directory, if it had got one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<JobId>,
        /// What is known, in one line.
        reason: String,
        /// Processes of it that could not be ended: their pids.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        survivors: Vec<u32>,
    },
    /// An attempt is not waited for any more, its host being lost: the job
    /// will be started elsewhere. Its result counts still, if it comes first.
    JobAbandoned {
        /// The attempt.
        key: Key,
        /// The host.
        host: HostLabel,
        /// Why, in one line.
        reason: String,
    },
    /// An attempt came too late: its job has its outcome from another one.
    JobSuperseded {
        /// The attempt.
        key: Key,
        /// The host.
        host: HostLabel,
    },
    /// What runs of a job is to be ended (`gjob kill`), as soon as its host can
    /// be told.
    JobKillAsked {
        /// Its last attempt.
        key: Key,
    },
    /// An attempt has succeeded; its job is done when its outputs are here.
    JobCollecting {
        /// The attempt.
        key: Key,
        /// The host.
        host: HostLabel,
    },
    /// A job's outputs are here, each with the hash it has there.
    JobCollected {
        /// The attempt.
        key: Key,
        /// The host.
        host: HostLabel,
        /// Files among them.
        files: u64,
        /// Bytes in all.
        bytes: u64,
    },
    /// A job's outputs can't be had: its attempt does not count.
    JobNotCollected {
        /// The attempt.
        key: Key,
        /// The host.
        host: HostLabel,
        /// Why, in one line.
        reason: String,
        /// Whose fault it is.
        scope: Scope,
    },
    /// A large file is on its way to a host, or from it.
    Transfer {
        /// The host.
        host: HostLabel,
        /// Where to.
        direction: Direction,
        /// The file: a path here, or below the job directory there.
        file: String,
        /// Bytes that have arrived.
        bytes: u64,
        /// Its length, bytes.
        size: u64,
    },
    /// A job is held: it is not started, or what runs of it is stopped (`gjob pause`).
    JobPaused {
        /// Its last attempt.
        key: Key,
    },
    /// A paused job goes on (`gjob resume`).
    JobResumed {
        /// Its last attempt.
        key: Key,
    },
    /// A job that had its outcome is to be done again (`gjob retry`).
    JobReopened {
        /// Its last attempt.
        key: Key,
    },
    /// A job has its outcome: the one that counts, once per job.
    JobEnded {
        /// The attempt that counts.
        key: Key,
        /// `done`, `error` or `unknown`.
        state: State,
        /// Why it is not `done`, or what of it could not be ended, in one line.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The manager stopped: every job has its outcome, or it was told to.
    RunEnded {
        /// Why it stopped.
        end: RunEnd,
        /// Jobs done.
        done: u32,
        /// Jobs in state `error`.
        error: u32,
        /// Jobs in state `unknown`.
        unknown: u32,
        /// Jobs without an outcome.
        left: u32,
    },
}

impl EventKind {
    /// The attempt the event is about.
    #[must_use]
    pub fn key(&self) -> Option<Key> {
        match self {
            EventKind::JobAssigned { key, .. }
            | EventKind::JobStarted { key, .. }
            | EventKind::JobRefused { key, .. }
            | EventKind::JobWithdrawn { key, .. }
            | EventKind::JobLost { key, .. }
            | EventKind::JobAbandoned { key, .. }
            | EventKind::JobSuperseded { key, .. }
            | EventKind::JobCollecting { key, .. }
            | EventKind::JobCollected { key, .. }
            | EventKind::JobNotCollected { key, .. }
            | EventKind::JobKillAsked { key }
            | EventKind::JobPaused { key }
            | EventKind::JobResumed { key }
            | EventKind::JobReopened { key }
            | EventKind::JobEnded { key, .. } => Some(*key),
            EventKind::JobFinished { finish, .. } => finish.key,
            EventKind::RunBegan { .. }
            | EventKind::HostUp { .. }
            | EventKind::HostUnknown { .. }
            | EventKind::HostError { .. }
            | EventKind::HostPaused { .. }
            | EventKind::HostProbed { .. }
            | EventKind::Transfer { .. }
            | EventKind::RunEnded { .. } => None,
        }
    }

    /// The host the event is about.
    #[must_use]
    pub fn host(&self) -> Option<&HostLabel> {
        match self {
            EventKind::HostUp { host, .. }
            | EventKind::HostUnknown { host, .. }
            | EventKind::HostError { host, .. }
            | EventKind::HostPaused { host, .. }
            | EventKind::HostProbed { host }
            | EventKind::JobAbandoned { host, .. }
            | EventKind::JobSuperseded { host, .. }
            | EventKind::JobCollecting { host, .. }
            | EventKind::JobCollected { host, .. }
            | EventKind::JobNotCollected { host, .. }
            | EventKind::Transfer { host, .. }
            | EventKind::JobAssigned { host, .. }
            | EventKind::JobStarted { host, .. }
            | EventKind::JobFinished { host, .. }
            | EventKind::JobRefused { host, .. }
            | EventKind::JobWithdrawn { host, .. }
            | EventKind::JobLost { host, .. } => Some(host),
            EventKind::RunBegan { .. }
            | EventKind::JobKillAsked { .. }
            | EventKind::JobPaused { .. }
            | EventKind::JobResumed { .. }
            | EventKind::JobReopened { .. }
            | EventKind::JobEnded { .. }
            | EventKind::RunEnded { .. } => None,
        }
    }
}

/// Which way a file goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From here to the host.
    In,
    /// From the host to here.
    Out,
}

/// Why a manager stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunEnd {
    /// Every job has its outcome.
    Complete,
    /// More jobs failed than `--max-fails` allows.
    MaxFails,
    /// No host is left that could run the rest.
    NoHosts,
    /// A user ended it and its running jobs.
    Interrupted,
    /// It was told to go and leave its jobs running.
    Left,
}
