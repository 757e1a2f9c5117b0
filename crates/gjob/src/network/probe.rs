//! Whether jobs survive a logout, for `gjob hosts --probe`.

use std::time::Duration;

use gjob_core::JobId;
use gjob_core::scheduler::HostIx;
use gjob_core::text::Shown;

use super::{Answers, Network, NetworkError};
use crate::link::{EndProbe, StartProbe};

/// After so many seconds a probe ends by itself, whatever becomes of its host and of this
/// process: more than a second login may take.
const PROBE_LIFE: u32 = 180;

/// How long a host has to end what was left at a logout. systemd keeps a user's manager for
/// 10 seconds after the last session (`UserStopDelaySec`).
const LOGOUT_TIME: Duration = Duration::from_secs(12);

impl Network {
    /// Starts a job that does nothing on each of `hosts`, logs out, logs in again and ends
    /// it. Returns whether it was still running, or why that cannot be told.
    ///
    /// # Errors
    /// When the network can't be opened.
    pub fn probe_logout(&mut self, hosts: &[HostIx]) -> Result<Answers<bool>, NetworkError> {
        let start = |host: &HostIx| (*host, vec![StartProbe { seconds: PROBE_LIFE }]);
        let started = self.ask_hosts(hosts.iter().map(start).collect())?;
        let mut found = Answers::new();
        let mut probes: Vec<(HostIx, JobId)> = Vec::new();
        for (host, answer) in started {
            match answer.and_then(only) {
                Ok(id) => probes.push((host, id)),
                Err(reason) => drop(found.insert(host, Err(reason))),
            }
        }
        if probes.is_empty() {
            return Ok(found);
        }
        self.close();
        std::thread::sleep(LOGOUT_TIME);
        let end = |(host, id): (HostIx, JobId)| (host, vec![EndProbe { id }]);
        for (host, answer) in self.ask_hosts(probes.into_iter().map(end).collect())? {
            let answer = answer.map_err(|reason| format!("no second login: {reason}"));
            found.insert(host, answer.and_then(only));
        }
        Ok(found)
    }
}

/// The answer to the only request.
fn only<T>(answers: Vec<Result<T, Shown>>) -> Result<T, String> {
    let first = answers.into_iter().next();
    first.map_or_else(|| Err("no answer".to_owned()), |answer| answer.map_err(String::from))
}
