//! One job from its start to its exit record: all that it costs is one `fork` and `exec`.

use std::fs::File;
use std::io;
use std::time::Duration;

use gjob_core::jobdir::OwnFile;
use gjob_core::outcome::MAX_SURVIVORS;
use gjob_core::{Finish, JobId, Timestamp};

use super::direct::Direct;
use super::log_error;
use super::orders::{Orders, RunOrders};
use super::resume_timer::ResumeTimer;
use super::shim::Shim;
use super::signals::Signals;
pub(crate) use super::wait::Limits;
use super::wait::{Outcome, Running};
use crate::host;
use crate::jobdir::{JobDir, Reserved};

/// A job whose shell runs.
#[derive(Debug)]
pub(crate) struct Started {
    /// Its id.
    pub(crate) id: JobId,
    pub(super) dir: JobDir,
    pub(super) done: Reserved,
    pub(super) lock: File,
    /// Its shell, or its shim.
    pub(crate) pid: u32,
    /// What has the shell's place, if it has none.
    pub(super) direct: Option<Direct>,
    /// When it was started.
    pub(crate) at: Timestamp,
    /// The same, since the host's boot, milliseconds.
    pub(super) since_boot_ms: u64,
    /// The job may stop its slot from its first moment on.
    pub(super) _timer: Option<ResumeTimer>,
}

impl Started {
    /// Waits for the job's end and writes its exit record. A job of a run also gets
    /// orders from the run's directory. `meanwhile` is called while waiting, and gives the
    /// time after which it is to be called again.
    pub(crate) fn finish(
        mut self,
        run: Option<RunOrders<'_>>,
        limits: Limits<'_>,
        signals: &Signals,
        meanwhile: impl FnMut() -> Option<Duration>,
    ) -> io::Result<Finished> {
        let direct = self.direct.take();
        let orders = Orders { job: &self.dir, run };
        let outcome = Running::new(orders, self.pid, direct, limits).wait(signals, meanwhile)?;
        let Outcome { exit, cause, peak_kib, mut survivors, is_clean, shim } = outcome;
        survivors.truncate(MAX_SURVIVORS);
        let Some(exit) = exit else {
            let (id, lock) = (self.id, self.lock);
            return Ok(Finished { id, end: None, survivors, is_clean, lock, shim });
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
        Ok(Finished { id, end: Some(finish), survivors, is_clean, lock, shim })
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
    /// What the next job may have in a shell's place.
    pub(super) shim: Option<Shim>,
}
