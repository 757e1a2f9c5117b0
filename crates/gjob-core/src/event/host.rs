//! Events of hosts, and what hosts say of themselves.

use serde::{Deserialize, Serialize};

use crate::id::{HostLabel, JobId, Key};
use crate::outcome::Finish;
use crate::resources::Offer;
use crate::run::HostTask;
use crate::time::Timestamp;

/// What happened to a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostEvent {
    /// The host.
    pub host: HostLabel,
    /// What.
    #[serde(flatten)]
    pub change: HostChange,
}

/// What can happen to a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event")]
pub enum HostChange {
    /// It is being connected to for the first time, and that takes a while.
    #[serde(rename = "host-connecting")]
    Connecting {
        /// What is waited for, in one line.
        doing: String,
    },
    /// It answers and takes jobs.
    #[serde(rename = "host-up")]
    Up(HostFacts),
    /// It runs fewer jobs at once than were asked for, since it may have few files open:
    /// said each time that this number is another.
    #[serde(rename = "host-limited")]
    Limited {
        /// Jobs that it runs at once.
        slots: u32,
        /// Jobs that it was to run at once.
        wanted: u32,
    },
    /// It does not answer now; gjob keeps trying.
    #[serde(rename = "host-unreachable")]
    Unreachable {
        /// Why, in one line.
        reason: String,
    },
    /// It cannot be used; it is out of the run.
    #[serde(rename = "host-failed")]
    Failed {
        /// Why, in one line.
        reason: String,
        /// The last lines of what its set-up has printed, if that is why.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        printed: Vec<String>,
    },
    /// Lines of its run log are no records and were passed over: said once under a
    /// manager. A crash leaves such a line, and a job can write there.
    #[serde(rename = "host-log-spoiled")]
    LogSpoiled {
        /// The number of lines that were found first.
        lines: u32,
    },
    /// What it had recorded of the run is not what it was: said once under a manager. A
    /// job can write there.
    #[serde(rename = "host-log-damaged")]
    LogDamaged {
        /// What was found, in one line.
        reason: String,
        /// True when nothing is known of jobs that were sent to it; else outcomes are
        /// taken from job directories.
        claims_lost: bool,
    },
    /// It was restarted: nothing of what ran on it is alive, and what it had not ended
    /// begins again at once, on any host.
    #[serde(rename = "host-restarted")]
    Restarted {
        /// The jobs that begin again.
        jobs: u32,
    },
    /// The run has moved here as a copy that may be older than what its hosts have begun, and
    /// this host has told what it had begun: nothing starts before all of them have.
    #[serde(rename = "host-told")]
    Told,
    /// It was lost before it could say that: what it had begun may begin again elsewhere.
    #[serde(rename = "host-untold")]
    Untold,
    /// It gets no jobs for a while, since it fails them.
    #[serde(rename = "host-paused")]
    Paused {
        /// Why, in one line.
        reason: String,
        /// For how long, seconds.
        seconds: u64,
    },
    /// Its results directory takes nothing more, or it is busier than `--load` allows: it gets
    /// no jobs for a while, which is held against none of them.
    #[serde(rename = "host-full")]
    Full {
        /// What there is too little of, in one line.
        reason: String,
        /// Until it is tried again, seconds.
        seconds: u64,
        /// True when it has started no job since it was full before, or was as busy before.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        again: bool,
    },
    /// Jobs that were sent to it wait for what others use of its machine: other runs of the
    /// same user, or this run, which reaches the machine by another name as well.
    #[serde(rename = "host-waiting")]
    Waiting {
        /// For what, in a few words.
        what: String,
        /// True when it has waited before under this manager.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        again: bool,
    },
    /// Jobs on it wait for others no more.
    #[serde(rename = "host-continues")]
    Continues,
    /// It takes no notice of what others use of its machine, since it cannot find that out.
    #[serde(rename = "host-oversubscribed")]
    Oversubscribed {
        /// Why, in one line.
        reason: String,
    },
    /// A user added it to the run, or returned it to service (`gjob hosts add`).
    #[serde(rename = "host-added")]
    Added {
        /// Labels by which jobs can be bound to it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        labels: Vec<String>,
    },
    /// A user drains it (`gjob hosts drain`): it ends the jobs that it has begun, and gets
    /// no others.
    #[serde(rename = "host-draining")]
    Draining,
    /// A user removed it from the run (`gjob hosts remove`): what it has begun is killed,
    /// and runs again elsewhere.
    #[serde(rename = "host-removed")]
    Removed,
    /// A user changed how many jobs it runs at once (`gjob hosts slots`).
    #[serde(rename = "host-slots")]
    Slots {
        /// Jobs of one processor at once.
        slots: u32,
    },
    /// It has said nothing for a while, though its connection stands: it may be away.
    #[serde(rename = "host-silent")]
    Silent {
        /// For how long, seconds.
        seconds: u64,
    },
    /// A host that was silent says something again, over the same connection.
    #[serde(rename = "host-heard")]
    Heard {
        /// For how long it was silent, seconds.
        seconds: u64,
    },
    /// A paused host gets one job, to see whether it succeeds.
    #[serde(rename = "host-probed")]
    Probed,
    /// How far its clock is from the manager's was measured.
    #[serde(rename = "host-clock")]
    Clock(ClockOffset),
    /// The worker program is being sent to it.
    #[serde(rename = "host-program-sent")]
    ProgramSent {
        /// Its size, bytes.
        bytes: u64,
    },
    /// Its set-up or teardown was assigned. Committed before the launch is sent.
    #[serde(rename = "task-assigned")]
    TaskAssigned {
        /// Which of them.
        task: HostTask,
        /// Its key: indexes behind those of all jobs, two for each host.
        key: Key,
        /// How often input files had been replaced by then.
        #[serde(default, skip_serializing_if = "is_zero")]
        revision: u32,
    },
    /// It has begun its set-up or teardown.
    #[serde(rename = "task-started")]
    TaskStarted {
        /// Which of them.
        task: HostTask,
        /// Its key.
        key: Key,
        /// Its directory.
        id: JobId,
        /// When, by the host's clock.
        started: Timestamp,
    },
    /// Its set-up or teardown has ended.
    #[serde(rename = "task-ended")]
    TaskEnded {
        /// Which of them.
        task: HostTask,
        /// Its key.
        key: Key,
        /// How.
        end: TaskEnd,
        /// Why it has not succeeded, in one line.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Its teardown is not run, or not waited for.
    #[serde(rename = "task-skipped")]
    TaskSkipped {
        /// Which task.
        task: HostTask,
        /// Why, in one line.
        reason: String,
    },
}

/// How a host's set-up or teardown has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskEnd {
    /// Its script exited, or a signal ended it.
    Exited(Box<Finish>),
    /// The host could not start it.
    Refused,
    /// It was taken back unstarted.
    Withdrawn,
    /// Its outcome cannot be known; its directory, if it had one.
    Lost(Option<JobId>),
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// What a host says of itself each time it is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFacts {
    /// What it calls itself.
    pub hostname: String,
    /// The version of gjob that runs on it.
    pub version: String,
    /// Its operating system and architecture, such as `linux-x86_64`.
    pub platform: String,
    /// Its results directory, absolute.
    pub results_dir: String,
    /// Names the boot that it runs from; empty where that is unknown.
    #[serde(default)]
    pub boot_id: String,
    /// What it offers to jobs.
    pub offer: Offer,
}

/// How far a host's clock is from the manager's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockOffset {
    /// The host's clock less the manager's, milliseconds.
    pub offset_ms: i64,
    /// How far off that may be: half the round trip, milliseconds.
    pub error_ms: u64,
}

impl ClockOffset {
    /// A time of the host's clock on the manager's scale. An offset that may be none
    /// is left alone.
    #[must_use]
    pub fn corrected(self, at: Timestamp) -> Timestamp {
        if self.offset_ms.unsigned_abs() <= self.error_ms {
            return at;
        }
        let at = i128::from(at.0) - i128::from(self.offset_ms);
        Timestamp(u64::try_from(at.max(0)).unwrap_or(u64::MAX)).bounded()
    }
}
