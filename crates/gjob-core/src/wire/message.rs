//! The messages. A change to any of them is a new [`PROTOCOL`](super::PROTOCOL).

use serde::{Deserialize, Serialize};

use crate::id::{Epoch, HostLabel, JobId, Key, RunId};
use crate::order::Order;
use crate::record::Scope;
use crate::request::JobRequest;
use crate::state::State;
use crate::text::{Foreign, excerpt};

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

/// A blob's name that can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no blob: 64 hexadecimal digits do")]
pub struct ParseBlobHashError(String);

impl std::str::FromStr for BlobHash {
    type Err = ParseBlobHashError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fail = || ParseBlobHashError(excerpt(text));
        let digit = |byte: &u8| (*byte as char).to_digit(16).filter(|_| !byte.is_ascii_uppercase());
        let digits: Option<Vec<u32>> = text.as_bytes().iter().map(digit).collect();
        let digits = digits.filter(|digits| digits.len() == 64).ok_or_else(fail)?;
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = (pair[0] << 4 | pair[1]) as u8;
        }
        Ok(BlobHash(hash))
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
    /// End, pause or resume a running attempt. Sending it again changes nothing.
    Order {
        /// The attempt.
        key: Key,
        /// What to do.
        order: Order,
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
        /// Where what follows begins: what is before it is there, as
        /// [`FromAgent::MissingBlobs`] has said.
        offset: u64,
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
    /// Send the outputs of a job that has ended, in [`FromAgent::Outputs`], to
    /// the end in [`FromAgent::Collected`] or [`FromAgent::CollectFailed`].
    /// Several are served one after the other.
    Collect {
        /// Comes back in the answers.
        request: u32,
        /// Which job.
        id: JobId,
        /// What is wanted of its directory; see [`OutputPattern`](crate::output::OutputPattern).
        patterns: Vec<String>,
        /// True when each pattern has to match something.
        all: bool,
        /// What the manager has of it already.
        resume: Option<Resume>,
    },
    /// Don't go on with a [`ToAgent::Collect`]; it is not answered any more.
    CollectStop {
        /// The request.
        request: u32,
    },
    /// Remove the directories of these jobs, if they are this run's and have
    /// ended. Answered by [`FromAgent::Removed`].
    Remove {
        /// Comes back in the answer.
        request: u32,
        /// The run.
        run: RunId,
        /// What the run's manager calls this host.
        host: HostLabel,
        /// At most 4096 attempts.
        jobs: Vec<(Key, JobId)>,
    },
    /// Remove what this host knows of a run, and the blobs that no other run
    /// has used. Answered by [`FromAgent::Forgotten`].
    Forget {
        /// Comes back in the answer.
        request: u32,
        /// The run.
        run: RunId,
        /// What the run's manager calls this host.
        host: HostLabel,
    },
    /// Answered by [`FromAgent::Echo`] once every launch, withdrawal and order
    /// sent before it has been carried out or handed to its slot.
    Echo {
        /// Comes back in the answer.
        request: u32,
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
    /// Blobs that are not in use are removed, the longest unused first, while
    /// they all take more room than this, bytes.
    pub blob_budget: u64,
}

/// How much of a job's outputs has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// The last entry that is here in whole: those up to it are passed over.
    pub after: Option<String>,
    /// The file that follows it and is here in part, and how many of its bytes.
    pub partial: Option<(String, u64)>,
}

/// One attempt to be run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Launch {
    /// Which attempt.
    pub key: Key,
    /// What is requested for the job.
    pub request: JobRequest,
    /// The script, run as `bash -e .cmds`.
    pub script: String,
    /// Files placed in its directory before it starts; their blobs are here.
    pub files: Vec<Input>,
}

/// A file or directory placed in a job directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// Its name there: one path component.
    pub name: String,
    /// Its content; a directory's is a [`Tree`](crate::tree::Tree).
    pub hash: BlobHash,
    /// Its permission bits.
    pub mode: u32,
    /// When it was last modified, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// What it is.
    pub kind: InputKind,
    /// True for a read-only hard link to the blob instead of a copy; of a
    /// directory, each file is one.
    pub hard_link: bool,
}

/// What an input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum InputKind {
    /// A file.
    File,
    /// A directory.
    Tree,
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
        /// A subset, in the order asked; and how many of its bytes are here.
        blobs: Vec<(BlobHash, u64)>,
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
        reason: Foreign,
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
        reason: Foreign,
    },
    /// What the job directories say, in the order asked.
    Statuses {
        /// From the request.
        request: u32,
        /// A state each.
        states: Vec<State>,
    },
    /// A part of a job's outputs.
    Outputs {
        /// From the request.
        request: u32,
        /// What follows on what was sent before. In all at most [`CHUNK`] bytes
        /// of content and names.
        parts: Vec<OutputPart>,
    },
    /// A job's outputs were sent.
    Collected {
        /// From the request.
        request: u32,
        /// Regular files among them, those passed over included.
        files: u64,
    },
    /// A job's outputs can't be had.
    CollectFailed {
        /// From the request.
        request: u32,
        /// Why, in one line.
        reason: Foreign,
        /// Whose fault it is: the job's if it did not write what it said.
        scope: Scope,
    },
    /// Job directories were removed.
    Removed {
        /// From the request.
        request: u32,
        /// How many of them are not there any more.
        gone: u32,
        /// Those that are, and why.
        kept: Vec<(JobId, Foreign)>,
    },
    /// A run was forgotten.
    Forgotten {
        /// From the request.
        request: u32,
        /// Blobs removed, and their bytes; or why nothing was.
        result: Result<(u64, u64), Foreign>,
    },
    /// The answer to [`ToAgent::Echo`].
    Echo {
        /// From the request.
        request: u32,
    },
    /// The answer to [`ToAgent::Ping`].
    Pong {
        /// From the request.
        nonce: u64,
        /// When it was sent: milliseconds since the host was booted, sleep included.
        at_ms: u64,
        /// When it was sent, by the host's wall clock: milliseconds since 1970.
        clock_ms: u64,
    },
    /// The agent can't go on and exits.
    Fault {
        /// Why, in one line.
        reason: Foreign,
        /// True when trying again can't help.
        permanent: bool,
    },
}

/// Outputs of a job, in the order of their paths, compared component by
/// component: a directory, if it is sent at all, right before what is in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum OutputPart {
    /// A directory.
    Dir {
        /// Below the job directory.
        path: String,
        /// Its permission bits.
        mode: u32,
    },
    /// A file; its bytes follow, then its end.
    File {
        /// Below the job directory.
        path: String,
        /// Its permission bits.
        mode: u32,
        /// When it was last modified, nanoseconds since 1970.
        mtime_ns: i64,
        /// Its length, bytes.
        size: u64,
        /// Where the bytes that follow begin.
        offset: u64,
    },
    /// The next bytes of the file.
    Bytes(#[serde(with = "serde_bytes")] Vec<u8>),
    /// The file is complete.
    End {
        /// The hash of all of it.
        hash: BlobHash,
    },
}

/// What a host says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Welcome {
    /// The program's version, for people.
    pub version: Foreign,
    /// What the program was built for, as `OS-ARCH`: `linux-x86_64`.
    pub platform: String,
    /// When this was sent, by the host's wall clock: milliseconds since 1970.
    pub clock_ms: u64,
    /// What the host calls itself.
    pub hostname: Foreign,
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
    /// GPUs it may use.
    pub gpus: u32,
    /// Names the results directory: hosts that give the same name may share it.
    pub place: String,
    /// Room left where the results directory is, bytes.
    pub free_bytes: u64,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::outcome::Cause;
    use crate::resources::Cpus;
    use crate::wire::{PROTOCOL, decode, encode};

    /// The bytes of the wire: a difference here needs a new PROTOCOL.
    #[test]
    fn the_wire_format_is_pinned() {
        let request = JobRequest {
            name: Some("n".into()),
            repeat_index: 2,
            env: [("A".into(), "b".into())].into(),
            timeout_ms: Some(300),
            cpus: Cpus::Count(1),
            mem: 0,
            gpus: 0,
        };
        let launch = ToAgent::Launch(Box::new(Launch {
            key: Key::new(3, 1),
            request,
            script: "true\n".into(),
            files: vec![Input {
                name: "f".into(),
                hash: BlobHash([7; 32]),
                mode: 0o644,
                mtime_ns: 1,
                kind: InputKind::File,
                hard_link: false,
            }],
        }));
        let frame = encode(&launch);
        assert_eq!(frame.len(), 71, "{frame:02x?}");
        assert_eq!(frame[..10], [67, 0, 0, 0, 1, 3, b'3', b'.', b'1', 1]);
        assert_eq!(frame[10..26], [1, b'n', 2, 1, 1, b'A', 1, b'b', 1, 172, 2, 1, 1, 0, 0, 5]);
        let kill = Order::Kill { cause: Cause::Killed, grace: Duration::from_millis(5) };
        let order = encode(&ToAgent::Order { key: Key::new(3, 1), order: kill });
        assert_eq!(order, [8, 0, 0, 0, 3, 3, b'3', b'.', b'1', 0, 1, 5]);
        let pong = encode(&FromAgent::Pong { nonce: 5, at_ms: 6, clock_ms: 7 });
        assert_eq!(pong, [4, 0, 0, 0, 14, 5, 6, 7]);
        assert_eq!(PROTOCOL, 4);
    }

    #[test]
    fn whole_host_travels_as_no_number_of_processors() {
        let request = JobRequest { cpus: Cpus::All, ..JobRequest::default() };
        let bytes = encode(&request);
        assert_eq!(bytes[4..], [0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(decode::<JobRequest>(&bytes[4..]).unwrap(), request);
    }
}
