//! Brings the outputs of one host's jobs here: asks for them, a few jobs ahead,
//! over whatever link there is, and has what comes written down.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use gjob_core::Key;
use gjob_core::record::Scope;
use gjob_core::scheduler::HostIx;
use gjob_core::wire::{FromAgent, OutputPart, ToAgent};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::exchange::{News, Order, Shared};
use super::incoming::Progress;
use super::job::{Finished, Job, Written};
use super::refusal::Refusal;
use super::{CollectError, CollectOrder, CollectScope};
use crate::link::{Arrival, LinkEvent, LinkSender};

/// Jobs asked for at once of one host: it sends them one after the other.
const AHEAD: usize = 8;

/// Messages of one host that may wait to be written down.
pub(crate) const PARTS: usize = 2;

/// Between two words on how far a file has come.
const PROGRESS: Duration = Duration::from_secs(1);

/// The task of one host.
#[derive(Debug)]
pub(crate) struct Collector {
    shared: Shared,
    host: HostIx,
    link: LinkSender,
    up: bool,
    next_request: u32,
    /// The orders, and what has come of them.
    jobs: HashMap<Key, Job>,
    /// Those not yet asked for. Some may have been taken back.
    waiting: VecDeque<Key>,
    /// Those that are, by the request's number.
    active: BTreeMap<u32, Key>,
    last_progress: Option<Instant>,
}

impl Collector {
    /// Starts one. It ends with the sender of its orders.
    pub(crate) fn start(
        handle: &Handle,
        shared: Shared,
        host: HostIx,
        link: LinkSender,
        parts: mpsc::Receiver<Arrival>,
    ) -> mpsc::UnboundedSender<Order> {
        let (sender, orders) = mpsc::unbounded_channel();
        let collector = Collector {
            shared,
            host,
            link,
            up: false,
            next_request: 0,
            jobs: HashMap::new(),
            waiting: VecDeque::new(),
            active: BTreeMap::new(),
            last_progress: None,
        };
        handle.spawn(collector.run(orders, parts));
        sender
    }

    async fn run(
        mut self,
        mut orders: mpsc::UnboundedReceiver<Order>,
        mut parts: mpsc::Receiver<Arrival>,
    ) {
        loop {
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    Some(order) => self.handle_order(order).await,
                    None => return self.give_up().await,
                },
                Some(arrival) = parts.recv() => {
                    if let LinkEvent::Message(message) = arrival.event {
                        self.handle_message(message).await;
                    }
                }
            }
        }
    }

    async fn handle_order(&mut self, order: Order) {
        match order {
            Order::Collect(order) => self.add(order),
            Order::Forget(key) => self.forget(key).await,
            Order::Up => {
                // Some may have been meant for the link before and come here.
                for request in self.active.keys() {
                    self.link.send(ToAgent::CollectStop { request: *request });
                }
                self.interrupt();
                self.up = true;
            }
            Order::Down => {
                self.up = false;
                self.interrupt();
            }
            Order::Gone => self.give_up().await,
        }
        self.ask();
    }

    fn add(&mut self, order: CollectOrder) {
        let key = order.key;
        if let Entry::Vacant(place) = self.jobs.entry(key) {
            place.insert(Job::new(order));
            self.waiting.push_back(key);
        }
    }

    async fn forget(&mut self, key: Key) {
        let Some(job) = self.jobs.remove(&key) else { return };
        let active = self.active.iter().find(|(_, active)| **active == key);
        if let Some(request) = active.map(|(request, _)| *request) {
            self.active.remove(&request);
            self.link.send(ToAgent::CollectStop { request });
        }
        self.discard(job).await;
    }

    /// The link broke: what was asked for is asked for again over the next one.
    fn interrupt(&mut self) {
        for (_, key) in std::mem::take(&mut self.active).into_iter().rev() {
            self.waiting.push_front(key);
        }
    }

    async fn give_up(&mut self) {
        self.up = false;
        self.active.clear();
        self.waiting.clear();
        for (_, job) in std::mem::take(&mut self.jobs) {
            self.discard(job).await;
        }
    }

    /// Asks for as many jobs as the host is to know of.
    fn ask(&mut self) {
        while self.up
            && self.active.len() < AHEAD
            && let Some(key) = self.waiting.pop_front()
        {
            // One that was taken back and given again waits twice.
            if self.active.values().any(|active| *active == key) {
                continue;
            }
            let Some(job) = self.jobs.get_mut(&key) else { continue };
            let request = self.next_request;
            self.next_request = self.next_request.wrapping_add(1);
            let resume = job.interrupt();
            let CollectOrder { id, patterns, all, .. } = &job.order;
            self.link.send(ToAgent::Collect {
                request,
                id: id.clone(),
                patterns: patterns.clone(),
                all: *all,
                resume,
            });
            self.active.insert(request, key);
        }
    }

    /// The job that a request was about, if it is still of interest.
    fn take_job(&mut self, request: u32) -> Option<Job> {
        self.jobs.remove(self.active.get(&request)?)
    }

    fn put_job(&mut self, job: Job) {
        self.jobs.insert(job.order.key, job);
    }

    /// An answer; one to a request of an older link, or of an order that is
    /// not wanted any more, is nobody's.
    async fn handle_message(&mut self, message: FromAgent) {
        match message {
            FromAgent::Outputs { request, parts } => {
                if let Some(job) = self.take_job(request) {
                    self.handle_parts(request, job, parts).await;
                }
            }
            FromAgent::Collected { request, files } => {
                if let Some(job) = self.take_job(request) {
                    self.active.remove(&request);
                    self.finish(job, files).await;
                }
            }
            FromAgent::CollectFailed { request, reason, scope } => {
                if let Some(job) = self.take_job(request) {
                    self.active.remove(&request);
                    let scope = match scope {
                        Scope::Job => CollectScope::Job,
                        Scope::Host => CollectScope::Host,
                    };
                    let reason = reason.shown().into();
                    let key = job.order.key;
                    self.discard(job).await;
                    self.fail(key, CollectError { scope, reason }).await;
                }
            }
            // The link sends nothing else here.
            _ => {}
        }
        self.ask();
    }

    async fn handle_parts(&mut self, request: u32, job: Job, parts: Vec<OutputPart>) {
        let key = job.order.key;
        let refusal = match self.shared.write(move |place| job.write(place, parts)).await {
            Ok(Written::More(job)) => {
                self.tell_progress(key, job.progress());
                return self.put_job(job);
            }
            Ok(Written::Again(job)) => {
                self.put_job(job);
                self.waiting.push_front(key);
                None
            }
            Ok(Written::Refused(refusal)) | Err(refusal) => Some(refusal),
        };
        self.active.remove(&request);
        self.link.send(ToAgent::CollectStop { request });
        if let Some(refusal) = refusal {
            self.refuse(key, refusal).await;
        }
    }

    async fn finish(&mut self, job: Job, files: u64) {
        let (key, host) = (job.order.key, self.host);
        let finished = self.shared.write(move |place| job.finish(place, host, files)).await;
        match finished {
            Ok(Finished::Complete(waiting)) => self.shared.commit(waiting).await,
            Ok(Finished::Again(job)) => {
                self.put_job(*job);
                self.waiting.push_front(key);
            }
            Ok(Finished::Refused(refusal)) | Err(refusal) => self.refuse(key, refusal).await,
        }
    }

    async fn refuse(&mut self, key: Key, refusal: Refusal) {
        let violation = match &refusal {
            Refusal::Violation(violation) => Some(violation.to_string()),
            _ => None,
        };
        self.fail(key, refusal.into_error()).await;
        if let Some(violation) = violation {
            self.give_up().await;
            self.say(News::Violation(violation)).await;
        }
    }

    /// Removes what has come of a job.
    async fn discard(&self, job: Job) {
        if job.has_begun() {
            let _ = self.shared.write(move |_| drop(job)).await;
        }
    }

    async fn fail(&mut self, key: Key, error: CollectError) {
        self.say(News::Collected { key, result: Err(error) }).await;
    }

    async fn say(&mut self, news: News) {
        // An error says that the network is being closed.
        let _ = self.shared.news.send((self.host, news)).await;
    }

    fn tell_progress(&mut self, key: Key, progress: Option<Progress>) {
        let due = self.last_progress.is_none_or(|last| last.elapsed() >= PROGRESS);
        let Some(Progress { path, bytes, size }) = progress.filter(|_| due) else {
            return;
        };
        let news = News::Collecting { key, path, bytes, size };
        // Who doesn't listen now hears of it later.
        if self.shared.news.try_send((self.host, news)).is_ok() {
            self.last_progress = Some(Instant::now());
        }
    }
}
