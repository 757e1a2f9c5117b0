//! The network: the hosts of a run and the one link to each (the seed's
//! `Network`). It stages the files that launches need, fetches jobs' output,
//! and hands on what the hosts report. It decides nothing.
//!
//! A [`Manager`](crate::Manager) drives one; it can also be used by itself:
//! [`Network::launch_job`] and the `get_*` methods open it when needed.

mod collect;
mod describe;
mod direct;
mod error;
mod fetch;
mod follow;
mod hosts;
mod incoming;
mod open;
mod open_host;
mod probe;
mod read_only;
mod staging;

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gjob_core::event::ClockOffset;
use gjob_core::scheduler::HostIx;
use gjob_core::wire::{ManagedAt, Sharing, Stream, ToAgent, Welcome};
use gjob_core::{Epoch, HostLabel, JobId, JobSpec, Key, Order, Record, RunId};

use crate::inputs::Inputs;
use crate::link::{Call, ConnectStage, HostPlan, LinkCommand, RequestEcho};
pub use crate::open_files::TooFewFiles;
use crate::outputs::{OutputProgress, OutputsConfig};
use crate::program::Programs;
use crate::settings::NetworkSettings;
pub use describe::DescribedHost;
pub use direct::Followed;
pub use error::NetworkError;
pub use fetch::{Fetched, Gap, Output};
pub use follow::{Following, Printed, Wanted};
use open::Open;
use open::Use;
pub use read_only::{Answers, Fetching, Forgotten, Removal};
pub(crate) use staging::{Origin, Placed};

/// How long a host may be silent when no manager waits for it.
const READ_ONLY_TIMEOUT: Duration = Duration::from_secs(60);

/// What a host reports, link by link.
#[derive(Debug)]
pub enum Report {
    /// The host answers.
    Up(Box<Welcome>),
    /// The host has not answered yet, and is still waited for.
    Slow {
        /// Why, in one line.
        reason: String,
    },
    /// The host has said nothing for so long, though its link stands; or says something
    /// again after so long.
    Silence {
        /// How long.
        silence: Duration,
        /// True when it says something again.
        is_over: bool,
    },
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
    /// Its launches wait for what others use of its machine, or wait no more.
    Sharing(Sharing),
    /// More of its run log.
    Records {
        /// The records, in order.
        records: Vec<Record>,
        /// Where they end in the log, bytes.
        end: u64,
        /// Lines among them that are no records.
        skipped: u32,
    },
    /// The host has told all that it had begun when [`Network::ask_to_tell`] was called.
    Told {
        /// As in [`Report::HostCount`].
        hosts: u32,
    },
    /// The answer to [`Network::tell_host_count`].
    HostCount {
        /// The greatest number of hosts of the run that the host has kept.
        hosts: u32,
    },
    /// A record that is no part of what follows on the run log: the host had no space for a
    /// launch, or says again what it has recorded of an attempt.
    Recorded(Box<Record>),
    /// A launch was not sent, since a file for it could not be staged: as a refusal. If that
    /// is the job's fault, it was found out on this side.
    Unsent(Box<Record>),
    /// An output asked for with [`Network::fetch`] is here, or can't be had.
    Fetched(Box<Fetched>),
    /// How far the host's clock is from this one's.
    Clock(ClockOffset),
    /// How long a message to the host and its answer take, when that has changed much.
    RoundTrip(Duration),
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
    /// How the fetching of outputs asked for with [`Network::collect`] goes on.
    Output(OutputProgress),
    /// A connection is being opened, and takes a while.
    Connecting(ConnectStage),
    /// The worker program is not there and is being sent.
    Uploading {
        /// How many bytes that takes.
        bytes: u64,
    },
}

/// The hosts jobs may run on, and how to reach them.
#[derive(Debug)]
pub struct Network {
    hosts: Vec<Arc<HostPlan>>,
    positions: HashMap<HostLabel, HostIx>,
    /// What the plans were made of.
    settings: NetworkSettings,
    programs: Arc<Programs>,
    outputs: Option<OutputsConfig>,
    managed: ManagedAt,
    open: Option<Open>,
    /// Of jobs launched without a manager.
    next_index: u32,
}

impl Network {
    /// The plans of the hosts, in their order.
    #[must_use]
    pub fn hosts(&self) -> &[Arc<HostPlan>] {
        &self.hosts
    }

    /// The hosts of the network (the seed's `GetHosts`).
    #[must_use]
    pub fn get_hosts(&self) -> Vec<HostLabel> {
        self.hosts.iter().map(|plan| plan.label().clone()).collect()
    }

    /// The position of a host.
    #[must_use]
    pub fn position(&self, label: &HostLabel) -> Option<HostIx> {
        self.positions.get(label).copied()
    }

    /// Says to hosts where the run is managed.
    #[must_use]
    pub(crate) fn managed_at(mut self, managed: ManagedAt) -> Self {
        self.managed = managed;
        self
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
        self.open_managed(run, epoch, offsets, inputs, None)
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
        self.open_managed(run, epoch, offsets, Inputs::default(), Some(hosts))
    }

    /// The same for these hosts, or all.
    ///
    /// # Errors
    /// As [`Network::open`].
    pub(crate) fn open_managed(
        &mut self,
        run: &RunId,
        epoch: Epoch,
        offsets: &[u64],
        inputs: Inputs,
        only: Option<&BTreeSet<HostIx>>,
    ) -> Result<(), NetworkError> {
        self.close();
        let mut open = Open::new(self, Use::Managed, Some(run), epoch, offsets, inputs)?;
        open.reach(only);
        self.open = Some(open);
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

    /// Sends an attempt to a host, behind the files of this revision that it needs and that
    /// are not there.
    pub fn launch(&mut self, host: HostIx, key: Key, spec: &JobSpec, revision: u32) {
        self.launch_with(host, key, spec, LaunchAt { revision, ..LaunchAt::default() });
    }

    /// The same, with what is none of the job's own.
    pub(crate) fn launch_with(&mut self, host: HostIx, key: Key, spec: &JobSpec, at: LaunchAt) {
        if let Some(open) = &mut self.open {
            open.launch(host, key, spec, at);
        }
    }

    /// Takes in other plans for its hosts, and those of hosts that were added, which are
    /// behind the others. They count for links that are opened from now on.
    ///
    /// # Errors
    /// As [`Network::new`].
    pub(crate) fn set_settings(&mut self, settings: NetworkSettings) -> Result<(), NetworkError> {
        self.hosts = settings.plan_hosts()?;
        self.positions = positions(&self.hosts);
        self.settings = settings;
        if let Some(open) = &mut self.open {
            open.set_plans(self.hosts.clone());
        }
        Ok(())
    }

    /// Opens the link to a host, anew if it is open.
    pub(crate) fn reopen(&mut self, host: HostIx) {
        if let Some(open) = &mut self.open {
            open.reopen(host);
        }
    }

    /// Adds files of another revision.
    pub(crate) fn add_inputs(&mut self, inputs: Inputs) {
        if let Some(open) = &mut self.open {
            open.add_inputs(inputs);
        }
    }

    /// Asks a host what it has begun of the run: its run log follows, and then
    /// [`Report::Told`].
    pub fn ask_to_tell(&mut self, host: HostIx) {
        self.send(host, ToAgent::Tell);
    }

    /// Tells a host how many hosts the run has had, which it keeps. Answered by
    /// [`Report::HostCount`].
    pub fn tell_host_count(&mut self, host: HostIx, hosts: u32) {
        self.send(host, ToAgent::HostCount { hosts });
    }

    /// Asks an attempt back that was not started.
    pub fn withdraw(&mut self, host: HostIx, key: Key) {
        self.forget_launch(host, key);
        self.send(host, ToAgent::Withdraw { key });
    }

    /// Orders a host to end, pause or resume an attempt. One that is to be killed
    /// and was not sent yet is not sent any more.
    pub fn order(&mut self, host: HostIx, key: Key, order: Order) {
        match order {
            Order::Kill { .. } => self.forget_launch(host, key),
            Order::Pause | Order::Resume => {}
        }
        self.send(host, ToAgent::Order { key, order });
    }

    /// Asks a host for an acknowledgement of all that was sent to it before. None
    /// when it is not reached.
    pub fn acknowledge(&mut self, host: HostIx) -> Option<Acknowledgement> {
        let reached = self.open.as_ref()?.hosts[host.at()].reached.as_ref()?;
        let call = reached.link.sender().call(&RequestEcho);
        Some(Acknowledgement { call, acknowledged: false })
    }

    /// Closes the link to a host for good. Nothing is reported of it any more.
    pub fn reject(&mut self, host: HostIx, reason: &str) {
        if let Some(open) = &mut self.open {
            open.close_link(host, reason);
        }
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

    /// Asks for an output of a job that has ended, which has `size` bytes;
    /// [`Report::Fetched`] brings it, or the first and last part of a large one.
    pub fn fetch(&mut self, host: HostIx, id: JobId, stream: Stream, size: u64) {
        if let Some(open) = &mut self.open {
            open.fetch(host, id, stream, size);
        }
    }

    fn send(&mut self, host: HostIx, message: gjob_core::wire::ToAgent) {
        if let Some(open) = &mut self.open {
            open.send(host, LinkCommand::Send(message));
        }
    }

    fn label(&self, host: HostIx) -> HostLabel {
        self.hosts[host.at()].label().clone()
    }
}

/// Where each host is.
fn positions(hosts: &[Arc<HostPlan>]) -> HashMap<HostLabel, HostIx> {
    (0..).zip(hosts).map(|(at, plan)| (plan.label().clone(), HostIx(at))).collect()
}

impl Drop for Network {
    fn drop(&mut self) {
        self.close();
    }
}

/// What an attempt gets besides what its job asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct LaunchAt {
    /// The revision of its files.
    pub(crate) revision: u32,
    /// Directories that are none of the job's own files.
    pub(crate) others: Vec<Placed>,
    /// The directory of its host's set-up, which it finds in `GJOB_SETUP_DIR`.
    pub(crate) setup_dir: Option<String>,
    /// It is run once on its host besides the jobs.
    pub(crate) is_task: bool,
}

/// An acknowledgement that was asked for. [`Network::next`] takes it in, and
/// returns when it has come.
#[derive(Debug)]
pub struct Acknowledgement {
    call: Call<()>,
    acknowledged: bool,
}

/// How an acknowledgement stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledged {
    /// The host has handled all that was sent to it before.
    Yes,
    /// It has not answered yet.
    NotYet,
    /// It won't: the connection has ended.
    Lost,
}

impl Acknowledgement {
    /// How it stands now.
    pub fn state(&mut self) -> Acknowledged {
        match self.acknowledged.then_some(Ok(())).or_else(|| self.call.try_answer()) {
            None => Acknowledged::NotYet,
            Some(Err(_)) => Acknowledged::Lost,
            Some(Ok(())) => {
                self.acknowledged = true;
                Acknowledged::Yes
            }
        }
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
