//! How an attempt ended, and what it used.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{JobId, Key};
use crate::time::Timestamp;
use crate::words::words;

/// How a job's script ended, according to `wait4`.
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

/// Why a job's processes were ended: by gjob, or for want of memory by the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// It ran longer than its `timeout`.
    Timeout,
    /// A user asked for it (`gjob kill`).
    Killed,
    /// A user interrupted the run (Ctrl-C) or removed the host (`gjob hosts remove`): the job
    /// runs again when the run resumes, or elsewhere.
    Interrupted,
    /// Another attempt of the same job was already recorded as its outcome.
    Superseded,
    /// Its host had no contact with the manager for the duration of the lease.
    Lease,
    /// The same by its host's wall clock alone, which has jumped: it was set forward, or
    /// the host stood still, as a virtual machine does that is paused.
    Clock,
    /// It used more memory than it asked for, or was ended by its host's kernel, which had
    /// no memory left.
    Memory,
}

words!(Cause, "cause of an end",
    Timeout => "timeout",
    Killed => "killed",
    Interrupted => "interrupted",
    Superseded => "superseded",
    Lease => "lease",
    Clock => "clock",
    Memory => "memory",
);

impl Cause {
    /// What is said of a job that ended for it.
    #[must_use]
    pub const fn in_words(self) -> &'static str {
        match self {
            Cause::Memory => "out of memory",
            other => other.as_str(),
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
    /// Largest resident set of any of its processes, KiB; or, if that is more, the most that all
    /// of them were seen to use together, as those of a job that asked for memory are watched.
    pub max_rss_kib: u64,
    /// Bytes that it has read from disks, its waited-for children included: what was in memory
    /// already is not read.
    #[serde(default)]
    pub read_bytes: u64,
    /// Bytes that it has written for disks, likewise: what stays in memory is not counted.
    #[serde(default)]
    pub written_bytes: u64,
    /// Bytes in `log`, its standard output.
    pub stdout_bytes: u64,
    /// Bytes in `err`, its standard error.
    pub stderr_bytes: u64,
    /// Processes of it that could not be ended, at most [`MAX_SURVIVORS`]: their pids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub survivors: Vec<u32>,
}

impl Finish {
    /// An end of which nothing more is known: nothing was used, and nothing printed.
    #[must_use]
    pub fn new(id: JobId, ending: Ending, started: Timestamp, ended: Timestamp) -> Self {
        Finish {
            key: None,
            id,
            ending,
            cause: None,
            started,
            ended,
            user_us: 0,
            system_us: 0,
            max_rss_kib: 0,
            read_bytes: 0,
            written_bytes: 0,
            stdout_bytes: 0,
            stderr_bytes: 0,
            survivors: Vec::new(),
        }
    }
}

/// The most survivors that a record names.
pub const MAX_SURVIVORS: usize = 1000;

/// The most survivors that a message names.
const NAMED_SURVIVORS: usize = 20;

/// Adds to `reason` which processes could not be ended. Without a reason and without
/// survivors there is none.
#[must_use]
pub fn name_survivors(reason: Option<String>, survivors: &[u32]) -> Option<String> {
    let what = if survivors.len() == 1 { "process" } else { "processes" };
    let pids: Vec<String> =
        survivors.iter().take(NAMED_SURVIVORS).map(ToString::to_string).collect();
    let pids = pids.join(", ");
    let named = match survivors.len() {
        0 => return reason,
        1..=NAMED_SURVIVORS => format!("{what} {pids} could not be ended"),
        all => {
            let more = all - NAMED_SURVIVORS;
            format!("{what} {pids} and {more} more could not be ended")
        }
    };
    Some(match reason {
        Some(reason) => format!("{reason}; {named}"),
        None => named,
    })
}

impl Finish {
    /// Cuts its numbers to what can be added, stored and shown.
    pub(crate) fn bound(&mut self) {
        let Finish { started, ended, survivors, .. } = self;
        (*started, *ended) = (started.bounded(), ended.bounded());
        // As a clock that was set back meanwhile may say.
        *ended = (*ended).max(*started);
        survivors.truncate(MAX_SURVIVORS);
        for number in [
            &mut self.user_us,
            &mut self.system_us,
            &mut self.max_rss_kib,
            &mut self.read_bytes,
            &mut self.written_bytes,
            &mut self.stdout_bytes,
            &mut self.stderr_bytes,
        ] {
            *number = (*number).min(i64::MAX as u64);
        }
    }

    /// True when the job is done: exit status 0, and not ended by gjob.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.ending.is_success() && self.cause.is_none()
    }

    /// True when the job itself has failed, by its exit status, its timeout or its memory. A job
    /// that gjob ended for another reason has not.
    #[must_use]
    pub fn is_own_failure(&self) -> bool {
        match self.cause {
            None => !self.ending.is_success(),
            Some(Cause::Timeout | Cause::Memory) => true,
            Some(
                Cause::Killed
                | Cause::Interrupted
                | Cause::Superseded
                | Cause::Lease
                | Cause::Clock,
            ) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survivors_are_named_in_one_line() {
        let named = |reason: Option<&str>, pids: &[u32]| {
            name_survivors(reason.map(str::to_owned), pids).unwrap_or_default()
        };
        assert_eq!(named(None, &[]), "");
        assert_eq!(named(Some("killed"), &[]), "killed");
        assert_eq!(named(None, &[7]), "process 7 could not be ended");
        assert_eq!(named(Some("killed"), &[7, 9]), "killed; processes 7, 9 could not be ended");
        let many: Vec<u32> = (1..=1000).collect();
        assert!(named(None, &many).ends_with(", 19, 20 and 980 more could not be ended"));
    }
}
