//! This machine: the agent is a child, without ssh and without a shell.

use tokio::process::Command;

use crate::link::error::ConnectError;
use crate::program::Programs;

/// The worker program of this machine, as an agent.
pub(super) fn command(programs: &Programs) -> Result<Command, ConnectError> {
    let mut command = Command::new(programs.local()?);
    command.arg("agent");
    Ok(command)
}
