//! One execution of a job on one host, and what became of it.

use std::time::Duration;

use crate::id::{HostLabel, JobId, Key};
use crate::outcome::{Ending, Finish, name_survivors};
use crate::resources::ranges;
use crate::time::Timestamp;
use crate::words::words;

/// One execution of a job on one host.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// Which attempt of which job.
    pub key: Key,
    /// Where.
    pub host: HostLabel,
    /// When it was assigned, by the manager's clock.
    pub assigned: Timestamp,
    /// How often the run's input files had been replaced by then: it has those of that
    /// revision.
    pub revision: u32,
    /// Its job directory, once it has one.
    pub id: Option<JobId>,
    /// When its script started, by the host's clock.
    pub started: Option<Timestamp>,
    /// The processors that it is bound to; none if it is not bound.
    pub processors: Box<[u32]>,
    /// What became of it; none while it is under way.
    pub outcome: Option<Outcome>,
    /// When that was: by the host's clock for an exit, else by the manager's.
    pub ended: Option<Timestamp>,
    /// Its exit record, if it has one.
    pub finish: Option<Box<Finish>>,
    /// What else is to be said of it, in one line.
    pub reason: Option<String>,
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has an exit record.
    Exited,
    /// Its host could not start it.
    Refused,
    /// It was taken back before it started.
    Withdrawn,
    /// Nobody can know.
    Lost,
    /// Its host is lost, and it is no longer waited for. It may still be alive.
    Abandoned,
}

impl Attempt {
    /// The processors that it is bound to, as `processors 0-3,8`; none if it is not bound.
    #[must_use]
    pub fn processors_in_words(&self) -> Option<String> {
        let shown: Vec<String> = ranges(self.processors.iter().copied())
            .into_iter()
            .map(|(first, last)| match first == last {
                true => first.to_string(),
                false => format!("{first}-{last}"),
            })
            .collect();
        let noun = if self.processors.len() == 1 { "processor" } else { "processors" };
        (!shown.is_empty()).then(|| format!("{noun} {}", shown.join(",")))
    }

    /// An attempt that has just been assigned.
    #[must_use]
    pub fn new(key: Key, host: HostLabel, assigned: Timestamp) -> Self {
        Attempt {
            key,
            host,
            assigned,
            revision: 0,
            id: None,
            started: None,
            processors: Box::default(),
            outcome: None,
            ended: None,
            finish: None,
            reason: None,
        }
    }

    /// True while its processes may be alive, or its launch under way.
    #[must_use]
    pub fn may_live(&self) -> bool {
        match self.outcome {
            None | Some(Outcome::Abandoned) => true,
            Some(Outcome::Exited | Outcome::Refused | Outcome::Withdrawn | Outcome::Lost) => false,
        }
    }

    /// How long it ran, if it has an exit record.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        let finish = self.finish.as_ref()?;
        Some(Duration::from_millis(finish.ended.0.saturating_sub(finish.started.0)))
    }

    /// Its exit status, if it has exited.
    #[must_use]
    pub fn exit(&self) -> Option<u8> {
        match self.finish.as_ref()?.ending {
            Ending::Exit(code) => Some(code),
            Ending::Signal(_) => None,
        }
    }

    /// The signal that ended it, if one did.
    #[must_use]
    pub fn signal(&self) -> Option<u8> {
        match self.finish.as_ref()?.ending {
            Ending::Exit(_) => None,
            Ending::Signal(number) => Some(number),
        }
    }

    /// It ended at `at`, without an exit record.
    pub(crate) fn close(&mut self, outcome: Outcome, at: Timestamp, reason: Option<String>) {
        self.outcome = Some(outcome);
        self.ended = Some(self.started.map_or(at, |started| at.max(started)));
        self.reason = reason;
    }

    /// It ended with an exit record.
    pub(crate) fn finish(&mut self, finish: &Finish) {
        self.id = Some(finish.id.clone());
        self.started = Some(finish.started);
        self.ended = Some(finish.ended);
        self.outcome = Some(Outcome::Exited);
        self.reason = name_survivors(None, &finish.survivors);
        self.finish = Some(Box::new(finish.clone()));
    }
}

words!(Outcome, "outcome of an attempt",
    Exited => "exited",
    Refused => "refused",
    Withdrawn => "withdrawn",
    Lost => "lost",
    Abandoned => "abandoned",
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_named_by_ranges() {
        let words = |processors: &[u32]| {
            let mut attempt =
                Attempt::new(Key::new(0, 1), "h1".parse().unwrap(), Timestamp::default());
            attempt.processors = processors.into();
            attempt.processors_in_words()
        };
        assert_eq!(words(&[]), None);
        assert_eq!(words(&[3]).unwrap(), "processor 3");
        assert_eq!(words(&[0, 1, 2, 5, 8, 9]).unwrap(), "processors 0-2,5,8-9");
        assert_eq!(words(&[u32::MAX, 0]).unwrap(), "processors 4294967295,0");
    }
}
