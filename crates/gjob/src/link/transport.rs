//! A transport is an argv that gives a pipe.

mod local;
mod ssh;

use std::path::PathBuf;

use gjob_core::HostEntry;
use gjob_core::hosts::{ConnectCommand, ConnectCommandError, HostOptions};
use gjob_core::os_text::to_os;
use tokio::process::Command;

pub(crate) use ssh::{
    Connection, copy_options as scp_options, has_logged_in, has_master, learn_unknown,
    program as ssh_program, session_options as ssh_options, without_progress,
};

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
    /// A command of the user's that gives a pipe to the host.
    Command(ConnectCommand),
}

impl Transport {
    /// The transport to `entry` that the options ask for.
    pub(super) fn choose(
        entry: &HostEntry,
        options: &HostOptions,
    ) -> Result<Transport, ConnectCommandError> {
        if entry.is_local() {
            return Ok(Transport::Local);
        }
        let Some(command) = &options.connect else {
            return Ok(Transport::Ssh { config_file: options.ssh_config.clone() });
        };
        command.for_host(entry)?;
        Ok(Transport::Command(command.clone()))
    }

    /// True when the far end is a shell that is still to start the agent.
    pub(super) fn needs_bootstrap(&self) -> bool {
        match self {
            Transport::Ssh { .. } | Transport::Command(_) => true,
            Transport::Local => false,
        }
    }

    /// The local command that is a pipe to `entry`.
    pub(super) fn command(
        &self,
        entry: &HostEntry,
        programs: &Programs,
        connection: Connection,
    ) -> Result<Command, ConnectError> {
        match self {
            Transport::Ssh { config_file } => {
                Ok(ssh::command(ssh::program(), config_file.as_deref(), entry, connection))
            }
            Transport::Local => local::command(programs),
            Transport::Command(connect) => {
                let words = connect.for_host(entry)?;
                let mut words = words.iter().map(|word| to_os(word));
                let mut command = Command::new(words.next().unwrap_or_default());
                command.args(words).arg("/bin/sh");
                let names = std::env::vars_os().map(|(name, _)| name);
                for name in names.filter(|name| is_of_a_step(&name.to_string_lossy())) {
                    command.env_remove(name);
                }
                Ok(command)
            }
        }
    }

    /// True when the whole process group is this link's own to end: ssh with
    /// its proxy, but not an agent, whose slots outlive it.
    pub(super) fn owns_group(&self) -> bool {
        self.needs_bootstrap()
    }
}

/// True for variables that describe the batch job or step that gjob itself runs
/// in. An `srun` that inherits them starts something else than it is told to:
/// fewer processors (`SLURM_CPUS_PER_TASK`), labels in front of each line
/// (`SLURM_LABELIO`), no environment at all (`SLURM_EXPORT_ENV`).
fn is_of_a_step(variable: &str) -> bool {
    let is_of_the_cluster = matches!(variable, "SLURM_CONF" | "SLURM_CLUSTERS" | "SLURM_JWT");
    let prefixes = ["SLURM_", "SRUN_", "SBATCH_", "PMI"];
    !is_of_the_cluster && prefixes.iter().any(|prefix| variable.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_a_surrounding_slurm_step_are_dropped_and_those_of_the_cluster_kept() {
        for name in
            ["SLURM_LABELIO", "SLURM_CPUS_PER_TASK", "SRUN_DEBUG", "SBATCH_EXPORT", "PMIX_RANK"]
        {
            assert!(is_of_a_step(name), "{name}");
        }
        for name in ["SLURM_CONF", "SLURM_JWT", "SLURM_CLUSTERS", "PATH", "MY_SLURM_X"] {
            assert!(!is_of_a_step(name), "{name}");
        }
    }

    #[test]
    fn a_shell_is_added_to_the_users_command() {
        let connect = "srun --nodelist={host} --".parse().unwrap();
        let entry = HostEntry { name: "gpu-3".to_owned(), ..HostEntry::local() };
        let command = Transport::Command(connect);
        let command = command.command(&entry, &Programs::new(), Connection::Own).unwrap();
        let command = command.as_std();
        assert_eq!(command.get_program(), "srun");
        let arguments: Vec<_> = command.get_args().collect();
        assert_eq!(arguments, ["--nodelist=gpu-3", "--", "/bin/sh"]);
    }
}
