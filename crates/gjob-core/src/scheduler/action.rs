//! What the scheduler wants done, as data.

use crate::event::{EventKind, RunEnd};
use crate::id::Key;
use crate::outcome::Cause;

/// A host by its position in the run's list of hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostIx(pub u32);

impl HostIx {
    /// The position as an index.
    #[must_use]
    pub fn at(self) -> usize {
        self.0 as usize
    }
}

/// One thing to be done. Order matters: what an [`Action::Emit`] says is to be
/// durable before any action behind it is carried out.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Record that this happened, and tell whoever listens.
    Emit(EventKind),
    /// Send an attempt to a host.
    Launch {
        /// Where to.
        host: HostIx,
        /// Which attempt.
        key: Key,
    },
    /// Take an attempt back that was not started.
    Withdraw {
        /// Where from.
        host: HostIx,
        /// Which attempt.
        key: Key,
    },
    /// Stop an attempt's processes for a while.
    Pause {
        /// Where.
        host: HostIx,
        /// Which attempt.
        key: Key,
    },
    /// Let a paused attempt go on.
    Resume {
        /// Where.
        host: HostIx,
        /// Which attempt.
        key: Key,
    },
    /// End an attempt's processes.
    Kill {
        /// Where.
        host: HostIx,
        /// Which attempt.
        key: Key,
        /// What its exit record is to say.
        cause: Cause,
    },
    /// Bring a job's outputs here. Saying it again changes nothing.
    Collect {
        /// Where they are.
        host: HostIx,
        /// The attempt that wrote them.
        key: Key,
    },
    /// Don't go on to bring a job's outputs here.
    ForgetOutputs {
        /// Where they are.
        host: HostIx,
        /// The attempt that wrote them.
        key: Key,
    },
    /// The run is over; nothing comes behind this.
    Stop(RunEnd),
}
