//! Standard output and error of ended jobs on their way to a handler: a job's
//! are handed on together.

use std::collections::HashMap;
use std::time::Instant;

use gjob_core::run::HostIx;
use gjob_core::wire::Stream;
use gjob_core::{Finish, Job, JobId, Key};

use super::Wanted;
use crate::network::{Fetched, Network};

/// What is being fetched.
#[derive(Debug, Default)]
pub(super) struct Streams {
    /// By host and job id: which attempt, what is missing, what has arrived.
    pending: HashMap<(HostIx, JobId), Pending>,
    last_arrival: Option<Instant>,
}

#[derive(Debug)]
struct Pending {
    key: Key,
    missing: usize,
    arrived: Vec<Fetched>,
}

impl Streams {
    /// Asks for the streams of a job that are wanted and not known to be empty.
    /// False when there are none.
    pub(super) fn request(&mut self, job: &Job, wanted: Wanted, network: &mut Network) -> bool {
        let (Some(key), Some(finish), Some(host)) = (job.key(), job.finish(), job.host()) else {
            return false;
        };
        let Some(host) = network.position(host) else { return false };
        self.request_of(host, key, finish, wanted, network)
    }

    /// The same of any attempt.
    pub(super) fn request_of(
        &mut self,
        host: HostIx,
        key: Key,
        finish: &Finish,
        wanted: Wanted,
        network: &mut Network,
    ) -> bool {
        let id = &finish.id;
        let mut streams = Vec::new();
        if wanted.stdout && finish.stdout_bytes > 0 {
            streams.push((Stream::Stdout, finish.stdout_bytes));
        }
        if wanted.stderr && finish.stderr_bytes > 0 {
            streams.push((Stream::Stderr, finish.stderr_bytes));
        }
        if streams.is_empty() {
            return false;
        }
        let pending = Pending { key, missing: streams.len(), arrived: Vec::new() };
        self.pending.insert((host, id.clone()), pending);
        for (stream, size) in streams {
            network.fetch(host, id.clone(), stream, size);
        }
        true
    }

    /// A stream has arrived: the attempt and all its streams, if that was the last
    /// of them.
    pub(super) fn arrived(
        &mut self,
        host: HostIx,
        fetched: Fetched,
    ) -> Option<(Key, Vec<Fetched>)> {
        self.last_arrival = Some(Instant::now());
        let place = (host, fetched.id.clone());
        let pending = self.pending.get_mut(&place)?;
        pending.missing -= 1;
        pending.arrived.push(fetched);
        if pending.missing > 0 {
            return None;
        }
        self.pending.remove(&place).map(|done| (done.key, done.arrived))
    }

    /// True while something of a host is on its way.
    pub(super) fn waits_for(&self, host: HostIx) -> bool {
        self.pending.keys().any(|(of, _)| *of == host)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.pending.is_empty()
    }

    pub(super) fn last_arrival(&self) -> Option<Instant> {
        self.last_arrival
    }
}
