//! How the hosts are, all at once, for `gjob hosts`.

use std::time::{Duration, Instant};

use gjob_core::scheduler::HostIx;
use gjob_core::wire::HostDescription;
use tokio::task::JoinSet;

use super::{Answers, Network, NetworkError};
use crate::link::{DescribeHost, RequestEcho};
use crate::store::now;

/// How long a host is waited for.
const REACH_TIMEOUT: Duration = Duration::from_secs(20);

/// A host that answers.
#[derive(Clone, Debug)]
pub struct DescribedHost {
    /// What it says.
    pub description: HostDescription,
    /// How long it took from the start until it could be asked: the login, and sending
    /// the program if it was not there.
    pub login: Duration,
    /// How long a question and its answer take.
    pub round_trip: Duration,
    /// How far its clock is ahead of this one's, milliseconds; as exact as half a round
    /// trip.
    pub clock_ahead_ms: i64,
}

impl Network {
    /// Asks all hosts at once how they are. Returns that, or why a host can't be asked.
    ///
    /// # Errors
    /// When the network can't be opened.
    pub fn describe_hosts(&mut self) -> Result<Answers<DescribedHost>, NetworkError> {
        let hosts: Vec<HostIx> = (0..self.hosts.len() as u32).map(HostIx).collect();
        let open = self.open_to_ask()?;
        let mut tasks = JoinSet::new();
        for host in hosts {
            let link = open.link(host);
            let ask = async move {
                let limit = Some(REACH_TIMEOUT);
                let began = Instant::now();
                link.up(limit).await.map_err(|error| error.reason)?;
                let login = began.elapsed();
                let asked = Instant::now();
                link.ask(&RequestEcho, limit).await.map_err(|error| error.reason)?;
                let round_trip = asked.elapsed();
                let description =
                    link.ask(&DescribeHost, limit).await.map_err(|error| error.reason)?;
                // It was sent half a round trip ago.
                let here = now().0.saturating_sub(round_trip.as_millis() as u64 / 2);
                let clock_ahead_ms = description.clock_ms as i64 - here as i64;
                Ok(DescribedHost { description, login, round_trip, clock_ahead_ms })
            };
            tasks.spawn_on(async move { (host, ask.await) }, open.runtime.handle());
        }
        Ok(open.block_on(async move { tasks.join_all().await.into_iter().collect() }))
    }
}
