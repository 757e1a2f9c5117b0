//! Removes the directories of jobs that have ended.

use std::ffi::CString;
use std::io;
use std::time::{Duration, Instant};

use gjob_core::jobdir::OwnFile;
use gjob_core::record::one_line;
use gjob_core::text::Foreign;
use gjob_core::{HostLabel, JobId, Key, RunId};

use super::removal::remove_dir;
use super::whereabouts::Whereabouts;
use crate::claims::{Claim, Claims};
use crate::identity::Process;
use crate::jobdir::{JobDir, JobSummary, Layout, LockFile, LockState};

/// How long a job that has ended may still hold its lock: its slot lets go of it
/// a moment after it has recorded the end.
const UNLOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// How often such a lock is looked at.
const UNLOCK_INTERVAL: Duration = Duration::from_millis(20);

/// What the manager wants removed.
#[derive(Debug)]
pub(super) struct RemoveRequest {
    /// The run of the jobs.
    pub(super) run: RunId,
    /// What the run's manager calls this host.
    pub(super) host: HostLabel,
    /// The jobs.
    pub(super) jobs: Vec<(Key, JobId)>,
}

/// What is to be done about a job.
enum Verdict {
    /// It has ended, and still holds its lock.
    Wait,
    Remove,
    Keep(String),
}

/// Removes jobs' directories; gives how many it has removed, and why others stay. Those that
/// were gone before are neither.
pub(super) fn remove(layout: &Layout, request: RemoveRequest) -> (u32, Vec<(JobId, Foreign)>) {
    let claims = Claims::new(layout.run_dir(&request.run, &request.host).keys());
    let remover =
        Remover { layout, run: request.run, claims, deadline: Instant::now() + UNLOCK_TIMEOUT };
    let (mut gone, mut kept) = (0, Vec::new());
    let mut jobs = request.jobs;
    while !jobs.is_empty() {
        let mut waiting = Vec::new();
        for (key, id) in jobs {
            let verdict = remover.judge(key, &id);
            let done = match verdict {
                Ok(Verdict::Wait) => {
                    waiting.push((key, id));
                    continue;
                }
                Ok(Verdict::Remove) => {
                    remover.remove(&id).map_err(|error| format!("it cannot be removed: {error}"))
                }
                Ok(Verdict::Keep(reason)) => Err(reason),
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => Err(format!("its directory cannot be read: {error}")),
            };
            match done {
                Ok(()) => gone += 1,
                Err(reason) => kept.push((id, one_line(&reason))),
            }
        }
        jobs = waiting;
        if !jobs.is_empty() {
            std::thread::sleep(UNLOCK_INTERVAL);
        }
    }
    (gone, kept)
}

#[derive(Debug)]
struct Remover<'a> {
    layout: &'a Layout,
    run: RunId,
    claims: Claims,
    /// Until when locks are waited for.
    deadline: Instant,
}

impl Remover<'_> {
    fn judge(&self, key: Key, id: &JobId) -> io::Result<Verdict> {
        let dir = JobDir::reopen_below(self.layout.results(), id)?;
        let claim = self.claims.read(key).ok().flatten();
        let slot = match claim {
            Some(Claim::Job(claimed, slot)) if claimed == *id => slot,
            _ if self.is_named_in(&dir, key) => None,
            _ => return Ok(Verdict::Keep("it is not a job of this run".to_owned())),
        };
        let has_ended = dir.has(OwnFile::Done.name())?;
        let dir = Ok(dir);
        if !has_ended && Whereabouts::of(slot.as_ref(), id, &dir) == Whereabouts::Elsewhere {
            let host = id.as_str().split('/').next().unwrap_or_default();
            return Ok(Verdict::Keep(format!("only {host} knows whether it is still running")));
        }
        let dir = dir?;
        if dir.lock_state()? == LockState::Held {
            let may_unlock = has_ended && Instant::now() < self.deadline;
            return Ok(if may_unlock { Verdict::Wait } else { still_running() });
        }
        if !has_ended && is_alive(slot.as_ref()) {
            return Ok(still_running());
        }
        Ok(Verdict::Remove)
    }

    fn is_named_in(&self, dir: &JobDir, key: Key) -> bool {
        let job = JobSummary::read(dir);
        job.is_some_and(|job| job.key == Some(key) && job.run.as_ref() == Some(&self.run))
    }

    fn remove(&self, id: &JobId) -> io::Result<()> {
        let (host, name) = id.as_str().split_once('/').unwrap_or_default();
        let host_dir = rustix::fs::open(
            self.layout.host_dir(host),
            rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC,
            rustix::fs::Mode::empty(),
        )?;
        // While `.done` is there, the rest is known as a job that has ended.
        remove_dir(host_dir, &CString::new(name)?, OwnFile::Done.name())
    }
}

fn still_running() -> Verdict {
    Verdict::Keep("it is still running".to_owned())
}

/// True when the slot that has claimed a job lives.
pub(super) fn is_alive(slot: Option<&LockFile>) -> bool {
    slot.is_some_and(|slot| Process::open(&slot.slot).is_some())
}
