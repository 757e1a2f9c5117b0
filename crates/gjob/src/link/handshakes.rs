//! How many logins go on at once: a default sshd begins to drop connections
//! when ten have not yet authenticated (`MaxStartups 10:30:100`).

mod hop;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use super::{HostPlan, Transport};
use crate::open_files;
pub(super) use hop::Hop;

/// Logins that go on at once at one first hop.
const AT_ONCE: usize = 8;
/// Programs that are sent at once: together they are not there sooner, and each has
/// its time.
const UPLOADS: usize = 8;
/// Lookups of first hops that go on at once.
const LOOKUPS: usize = 4;
/// A login that is not the only one begins after a part of this.
const JITTER: Duration = Duration::from_millis(40);

/// Shared by all links of a process.
#[derive(Debug)]
pub struct Handshakes {
    hops: Mutex<HashMap<Hop, Arc<Semaphore>>>,
    lookups: Semaphore,
    /// Turns at sending the program.
    uploads: Semaphore,
    /// Links for which this process can have files open.
    links: Arc<Semaphore>,
}

/// Held while a link has files open.
pub(super) type FilesPermit = OwnedSemaphorePermit;

/// Held from before a login until the far side's first byte.
pub(super) type LoginPermit = OwnedSemaphorePermit;

impl Default for Handshakes {
    fn default() -> Self {
        Handshakes {
            hops: Mutex::default(),
            lookups: Semaphore::new(LOOKUPS),
            uploads: Semaphore::new(UPLOADS),
            links: Arc::new(Semaphore::new(open_files::raise().links())),
        }
    }
}

impl Handshakes {
    /// No login is under way.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Which hop a login goes to first; none when there is none.
    pub(super) async fn first_hop(&self, plan: &HostPlan) -> Option<Hop> {
        match plan.transport() {
            Transport::Local => None,
            Transport::Command(connect) => Some(Hop::command(connect)),
            Transport::Ssh { config_file } => {
                // The semaphore is never closed; without a permit it is only faster.
                let _turn = self.lookups.acquire().await.ok();
                Some(hop::look_up(config_file.as_deref(), plan.entry()).await)
            }
        }
    }

    /// Waits until this process can have the files of another link open.
    pub(super) async fn files(&self) -> Option<FilesPermit> {
        Arc::clone(&self.links).acquire_owned().await.ok()
    }

    /// Waits for a turn at sending the program.
    pub(super) async fn upload_turn(&self) -> Option<SemaphorePermit<'_>> {
        self.uploads.acquire().await.ok()
    }

    /// Waits for a turn at `hop`.
    pub(super) async fn begin(&self, hop: &Hop) -> Option<LoginPermit> {
        let logins = self.logins(hop);
        let permit = Arc::clone(&logins).acquire_owned().await.ok();
        if logins.available_permits() < AT_ONCE - 1 {
            tokio::time::sleep(JITTER.mul_f64(fastrand::f64())).await;
        }
        permit
    }

    fn logins(&self, hop: &Hop) -> Arc<Semaphore> {
        let mut hops = self.hops.lock().unwrap_or_else(PoisonError::into_inner);
        let logins = hops.entry(hop.clone()).or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE)));
        Arc::clone(logins)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_more_than_eight_log_in_at_once_at_one_hop() {
        let handshakes = Handshakes::new();
        let (one, other) = (Hop::name("one"), Hop::name("other"));
        let mut held = Vec::new();
        for _ in 0..AT_ONCE {
            held.push(handshakes.begin(&one).await.unwrap());
        }
        assert_eq!(handshakes.logins(&one).available_permits(), 0);
        let _free = handshakes.begin(&other).await.unwrap();
        held.pop();
        held.push(handshakes.begin(&one).await.unwrap());
    }
}
