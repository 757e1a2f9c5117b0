//! The process that runs a job script: how it is started, the pipe that its jobs
//! come through, and how it is stopped.

use std::env;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gjob_core::os_text::to_os;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::jobfile::problem::ScriptProblem;

/// The program that Python runs first.
const BOOT: &str = include_str!("boot.py");

/// The program that runs the script.
const SHIM: &str = include_str!("shim.py");

/// The variable with the Python to use.
const VARIABLE: &str = "GJOB_PYTHON";

/// How long a script may take to end after each signal.
const GRACE: Duration = Duration::from_secs(1);

/// A script that is running.
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
        command.arg(&*to_os(script)).args(arguments.iter().map(|argument| to_os(argument)));
        command.stdout(Stdio::from(stdout));
        // The script has to inherit it. Another process that this program happens to
        // start at the same moment may inherit it, too, but nothing waits for the end
        // of the file: see `UntilGone`.
        fcntl_setfd(&far_end, FdFlags::empty()).map_err(|error| ScriptProblem::Io(error.into()))?;
        let child = command.spawn();
        drop(far_end);
        let child =
            child.map_err(|source| ScriptProblem::NoPython { python: python.clone(), source })?;
        stopper.watch(&child);
        Ok(Process { child, python, pipe: Some(pipe), stopper: stopper.clone() })
    }

    /// The Python that was started.
    pub(super) fn python(&self) -> &str {
        &self.python
    }

    /// The lines that the script writes, up to its end or that of its process. Call it
    /// once.
    pub(super) fn out(&mut self) -> impl Read + use<> {
        let pipe = self.pipe.take().map(File::from);
        UntilGone { pipe, process: self.stopper.process() }
    }

    /// Waits for its end, and describes it.
    pub(super) fn wait(&mut self) -> String {
        match self.child.wait() {
            Ok(status) => describe(status),
            Err(error) => error.to_string(),
        }
    }
}

impl Drop for Process {
    /// Leaves no script running, whatever became of its jobs.
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.stopper.stop();
            // It has ended or is about to; errors mean that there is nothing to kill.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        self.stopper.forget();
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("signal {signal}"),
        (None, Some(code)) => format!("exit status {code}"),
        (None, None) => status.to_string(),
    }
}

/// Reads a pipe until it ends, or until the process that should write to it is gone:
/// children of the script may keep the pipe open.
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

/// Stops a running script, for instance after a signal to gjob.
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
    /// Waits a moment for the script to end by itself, as it does after Ctrl-C on a
    /// terminal, and ends it otherwise. Does nothing if no script runs.
    pub fn stop(&self) {
        let Some(process) = self.process() else { return };
        for signal in [Signal::TERM, Signal::KILL] {
            if is_gone(&process) {
                return;
            }
            // An error means that it has just ended.
            let _ = pidfd_send_signal(&process, signal);
        }
        is_gone(&process);
    }

    /// Without pidfds (Linux before 5.3), only the terminal can stop it.
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

/// True if a process ends within [`GRACE`].
fn is_gone(process: &OwnedFd) -> bool {
    let grace = Timespec::try_from(GRACE).ok();
    poll(&mut [PollFd::new(process, PollFlags::IN)], grace.as_ref()).is_ok_and(|ready| ready > 0)
}
