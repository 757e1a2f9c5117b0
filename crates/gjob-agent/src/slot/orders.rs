//! Where a running job's orders come from: from its run's directory, which is out of
//! the job's reach, or, given by hand, from the job's own.

use gjob_core::jobdir::OwnFile;
use gjob_core::{Cause, Key, Order};

use crate::control;
use crate::jobdir::JobDir;

/// The places where a job's orders are put.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Orders<'a> {
    /// The job's own directory.
    pub(crate) job: &'a JobDir,
    /// Its run's; none for a job that was started by hand.
    pub(crate) run: Option<RunOrders<'a>>,
}

/// Where a run's orders are put.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunOrders<'a> {
    /// The directory.
    pub(crate) dir: &'a JobDir,
    /// The attempt that they are about.
    pub(crate) key: Key,
}

impl Orders<'_> {
    /// Carries out the orders that are there. An order is taken away first: another
    /// that comes meanwhile has a signal of its own.
    pub(crate) fn handle(&self, mut carry_out: impl FnMut(Order)) {
        if let Some(order) = self.run.and_then(|run| run.take()) {
            carry_out(order);
            // For people, and `gjob local`; the job may have removed its directory.
            let _ = control::write(self.job, OwnFile::OrderDone.name(), order);
        }
        self.handle_local(carry_out);
    }

    fn handle_local(&self, mut carry_out: impl FnMut(Order)) {
        // In a directory that cannot be changed it is carried out where it is.
        let taken = self.job.rename(OwnFile::Order.name(), OwnFile::OrderTaken.name()).is_ok();
        let name = if taken { OwnFile::OrderTaken.name() } else { OwnFile::Order.name() };
        // One that cannot be read is no order.
        if let Ok(Some(order)) = control::read(self.job, name) {
            carry_out(by_hand(order));
            // If this fails, the command that waits for it times out.
            let _ = self.job.rename(name, OwnFile::OrderDone.name());
        }
    }

    /// Removes orders that came too late.
    pub(crate) fn clear(&self) {
        // One that stays is not read any more.
        let _ = self.job.remove(OwnFile::Order.name());
        if let Some(run) = self.run {
            let _ = run.dir.remove(&run.key.to_string());
        }
    }
}

/// An order as a user gives it: only the manager has other reasons for a kill.
fn by_hand(order: Order) -> Order {
    match order {
        Order::Kill { cause: _, grace } => Order::Kill { cause: Cause::Killed, grace },
        Order::Pause | Order::Resume => order,
    }
}

impl RunOrders<'_> {
    fn take(self) -> Option<Order> {
        let name = self.key.to_string();
        let taken = format!("{name}.taken");
        self.dir.rename(&name, &taken).ok()?;
        let order = control::read(self.dir, &taken);
        // If it stays, the next one replaces it.
        let _ = self.dir.remove(&taken);
        order.ok().flatten()
    }
}
