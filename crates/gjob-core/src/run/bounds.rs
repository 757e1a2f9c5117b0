//! Which hosts of a run each of its jobs may run on.

use std::collections::{BTreeMap, HashMap, HashSet};

#[cfg(doc)]
use super::Host;
use super::{HostIx, Run};
use crate::hosts::{Choice, bare_name};
use crate::resources::Ask;

/// The sets of hosts that jobs of a run are bound to, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    sets: Vec<Vec<HostIx>>,
    /// By job; empty if no job is bound. A job that may run on every host is not.
    of: Vec<Option<u32>>,
}

impl Bounds {
    /// The sets, each in the order of the hosts. One may be empty.
    #[must_use]
    pub fn sets(&self) -> &[Vec<HostIx>] {
        &self.sets
    }

    /// The position of the set that a job is bound to; none for a job that may run on
    /// every host.
    #[must_use]
    pub fn set(&self, index: u32) -> Option<u32> {
        self.of.get(index as usize).copied().flatten()
    }

    /// The sets alone.
    #[must_use]
    pub fn into_sets(self) -> Vec<Vec<HostIx>> {
        self.sets
    }

    /// The jobs of no host of the run, in their order.
    pub fn of_no_host(&self) -> impl Iterator<Item = u32> + '_ {
        let none = self.sets.iter().position(Vec::is_empty).map(|set| set as u32);
        let jobs = (0..).zip(&self.of).filter(move |(_, set)| none.is_some() && **set == none);
        jobs.map(|(index, _)| index)
    }
}

impl Run {
    /// What its jobs are bound to.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        let mut bounds = Bounds::default();
        if !self.jobs.iter().any(|job| job.spec.is_bound()) {
            return bounds;
        }
        let mut finder = Finder::new(self);
        let mut by_text: HashMap<(&[String], &[String]), Option<u32>> = HashMap::new();
        let mut by_hosts: BTreeMap<Vec<HostIx>, u32> = BTreeMap::new();
        for job in &self.jobs {
            let (hosts, labels) = (&job.spec.hosts[..], &job.spec.labels[..]);
            let set = *by_text.entry((hosts, labels)).or_insert_with(|| {
                let found = finder.find(&job.spec.choice());
                (found.len() < self.hosts.len()).then(|| {
                    let next = by_hosts.len() as u32;
                    *by_hosts.entry(found).or_insert(next)
                })
            });
            bounds.of.push(set);
        }
        let mut sets: Vec<_> = by_hosts.into_iter().collect();
        sets.sort_unstable_by_key(|(_, set)| *set);
        bounds.sets = sets.into_iter().map(|(hosts, _)| hosts).collect();
        bounds
    }

    /// Those of these jobs that no host may offer so much memory, as [`Host::may_offer`] says.
    #[must_use]
    pub fn without_memory(&self, jobs: &[u32], mem: u64) -> Vec<u32> {
        let bounds = self.bounds();
        let is_offered = |index: u32| {
            let Some(job) = self.job(index) else { return true };
            let (set, ask) = (bounds.set(index), Ask { mem, ..job.spec.ask() });
            match set.and_then(|set| bounds.sets().get(set as usize)) {
                Some(set) => set.iter().any(|host| self.hosts[host.at()].may_offer(&ask)),
                None => self.hosts.iter().any(|host| host.may_offer(&ask)),
            }
        };
        jobs.iter().copied().filter(|index| !is_offered(*index)).collect()
    }

    /// The same run, with labels for its hosts, in their order.
    #[must_use]
    pub fn with_labels(mut self, labels: impl IntoIterator<Item = Vec<String>>) -> Self {
        for (host, labels) in self.hosts.iter_mut().zip(labels) {
            host.labels = labels;
        }
        self
    }
}

/// Finds hosts by their names, without a look at each of them.
struct Finder<'a> {
    run: &'a Run,
    by_name: HashMap<&'a str, Vec<HostIx>>,
}

impl<'a> Finder<'a> {
    fn new(run: &'a Run) -> Self {
        let mut by_name: HashMap<&str, Vec<HostIx>> = HashMap::new();
        let whole: HashSet<&str> = run.hosts.iter().map(|host| host.label.as_str()).collect();
        for (ix, host) in (0..).map(HostIx).zip(&run.hosts) {
            let (full, bare) = (host.label.as_str(), bare_name(&host.label));
            // The host of just this name, if there is one, not others with a user or port.
            if bare == full || !whole.contains(bare) {
                by_name.entry(bare).or_default().push(ix);
            }
            if bare != full {
                by_name.entry(full).or_default().push(ix);
            }
        }
        Finder { run, by_name }
    }

    fn find(&mut self, choice: &Choice) -> Vec<HostIx> {
        let Some(names) = choice.names() else {
            let hosts = (0..).map(HostIx).zip(&self.run.hosts);
            let admitted = hosts.filter(|(_, host)| choice.admits(&host.label, &host.labels));
            return admitted.map(|(ix, _)| ix).collect();
        };
        let found = names.into_iter().filter_map(|name| self.by_name.get(name));
        let mut found: Vec<HostIx> = found.flatten().copied().collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}
