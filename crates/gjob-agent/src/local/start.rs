//! Starting the script of a job directory, in a slot of its own.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use gjob_core::jobdir::OwnFile;
use gjob_core::wire::{FrameBuffer, encode};
use gjob_core::{JobRequest, State};

use super::directory::open_trusted;
use super::{is_readable, job_id, state_of};
use crate::slot::{FromSlot, LocalJob, PathBytes, ToSlot};

/// How long a slot may take to start a script.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Why a job was not started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Its path is not that of one.
    #[error("{path} is not a job directory: expected RESULTS/HOSTNAME/DATE-N")]
    NotAJobDirectory {
        /// The path.
        path: PathBuf,
    },
    /// There is no script.
    #[error("start the job in {path}: it has no .cmds")]
    NoScript {
        /// Its directory.
        path: PathBuf,
    },
    /// It was started before.
    #[error("start the job in {path}: it was started before and is {state}")]
    Started {
        /// Its directory.
        path: PathBuf,
        /// Its state.
        state: State,
    },
    /// The host cannot start it.
    #[error("start the job in {path}: {reason}")]
    Refused {
        /// Its directory.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Its slot cannot be started or does not answer.
    #[error("start the job in {path}: {source}")]
    Io {
        /// Its directory.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
}

/// How [`start`] starts a job.
#[derive(Clone, Debug)]
pub struct StartOptions {
    /// The job's name.
    pub name: Option<String>,
    /// The longest it may run.
    pub timeout: Option<Duration>,
    /// The program to run as `PROGRAM slot`: one whose `main` calls
    /// [`dispatch`](fn@crate::dispatch).
    pub program: PathBuf,
}

/// Starts the `.cmds` of a job directory, detached, and returns its shell's pid
/// once it runs.
///
/// # Errors
/// When it is no job directory, has no script, was started before, or cannot be started.
pub fn start(dir: &Path, options: &StartOptions) -> Result<u32, StartError> {
    let path = || dir.to_owned();
    let io_error = |source| StartError::Io { path: path(), source };
    let absolute = dir.canonicalize().map_err(io_error)?;
    if job_id(&absolute).is_none() {
        return Err(StartError::NotAJobDirectory { path: path() });
    }
    let open = open_trusted(&absolute).map_err(io_error)?;
    if open.open_file(OwnFile::Script.name()).map_err(io_error)?.is_none() {
        return Err(StartError::NoScript { path: path() });
    }
    match state_of(&open).map_err(io_error)? {
        State::Free => {}
        state => {
            return Err(StartError::Started { path: path(), state });
        }
    }
    let job = LocalJob {
        dir: PathBytes::from(absolute.as_path()),
        job: JobRequest {
            name: options.name.clone(),
            timeout_ms: options.timeout.map(|timeout| timeout.as_millis() as u64),
            ..JobRequest::default()
        },
    };
    match run_slot(&options.program, job).map_err(io_error)? {
        FromSlot::Started { pid } => Ok(pid),
        FromSlot::Refused { reason } => Err(StartError::Refused { path: path(), reason }),
    }
}

/// Starts a slot for one job and reads its answer.
fn run_slot(program: &Path, job: LocalJob) -> io::Result<FromSlot> {
    let mut slot = Command::new(program)
        .arg("slot")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(mut stdin) = slot.stdin.take() {
        stdin.write_all(&encode(&ToSlot::RunHere(Box::new(job))))?;
    }
    let mut stdout = slot.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let deadline = Instant::now() + START_TIMEOUT;
    let mut buffer = FrameBuffer::new();
    loop {
        if let Some(answer) = buffer.next().map_err(io::Error::other)? {
            return Ok(answer);
        }
        if !is_readable(&stdout, deadline)? {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "its slot did not answer"));
        }
        let mut bytes = [0; 4096];
        match stdout.read(&mut bytes)? {
            0 => {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "its slot died"));
            }
            length => buffer.extend(&bytes[..length]),
        }
    }
}
