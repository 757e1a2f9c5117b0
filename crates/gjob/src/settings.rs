//! What a run was asked for, kept in its store so that `gjob attach` goes on
//! in the same way.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gjob_core::halt::Halt;
use gjob_core::run::{HostTask, TaskSpecs};
use gjob_core::scheduler::{Config, OnLost};
use gjob_core::{Cluster, HostLabel, HostOptions, JobSpec, Platform, RunId};
use serde::{Deserialize, Serialize};

use crate::link::HostPlan;
use crate::outputs::job_dir_name;

/// The settings of one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunSettings {
    /// The hosts and how they are reached.
    pub network: NetworkSettings,
    /// When the run is ended early.
    pub halt: Option<Halt>,
    /// What is done about the jobs of a host that is lost.
    pub on_lost: OnLost,
    /// How long a host can't be asked before it is lost; none for 5 minutes.
    pub lost_after: Option<Duration>,
    /// Where outputs go.
    pub outputs: OutputSettings,
    /// Seeds the choice among equally loaded hosts.
    pub seed: u64,
    /// The past runs whose done jobs were left out of this one.
    pub skipped_for: Vec<RunId>,
    /// A shell command to be run when a manager has ended the run.
    pub notify: Option<String>,
    /// How set-ups and teardowns of hosts are run.
    pub host_tasks: TaskSettings,
}

/// How set-ups and teardowns of hosts are run; what they run, the hosts' options say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskSettings {
    /// Local files and directories that they get, as jobs do.
    pub files: Vec<String>,
    /// These are read-only hard links.
    pub link: bool,
    /// Variables added to their environment.
    pub env: BTreeMap<String, String>,
    /// How long one may run; none for any time.
    pub timeout: Option<Duration>,
}

impl TaskSettings {
    /// What is run once on a host.
    #[must_use]
    pub fn specs(&self, host: &HostPlan) -> TaskSpecs {
        let spec = |task| {
            let mut spec =
                JobSpec::default().files(&self.files).link(self.link).name(HostTask::as_str(task));
            spec.cmds = vec![host.task(task)?.to_owned()];
            (spec.env, spec.timeout) = (self.env.clone(), self.timeout);
            Some(Arc::new(spec))
        };
        TaskSpecs { setup: spec(HostTask::Setup), teardown: spec(HostTask::Teardown) }
    }
}

/// What a [`Network`](crate::Network) is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkSettings {
    /// The hosts, as they were given.
    pub clusters: Vec<Cluster>,
    /// Options for all that a cluster leaves open. The lease counts only where
    /// the run's `on_lost` and `lost_after` give none.
    pub options: HostOptions,
    /// Worker programs for hosts by their platform.
    #[serde(with = "gjob_core::os_text::paths::by_key")]
    pub agents: BTreeMap<Platform, PathBuf>,
}

impl NetworkSettings {
    /// Has a host run so many jobs at once. False if it does so already.
    pub(crate) fn set_slots(&mut self, host: &HostLabel, slots: u32) -> bool {
        let workers = self.clusters.iter_mut().flat_map(|cluster| &mut cluster.workers);
        let mut named = workers.filter(|it| it.label().is_ok_and(|label| label == *host));
        named.next().is_some_and(|worker| worker.slots.replace(slots) != Some(slots))
    }
}

/// Settings that cannot be kept, or that another version kept in another way.
#[derive(Debug, thiserror::Error)]
#[error("invalid run settings: {0}")]
pub struct SettingsError(#[from] serde_json::Error);

/// Where a run's outputs go, and which.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OutputSettings {
    /// The directory that the jobs' directories are made in, absolute; none
    /// for `gjob-out/RUN` below `here`.
    #[serde(with = "gjob_core::os_text::paths::optional")]
    pub into: Option<PathBuf>,
    /// The directory the run was made from.
    #[serde(with = "gjob_core::os_text::paths::one")]
    pub here: PathBuf,
    /// Keep what jobs write to stdout and stderr as well, however they end.
    pub results: bool,
    /// Remove a job's directory on its host once its outputs are here.
    pub cleanup: bool,
    /// The most that one job's outputs may come to, bytes; none for the default.
    pub max_bytes: Option<u64>,
    /// What past runs have in the same directory.
    pub follows: Follows,
}

/// How a run goes on with the directory of outputs of past runs that it leaves jobs out for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Follows {
    /// These runs, as hosts know them.
    pub runs: Vec<RunId>,
    /// What the directories of the run's jobs are called; none for those with the usual name.
    pub names: BTreeMap<u32, String>,
    /// Those that replace what these runs have there: outputs of jobs that are not done.
    pub replaced: BTreeSet<String>,
}

impl OutputSettings {
    /// What the directory of a job is called.
    #[must_use]
    pub fn job_dir_name(&self, name: Option<&str>, index: u32) -> String {
        let given = self.follows.names.get(&index);
        given.cloned().unwrap_or_else(|| job_dir_name(name, index))
    }

    /// Where the outputs of `run` go.
    #[must_use]
    pub fn dir(&self, run: &RunId) -> PathBuf {
        match &self.into {
            Some(dir) => dir.clone(),
            None => self.here.join("gjob-out").join(run.plain()),
        }
    }
}

impl RunSettings {
    /// Reads settings as a run's store has them ([`RunRow`](crate::store::RunRow)).
    ///
    /// # Errors
    /// When another version of gjob wrote them.
    pub fn from_json(json: &str) -> Result<Self, SettingsError> {
        serde_json::from_str(json).map_err(SettingsError)
    }

    /// Settings as a run's store keeps them.
    ///
    /// # Errors
    /// None that is known.
    pub fn to_json(&self) -> Result<String, SettingsError> {
        serde_json::to_string(self).map_err(SettingsError)
    }

    /// After how long without word from here a host ends the run's jobs: well
    /// before they are started elsewhere, so that it is done by then.
    #[must_use]
    pub fn lease(&self) -> Option<Duration> {
        (self.on_lost == OnLost::Lease).then(|| self.lost_after() / 2)
    }

    /// How long a host can't be asked before it is lost.
    #[must_use]
    pub fn lost_after(&self) -> Duration {
        self.scheduler().lost_after
    }

    /// What its network is made of.
    #[must_use]
    pub(crate) fn network_with_lease(&self) -> NetworkSettings {
        let mut network = self.network.clone();
        network.options.lease = self.lease().or(network.options.lease);
        network
    }

    /// What the scheduler is to know.
    pub(crate) fn scheduler(&self) -> Config {
        let default = Config::default();
        Config {
            seed: self.seed,
            halt: self.halt,
            on_lost: self.on_lost,
            lost_after: self.lost_after.unwrap_or(default.lost_after),
            collect_all: self.outputs.results,
            ..default
        }
    }
}
