//! One host of an open network.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::sync::mpsc::UnboundedSender;

use super::fetch::Fetches;
use crate::link::{LinkCommand, LinkHandle};
use crate::outputs::Order;

/// A host while its link is open.
#[derive(Debug)]
pub(super) struct OpenMember {
    /// None to a host that is not to be reached.
    pub(super) link: Option<LinkHandle>,
    /// Bytes of its run log that are applied; its link reads it.
    pub(super) offset: Arc<AtomicU64>,
    /// Bytes of its run log that have been received over the present link.
    pub(super) received: u64,
    pub(super) up: bool,
    pub(super) fetches: Fetches,
    /// Where its collector takes orders.
    pub(super) collector: Option<UnboundedSender<Order>>,
}

impl OpenMember {
    /// Tells its collector, which ends only when the network is closed.
    pub(super) fn order(&self, order: Order) {
        if let Some(collector) = &self.collector {
            drop(collector.send(order));
        }
    }
}

impl OpenMember {
    pub(super) fn send(&self, command: LinkCommand) {
        if let Some(link) = &self.link {
            link.send(command);
        }
    }
}
