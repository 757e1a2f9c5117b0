//! The messages. A change to any of them is a new [`PROTOCOL`](super::PROTOCOL).

use serde::{Deserialize, Serialize};

use crate::id::{Epoch, HostLabel, JobId, Key, RunId};
use crate::outcome::Cause;
use crate::state::State;

/// The most bytes of file content in one message.
pub const CHUNK: usize = 256 * 1024;

/// Names a blob: the blake3 hash of its content.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BlobHash(pub [u8; 32]);

impl std::fmt::Display for BlobHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for BlobHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BlobHash({self})")
    }
}

/// From the manager to an agent. The first is [`ToAgent::Attach`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToAgent {
    /// Take up a run; answered by [`FromAgent::Welcome`] or [`FromAgent::Fault`].
    Attach(Attach),
    /// Run an attempt as soon as a slot is free. Sending it again changes nothing.
    Launch(Box<Launch>),
    /// Don't start this attempt. If its script was not started, that is
    /// recorded as `withdrawn` in the run log, and it never will be; if it
    /// was, nothing happens.
    Withdraw {
        /// The attempt.
        key: Key,
    },
    /// End an attempt's processes: TERM, then KILL after the grace. An
    /// attempt that was not started is withdrawn instead.
    Kill {
        /// The attempt.
        key: Key,
        /// What the exit record is to say.
        cause: Cause,
        /// Milliseconds between TERM and KILL.
        grace_ms: u32,
    },
    /// Which of these blobs are not here? Answered by [`FromAgent::MissingBlobs`].
    AskBlobs {
        /// At most 4096 of them.
        hashes: Vec<BlobHash>,
    },
    /// A blob's content follows in [`ToAgent::BlobData`]; one blob at a time.
    Blob {
        /// What its content must hash to.
        hash: BlobHash,
        /// Its length, bytes.
        size: u64,
    },
    /// The next bytes of the blob under way, at most [`CHUNK`]. The last ones
    /// are answered by [`FromAgent::BlobStored`] or [`FromAgent::BlobFailed`].
    BlobData {
        /// The bytes.
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
    },
    /// The blob under way won't be completed: its source failed.
    BlobAbort,
    /// Read from a job's output; answered by [`FromAgent::Data`] or
    /// [`FromAgent::ReadFailed`].
    Read {
        /// Comes back in the answer.
        request: u32,
        /// Which job.
        id: JobId,
        /// Which of its streams.
        stream: Stream,
        /// First byte wanted.
        offset: u64,
        /// Most bytes wanted, at most [`CHUNK`].
        max: u32,
    },
    /// What do these jobs' directories say? Answered by [`FromAgent::Statuses`].
    Status {
        /// Comes back in the answer.
        request: u32,
        /// At most 4096 jobs.
        ids: Vec<JobId>,
    },
    /// Stop an attempt's processes for a while; nothing if it doesn't run.
    Pause {
        /// The attempt.
        key: Key,
    },
    /// Let an attempt that was paused go on.
    Resume {
        /// The attempt.
        key: Key,
    },
    /// Answered by [`FromAgent::Pong`].
    Ping {
        /// Comes back in the answer.
        nonce: u64,
        /// The last [`FromAgent::Pong`]'s `at_ms`; 0 before the first. A lease
        /// runs from there: the agent knows then that its word has arrived.
        echo_ms: u64,
    },
    /// The manager leaves: launches not yet begun are dropped, jobs go on, the
    /// agent exits.
    Detach,
}

/// How an attachment begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attach {
    /// The run that is taken up; none only looks: nothing can be launched,
    /// nothing is locked, and there is no run log to follow.
    pub run: Option<RunId>,
    /// What the manager calls this host: several labels may lead to one host.
    pub host: HostLabel,
    /// The results directory; a relative one is below the home directory.
    pub results_dir: String,
    /// Greater than that of any earlier attachment of this run to this host.
    pub epoch: Epoch,
    /// Bytes of the run log that the manager has committed.
    pub offset: u64,
    /// Jobs run at once; none lets the host offer one per processor.
    pub slots: Option<u32>,
    /// The host is to end the run's jobs itself, with cause `lease`, once so
    /// many milliseconds have passed since the latest `echo_ms`.
    pub lease_ms: Option<u64>,
}

/// One attempt to be run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Launch {
    /// Which attempt.
    pub key: Key,
    /// The job's name.
    pub name: Option<String>,
    /// Which of its copies it is, from 0.
    pub repeat_index: u32,
    /// The script, run as `bash -e .cmds`.
    pub script: String,
    /// Variables added to its environment.
    pub env: Vec<(String, String)>,
    /// The longest it may run, milliseconds.
    pub timeout_ms: Option<u64>,
    /// Files placed in its directory before it starts; their blobs are here.
    pub files: Vec<Input>,
}

/// A file placed in a job directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// Its name there: one path component.
    pub name: String,
    /// Its content.
    pub hash: BlobHash,
    /// Its permission bits.
    pub mode: u32,
}

/// A job's output streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output, the file `log`.
    Stdout,
    /// Standard error, the file `err`.
    Stderr,
}

/// From an agent to the manager.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FromAgent {
    /// The answer to [`ToAgent::Attach`].
    Welcome(Box<Welcome>),
    /// More of the run log: whole lines, in the file's order.
    Records {
        /// Where `lines` begins in the file, bytes.
        offset: u64,
        /// The lines as they stand there.
        #[serde(with = "serde_bytes")]
        lines: Vec<u8>,
    },
    /// Those of the blobs asked for that are not here.
    MissingBlobs {
        /// A subset, in the order asked.
        hashes: Vec<BlobHash>,
    },
    /// A blob is complete, verified and in its place.
    BlobStored {
        /// Which.
        hash: BlobHash,
    },
    /// A blob could not be stored.
    BlobFailed {
        /// Which.
        hash: BlobHash,
        /// Why, in one line.
        reason: String,
    },
    /// A part of a job's output.
    Data {
        /// From the request.
        request: u32,
        /// The bytes; none at the end of the file.
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
        /// The file's length now, bytes.
        size: u64,
    },
    /// A job's output could not be read.
    ReadFailed {
        /// From the request.
        request: u32,
        /// Why, in one line.
        reason: String,
    },
    /// What the job directories say, in the order asked.
    Statuses {
        /// From the request.
        request: u32,
        /// A state each.
        states: Vec<State>,
    },
    /// The answer to [`ToAgent::Ping`].
    Pong {
        /// From the request.
        nonce: u64,
        /// When it was sent: milliseconds since the host was booted, sleep included.
        at_ms: u64,
    },
    /// The agent can't go on and exits.
    Fault {
        /// Why, in one line.
        reason: String,
        /// True when trying again can't help.
        permanent: bool,
    },
}

/// What a host says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Welcome {
    /// The program's version, for people.
    pub version: String,
    /// What the host calls itself.
    pub hostname: String,
    /// The kernel's boot id: another one means that the host was restarted.
    pub boot_id: String,
    /// The results directory, absolute.
    pub results_dir: String,
    /// Processors it may use.
    pub cpus: u32,
    /// Memory in all, bytes.
    pub memory_bytes: u64,
    /// Jobs it runs at once.
    pub slots: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{PROTOCOL, encode};

    /// The bytes of the wire: a difference here needs a new PROTOCOL.
    #[test]
    fn the_wire_format_is_pinned() {
        let launch = ToAgent::Launch(Box::new(Launch {
            key: Key::new(3, 1),
            name: Some("n".into()),
            repeat_index: 2,
            script: "true\n".into(),
            env: vec![("A".into(), "b".into())],
            timeout_ms: Some(300),
            files: vec![Input { name: "f".into(), hash: BlobHash([7; 32]), mode: 0o644 }],
        }));
        let frame = encode(&launch);
        assert_eq!(frame.len(), 64, "{frame:02x?}");
        assert_eq!(frame[..10], [60, 0, 0, 0, 1, 3, b'3', b'.', b'1', 1]);
        let pong = encode(&FromAgent::Pong { nonce: 5, at_ms: 6 });
        assert_eq!(pong, [3, 0, 0, 0, 8, 5, 6]);
        assert_eq!(PROTOCOL, 2);
    }
}
