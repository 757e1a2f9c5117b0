//! What is run once on a host besides its jobs: a set-up before the first of them, a
//! teardown after the last. Each is an attempt like a job's, with a key behind those of
//! all jobs, so that a host carries it out, and records it, as it does with jobs.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Attempt, Host, HostIx, Outcome, Run};
use crate::event::TaskEnd;
use crate::id::{JobId, Key};
use crate::job::Job;
use crate::outcome::Finish;
use crate::spec::JobSpec;
use crate::time::Timestamp;
use crate::words::words;

/// What is run once on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HostTask {
    /// Before its first job begins (`--setup`).
    Setup,
    /// After its last job has ended (`--teardown`).
    Teardown,
}

words!(HostTask, "task of a host",
    Setup => "setup",
    Teardown => "teardown",
);

/// As people read it.
impl fmt::Display for HostTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            HostTask::Setup => "set-up",
            HostTask::Teardown => "teardown",
        })
    }
}

impl HostTask {
    /// All of them, in their order.
    pub const ALL: [HostTask; 2] = [HostTask::Setup, HostTask::Teardown];
}

/// What is to be run on a host: nothing where there is no specification.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskSpecs {
    /// Before its first job.
    pub setup: Option<Arc<JobSpec>>,
    /// After its last job.
    pub teardown: Option<Arc<JobSpec>>,
}

impl TaskSpecs {
    /// True if nothing is to be run.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.setup.is_none() && self.teardown.is_none()
    }
}

/// The tasks of a host and what has become of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostTasks {
    pub(super) specs: TaskSpecs,
    pub(super) setup: Option<TaskAttempt>,
    pub(super) teardown: Option<TaskAttempt>,
}

/// One execution of a task: the latest one.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskAttempt {
    /// Which task.
    pub task: HostTask,
    /// As with jobs. A reason says that it did not succeed.
    pub attempt: Attempt,
    /// The host's boot when it was assigned.
    pub boot_id: String,
    /// The set-up that came before it, by its number; 0 for none.
    pub setups: u32,
    /// The jobs that had started on the host before it.
    pub jobs: u32,
}

impl TaskAttempt {
    /// True while it may be alive, or its launch under way.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        self.attempt.outcome.is_none()
    }

    /// True if it has exited with 0.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.attempt.finish.as_deref().is_some_and(Finish::is_success)
    }

    /// The same as a job that has started, for what reads jobs' outputs; none before.
    #[must_use]
    pub fn as_job(&self) -> Option<Job> {
        let Attempt { key, host, id, .. } = &self.attempt;
        let spec = JobSpec { name: Some(self.task.as_str().to_owned()), ..JobSpec::default() };
        Some(Job::launched(Arc::new(spec), *key, host.clone(), id.clone()?))
    }
}

impl HostTasks {
    /// What is to be run.
    #[must_use]
    pub fn spec(&self, task: HostTask) -> Option<&Arc<JobSpec>> {
        match task {
            HostTask::Setup => self.specs.setup.as_ref(),
            HostTask::Teardown => self.specs.teardown.as_ref(),
        }
    }

    /// The latest execution of a task.
    #[must_use]
    pub fn latest(&self, task: HostTask) -> Option<&TaskAttempt> {
        match task {
            HostTask::Setup => self.setup.as_ref(),
            HostTask::Teardown => self.teardown.as_ref(),
        }
    }

    /// The latest execution of each task.
    pub fn all(&self) -> impl Iterator<Item = &TaskAttempt> {
        self.setup.iter().chain(&self.teardown)
    }

    /// The task that is under way.
    #[must_use]
    pub fn under_way(&self) -> Option<&TaskAttempt> {
        self.all().find(|it| it.is_under_way())
    }

    /// The number of the set-up that was begun last, as far as is known; 0 for none. One that
    /// was lost may have been begun, though nobody knows its directory.
    fn setups(&self) -> u32 {
        let may_have_begun = |it: &&TaskAttempt| {
            it.attempt.id.is_some() || it.attempt.outcome == Some(Outcome::Lost)
        };
        let begun = self.setup.as_ref().filter(may_have_begun);
        begun.map_or(0, |it| it.attempt.key.attempt)
    }

    fn slot(&mut self, task: HostTask) -> &mut Option<TaskAttempt> {
        match task {
            HostTask::Setup => &mut self.setup,
            HostTask::Teardown => &mut self.teardown,
        }
    }
}

impl Host {
    /// Its tasks.
    #[must_use]
    pub fn tasks(&self) -> &HostTasks {
        &self.tasks
    }

    /// True when it may run jobs as far as its tasks are concerned.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let needs = self.tasks.specs.setup.is_some();
        self.tasks.under_way().is_none() && (!needs || self.is_set_up())
    }

    /// True if its set-up is done, and neither a restart nor a teardown has undone it.
    #[must_use]
    pub fn is_set_up(&self) -> bool {
        let is_of_this_boot = |it: &TaskAttempt| self.boot_id().is_none_or(|id| it.boot_id == id);
        let undone = self.tasks.teardown.as_ref().map_or(0, |it| it.setups);
        let done = self.tasks.setup.as_ref().filter(|it| it.is_done());
        done.is_some_and(|it| it.attempt.key.attempt > undone && is_of_this_boot(it))
    }

    /// True if there is something to be torn down: a set-up was begun, or a job, since it
    /// was torn down.
    #[must_use]
    pub fn is_teardown_due(&self) -> bool {
        let before = self.tasks.teardown.as_ref().map_or((0, 0), |it| (it.setups, it.jobs));
        let since = self.tasks.setups() > before.0 || self.totals.started > before.1;
        self.tasks.specs.teardown.is_some() && since
    }

    /// The boot that it named when it was last reached.
    #[must_use]
    pub fn boot_id(&self) -> Option<&str> {
        let named = self.facts.as_ref().map(|facts| facts.boot_id.as_str());
        named.filter(|boot_id| !boot_id.is_empty())
    }

    /// The directory of its set-up there, absolute, once that is done.
    #[must_use]
    pub fn setup_dir(&self) -> Option<String> {
        let id = self.tasks.setup.as_ref()?.attempt.id.as_ref()?;
        Some(format!("{}/{id}", self.facts.as_ref()?.results_dir))
    }

    pub(super) fn task_assigned(&mut self, at: Timestamp, task: HostTask, key: Key, revision: u32) {
        let mut attempt = Attempt::new(key, self.label.clone(), at);
        attempt.revision = revision;
        let boot_id = self.boot_id().unwrap_or_default().to_owned();
        let (setups, jobs) = (self.tasks.setups(), self.totals.started);
        *self.tasks.slot(task) = Some(TaskAttempt { task, attempt, boot_id, setups, jobs });
    }

    pub(super) fn task_started(&mut self, task: HostTask, key: Key, id: &JobId, at: Timestamp) {
        self.with_task(task, key, |attempt| {
            (attempt.id, attempt.started) = (Some(id.clone()), Some(at));
        });
    }

    pub(super) fn task_ended(
        &mut self,
        at: Timestamp,
        (task, key): (HostTask, Key),
        end: &TaskEnd,
        reason: Option<&String>,
    ) {
        self.with_task(task, key, |attempt| match end {
            TaskEnd::Exited(finish) => {
                attempt.finish(finish);
                attempt.reason = reason.cloned();
            }
            TaskEnd::Lost(id) => {
                attempt.id = attempt.id.take().or(id.clone());
                attempt.close(Outcome::Lost, at, reason.cloned());
            }
            TaskEnd::Refused => attempt.close(Outcome::Refused, at, reason.cloned()),
            TaskEnd::Withdrawn => attempt.close(Outcome::Withdrawn, at, reason.cloned()),
        });
    }

    fn with_task(&mut self, task: HostTask, key: Key, change: impl FnOnce(&mut Attempt)) {
        let attempt = self.tasks.slot(task).as_mut().map(|it| &mut it.attempt);
        if let Some(attempt) = attempt.filter(|attempt| attempt.key == key) {
            change(attempt);
        }
    }
}

impl Run {
    /// What is to be run once on a host that was added.
    pub(crate) fn set_tasks(&mut self, host: HostIx, specs: TaskSpecs) {
        if let Some(host) = self.hosts.get_mut(host.at()) {
            host.tasks.specs = specs;
        }
    }

    /// The same run, with what is to be run once on each host, in the order of the hosts.
    #[must_use]
    pub fn with_tasks(mut self, specs: impl IntoIterator<Item = TaskSpecs>) -> Self {
        for (host, specs) in self.hosts.iter_mut().zip(specs) {
            host.tasks.specs = specs;
        }
        self
    }

    /// The same run, with the latest executions of its hosts' tasks.
    #[must_use]
    pub fn with_task_attempts(mut self, attempts: impl IntoIterator<Item = TaskAttempt>) -> Self {
        for attempt in attempts {
            let host = self.position(&attempt.attempt.host).map(|ix| &mut self.hosts[ix.at()]);
            host.into_iter().for_each(|host| {
                *host.tasks.slot(attempt.task) = Some(attempt.clone());
            });
        }
        self
    }

    /// The key of the next execution of a host's task.
    pub(crate) fn next_task_key(&self, host: HostIx, task: HostTask) -> Key {
        let latest = self.host(host).and_then(|host| host.tasks.latest(task));
        let attempt = latest.map_or(0, |it| it.attempt.key.attempt) + 1;
        let of_host = self.jobs.len() as u32 + 2 * host.0;
        Key::new(of_host + u32::from(task == HostTask::Teardown), attempt)
    }

    /// The host and the task that a key is of; none for that of a job.
    #[must_use]
    pub fn task_of(&self, key: Key) -> Option<(HostIx, HostTask)> {
        let behind = key.index.checked_sub(self.jobs.len() as u32)?;
        let host = HostIx(behind / 2);
        self.host(host).map(|_| (host, HostTask::ALL[behind as usize % 2]))
    }

    /// The execution of a task that has this key, if it is the latest.
    #[must_use]
    pub fn task_attempt(&self, key: Key) -> Option<&TaskAttempt> {
        let (host, task) = self.task_of(key)?;
        self.host(host)?.tasks.latest(task).filter(|it| it.attempt.key == key)
    }

    /// What is launched with a key.
    #[must_use]
    pub fn spec_of(&self, key: Key) -> Option<&Arc<JobSpec>> {
        match self.task_of(key) {
            Some((host, task)) => self.host(host)?.tasks.spec(task),
            None => self.job(key.index).map(|job| &job.spec),
        }
    }

    /// The number of input files' revision that what is launched with a key gets.
    #[must_use]
    pub fn revision_of(&self, key: Key) -> u32 {
        let of_task = || self.task_attempt(key).map(|it| &it.attempt);
        self.attempt(key).or_else(of_task).map_or(0, |attempt| attempt.revision)
    }
}
