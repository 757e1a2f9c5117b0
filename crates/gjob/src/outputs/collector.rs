//! Brings the outputs of one host's jobs here: asks for them, a few jobs ahead,
//! over whatever link there is, and has what comes written down.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gjob_core::Key;
use gjob_core::record::{Scope, one_line};
use gjob_core::scheduler::HostIx;
use gjob_core::wire::{FromAgent, OutputPart, ToAgent};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};

use super::commit::{Committed, Waiting, commit_all};
use super::dir::Place;
use super::incoming::Progress;
use super::job::{Job, Written};
use super::refusal::Refusal;
use super::{CollectError, CollectOrder, CollectScope, OutputsConfig};
use crate::link::{Arrival, LinkEvent, LinkSender, plain_text};

/// Jobs asked for at once of one host: it sends them one after the other.
const AHEAD: usize = 8;

/// Messages of one host that may wait to be written down.
pub(crate) const PARTS: usize = 2;

/// Jobs of all hosts that may wait to be put in their place.
const COMPLETE: usize = 256;

/// Hosts whose outputs are written at one moment: more don't make a disk faster.
const WRITERS: usize = 8;

/// Between two words on how far a file has come.
const PROGRESS: Duration = Duration::from_secs(1);

/// What a collector is told, in order.
#[derive(Debug)]
pub(crate) enum Order {
    /// Bring these; a key that is under way already is left as it is.
    Collect(CollectOrder),
    /// Don't bring these, unless they are complete.
    Forget(Key),
    /// The link is up, another than before.
    Up,
    /// The link broke.
    Down,
    /// The link is gone for good: no order is kept.
    Gone,
}

/// What collectors say.
#[derive(Debug)]
pub(crate) enum News {
    /// An order is carried out, or can't be.
    Collected { key: Key, result: Result<Committed, CollectError> },
    /// How far a large file has come.
    Collecting { key: Key, path: String, bytes: u64, size: u64 },
    /// The host's agent doesn't keep to the protocol. It is not listened to
    /// until another link is up.
    Violation(String),
}

/// What the collectors of all hosts have in common.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    place: Arc<Place>,
    /// Turns at the disk.
    writers: Arc<Semaphore>,
    complete: mpsc::Sender<Waiting>,
    news: mpsc::Sender<(HostIx, News)>,
}

impl Shared {
    /// Starts the task that commits; `tag` tells this process's unfinished
    /// directories from those of others that use the same one.
    pub(crate) fn start(
        handle: &Handle,
        config: Option<&OutputsConfig>,
        tag: String,
        news: mpsc::Sender<(HostIx, News)>,
    ) -> Self {
        let (complete, waiting) = mpsc::channel(COMPLETE);
        handle.spawn(commit_all(waiting, news.clone()));
        let place = Arc::new(Place::new(config.cloned(), tag));
        let writers = Arc::new(Semaphore::new(WRITERS));
        Shared { place, writers, complete, news }
    }
}

/// The task of one host.
#[derive(Debug)]
pub(crate) struct Collector {
    shared: Shared,
    host: HostIx,
    link: LinkSender,
    up: bool,
    next_request: u32,
    /// Orders not yet asked for.
    waiting: VecDeque<Job>,
    /// Those that are, by the request's number.
    active: BTreeMap<u32, Job>,
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
            Order::Collect(order) => self.add(order).await,
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

    async fn add(&mut self, order: CollectOrder) {
        let mut known = self.waiting.iter().chain(self.active.values());
        if known.any(|job| job.order.key == order.key) {
            return;
        }
        self.waiting.push_back(Job::new(order));
    }

    async fn forget(&mut self, key: Key) {
        let at = self.waiting.iter().position(|job| job.order.key == key);
        if let Some(job) = at.and_then(|at| self.waiting.remove(at)) {
            self.discard(job).await;
        }
        let active = self.active.iter().find(|(_, job)| job.order.key == key);
        if let Some(request) = active.map(|(request, _)| *request)
            && let Some(job) = self.active.remove(&request)
        {
            self.link.send(ToAgent::CollectStop { request });
            self.discard(job).await;
        }
    }

    /// The link broke: what was asked for is asked for again over the next one.
    fn interrupt(&mut self) {
        for (_, job) in std::mem::take(&mut self.active).into_iter().rev() {
            self.waiting.push_front(job);
        }
    }

    async fn give_up(&mut self) {
        self.up = false;
        self.interrupt();
        for job in std::mem::take(&mut self.waiting) {
            self.discard(job).await;
        }
    }

    /// Asks for as many jobs as the host is to know of.
    fn ask(&mut self) {
        while self.up
            && self.active.len() < AHEAD
            && let Some(mut job) = self.waiting.pop_front()
        {
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
            self.active.insert(request, job);
        }
    }

    /// An answer; one to a request of an older link, or of an order that is
    /// not wanted any more, is nobody's.
    async fn handle_message(&mut self, message: FromAgent) {
        match message {
            FromAgent::Outputs { request, parts } => {
                if let Some(job) = self.active.remove(&request) {
                    self.handle_parts(request, job, parts).await;
                }
            }
            FromAgent::Collected { request, files } => {
                if let Some(job) = self.active.remove(&request) {
                    self.finish(job, files).await;
                }
            }
            FromAgent::CollectFailed { request, reason, scope } => {
                if let Some(job) = self.active.remove(&request) {
                    let scope = match scope {
                        Scope::Job => CollectScope::Job,
                        Scope::Host => CollectScope::Host,
                    };
                    let reason = plain_text(&one_line(&reason));
                    self.fail(job.order.key, CollectError { scope, reason }).await;
                    self.discard(job).await;
                }
            }
            // The link sends nothing else here.
            _ => {}
        }
        self.ask();
    }

    async fn handle_parts(&mut self, request: u32, job: Job, parts: Vec<OutputPart>) {
        let key = job.order.key;
        let shared = self.shared.clone();
        let written = self.blocking(move || job.write(&shared.place, parts)).await;
        match written {
            Ok(Written::More(job)) => {
                self.tell_progress(key, job.progress());
                self.active.insert(request, job);
            }
            Ok(Written::Again(job)) => {
                self.link.send(ToAgent::CollectStop { request });
                self.waiting.push_front(job);
            }
            Ok(Written::Refused(refusal)) | Err(refusal) => {
                self.link.send(ToAgent::CollectStop { request });
                self.refuse(key, refusal).await;
            }
        }
    }

    async fn finish(&mut self, job: Job, files: u64) {
        let (key, host) = (job.order.key, self.host);
        let shared = self.shared.clone();
        let finished = self.blocking(move || job.finish(&shared.place, host, files)).await;
        match finished.and_then(|finished| finished) {
            // An error says that the network is being closed.
            Ok(waiting) => drop(self.shared.complete.send(waiting).await),
            Err(refusal) => self.refuse(key, refusal).await,
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
            let _ = self.blocking(move || drop(job)).await;
        }
    }

    /// Does what may wait for a disk where that holds back no link.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        // The semaphore is never closed.
        let _turn = self.shared.writers.acquire().await;
        tokio::task::spawn_blocking(work).await.map_err(|error| {
            let what = "outputs".to_owned();
            Refusal::Here { what, source: io::Error::other(error) }
        })
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
