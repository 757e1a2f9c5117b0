//! Where a running job's orders come from: from its run's directory, which is
//! out of the job's reach, and, given by hand, from its own.

use gjob_core::jobdir::OwnFile;
use gjob_core::{Key, Order};

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
    /// Carries out what is there. An order is taken away first: one that comes
    /// meanwhile is another one, with a signal of its own.
    pub(crate) fn obey(&self, mut carry_out: impl FnMut(Order)) {
        if let Some(order) = self.run.and_then(|run| run.take()) {
            carry_out(order);
            // For who looks at the job's directory; the job may have seen to it
            // that there is none.
            let _ = control::write(self.job, OwnFile::OrderDone.name(), order);
        }
        self.obey_by_hand(carry_out);
    }

    fn obey_by_hand(&self, mut carry_out: impl FnMut(Order)) {
        // In a directory that can't be changed it is carried out where it lies.
        let taken = self.job.rename(OwnFile::Order.name(), OwnFile::OrderTaken.name()).is_ok();
        let name = if taken { OwnFile::OrderTaken.name() } else { OwnFile::Order.name() };
        // One that can't be read is no order.
        if let Ok(Some(order)) = control::read(self.job, name) {
            carry_out(order);
            // Where this fails, whoever waits for the order to be done gives up waiting.
            let _ = self.job.rename(name, OwnFile::OrderDone.name());
        }
    }

    /// Takes away orders that came too late.
    pub(crate) fn clear(&self) {
        // What stays is read by nobody.
        let _ = self.job.remove(OwnFile::Order.name());
        if let Some(run) = self.run {
            let _ = run.dir.remove(&run.key.to_string());
        }
    }
}

impl RunOrders<'_> {
    fn take(self) -> Option<Order> {
        let name = self.key.to_string();
        let taken = format!("{name}.taken");
        self.dir.rename(&name, &taken).ok()?;
        let order = control::read(self.dir, &taken);
        // The next one takes its place.
        let _ = self.dir.remove(&taken);
        order.ok().flatten()
    }
}
