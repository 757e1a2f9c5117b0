//! Since when hosts do not answer, as far as their events were heard: an absence begins with
//! the last contact.

use std::collections::BTreeMap;
use std::time::Duration;

use gjob_core::event::{HostChange, HostEvent};
use gjob_core::{HostLabel, Timestamp};

#[derive(Debug, Default)]
pub(crate) struct Absences(BTreeMap<HostLabel, Absence>);

#[derive(Debug)]
struct Absence {
    since: Timestamp,
    /// How often it was said that it cannot be reached, and why.
    reasons: u32,
}

impl Absences {
    /// Takes what has happened to a host. Returns how long it was away, when it is back.
    pub(crate) fn apply(&mut self, event: &HostEvent, at: Timestamp) -> Option<Duration> {
        match event.change {
            HostChange::Silent { seconds } => {
                let last_contact = Timestamp(at.0.saturating_sub(seconds.saturating_mul(1000)));
                self.since(&event.host, last_contact);
            }
            HostChange::Heard { .. } => drop(self.0.remove(&event.host)),
            HostChange::Unreachable { .. } => {
                self.since(&event.host, at).reasons += 1;
            }
            HostChange::Up(_) => {
                let since = self.0.remove(&event.host)?.since;
                return Some(Duration::from_millis(at.0.saturating_sub(since.0)));
            }
            _ => {}
        }
        None
    }

    fn since(&mut self, host: &HostLabel, since: Timestamp) -> &mut Absence {
        self.0.entry(host.clone()).or_insert(Absence { since, reasons: 0 })
    }

    /// True when a host was said to be away before its latest reason.
    pub(crate) fn is_known(&self, host: &HostLabel) -> bool {
        self.0.get(host).is_some_and(|absence| absence.reasons > 1)
    }

    /// For how long a host has been away, if that is known.
    pub(crate) fn of(&self, host: &HostLabel, now: Timestamp) -> Option<Duration> {
        let since = self.0.get(host)?.since;
        Some(Duration::from_millis(now.0.saturating_sub(since.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absence_begins_with_the_last_contact() {
        let mut absences = Absences::default();
        let mut apply = |change: HostChange, seconds: u64| {
            let event = HostEvent { host: "h1".parse().unwrap(), change };
            absences.apply(&event, Timestamp(seconds * 1000))
        };
        let unreachable = || HostChange::Unreachable { reason: "no answer".to_owned() };
        assert_eq!(apply(HostChange::Silent { seconds: 15 }, 115), None);
        assert_eq!(apply(unreachable(), 130), None);
        let up = || HostChange::Up(gjob_core::event::HostFacts::default());
        assert_eq!(apply(up(), 133), Some(Duration::from_secs(33)));
        assert_eq!(apply(HostChange::Silent { seconds: 15 }, 215), None);
        assert_eq!(apply(HostChange::Heard { seconds: 16 }, 216), None);
        assert_eq!(apply(up(), 220), None);
        assert_eq!(apply(unreachable(), 300), None);
        assert_eq!(apply(up(), 301), Some(Duration::from_secs(1)));
    }
}
