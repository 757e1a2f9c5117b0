//! When a run is ended before all of its jobs have: `soon,fail=3`, `now,success=10%`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::event::RunEnd;
use crate::plural::counted;
use crate::text::excerpt;

/// After how many jobs a run is ended, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Halt {
    /// What becomes of running jobs.
    pub how: HaltHow,
    /// Which jobs are counted.
    pub on: HaltOn,
    /// How many of them are enough.
    pub limit: HaltLimit,
}

/// What becomes of the jobs that run when a run is ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HaltHow {
    /// They run to their ends; no more jobs start.
    Soon,
    /// They are killed, and wait again.
    Now,
}

/// The jobs that are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HaltOn {
    /// Those that failed, all their retries included; not those that failed with a job that
    /// they wait for.
    Fail,
    /// Those that are done.
    Success,
}

/// How many jobs are enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HaltLimit {
    /// This number, at least 1.
    Count(u32),
    /// This share of all jobs of the run, 1 to 100 %.
    Percent(u8),
}

impl Halt {
    /// No more jobs start after this many failures.
    #[must_use]
    pub fn after_failures(count: u32) -> Self {
        Halt { how: HaltHow::Soon, on: HaltOn::Fail, limit: HaltLimit::Count(count) }
    }

    /// The number of failures, if that is all it is: what `--max-fails` says.
    #[must_use]
    pub fn max_fails(self) -> Option<u32> {
        match (self.how, self.on, self.limit) {
            (HaltHow::Soon, HaltOn::Fail, HaltLimit::Count(most)) => Some(most),
            _ => None,
        }
    }

    /// When a run is ended early, in words.
    #[must_use]
    pub fn describe(halt: Option<Halt>) -> String {
        match (halt, halt.and_then(Halt::max_fails)) {
            (None, _) => "the run is not ended early".to_owned(),
            (Some(_), Some(most)) => {
                format!("no more jobs start after {}", counted(most.into(), "failure"))
            }
            (Some(halt), None) => format!("the run is ended early: {halt}"),
        }
    }

    /// How many jobs are enough, of a run with `jobs` jobs.
    #[must_use]
    pub fn enough(self, jobs: u32) -> u32 {
        match self.limit {
            HaltLimit::Count(count) => count,
            HaltLimit::Percent(percent) => {
                let share = (u64::from(jobs) * u64::from(percent)).div_ceil(100);
                u32::try_from(share).unwrap_or(u32::MAX).max(1)
            }
        }
    }

    /// Of `failed` and `done` jobs those that are counted.
    #[must_use]
    pub fn count(self, failed: u32, done: u32) -> u32 {
        match self.on {
            HaltOn::Fail => failed,
            HaltOn::Success => done,
        }
    }

    /// Why the run ends then.
    #[must_use]
    pub fn end(self) -> RunEnd {
        match self.on {
            HaltOn::Fail => RunEnd::MaxFails,
            HaltOn::Success => RunEnd::Enough,
        }
    }
}

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.how {
            HaltHow::Soon => "soon",
            HaltHow::Now => "now",
        };
        let on = match self.on {
            HaltOn::Fail => "fail",
            HaltOn::Success => "success",
        };
        match self.limit {
            HaltLimit::Count(count) => write!(f, "{how},{on}={count}"),
            HaltLimit::Percent(percent) => write!(f, "{how},{on}={percent}%"),
        }
    }
}

/// A text that does not say when to end a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid {0:?}: expected soon or now, then fail or success, and a number or a share of \
     the jobs: soon,fail=3 or now,success=10%"
)]
pub struct ParseHaltError(String);

impl std::str::FromStr for Halt {
    type Err = ParseHaltError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| ParseHaltError(excerpt(text)))
    }
}

fn parse(text: &str) -> Option<Halt> {
    let (how, rest) = text.split_once(',')?;
    let (on, limit) = rest.split_once('=')?;
    let how = match how {
        "soon" => HaltHow::Soon,
        "now" => HaltHow::Now,
        _ => return None,
    };
    let on = match on {
        "fail" => HaltOn::Fail,
        "success" => HaltOn::Success,
        _ => return None,
    };
    let limit = match limit.strip_suffix('%') {
        Some(share) => {
            HaltLimit::Percent(share.parse().ok().filter(|share| (1..=100).contains(share))?)
        }
        None => HaltLimit::Count(limit.parse().ok().filter(|count| *count > 0)?),
    };
    Some(Halt { how, on, limit })
}

impl TryFrom<String> for Halt {
    type Error = ParseHaltError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Halt> for String {
    fn from(halt: Halt) -> String {
        halt.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_and_written_alike() {
        for text in ["soon,fail=3", "now,fail=1", "now,success=1", "soon,success=100%"] {
            assert_eq!(text.parse::<Halt>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "now",
            "now,fail",
            "now,fail=0",
            "now,fail=0%",
            "soon,success=101%",
            "now,fail=-1",
            "later,fail=1",
            "now,done=3",
        ] {
            assert!(text.parse::<Halt>().is_err(), "{text}");
        }
    }

    #[test]
    fn share_of_the_jobs_is_rounded_up_and_at_least_one() {
        let enough = |text: &str, jobs| text.parse::<Halt>().unwrap().enough(jobs);
        assert_eq!(enough("now,fail=10%", 25), 3);
        assert_eq!(enough("now,fail=1%", 3), 1);
        assert_eq!(enough("now,fail=100%", 7), 7);
        assert_eq!(enough("now,fail=4", 3), 4);
    }
}
