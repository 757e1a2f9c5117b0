//! The one kind of event: what happened in a run, in the order the manager
//! settled it. Events have levels: the run, a host, an attempt, a job. Store, log,
//! progress, report and `--events` all read these; what they change is decided
//! in one place, [`Run::apply`](crate::run::Run::apply).

use serde::{Deserialize, Serialize};

use crate::halt::Halt;
use crate::id::{HostLabel, JobId, Key, RunId};
use crate::outcome::Finish;
use crate::record::Scope;
use crate::resources::Offer;
use crate::run::HostTask;
use crate::state::State;
use crate::tally::Tally;
use crate::time::Timestamp;
use crate::words::words;

/// Something that happened, and when the manager learned of it.
///
/// As JSON an event is one flat object; `event` names what happened, such as
/// `attempt-started`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The number of durable events up to this one, itself included, counted
    /// from the start of the run. An event that is not durable has the number
    /// of the durable one before it.
    pub seq: u64,
    /// When, by the manager's clock.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happened, by what it happened to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum What {
    /// To the run.
    Run(RunEvent),
    /// To a host.
    Host(HostEvent),
    /// To an attempt: one execution of a job on one host.
    Attempt(AttemptEvent),
    /// To a job, whichever of its attempts.
    Job(JobEvent),
    /// To a large file in transfer. Not durable.
    Transfer(Transfer),
}

impl What {
    /// True for what is recorded; progress of transfers is not.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        match self {
            What::Run(_) | What::Host(_) | What::Attempt(_) | What::Job(_) => true,
            What::Transfer(_) => false,
        }
    }

    /// The host the event is about.
    #[must_use]
    pub fn host(&self) -> Option<&HostLabel> {
        match self {
            What::Host(HostEvent { host, .. })
            | What::Attempt(AttemptEvent { host, .. })
            | What::Transfer(Transfer { host, .. }) => Some(host),
            What::Run(_) | What::Job(_) => None,
        }
    }

    /// The attempt the event is about; of a job's event its latest, or the one
    /// that counts.
    #[must_use]
    pub fn key(&self) -> Option<Key> {
        match self {
            What::Attempt(AttemptEvent { key, .. }) | What::Job(JobEvent { key, .. }) => Some(*key),
            What::Run(_) | What::Host(_) | What::Transfer(_) => None,
        }
    }
}

/// What happened to the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event")]
pub enum RunEvent {
    /// A manager took the run up.
    #[serde(rename = "run-began")]
    Began {
        /// The run.
        run: RunId,
        /// Jobs in it.
        jobs: u32,
        /// Hosts it may use.
        hosts: u32,
        /// True when an earlier manager had begun it (`gjob attach`).
        resumed: bool,
    },
    /// A user interrupts it: what runs is killed, and waits for a later manager.
    #[serde(rename = "run-interrupted")]
    Interrupted {
        /// Jobs that may be running.
        running: u32,
    },
    /// As many jobs have failed or are done as `--halt now` asks for: what runs is killed,
    /// and waits for a later manager.
    #[serde(rename = "run-halting")]
    Halting {
        /// Why the manager will stop.
        end: RunEnd,
        /// Jobs that may be running.
        running: u32,
    },
    /// Input files were replaced: attempts that are assigned from now on get the new ones
    /// (`gjob retry --new-files`).
    #[serde(rename = "files-replaced")]
    FilesReplaced {
        /// How often that has happened in this run.
        revision: u32,
        /// The files, as jobs name them.
        files: Vec<String>,
    },
    /// All hosts of a run that has moved have told what they had begun, or are lost: jobs
    /// start again.
    #[serde(rename = "run-adopted")]
    Adopted {
        /// The attempts that the copy did not know.
        attempts: u32,
    },
    /// A user changed when the run is ended early (`gjob attach --max-fails`).
    #[serde(rename = "halt-changed")]
    HaltChanged {
        /// From now on; none for never.
        halt: Option<Halt>,
    },
    /// The manager stopped: every job has its outcome, or it was asked to stop.
    #[serde(rename = "run-ended")]
    Ended {
        /// Why it stopped.
        end: RunEnd,
        /// Jobs by state.
        jobs: Tally,
    },
}

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
    /// Its results directory takes nothing more: it gets no jobs for a while, which is
    /// held against none of them.
    #[serde(rename = "host-full")]
    Full {
        /// What there is too little of, in one line.
        reason: String,
        /// Until it is tried again, seconds.
        seconds: u64,
        /// True when it has started no job since it was full before.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        again: bool,
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

/// What happened to an attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptEvent {
    /// The attempt.
    pub key: Key,
    /// Its host.
    pub host: HostLabel,
    /// What.
    #[serde(flatten)]
    pub change: AttemptChange,
}

/// What can happen to an attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event")]
pub enum AttemptChange {
    /// It was assigned to its host. Committed before the launch is sent.
    #[serde(rename = "attempt-assigned")]
    Assigned,
    /// Its host started it.
    #[serde(rename = "attempt-started")]
    Started {
        /// The job directory.
        id: JobId,
        /// When, by the host's clock.
        started: Timestamp,
    },
    /// Its script exited, or a signal ended it. Whether the job has its outcome
    /// with that, [`JobChange::Ended`] says.
    #[serde(rename = "attempt-exited")]
    Exited {
        /// Its exit record.
        finish: Finish,
    },
    /// Its host could not start it.
    #[serde(rename = "attempt-refused")]
    Refused {
        /// Why, in one line.
        reason: String,
        /// Whose fault it is.
        scope: Scope,
    },
    /// It had not started and was taken back from its host; its number may be
    /// used again on another one.
    #[serde(rename = "attempt-withdrawn")]
    Withdrawn,
    /// Its outcome cannot be known.
    #[serde(rename = "attempt-lost")]
    Lost {
        /// The job directory, if it had got one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<JobId>,
        /// What is known, in one line.
        reason: String,
        /// Its processes that could not be ended: their pids.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        survivors: Vec<u32>,
        /// True when its host was restarted: nothing of it is alive, and neither it nor
        /// its host has failed.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        restarted: bool,
    },
    /// Its host is lost, so that it is no longer waited for: the job will start
    /// elsewhere. Its result still counts if it is the first.
    #[serde(rename = "attempt-abandoned")]
    Abandoned {
        /// Why, in one line.
        reason: String,
    },
    /// It came too late: its job has its outcome from another attempt.
    #[serde(rename = "attempt-superseded")]
    Superseded,
    /// It succeeded; its job is done once its outputs are local.
    #[serde(rename = "attempt-collecting")]
    Collecting,
    /// Its outputs are local, verified by hash.
    #[serde(rename = "attempt-collected")]
    Collected {
        /// Files among them.
        files: u64,
        /// Bytes in all.
        bytes: u64,
    },
    /// Its outputs cannot be fetched: it does not count.
    #[serde(rename = "attempt-collect-failed")]
    CollectFailed {
        /// Why, in one line.
        reason: String,
        /// Whose fault it is.
        scope: Scope,
    },
}

/// What happened to a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobEvent {
    /// Its latest attempt; of [`JobChange::Ended`] the one that counts.
    pub key: Key,
    /// What.
    #[serde(flatten)]
    pub change: JobChange,
}

/// What can happen to a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event")]
pub enum JobChange {
    /// A user killed it (`gjob kill`); its processes end as soon as its host
    /// can be reached.
    #[serde(rename = "job-kill-requested")]
    KillRequested,
    /// A user paused it (`gjob pause`): it does not start, or its processes are
    /// stopped.
    #[serde(rename = "job-paused")]
    Paused,
    /// A user resumed it (`gjob resume`).
    #[serde(rename = "job-resumed")]
    Resumed,
    /// It ran out of memory, and is to be run again with more; that failure is not counted.
    #[serde(rename = "job-memory-raised")]
    MemoryRaised {
        /// What it gets by now, bytes.
        mem: u64,
    },
    /// It had its outcome, and a user wants it run again (`gjob retry`).
    #[serde(rename = "job-reopened")]
    Reopened,
    /// It has its outcome: the one that counts, once per job.
    #[serde(rename = "job-ended")]
    Ended {
        /// `done`, `error` or `unknown`.
        state: State,
        /// Why it is not `done`, or which of its processes could not be ended,
        /// in one line.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
}

/// How far the transfer of a large file is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename = "transfer")]
pub struct Transfer {
    /// The host.
    pub host: HostLabel,
    /// Which way.
    pub direction: Direction,
    /// The file: a local path, or a path below the job directory on the host.
    pub file: String,
    /// Bytes that have arrived.
    pub bytes: u64,
    /// Its length, bytes.
    pub size: u64,
}

/// Which way a file goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To the host.
    In,
    /// From the host.
    Out,
}

/// Why a manager stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunEnd {
    /// Every job has its outcome.
    Complete,
    /// As many jobs failed as `--max-fails` or `--halt` allows.
    MaxFails,
    /// As many jobs are done as `--halt` asks for.
    Enough,
    /// No host is left that could run the rest.
    NoHosts,
    /// A user ended it and its running jobs.
    Interrupted,
    /// A user stopped the manager and left the jobs running.
    Left,
}

words!(RunEnd, "end of a run",
    Complete => "complete",
    MaxFails => "max-fails",
    Enough => "enough",
    NoHosts => "no-hosts",
    Interrupted => "interrupted",
    Left => "left",
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_flat_object_that_reads_back() {
        let host: HostLabel = "h1".parse().unwrap();
        let key = Key::new(3, 1);
        let attempt = |change| What::Attempt(AttemptEvent { key, host: host.clone(), change });
        let facts = HostFacts { hostname: "n".into(), ..HostFacts::default() };
        let all = [
            What::Run(RunEvent::Ended { end: RunEnd::Left, jobs: Tally::default() }),
            What::Host(HostEvent { host: host.clone(), change: HostChange::Up(facts) }),
            What::Host(HostEvent { host: host.clone(), change: HostChange::Probed }),
            attempt(AttemptChange::Assigned),
            attempt(AttemptChange::Lost {
                id: None,
                reason: "r".into(),
                survivors: vec![7],
                restarted: true,
            }),
            What::Host(HostEvent { host: host.clone(), change: HostChange::Restarted { jobs: 2 } }),
            What::Job(JobEvent { key, change: JobChange::Paused }),
            What::Transfer(Transfer {
                host: host.clone(),
                direction: Direction::In,
                file: "f".into(),
                bytes: 1,
                size: 2,
            }),
        ];
        for what in all {
            let event = Event { seq: 9, at: Timestamp(5), what };
            let json = serde_json::to_string(&event).unwrap();
            assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), event, "{json}");
        }
        let what = attempt(AttemptChange::Started {
            id: "n/2026-11-22-1".parse().unwrap(),
            started: Timestamp(4),
        });
        assert_eq!(
            serde_json::to_string(&Event { seq: 9, at: Timestamp(5), what }).unwrap(),
            r#"{"seq":9,"at":5,"key":"3.1","host":"h1","event":"attempt-started","id":"n/2026-11-22-1","started":4}"#
        );
    }

    #[test]
    fn every_end_of_a_run_has_one_word() {
        for end in [RunEnd::Complete, RunEnd::MaxFails, RunEnd::NoHosts, RunEnd::Interrupted] {
            assert_eq!(serde_json::to_value(end).unwrap(), end.as_str());
            assert_eq!(end.as_str().parse(), Ok(end));
        }
        assert!("over".parse::<RunEnd>().is_err());
    }
}
