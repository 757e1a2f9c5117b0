//! The messages to an agent.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::blob::{BlobHash, Input};
#[cfg(doc)]
use super::{CHUNK, FromAgent};
use crate::hosts::HostLimits;
use crate::id::{Epoch, HostLabel, JobId, Key, RunId};
use crate::order::Order;
use crate::request::JobRequest;

/// From the manager to an agent. The first is [`ToAgent::Attach`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToAgent {
    /// Attach to a run. Answered by [`FromAgent::Welcome`] or [`FromAgent::Fault`].
    Attach(Attach),
    /// Run an attempt as soon as a slot is free. Sending it again changes nothing: what has
    /// become of the attempt is answered in the run log, by [`FromAgent::Recorded`] or by
    /// [`FromAgent::NotNow`].
    Launch(Box<Launch>),
    /// Do not start this attempt. If its script was not started, the run log records
    /// it as `withdrawn` and it never starts; if it was, nothing happens.
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
    /// Which of these blobs are missing? Answered by [`FromAgent::MissingBlobs`].
    AskBlobs {
        /// At most 4096 of them.
        hashes: Vec<BlobHash>,
    },
    /// A blob's content follows in [`ToAgent::BlobData`]; one blob at a time.
    Blob {
        /// The hash that its content must have.
        hash: BlobHash,
        /// Its length, bytes.
        size: u64,
        /// Where the bytes that follow begin: the host has those before, according to
        /// [`FromAgent::MissingBlobs`].
        offset: u64,
    },
    /// The next bytes of the blob under way, at most [`CHUNK`]. The last ones
    /// are answered by [`FromAgent::BlobStored`] or [`FromAgent::BlobFailed`].
    BlobData {
        /// The bytes.
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
    },
    /// The blob under way will not be completed: its source failed.
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
    /// Which states do these jobs' directories show? Answered by
    /// [`FromAgent::Statuses`].
    Status {
        /// Comes back in the answer.
        request: u32,
        /// At most 4096 jobs.
        ids: Vec<JobId>,
    },
    /// Send the outputs of a job that has ended: in [`FromAgent::Outputs`], and in the
    /// end [`FromAgent::Collected`] or [`FromAgent::CollectFailed`]. Requests are
    /// served one after the other.
    Collect {
        /// Comes back in the answers.
        request: u32,
        /// Which job.
        id: JobId,
        /// What to send of its directory; see [`OutputPattern`](crate::output::OutputPattern).
        patterns: Vec<String>,
        /// True when each pattern has to match something.
        all: bool,
        /// What the manager has already.
        resume: Option<Resume>,
    },
    /// Stop a [`ToAgent::Collect`]; it is not answered any more.
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
    /// Remove everything about a run from this host, and the blobs that no other run
    /// has asked for. Answered by [`FromAgent::Forgotten`].
    Forget {
        /// Comes back in the answer.
        request: u32,
        /// The run.
        run: RunId,
        /// What the run's manager calls this host.
        host: HostLabel,
    },
    /// Remove everything about these runs from this host, whatever it is called, with the
    /// directories of their jobs. Answered by [`FromAgent::Purged`].
    Purge {
        /// Comes back in the answer.
        request: u32,
        /// At most 4096 runs.
        runs: Vec<RunId>,
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
        /// The last [`FromAgent::Pong`]'s `at_ms`; 0 before the first. A lease runs
        /// from there: the manager is known to have received that message.
        echo_ms: u64,
    },
    /// The manager leaves: launches that were not begun are dropped, jobs continue,
    /// and the agent exits.
    Detach,
    /// Do something with one job directory, whatever run it is of. Answered by
    /// [`FromAgent::ByHand`].
    ByHand {
        /// Comes back in the answer.
        request: u32,
        /// Which job.
        id: JobId,
        /// What to do.
        work: ByHand,
    },
    /// How is this host? Answered by [`FromAgent::Description`].
    Describe {
        /// Comes back in the answer.
        request: u32,
    },
    /// What takes how much room here? Answered by [`FromAgent::Usage`].
    Usage {
        /// Comes back in the answer.
        request: u32,
    },
    /// Start a job that does nothing, to see whether jobs survive a logout. Answered by
    /// [`FromAgent::ProbeStarted`].
    StartProbe {
        /// Comes back in the answer.
        request: u32,
        /// After so many seconds it ends by itself.
        seconds: u32,
    },
    /// End such a job, and remove its directory. Answered by [`FromAgent::ProbeEnded`].
    EndProbe {
        /// Comes back in the answer.
        request: u32,
        /// Which.
        id: JobId,
    },
    /// What was begun of the run before this attachment? Answered by the run log, and then
    /// by [`FromAgent::Told`].
    Tell,
    /// Make a blob of a file that a job has written. Answered by [`FromAgent::BlobStored`],
    /// or by [`FromAgent::BlobFailed`] if the file is not this content any more.
    TakeBlob {
        /// The hash that the file's content must have.
        hash: BlobHash,
        /// Its length, bytes.
        size: u64,
        /// Whose file it is.
        id: JobId,
        /// Below the job directory.
        path: String,
    },
    /// How many hosts the run has had. The host keeps the greatest number that it was told, and
    /// answers with it ([`FromAgent::HostCount`]).
    HostCount {
        /// Hosts of the run: a position is never used again, so that they only become more.
        hosts: u32,
    },
}

/// What `gjob local` does with a job directory of its machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ByHand {
    /// Tell its state.
    Status,
    /// Tell whether its job is paused.
    IsPaused,
    /// Kill its job.
    Kill {
        /// Between SIGTERM and SIGKILL.
        grace: Duration,
    },
    /// Pause its job.
    Pause,
    /// Resume its job.
    Unpause,
}

/// How an attachment begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attach {
    /// The run. Without one, nothing can be launched, nothing is locked, and there is
    /// no run log to follow.
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
    /// The host is to end the run's jobs itself, with cause `lease`, once this many
    /// milliseconds have passed since the latest `echo_ms`.
    pub lease_ms: Option<u64>,
    /// Blobs that are not in use are removed, the longest unused first, while all
    /// blobs together take more room than this, bytes.
    pub blob_budget: u64,
    /// When jobs are started, and how.
    pub limits: HostLimits,
    /// The shares of machines in which the manager itself runs, as [`WITHIN`] names them:
    /// a job has started it.
    pub within: Vec<String>,
    /// Where the run is managed, for users of other runs on the host.
    pub managed: ManagedAt,
}

/// Where a run is managed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagedAt {
    /// The name of the machine.
    pub machine: String,
    /// The state directory there; empty for a run that has none.
    pub state_dir: String,
}

impl ManagedAt {
    /// The same, or none if it takes more room than such a place needs.
    #[must_use]
    pub fn bounded(self) -> Self {
        let is_short = self.machine.len() + self.state_dir.len() <= MAX_PLACE;
        if is_short { self } else { ManagedAt::default() }
    }
}

/// The longest place of a manager that is kept, bytes.
const MAX_PLACE: usize = 4096;

/// The variable that tells a job, and a manager that it starts, in which shares of its machine
/// it runs, with colons between them.
pub const WITHIN: &str = "GJOB_WITHIN";

/// How much of a job's outputs the manager has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// The last entry that it has in whole: those up to it are skipped.
    pub after: Option<String>,
    /// The file after it, if the manager has a part of it, and the length of that.
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
    /// Files placed in its directory before it starts; the host has their blobs.
    pub files: Vec<Input>,
    /// It is run once on the host besides its jobs, whatever limits these have.
    pub is_task: bool,
    /// How often this agent had dropped it, as far as the manager knew. One that it has
    /// dropped more often is no new launch.
    pub dropped: u32,
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
