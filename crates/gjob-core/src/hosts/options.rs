//! How hosts are reached and used: for all hosts of a run, or for one cluster.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ConnectCommand, HostLimits};
use crate::os_text::byte_len;
use crate::output::{MAX_COMPONENT, MAX_PATH};

/// Options for hosts. An option that is not set is decided by the next level:
/// first the host's cluster, then the run, then gjob's defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostOptions {
    /// The results directory on the host: absolute, or below the home directory.
    pub results_dir: Option<String>,
    /// The command that opens a pipe to the host, instead of ssh.
    pub connect: Option<ConnectCommand>,
    /// The ssh configuration file, instead of the user's (`ssh -F`).
    #[serde(with = "crate::os_text::paths::optional")]
    pub ssh_config: Option<PathBuf>,
    /// Jobs at once, unless the host's entry has a number of its own; none for
    /// one per processor.
    pub slots: Option<u32>,
    /// How long the host's jobs may run without contact to the manager before
    /// the host ends them (`--on-lost lease`).
    pub lease: Option<Duration>,
    /// Room for staged files in the results directory, bytes.
    pub blob_budget: Option<u64>,
    /// What is run on the host before its first job, as a job's commands are.
    pub setup: Option<String>,
    /// What is run on it after its last job.
    pub teardown: Option<String>,
    /// Variables that its jobs have, unless they set them themselves.
    pub env: BTreeMap<String, String>,
    /// When it starts jobs, and how.
    pub limits: HostLimits,
}

impl HostOptions {
    /// These options, completed with `defaults`.
    #[must_use]
    pub fn or(self, defaults: &HostOptions) -> HostOptions {
        // Destructured, so that the compiler asks about an option added later.
        let HostOptions {
            results_dir,
            connect,
            ssh_config,
            slots,
            lease,
            blob_budget,
            setup,
            teardown,
            mut env,
            limits,
        } = self;
        for (name, value) in &defaults.env {
            env.entry(name.clone()).or_insert_with(|| value.clone());
        }
        HostOptions {
            results_dir: results_dir.or_else(|| defaults.results_dir.clone()),
            connect: connect.or_else(|| defaults.connect.clone()),
            ssh_config: ssh_config.or_else(|| defaults.ssh_config.clone()),
            slots: slots.or(defaults.slots),
            lease: lease.or(defaults.lease),
            blob_budget: blob_budget.or(defaults.blob_budget),
            setup: setup.or_else(|| defaults.setup.clone()),
            teardown: teardown.or_else(|| defaults.teardown.clone()),
            env,
            limits: limits.or(&defaults.limits),
        }
    }

    /// These options, without those that `given` has.
    #[must_use]
    pub fn unless(self, given: &HostOptions) -> HostOptions {
        let HostOptions {
            results_dir,
            connect,
            ssh_config,
            slots,
            lease,
            blob_budget,
            setup,
            teardown,
            env,
            limits,
        } = self;
        HostOptions {
            results_dir: results_dir.filter(|_| given.results_dir.is_none()),
            connect: connect.filter(|_| given.connect.is_none()),
            ssh_config: ssh_config.filter(|_| given.ssh_config.is_none()),
            slots: slots.filter(|_| given.slots.is_none()),
            lease: lease.filter(|_| given.lease.is_none()),
            blob_budget: blob_budget.filter(|_| given.blob_budget.is_none()),
            setup: setup.filter(|_| given.setup.is_none()),
            teardown: teardown.filter(|_| given.teardown.is_none()),
            env,
            limits: limits.unless(&given.limits),
        }
    }
}

/// A results directory whose name cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid results directory {0:?}: expected a path of at most {MAX_PATH} bytes, at most {MAX_COMPONENT} of each name, without newlines and NUL characters"
)]
pub struct ResultsDirError(String);

/// Checks the name of a results directory.
///
/// # Errors
/// When it holds a newline or a NUL, or is too long.
pub fn check_results_dir(dir: &str) -> Result<(), ResultsDirError> {
    let is_long =
        byte_len(dir) > MAX_PATH || dir.split('/').any(|name| byte_len(name) > MAX_COMPONENT);
    if is_long || dir.contains(['\n', '\0']) {
        Err(ResultsDirError(dir.to_owned()))
    } else {
        Ok(())
    }
}
