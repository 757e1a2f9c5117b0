//! What can keep a manager from its work. A job's failure is none of it.

use gjob_core::scheduler::Unfit;

use crate::network::NetworkError;
use crate::settings::SettingsError;
use crate::store::{RunDirError, StoreError};

/// The manager can't begin or can't go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManagerError {
    /// There are no jobs.
    #[error("no jobs: at least one is needed")]
    NoJobs,
    /// More jobs than a run can have.
    #[error("{0} jobs are too many for one run: at most {max} are accepted", max = u32::MAX)]
    TooManyJobs(usize),
    /// A specification that can't be launched.
    #[error("job {index}: {source}")]
    Spec {
        /// The job's position.
        index: usize,
        /// What is wrong with it.
        source: gjob_core::spec::SpecError,
    },
    /// Used before `setup` or `attach`.
    #[error("the manager has no jobs yet: call setup first")]
    NotSetUp,
    /// The network, or files that jobs need.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The store; jobs that run on hosts go on.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The run's directory.
    #[error(transparent)]
    RunDir(#[from] RunDirError),
    /// Outputs can't be written here; jobs that run on hosts go on.
    #[error("{0}")]
    Outputs(String),
    /// Outputs would go where something is already.
    #[error(
        "{} has {name:?} already: a directory without the jobs' own in it is accepted",
        dir.display()
    )]
    OutputsInTheWay {
        /// Where outputs are to go.
        dir: std::path::PathBuf,
        /// What is there.
        name: String,
    },
    /// The directory for outputs can't be read.
    #[error("{}: {source}", dir.display())]
    OutputsDir {
        /// Which.
        dir: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Jobs that wait for what is no job, or for each other.
    #[error(transparent)]
    Dependency(#[from] gjob_core::dependency::DependencyError),
    /// Jobs that no host of the run can take; nothing was started.
    #[error("{}", all_unfit(.0))]
    Unfit(Vec<Unfit>),
    /// Settings that another version wrote.
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

/// Kinds of jobs that no host can take, of which a line is said, at most.
const MAX_SAID: usize = 20;

/// A line for each kind of job.
fn all_unfit(unfit: &[Unfit]) -> String {
    let line = |unfit: &Unfit| format!("job {} {unfit}", unfit.index);
    let mut lines: Vec<String> = unfit.iter().take(MAX_SAID).map(line).collect();
    if unfit.len() > MAX_SAID {
        lines.push(format!("and {} more kinds of jobs", unfit.len() - MAX_SAID));
    }
    lines.join("\n")
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
