//! How a job's script is started, and in which environment.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use gjob_core::jobdir::OwnFile;
use gjob_core::os_text::to_os;
use rustix::fs::Mode;
use rustix::io::{FdFlags, fcntl_setfd};

use super::affinity::bound_to;
use super::direct::{self, Direct, Environment};
use super::job::Started;
use super::prepare::{Prepared, Refusal};
use super::resume_timer::ResumeTimer;
use super::shim::Shim;
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
    /// What starts simple commands; none before the first one, and after it was ended.
    shim: Option<Shim>,
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
            shim: None,
        }
    }

    /// Starts the script of a prepared job, bound to the processors `bound`, if there are any:
    /// with bash, unless `direct` is its text and one simple command.
    pub(crate) fn start(
        &mut self,
        job: Prepared,
        direct: Option<&[u8]>,
        env: &BTreeMap<String, String>,
        variables: Variables,
        bound: &[u32],
    ) -> Result<Started, Refusal> {
        let environment = self.environment(&job.dir, env, variables);
        let timer = ResumeTimer::start();
        let own_umask = rustix::process::umask(self.umask);
        let direct = direct
            .filter(|_| bound.is_empty())
            .and_then(|script| self.start_direct(&job, script, &environment));
        let started = match direct {
            Some(direct) => Ok((direct.shim.identity.clone(), Some(direct))),
            None => self.start_bash(&job, &environment, bound).map(|shell| (shell, None)),
        };
        rustix::process::umask(own_umask);
        let (shell, direct) = started?;
        let (pid, at, since_boot_ms) = (shell.pid, host::now(), host::since_boot_ms());
        // Its room is reserved; and the lock shows as well that the job lives.
        let _ = job.pid.fill(PidFile { job: shell, slot: self.slot.clone(), started: at });
        let Prepared { id, dir, done, lock, .. } = job;
        Ok(Started { id, dir, done, lock, pid, direct, at, since_boot_ms, _timer: timer })
    }

    /// Takes back the shim of a job that has ended and left nothing, for the next one.
    pub(crate) fn keep(&mut self, shim: Option<Shim>) {
        self.shim = shim;
    }

    /// Ends what it has for its next job.
    pub(crate) fn dismiss(self) {
        self.shim.into_iter().for_each(Shim::dismiss);
    }

    /// What the job finds in its environment: what is said last counts.
    fn environment(
        &self,
        dir: &JobDir,
        env: &BTreeMap<String, String>,
        variables: Variables,
    ) -> Environment {
        let defaults = variables.defaults().map(|(name, value)| (name.into(), value.into()));
        let mut all: Environment = defaults.collect();
        all.extend(self.environment.iter().cloned());
        let env = env.iter();
        all.extend(env.map(|(name, value)| (to_os(name).into_owned(), to_os(value).into_owned())));
        all.extend(variables.own.into_iter().map(|(name, value)| (name.into(), value)));
        all.insert("GJOB_DIR".into(), dir.path().into());
        all
    }

    fn start_bash(
        &self,
        job: &Prepared,
        environment: &Environment,
        bound: &[u32],
    ) -> Result<ProcessIdentity, Refusal> {
        let bash = self
            .bash
            .as_ref()
            .ok_or_else(|| Refusal::host("no bash on the PATH", io::ErrorKind::NotFound.into()))?;
        let outputs = job.log.try_clone().and_then(|log| Ok((log, job.err.try_clone()?)));
        let (log, err) = outputs.map_err(spawn_refusal)?;
        let mut command = Command::new(bash);
        // No pre_exec: with it, posix_spawn becomes a fork of the whole slot, which takes a
        // quarter longer. It has a price: the job's peak memory is never below the slot's.
        command
            .arg0("bash")
            .args(["-e", OwnFile::Script.name()])
            .current_dir(job.dir.path())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(err)
            .env_clear()
            .envs(environment);
        let unbound = |error| Refusal::host("cannot bind the job to its processors", error);
        let child = bound_to(bound, || command.spawn()).map_err(unbound)?;
        Ok(self.identify(child.map_err(spawn_refusal)?.id()))
    }

    /// Has a shim start a script that is one simple command; none if it is something else, or
    /// cannot be started: bash says why.
    fn start_direct(
        &mut self,
        job: &Prepared,
        script: &[u8],
        environment: &Environment,
    ) -> Option<Direct> {
        let start = direct::start_of(job, script, environment)?;
        let kept = self.shim.take().map(|shim| Direct::begin(shim, &start, job, script));
        let begun = match kept {
            // It was ended since its last job.
            None | Some(Err(None)) => {
                // The shim stays when this job has ended, whose lock is not to be held then.
                fcntl_setfd(&job.lock, FdFlags::CLOEXEC).ok()?;
                let shim = Shim::spawn(&self.environment);
                fcntl_setfd(&job.lock, FdFlags::empty()).ok()?;
                Direct::begin(shim.ok()?, &start, job, script)
            }
            Some(begun) => begun,
        };
        begun.map_err(|shim| self.shim = shim).ok()
    }

    /// The identity of a child. It was not reaped, so that this cannot fail; 0 is no process's
    /// start time.
    fn identify(&self, pid: u32) -> ProcessIdentity {
        ProcessIdentity::of(pid).unwrap_or_else(|_| ProcessIdentity {
            boot_id: self.slot.boot_id.clone(),
            pid,
            start: 0,
        })
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
