//! An open network: the links, and the way from what comes over them to
//! [`Report`]s. Staging and fetching are dealt with here; the rest is handed on.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gjob_core::record::ParseRecordError;
use gjob_core::scheduler::HostIx;
use gjob_core::text::Foreign;
use gjob_core::wire::{CHUNK, FromAgent, Launch, Stream};
use gjob_core::{Epoch, JobId, JobRequest, JobSpec, Key, Record, RunId};
use tokio::sync::mpsc::Receiver;

use super::fetch::Fetches;
use super::member::OpenMember;
use super::staging::{Staging, Step};
use super::{Inbox, Network, NetworkError, Report};
use crate::inputs::Inputs;
use crate::link::{
    self, Arrival, Budget, Handshakes, Lane, LinkCommand, LinkConfig, LinkEvent, Outlets,
};
use crate::outputs::{self, Collector, News, Order};

/// Messages of all links that may wait to be read; then links wait.
const INBOX: usize = 1024;

/// Memory that they may take.
const INBOX_BYTES: usize = 64 << 20;

/// Memory that parts of outputs may take while they wait to be written.
const OUTPUT_BYTES: usize = 64 << 20;

/// Words of the collectors that may wait to be read; then they wait.
const NEWS: usize = 1024;

/// Each manager's attachments are numbered below this, above its epoch.
const EPOCH_STEP: u64 = 1 << 32;

/// How long links may take to close.
const CLOSE_TIME: Duration = Duration::from_secs(5);

/// Who uses an open network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// A manager, for its run.
    Managed,
    /// The network itself launches jobs, in a run of its own.
    Direct,
    /// Nothing is launched.
    Looking,
}

/// What came, from a link or from what writes outputs down.
enum Came {
    Event(Arrival),
    News(HostIx, News),
}

#[derive(Debug)]
pub(super) struct Open {
    pub(super) purpose: Use,
    runtime: tokio::runtime::Runtime,
    pub(super) members: Vec<OpenMember>,
    inbox: Inbox,
    staging: Staging,
    news: Receiver<(HostIx, News)>,
    pub(super) wake: Arc<tokio::sync::Notify>,
    pub(super) ready: VecDeque<(HostIx, Report)>,
}

impl Open {
    pub(super) fn new(
        network: &Network,
        purpose: Use,
        run: Option<&RunId>,
        epoch: Epoch,
        offsets: &[u64],
        inputs: Inputs,
        only: Option<&BTreeSet<HostIx>>,
    ) -> Result<Self, NetworkError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("gjob-links")
            .enable_all()
            .build()
            .map_err(NetworkError::Runtime)?;
        let (sender, inbox) = tokio::sync::mpsc::channel(INBOX);
        let outlets = Outlets::new(Lane::new(sender, Budget::new(INBOX_BYTES)));
        let (news_sender, news) = tokio::sync::mpsc::channel(NEWS);
        let tag = run.map_or_else(|| format!("look-{}", std::process::id()), RunId::to_string);
        let config = network.outputs.as_ref();
        let collecting = outputs::Shared::start(runtime.handle(), config, tag, news_sender);
        let output_room = Budget::new(OUTPUT_BYTES);
        let limits = Arc::new(Handshakes::new());
        let mut members = Vec::with_capacity(network.hosts.len());
        for (at, plan) in network.hosts.iter().enumerate() {
            let offset = Arc::new(AtomicU64::new(offsets.get(at).copied().unwrap_or(0)));
            let config = LinkConfig {
                plan: Arc::clone(plan),
                run: run.cloned(),
                programs: Arc::clone(&network.programs),
                epoch_base: epoch.0.saturating_mul(EPOCH_STEP),
                offset: Arc::clone(&offset),
            };
            let wanted = only.is_none_or(|hosts| hosts.contains(&HostIx(at as u32)));
            let link = wanted.then(|| {
                let (part_sender, parts) = tokio::sync::mpsc::channel(outputs::PARTS);
                let lane = Lane::new(part_sender, output_room.clone());
                let outlets = outlets.clone().outputs_to(lane);
                let link = link::spawn(runtime.handle(), at, config, Arc::clone(&limits), outlets);
                let (host, sender) = (HostIx(at as u32), link.sender());
                let shared = collecting.clone();
                let collector = Collector::start(runtime.handle(), shared, host, sender, parts);
                (link, collector)
            });
            let (link, collector) = link.unzip();
            members.push(OpenMember {
                link,
                offset,
                received: 0,
                up: false,
                fetches: Fetches::default(),
                collector,
            });
        }
        Ok(Open {
            purpose,
            runtime,
            staging: Staging::new(inputs, members.len()),
            members,
            inbox,
            news,
            wake: Arc::default(),
            ready: VecDeque::new(),
        })
    }

    /// Without a run: nothing can be launched.
    pub(super) fn to_look(network: &Network) -> Result<Self, NetworkError> {
        Open::new(network, Use::Looking, None, Epoch(0), &[], Inputs::default(), None)
    }

    /// Closes every link; hosts that don't follow are cut off.
    pub(super) fn close(mut self) {
        for member in &self.members {
            member.send(LinkCommand::Close);
        }
        self.members.clear();
        let (inbox, news) = (&mut self.inbox, &mut self.news);
        // Each link holds a sender of the inbox, and each collector one of the
        // news: they end when the last one has gone.
        self.runtime.block_on(async {
            let drained = async {
                while inbox.recv().await.is_some() {}
                while news.recv().await.is_some() {}
            };
            let _ = tokio::time::timeout(CLOSE_TIME, drained).await;
        });
        self.runtime.shutdown_timeout(Duration::from_millis(100));
    }

    /// Adds the files of a job.
    pub(super) fn add_inputs(&mut self, inputs: Inputs) {
        self.staging.add_inputs(inputs);
    }

    pub(super) fn is_up(&self, host: HostIx) -> bool {
        self.members[host.at()].up
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
            let came = match wait {
                None => self.take_waiting()?,
                Some(wait) => self.receive(wait)?,
            };
            match came {
                Came::Event(arrival) => self.handle(HostIx(arrival.host as u32), arrival.event),
                Came::News(host, news) => self.handle_news(host, news),
            }
            if wait.is_some() && self.ready.is_empty() {
                // Something has moved, though nothing to hand on.
                return None;
            }
        }
    }

    /// News go first: there are few, and a host that floods hides none.
    fn take_waiting(&mut self) -> Option<Came> {
        match self.news.try_recv() {
            Ok((host, news)) => Some(Came::News(host, news)),
            Err(_) => self.inbox.try_recv().ok().map(Came::Event),
        }
    }

    fn receive(&mut self, wait: Duration) -> Option<Came> {
        let (inbox, news, wake) = (&mut self.inbox, &mut self.news, &self.wake);
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                Some((host, news)) = news.recv() => Some(Came::News(host, news)),
                event = inbox.recv() => event.map(Came::Event),
                () = wake.notified() => None,
                () = tokio::time::sleep(wait) => None,
            }
        })
    }

    fn handle(&mut self, host: HostIx, event: LinkEvent) {
        match event {
            LinkEvent::Up(welcome) => {
                let member = &mut self.members[host.at()];
                member.up = true;
                member.received = member.offset.load(Ordering::Acquire);
                self.staging.handle_up(host, &welcome.place);
                self.members[host.at()].order(Order::Up);
                self.ready.push_back((host, Report::Up(welcome)));
                self.send_fetches(host);
            }
            LinkEvent::Down { reason, retry_in: _ } => {
                self.break_off(host);
                self.members[host.at()].order(Order::Down);
                self.ready.push_back((host, Report::Down { reason }));
            }
            LinkEvent::Failed { reason } => {
                self.break_off(host);
                self.members[host.at()].order(Order::Gone);
                for fetched in self.members[host.at()].fetches.give_up(&reason) {
                    self.ready.push_back((host, Report::Fetched(Box::new(fetched))));
                }
                self.ready.push_back((host, Report::Failed { reason }));
            }
            LinkEvent::BlobSourceFailed { hash, reason } => {
                self.staging.handle_unreadable(host, hash, &reason);
            }
            LinkEvent::Sending { hash, sent, size } => {
                if let Some(content) = self.staging.content(&hash) {
                    let path = content.path().to_owned();
                    self.ready.push_back((host, Report::Staging { path, bytes: sent, size }));
                }
            }
            LinkEvent::Uploading { bytes } => {
                self.ready.push_back((host, Report::Uploading { bytes }));
            }
            LinkEvent::Message(message) => self.message(host, message),
        }
        self.take_steps();
    }

    fn break_off(&mut self, host: HostIx) {
        let member = &mut self.members[host.at()];
        member.up = false;
        member.fetches.interrupt();
        self.staging.handle_down(host);
    }

    fn message(&mut self, host: HostIx, message: FromAgent) {
        let member = &mut self.members[host.at()];
        match message {
            FromAgent::Records { offset, lines } => self.records(host, offset, &lines),
            FromAgent::MissingBlobs { blobs } => self.staging.handle_missing(host, &blobs),
            FromAgent::BlobStored { hash } => self.staging.handle_stored(host, hash),
            FromAgent::BlobFailed { hash, reason } => {
                self.staging.handle_refused(host, hash, &reason.shown());
            }
            FromAgent::Data { request, bytes, size } if bytes.len() <= CHUNK => {
                match member.fetches.data(request, &bytes, size) {
                    None => {}
                    Some(Ok(request)) => member.send(LinkCommand::Send(request)),
                    Some(Err(fetched)) => self.fetched(host, fetched),
                }
            }
            FromAgent::Data { .. } => self.reject(host, "sent more output than asked for"),
            FromAgent::ReadFailed { request, reason } => {
                if let Some(fetched) = member.fetches.failed(request, &reason.shown()) {
                    self.fetched(host, fetched);
                }
            }
            FromAgent::Statuses { request, states } => {
                self.ready.push_back((host, Report::Statuses { request, states }));
            }
            FromAgent::Echo { request } => self.ready.push_back((host, Report::Echo { request })),
            FromAgent::Removed { request, gone, kept } => {
                self.ready.push_back((host, removed(request, gone, kept)));
            }
            FromAgent::Forgotten { request, result } => {
                let result = result.map_err(|reason| reason.shown().into());
                self.ready.push_back((host, Report::Forgotten { request, result }));
            }
            // The collector's, by another way.
            FromAgent::Outputs { .. }
            | FromAgent::Collected { .. }
            | FromAgent::CollectFailed { .. } => {}
            FromAgent::Pong { .. } | FromAgent::Welcome(_) | FromAgent::Fault { .. } => {}
        }
    }

    /// A part of the run log: whole lines that follow on what was received.
    fn records(&mut self, host: HostIx, offset: u64, lines: &[u8]) {
        let member = &mut self.members[host.at()];
        if offset != member.received || lines.last() != Some(&b'\n') {
            return self.reject(host, "sent a run log out of order");
        }
        let end = offset + lines.len() as u64;
        let mut records = Vec::new();
        for line in lines.split(|byte| *byte == b'\n') {
            match Record::parse(line) {
                Ok(record) => records.push(record),
                // What a crash has torn was written again, whole.
                Err(ParseRecordError::Malformed(_)) => {}
                Err(error) => return self.reject(host, &format!("sent a bad run log: {error}")),
            }
        }
        member.received = end;
        records.iter().for_each(|record| self.staging.handle_record(host, record));
        self.ready.push_back((host, Report::Records { records, end }));
    }

    /// A host that doesn't keep to the protocol is out.
    pub(super) fn reject(&mut self, host: HostIx, what: &str) {
        self.members[host.at()].send(LinkCommand::Close);
        self.handle(host, LinkEvent::Failed { reason: format!("the host's agent {what}") });
    }

    /// Does what staging has decided.
    fn take_steps(&mut self) {
        while let Some((host, step)) = self.staging.poll_step() {
            match step {
                Step::Command(command) => self.members[host.at()].send(command),
                Step::Refuse(record) => self.ready.push_back((host, Report::NotSent(record))),
            }
        }
    }

    fn fetched(&mut self, host: HostIx, fetched: super::Fetched) {
        self.ready.push_back((host, Report::Fetched(Box::new(fetched))));
        self.send_fetches(host);
    }

    fn send_fetches(&mut self, host: HostIx) {
        let member = &mut self.members[host.at()];
        if member.up {
            for request in member.fetches.requests() {
                member.send(LinkCommand::Send(request));
            }
        }
    }

    pub(super) fn launch(&mut self, host: HostIx, key: Key, spec: &JobSpec) {
        let launch = Launch {
            key,
            request: JobRequest::from(spec),
            script: spec.script(),
            files: self.staging.inputs_of(spec),
        };
        self.staging.launch(host, launch);
        self.take_steps();
    }

    pub(super) fn forget_launch(&mut self, host: HostIx, key: Key) {
        self.staging.forget(host, key);
    }

    pub(super) fn set_offset(&mut self, host: HostIx, offset: u64) {
        self.members[host.at()].offset.store(offset, Ordering::Release);
    }

    pub(super) fn fetch(&mut self, host: HostIx, id: JobId, stream: Stream, from: u64) {
        self.members[host.at()].fetches.add(id, stream, from);
        self.send_fetches(host);
    }

    pub(super) fn send(&mut self, host: HostIx, command: LinkCommand) {
        self.members[host.at()].send(command);
    }
}

/// A host's answer, made fit to be shown.
fn removed(request: u32, gone: u32, kept: Vec<(JobId, Foreign)>) -> Report {
    let plain = |(id, reason): (JobId, Foreign)| (id, reason.shown().into());
    Report::Removed { request, gone, kept: kept.into_iter().map(plain).collect() }
}
