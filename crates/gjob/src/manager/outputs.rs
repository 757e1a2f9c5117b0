//! Outputs of ended jobs on their way here: a job's are handed on together.

use std::collections::HashMap;
use std::time::Instant;

use gjob_core::scheduler::HostIx;
use gjob_core::wire::Stream;
use gjob_core::{Job, JobId};

use super::Wanted;
use crate::network::{Fetched, Network};

#[derive(Debug, Default)]
pub(super) struct Outputs {
    /// By host and job id: which job, what is still to come, what came.
    pending: HashMap<(HostIx, JobId), Pending>,
    last_came: Option<Instant>,
}

#[derive(Debug)]
struct Pending {
    index: u32,
    missing: usize,
    came: Vec<Fetched>,
}

impl Outputs {
    /// Asks for the outputs of a job that are wanted and not known to be empty.
    /// False when there are none.
    pub(super) fn want(&mut self, job: &Job, wanted: Wanted, network: &mut Network) -> bool {
        let (Some(id), Some(finish), Some(host)) = (&job.id, &job.finish, &job.host) else {
            return false;
        };
        let Some(host) = network.position(host) else { return false };
        let mut streams = Vec::new();
        if wanted.stdout && finish.stdout_bytes > 0 {
            streams.push(Stream::Stdout);
        }
        if wanted.stderr && finish.stderr_bytes > 0 {
            streams.push(Stream::Stderr);
        }
        if streams.is_empty() {
            return false;
        }
        let pending = Pending { index: job.index, missing: streams.len(), came: Vec::new() };
        self.pending.insert((host, id.clone()), pending);
        for stream in streams {
            network.fetch(host, id.clone(), stream, 0);
        }
        true
    }

    /// An output has come: the job's outputs, if that was the last of them.
    pub(super) fn arrived(
        &mut self,
        host: HostIx,
        fetched: Fetched,
    ) -> Option<(u32, Vec<Fetched>)> {
        self.last_came = Some(Instant::now());
        let key = (host, fetched.id.clone());
        let pending = self.pending.get_mut(&key)?;
        pending.missing -= 1;
        pending.came.push(fetched);
        if pending.missing > 0 {
            return None;
        }
        self.pending.remove(&key).map(|done| (done.index, done.came))
    }

    pub(super) fn is_idle(&self) -> bool {
        self.pending.is_empty()
    }

    pub(super) fn last_came(&self) -> Option<Instant> {
        self.last_came
    }
}
