//! One host of a network, and what is known of it while its link is open.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use gjob_core::{HostEntry, HostLabel};
use tokio::sync::mpsc::UnboundedSender;

use super::NetworkError;
use super::fetch::Fetches;
use crate::link::LinkHandle;
use crate::outputs::Order;

/// A host as the network was given it.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) entry: HostEntry,
    pub(super) label: HostLabel,
}

impl Member {
    pub(super) fn new(entry: HostEntry) -> Result<Self, NetworkError> {
        let label = entry.label()?;
        Ok(Member { entry, label })
    }
}

/// A host while its link is open.
#[derive(Debug)]
pub(super) struct OpenMember {
    pub(super) link: LinkHandle,
    /// Bytes of its run log that are applied; its link reads it.
    pub(super) offset: Arc<AtomicU64>,
    /// Bytes of its run log that have been received over the present link.
    pub(super) received: u64,
    pub(super) up: bool,
    pub(super) fetches: Fetches,
    /// Where its collector takes orders.
    pub(super) collector: UnboundedSender<Order>,
}

impl OpenMember {
    /// Tells its collector, which ends only when the network is closed.
    pub(super) fn order(&self, order: Order) {
        drop(self.collector.send(order));
    }
}
