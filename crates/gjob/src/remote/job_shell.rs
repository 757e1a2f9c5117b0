//! A shell in the directory of a job on its host.

use std::io::{self, Read, Write};
use std::process::{Command, ExitStatus, Stdio};

use gjob_core::JobId;
use gjob_core::os_text::to_os;
use gjob_core::plain_text;

use super::run::RemoteError;
use super::script::quote;
use crate::link::{HostPlan, SshConnection, Transport, ssh_options, ssh_program};

/// A shell in the directory of a job.
pub struct JobShell {
    command: Command,
    /// What stands around the commands where a shell on the host reads them.
    frame: Option<Frame>,
}

struct Frame {
    before: String,
    after: String,
}

impl JobShell {
    /// Runs it to its end, with the standard input, output and error of this process.
    ///
    /// # Errors
    /// When it cannot be started, or standard input cannot be read.
    pub fn run(mut self) -> io::Result<ExitStatus> {
        let Some(Frame { before, after }) = self.frame else { return self.command.status() };
        let mut commands = Vec::new();
        io::stdin().read_to_end(&mut commands)?;
        let body = plain_text::body(&commands).map_err(io::Error::other)?;
        let commands = plain_text::lines(body).collect::<Vec<_>>().join(&b'\n');
        let mut child = self.command.stdin(Stdio::piped()).spawn()?;
        if let Some(mut to) = child.stdin.take() {
            // One that has ended before it has read all tells by its status.
            let parts = [before.as_bytes(), &commands, after.as_bytes()];
            let _ = parts.iter().try_for_each(|part| to.write_all(part));
        }
        child.wait()
    }
}

impl Frame {
    /// The commands of standard input, whatever they are, for a bash in `dir`: nowhere
    /// else if that is not there.
    fn in_dir(dir: &str) -> Self {
        let end = format!("GJOB_END_{:016x}", fastrand::u64(..));
        Frame {
            before: format!("cd {dir} || exit\nexec bash -e -s <<'{end}'\n"),
            after: format!("\n{end}\n"),
        }
    }
}

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
) -> Result<JobShell, RemoteError> {
    let dir = quote(&format!("{}/{id}", plan.results_dir()))?;
    let shell = if is_interactive { "bash" } else { "bash -e -s" };
    let script = format!("cd {dir} && exec {shell}");
    let entry = plan.entry();
    let mut command = match plan.transport() {
        Transport::Local => {
            let mut sh = Command::new("/bin/sh");
            sh.current_dir(std::env::home_dir().unwrap_or_else(|| "/".into()));
            sh.args(["-c", &script]);
            return Ok(JobShell { command: sh, frame: None });
        }
        Transport::Command(connect) => {
            let words = connect.for_host(entry)?;
            let mut words = words.iter().map(|word| to_os(word));
            let mut command = Command::new(words.next().unwrap_or_default());
            // Some of these commands give their words to a program, others, as ssh does,
            // one line to a shell: a script among them would mean two things.
            if is_interactive {
                return Err(RemoteError::NoTerminal);
            }
            command.args(words).arg("/bin/sh");
            return Ok(JobShell { command, frame: Some(Frame::in_dir(&dir)) });
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
    Ok(JobShell { command, frame: None })
}
