//! Sets of hosts that jobs are bound to. Each has an index of its own hosts with
//! room and sums of its own, so that a decision about a bound job costs what one
//! about a free job does.

use std::collections::BTreeSet;

use super::index::HostIndex;
use super::totals::Totals;
use crate::run::HostIx;

/// All sets, by position.
#[derive(Debug, Default)]
pub(in crate::scheduler) struct Groups {
    groups: Vec<Group>,
    /// By host, the sets that it is in.
    of_host: Vec<Vec<u32>>,
    /// Sets of which a job could be given to another host of the set than has it now.
    uneven: BTreeSet<u32>,
    /// Sets that have got room, or have lost it, since somebody asked.
    turned: BTreeSet<u32>,
    /// Sets of which a host has come or gone since somebody asked.
    changed: BTreeSet<u32>,
}

#[derive(Debug)]
struct Group {
    members: Vec<HostIx>,
    index: HostIndex,
    totals: Totals,
}

impl Groups {
    pub(super) fn new(sets: Vec<Vec<HostIx>>, hosts: usize) -> Self {
        let mut groups = Groups::default();
        if sets.is_empty() {
            return groups;
        }
        groups.of_host.resize_with(hosts, Vec::new);
        for (group, members) in (0..).zip(&sets) {
            members.iter().for_each(|host| groups.of_host[host.at()].push(group));
        }
        let group =
            |members| Group { members, index: HostIndex::default(), totals: Totals::default() };
        groups.groups = sets.into_iter().map(group).collect();
        groups
    }

    /// True when no job is bound to some of the hosts only.
    pub(in crate::scheduler) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// There are so many hosts now; new ones are in no set.
    pub(super) fn extend(&mut self, hosts: usize) {
        if !self.groups.is_empty() {
            self.of_host.resize_with(hosts, Vec::new);
        }
    }

    /// The sets that a host is in.
    pub(in crate::scheduler) fn of(&self, host: HostIx) -> &[u32] {
        self.of_host.get(host.at()).map_or(&[], Vec::as_slice)
    }

    /// Puts a host in its place in all its sets. It is overfull in those of which it
    /// has jobs, if it has more than slots.
    pub(super) fn place(
        &mut self,
        host: HostIx,
        fullness: Option<u32>,
        is_overfull: impl Fn(u32) -> bool,
    ) {
        for at in self.of_host.get(host.at()).into_iter().flatten() {
            let group = &mut self.groups[*at as usize];
            let had_room = group.index.any_room();
            group.index.place(host, fullness, is_overfull(*at));
            if group.index.any_room() != had_room {
                self.turned.insert(*at);
            }
        }
    }

    /// A host adds something else to the sums than before.
    pub(super) fn count(&mut self, host: HostIx, before: Totals, now: Totals) {
        let standing = |it: &Totals| (it.up, it.reached, it.connecting, it.out, it.futile);
        let is_news = standing(&before) != standing(&now);
        for at in self.of_host.get(host.at()).into_iter().flatten() {
            let group = &mut self.groups[*at as usize];
            group.totals.replace(&mut before.clone(), now);
            if is_news {
                self.changed.insert(*at);
            }
            let can_move = group.free_slots() > 0 && group.index.overfull().next().is_some();
            if can_move {
                self.uneven.insert(*at)
            } else {
                self.uneven.remove(at)
            };
        }
    }

    /// A host at random among the least full ones of a set that will do.
    pub(in crate::scheduler) fn pick(
        &self,
        group: u32,
        rng: &mut fastrand::Rng,
        will_do: impl Fn(HostIx) -> bool,
    ) -> Option<HostIx> {
        self.groups[group as usize].index.pick(rng, will_do)
    }

    pub(in crate::scheduler) fn members(&self, group: u32) -> &[HostIx] {
        &self.groups[group as usize].members
    }

    pub(in crate::scheduler) fn totals(&self, group: u32) -> &Totals {
        &self.groups[group as usize].totals
    }

    pub(in crate::scheduler) fn any_room(&self, group: u32) -> bool {
        self.groups[group as usize].index.any_room()
    }

    /// Free slots of a set's hosts, less the jobs being withdrawn for them.
    pub(in crate::scheduler) fn free_slots(&self, group: u32) -> u64 {
        self.groups[group as usize].free_slots()
    }

    /// Hosts of a set with more jobs than slots, and jobs of the set among these.
    pub(in crate::scheduler) fn overfull(&self, group: u32) -> impl Iterator<Item = HostIx> + '_ {
        self.groups[group as usize].index.overfull()
    }

    pub(in crate::scheduler) fn uneven(&self) -> &BTreeSet<u32> {
        &self.uneven
    }

    pub(in crate::scheduler) fn take_turned(&mut self) -> BTreeSet<u32> {
        std::mem::take(&mut self.turned)
    }

    pub(in crate::scheduler) fn take_changed(&mut self) -> BTreeSet<u32> {
        std::mem::take(&mut self.changed)
    }
}

impl Group {
    fn free_slots(&self) -> u64 {
        self.totals.idle.saturating_sub(self.totals.withdrawing)
    }
}
