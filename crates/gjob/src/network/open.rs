//! An open network: its links, the tasks that use them, and the one place where
//! all that they report is taken in. What it means is in `incoming`.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use gjob_core::request::JobRequest;
use gjob_core::scheduler::HostIx;
use gjob_core::wire::{Launch, ManagedAt, Stream};
use gjob_core::{Epoch, JobId, JobSpec, Key, RunId};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use super::fetch::{Fetched, PIECE_TIMEOUT, Rooms, fetch};
use super::open_host::{OpenHost, Reached};
use super::staging::Staging;
use super::{LaunchAt, Network, NetworkError, READ_ONLY_TIMEOUT, Report};
use crate::inputs::Inputs;
use crate::link::{
    self, Arrival, Channels, Handshakes, HostPlan, LinkCommand, LinkConfig, LinkSender,
    MemoryBudget, RemoveJobs,
};
use crate::open_files;
use crate::outputs::{self, CollectOrder, CollectReport, Collector};
use crate::program::Programs;

/// Messages of all links that may wait to be read; then links wait.
const INBOX: usize = 1024;

/// Memory that they may take.
const INBOX_BYTES: usize = 64 << 20;

/// Memory that parts of outputs may take while they wait to be written.
const OUTPUT_BYTES: usize = 64 << 20;

/// What tasks have fetched and may wait to be read; then they wait.
const FETCHED: usize = 1024;

/// Each manager's attachments are numbered below this, above its epoch.
const EPOCH_STEP: u64 = 1 << 32;

/// How long links may take to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The variable with the directory of a host's set-up.
const SETUP_DIR: &str = "GJOB_SETUP_DIR";

/// Who uses an open network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// A manager, for its run.
    Managed,
    /// The network itself launches jobs, in a run of its own.
    Direct,
    /// Nothing is launched.
    ReadOnly,
}

/// What a link or a task has reported.
enum Incoming {
    Link(Arrival),
    Fetched(HostIx, Box<Fetched>),
    Output(HostIx, CollectReport),
}

#[derive(Debug)]
pub(super) struct Open {
    pub(super) purpose: Use,
    pub(super) runtime: tokio::runtime::Runtime,
    /// What a link is opened with.
    opening: Opening,
    pub(super) hosts: Vec<OpenHost>,
    /// By the number of a link, whose it is.
    links: Vec<HostIx>,
    inbox: mpsc::Receiver<Arrival>,
    fetched: mpsc::Receiver<(HostIx, Box<Fetched>)>,
    outputs: mpsc::Receiver<(HostIx, CollectReport)>,
    pub(super) staging: Staging,
    /// Room for outputs that are fetched to be shown.
    rooms: Rooms,
    /// Removals of job directories that hosts have not answered yet.
    removals: JoinSet<()>,
    pub(super) wake: Arc<Notify>,
    /// Reports to be handed on, in order.
    pub(super) ready: VecDeque<(HostIx, Report)>,
}

/// What all links of an open network have in common.
#[derive(Debug)]
struct Opening {
    plans: Vec<Arc<HostPlan>>,
    programs: Arc<Programs>,
    run: Option<RunId>,
    managed: ManagedAt,
    epoch: Epoch,
    limits: Arc<Handshakes>,
    channels: Channels,
    collecting: outputs::Shared,
    fetched: mpsc::Sender<(HostIx, Box<Fetched>)>,
}

impl Open {
    /// Opens the network for `run`; `offsets` says how far each host's run log
    /// is applied. No host is reached before its [`link`](Open::link) is asked for.
    pub(super) fn new(
        network: &Network,
        purpose: Use,
        run: Option<&RunId>,
        epoch: Epoch,
        offsets: &[u64],
        inputs: Inputs,
    ) -> Result<Self, NetworkError> {
        // The runtime has files of its own.
        open_files::raise();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("gjob-links")
            .enable_all()
            .build()
            .map_err(NetworkError::Runtime)?;
        let (inbox_sender, inbox) = mpsc::channel(INBOX);
        let (inbox_room, output_room) =
            (MemoryBudget::new(INBOX_BYTES), MemoryBudget::new(OUTPUT_BYTES));
        let (fetched_sender, fetched) = mpsc::channel(FETCHED);
        let (output_reports, outputs) = mpsc::channel(FETCHED);
        let tag = run.map_or_else(|| format!("look-{}", std::process::id()), RunId::to_string);
        let config = network.outputs.as_ref();
        let collecting = outputs::Shared::start(runtime.handle(), config, tag, output_reports);
        let offset = |at: usize| offsets.get(at).copied().unwrap_or(0);
        let hosts: Vec<_> = (0..network.hosts.len()).map(|at| OpenHost::new(offset(at))).collect();
        Ok(Open {
            purpose,
            runtime,
            opening: Opening {
                plans: network.hosts.clone(),
                programs: Arc::clone(&network.programs),
                run: run.cloned(),
                managed: network.managed.clone(),
                epoch,
                limits: Arc::new(Handshakes::new()),
                channels: Channels::new(inbox_sender, inbox_room, output_room),
                collecting,
                fetched: fetched_sender,
            },
            staging: Staging::new(inputs, hosts.len()),
            rooms: Rooms::new(),
            removals: JoinSet::new(),
            hosts,
            links: Vec::new(),
            inbox,
            fetched,
            outputs,
            wake: Arc::default(),
            ready: VecDeque::new(),
        })
    }

    /// Without a run: nothing can be launched.
    pub(super) fn read_only(network: &Network) -> Result<Self, NetworkError> {
        Open::new(network, Use::ReadOnly, None, Epoch(0), &[], Inputs::default())
    }

    /// Begins to reach hosts: these, or all.
    pub(super) fn reach(&mut self, only: Option<&BTreeSet<HostIx>>) {
        for at in 0..self.hosts.len() {
            let host = HostIx(at as u32);
            if only.is_none_or(|hosts| hosts.contains(&host)) {
                self.reached(host);
            }
        }
    }

    /// The link to a host, which is opened if it is not.
    pub(super) fn link(&mut self, host: HostIx) -> LinkSender {
        self.reached(host).link.sender()
    }

    fn reached(&mut self, host: HostIx) -> &Reached {
        let Open { hosts, links, opening, runtime, purpose, .. } = self;
        let OpenHost { reached, link: number, offset, connections, .. } = &mut hosts[host.at()];
        reached.get_or_insert_with(|| {
            *number = links.len();
            links.push(host);
            let config = LinkConfig {
                plan: Arc::clone(&opening.plans[host.at()]),
                run: opening.run.clone(),
                managed: opening.managed.clone(),
                programs: Arc::clone(&opening.programs),
                epoch_base: opening.epoch.0.saturating_mul(EPOCH_STEP),
                connections: Arc::clone(connections),
                offset: Arc::clone(offset),
            };
            let (limits, channels) = (Arc::clone(&opening.limits), opening.channels.clone());
            let link = link::spawn(runtime.handle(), *number, config, limits, channels);
            // A manager's hosts may come back at any time; a command is not to
            // wait for them for ever.
            let limit = (*purpose != Use::Managed).then_some(READ_ONLY_TIMEOUT);
            let shared = opening.collecting.clone();
            let collector = Collector::new(shared, host, link.sender(), limit);
            Reached { link, collector }
        })
    }

    /// Takes in other plans for its hosts, and those of hosts that were added. They count for
    /// links that are opened from now on.
    pub(super) fn set_plans(&mut self, plans: Vec<Arc<HostPlan>>) {
        for _ in self.hosts.len()..plans.len() {
            self.hosts.push(OpenHost::new(0));
        }
        self.staging.extend(plans.len());
        self.opening.plans = plans;
    }

    /// Opens the link to a host, anew if it was open.
    pub(super) fn reopen(&mut self, host: HostIx) {
        self.close_link(host, "it is connected to anew");
        self.hosts[host.at()].reached = None;
        self.reached(host);
    }

    /// Closes every link; hosts that don't follow are cut off.
    pub(super) fn close(mut self) {
        // A host that is asked to remove directories does so before it is left.
        let removals = &mut self.removals;
        self.runtime.block_on(async {
            let answered = async { while removals.join_next().await.is_some() {} };
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, answered).await;
        });
        // Each link and each task holds a sender: the channels end when the last
        // one has gone.
        drop(self.opening);
        self.hosts.clear();
        let (inbox, fetched, outputs) = (&mut self.inbox, &mut self.fetched, &mut self.outputs);
        self.runtime.block_on(async {
            let drained = async {
                while inbox.recv().await.is_some() {}
                while fetched.recv().await.is_some() {}
                while outputs.recv().await.is_some() {}
            };
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, drained).await;
        });
        self.runtime.shutdown_timeout(Duration::from_millis(100));
    }

    /// Has a host remove directories of jobs; nothing is reported of it.
    pub(super) fn remove(&mut self, host: HostIx, request: &RemoveJobs) {
        while self.removals.try_join_next().is_some() {}
        let call = self.link(host).call(request);
        let answered = async { drop(call.await) };
        self.removals.spawn_on(answered, self.runtime.handle());
    }

    /// Adds the files of a job.
    pub(super) fn add_inputs(&mut self, inputs: Inputs) {
        self.staging.add_inputs(inputs);
    }

    /// Gives reports back that were taken too early.
    pub(super) fn put_back(&mut self, reports: Vec<(HostIx, Report)>) {
        for report in reports.into_iter().rev() {
            self.ready.push_front(report);
        }
    }

    /// The next report: at once if `wait` is none.
    pub(super) fn next(&mut self, wait: Option<Duration>) -> Option<(HostIx, Report)> {
        loop {
            if let Some(report) = self.ready.pop_front() {
                return Some(report);
            }
            let incoming = match wait {
                None => self.take_waiting()?,
                Some(wait) => self.receive_within(wait)?,
            };
            self.handle_incoming(incoming);
            if wait.is_some() && self.ready.is_empty() {
                // Something has moved, though there is nothing to hand on.
                return None;
            }
        }
    }

    /// Does some work over the links, and takes in meanwhile what they report:
    /// answers come among all the rest. Reports are kept for later.
    pub(super) fn block_on<T>(&mut self, work: impl Future<Output = T>) -> T {
        let runtime = self.runtime.handle().clone();
        runtime.block_on(async {
            let mut work = std::pin::pin!(work);
            loop {
                tokio::select! {
                    biased;
                    done = &mut work => return done,
                    incoming = receive(&mut self.inbox, &mut self.fetched, &mut self.outputs) => {
                        self.handle_incoming(incoming);
                    }
                }
            }
        })
    }

    /// Reports of tasks go first: there are few, and a host that floods hides none.
    fn take_waiting(&mut self) -> Option<Incoming> {
        if let Ok((host, report)) = self.outputs.try_recv() {
            return Some(Incoming::Output(host, report));
        }
        if let Ok((host, fetched)) = self.fetched.try_recv() {
            return Some(Incoming::Fetched(host, fetched));
        }
        self.inbox.try_recv().ok().map(Incoming::Link)
    }

    fn receive_within(&mut self, wait: Duration) -> Option<Incoming> {
        let Open { runtime, inbox, fetched, outputs, wake, .. } = self;
        runtime.block_on(async {
            tokio::select! {
                biased;
                incoming = receive(inbox, fetched, outputs) => Some(incoming),
                () = wake.notified() => None,
                () = tokio::time::sleep(wait) => None,
            }
        })
    }

    fn handle_incoming(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Link(arrival) => {
                let host = self.links[arrival.host];
                if self.hosts[host.at()].link == arrival.host {
                    self.handle_link(host, arrival.event);
                }
            }
            Incoming::Fetched(host, fetched) => {
                self.ready.push_back((host, Report::Fetched(fetched)));
            }
            Incoming::Output(host, report) => self.handle_output(host, report),
        }
    }

    pub(super) fn launch(&mut self, host: HostIx, key: Key, spec: &JobSpec, at: LaunchAt) {
        if self.purpose == Use::Managed && !self.hosts[host.at()].is_up {
            // Its manager launches that again when it is told that the host is up.
            return;
        }
        let mut request = JobRequest::from(spec);
        for (name, value) in self.opening.plans[host.at()].env() {
            request.env.entry(name.clone()).or_insert_with(|| value.clone());
        }
        request.env.extend(at.setup_dir.map(|dir| (SETUP_DIR.to_owned(), dir)));
        let files = self.staging.inputs_of(host, spec, at.revision, at.others);
        let (script, is_task) = (spec.script(), at.is_task);
        let launch = Launch { key, request, script, files, is_task, dropped: 0 };
        self.staging.launch(host, launch);
        self.take_steps();
    }

    pub(super) fn forget_launch(&mut self, host: HostIx, key: Key) {
        self.staging.forget(host, key);
    }

    pub(super) fn set_offset(&mut self, host: HostIx, offset: u64) {
        self.hosts[host.at()].set_offset(offset);
    }

    /// Fetches an output in a task of its own.
    pub(super) fn fetch(&mut self, host: HostIx, id: JobId, stream: Stream, size: u64) {
        let open_host = &self.hosts[host.at()];
        let Some(reached) = &open_host.reached else { return };
        let (link, turns) = (reached.link.sender(), Arc::clone(&open_host.fetch_turns));
        let (reports, rooms) = (self.opening.fetched.clone(), self.rooms.clone());
        self.runtime.spawn(async move {
            // The semaphore is never closed.
            let _turn = turns.acquire().await;
            let output = fetch(&link, &id, stream, size, &rooms, PIECE_TIMEOUT).await;
            let fetched = Box::new(Fetched { id, stream, output });
            // An error says that the network is being closed.
            let _ = reports.send((host, fetched)).await;
        });
    }

    /// Begins to carry out an order, unless it is under way.
    pub(super) fn collect(&mut self, host: HostIx, order: CollectOrder) {
        let runtime = self.runtime.handle().clone();
        let open_host = &mut self.hosts[host.at()];
        let Some(reached) = &open_host.reached else { return };
        let collector = &reached.collector;
        let key = order.key;
        open_host.collecting.entry(key).or_insert_with(|| collector.start(&runtime, order));
    }

    pub(super) fn send(&mut self, host: HostIx, command: LinkCommand) {
        self.hosts[host.at()].send(command);
    }
}

/// What has come. None of the channels ends: their senders are in [`Opening`].
async fn receive(
    inbox: &mut mpsc::Receiver<Arrival>,
    fetched: &mut mpsc::Receiver<(HostIx, Box<Fetched>)>,
    outputs: &mut mpsc::Receiver<(HostIx, CollectReport)>,
) -> Incoming {
    tokio::select! {
        biased;
        Some((host, report)) = outputs.recv() => Incoming::Output(host, report),
        Some((host, fetched)) = fetched.recv() => Incoming::Fetched(host, fetched),
        Some(arrival) = inbox.recv() => Incoming::Link(arrival),
        else => std::future::pending().await,
    }
}
