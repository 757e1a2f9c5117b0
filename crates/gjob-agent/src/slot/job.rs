//! One job from its start to its exit record: all that it costs is one `fork` and `exec`.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use gjob_core::jobdir::OwnFile;
use gjob_core::os_text::to_os;
use gjob_core::outcome::MAX_SURVIVORS;
use gjob_core::{Finish, JobId, Timestamp};
use rustix::fs::Mode;

use super::log_error;
use super::orders::{Orders, RunOrders};
use super::prepare::{Prepared, Refusal};
use super::resume_timer::ResumeTimer;
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

/// How many threads programs start, for the libraries that do not ask gjob: OpenMP and
/// those which number-crunching programs of C, Fortran, Python, Rust and Julia use.
const THREADS: [&str; 7] = [
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "JULIA_NUM_THREADS",
];

/// What gjob adds to a job's environment.
#[derive(Debug)]
pub(crate) struct Variables {
    /// How many threads its programs start, where neither its host nor its user says.
    pub(crate) threads: Option<u32>,
    /// Those that say what it is; a user's are replaced.
    pub(crate) own: Vec<(&'static str, OsString)>,
}

impl Variables {
    fn defaults(&self) -> impl Iterator<Item = (&'static str, String)> {
        let threads = self.threads.map(|threads| THREADS.map(|name| (name, threads.to_string())));
        threads.into_iter().flatten()
    }
}

/// A job whose shell runs.
#[derive(Debug)]
pub(crate) struct Started {
    /// Its id.
    pub(crate) id: JobId,
    dir: JobDir,
    done: Reserved,
    lock: File,
    /// Its shell.
    pub(crate) pid: u32,
    /// When it was started.
    pub(crate) at: Timestamp,
    /// The same, since the host's boot, milliseconds.
    since_boot_ms: u64,
    /// The job may stop its slot from its first moment on.
    _timer: Option<ResumeTimer>,
}

impl Starter {
    /// Looks for bash and reads the environment.
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
        let timer = ResumeTimer::start();
        let own_umask = rustix::process::umask(self.umask);
        let child = command.spawn();
        rustix::process::umask(own_umask);
        let pid = child.map_err(spawn_refusal)?.id();
        let (at, since_boot_ms) = (host::now(), host::since_boot_ms());
        // Its room is reserved; and the lock shows as well that the job lives.
        let _ = job.pid.fill(self.pid_file(pid, at));
        let Prepared { id, dir, done, lock, .. } = job;
        Ok(Started { id, dir, done, lock, pid, at, since_boot_ms, _timer: timer })
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
        // No pre_exec: with it, posix_spawn becomes a fork of the whole slot, which takes a
        // quarter longer. It has a price: the job's peak memory is never below the slot's.
        command
            .arg0("bash")
            .args(["-e", OwnFile::Script.name()])
            .current_dir(dir.path())
            .process_group(0)
            .stdin(Stdio::null())
            .env_clear()
            .envs(variables.defaults())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .envs(env.iter().map(|(name, value)| (name, to_os(value))))
            .envs(variables.own)
            .env("GJOB_DIR", dir.path());
        Ok(command)
    }

    fn pid_file(&self, pid: u32, started: Timestamp) -> PidFile {
        // It was not reaped, so that this cannot fail; 0 is no process's start time.
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
            Refusal::job("environment", "expected one that bash can be started with")
        }
        _ => Refusal::host("cannot start bash", error),
    }
}

impl Started {
    /// Waits for the job's end and writes its exit record. A job of a run also gets
    /// orders from the run's directory. `retry` is called while waiting, and returns
    /// true if it is to be called again soon.
    pub(crate) fn finish(
        self,
        run: Option<RunOrders<'_>>,
        limits: Limits<'_>,
        signals: &Signals,
        retry: impl FnMut() -> bool,
    ) -> io::Result<Finished> {
        let orders = Orders { job: &self.dir, run };
        let outcome = Running::new(orders, self.pid, limits).wait(signals, retry)?;
        let Outcome { exit, cause, peak_kib, mut survivors, is_clean } = outcome;
        survivors.truncate(MAX_SURVIVORS);
        let Some(exit) = exit else {
            let (id, lock) = (self.id, self.lock);
            return Ok(Finished { id, end: None, survivors, is_clean, lock });
        };
        if self.dir.has(OwnFile::Stdout.name()).is_err() {
            self.dir.restore_permissions();
        }
        let finish = Finish {
            key: run.map(|run| run.key),
            id: self.id.clone(),
            ending: exit.ending,
            cause,
            started: self.at,
            ended: self.now(),
            user_us: exit.user_us,
            system_us: exit.system_us,
            // What was killed before its parent could wait for it is in none of wait4's figures.
            max_rss_kib: exit.max_rss_kib.max(peak_kib),
            read_bytes: exit.read_bytes,
            written_bytes: exit.written_bytes,
            stdout_bytes: self.dir.length(OwnFile::Stdout.name()),
            stderr_bytes: self.dir.length(OwnFile::Stderr.name()),
            survivors: survivors.clone(),
        };
        let mut written = self.write_done(&finish);
        // No exit status is lost because a disk is full.
        while written.as_ref().is_err_and(is_transient) {
            signals.wait(Some(Duration::from_secs(1)));
            written = self.write_done(&finish);
        }
        if let Err(error) = written {
            // It is in the run log alone.
            log_error(&format!("job {}: cannot write .done: {error}", self.id));
        }
        orders.clear();
        let (id, lock) = (self.id, self.lock);
        Ok(Finished { id, end: Some(finish), survivors, is_clean, lock })
    }

    /// Now, on the scale of its start: the wall clock may be set while it runs.
    fn now(&self) -> Timestamp {
        let elapsed = host::since_boot_ms().saturating_sub(self.since_boot_ms);
        Timestamp(self.at.0.saturating_add(elapsed))
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

    /// Writes it only through the directory that the job was started in: the job may
    /// have put something else under that directory's name.
    fn place_done(&self, finish: &Finish) -> io::Result<()> {
        let reserved = self.dir.names(OwnFile::DoneReserved.name(), &self.done)?;
        if reserved && self.done.fill(finish).is_ok() {
            return self.dir.rename(OwnFile::DoneReserved.name(), OwnFile::Done.name());
        }
        self.dir.replace(OwnFile::Done.name(), OwnFile::DoneRewritten.name(), finish)?;
        if reserved {
            // It holds only spaces, and may stay.
            let _ = self.dir.remove(OwnFile::DoneReserved.name());
        }
        Ok(())
    }
}

/// True for an error that more room or time may resolve.
fn is_transient(error: &io::Error) -> bool {
    let errno = error.raw_os_error();
    [libc::ENOSPC, libc::EDQUOT, libc::EIO, libc::ENFILE, libc::EMFILE, libc::ENOMEM, libc::EINTR]
        .iter()
        .any(|transient| errno == Some(*transient))
}

/// A job that is over.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Its id.
    pub(crate) id: JobId,
    /// Its exit record, also in `.done` if that could be written; none when its shell
    /// could not be ended.
    pub(crate) end: Option<Finish>,
    /// Processes that could not be ended.
    pub(crate) survivors: Vec<u32>,
    /// False when anything of it was left, be it seen or not.
    pub(crate) is_clean: bool,
    /// Still held, until the run log has the record as well.
    pub(crate) lock: File,
}

/// The first `bash` on the PATH.
fn find_bash(path: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(path).filter(|dir| dir.is_absolute()).map(|dir| dir.join("bash")).find(
        |bash| rustix::fs::access(bash, rustix::fs::Access::EXEC_OK).is_ok() && bash.is_file(),
    )
}
