//! The child process that is the pipe to a host, and its orderly end.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::watch;
use tokio::time::timeout;

use super::error::ConnectError;
use super::transport::{has_logged_in, without_progress};
use crate::open_files;

/// The last bytes of stderr that are kept.
const TAIL: usize = 8 * 1024;
/// How long a child may take to end by itself.
const GRACE: Duration = Duration::from_secs(2);

/// A running transport. Dropped, it is killed with its whole process group.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) stdin: Option<ChildStdin>,
    pub(super) stdout: ChildStdout,
    stderr: watch::Receiver<Vec<u8>>,
    child: Child,
    owns_group: bool,
}

/// What ssh says about its login.
#[derive(Debug)]
pub(super) struct Login(watch::Receiver<Vec<u8>>);

impl Login {
    /// Waits until the host has accepted the login; for ever if nobody says so.
    pub(super) async fn accepted(&mut self) {
        if self.0.wait_for(|stderr| has_logged_in(stderr)).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// How a transport ended.
#[derive(Debug)]
pub(super) struct PipeExit {
    /// Its exit status; none when a signal ended it.
    pub(super) status: Option<i32>,
    /// The last part of its stderr.
    pub(super) stderr: Vec<u8>,
}

impl Pipe {
    /// Starts `command` in a process group of its own: a Ctrl-C at the
    /// terminal is the manager's to handle, not ssh's.
    pub(super) fn start(mut command: Command, owns_group: bool) -> Result<Self, ConnectError> {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        if let Some(before) = open_files::raise().before {
            command.env(open_files::BEFORE, before.to_string());
        }
        let program = command.as_std().get_program().to_string_lossy().into_owned();
        let failed = |source| ConnectError::Start { program: program.clone(), source };
        let missing = || std::io::Error::other("a pipe is missing");
        let mut child = command.spawn().map_err(failed)?;
        let stdout = child.stdout.take().ok_or_else(missing).map_err(failed)?;
        let stderr = child.stderr.take().ok_or_else(missing).map_err(failed)?;
        let (tail, collected) = watch::channel(Vec::new());
        tokio::spawn(collect(stderr, tail));
        Ok(Pipe { stdin: child.stdin.take(), stdout, stderr: collected, child, owns_group })
    }

    /// The last of what was said on stderr until now.
    pub(super) fn said(&self) -> Vec<u8> {
        without_progress(&self.stderr.borrow())
    }

    /// Tells when ssh has logged in.
    pub(super) fn login(&self) -> Login {
        Login(self.stderr.clone())
    }

    /// Closes the child's stdin, discards what it still says, waits a little
    /// for its end, and kills it then.
    pub(super) async fn finish(mut self) -> PipeExit {
        drop(self.stdin.take());
        let ended =
            timeout(GRACE, async { tokio::join!(drain(&mut self.stdout), self.child.wait()).1 });
        let status = match ended.await {
            Ok(Ok(status)) => status.code(),
            Ok(Err(_)) => None,
            Err(_) => {
                self.kill_group();
                // Not an error when it has just ended.
                let _ = self.child.kill().await;
                None
            }
        };
        let _ = timeout(GRACE, async { while self.stderr.changed().await.is_ok() {} }).await;
        PipeExit { status, stderr: self.said() }
    }

    /// The same for a link that was closed in order. An agent that is our child may end
    /// later than its output does: it has nothing to do any more.
    pub(super) async fn leave(mut self) {
        drop(self.stdin.take());
        if !self.owns_group && timeout(GRACE, drain(&mut self.stdout)).await.is_ok() {
            // Reaps it, if this process lives as long.
            tokio::spawn(self.finish());
        } else {
            self.finish().await;
        }
    }

    /// Kills the group while its leader is not yet reaped, so that its number
    /// can't be another's.
    fn kill_group(&self) {
        let leader = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        if let (true, Some(leader)) = (self.owns_group, leader) {
            // Fails when it has ended: which is what is wanted.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.kill_group();
    }
}

async fn drain(stdout: &mut ChildStdout) {
    let mut piece = [0; 4096];
    while let Ok(1..) = stdout.read(&mut piece).await {}
}

/// Keeps the last part of stderr; dropping `tail` says that it ended.
async fn collect(mut stderr: ChildStderr, tail: watch::Sender<Vec<u8>>) {
    let mut piece = [0; 1024];
    while let Ok(count @ 1..) = stderr.read(&mut piece).await {
        tail.send_modify(|tail| {
            tail.extend_from_slice(&piece[..count]);
            tail.drain(..tail.len().saturating_sub(TAIL));
        });
    }
}
