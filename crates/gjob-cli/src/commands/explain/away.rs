//! When the hosts of a job's attempts could not be asked, from the events of the hosts.

use gjob::units::format_duration;
use gjob_core::event::HostChange;
use gjob_core::{Event, HostLabel, Timestamp, What};

use std::time::Duration;

use crate::report::headline::spoken;

/// A time without contact with a host.
#[derive(Debug)]
pub(super) struct Away {
    pub(super) host: HostLabel,
    /// The last contact.
    pub(super) since: Timestamp,
    /// The number of the event that says so.
    seq: u64,
    /// The event that says that the host is back, and when that was.
    back: Option<(u64, Timestamp)>,
}

/// Something that happened: its number, its time, and what it was.
pub(super) type Step = (u64, Timestamp, String);

/// The absences of hosts that attempts of a job were on meanwhile, from the job's events and
/// those of all hosts. An open job's latest attempt is on its host still.
pub(super) fn during(job: &[Event], hosts: &[Event], is_open: bool) -> Vec<Away> {
    let mut spans: Vec<(u32, &HostLabel, u64, u64)> = Vec::new();
    for event in job {
        let What::Attempt(it) = &event.what else { continue };
        match spans.iter_mut().find(|(attempt, ..)| *attempt == it.key.attempt) {
            Some((.., last)) => *last = event.seq,
            None => spans.push((it.key.attempt, &it.host, event.seq, event.seq)),
        }
    }
    if let Some((.., last)) = spans.last_mut().filter(|_| is_open) {
        *last = u64::MAX;
    }
    let is_within = |away: &Away, first: u64, last: u64| {
        away.seq <= last && away.back.is_none_or(|(seq, _)| seq >= first)
    };
    let mut all = absences(hosts);
    all.retain(|away| {
        let mut on_it = spans.iter().filter(|(_, host, ..)| **host == away.host);
        on_it.any(|(.., first, last)| is_within(away, *first, *last))
    });
    all
}

fn absences(events: &[Event]) -> Vec<Away> {
    let mut found: Vec<Away> = Vec::new();
    for Event { seq, at, what } in events {
        let What::Host(it) = what else { continue };
        let open = found.iter().rposition(|away| away.host == it.host && away.back.is_none());
        let mut leaves = |since: Timestamp| {
            if open.is_none() {
                found.push(Away { host: it.host.clone(), since, seq: *seq, back: None });
            }
        };
        match (&it.change, open) {
            (HostChange::Silent { seconds }, _) => {
                leaves(Timestamp(at.0.saturating_sub(seconds.saturating_mul(1000))));
            }
            (HostChange::Unreachable { .. }, _) => leaves(*at),
            (HostChange::Heard { .. }, Some(open)) => drop(found.remove(open)),
            (HostChange::Up(_), Some(open)) => found[open].back = Some((*seq, *at)),
            _ => {}
        }
    }
    found
}

impl Away {
    pub(super) fn is_over(&self) -> bool {
        self.back.is_some()
    }

    /// Its beginning, and its end.
    pub(super) fn steps(&self) -> impl Iterator<Item = Step> {
        let host = spoken(&self.host);
        let gone = (self.seq, self.since, format!("{host} was heard for the last time"));
        let back = self.back.map(|(seq, at)| {
            let away = Duration::from_millis(at.0.saturating_sub(self.since.0));
            (seq, at, format!("{host} is back, after {}", format_duration(away)))
        });
        std::iter::once(gone).chain(back)
    }
}
