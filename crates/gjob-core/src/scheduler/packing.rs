//! Jobs that ask for more than one processor: a host must have all of it free
//! at once. One that no host has room for now gets a host reserved, which
//! takes no other job until it fits: big jobs don't starve behind small ones,
//! and the other hosts go on with these.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Scheduler;
use super::action::HostIx;
use super::host::Status;
use super::job::JobState;
use crate::id::{HostLabel, Key};
use crate::resources::{Ask, Cpus, Offer};
use crate::state::State;

/// Kinds of jobs, by what they ask for, and hosts that are kept for some.
#[derive(Debug, Default)]
pub(super) struct Packing {
    /// By kind what its jobs ask for, and the first of them.
    classes: Vec<(Ask, u32)>,
    by_ask: BTreeMap<Ask, u32>,
    /// For which job a host is kept.
    reserved: BTreeMap<HostIx, u32>,
}

/// A job that no host can take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// The job.
    pub index: u32,
    /// What it asks for.
    pub ask: Ask,
    /// The host that comes closest, and what it offers.
    pub closest: Option<(HostLabel, Offer)>,
}

impl std::fmt::Display for Unfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "asks for {}: no host offers that", self.ask)?;
        match &self.closest {
            Some((label, offer)) => write!(f, "; the closest is {label} with {offer}"),
            None => Ok(()),
        }
    }
}

impl Packing {
    /// The kind of a job that asks for this. Jobs are to be added in their order.
    pub(super) fn class(&mut self, ask: Ask, index: u32) -> u32 {
        *self.by_ask.entry(ask).or_insert_with(|| {
            self.classes.push((ask, index));
            (self.classes.len() - 1) as u32
        })
    }

    pub(super) fn ask(&self, class: u32) -> Ask {
        self.classes[class as usize].0
    }

    /// True when the host is kept for a job.
    pub(super) fn is_reserved(&self, host: HostIx) -> bool {
        self.reserved.contains_key(&host)
    }
}

/// True for jobs of one processor and nothing else, which any free slot takes.
pub(super) fn is_plain(ask: &Ask) -> bool {
    *ask == Ask::default()
}

impl Scheduler {
    pub(super) fn ask_of(&self, index: u32) -> Ask {
        self.packing.ask(self.jobs[index as usize].class)
    }

    /// A host that can begin a waiting job now, but not `avoid`.
    pub(super) fn find_host(&mut self, index: u32, avoid: Option<HostIx>) -> Option<HostIx> {
        let ask = self.ask_of(index);
        let hosts = &self.hosts;
        let fits = |host: HostIx| Some(host) != avoid && hosts[host.at()].has_free(&ask);
        let found = if is_plain(&ask) {
            self.room.pick(&mut self.rng, |host| Some(host) != avoid)
        } else {
            self.room.pick(&mut self.rng, fits)
        };
        // A host that is kept for a job takes those before it, too.
        found.or_else(|| {
            let mut kept = self.packing.reserved.iter();
            kept.find(|(host, kept)| index < **kept && fits(**host)).map(|(host, _)| *host)
        })
    }

    /// Places a job on the host that is kept for it, once it fits there.
    pub(super) fn give_out_kept(&mut self, now: Duration) -> Option<Key> {
        let mut reserved = self.packing.reserved.iter();
        let fits = |host: HostIx, index| self.hosts[host.at()].has_free(&self.ask_of(index));
        let (host, index) = reserved.find(|(host, index)| fits(**host, **index))?;
        let (host, index) = (*host, *index);
        self.packing.reserved.remove(&host);
        self.forget_waiting(index);
        Some(self.assign(now, index, host))
    }

    /// Keeps a host, but not `avoid`, for a job that none has room for; ends
    /// the job, and says so, if none ever will.
    pub(super) fn reserve_or_end(&mut self, index: u32, avoid: Option<HostIx>) -> bool {
        let ask = self.ask_of(index);
        let kept = self.packing.reserved.values().any(|kept| *kept == index);
        if is_plain(&ask) || kept {
            return false;
        }
        let free = |host: &super::Host| host.slots.saturating_sub(host.load());
        let fitting = (0..).map(HostIx).zip(&self.hosts).filter(|(ix, host)| {
            let may = Some(*ix) != avoid && !self.packing.is_reserved(*ix);
            may && host.status == Status::Up && host.offer.fits(&ask)
        });
        let freest = fitting.max_by_key(|(ix, host)| (free(host), std::cmp::Reverse(*ix)));
        if let Some((host, _)) = freest {
            self.packing.reserved.insert(host, index);
            self.refresh_room(host);
            return false;
        }
        let Some(unfit) = self.unfit(index) else { return false };
        self.end_job(index, State::Error, Some(unfit.to_string()));
        true
    }

    /// Lets hosts go that are kept for jobs which don't wait any more, or which
    /// they can't take now.
    pub(super) fn drop_stale_reservations(&mut self) {
        let stale: Vec<HostIx> = self
            .packing
            .reserved
            .iter()
            .filter(|(host, index)| {
                let state = self.jobs[**index as usize].state;
                let waits = matches!(state, JobState::Waiting | JobState::Delayed);
                let host = &self.hosts[host.at()];
                let ask = self.ask_of(**index);
                !waits || host.status != Status::Up || !host.offer.fits(&ask)
            })
            .map(|(host, _)| *host)
            .collect();
        for host in stale {
            self.packing.reserved.remove(&host);
            self.refresh_room(host);
        }
    }

    /// Why a job can't run on any host of the run; none while one of them may
    /// take it, or has not said yet what it offers.
    fn unfit(&self, index: u32) -> Option<Unfit> {
        let ask = self.ask_of(index);
        let possible = |host: &super::Host| {
            host.status != Status::Error && (!host.ever_up || host.offer.fits(&ask))
        };
        if self.hosts.iter().any(possible) {
            return None;
        }
        let known = self.hosts.iter().filter(|host| host.ever_up);
        let closest = known.min_by_key(|host| shortfall(&ask, &host.offer));
        let closest = closest.map(|host| (host.label.clone(), host.offer));
        Some(Unfit { index, ask, closest })
    }

    /// The first job of each kind that no host can take.
    #[must_use]
    pub fn unfit_jobs(&self) -> Vec<Unfit> {
        self.packing.classes.iter().filter_map(|(_, index)| self.unfit(*index)).collect()
    }

    /// True when every host has said what it offers, or can't be reached.
    #[must_use]
    pub fn all_hosts_known(&self) -> bool {
        self.hosts.iter().all(|host| host.ever_up || host.status != Status::Connecting)
    }
}

/// How far an offer stays behind, in thousandths of what is asked for.
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
