//! Job control: the one way in which anything but its slot acts on a running
//! job. The order is put into `.control` by rename, then the slot, which
//! carries it out, gets SIGUSR1. Only a dead slot's orphans are for `orphan`.

use std::io;

use rustix::process::Signal;

use crate::identity::Process;
use crate::jobdir::{ControlFile, JobDir, LockFile};

/// What became of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// The slot has been told.
    Told,
    /// There is no slot any more.
    SlotGone,
}

/// Gives the slot of the job in `dir` an order.
pub(crate) fn request(dir: &JobDir, order: ControlFile) -> io::Result<Delivery> {
    let Some(slot) = slot_of(dir)? else {
        return Ok(Delivery::SlotGone);
    };
    let temp = format!(".control.{}", std::process::id());
    dir.replace(".control", &temp, order)?;
    slot.signal(Signal::USR1)?;
    Ok(Delivery::Told)
}

/// The living slot of a job.
pub(crate) fn slot_of(dir: &JobDir) -> io::Result<Option<Process>> {
    let lock: Option<LockFile> = dir.read(".lock")?;
    Ok(lock.and_then(|lock| Process::open(&lock.slot)))
}
