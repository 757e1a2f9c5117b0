//! What can be done to a running attempt, in one type from the scheduler to the
//! slot: the wire carries it, and the files that orders are put into hold it.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::outcome::Cause;

/// One order about a running attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// End its processes: TERM, then KILL after the grace. An attempt that has
    /// not been started is withdrawn instead.
    Kill {
        /// What its exit record names as the reason.
        cause: Cause,
        /// Time between TERM and KILL, in whole milliseconds, 49 days at most.
        #[serde(rename = "grace_ms", with = "milliseconds")]
        grace: Duration,
    },
    /// Stop its processes for a while. Nothing happens if it does not run.
    Pause,
    /// Continue a paused attempt.
    Resume,
}

/// Between TERM and KILL where nobody says otherwise.
const GRACE: Duration = Duration::from_secs(10);

impl Order {
    /// Ends an attempt's processes for this reason, with 10 s between TERM and KILL.
    #[must_use]
    pub const fn kill(cause: Cause) -> Self {
        Order::Kill { cause, grace: GRACE }
    }
}

/// A `Duration` as milliseconds. As 32 bits, an order is never longer than what
/// a file system keeps in the inode of a symbolic link.
mod milliseconds {
    use super::{Deserialize, Deserializer, Duration, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        u32::try_from(duration.as_millis()).unwrap_or(u32::MAX).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        u32::deserialize(deserializer)
            .map(|milliseconds| Duration::from_millis(milliseconds.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_read_back_from_json_and_an_endless_grace_is_cut() {
        let grace = Duration::from_millis(1500);
        let kill = Order::Kill { cause: Cause::Killed, grace };
        let json = serde_json::to_string(&kill).unwrap();
        assert_eq!(json, r#"{"kill":{"cause":"killed","grace_ms":1500}}"#);
        for order in [kill, Order::Pause, Order::Resume] {
            let json = serde_json::to_string(&order).unwrap();
            assert_eq!(serde_json::from_str::<Order>(&json).unwrap(), order);
        }
        let endless = Order::Kill { cause: Cause::Interrupted, grace: Duration::MAX };
        let json = serde_json::to_string(&endless).unwrap();
        assert_eq!(json, r#"{"kill":{"cause":"interrupted","grace_ms":4294967295}}"#);
    }
}
