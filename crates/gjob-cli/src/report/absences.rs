//! Since when hosts do not answer, as far as their events were heard.

use std::collections::BTreeMap;
use std::time::Duration;

use gjob_core::event::{HostChange, HostEvent};
use gjob_core::{HostLabel, Timestamp};

#[derive(Debug, Default)]
pub(crate) struct Absences(BTreeMap<HostLabel, Timestamp>);

impl Absences {
    /// Takes what has happened to a host. Returns how long it was away, when it is back.
    pub(crate) fn apply(&mut self, event: &HostEvent, at: Timestamp) -> Option<Duration> {
        match event.change {
            HostChange::Unreachable { .. } => {
                self.0.entry(event.host.clone()).or_insert(at);
            }
            HostChange::Up(_) => {
                let since = self.0.remove(&event.host)?;
                return Some(Duration::from_millis(at.0.saturating_sub(since.0)));
            }
            _ => {}
        }
        None
    }

    /// For how long a host has been away, if that is known.
    pub(crate) fn of(&self, host: &HostLabel, now: Timestamp) -> Option<Duration> {
        let since = self.0.get(host)?;
        Some(Duration::from_millis(now.0.saturating_sub(since.0)))
    }
}
