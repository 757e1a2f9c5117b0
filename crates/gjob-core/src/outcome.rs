//! How an attempt ended, and what it used.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{JobId, Key};
use crate::time::Timestamp;

/// How a job's script ended, as `wait4` told its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// It exited with this status.
    Exit(u8),
    /// This signal ended it.
    Signal(u8),
}

impl Ending {
    /// True for exit status 0.
    #[must_use]
    pub const fn is_success(self) -> bool {
        matches!(self, Ending::Exit(0))
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Exit(code) => write!(f, "exit {code}"),
            Ending::Signal(number) => write!(f, "signal {number}"),
        }
    }
}

/// Why gjob itself ended a job's processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// It ran longer than its `timeout`.
    Timeout,
    /// A user asked for it (`gjob kill`).
    Killed,
    /// A user interrupted the run (Ctrl-C): the job is to be done again when
    /// the run goes on.
    Interrupted,
    /// Another attempt of the same job was already recorded as its outcome.
    Superseded,
    /// Its host had not heard from the manager for as long as was agreed.
    Lease,
}

impl Cause {
    /// The word used in records, events and the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Cause::Timeout => "timeout",
            Cause::Killed => "killed",
            Cause::Interrupted => "interrupted",
            Cause::Superseded => "superseded",
            Cause::Lease => "lease",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The exit record of one attempt: what `.done` and the run log's `finished`
/// line hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finish {
    /// Which attempt; none for a job started by hand (`gjob local start`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Key>,
    /// Its job directory.
    pub id: JobId,
    /// How it ended.
    pub ending: Ending,
    /// Why gjob ended it, if gjob did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// When its script was started, by the host's clock.
    pub started: Timestamp,
    /// When it ended, by the host's clock.
    pub ended: Timestamp,
    /// Processor time in user mode, microseconds, its waited-for children included.
    pub user_us: u64,
    /// Processor time in the kernel, microseconds, likewise.
    pub system_us: u64,
    /// Largest resident set of any of its processes, KiB.
    pub max_rss_kib: u64,
    /// Bytes in `log`, its standard output.
    pub stdout_bytes: u64,
    /// Bytes in `err`, its standard error.
    pub stderr_bytes: u64,
}

impl Finish {
    /// True when the job is done: exit status 0, and not ended by gjob.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.ending.is_success() && self.cause.is_none()
    }

    /// True when the job itself has failed, by its exit or by taking too long;
    /// what gjob ended for another reason is no failure of the job's.
    #[must_use]
    pub fn is_own_failure(&self) -> bool {
        match self.cause {
            None => !self.ending.is_success(),
            Some(Cause::Timeout) => true,
            Some(Cause::Killed | Cause::Interrupted | Cause::Superseded | Cause::Lease) => false,
        }
    }
}
