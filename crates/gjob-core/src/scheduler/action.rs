//! What the scheduler wants done, as data.

use crate::event::{Event, RunEnd};
use crate::id::Key;
use crate::order::Order;
use crate::run::{HostIx, Touched};

/// One thing to be done. Order matters: what an [`Action::Emit`] says must be
/// durable before any action that follows it is carried out.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "most actions are events; each is handed on at once")]
pub enum Action {
    /// Record that this happened, and notify handlers.
    Emit {
        /// What happened; the scheduler's run knows it already.
        event: Event,
        /// Which rows of the run it changed.
        touched: Touched,
    },
    /// Send an attempt to a host.
    Launch {
        /// Where to.
        host: HostIx,
        /// Which attempt.
        key: Key,
    },
    /// Take an attempt back that has not started.
    Withdraw {
        /// Where from.
        host: HostIx,
        /// Which attempt.
        key: Key,
    },
    /// Do something to a running attempt.
    Order {
        /// Where.
        host: HostIx,
        /// Which attempt.
        key: Key,
        /// What.
        order: Order,
    },
    /// Tell a host how many hosts the run has had, which it keeps. Answered by
    /// [`Scheduler::handle_host_count`](super::Scheduler::handle_host_count).
    TellHostCount {
        /// Which host.
        host: HostIx,
        /// Hosts of the run.
        hosts: u32,
    },
    /// Close the link to a host for good. Nothing is reported of it.
    Reject {
        /// Which.
        host: HostIx,
        /// Why, in one line.
        reason: String,
    },
    /// A removed host has nothing left that is waited for: its link can be closed.
    Release {
        /// Which.
        host: HostIx,
    },
    /// Fetch a job's outputs. Asking again changes nothing.
    Collect {
        /// Where they are.
        host: HostIx,
        /// The attempt that wrote them.
        key: Key,
    },
    /// Fetch what a host's set-up or teardown has printed. If it has printed anything, that
    /// is answered by [`Scheduler::handle_task_log`](super::Scheduler::handle_task_log).
    FetchTaskLog {
        /// Where it is.
        host: HostIx,
        /// The task's key.
        key: Key,
    },
    /// Stop fetching a job's outputs.
    ForgetOutputs {
        /// Where they are.
        host: HostIx,
        /// The attempt that wrote them.
        key: Key,
    },
    /// A host is lost whose outputs are waited for, see [`Scheduler::handle_refetch`].
    ///
    /// [`Scheduler::handle_refetch`]: super::Scheduler::handle_refetch
    LoseOutputs {
        /// Which.
        host: HostIx,
        /// Why, in one line.
        reason: String,
    },
    /// The run is over; no action follows this.
    Stop(RunEnd),
}
