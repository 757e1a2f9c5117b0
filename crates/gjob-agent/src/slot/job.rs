//! One job from its start to its exit record: the one `fork`+`exec` that it costs.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use gjob_core::jobdir::OwnFile;
use gjob_core::outcome::MAX_SURVIVORS;
use gjob_core::{Finish, JobId, Timestamp};
use rustix::fs::Mode;

use super::complain;
use super::orders::{Orders, RunOrders};
use super::prepare::{Prepared, Refusal};
use super::signals::Signals;
pub(crate) use super::wait::Limits;
use super::wait::{Outcome, Running};
use crate::host;
use crate::identity::ProcessIdentity;
use crate::jobdir::{JobDir, PidFile, Reserved};

/// What all jobs of a slot are started with.
#[derive(Debug)]
pub(crate) struct Starter {
    /// The shell; none when this host has none.
    bash: Option<PathBuf>,
    /// The slot's own environment, without what gjob set in it.
    environment: Vec<(OsString, OsString)>,
    /// The umask that jobs get.
    umask: Mode,
    slot: ProcessIdentity,
}

/// A job's variables.
pub(crate) type Variables = Vec<(&'static str, OsString)>;

/// A job whose shell runs.
#[derive(Debug)]
pub(crate) struct Started {
    /// What it is called.
    pub(crate) id: JobId,
    dir: JobDir,
    done: Reserved,
    lock: File,
    /// Its shell.
    pub(crate) pid: u32,
    /// When it was started.
    pub(crate) at: Timestamp,
}

impl Starter {
    /// Looks for bash and at the environment.
    pub(crate) fn new(slot: ProcessIdentity, umask: Mode) -> Self {
        let path =
            std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
        Starter {
            bash: find_bash(&path),
            environment: std::env::vars_os()
                .filter(|(name, _)| !name.as_encoded_bytes().starts_with(b"GJOB_"))
                .collect(),
            umask,
            slot,
        }
    }

    /// Starts the script of a prepared job.
    pub(crate) fn start(
        &self,
        job: Prepared,
        env: &BTreeMap<String, String>,
        variables: Variables,
    ) -> Result<Started, Refusal> {
        let mut command = self.command(&job.dir, env, variables)?;
        command.stdout(job.log).stderr(job.err);
        let own_umask = rustix::process::umask(self.umask);
        let child = command.spawn();
        rustix::process::umask(own_umask);
        let pid = child.map_err(spawn_refusal)?.id();
        let at = host::now();
        // Its room is reserved; and that the job lives, the lock says as well.
        let _ = job.pid.fill(self.pid_file(pid, at));
        Ok(Started { id: job.id, dir: job.dir, done: job.done, lock: job.lock, pid, at })
    }

    fn command(
        &self,
        dir: &JobDir,
        env: &BTreeMap<String, String>,
        variables: Variables,
    ) -> Result<Command, Refusal> {
        let bash = self
            .bash
            .as_ref()
            .ok_or_else(|| Refusal::host("no bash on the PATH", io::ErrorKind::NotFound.into()))?;
        let mut command = Command::new(bash);
        // No pre_exec: with it, posix_spawn becomes a fork of the whole slot.
        command
            .arg0("bash")
            .args(["-e", OwnFile::Script.name()])
            .current_dir(dir.path())
            .process_group(0)
            .stdin(Stdio::null())
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .envs(env)
            .envs(variables)
            .env("GJOB_DIR", dir.path());
        Ok(command)
    }

    fn pid_file(&self, pid: u32, started: Timestamp) -> PidFile {
        // Not reaped yet, so there it is; 0 is no process's start.
        let job = ProcessIdentity::of(pid).unwrap_or_else(|_| ProcessIdentity {
            boot_id: self.slot.boot_id.clone(),
            pid,
            start: 0,
        });
        PidFile { job, slot: self.slot.clone(), started }
    }
}

fn spawn_refusal(error: io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::ArgumentListTooLong | io::ErrorKind::InvalidInput => {
            Refusal::job("environment", "one that bash can be started with is expected")
        }
        _ => Refusal::host("can't start bash", error),
    }
}

impl Started {
    /// Waits for the job's end and writes its exit record. A job of a run gets
    /// orders from there, too. `retry` is called
    /// while waiting, and says whether it is to be called again soon.
    pub(crate) fn finish(
        self,
        run: Option<RunOrders<'_>>,
        limits: Limits<'_>,
        signals: &Signals,
        retry: impl FnMut() -> bool,
    ) -> io::Result<Finished> {
        let orders = Orders { job: &self.dir, run };
        let Outcome { exit, cause, mut survivors } =
            Running::new(orders, self.pid, limits).wait(signals, retry)?;
        survivors.truncate(MAX_SURVIVORS);
        if self.dir.has(OwnFile::Stdout.name()).is_err() {
            self.dir.restore_permissions();
        }
        let finish = Finish {
            key: run.map(|run| run.key),
            id: self.id.clone(),
            ending: exit.ending,
            cause,
            started: self.at,
            ended: host::now(),
            user_us: exit.user_us,
            system_us: exit.system_us,
            max_rss_kib: exit.max_rss_kib,
            stdout_bytes: self.dir.length(OwnFile::Stdout.name()),
            stderr_bytes: self.dir.length(OwnFile::Stderr.name()),
            survivors,
        };
        let mut written = self.write_done(&finish);
        // An exit status is not lost to a full disk.
        while written.as_ref().is_err_and(may_pass) {
            signals.wait(Some(Duration::from_secs(1)));
            written = self.write_done(&finish);
        }
        if let Err(error) = written {
            // The run log alone will tell.
            complain(&format!("job {}: can't write .done: {error}", self.id));
        }
        orders.clear();
        Ok(Finished { finish, lock: self.lock })
    }

    fn write_done(&self, finish: &Finish) -> io::Result<()> {
        match self.place_done(finish) {
            Err(error)
                if error.kind() == io::ErrorKind::PermissionDenied
                    && self.dir.restore_permissions() =>
            {
                self.place_done(finish)
            }
            placed => placed,
        }
    }

    /// Only through the directory that the job was started in: what has its
    /// name by now may be the job's work.
    fn place_done(&self, finish: &Finish) -> io::Result<()> {
        let reserved = self.dir.names(OwnFile::DoneReserved.name(), &self.done)?;
        if reserved && self.done.fill(finish).is_ok() {
            return self.dir.rename(OwnFile::DoneReserved.name(), OwnFile::Done.name());
        }
        self.dir.replace(OwnFile::Done.name(), OwnFile::DoneRewritten.name(), finish)?;
        if reserved {
            // Spaces, and in nobody's way.
            let _ = self.dir.remove(OwnFile::DoneReserved.name());
        }
        Ok(())
    }
}

/// True for what room or time can mend.
fn may_pass(error: &io::Error) -> bool {
    let errno = error.raw_os_error();
    [libc::ENOSPC, libc::EDQUOT, libc::EIO, libc::ENFILE, libc::EMFILE, libc::ENOMEM, libc::EINTR]
        .iter()
        .any(|passing| errno == Some(*passing))
}

/// A job that is over.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Its exit record, written to `.done` if that could be.
    pub(crate) finish: Finish,
    /// Still held: to be let go of when the run log has the record too.
    pub(crate) lock: File,
}

/// The first `bash` on the PATH.
fn find_bash(path: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(path).filter(|dir| dir.is_absolute()).map(|dir| dir.join("bash")).find(
        |bash| rustix::fs::access(bash, rustix::fs::Access::EXEC_OK).is_ok() && bash.is_file(),
    )
}
