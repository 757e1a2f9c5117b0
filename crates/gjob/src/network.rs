//! The network: the hosts of a run and the one link to each (the seed's
//! `Network`). It stages the files that launches need, fetches jobs' output,
//! and hands on what the hosts report. It decides nothing.
//!
//! A [`Manager`](crate::Manager) drives one; it can also be used by itself:
//! [`Network::launch_job`] and the `get_*` methods open it when needed.

mod collect;
mod direct;
mod error;
mod fetch;
mod looking;
mod member;
mod open;
mod staging;

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gjob_core::hosts::Cluster;
use gjob_core::scheduler::HostIx;
use gjob_core::wire::{Stream, Welcome};
use gjob_core::{Epoch, HostEntry, HostLabel, JobId, JobSpec, Key, Order, Record, RunId, State};

use crate::inputs::Inputs;
use crate::link::{Arrival, LinkCommand, Transport};
use crate::outputs::{CollectError, CollectedOutputs, OutputsConfig};
use crate::program::Programs;
use crate::settings::RunSettings;
pub use error::NetworkError;
pub use fetch::{Fetched, Output};
pub use looking::{Answers, Fetching, OutputNews, Removal};
use member::Member;
use open::{Open, Use};

/// Room for staged files in a results directory, bytes.
pub const DEFAULT_BLOB_BUDGET: u64 = 20 << 30;

/// What a host reports, link by link.
#[derive(Debug)]
pub enum Report {
    /// The host answers.
    Up(Box<Welcome>),
    /// The host can't be asked now; its link tries again.
    Down {
        /// Why, in one line.
        reason: String,
    },
    /// The host can't be used; its link has given up.
    Failed {
        /// Why, in one line.
        reason: String,
    },
    /// More of its run log.
    Records {
        /// The records, in order.
        records: Vec<Record>,
        /// Where they end in the log, bytes.
        end: u64,
    },
    /// A launch was not sent, because a file for it could not be staged.
    /// It will not start; the record says why.
    NotSent(Record),
    /// An output asked for with [`Network::fetch`] is here, or can't be had.
    Fetched(Box<Fetched>),
    /// What job directories say, as asked.
    Statuses {
        /// The question's number.
        request: u32,
        /// A state each, in the order asked.
        states: Vec<State>,
    },
    /// The host has handled all that was sent before [`Network::ask_echo`].
    Echo {
        /// The question's number.
        request: u32,
    },
    /// A larger file is on its way to the host: about once a second, and when
    /// all of it has come.
    Staging {
        /// The file here; the directory, if it is one's list.
        path: PathBuf,
        /// Bytes that are there.
        bytes: u64,
        /// Its size, bytes.
        size: u64,
    },
    /// Outputs asked for with [`Network::collect`] are here, durable and under
    /// their name; or they can't be had.
    Collected {
        /// The order's.
        key: Key,
        /// What came, or why not.
        result: Result<CollectedOutputs, CollectError>,
    },
    /// How far a large file of a job's outputs has come; at most once a second.
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
    /// The answer to one request of [`Network::remove`].
    Removed {
        /// Its number.
        request: u32,
        /// How many of the directories are not there any more.
        gone: u32,
        /// Those that are, and why, in one line.
        kept: Vec<(JobId, String)>,
    },
    /// The answer to [`Network::forget_run`].
    Forgotten {
        /// Its number.
        request: u32,
        /// Files removed, and their bytes; or why nothing was, in one line.
        result: Result<(u64, u64), String>,
    },
    /// The worker program is not there and is being sent.
    Uploading {
        /// How many bytes that takes.
        bytes: u64,
    },
}

/// The hosts jobs may run on, and how to reach them.
#[derive(Debug)]
pub struct Network {
    results_dir: String,
    members: Vec<Member>,
    positions: HashMap<HostLabel, HostIx>,
    programs: Arc<Programs>,
    ssh_config: Option<PathBuf>,
    default_slots: Option<u32>,
    lease: Option<Duration>,
    blob_budget: u64,
    outputs: Option<OutputsConfig>,
    open: Option<Open>,
    /// Of jobs launched without a manager.
    next_index: u32,
    next_request: u32,
}

impl Network {
    /// A network of the workers of `clusters`, with job directories below
    /// `results_dir` on each; a relative one is below the home directory there.
    ///
    /// # Errors
    /// When there is no host, one is named twice, or a name can't be a host's.
    pub fn new(
        results_dir: impl Into<String>,
        clusters: impl IntoIterator<Item = Cluster>,
    ) -> Result<Self, NetworkError> {
        let results_dir = results_dir.into();
        if results_dir.contains(['\0', '\n']) {
            return Err(NetworkError::ResultsDir(results_dir));
        }
        let entries = clusters.into_iter().flat_map(|cluster| cluster.workers);
        let members = entries.map(Member::new).collect::<Result<Vec<_>, _>>()?;
        if members.is_empty() {
            return Err(NetworkError::NoHosts);
        }
        let mut positions = HashMap::with_capacity(members.len());
        for (at, member) in (0..).zip(&members) {
            if positions.insert(member.label.clone(), HostIx(at)).is_some() {
                return Err(NetworkError::SameHost(member.label.clone()));
            }
        }
        Ok(Network {
            results_dir,
            members,
            positions,
            programs: Arc::new(Programs::new()),
            ssh_config: None,
            default_slots: None,
            lease: None,
            blob_budget: DEFAULT_BLOB_BUDGET,
            outputs: None,
            open: None,
            next_index: 0,
            next_request: 0,
        })
    }

    /// The network of a run's settings.
    ///
    /// # Errors
    /// As [`Network::new`], or when a program is for no known kind of host.
    pub fn from_settings(settings: &RunSettings) -> Result<Self, NetworkError> {
        let mut programs = Programs::new();
        for (platform, path) in &settings.agents {
            programs = programs.with_agent(platform.parse()?, path);
        }
        let hosts = settings.hosts.iter().cloned().map(HostEntry::from).collect();
        let network = Network::new(settings.results_dir.clone(), [Cluster::of_hosts(hosts)])?;
        Ok(network
            .ssh_config(settings.ssh_config.clone())
            .slots(settings.slots)
            .lease(settings.lease())
            .blob_budget(settings.blob_budget)
            .programs(programs))
    }

    /// Uses another ssh configuration than the user's (`ssh -F`).
    #[must_use]
    pub fn ssh_config(mut self, file: Option<PathBuf>) -> Self {
        self.ssh_config = file;
        self
    }

    /// Sets how many jobs a host runs at once where its entry doesn't say.
    #[must_use]
    pub fn slots(mut self, slots: Option<u32>) -> Self {
        self.default_slots = slots;
        self
    }

    /// Has hosts end a run's jobs themselves when they have heard nothing from
    /// here for so long (`--on-lost lease`).
    #[must_use]
    pub fn lease(mut self, lease: Option<Duration>) -> Self {
        self.lease = lease;
        self
    }

    /// Sets how much room staged files may take in a results directory, bytes;
    /// files in use stay, whatever that is.
    #[must_use]
    pub fn blob_budget(mut self, budget: Option<u64>) -> Self {
        self.blob_budget = budget.unwrap_or(DEFAULT_BLOB_BUDGET);
        self
    }

    /// Sets which programs may be sent to hosts.
    #[must_use]
    pub fn programs(mut self, programs: Programs) -> Self {
        self.programs = Arc::new(programs);
        self
    }

    /// The hosts of the network (the seed's `GetHosts`).
    #[must_use]
    pub fn get_hosts(&self) -> Vec<HostLabel> {
        self.members.iter().map(|member| member.label.clone()).collect()
    }

    /// The position of a host.
    #[must_use]
    pub fn position(&self, label: &HostLabel) -> Option<HostIx> {
        self.positions.get(label).copied()
    }

    /// Opens a link to every host, for `run`. `offsets` says how far each
    /// host's run log is known already; `inputs` has the files of its jobs.
    ///
    /// # Errors
    /// When the runtime that drives the links can't be started.
    pub fn open(
        &mut self,
        run: &RunId,
        epoch: Epoch,
        offsets: &[u64],
        inputs: Inputs,
    ) -> Result<(), NetworkError> {
        self.close();
        self.open = Some(Open::new(self, Use::Managed, Some(run), epoch, offsets, inputs, None)?);
        Ok(())
    }

    /// The same for some hosts: no other is reached, and no file is sent.
    ///
    /// # Errors
    /// As [`Network::open`].
    pub fn open_only(
        &mut self,
        run: &RunId,
        epoch: Epoch,
        offsets: &[u64],
        hosts: &BTreeSet<HostIx>,
    ) -> Result<(), NetworkError> {
        self.close();
        let (purpose, inputs) = (Use::Managed, Inputs::default());
        self.open = Some(Open::new(self, purpose, Some(run), epoch, offsets, inputs, Some(hosts))?);
        Ok(())
    }

    /// Closes the links. Jobs on the hosts go on.
    pub fn close(&mut self) {
        if let Some(open) = self.open.take() {
            open.close();
        }
    }

    /// What a host reports next; none after `wait`, or when woken.
    pub fn next(&mut self, wait: Duration) -> Option<(HostIx, Report)> {
        self.open.as_mut()?.next(Some(wait))
    }

    /// What a host has reported already, if anything.
    pub fn try_next(&mut self) -> Option<(HostIx, Report)> {
        self.open.as_mut()?.next(None)
    }

    /// Wakes [`Network::next`] from another thread.
    #[must_use]
    pub fn waker(&self) -> Option<Waker> {
        self.open.as_ref().map(|open| Waker(open.wake.clone()))
    }

    /// Sends an attempt to a host, behind the files it needs that are not there.
    pub fn launch(&mut self, host: HostIx, key: Key, spec: &JobSpec) {
        if let Some(open) = &mut self.open {
            open.launch(host, key, spec);
        }
    }

    /// Asks an attempt back that was not started.
    pub fn withdraw(&mut self, host: HostIx, key: Key) {
        self.forget_launch(host, key);
        self.send(host, gjob_core::wire::ToAgent::Withdraw { key });
    }

    /// Orders a host to end, pause or resume an attempt. One that is to be killed
    /// and was not sent yet is not sent any more.
    pub fn order(&mut self, host: HostIx, key: Key, order: Order) {
        match order {
            Order::Kill { .. } => self.forget_launch(host, key),
            Order::Pause | Order::Resume => {}
        }
        self.send(host, gjob_core::wire::ToAgent::Order { key, order });
    }

    /// Asks a host for an acknowledgement, [`Report::Echo`] with this number: when
    /// it comes, the host has handled all that was sent to it before.
    pub fn ask_echo(&mut self, host: HostIx) -> u32 {
        let request = self.number_request();
        self.send(host, gjob_core::wire::ToAgent::Echo { request });
        request
    }

    fn forget_launch(&mut self, host: HostIx, key: Key) {
        if let Some(open) = &mut self.open {
            open.forget_launch(host, key);
        }
    }

    /// Notes that a host's run log is applied up to there: a link that is
    /// opened anew begins at that point.
    pub fn set_offset(&mut self, host: HostIx, offset: u64) {
        if let Some(open) = &mut self.open {
            open.set_offset(host, offset);
        }
    }

    /// Asks for a job's output from a byte on; [`Report::Fetched`] brings it.
    pub fn fetch(&mut self, host: HostIx, id: JobId, stream: Stream, from: u64) {
        if let Some(open) = &mut self.open {
            open.fetch(host, id, stream, from);
        }
    }

    fn send(&mut self, host: HostIx, message: gjob_core::wire::ToAgent) {
        if let Some(open) = &mut self.open {
            open.send(host, LinkCommand::Send(message));
        }
    }

    fn transport(&self, entry: &HostEntry) -> Transport {
        if entry.is_local() {
            Transport::Local
        } else {
            Transport::Ssh { config_file: self.ssh_config.clone() }
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.close();
    }
}

/// Wakes a waiting [`Network`].
#[derive(Clone, Debug, Default)]
pub struct Waker(Arc<tokio::sync::Notify>);

impl Waker {
    /// Makes [`Network::next`] return.
    pub fn wake(&self) {
        self.0.notify_one();
    }
}

/// What came over a link, with its host's position.
type Inbox = tokio::sync::mpsc::Receiver<Arrival>;
