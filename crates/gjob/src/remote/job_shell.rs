//! A shell in the directory of a job on its host.

use std::process::Command;

use gjob_core::JobId;
use gjob_core::os_text::to_os;

use super::run::RemoteError;
use super::script::quote;
use crate::link::{HostPlan, SshConnection, Transport, ssh_options, ssh_program};

/// The command that opens a shell in the directory of the job `id` on the host of `plan`:
/// one for a person with a terminal, or one that runs the commands of its standard input
/// and stops at the first that fails. It ends as they do, or as ssh does when the host
/// can't be reached.
///
/// # Errors
/// When the path holds a NUL, or the host lacks what its connect command uses.
pub fn job_shell(
    plan: &HostPlan,
    id: &JobId,
    is_interactive: bool,
) -> Result<Command, RemoteError> {
    let dir = quote(&format!("{}/{id}", plan.results_dir()))?;
    let shell = if is_interactive { "bash" } else { "bash -e -s" };
    let script = format!("cd {dir} && exec {shell}");
    let entry = plan.entry();
    let mut command = match plan.transport() {
        Transport::Local => {
            let mut sh = Command::new("/bin/sh");
            sh.current_dir(std::env::home_dir().unwrap_or_else(|| "/".into()));
            sh.args(["-c", &script]);
            return Ok(sh);
        }
        Transport::Command(connect) => {
            let words = connect.for_host(entry)?;
            let mut words = words.iter().map(|word| to_os(word));
            let mut command = Command::new(words.next().unwrap_or_default());
            command.args(words).args(["/bin/sh", "-c", &script]);
            return Ok(command);
        }
        Transport::Ssh { config_file } => {
            let mut ssh = Command::new(ssh_program());
            // With a person at the terminal, their own ssh may ask for a password.
            match (is_interactive, config_file) {
                (true, Some(file)) => drop(ssh.args(["-t", "-t", "-F"]).arg(file)),
                (true, None) => drop(ssh.args(["-t", "-t"])),
                (false, file) => {
                    ssh.args(["-T", "-a", "-x"]);
                    ssh.args(ssh_options(file.as_deref(), SshConnection::Own));
                }
            }
            ssh
        }
    };
    if let Some(port) = entry.port {
        command.arg("-p").arg(port.to_string());
    }
    // Whatever the login shell is, /bin/sh reads the script.
    let script = format!("exec /bin/sh -c {}", quote(&script)?);
    command.args(["--", &entry.destination(), &script]);
    Ok(command)
}
