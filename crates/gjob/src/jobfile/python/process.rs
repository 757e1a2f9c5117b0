//! The process that runs a job script: how it is started, the pipe that its
//! jobs come through, and how it is ended before its time.

use std::env;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::jobfile::problem::ScriptProblem;

/// What Python runs first.
const BOOT: &str = include_str!("boot.py");

/// What runs the script.
const SHIM: &str = include_str!("shim.py");

/// Names the Python to use.
const VARIABLE: &str = "GJOB_PYTHON";

/// How long a script has to end by itself when it is stopped.
const GRACE: Duration = Duration::from_secs(1);

/// A script that runs.
pub(super) struct Process {
    child: Child,
    python: String,
    pipe: Option<OwnedFd>,
    stopper: Stopper,
}

impl Process {
    /// Starts Python with a script; `stopper` can end it from now on.
    pub(super) fn start(
        script: &str,
        arguments: &[String],
        stopper: &Stopper,
    ) -> Result<Self, ScriptProblem> {
        let named = env::var(VARIABLE).ok().filter(|python| !python.is_empty());
        let python = named.unwrap_or_else(|| "python3".to_owned());
        let (pipe, far_end) =
            pipe_with(PipeFlags::CLOEXEC).map_err(|error| ScriptProblem::Io(error.into()))?;
        let stdout = io::stderr().as_fd().try_clone_to_owned().map_err(ScriptProblem::Io)?;
        let mut command = Command::new(&python);
        command.arg("-c").arg(BOOT).arg(SHIM).arg(far_end.as_raw_fd().to_string());
        command.arg(script).args(arguments).stdout(Stdio::from(stdout));
        // The script's process alone is to have it; whichever else is started
        // meanwhile does no harm, since nobody waits for the end of the file.
        fcntl_setfd(&far_end, FdFlags::empty()).map_err(|error| ScriptProblem::Io(error.into()))?;
        let child = command.spawn();
        drop(far_end);
        let child =
            child.map_err(|source| ScriptProblem::NoPython { python: python.clone(), source })?;
        stopper.watch(&child);
        Ok(Process { child, python, pipe: Some(pipe), stopper: stopper.clone() })
    }

    /// What was started.
    pub(super) fn python(&self) -> &str {
        &self.python
    }

    /// What the script writes, up to its end or that of its process, whichever
    /// else may still hold the pipe. To be asked for once.
    pub(super) fn out(&mut self) -> impl Read + use<> {
        let pipe = self.pipe.take().map(File::from);
        UntilGone { pipe, process: self.stopper.process() }
    }

    /// Waits for its end, and says what that was.
    pub(super) fn wait(&mut self) -> String {
        match self.child.wait() {
            Ok(status) => say(status),
            Err(error) => error.to_string(),
        }
    }
}

impl Drop for Process {
    /// Nothing of a script is left behind, whatever became of its jobs.
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.stopper.stop();
            // Gone, or about to be; else it is not ours to end.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        self.stopper.forget();
    }
}

fn say(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("signal {signal}"),
        (None, Some(code)) => format!("exit status {code}"),
        (None, None) => status.to_string(),
    }
}

/// Reads a pipe until it ends, or the process is gone that was to write to it.
struct UntilGone {
    pipe: Option<File>,
    process: Option<Arc<OwnedFd>>,
}

impl Read for UntilGone {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(pipe) = &mut self.pipe else { return Ok(0) };
        if let Some(process) = &self.process {
            let mut both =
                [PollFd::new(&*pipe, PollFlags::IN), PollFd::new(process, PollFlags::IN)];
            while let Err(error) = poll(&mut both, None) {
                if error != rustix::io::Errno::INTR {
                    return Err(error.into());
                }
            }
            if both[0].revents().is_empty() {
                return Ok(0);
            }
        }
        pipe.read(buffer)
    }
}

/// Ends a script while it runs: at a signal to gjob.
#[derive(Clone, Default)]
pub struct Stopper {
    process: Arc<Mutex<Option<Arc<OwnedFd>>>>,
}

impl fmt::Debug for Stopper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stopper")
    }
}

impl Stopper {
    /// Waits a moment for the script to end by itself, as one on a terminal does
    /// at Ctrl-C; else ends it. Does nothing when no script runs.
    pub fn stop(&self) {
        let Some(process) = self.process() else { return };
        for signal in [Signal::TERM, Signal::KILL] {
            if is_gone(&process) {
                return;
            }
            // It may have gone this instant.
            let _ = pidfd_send_signal(&process, signal);
        }
        is_gone(&process);
    }

    /// Without pidfds, in Linux before 5.3, there is nothing to stop it by but
    /// the terminal.
    fn watch(&self, child: &Child) {
        let process = Pid::from_raw(child.id().cast_signed())
            .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = process.map(Arc::new);
    }

    fn forget(&self) {
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn process(&self) -> Option<Arc<OwnedFd>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// True when a process ends within the grace.
fn is_gone(process: &OwnedFd) -> bool {
    let grace = Timespec::try_from(GRACE).ok();
    poll(&mut [PollFd::new(process, PollFlags::IN)], grace.as_ref()).is_ok_and(|ready| ready > 0)
}
