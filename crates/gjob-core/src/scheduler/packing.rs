//! Jobs that ask for more than one processor: a host must have all of it free
//! at once. One that no host has room for now gets a host reserved, which
//! takes no other job until it fits: big jobs don't starve behind small ones,
//! and the other hosts run these meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Scheduler;
use super::job::{JobState, Wait};
use crate::id::{HostLabel, Key};
use crate::resources::{Ask, Cpus, Offer};
use crate::run::{Host, HostDuty, HostIx, HostStatus};
use crate::state::State;

/// Classes of jobs, by what they ask for and which hosts they are bound to.
#[derive(Debug, Default)]
pub(super) struct Classes {
    classes: Vec<Class>,
    by_need: BTreeMap<(Ask, Option<u32>), u32>,
    /// By set of hosts, the classes of jobs that are bound to it.
    of_group: BTreeMap<u32, Vec<u32>>,
}

/// Jobs that the same hosts may take.
#[derive(Debug)]
struct Class {
    ask: Ask,
    /// The set of hosts that they are bound to.
    group: Option<u32>,
    /// The first of them.
    first: u32,
}

/// A job that no host can take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// The job.
    pub index: u32,
    /// What it asks for.
    pub ask: Ask,
    /// True when it is bound to some of the run's hosts.
    pub is_bound: bool,
    /// The host that comes closest, and what it offers.
    pub closest: Option<(HostLabel, Offer)>,
}

impl std::fmt::Display for Unfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bound = if self.is_bound { " that it is bound to" } else { "" };
        write!(f, "asks for {}: no host{bound} offers that", self.ask)?;
        match &self.closest {
            Some((label, offer)) => write!(f, "; the closest is {label} with {offer}"),
            None => Ok(()),
        }
    }
}

impl Classes {
    /// The class of a job that asks for this and is bound to that set of hosts. Jobs
    /// are added in their order.
    pub(super) fn class(&mut self, ask: Ask, group: Option<u32>, index: u32) -> u32 {
        *self.by_need.entry((ask, group)).or_insert_with(|| {
            let class = self.classes.len() as u32;
            self.classes.push(Class { ask, group, first: index });
            if let Some(group) = group {
                self.of_group.entry(group).or_default().push(class);
            }
            class
        })
    }

    fn ask(&self, class: u32) -> Ask {
        self.classes[class as usize].ask
    }

    /// The set of hosts that the jobs of a class are bound to.
    pub(super) fn group(&self, class: u32) -> Option<u32> {
        self.classes[class as usize].group
    }

    /// The classes of jobs that are bound to a set of hosts.
    pub(super) fn of_group(&self, group: u32) -> &[u32] {
        self.of_group.get(&group).map_or(&[], Vec::as_slice)
    }

    /// The classes of jobs that are bound to some hosts.
    pub(super) fn bound(&self) -> impl Iterator<Item = u32> + '_ {
        self.of_group.values().flatten().copied()
    }
}

/// True for jobs of one processor and nothing else, which any free slot takes.
fn is_plain(ask: &Ask) -> bool {
    *ask == Ask::default()
}

impl Scheduler {
    fn ask_of(&self, index: u32) -> Ask {
        self.classes.ask(self.jobs[index as usize].class)
    }

    /// A host that can start a waiting job now, but not `avoid`.
    pub(super) fn find_host(&mut self, index: u32, avoid: Option<HostIx>) -> Option<HostIx> {
        let ask = self.ask_of(index);
        let (hosts, run) = (&self.hosts, &self.run);
        let fits = |host: HostIx| Some(host) != avoid && hosts.has_free(run, host, &ask);
        let will_do = |host: HostIx| match is_plain(&ask) {
            true => Some(host) != avoid,
            false => fits(host),
        };
        let group = self.classes.group(self.jobs[index as usize].class);
        let found = match group {
            Some(group) => hosts.groups().pick(group, &mut self.rng, will_do),
            None => hosts.pick(&mut self.rng, will_do),
        };
        let may = |host| group.is_none_or(|group| hosts.groups().of(host).contains(&group));
        // A host that is reserved for a job takes those before it, too.
        found.or_else(|| {
            let mut reserved = hosts.reserved();
            let takes = |host, job| index < job && may(host) && fits(host);
            reserved.find(|(host, job)| takes(*host, *job)).map(|(host, _)| host)
        })
    }

    /// Places a job on the host that is reserved for it, once it fits there.
    pub(super) fn dispatch_reserved(&mut self, now: Duration) -> Option<Key> {
        let fits = |host, job| self.hosts.has_free(&self.run, host, &self.ask_of(job));
        let (host, index) = self.hosts.reserved().find(|(host, job)| fits(*host, *job))?;
        self.hosts.unreserve(&self.run, host);
        self.forget_waiting(index);
        Some(self.assign(now, index, host))
    }

    /// Reserves a host, but not `avoid`, for a job that none has room for; ends
    /// the job, and says so, if none ever will.
    pub(super) fn reserve_or_end(&mut self, index: u32, avoid: Option<HostIx>) -> bool {
        let ask = self.ask_of(index);
        if is_plain(&ask) || self.hosts.reserved().any(|(_, job)| job == index) {
            return false;
        }
        let free = |host: &Host| host.slots().saturating_sub(host.load());
        let fitting = self.hosts_for(index).filter(|(ix, host)| {
            let may = Some(*ix) != avoid && !self.hosts.is_reserved(*ix);
            may && host.takes_jobs() && host.offer().fits(&ask)
        });
        let freest = fitting.max_by_key(|(ix, host)| (free(host), std::cmp::Reverse(*ix)));
        if let Some((host, _)) = freest {
            self.hosts.reserve(&self.run, host, index);
            return false;
        }
        let Some(unfit) = self.unfit(index) else { return false };
        self.end_job(index, State::Error, Some(unfit.to_string()));
        true
    }

    /// Frees hosts that are reserved for jobs which no longer wait, or which
    /// they cannot take now.
    pub(super) fn drop_stale_reservations(&mut self) {
        let is_stale = |(host, job): &(HostIx, u32)| {
            let state = self.state(*job);
            let waits = matches!(state, JobState::Waiting(Wait::Ready | Wait::Delayed));
            let ask = self.ask_of(*job);
            let may_take = |host: &Host| host.takes_jobs() && host.offer().fits(&ask);
            !waits || !self.run.host(*host).is_some_and(may_take)
        };
        let stale: Vec<(HostIx, u32)> = self.hosts.reserved().filter(is_stale).collect();
        for (host, _) in stale {
            self.hosts.unreserve(&self.run, host);
        }
    }

    /// Why a job cannot run on any host that it may; none while one of them may
    /// take it, or has not said yet what it offers.
    fn unfit(&self, index: u32) -> Option<Unfit> {
        let ask = self.ask_of(index);
        if self.may_ever_fit(index, &ask) {
            return None;
        }
        // With no host reached, nobody knows what they offer; with each of them removed, others
        // may be added.
        let hosts = self.hosts_for(index).filter(|(_, host)| host.duty != HostDuty::Removed);
        let known = hosts.filter(|(ix, _)| self.hosts.reached(*ix).is_some());
        known.clone().next()?;
        let closest = known.min_by_key(|(_, host)| shortfall(&ask, &host.offer()));
        let closest = closest.map(|(_, host)| (host.label.clone(), host.offer()));
        Some(Unfit { index, ask, is_bound: self.group_of(index).is_some(), closest })
    }

    /// True while a host that a job may run on offers this, or has not said yet what it
    /// offers.
    pub(super) fn may_ever_fit(&self, index: u32, ask: &Ask) -> bool {
        self.hosts_for(index).any(|(ix, host)| {
            host.status != HostStatus::Failed
                && host.duty != HostDuty::Removed
                && (self.hosts.reached(ix).is_none() || host.offer().fits(ask))
        })
    }

    /// The first job of each class that no host can take.
    #[must_use]
    pub fn unfit_jobs(&self) -> Vec<Unfit> {
        self.classes.classes.iter().filter_map(|class| self.unfit(class.first)).collect()
    }

    /// True when every host has said what it offers, or cannot be reached.
    #[must_use]
    pub fn all_hosts_known(&self) -> bool {
        (0..).map(HostIx).zip(self.run.hosts()).all(|(ix, host)| {
            self.hosts.reached(ix).is_some() || host.status != HostStatus::Connecting
        })
    }
}

/// How far an offer falls short, in thousandths of what is asked for.
fn shortfall(ask: &Ask, offer: &Offer) -> u64 {
    let part = |asked: u64, offered: u64| match asked.saturating_sub(offered) {
        0 => 0,
        missing => (u128::from(missing) * 1000 / u128::from(asked)) as u64,
    };
    let cpus = match ask.cpus {
        Cpus::Count(count) => part(count.into(), offer.cpus.into()),
        Cpus::All => 0,
    };
    cpus + part(ask.mem, offer.mem) + part(ask.gpus.into(), offer.gpus.into())
}
