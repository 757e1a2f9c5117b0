//! How a job's script is started, and in which environment.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use gjob_core::Timestamp;
use gjob_core::jobdir::OwnFile;
use gjob_core::os_text::to_os;
use rustix::fs::Mode;

use super::affinity::bound_to;
use super::job::Started;
use super::prepare::{Prepared, Refusal};
use super::resume_timer::ResumeTimer;
use crate::host;
use crate::identity::ProcessIdentity;
use crate::jobdir::{JobDir, PidFile};

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

    /// Starts the script of a prepared job, bound to the processors `bound`, if there are any.
    pub(crate) fn start(
        &self,
        job: Prepared,
        env: &BTreeMap<String, String>,
        variables: Variables,
        bound: &[u32],
    ) -> Result<Started, Refusal> {
        let mut command = self.command(&job.dir, env, variables)?;
        command.stdout(job.log).stderr(job.err);
        let timer = ResumeTimer::start();
        let own_umask = rustix::process::umask(self.umask);
        let child = bound_to(bound, || command.spawn());
        rustix::process::umask(own_umask);
        let unbound = |error| Refusal::host("cannot bind the job to its processors", error);
        let pid = child.map_err(unbound)?.map_err(spawn_refusal)?.id();
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

/// The first `bash` on the PATH.
fn find_bash(path: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(path).filter(|dir| dir.is_absolute()).map(|dir| dir.join("bash")).find(
        |bash| rustix::fs::access(bash, rustix::fs::Access::EXEC_OK).is_ok() && bash.is_file(),
    )
}
