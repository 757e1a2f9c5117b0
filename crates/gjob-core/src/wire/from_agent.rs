//! The messages from an agent.

use serde::{Deserialize, Serialize};

use super::blob::BlobHash;
#[cfg(doc)]
use super::{CHUNK, ToAgent};
use crate::id::{JobId, Key, RunId};
use crate::record::Scope;
use crate::state::State;
use crate::text::Foreign;

/// From an agent to the manager.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FromAgent {
    /// The answer to [`ToAgent::Attach`].
    Welcome(Box<Welcome>),
    /// More of the run log, in the file's order: whole lines, or a part of a line
    /// that is longer than [`CHUNK`].
    Records {
        /// Where `lines` begins in the file, bytes.
        offset: u64,
        /// The lines as they are in the file.
        #[serde(with = "serde_bytes")]
        lines: Vec<u8>,
    },
    /// Those of the blobs asked for that are missing.
    MissingBlobs {
        /// A subset, in the order asked, with the number of bytes received of each.
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
        /// Whose fault it is.
        scope: Scope,
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
    /// The states that job directories show, in the order asked.
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
        /// They follow those sent before. Content and names together are at most
        /// [`CHUNK`] bytes.
        parts: Vec<OutputPart>,
    },
    /// A job's outputs were sent.
    Collected {
        /// From the request.
        request: u32,
        /// Regular files among them, including those skipped.
        files: u64,
    },
    /// A job's outputs cannot be sent.
    CollectFailed {
        /// From the request.
        request: u32,
        /// Why, in one line.
        reason: Foreign,
        /// Whose fault it is: the job's if it did not write what it should.
        scope: Scope,
        /// True when there is no directory of the job.
        is_gone: bool,
    },
    /// Job directories were removed.
    Removed {
        /// From the request.
        request: u32,
        /// How many of them were removed; those that were gone before are not counted.
        gone: u32,
        /// Those that stay, and why.
        kept: Vec<(JobId, Foreign)>,
    },
    /// A run was forgotten.
    Forgotten {
        /// From the request.
        request: u32,
        /// The number of blobs removed, and their bytes; or why nothing was.
        result: Result<(u64, u64), Foreign>,
    },
    /// Runs were removed.
    Purged {
        /// From the request.
        request: u32,
        /// Those that stay, and why.
        kept: Vec<(RunId, Foreign)>,
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
    /// The agent cannot continue and exits.
    Fault {
        /// Why, in one line.
        reason: Foreign,
        /// True when trying again cannot help.
        permanent: bool,
    },
    /// The answer to [`ToAgent::ByHand`].
    ByHand {
        /// From the request.
        request: u32,
        /// What was found or done; or why it was not, in one line.
        result: Result<ByHandAnswer, Foreign>,
    },
    /// The host starts nothing more for now. These launches were dropped before anything of
    /// them was begun, and a repetition of them is answered by the same. No record says so:
    /// there may be no room for one. A launch that knows of it ([`Launch::dropped`]) is a new
    /// one, under the same key.
    ///
    /// [`Launch::dropped`]: super::Launch::dropped
    NotNow {
        /// Which, at most 4096, and how often each was dropped by now.
        keys: Vec<(Key, u32)>,
        /// What there is too little of, in one line.
        reason: Foreign,
        /// [`Scope::Space`] or [`Scope::Load`].
        scope: Scope,
    },
    /// The answer to [`ToAgent::Describe`].
    Description {
        /// From the request.
        request: u32,
        /// How the host is.
        description: Box<HostDescription>,
    },
    /// The answer to [`ToAgent::Usage`].
    Usage {
        /// From the request.
        request: u32,
        /// What was found.
        usage: Box<DiskUsage>,
    },
    /// The answer to [`ToAgent::StartProbe`].
    ProbeStarted {
        /// From the request.
        request: u32,
        /// The job; or why it was not started, in one line.
        result: Result<JobId, Foreign>,
    },
    /// The answer to [`ToAgent::EndProbe`].
    ProbeEnded {
        /// From the request.
        request: u32,
        /// Whether it was still running; or why that cannot be told, in one line.
        result: Result<bool, Foreign>,
    },
    /// The answer to a launch, a withdrawal or an order about an attempt that the run log
    /// speaks of, in a part that was sent before: what it says last of it. It says nothing
    /// new to a manager that has taken in that part.
    Recorded {
        /// The attempt.
        key: Key,
        /// The line as it is in the file, which a job may have written.
        #[serde(with = "serde_bytes")]
        line: Vec<u8>,
    },
    /// The answer to [`ToAgent::Tell`]: the part of the run log that was sent names every
    /// attempt that was claimed before.
    Told {
        /// As in [`FromAgent::HostCount`].
        hosts: u32,
    },
    /// Launches wait for what others use of the machine, or wait no more.
    Sharing(Sharing),
    /// The answer to [`ToAgent::HostCount`].
    HostCount {
        /// The greatest number of hosts of the run that is kept here; 0 for none.
        hosts: u32,
    },
}

/// How a run's launches get on with the user's other runs on a machine, and with those of
/// the same run that reach it by another name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sharing {
    /// The next launch waits for what others use.
    Waits {
        /// For what, in a few words: `processors that run 2026-11-22-1 uses`.
        what: Foreign,
    },
    /// None waits any more.
    Goes,
    /// Others are taken no notice of.
    LeftOut {
        /// Why, in one line.
        reason: Foreign,
    },
}

/// The room that gjob takes in a results directory, as its disk counts it: a file with
/// several names once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskUsage {
    /// The results directory, absolute.
    pub results_dir: Foreign,
    /// Its own name, as in [`Welcome::place`]; empty if it has none yet.
    pub place: String,
    /// Free space there, bytes.
    pub free_bytes: u64,
    /// What runs have left, at most [`MAX_RUNS`] of them, each run once.
    pub runs: Vec<RunUsage>,
    /// The number of job directories that are of no run, as far as can be told, and what
    /// they take, bytes.
    pub by_hand: (u64, u64),
    /// Staged files, bytes.
    pub staged_bytes: u64,
    /// Copies of the program, bytes.
    pub program_bytes: u64,
    /// All else, bytes.
    pub other_bytes: u64,
    /// True if there is more than was looked at.
    pub is_partial: bool,
}

/// The most runs in one [`DiskUsage`].
pub const MAX_RUNS: usize = 4096;

/// The room that one run takes on a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunUsage {
    /// The run, as hosts know it.
    pub run: RunId,
    /// The number of its job directories.
    pub jobs: u64,
    /// What they take, bytes.
    pub job_bytes: u64,
    /// What its run logs and claims take, bytes.
    pub log_bytes: u64,
}

impl DiskUsage {
    /// All of it, bytes.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        let runs = self.runs.iter().map(|run| run.job_bytes.saturating_add(run.log_bytes));
        let others = [self.by_hand.1, self.staged_bytes, self.program_bytes, self.other_bytes];
        runs.chain(others).fold(0, u64::saturating_add)
    }
}

/// How a host is, for `gjob hosts`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostDescription {
    /// The program's version.
    pub version: Foreign,
    /// What the host calls itself.
    pub hostname: Foreign,
    /// When this was sent, by the host's wall clock: milliseconds since 1970.
    pub clock_ms: u64,
    /// Processors that a job may use.
    pub cpus: u32,
    /// Memory in all, bytes.
    pub memory_bytes: u64,
    /// GPUs that jobs may use.
    pub gpus: u32,
    /// Processes that ran or waited to run in the last minute, thousandths.
    pub load_milli: u64,
    /// The results directory, absolute.
    pub results_dir: Foreign,
    /// Free space there, bytes.
    pub free_bytes: u64,
    /// What gjob has in it, bytes: results, staged files and programs.
    pub used_bytes: u64,
    /// Files that a process may have open; none for any number.
    pub open_files: Option<u64>,
    /// Processes that the user may have; none for any number.
    pub processes: Option<u64>,
    /// Where a job's shell looks for programs.
    pub path: Foreign,
    /// A conda that is not on that path.
    pub conda: Option<Foreign>,
    /// Set-up of environment modules, which only login shells read.
    pub modules: Option<Foreign>,
    /// Processes are killed when their user logs out.
    pub kills_at_logout: bool,
}

/// What became of a job directory that was worked on by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ByHandAnswer {
    /// Its state.
    State(State),
    /// Whether its job is paused.
    IsPaused(bool),
    /// What was asked for was done.
    Done,
}

/// Outputs of a job, in the order of their paths, which are compared component by
/// component. A directory, if it is sent at all, comes right before what is in it.
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

/// A host's description of itself.
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
    /// The results directory's own name: hosts with the same name may share it.
    pub place: String,
    /// Free space where the results directory is, bytes.
    pub free_bytes: u64,
    /// What was recorded of the run was not what it should be, and was replaced.
    pub damage: Option<Damage>,
}

/// What has happened to what a host had recorded of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    /// What was found, in one line.
    pub reason: Foreign,
    /// The run log has lost records. What became of the attempts that were claimed is
    /// recorded again, as far as their job directories show it.
    pub log_lost: bool,
    /// The claims are gone: nothing shows whether an attempt that the log does not name
    /// was begun.
    pub claims_lost: bool,
}
