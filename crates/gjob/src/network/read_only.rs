//! A network used without a manager and without a run of its own, for several
//! hosts at once: fetch the outputs of a list of jobs, remove directories,
//! forget a run. Only the hosts concerned are reached.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gjob_core::scheduler::HostIx;
use gjob_core::text::Shown;
use gjob_core::wire::DiskUsage;
use gjob_core::{JobId, Key, RunId};
use tokio::task::JoinSet;

use super::open::{Open, Use};
use super::{Network, NetworkError, READ_ONLY_TIMEOUT, Report};
use crate::link::{ForgetRun, MeasureUsage, PurgeRuns, RemoveJobs, Request};
use crate::outputs::{CollectOrder, OutputProgress};

/// How long to wait for a report before looking again whether any is expected.
const WAIT: Duration = Duration::from_secs(60);

/// How long hosts that are to forget a refused run are waited for.
const REFUSED_TIMEOUT: Duration = Duration::from_secs(5);

/// The most jobs in one request to remove them.
const REMOVED_AT_ONCE: usize = 4096;

/// What each host has answered, or why it can't be asked, in one line.
pub type Answers<T> = BTreeMap<HostIx, Result<T, String>>;

/// How many staged files a host has removed with a run, and their bytes; or why it keeps all.
pub type Forgotten = Result<(u64, u64), Shown>;

/// What became of the directories of a host's jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removal {
    /// How many were removed; those that were gone before are not counted.
    pub gone: u64,
    /// Those that are, and why, in one line.
    pub kept: Vec<(JobId, Shown)>,
}

impl Network {
    /// Fetches outputs from several hosts at once. What comes is iterated over:
    /// each order ends with one [`OutputProgress::Collected`], whatever happens.
    ///
    /// # Errors
    /// When the network can't be opened, or a manager uses it.
    pub fn fetch_outputs(
        &mut self,
        orders: Vec<(HostIx, CollectOrder)>,
    ) -> Result<Fetching<'_>, NetworkError> {
        let open = self.open_read_only()?;
        let mut pending: BTreeMap<HostIx, BTreeSet<Key>> = BTreeMap::new();
        for (host, order) in orders {
            pending.entry(host).or_default().insert(order.key);
            open.link(host);
            open.collect(host, order);
        }
        Ok(Fetching { network: self, pending })
    }

    /// Removes the directories of jobs of `run` on several hosts at once; those
    /// that have not ended are kept. Returns what became of them, or why a host
    /// can't be asked.
    ///
    /// # Errors
    /// When the network can't be opened, or a manager uses it.
    pub fn remove_jobs(
        &mut self,
        run: &RunId,
        jobs: &BTreeMap<HostIx, Vec<(Key, JobId)>>,
    ) -> Result<Answers<Removal>, NetworkError> {
        let mut requests = Vec::new();
        for (host, jobs) in jobs {
            let label = self.label(*host);
            let batches = jobs.chunks(REMOVED_AT_ONCE).map(|jobs| RemoveJobs {
                run: run.clone(),
                host: label.clone(),
                jobs: jobs.to_vec(),
            });
            requests.push((*host, batches.collect()));
        }
        let sum = |mut removal: Removal, (gone, kept): (u32, Vec<_>)| {
            removal.gone = removal.gone.saturating_add(gone.into());
            removal.kept.extend(kept);
            removal
        };
        let answers = self.ask_hosts(requests)?;
        let removals = answers.into_iter().map(|(host, answer)| {
            (host, answer.map(|batches| batches.into_iter().fold(Removal::default(), sum)))
        });
        Ok(removals.collect())
    }

    /// Has each of `hosts` forget a run, and the staged files that only this run
    /// has used. Returns how many files each has removed and their bytes, or why
    /// it keeps all, or why a host can't be asked.
    ///
    /// # Errors
    /// When the network can't be opened, or a manager uses it.
    pub fn forget_run_on(
        &mut self,
        run: &RunId,
        hosts: &[HostIx],
    ) -> Result<Answers<Forgotten>, NetworkError> {
        let request =
            |host: &HostIx| (*host, vec![ForgetRun { run: run.clone(), host: self.label(*host) }]);
        let requests = hosts.iter().map(request).collect();
        let answers = self.ask_hosts(requests)?;
        let one = |answers: Vec<_>| answers.into_iter().next().unwrap_or(Ok((0, 0)));
        let removed = answers.into_iter().map(|(host, answer)| (host, answer.map(one)));
        Ok(removed.collect())
    }

    /// Has hosts forget a run of which nothing was started. One that does not answer soon
    /// keeps what it has of it, which is next to nothing.
    pub(crate) fn forget_refused_run(&mut self, run: &RunId, hosts: Vec<HostIx>) {
        let requests: Vec<(HostIx, ForgetRun)> = hosts
            .into_iter()
            .map(|host| (host, ForgetRun { run: run.clone(), host: self.label(host) }))
            .collect();
        let Ok(open) = self.open_to_ask() else { return };
        let calls: Vec<_> =
            requests.into_iter().map(|(host, request)| (open.link(host), request)).collect();
        let runtime = open.runtime.handle().clone();
        open.block_on(async move {
            let mut tasks = JoinSet::new();
            for (link, request) in calls {
                let ask = async move { drop(link.ask(&request, Some(REFUSED_TIMEOUT)).await) };
                tasks.spawn_on(ask, &runtime);
            }
            let _ = tokio::time::timeout(REFUSED_TIMEOUT, tasks.join_all()).await;
        });
        self.close();
    }

    /// Asks all hosts at once how much room gjob takes there. Returns that, or why a host
    /// can't be asked.
    ///
    /// # Errors
    /// When the network can't be opened.
    pub fn disk_usage(&mut self) -> Result<Answers<DiskUsage>, NetworkError> {
        let hosts = (0..self.hosts.len() as u32).map(HostIx);
        let answers = self.ask_hosts(hosts.map(|host| (host, vec![MeasureUsage])).collect())?;
        let one = |answers: Vec<DiskUsage>| {
            answers.into_iter().next().ok_or_else(|| "no answer".to_owned())
        };
        Ok(answers.into_iter().map(|(host, answer)| (host, answer.and_then(one))).collect())
    }

    /// Has each host remove all that it has of some runs, with the directories of their
    /// jobs. Returns those that stay, and why, or why a host can't be asked.
    ///
    /// # Errors
    /// When the network can't be opened.
    pub fn purge_runs(
        &mut self,
        runs: Vec<(HostIx, Vec<RunId>)>,
    ) -> Result<Answers<Vec<(RunId, Shown)>>, NetworkError> {
        let requests = runs.into_iter().map(|(host, runs)| (host, vec![PurgeRuns(runs)]));
        let answers = self.ask_hosts(requests.collect())?;
        let all = |answers: Vec<Vec<_>>| answers.into_iter().flatten().collect();
        Ok(answers.into_iter().map(|(host, answer)| (host, answer.map(all))).collect())
    }

    /// Asks several hosts at once, each some requests one after the other, again
    /// if a connection ends before the answer. A host that does not answer for
    /// [`READ_ONLY_TIMEOUT`] is given up.
    pub(super) fn ask_hosts<R: Request + Sync>(
        &mut self,
        requests: Vec<(HostIx, Vec<R>)>,
    ) -> Result<Answers<Vec<R::Answer>>, NetworkError> {
        let open = self.open_to_ask()?;
        let mut tasks = JoinSet::new();
        for (host, requests) in requests {
            let link = open.link(host);
            let ask_all = async move {
                let mut answers = Vec::with_capacity(requests.len());
                for request in &requests {
                    let answer = link.ask(request, Some(READ_ONLY_TIMEOUT)).await;
                    answers.push(answer.map_err(|error| error.reason)?);
                }
                Ok(answers)
            };
            tasks.spawn_on(async move { (host, ask_all.await) }, open.runtime.handle());
        }
        Ok(open.block_on(async move { tasks.join_all().await.into_iter().collect() }))
    }

    /// The network opened for nothing but to ask.
    fn open_read_only(&mut self) -> Result<&mut Open, NetworkError> {
        match self.open.as_ref().map(|open| open.purpose) {
            Some(Use::Managed) => return Err(NetworkError::Managed),
            Some(Use::ReadOnly) => {}
            Some(Use::Direct) | None => self.close(),
        }
        self.open_to_ask()
    }

    /// The network opened for whatever it is, else for nothing but to ask.
    pub(super) fn open_to_ask(&mut self) -> Result<&mut Open, NetworkError> {
        let open = match self.open.take() {
            Some(open) => open,
            None => Open::read_only(self)?,
        };
        Ok(self.open.insert(open))
    }
}

/// Outputs on their way; see [`Network::fetch_outputs`].
#[derive(Debug)]
pub struct Fetching<'a> {
    network: &'a mut Network,
    /// Orders that have not ended.
    pending: BTreeMap<HostIx, BTreeSet<Key>>,
}

impl Iterator for Fetching<'_> {
    type Item = (HostIx, OutputProgress);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.pending.retain(|_, keys| !keys.is_empty());
            if self.pending.is_empty() {
                return None;
            }
            // Other reports tell what the tasks that fetch know by themselves.
            let Some((host, Report::Output(progress))) = self.network.next(WAIT) else { continue };
            if let OutputProgress::Collected { key, .. } = &progress
                && !self.pending.get_mut(&host).is_some_and(|keys| keys.remove(key))
            {
                continue;
            }
            return Some((host, progress));
        }
    }
}
