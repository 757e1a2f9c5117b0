//! What goes over a control socket: one JSON object a line, both ways. The
//! manager's first line is [`Hello`]; a change to any of this is a new
//! [`CONTROL_VERSION`].

use gjob_core::event::RunEnd;
use gjob_core::halt::Halt;
use gjob_core::{Cluster, Event, HostLabel, RunId, Tally};
use serde::{Deserialize, Serialize};

/// The version of the protocol.
pub const CONTROL_VERSION: u32 = 5;

/// The longest line either side reads, bytes.
pub const MAX_LINE: usize = 1 << 20;

/// Most jobs in one request; more are asked for in several.
pub const MAX_JOBS: usize = 50_000;

/// What says that a manager listens there.
pub(super) const MAGIC: &str = "control";

/// A manager's first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hello {
    pub(super) gjob: String,
    pub(super) version: u32,
    pub(super) run: RunId,
}

/// What is done to jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Kill them.
    Kill,
    /// Pause them: those that wait do not start, those that run are stopped.
    Pause,
    /// Resume paused ones.
    Resume,
    /// Retry those that are `error` or `unknown`.
    Retry,
}

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase", deny_unknown_fields)]
pub enum Request {
    /// Kill jobs; answered when they are gone, or their hosts are unreachable.
    Kill {
        /// Their indexes, at most [`MAX_JOBS`].
        jobs: Vec<u32>,
    },
    /// Pause jobs.
    Pause {
        /// Their indexes.
        jobs: Vec<u32>,
    },
    /// Resume jobs.
    Resume {
        /// Their indexes.
        jobs: Vec<u32>,
    },
    /// Retry jobs.
    Retry {
        /// Their indexes.
        jobs: Vec<u32>,
        /// A file in the run's directory with input files that replace those of the run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        files: Option<String>,
        /// Bytes of memory that they get from now on, if they were tried.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mem: Option<u64>,
    },
    /// Change the run, all of it or nothing; answered by [`Changed`].
    Change {
        /// What, in this order.
        changes: Vec<Change>,
    },
    /// End the run as Ctrl-C does.
    Interrupt {},
    /// Answered by a [`Snapshot`], and every event from there on.
    Watch {},
}

impl Request {
    /// The request for an act.
    #[must_use]
    pub fn of(act: Act, jobs: Vec<u32>) -> Self {
        match act {
            Act::Kill => Request::Kill { jobs },
            Act::Pause => Request::Pause { jobs },
            Act::Resume => Request::Resume { jobs },
            Act::Retry => Request::Retry { jobs, files: None, mem: None },
        }
    }
}

/// A change of a run that goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Change {
    /// Add hosts, or return those that the run has to service.
    Add {
        /// The hosts, with all options that are not the run's.
        clusters: Vec<Cluster>,
    },
    /// Hosts end the jobs that they have begun, and get no others.
    Drain {
        /// The hosts.
        hosts: Vec<HostLabel>,
    },
    /// Hosts are to have no jobs: those that they have begun run again elsewhere.
    Remove {
        /// The hosts.
        hosts: Vec<HostLabel>,
    },
    /// Hosts run so many jobs at once.
    Slots {
        /// The hosts.
        hosts: Vec<HostLabel>,
        /// Jobs of one processor.
        slots: u32,
    },
    /// The run is ended early after so many jobs, or never.
    Halt {
        /// When.
        halt: Option<Halt>,
    },
}

/// What became of a request for changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// What was changed, a line each.
    pub notes: Vec<String>,
    /// Why nothing was, if so.
    pub refused: Option<String>,
}

/// What became of a request about jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Jobs for which it was done.
    pub ok: Vec<u32>,
    /// Those for which it was not.
    pub refused: Vec<Refusal>,
}

impl Answer {
    pub(in crate::manager) fn refuse(&mut self, job: u32, why: impl Into<String>) {
        self.refused.push(Refusal { job, why: why.into() });
    }

    /// Takes what was refused as done where `is_so` after all.
    pub(in crate::manager) fn accept(&mut self, mut is_so: impl FnMut(u32) -> bool) {
        let refused = std::mem::take(&mut self.refused);
        let (done, refused) = refused.into_iter().partition(|refusal| is_so(refusal.job));
        self.refused = refused;
        self.ok.extend(Vec::<Refusal>::into_iter(done).map(|refusal| refusal.job));
    }

    pub(in crate::manager) fn add(&mut self, other: Answer) {
        self.ok.extend(other.ok);
        self.refused.extend(other.refused);
    }
}

/// A job for which something could not be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Its index.
    pub job: u32,
    /// Why, in one line.
    pub why: String,
}

/// An invalid request, or one client too many; the connection ends after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fault {
    pub(super) error: String,
}

/// How a run is when a client begins to follow it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Jobs by state.
    pub jobs: Tally,
    /// Why the manager stops, if it does so already: then no event follows.
    pub ended: Option<RunEnd>,
}

/// A value as a line.
pub(super) fn line(value: &impl Serialize) -> serde_json::Result<std::sync::Arc<[u8]>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line.into())
}

/// A request from its line.
pub(super) fn parse(line: &[u8]) -> Result<Request, String> {
    let request: Request =
        serde_json::from_slice(line).map_err(|error| format!("not a request: {error}"))?;
    let jobs = match &request {
        Request::Kill { jobs }
        | Request::Pause { jobs }
        | Request::Resume { jobs }
        | Request::Retry { jobs, .. } => jobs.len(),
        Request::Change { .. } | Request::Interrupt {} | Request::Watch {} => 0,
    };
    if jobs > MAX_JOBS {
        return Err(format!("{jobs} jobs in one request: at most {MAX_JOBS} are accepted"));
    }
    Ok(request)
}

/// An event from its line.
pub(super) fn event(line: &[u8]) -> serde_json::Result<Event> {
    serde_json::from_slice(line)
}
