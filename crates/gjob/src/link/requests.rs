//! The requests that are answered once.

use gjob_core::text::Shown;
use gjob_core::wire::{
    ByHand, ByHandAnswer, CHUNK, DiskUsage, FromAgent, HostDescription, MAX_RUNS, Stream, ToAgent,
};
use gjob_core::{HostLabel, JobId, Key, RunId, State};

use super::calls::Request;

/// What jobs' directories say: a state each.
#[derive(Clone, Debug)]
pub(crate) struct QueryStates {
    /// At most 4096 jobs.
    pub(crate) ids: Vec<JobId>,
}

impl Request for QueryStates {
    type Answer = Vec<State>;

    fn to_message(&self, request: u32) -> ToAgent {
        ToAgent::Status { request, ids: self.ids.clone() }
    }

    fn read(answer: FromAgent) -> Option<Vec<State>> {
        match answer {
            FromAgent::Statuses { states, .. } => Some(states),
            _ => None,
        }
    }
}

/// A piece of a job's output.
#[derive(Clone, Debug)]
pub(crate) struct ReadOutput {
    pub(crate) id: JobId,
    pub(crate) stream: Stream,
    /// The first byte wanted.
    pub(crate) offset: u64,
    /// The most bytes wanted; one piece has at most [`CHUNK`].
    pub(crate) most: u64,
}

/// A piece that was read.
#[derive(Debug)]
pub(crate) struct Piece {
    /// None at the end of the file.
    pub(crate) bytes: Vec<u8>,
    /// The file's length at that time, bytes.
    pub(crate) size: u64,
}

impl Request for ReadOutput {
    /// The piece, or why it cannot be read.
    type Answer = Result<Piece, Shown>;

    fn to_message(&self, request: u32) -> ToAgent {
        let ReadOutput { id, stream, offset, most } = self.clone();
        let max = most.min(CHUNK as u64) as u32;
        ToAgent::Read { request, id, stream, offset, max }
    }

    fn read(answer: FromAgent) -> Option<Self::Answer> {
        match answer {
            FromAgent::Data { bytes, size, .. } if bytes.len() <= CHUNK => {
                Some(Ok(Piece { bytes, size }))
            }
            FromAgent::ReadFailed { reason, .. } => Some(Err(reason.shown())),
            _ => None,
        }
    }
}

/// The removal of jobs' directories.
#[derive(Clone, Debug)]
pub(crate) struct RemoveJobs {
    pub(crate) run: RunId,
    pub(crate) host: HostLabel,
    /// At most 4096 attempts.
    pub(crate) jobs: Vec<(Key, JobId)>,
}

impl Request for RemoveJobs {
    /// How many directories were removed; those that stay, and why.
    type Answer = (u32, Vec<(JobId, Shown)>);

    fn to_message(&self, request: u32) -> ToAgent {
        let RemoveJobs { run, host, jobs } = self.clone();
        ToAgent::Remove { request, run, host, jobs }
    }

    fn read(answer: FromAgent) -> Option<Self::Answer> {
        match answer {
            FromAgent::Removed { gone, kept, .. } => {
                let kept = kept.into_iter().map(|(id, reason)| (id, reason.shown()));
                Some((gone, kept.collect()))
            }
            _ => None,
        }
    }
}

/// The removal of all that a host has of a run.
#[derive(Clone, Debug)]
pub(crate) struct ForgetRun {
    pub(crate) run: RunId,
    pub(crate) host: HostLabel,
}

impl Request for ForgetRun {
    /// The number of blobs removed and their bytes, or why nothing was removed.
    type Answer = Result<(u64, u64), Shown>;

    fn to_message(&self, request: u32) -> ToAgent {
        let ForgetRun { run, host } = self.clone();
        ToAgent::Forget { request, run, host }
    }

    fn read(answer: FromAgent) -> Option<Self::Answer> {
        match answer {
            FromAgent::Forgotten { result, .. } => Some(result.map_err(|reason| reason.shown())),
            _ => None,
        }
    }
}

/// The removal of all that a host has of runs, with their jobs.
#[derive(Clone, Debug)]
pub(crate) struct PurgeRuns(pub(crate) Vec<RunId>);

impl Request for PurgeRuns {
    /// The runs that stay, and why.
    type Answer = Vec<(RunId, Shown)>;

    fn to_message(&self, request: u32) -> ToAgent {
        ToAgent::Purge { request, runs: self.0.clone() }
    }

    fn read(answer: FromAgent) -> Option<Self::Answer> {
        match answer {
            FromAgent::Purged { kept, .. } => {
                Some(kept.into_iter().map(|(run, reason)| (run, reason.shown())).collect())
            }
            _ => None,
        }
    }
}

/// Work on a job directory by hand.
#[derive(Clone, Debug)]
pub(crate) struct WorkByHand {
    pub(crate) id: JobId,
    pub(crate) work: ByHand,
}

impl Request for WorkByHand {
    /// What was found or done, or why it was not.
    type Answer = Result<ByHandAnswer, Shown>;

    fn to_message(&self, request: u32) -> ToAgent {
        ToAgent::ByHand { request, id: self.id.clone(), work: self.work }
    }

    fn read(answer: FromAgent) -> Option<Self::Answer> {
        match answer {
            FromAgent::ByHand { result, .. } => Some(result.map_err(|reason| reason.shown())),
            _ => None,
        }
    }
}

/// How a host is.
#[derive(Clone, Debug)]
pub(crate) struct DescribeHost;

impl Request for DescribeHost {
    type Answer = HostDescription;

    fn to_message(&self, request: u32) -> ToAgent {
        ToAgent::Describe { request }
    }

    fn read(answer: FromAgent) -> Option<HostDescription> {
        match answer {
            FromAgent::Description { description, .. } => Some(*description),
            _ => None,
        }
    }
}

/// What takes how much room on a host.
#[derive(Clone, Debug)]
pub(crate) struct MeasureUsage;

impl Request for MeasureUsage {
    type Answer = DiskUsage;

    fn to_message(&self, request: u32) -> ToAgent {
        ToAgent::Usage { request }
    }

    fn read(answer: FromAgent) -> Option<DiskUsage> {
        match answer {
            FromAgent::Usage { usage, .. } if usage.runs.len() <= MAX_RUNS => Some(*usage),
            _ => None,
        }
    }
}

/// The start of a job that shows whether jobs survive a logout.
#[derive(Clone, Debug)]
pub(crate) struct StartProbe {
    /// After so many seconds it ends by itself.
    pub(crate) seconds: u32,
}

impl Request for StartProbe {
    type Answer = Result<JobId, Shown>;

    fn to_message(&self, request: u32) -> ToAgent {
        ToAgent::StartProbe { request, seconds: self.seconds }
    }

    fn read(answer: FromAgent) -> Option<Self::Answer> {
        match answer {
            FromAgent::ProbeStarted { result, .. } => Some(result.map_err(|reason| reason.shown())),
            _ => None,
        }
    }
}

/// Its end.
#[derive(Clone, Debug)]
pub(crate) struct EndProbe {
    pub(crate) id: JobId,
}

impl Request for EndProbe {
    /// Whether it was still running.
    type Answer = Result<bool, Shown>;

    fn to_message(&self, request: u32) -> ToAgent {
        ToAgent::EndProbe { request, id: self.id.clone() }
    }

    fn read(answer: FromAgent) -> Option<Self::Answer> {
        match answer {
            FromAgent::ProbeEnded { result, .. } => Some(result.map_err(|reason| reason.shown())),
            _ => None,
        }
    }
}

/// The acknowledgement of everything sent before.
#[derive(Clone, Debug)]
pub(crate) struct RequestEcho;

impl Request for RequestEcho {
    type Answer = ();

    fn to_message(&self, request: u32) -> ToAgent {
        ToAgent::Echo { request }
    }

    fn read(answer: FromAgent) -> Option<()> {
        matches!(answer, FromAgent::Echo { .. }).then_some(())
    }
}
