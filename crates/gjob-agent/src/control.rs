//! Job control: the only way in which other processes than its slot act on a
//! running job. An order is put into a file by rename, then its slot gets SIGUSR1
//! and carries it out. The agent's orders go to the run's directory, as
//! `orders/INDEX.ATTEMPT`, since the job may have removed its own; those given by
//! hand go to the job's directory, as `.control`. On a full disk an order becomes a
//! symbolic link, which needs no room: a job that has filled the disk can still be
//! ended. Only a dead slot's orphans are ended without it, by `orphan`.

use std::io;

use gjob_core::Order;
use gjob_core::jobdir::{OwnFile, order_part_name};
use gjob_core::record::RECORD_VERSION;
use rustix::process::Signal;

use crate::identity::Process;
use crate::jobdir::{JobDir, LockFile, OrderFile};
use crate::processes;

/// What became of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// The slot has been notified.
    Delivered,
    /// The slot is gone.
    SlotGone,
}

/// Gives an order to the slot of the job in `dir`, by hand.
pub(crate) fn deliver(dir: &JobDir, order: Order) -> io::Result<Delivery> {
    let Some(slot) = slot_of(dir)? else {
        return Ok(Delivery::SlotGone);
    };
    write(dir, OwnFile::Order.name(), order)?;
    wake(&slot)?;
    Ok(Delivery::Delivered)
}

/// Puts an order into a file of `dir`.
pub(crate) fn write(dir: &JobDir, name: &str, order: Order) -> io::Result<()> {
    let temp = order_part_name(std::process::id());
    let file = OrderFile { order };
    if dir.replace(name, &temp, file).is_ok()
        || dir.restore_permissions() && dir.replace(name, &temp, file).is_ok()
    {
        return Ok(());
    }
    dir.remove(&temp)?;
    dir.symlink(name, &temp, &order_target(order)?)
}

/// An order as a symbolic link's target: short enough to be kept in an inode.
fn order_target(order: Order) -> io::Result<String> {
    Ok(serde_json::to_string(&(RECORD_VERSION, order))?)
}

/// Reads an order, or from `.controlled` the last one that was carried out.
pub(crate) fn read(dir: &JobDir, name: &str) -> io::Result<Option<Order>> {
    let Some(target) = dir.symlink_target(name)? else {
        return Ok(dir.read::<OrderFile>(name)?.map(|file| file.order));
    };
    let version = format!("[{RECORD_VERSION},");
    let order = target.strip_prefix(version.as_bytes()).and_then(|rest| rest.strip_suffix(b"]"));
    Ok(order.map(serde_json::from_slice).transpose()?)
}

/// Has a slot look for an order, and read its run's lease. One that its job has
/// stopped goes on.
pub(crate) fn wake(slot: &Process) -> io::Result<()> {
    slot.signal(Signal::USR1)?;
    slot.signal(Signal::CONT)
}

/// The living slot of a job. A file alone names no process: the slot holds the lock.
pub(crate) fn slot_of(dir: &JobDir) -> io::Result<Option<Process>> {
    let lock: Option<LockFile> = dir.read(OwnFile::Lock.name())?;
    let slot = lock.and_then(|lock| Process::open(&lock.slot));
    let holds_lock = |slot: &Process| {
        let inode = dir.lock_inode().ok();
        processes::has_open_for_writing(slot.pid(), |fd| processes::inode_of(fd) == inode)
    };
    Ok(slot.filter(holds_lock))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gjob_core::Cause;

    use super::*;

    /// What ext4 keeps in an inode, bytes.
    const INLINE_TARGET: usize = 59;

    #[test]
    fn order_written_as_a_symlink_reads_back() {
        let temp = tempfile::tempdir().unwrap();
        let dir = JobDir::open(temp.path()).unwrap();
        assert_eq!(read(&dir, ".control").unwrap(), None);
        let grace = Duration::from_millis(u32::MAX.into());
        let kill = Order::Kill { cause: Cause::Interrupted, grace };
        let target = order_target(kill).unwrap();
        assert_eq!(target, "[4,{\"kill\":{\"cause\":\"interrupted\",\"grace_ms\":4294967295}}]");
        assert!(target.len() <= INLINE_TARGET, "the longest order has {} bytes", target.len());
        dir.symlink(".control", ".control.y", &target).unwrap();
        assert_eq!(read(&dir, ".control").unwrap(), Some(kill));
        write(&dir, ".control", Order::Pause).unwrap();
        assert_eq!(read(&dir, ".control").unwrap(), Some(Order::Pause));
        dir.symlink(".control", ".control.y", "[9,\"pause\"]").unwrap();
        assert_eq!(read(&dir, ".control").unwrap(), None);
    }
}
