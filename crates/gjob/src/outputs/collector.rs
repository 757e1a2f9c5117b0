//! Brings the outputs of one host's jobs here: a task for each order asks for
//! them over whatever connection there is, and has what comes written down.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gjob_core::Key;
use gjob_core::record::Scope;
use gjob_core::scheduler::HostIx;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use super::commit::Waiting;
use super::in_place;
use super::incoming::FileProgress;
use super::job::{Finished, OutputsJob, Written};
use super::progress::{CollectReport, OutputProgress, Shared};
use super::refusal::Refusal;
use super::{CollectError, CollectOrder, CollectScope};
use crate::link::{LinkSender, OutputStream, StreamPart, Unreachable};

/// Jobs asked for at once of one host: it sends them one after the other.
const AHEAD: usize = 8;

/// Between two reports of how far a file has come.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// How long the next part of an answer is waited for: a job can take requests from its
/// host's agent, which has never seen them then. Doubled each time that it was in vain, for
/// the host may only be slow.
const PART_TIMEOUT: Duration = Duration::from_secs(300);

/// Fetches the outputs of one host.
#[derive(Clone, Debug)]
pub(crate) struct Collector {
    shared: Shared,
    host: HostIx,
    link: LinkSender,
    turns: Arc<Semaphore>,
    /// How long the host may be unreachable before an order fails; none to wait
    /// until the link gives up, and to leave it to the owner to say so.
    limit: Option<Duration>,
    part_timeout: Duration,
}

/// Keeps an order going. Dropped, it takes the order back, unless its outputs
/// are complete.
#[derive(Debug)]
pub(crate) struct Collecting {
    _keeps: oneshot::Sender<()>,
}

/// Why an order came to nothing.
enum Stopped {
    Refused(Refusal),
    /// By the job's host: its files are not as they should be.
    Failed(CollectError),
    /// There is no directory of the job.
    Gone {
        reason: String,
    },
    Unreachable(Unreachable),
}

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Stopped::Refused(refusal)
    }
}

/// How far one request for outputs has led.
enum StreamEnd {
    Complete(Waiting),
    /// What is left of it is to be asked for again.
    Again,
    /// The same, since nothing has come for so long.
    Quiet,
}

impl Collector {
    pub(crate) fn new(
        shared: Shared,
        host: HostIx,
        link: LinkSender,
        limit: Option<Duration>,
    ) -> Self {
        let turns = Arc::new(Semaphore::new(AHEAD));
        Collector { shared, host, link, turns, limit, part_timeout: PART_TIMEOUT }
    }

    /// Starts to carry out an order.
    pub(crate) fn start(&self, runtime: &Handle, order: CollectOrder) -> Collecting {
        let (keeps, dropped) = oneshot::channel();
        let collector = self.clone();
        runtime.spawn(async move {
            let key = order.key;
            let mut job = Some(OutputsJob::new(order));
            let in_place = job.as_ref().filter(|job| job.order.may_be_in_place);
            let in_place = in_place.map(|job| job.order.clone());
            let done = tokio::select! {
                done = collector.collect(&mut job) => Some(done),
                _ = dropped => None,
            };
            if let Some(job) = job.filter(OutputsJob::has_begun) {
                // Removing what has come takes a disk its time.
                let _ = collector.shared.write(move |_| drop(job)).await;
            }
            match (done, in_place) {
                (Some(Err(Stopped::Gone { .. })), Some(order)) => {
                    collector.find_in_place(order).await;
                }
                (Some(done), _) => collector.finish(key, done).await,
                (None, _) => {}
            }
        });
        Collecting { _keeps: keeps }
    }

    /// Asks until all has come. `job` is none while it is being written.
    async fn collect(&self, job: &mut Option<OutputsJob>) -> Result<Waiting, Stopped> {
        // The semaphore is never closed.
        let _turn = self.turns.acquire().await;
        let mut part_timeout = self.part_timeout;
        loop {
            self.link.up(self.limit).await.map_err(Stopped::Unreachable)?;
            let Some(asked) = job else { return Err(lost().into()) };
            let resume = asked.interrupt();
            let CollectOrder { id, patterns, all, .. } = &asked.order;
            let stream = self.link.collect(id, patterns, *all, resume);
            match self.read(stream, job, part_timeout).await? {
                StreamEnd::Complete(waiting) => return Ok(waiting),
                StreamEnd::Again => {}
                StreamEnd::Quiet => part_timeout = part_timeout.saturating_mul(2),
            }
        }
    }

    /// Writes down what one request brings.
    async fn read(
        &self,
        mut stream: OutputStream,
        job: &mut Option<OutputsJob>,
        part_timeout: Duration,
    ) -> Result<StreamEnd, Stopped> {
        let mut reported = None;
        loop {
            let part = match timeout(part_timeout, stream.next()).await {
                Ok(Ok(part)) => part,
                // The connection ended.
                Ok(Err(_)) => return Ok(StreamEnd::Again),
                Err(_) => return Ok(StreamEnd::Quiet),
            };
            let Some(taken) = job.take() else { return Err(lost().into()) };
            match part {
                StreamPart::Parts(parts) => {
                    let written = self.shared.write(move |place| taken.write(place, parts)).await?;
                    match written {
                        Written::More(more) => {
                            self.report_progress(&more, &mut reported);
                            *job = Some(more);
                        }
                        Written::Again(again) => {
                            *job = Some(again);
                            return Ok(StreamEnd::Again);
                        }
                        Written::Refused(refusal) => return Err(refusal.into()),
                    }
                }
                StreamPart::End { files } => {
                    let host = self.host;
                    let work = self.shared.write(move |place| taken.finish(place, host, files));
                    match work.await? {
                        Finished::Complete(waiting) => return Ok(StreamEnd::Complete(waiting)),
                        Finished::Again(again) => {
                            *job = Some(*again);
                            return Ok(StreamEnd::Again);
                        }
                        Finished::Refused(refusal) => return Err(refusal.into()),
                    }
                }
                StreamPart::Failed { reason, is_gone: true, .. } => {
                    *job = Some(taken);
                    return Err(Stopped::Gone { reason: reason.shown().into() });
                }
                StreamPart::Failed { reason, scope, .. } => {
                    *job = Some(taken);
                    let scope = match scope {
                        Scope::Job => CollectScope::Job,
                        Scope::Host | Scope::Space | Scope::Load => CollectScope::Host,
                    };
                    let reason = reason.shown().into();
                    return Err(Stopped::Failed(CollectError { scope, reason }));
                }
            }
        }
    }

    /// Hands complete outputs on, or says why there are none.
    async fn finish(&self, key: Key, done: Result<Waiting, Stopped>) {
        let (error, violation) = match done {
            Ok(waiting) => return self.shared.commit(waiting).await,
            Err(Stopped::Failed(error)) => (error, None),
            Err(Stopped::Gone { reason }) => {
                (CollectError { scope: CollectScope::Job, reason }, None)
            }
            Err(Stopped::Unreachable(Unreachable { reason })) => match self.limit {
                Some(_) => (CollectError { scope: CollectScope::Host, reason }, None),
                None => return,
            },
            Err(Stopped::Refused(refusal)) => {
                let violation = match &refusal {
                    Refusal::Violation(violation) => Some(violation.to_string()),
                    _ => None,
                };
                (refusal.into_error(), violation)
            }
        };
        let failed = OutputProgress::Collected { key, result: Err(error) };
        self.report(CollectReport::Progress(failed)).await;
        if let Some(violation) = violation {
            self.report(CollectReport::Violation(violation)).await;
        }
    }

    /// A job's directory is gone: what an earlier manager has fetched from it counts.
    async fn find_in_place(&self, order: CollectOrder) {
        let key = order.key;
        let found = self.shared.write(move |place| in_place::find(place, &order)).await;
        let result = match found {
            Ok(Ok(Some(found))) => Ok(found),
            Ok(Ok(None)) => Err(in_place::nowhere(&self.shared.shown_place())),
            Ok(Err(refusal)) | Err(refusal) => Err(refusal.into_error()),
        };
        let progress = OutputProgress::Collected { key, result };
        self.report(CollectReport::Progress(progress)).await;
    }

    async fn report(&self, report: CollectReport) {
        // An error says that the network is being closed.
        let _ = self.shared.reports.send((self.host, report)).await;
    }

    fn report_progress(&self, job: &OutputsJob, reported: &mut Option<Instant>) {
        let is_due = reported.is_none_or(|last| last.elapsed() >= PROGRESS_INTERVAL);
        let Some(FileProgress { path, bytes, size }) = job.progress().filter(|_| is_due) else {
            return;
        };
        let key = job.order.key;
        let progress = OutputProgress::Collecting { key, path, bytes, size };
        // When nobody listens now, the next report will do.
        let report = (self.host, CollectReport::Progress(progress));
        if self.shared.reports.try_send(report).is_ok() {
            *reported = Some(Instant::now());
        }
    }
}

/// A job that is being written is nowhere else.
fn lost() -> Refusal {
    let source = std::io::Error::other("the task that wrote them failed");
    Refusal::Here { what: "outputs".to_owned(), source }
}

#[cfg(test)]
mod tests {
    use gjob_core::wire::{FromAgent, ToAgent};
    use tokio::sync::mpsc;

    use super::super::OutputsConfig;
    use super::*;
    use crate::link::played;

    #[tokio::test(flavor = "multi_thread")]
    async fn request_that_is_not_answered_is_sent_again() {
        let dir = tempfile::tempdir().unwrap();
        let config = OutputsConfig::new(dir.path().join("out"), None);
        let (reports, mut reported) = mpsc::channel(9);
        let shared = Shared::start(&Handle::current(), Some(&config), "x".into(), reports);
        let (sender, mut link) = played::link();
        let mut collector = Collector::new(shared, HostIx(0), sender, None);
        collector.part_timeout = Duration::from_millis(50);
        let key = Key::new(0, 1);
        let order = CollectOrder {
            key,
            id: "h/2026-11-22-1".parse().unwrap(),
            dir_name: "0".to_owned(),
            patterns: Vec::new(),
            all: false,
            merge: false,
            recorded: Vec::new(),
            may_be_in_place: false,
        };
        let _collecting = collector.start(&Handle::current(), order);
        let mut asked = 0;
        let report = loop {
            let request = tokio::select! {
                report = reported.recv() => break report,
                message = link.asked() => match message {
                    ToAgent::Collect { request, .. } => request,
                    other => panic!("{other:?}"),
                },
            };
            asked += 1;
            if asked > 2 {
                link.answer(FromAgent::Collected { request, files: 0 });
            }
        };
        match report {
            Some((HostIx(0), CollectReport::Progress(progress))) => {
                let OutputProgress::Collected { key: of, result } = progress else {
                    panic!("{progress:?}");
                };
                assert!(of == key && result.is_ok());
            }
            other => panic!("{other:?}"),
        }
    }
}
