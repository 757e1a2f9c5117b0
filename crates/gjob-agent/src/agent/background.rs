//! Long work, on threads of its own: one for each kind of work, started with its
//! first task. The agent's own thread answers pings and follows the run log, and
//! must never wait for a disk, a slow link or a process that will not die.
//!
//! A task is blocking code, read from top to bottom. What it finds goes back to
//! the agent as a [`Report`]; the agent alone changes the run's state and log.
//! Kinds have threads of their own since one may have to wait for hours for
//! something that must not hold up another: outputs for the link to take them,
//! the end of orphans for nothing at all.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};

use gjob_core::wire::FromAgent;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};

use super::blobs::{Hashed, Taken, Trimmed};
use super::recovery::Ended;

/// Messages with outputs that wait for the agent: enough that the outputs of many
/// small jobs are read while the link takes some, and few enough for memory.
const WAITING_OUTPUTS: usize = 8;

/// Other reports that wait: no kind of work has more than one at a time.
const WAITING_REPORTS: usize = 8;

/// The kinds of long work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Hashing what earlier links brought of a blob, and making blobs of jobs' files.
    Hashing,
    /// Sending outputs.
    Outputs,
    /// Removing job directories, runs and blobs.
    Cleanup,
    /// Ending orphans.
    Orphans,
    /// Work on job directories by hand, which may wait for a job's end.
    ByHand,
}

/// What a task has come to.
#[derive(Debug)]
pub(super) enum Report {
    /// More of a blob was hashed.
    Hashed(Hashed),
    /// A blob was made of a job's file, or could not be.
    Taken(Taken),
    /// Blobs take no more room than they may.
    Trimmed(Trimmed),
    /// Orphans were ended.
    Ended(Vec<Ended>),
    /// The answer to a request for clean-up, or for work by hand.
    Answer(FromAgent),
    /// A part of the answer to a request for outputs.
    Outputs {
        /// The request.
        request: u32,
        /// The part.
        message: FromAgent,
        /// True for the last one.
        is_last: bool,
    },
}

/// The threads, and what they report.
#[derive(Debug)]
pub(super) struct Background {
    hashing: Worker,
    outputs: Worker,
    cleanup: Worker,
    orphans: Worker,
    by_hand: Worker,
    reports: Reporter,
    /// Of their own: while the link has no room for outputs, other reports pass.
    output_reports: Reporter,
}

impl Background {
    /// No thread is started yet.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Background {
            hashing: Worker::new("hashing"),
            outputs: Worker::new("outputs"),
            cleanup: Worker::new("cleanup"),
            orphans: Worker::new("orphans"),
            by_hand: Worker::new("by hand"),
            reports: Reporter::new(WAITING_REPORTS)?,
            output_reports: Reporter::new(WAITING_OUTPUTS)?,
        })
    }

    /// Has `task` done after those of its kind that were submitted before.
    pub(super) fn submit(
        &mut self,
        kind: Kind,
        task: impl FnOnce(&Reporter) + Send + 'static,
    ) -> io::Result<()> {
        let (worker, reports) = match kind {
            Kind::Hashing => (&mut self.hashing, &self.reports),
            Kind::Outputs => (&mut self.outputs, &self.output_reports),
            Kind::Cleanup => (&mut self.cleanup, &self.reports),
            Kind::Orphans => (&mut self.orphans, &self.reports),
            Kind::ByHand => (&mut self.by_hand, &self.reports),
        };
        let reporter = reports.clone();
        worker.submit(Box::new(move || task(&reporter)))
    }

    /// The next report, if there is one; of outputs only with room for them.
    pub(super) fn next(&mut self, has_room_for_outputs: bool) -> Option<Report> {
        let report = self.reports.next();
        report.or_else(|| if has_room_for_outputs { self.output_reports.next() } else { None })
    }

    /// Waits for a report that is not about outputs.
    pub(super) fn wait(&mut self) -> Option<Report> {
        // Interrupted or not, the next look tells.
        let _ = poll(&mut [PollFd::new(&*self.reports.count, PollFlags::IN)], None);
        self.reports.next()
    }

    /// What becomes readable when there is a report to be taken.
    pub(super) fn pollable(&self, has_room_for_outputs: bool) -> impl Iterator<Item = &OwnedFd> {
        let outputs = has_room_for_outputs.then_some(&self.output_reports);
        [&self.reports].into_iter().chain(outputs).map(|reports| &*reports.count)
    }
}

type Task = Box<dyn FnOnce() + Send>;

/// A thread that does tasks one after another.
#[derive(Debug)]
struct Worker {
    name: &'static str,
    /// None before the first task.
    tasks: Option<Arc<Queue<Task>>>,
}

impl Worker {
    fn new(name: &'static str) -> Self {
        Worker { name, tasks: None }
    }

    fn submit(&mut self, task: Task) -> io::Result<()> {
        let tasks = match &self.tasks {
            Some(tasks) => tasks,
            None => {
                let tasks = Arc::new(Queue::new(usize::MAX));
                let thread = std::thread::Builder::new().name(self.name.to_owned());
                let todo = Arc::clone(&tasks);
                // Never joined: it ends with the process, at whatever instant that is,
                // as everything here may.
                thread.spawn(move || do_all(&todo))?;
                self.tasks.insert(tasks)
            }
        };
        tasks.push(task);
        Ok(())
    }
}

fn do_all(tasks: &Queue<Task>) -> ! {
    /// An agent in which a thread has failed must not be taken for a whole one.
    struct AbortOnPanic;
    impl Drop for AbortOnPanic {
        fn drop(&mut self) {
            std::process::abort();
        }
    }
    let _guard = AbortOnPanic;
    loop {
        tasks.pop()();
    }
}

/// A bounded queue. The standard library's channels would do, but for their size:
/// they come in three kinds at once, which is 20 KB of a program sent to every host.
struct Queue<T> {
    items: Mutex<VecDeque<T>>,
    bound: usize,
    changed: Condvar,
}

impl<T> std::fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("bound", &self.bound).finish_non_exhaustive()
    }
}

impl<T> Queue<T> {
    fn new(bound: usize) -> Self {
        Queue { items: Mutex::new(VecDeque::new()), bound, changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<T>> {
        // A thread that panics ends the process.
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, items: MutexGuard<'a, VecDeque<T>>) -> MutexGuard<'a, VecDeque<T>> {
        self.changed.wait(items).unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an item; waits while there is no room for it.
    fn push(&self, item: T) {
        let mut items = self.lock();
        while items.len() >= self.bound {
            items = self.wait(items);
        }
        items.push_back(item);
        self.changed.notify_all();
    }

    /// Takes the next item; waits for one.
    fn pop(&self) -> T {
        let mut items = self.lock();
        loop {
            if let Some(item) = items.pop_front() {
                self.changed.notify_all();
                return item;
            }
            items = self.wait(items);
        }
    }
}

/// A bounded queue of reports, and a descriptor that can be waited for.
#[derive(Clone, Debug)]
pub(super) struct Reporter {
    reports: Arc<Queue<Report>>,
    /// Counts the reports that were queued and not taken.
    count: Arc<OwnedFd>,
}

impl Reporter {
    fn new(bound: usize) -> io::Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK | EventfdFlags::SEMAPHORE;
        let count = Arc::new(eventfd(0, flags)?);
        Ok(Reporter { reports: Arc::new(Queue::new(bound)), count })
    }

    /// Queues a report; waits while the agent has not taken those before it.
    pub(super) fn send(&self, report: Report) {
        self.reports.push(report);
        // Never full: it counts to 2^64.
        let _ = rustix::io::write(&self.count, &1u64.to_ne_bytes());
    }

    /// The next report, if there is one.
    fn next(&self) -> Option<Report> {
        // As a semaphore it gives one at a time, each written after its report was queued.
        rustix::io::read(&self.count, &mut [0; 8]).ok()?;
        Some(self.reports.pop())
    }
}

/// Keeps a task going: when it is dropped, nobody wants the result any more.
#[derive(Debug)]
pub(super) struct TaskHandle(Arc<()>);

/// A task's view of its handle.
#[derive(Clone, Debug)]
pub(super) struct CancelToken(Weak<()>);

impl TaskHandle {
    /// A handle, and the token for its task.
    pub(super) fn new() -> (Self, CancelToken) {
        let handle = Arc::new(());
        let token = CancelToken(Arc::downgrade(&handle));
        (TaskHandle(handle), token)
    }
}

impl TaskHandle {
    /// True for the token of this handle's task.
    pub(super) fn is_of(&self, token: &CancelToken) -> bool {
        token.0.ptr_eq(&Arc::downgrade(&self.0))
    }
}

impl CancelToken {
    /// True when the task is to stop, and to report nothing.
    pub(super) fn is_cancelled(&self) -> bool {
        self.0.strong_count() == 0
    }
}
