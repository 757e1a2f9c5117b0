//! Job control: the one way in which anything but its slot acts on a running
//! job. The order is put into a file by rename, then the slot, which carries it
//! out, gets SIGUSR1. The agent's orders are put into the run's directory, as
//! `orders/INDEX.ATTEMPT`, since the job's own may be gone; those given by hand
//! into the job's, as `.control`. On a full disk the order is a symbolic link,
//! which needs no room: the job that has filled it can still be ended. Only a
//! dead slot's orphans are for `orphan`.

use std::io;

use gjob_core::Cause;
use gjob_core::record::RECORD_VERSION;
use rustix::process::Signal;

use crate::identity::Process;
use crate::jobdir::{Action, ControlFile, JobDir, LockFile};

/// What became of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// The slot has been told.
    Told,
    /// There is no slot any more.
    SlotGone,
}

/// Gives the slot of the job in `dir` an order, by hand.
pub(crate) fn request(dir: &JobDir, order: ControlFile) -> io::Result<Delivery> {
    let Some(slot) = slot_of(dir)? else {
        return Ok(Delivery::SlotGone);
    };
    write(dir, ".control", order)?;
    wake(&slot)?;
    Ok(Delivery::Told)
}

/// Puts an order into a file of `dir`.
pub(crate) fn write(dir: &JobDir, name: &str, order: ControlFile) -> io::Result<()> {
    let temp = format!(".control.{}", std::process::id());
    if dir.replace(name, &temp, order).is_ok()
        || dir.mend() && dir.replace(name, &temp, order).is_ok()
    {
        return Ok(());
    }
    dir.remove(&temp)?;
    // Short enough to be kept without a block of its own.
    let ControlFile { action, cause, grace_ms } = order;
    let target = serde_json::to_string(&(RECORD_VERSION, action, cause, grace_ms))?;
    dir.link(name, &temp, &target)
}

/// Reads an order, or from `.controlled` the last one.
pub(crate) fn read(dir: &JobDir, name: &str) -> io::Result<Option<ControlFile>> {
    let Some(target) = dir.link_target(name)? else {
        return dir.read(name);
    };
    let (version, action, cause, grace_ms): (u32, Action, Option<Cause>, u32) =
        serde_json::from_slice(&target)?;
    Ok((version == RECORD_VERSION).then_some(ControlFile { action, cause, grace_ms }))
}

/// Has a slot look for an order, and at its run's lease.
pub(crate) fn wake(slot: &Process) -> io::Result<()> {
    slot.signal(Signal::USR1)
}

/// The living slot of a job.
pub(crate) fn slot_of(dir: &JobDir) -> io::Result<Option<Process>> {
    let lock: Option<LockFile> = dir.read(".lock")?;
    Ok(lock.and_then(|lock| Process::open(&lock.slot)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_that_was_written_as_a_link_reads_back() {
        let temp = tempfile::tempdir().unwrap();
        let dir = JobDir::open(temp.path()).unwrap();
        assert_eq!(read(&dir, ".control").unwrap(), None);
        let cause = Some(Cause::Superseded);
        let order = ControlFile { action: Action::Kill, cause, grace_ms: u32::MAX };
        dir.link(".control", ".control.y", "[3,\"kill\",\"superseded\",4294967295]").unwrap();
        assert_eq!(read(&dir, ".control").unwrap(), Some(order));
        let pause = ControlFile { action: Action::Pause, cause: None, grace_ms: 0 };
        write(&dir, ".control", pause).unwrap();
        assert_eq!(read(&dir, ".control").unwrap(), Some(pause));
        dir.link(".control", ".control.y", "[9,\"pause\",null,0]").unwrap();
        assert_eq!(read(&dir, ".control").unwrap(), None);
    }
}
