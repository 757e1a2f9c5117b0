//! Hosts with room, by how full they are, so that the choice costs the same
//! with ten hosts and with ten thousand.

use std::collections::{BTreeMap, BTreeSet};

use crate::run::HostIx;

/// Hosts with room, and hosts with more jobs than slots.
#[derive(Debug, Default)]
pub(super) struct HostIndex {
    by_fullness: BTreeMap<u32, Vec<HostIx>>,
    /// Where a host is in `by_fullness`: its key and its place.
    places: BTreeMap<HostIx, (u32, usize)>,
    overfull: BTreeSet<HostIx>,
}

impl HostIndex {
    /// Puts a host in its place: `fullness` is none for one without room.
    pub(super) fn place(&mut self, host: HostIx, fullness: Option<u32>, is_overfull: bool) {
        if self.places.get(&host).map(|(now, _)| *now) != fullness {
            self.remove(host);
            if let Some(fullness) = fullness {
                self.insert(host, fullness);
            }
        }
        if is_overfull {
            self.overfull.insert(host);
        } else {
            self.overfull.remove(&host);
        }
    }

    fn insert(&mut self, host: HostIx, fullness: u32) {
        let group = self.by_fullness.entry(fullness).or_default();
        self.places.insert(host, (fullness, group.len()));
        group.push(host);
    }

    fn remove(&mut self, host: HostIx) {
        let Some((fullness, place)) = self.places.remove(&host) else {
            return;
        };
        let Some(group) = self.by_fullness.get_mut(&fullness) else {
            return;
        };
        group.swap_remove(place);
        if let Some(moved) = group.get(place) {
            self.places.insert(*moved, (fullness, place));
        }
        if group.is_empty() {
            self.by_fullness.remove(&fullness);
        }
    }

    /// True while any host has room.
    pub(super) fn any_room(&self) -> bool {
        !self.by_fullness.is_empty()
    }

    /// A host at random among the least full ones that will do.
    pub(super) fn pick(
        &self,
        rng: &mut fastrand::Rng,
        will_do: impl Fn(HostIx) -> bool,
    ) -> Option<HostIx> {
        self.by_fullness.values().find_map(|group| {
            let start = rng.usize(..group.len());
            group[start..].iter().chain(&group[..start]).copied().find(|host| will_do(*host))
        })
    }

    /// Hosts that hold more jobs than slots.
    pub(super) fn overfull(&self) -> impl Iterator<Item = HostIx> + '_ {
        self.overfull.iter().copied()
    }
}
