//! What keeps a run from taking all that its hosts have.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The highest niceness of a process.
pub const MAX_NICE: u8 = 19;

/// When a host starts jobs, and how. What is not set limits nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostLimits {
    /// No job is started while less is free where the results directory is, bytes.
    pub min_free: Option<u64>,
    /// No job is started while the load is as high.
    pub load: Option<LoadLimit>,
    /// The niceness of its jobs, at most [`MAX_NICE`].
    pub nice: Option<u8>,
    /// The time between the starts of two jobs, at least.
    pub delay: Option<Duration>,
    /// Its jobs take no notice of what the user's other runs use of it, nor these of them.
    pub oversubscribe: Option<bool>,
}

impl HostLimits {
    /// These limits, completed with `defaults`.
    #[must_use]
    pub fn or(self, defaults: &HostLimits) -> HostLimits {
        let HostLimits { min_free, load, nice, delay, oversubscribe } = self;
        HostLimits {
            min_free: min_free.or(defaults.min_free),
            load: load.or(defaults.load),
            nice: nice.or(defaults.nice),
            delay: delay.or(defaults.delay),
            oversubscribe: oversubscribe.or(defaults.oversubscribe),
        }
    }

    /// These limits, without those that `given` has.
    #[must_use]
    pub fn unless(self, given: &HostLimits) -> HostLimits {
        let HostLimits { min_free, load, nice, delay, oversubscribe } = self;
        HostLimits {
            min_free: min_free.filter(|_| given.min_free.is_none()),
            load: load.filter(|_| given.load.is_none()),
            nice: nice.filter(|_| given.nice.is_none()),
            delay: delay.filter(|_| given.delay.is_none()),
            oversubscribe: oversubscribe.filter(|_| given.oversubscribe.is_none()),
        }
    }
}

/// A load (processes that run or wait to run, on average) as a number, or as a share of a host's processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadLimit {
    /// Thousandths.
    milli: u32,
    /// Of a percent of the processors.
    is_percent: bool,
}

impl LoadLimit {
    /// The load, in thousandths, on a host with this number of processors.
    #[must_use]
    pub fn milli(self, cpus: u32) -> u64 {
        let milli = u64::from(self.milli);
        if self.is_percent { milli * u64::from(cpus) / 100 } else { milli }
    }
}

impl fmt::Display for LoadLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = if self.is_percent { "%" } else { "" };
        write!(f, "{}{percent}", f64::from(self.milli) / 1000.0)
    }
}

/// A text that is no load.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid load {0:?}: expected a number above 0 (4, 1.5) or a percentage of the processors (80%)"
)]
pub struct LoadLimitError(String);

impl FromStr for LoadLimit {
    type Err = LoadLimitError;

    fn from_str(text: &str) -> Result<Self, LoadLimitError> {
        let (number, is_percent) = match text.strip_suffix('%') {
            Some(number) => (number, true),
            None => (text, false),
        };
        let is_plain = number.chars().all(|c| c.is_ascii_digit() || c == '.');
        let milli = number.parse::<f64>().ok().filter(|_| is_plain).map(|it| (it * 1000.0).round());
        match milli {
            Some(milli) if (1.0..=1e9).contains(&milli) => {
                Ok(LoadLimit { milli: milli as u32, is_percent })
            }
            _ => Err(LoadLimitError(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_is_a_number_or_a_share_of_the_processors() {
        let milli = |text: &str| text.parse::<LoadLimit>().map(|it| it.milli(8));
        assert_eq!([milli("4"), milli("1.5"), milli("50%")], [Ok(4000), Ok(1500), Ok(4000)]);
        for text in ["", "0", "-1", "+1", "%", "many", "1e3", "inf", "99999999"] {
            assert!(milli(text).is_err(), "{text}");
        }
        for text in ["4", "1.5", "12.5%"] {
            assert_eq!(text.parse::<LoadLimit>().unwrap().to_string(), text);
        }
    }
}
