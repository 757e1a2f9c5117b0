//! The one kind of event: what happened in a run, in the order the manager
//! settled it. Events have levels: the run, a host, an attempt, a job. Store, log,
//! progress, report and `--events` all read these; what they change is decided
//! in one place, [`Run::apply`](crate::run::Run::apply).

mod attempt;
mod host;
mod job;
mod run;

use serde::{Deserialize, Serialize};

pub use self::attempt::{AttemptChange, AttemptEvent};
pub use self::host::{ClockOffset, HostChange, HostEvent, HostFacts, TaskEnd};
pub use self::job::{JobChange, JobEvent};
pub use self::run::{RunEnd, RunEvent};
use crate::id::{HostLabel, Key};
use crate::time::Timestamp;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally::Tally;

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
            processors: Vec::new(),
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
