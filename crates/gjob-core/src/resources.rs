//! The resources that a job asks for, and those that a host offers.

use std::fmt;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::plural::counted;
use crate::size::shown_size;
use crate::text::excerpt;

/// Numbers in ascending order, such as those of processors, as ranges: first and last.
#[must_use]
pub fn ranges(numbers: impl Iterator<Item = u32>) -> Vec<(u32, u32)> {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    ranges
}

/// How many processors a job has for itself. In JSON a number or `"all"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cpus {
    /// This number, at least 1.
    Count(u32),
    /// The whole host: one job per host, as in the original.
    All,
}

impl Cpus {
    /// True for one processor, which a job has by default.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Cpus::default()
    }

    /// The number; none for the whole host.
    #[must_use]
    pub fn count(self) -> Option<u32> {
        match self {
            Cpus::Count(count) => Some(count),
            Cpus::All => None,
        }
    }
}

impl Default for Cpus {
    fn default() -> Self {
        Cpus::Count(1)
    }
}

impl fmt::Display for Cpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cpus::Count(count) => fmt::Display::fmt(count, f),
            Cpus::All => f.pad("all"),
        }
    }
}

/// A text that is not a number of processors.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid cpus {0:?}: expected a number of processors or \"all\"")]
pub struct ParseCpusError(String);

impl std::str::FromStr for Cpus {
    type Err = ParseCpusError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "all" {
            return Ok(Cpus::All);
        }
        let count = text.parse().map_err(|_| ParseCpusError(excerpt(text)))?;
        Ok(Cpus::Count(count))
    }
}

impl Serialize for Cpus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Cpus::Count(count) => serializer.serialize_u32(*count),
            Cpus::All => serializer.serialize_str("all"),
        }
    }
}

impl<'de> Deserialize<'de> for Cpus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CpusVisitor)
    }
}

struct CpusVisitor;

impl Visitor<'_> for CpusVisitor {
    type Value = Cpus;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of processors or \"all\"")
    }

    fn visit_u64<E: de::Error>(self, count: u64) -> Result<Cpus, E> {
        let unexpected = || E::invalid_value(de::Unexpected::Unsigned(count), &self);
        u32::try_from(count).map(Cpus::Count).map_err(|_| unexpected())
    }

    fn visit_i64<E: de::Error>(self, count: i64) -> Result<Cpus, E> {
        let unexpected = || E::invalid_value(de::Unexpected::Signed(count), &self);
        u32::try_from(count).map(Cpus::Count).map_err(|_| unexpected())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Cpus, E> {
        text.parse().map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

/// What a job asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ask {
    /// Processors.
    pub cpus: Cpus,
    /// Memory, bytes; 0 if it does not matter.
    pub mem: u64,
    /// GPUs.
    pub gpus: u32,
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cpus {
            Cpus::Count(count) => f.write_str(&counted(count.into(), "CPU"))?,
            Cpus::All => f.write_str("all CPUs")?,
        }
        if self.mem > 0 {
            write!(f, ", {} of memory", shown_size(self.mem))?;
        }
        if self.gpus > 0 {
            write!(f, ", {}", counted(self.gpus.into(), "GPU"))?;
        }
        Ok(())
    }
}

/// What a host offers to all its running jobs together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Offer {
    /// Processors, or the number of slots that its user sets.
    pub cpus: u32,
    /// Memory, bytes.
    pub mem: u64,
    /// GPUs.
    pub gpus: u32,
}

impl Offer {
    /// Processors only, with unlimited memory.
    #[must_use]
    pub const fn cpus(cpus: u32) -> Self {
        Offer { cpus, mem: u64::MAX, gpus: 0 }
    }

    /// True if a job that asks for this could run alone.
    #[must_use]
    pub fn fits(&self, ask: &Ask) -> bool {
        let cpus = match ask.cpus {
            Cpus::Count(count) => count <= self.cpus,
            Cpus::All => true,
        };
        cpus && ask.mem <= self.mem && ask.gpus <= self.gpus
    }
}

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (cpus, gpus) = (counted(self.cpus.into(), "CPU"), counted(self.gpus.into(), "GPU"));
        write!(f, "{cpus}, {} of memory, {gpus}", shown_size(self.mem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_are_a_number_or_all() {
        let read = |json: &str| serde_json::from_str::<Cpus>(json);
        assert_eq!(read("3").unwrap(), Cpus::Count(3));
        assert_eq!(read("\"all\"").unwrap(), Cpus::All);
        assert_eq!(serde_json::to_string(&Cpus::All).unwrap(), "\"all\"");
        for bad in ["-1", "1.5", "\"some\"", "5000000000", "null"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn job_fits_if_everything_is_offered() {
        let offer = Offer { cpus: 4, mem: 100, gpus: 1 };
        let ask = |cpus, mem, gpus| Ask { cpus, mem, gpus };
        assert!(offer.fits(&ask(Cpus::Count(4), 100, 1)));
        assert!(offer.fits(&ask(Cpus::All, 0, 0)));
        assert!(!offer.fits(&ask(Cpus::Count(5), 0, 0)));
        assert!(!offer.fits(&ask(Cpus::Count(0), 101, 0)));
        assert!(!offer.fits(&ask(Cpus::Count(0), 0, 2)));
    }
}
