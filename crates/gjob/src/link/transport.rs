//! A transport is an argv that gives a pipe.

mod argv;
mod local;
mod ssh;

use std::path::PathBuf;

use gjob_core::HostEntry;
use tokio::process::Command;

pub(crate) use ssh::{options as ssh_options, program as ssh_program};

use super::error::ConnectError;
use crate::program::Programs;

/// How a pipe to a host is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport {
    /// The user's own ssh (`ssh` on the PATH, or what `$GJOB_SSH` names).
    Ssh {
        /// Read instead of the user's and the system's configuration (`-F`).
        config_file: Option<PathBuf>,
    },
    /// The agent is a child of this process: this machine, without ssh.
    Local,
    /// A command that gives a pipe to the host; `{host}` in it stands for the
    /// host's name, and `/bin/sh` is added at its end:
    /// `["kubectl", "exec", "-i", "{host}", "--"]`.
    Command(Vec<String>),
}

impl Transport {
    /// True when the far end is a shell that is still to start the agent.
    pub(super) fn needs_bootstrap(&self) -> bool {
        match self {
            Transport::Ssh { .. } | Transport::Command(_) => true,
            Transport::Local => false,
        }
    }

    /// What is to be started here for a pipe to `entry`.
    pub(super) fn command(
        &self,
        entry: &HostEntry,
        programs: &Programs,
    ) -> Result<Command, ConnectError> {
        match self {
            Transport::Ssh { config_file } => {
                ssh::command(ssh::program(), config_file.as_deref(), entry)
            }
            Transport::Local => local::command(programs),
            Transport::Command(template) => argv::command(template, entry),
        }
    }

    /// True when the whole process group is this link's own to end: ssh with
    /// its proxy, but not an agent, whose slots outlive it.
    pub(super) fn owns_group(&self) -> bool {
        self.needs_bootstrap()
    }
}
