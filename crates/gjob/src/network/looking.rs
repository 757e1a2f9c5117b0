//! A network used to look at several hosts at once, without a manager: fetch
//! the outputs of a list of jobs, remove directories, forget a run.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use gjob_core::scheduler::HostIx;
use gjob_core::{JobId, Key, RunId};

use super::direct::PATIENCE;
use super::open::{Open, Use};
use super::{Network, NetworkError, Report};
use crate::outputs::{CollectError, CollectOrder, CollectScope, CollectedOutputs};

/// How long to wait for news before hosts' patience is looked at.
const WAIT: Duration = Duration::from_secs(1);

/// What is heard while outputs are fetched.
#[derive(Debug)]
pub enum OutputNews {
    /// How far a large file has come, see [`Report::Collecting`].
    Collecting {
        /// The order's.
        key: Key,
        /// Below the job's directory; fit to be shown.
        path: String,
        /// Bytes that are here.
        bytes: u64,
        /// Bytes in all.
        size: u64,
    },
    /// An order is carried out, or can't be.
    Collected {
        /// The order's.
        key: Key,
        /// What came, or why not.
        result: Result<CollectedOutputs, CollectError>,
    },
}

/// What each host has answered, or why it can't be asked, in one line.
pub type Answers<T> = BTreeMap<HostIx, Result<T, String>>;

/// What became of the directories of a host's jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removal {
    /// How many are not there any more.
    pub gone: u64,
    /// Those that are, and why, in one line.
    pub kept: Vec<(JobId, String)>,
}

impl Network {
    /// Fetches outputs from several hosts at once. What comes is iterated over:
    /// each order ends with one [`OutputNews::Collected`], whatever happens.
    ///
    /// # Errors
    /// When the network can't be opened, or a manager uses it.
    pub fn fetch_outputs(
        &mut self,
        orders: Vec<(HostIx, CollectOrder)>,
    ) -> Result<Fetching<'_>, NetworkError> {
        self.look()?;
        let mut pending: BTreeMap<HostIx, BTreeSet<Key>> = BTreeMap::new();
        for (host, order) in orders {
            pending.entry(host).or_default().insert(order.key);
            self.collect(host, order);
        }
        let patience = Patience::new(self, pending.keys().copied());
        Ok(Fetching { network: self, pending, patience, failed: VecDeque::new() })
    }

    /// Removes the directories of jobs of `run` on several hosts at once; gives
    /// back what became of them, or why a host can't be asked.
    ///
    /// # Errors
    /// When the network can't be opened, or a manager uses it.
    pub fn remove_jobs(
        &mut self,
        run: &RunId,
        jobs: &BTreeMap<HostIx, Vec<(Key, JobId)>>,
    ) -> Result<Answers<Removal>, NetworkError> {
        let ask = |network: &mut Network, host| match jobs.get(&host) {
            Some(jobs) => network.remove(host, run, jobs),
            None => Vec::new(),
        };
        let take = |removal: &mut Removal, report| match report {
            Report::Removed { request, gone, kept } => {
                removal.gone += u64::from(gone);
                removal.kept.extend(kept);
                Some(Ok(request))
            }
            _ => None,
        };
        self.ask_each(jobs.keys().copied().collect(), ask, take)
    }

    /// Has each of `hosts` forget a run; gives back how many files each has
    /// removed and their bytes, or why nothing was.
    ///
    /// # Errors
    /// When the network can't be opened, or a manager uses it.
    pub fn forget_run_on(
        &mut self,
        run: &RunId,
        hosts: &[HostIx],
    ) -> Result<Answers<(u64, u64)>, NetworkError> {
        let ask = |network: &mut Network, host| vec![network.forget_run(host, run)];
        let take = |removed: &mut (u64, u64), report| match report {
            Report::Forgotten { request, result } => Some(result.map(|found| {
                *removed = found;
                request
            })),
            _ => None,
        };
        self.ask_each(hosts.iter().copied().collect(), ask, take)
    }

    /// Opens the network to look, to all of its hosts at once.
    fn look(&mut self) -> Result<(), NetworkError> {
        match self.open.as_ref().map(|open| open.purpose) {
            Some(Use::Managed) => Err(NetworkError::Managed),
            Some(Use::Looking) => Ok(()),
            Some(Use::Direct) | None => {
                self.close();
                self.open = Some(Open::to_look(self)?);
                Ok(())
            }
        }
    }

    /// Asks hosts once they answer, again if the link breaks before they have,
    /// and puts together what they say: `take` gives back the number of the
    /// request that a report answers, or why it was refused.
    fn ask_each<T: Default>(
        &mut self,
        mut left: BTreeSet<HostIx>,
        mut ask: impl FnMut(&mut Network, HostIx) -> Vec<u32>,
        mut take: impl FnMut(&mut T, Report) -> Option<Result<u32, String>>,
    ) -> Result<Answers<T>, NetworkError> {
        self.look()?;
        let mut patience = Patience::new(self, left.iter().copied());
        let mut answers = BTreeMap::new();
        let mut asked: BTreeMap<HostIx, (Vec<u32>, T)> = BTreeMap::new();
        for host in left.clone() {
            if patience.is_up(host) {
                asked.insert(host, (ask(self, host), T::default()));
            }
        }
        while !left.is_empty() {
            if let Some((host, report)) = self.next(WAIT) {
                patience.handle(host, &report);
                if let (Report::Up(_), true) = (&report, left.contains(&host)) {
                    asked.insert(host, (ask(self, host), T::default()));
                } else if let Report::Down { .. } = report {
                    asked.remove(&host);
                } else if let Some((requests, answer)) = asked.get_mut(&host) {
                    match take(answer, report) {
                        Some(Ok(request)) => requests.retain(|asked| *asked != request),
                        Some(Err(reason)) => drop(answers.insert(host, Err(reason))),
                        None => {}
                    }
                }
            }
            for (host, reason) in patience.exhausted() {
                answers.entry(host).or_insert(Err(reason));
            }
            let whole = |(_, (requests, _)): &(&HostIx, &(Vec<u32>, T))| requests.is_empty();
            for host in asked.iter().filter(whole).map(|(host, _)| *host).collect::<Vec<_>>() {
                if let Some((_, answer)) = asked.remove(&host) {
                    answers.entry(host).or_insert(Ok(answer));
                }
            }
            left.retain(|host| !answers.contains_key(host));
        }
        Ok(answers)
    }
}

/// Outputs on their way; see [`Network::fetch_outputs`].
#[derive(Debug)]
pub struct Fetching<'a> {
    network: &'a mut Network,
    /// Orders that have not ended.
    pending: BTreeMap<HostIx, BTreeSet<Key>>,
    patience: Patience,
    /// Orders that ended with their host.
    failed: VecDeque<(HostIx, Key, CollectError)>,
}

impl Iterator for Fetching<'_> {
    type Item = (HostIx, OutputNews);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((host, key, error)) = self.failed.pop_front() {
                return Some((host, OutputNews::Collected { key, result: Err(error) }));
            }
            self.pending.retain(|_, keys| !keys.is_empty());
            if self.pending.is_empty() {
                return None;
            }
            if let Some((host, report)) = self.network.next(WAIT) {
                self.patience.handle(host, &report);
                if let Some(news) = self.take(host, report) {
                    return Some((host, news));
                }
            }
            for (host, reason) in self.patience.exhausted() {
                self.fail(host, &reason);
            }
        }
    }
}

impl Fetching<'_> {
    fn take(&mut self, host: HostIx, report: Report) -> Option<OutputNews> {
        match report {
            Report::Collecting { key, path, bytes, size } => {
                Some(OutputNews::Collecting { key, path, bytes, size })
            }
            Report::Collected { key, result } if self.pending.get_mut(&host)?.remove(&key) => {
                Some(OutputNews::Collected { key, result })
            }
            _ => None,
        }
    }

    fn fail(&mut self, host: HostIx, reason: &str) {
        for key in self.pending.remove(&host).unwrap_or_default() {
            self.network.forget_collect(host, key);
            let error = CollectError { scope: CollectScope::Host, reason: reason.to_owned() };
            self.failed.push_back((host, key, error));
        }
    }
}

/// For how long hosts that don't answer are waited for.
#[derive(Debug)]
struct Patience {
    /// Since when and why a host doesn't answer; those that do are not in it.
    silent: BTreeMap<HostIx, (Instant, String)>,
    up: BTreeSet<HostIx>,
    gone: BTreeMap<HostIx, String>,
}

impl Patience {
    fn new(network: &Network, hosts: impl Iterator<Item = HostIx>) -> Self {
        let is_up = |host: &HostIx| network.open.as_ref().is_some_and(|open| open.is_up(*host));
        let (up, silent): (BTreeSet<_>, BTreeSet<_>) = hosts.partition(is_up);
        let since = Instant::now();
        let silent = silent.into_iter().map(|host| (host, (since, "no answer".to_owned())));
        Patience { silent: silent.collect(), up, gone: BTreeMap::new() }
    }

    fn is_up(&self, host: HostIx) -> bool {
        self.up.contains(&host)
    }

    fn handle(&mut self, host: HostIx, report: &Report) {
        match report {
            Report::Up(_) => {
                self.silent.remove(&host);
                self.up.insert(host);
            }
            Report::Down { reason } => {
                self.up.remove(&host);
                let silence = (Instant::now(), String::new());
                self.silent.entry(host).or_insert(silence).1.clone_from(reason);
            }
            Report::Failed { reason } => {
                self.up.remove(&host);
                self.gone.insert(host, reason.clone());
            }
            _ => {}
        }
    }

    /// Hosts that are not waited for any longer, and why.
    fn exhausted(&mut self) -> Vec<(HostIx, String)> {
        let mut exhausted: Vec<_> = std::mem::take(&mut self.gone).into_iter().collect();
        self.silent.retain(|host, (since, reason)| {
            let wait = since.elapsed() < PATIENCE;
            if !wait {
                exhausted.push((*host, std::mem::take(reason)));
            }
            wait
        });
        exhausted
    }
}
