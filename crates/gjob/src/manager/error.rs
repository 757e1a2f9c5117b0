//! What can stop a manager. A job's failure does not.

use gjob_core::plural::counted;
use gjob_core::scheduler::Unfit;
use gjob_core::spec::MAX_ENV_BYTES;
use gjob_core::{HostLabel, Run, RunId};

use crate::network::NetworkError;
use crate::settings::SettingsError;
use crate::store::{RunDirError, StoreError};

/// The manager cannot start or continue.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManagerError {
    /// There are no jobs.
    #[error("no jobs: expected at least one")]
    NoJobs,
    /// More jobs than a run can have.
    #[error("too many jobs for one run: {0}, at most {max}", max = u32::MAX)]
    TooManyJobs(usize),
    /// A specification that cannot be launched.
    #[error("job {index}: {source}")]
    Spec {
        /// The job's position.
        index: usize,
        /// What is wrong with it.
        source: gjob_core::spec::SpecError,
    },
    /// The set-up or teardown of a host cannot be launched.
    #[error("{task} of host {host}: {source}")]
    HostTask {
        /// The host.
        host: HostLabel,
        /// Which of them.
        task: gjob_core::run::HostTask,
        /// What is wrong with it.
        source: gjob_core::spec::SpecError,
    },
    /// Used before `setup` or `attach`.
    #[error("the manager has no jobs: call setup first")]
    NotSetUp,
    /// The network, or files that jobs need.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The store; jobs that run on hosts continue.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The run's directory.
    #[error(transparent)]
    RunDir(#[from] RunDirError),
    /// Outputs cannot be written locally; jobs that run on hosts continue.
    #[error("{0}")]
    Outputs(String),
    /// Outputs would go where something exists that is not the run's.
    #[error(
        "{} exists and was not created by this run\n\
         help: move it, or choose another --into; to go on with the run that it is of: \
         `gjob retry`, or --skip-done RUN",
        dir.join(name).display()
    )]
    OutputsInTheWay {
        /// Where outputs go.
        dir: std::path::PathBuf,
        /// What exists in it.
        name: String,
    },
    /// The directory for outputs cannot be read.
    #[error("{}: {source}", dir.display())]
    OutputsDir {
        /// Which.
        dir: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// More variables than a host takes, with those of the host; nothing was started.
    #[error(
        "job {index} on host {host}: environment has {found} bytes with the host's variables: \
         expected at most {MAX_ENV_BYTES}"
    )]
    HostEnvironment {
        /// Which.
        host: HostLabel,
        /// The first such job's position.
        index: usize,
        /// Bytes with names, and what each takes besides.
        found: usize,
    },
    /// Jobs that wait for something that is not a job, or for each other.
    #[error(transparent)]
    Dependency(#[from] gjob_core::dependency::DependencyError),
    /// Jobs that are bound to hosts which the run does not have; nothing was started.
    #[error(transparent)]
    NoSuchHost(#[from] NoSuchHost),
    /// Jobs that no host of the run can take; nothing was started.
    #[error("{}", all_unfit(.0))]
    Unfit(Vec<Unfit>),
    /// Changes that cannot be made; nothing was changed.
    #[error("{0}")]
    Refused(String),
    /// A copy that is older than the last host of its run; nothing was started.
    #[error("{}", all_unknown(run, *unknown))]
    UnknownHosts {
        /// The run.
        run: RunId,
        /// How many hosts the copy does not know.
        unknown: u32,
    },
    /// Settings that another version wrote.
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

/// A job that is bound to hosts which the run does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoSuchHost {
    /// The first such job's position.
    pub index: u32,
    /// How many others there are.
    pub others: usize,
    /// The names and labels that it is bound to.
    pub bound_to: String,
    /// The run's hosts, the first few, with their labels.
    pub hosts: String,
}

/// Hosts that are named, at most.
const MAX_HOSTS_NAMED: usize = 10;

impl NoSuchHost {
    pub(super) fn new(run: &Run, index: u32, others: usize) -> Self {
        let named = run.hosts().iter().take(MAX_HOSTS_NAMED).map(|host| match &host.labels[..] {
            [] => host.label.to_string(),
            labels => format!("{} ({})", host.label, labels.join(", ")),
        });
        let mut hosts = named.collect::<Vec<_>>().join(", ");
        let more = run.hosts().len().saturating_sub(MAX_HOSTS_NAMED);
        if more > 0 {
            hosts.push_str(&format!(" and {more} more"));
        }
        let bound_to = run.job(index).map(|job| job.spec.bound_to()).unwrap_or_default();
        NoSuchHost { index, others, bound_to, hosts }
    }
}

impl std::error::Error for NoSuchHost {}

impl std::fmt::Display for NoSuchHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let NoSuchHost { index, others, bound_to, hosts } = self;
        write!(
            f,
            "job {index} is bound to {bound_to}: no host of the run is that, it has {hosts}"
        )?;
        match others {
            0 => Ok(()),
            1 => f.write_str("\n1 other job is bound to none of them, either"),
            _ => write!(f, "\n{others} other jobs are bound to none of them, either"),
        }
    }
}

/// Classes of jobs that no host can take, at most this many of which are named.
const MAX_NAMED: usize = 20;

/// A line for each class of jobs.
fn all_unfit(unfit: &[Unfit]) -> String {
    let line = |unfit: &Unfit| format!("job {} {unfit}", unfit.index);
    let mut lines: Vec<String> = unfit.iter().take(MAX_NAMED).map(line).collect();
    if unfit.len() > MAX_NAMED {
        lines.push(format!("and {} more classes of jobs", unfit.len() - MAX_NAMED));
    }
    lines.join("\n")
}

fn all_unknown(run: &RunId, unknown: u32) -> String {
    let (named, were, they, them) = match unknown {
        1 => ("HOST", "was", "it has", "that host"),
        _ => ("HOST,HOST", "were", "they have", "these hosts"),
    };
    format!(
        "run {run}: {} {were} added to the run after this copy of it was made: what {they} run \
         could run again, so nothing is started\n\
         help: `gjob attach {run} --moved -H {named}`, with the options of `gjob hosts add`, asks \
         {them}, too",
        counted(unknown.into(), "host"),
    )
}

impl ManagerError {
    /// True when another process manages the run.
    #[must_use]
    pub fn is_managed_already(&self) -> bool {
        matches!(
            self,
            ManagerError::Store(StoreError::RunDir(RunDirError::Locked { .. }))
                | ManagerError::RunDir(RunDirError::Locked { .. })
        )
    }
}
