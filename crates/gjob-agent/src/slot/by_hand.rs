//! A slot for one job that was started by hand, in a directory that exists already.
//! It answers on standard output once the script runs, and writes no run log.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use gjob_core::jobdir::OwnFile;
use gjob_core::os_text::to_os;
use gjob_core::text::Shown;
use gjob_core::wire::encode;
use rustix::fs::Mode;

use super::SlotError;
use super::job::{Limits, Started};
use super::memory::KernelKills;
use super::prepare::{Refusal, prepare_here};
use super::request::{FromSlot, LocalJob};
use super::signals::Signals;
use super::start::{Starter, Variables};
use crate::host;
use crate::identity::ProcessIdentity;
use crate::jobdir::{JobDir, JobRecord, LockFile};

/// Runs the one job of a directory, and answers on standard output.
pub(super) fn run_here(
    request: LocalJob,
    identity: ProcessIdentity,
    umask: Mode,
    signals: &Signals,
) -> Result<(), SlotError> {
    let timeout = request.job.timeout();
    match start_here(request, identity, umask) {
        Ok(started) => {
            answer(&FromSlot::Started { pid: started.pid })?;
            let kernel_kills = &mut KernelKills::read();
            let limits = Limits { timeout, memory: 0, kernel_kills, lease: None, lease_end: None };
            let finished = started.finish(None, limits, signals, || None);
            finished.map(drop).map_err(SlotError::Wait)
        }
        Err(refusal) => {
            let reason = Shown::new(&refusal.to_string()).into();
            answer(&FromSlot::Refused { reason })
        }
    }
}

fn start_here(
    request: LocalJob,
    identity: ProcessIdentity,
    umask: Mode,
) -> Result<Started, Refusal> {
    let path = PathBuf::from(request.dir);
    let Some(id) = crate::local::job_id(&path) else {
        return Err(Refusal::job(
            path.display().to_string(),
            "expected a job directory, RESULTS/HOSTNAME/DATE-N",
        ));
    };
    let dir = JobDir::open(&path)
        .map_err(|error| Refusal::host(format!("cannot open {}", path.display()), error))?;
    let job = JobRecord {
        key: None,
        run: None,
        request: request.job,
        devices: Vec::new(),
        processors: Vec::new(),
        files: Vec::new(),
        at: host::now(),
    };
    let slot = LockFile::new(identity.clone(), 1);
    let own = vec![
        ("GJOB_ID", id.as_str().into()),
        ("GJOB_NAME", to_os(job.request.name.as_deref().unwrap_or_default()).into_owned()),
        ("GJOB_HOST", host::hostname().into()),
        ("GJOB_SLOT", "1".into()),
        ("GJOB_CPUS", host::cpus().to_string().into()),
    ];
    let prepared = prepare_here(id, dir, &slot, &job)?;
    Starter::new(identity, umask)
        .start(prepared, None, &job.request.env, Variables { threads: None, own }, &[])
        .inspect_err(|_| forget_start(&path))
}

/// Restores a directory to what it was before a start that failed.
fn forget_start(path: &Path) {
    let Ok(dir) = JobDir::open(path) else { return };
    for name in [
        OwnFile::Job.name(),
        OwnFile::Pid.name(),
        OwnFile::DoneReserved.name(),
        OwnFile::Lock.name(),
    ] {
        // The next start reports what cannot be removed.
        let _ = dir.remove(name);
    }
}

/// Answers the process that started this slot.
fn answer(message: &FromSlot) -> Result<(), SlotError> {
    let mut out = io::stdout().lock();
    let sent = out.write_all(&encode(message)).and_then(|()| out.flush());
    // If nobody reads it any more, the job runs all the same.
    drop(sent);
    Ok(())
}
