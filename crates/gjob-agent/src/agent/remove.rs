//! Removes the directories of jobs that have ended, one after another.

use std::collections::VecDeque;
use std::ffi::CString;
use std::io;
use std::time::{Duration, Instant};

use gjob_core::jobdir::OwnFile;
use gjob_core::record::one_line;
use gjob_core::text::Foreign;
use gjob_core::wire::FromAgent;
use gjob_core::{JobId, Key, RunId};

use super::asked::Asked;
use super::removal::Removal;
use crate::claims::{Claim, Claims};
use crate::identity::Process;
use crate::jobdir::{JobDir, Layout, LockFile, LockState};

/// How long a job that has ended may still hold its lock: its slot lets go of it
/// a moment after it has said so.
const LETTING_GO: Duration = Duration::from_secs(1);

/// Jobs that are being removed.
#[derive(Debug)]
pub(super) struct Remove {
    request: u32,
    run: RunId,
    hostname: String,
    claims: Claims,
    jobs: VecDeque<(Key, JobId)>,
    /// Those that let go of their locks just now.
    later: VecDeque<(Key, JobId)>,
    patience: Instant,
    current: Option<(JobId, Removal)>,
    gone: u32,
    kept: Vec<(JobId, Foreign)>,
}

/// What is to be done about a job.
enum Verdict {
    Later,
    Remove(Removal),
    Keep(String),
}

impl Remove {
    /// Jobs of `run`, which has these claims.
    pub(super) fn new(
        (request, run): (u32, RunId),
        hostname: String,
        claims: Claims,
        jobs: Vec<(Key, JobId)>,
    ) -> Self {
        Remove {
            request,
            run,
            hostname,
            claims,
            jobs: jobs.into(),
            later: VecDeque::new(),
            patience: Instant::now() + LETTING_GO,
            current: None,
            gone: 0,
            kept: Vec::new(),
        }
    }

    /// True when it is only waited for locks.
    pub(super) fn is_waiting(&self) -> bool {
        self.current.is_none() && self.jobs.is_empty()
    }

    /// Does a step; the answer when all is done.
    pub(super) fn step(&mut self, layout: &Layout) -> Option<FromAgent> {
        if let Some((id, mut removal)) = self.current.take() {
            match removal.step() {
                Ok(true) => self.gone += 1,
                Ok(false) => self.current = Some((id, removal)),
                Err(error) => self.keep(id, &format!("it can't be removed: {error}")),
            }
            return None;
        }
        if self.jobs.is_empty() {
            std::mem::swap(&mut self.jobs, &mut self.later);
        }
        let Some((key, id)) = self.jobs.pop_front() else {
            let kept = std::mem::take(&mut self.kept);
            return Some(FromAgent::Removed { request: self.request, gone: self.gone, kept });
        };
        match self.judge(layout, key, &id) {
            Ok(Verdict::Later) => self.later.push_back((key, id)),
            Ok(Verdict::Remove(removal)) => self.current = Some((id, removal)),
            Ok(Verdict::Keep(reason)) => self.keep(id, &reason),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.gone += 1,
            Err(error) => self.keep(id, &format!("it can't be looked at: {error}")),
        }
        None
    }

    fn keep(&mut self, id: JobId, reason: &str) {
        self.kept.push((id, one_line(reason)));
    }

    fn judge(&self, layout: &Layout, key: Key, id: &JobId) -> io::Result<Verdict> {
        let dir = JobDir::reopen_below(layout.results(), id)?;
        let claim = self.claims.read(key).ok().flatten();
        let slot = match claim {
            Some(Claim::Job(claimed, slot)) if claimed == *id => slot,
            _ if self.is_named_in(&dir, key) => None,
            _ => return Ok(Verdict::Keep("it is not a job of this run".to_owned())),
        };
        let (host, name) = id.as_str().split_once('/').unwrap_or_default();
        let has_ended = dir.has(OwnFile::Done.name())?;
        if host != self.hostname && !has_ended {
            return Ok(Verdict::Keep(format!("only {host} can tell whether it still runs")));
        }
        if dir.lock_state()? == LockState::Held {
            let lets_go = has_ended && Instant::now() < self.patience;
            return Ok(if lets_go { Verdict::Later } else { still_runs() });
        }
        if !has_ended && is_alive(slot.as_ref()) {
            return Ok(still_runs());
        }
        let top = rustix::fs::open(
            layout.host_dir(host),
            rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC,
            rustix::fs::Mode::empty(),
        )?;
        Ok(Verdict::Remove(Removal::begin(top, &CString::new(name)?, OwnFile::Done.name())?))
    }

    fn is_named_in(&self, dir: &JobDir, key: Key) -> bool {
        let job = Asked::read(dir);
        job.key == Some(key) && job.run.as_ref() == Some(&self.run)
    }
}

fn still_runs() -> Verdict {
    Verdict::Keep("it still runs".to_owned())
}

/// True when the slot that has claimed a job lives.
pub(super) fn is_alive(slot: Option<&LockFile>) -> bool {
    slot.is_some_and(|slot| Process::open(&slot.slot).is_some())
}
