//! Outputs of jobs that are done and that others need, fetched again since they are not in
//! their place any more.
//!
//! Each request ends: the files come, their host refuses them, or it is out of the run, removed
//! from it or lost. A host that does not answer is waited for until then.

use std::collections::BTreeSet;
use std::path::Path;

use gjob_core::os_text::to_path;
use gjob_core::run::{HostIx, HostStatus};
use gjob_core::{HostLabel, Key};

use super::Engine;
use super::from_jobs::unfit;
use crate::outputs::{CollectError, CollectOrder, CollectedOutputs, OutputFile};

/// Some outputs of a job that are fetched again.
#[derive(Debug)]
pub(super) struct Refetch {
    /// The host that has them.
    host: HostIx,
    order: CollectOrder,
    /// The jobs that wait for just these.
    consumers: BTreeSet<u32>,
    /// Jobs that wait for others of the same job: whatever comes of these, theirs are
    /// asked for then.
    later: BTreeSet<u32>,
}

impl Engine {
    /// Fetches outputs of a job that is done again, to where they were, for another job.
    pub(super) fn fetch_again(
        &mut self,
        producer: Key,
        files: Vec<OutputFile>,
        consumer: u32,
    ) -> Result<(), String> {
        if let Some(refetch) = self.from_jobs.again.get_mut(&producer) {
            let are_same = refetch.order.recorded == files;
            let waiting = if are_same { &mut refetch.consumers } else { &mut refetch.later };
            waiting.insert(consumer);
            return Ok(());
        }
        let job = self.job(producer.index);
        let host = job.host().and_then(|label| self.network.position(label));
        let (Some(host), Some(id)) = (host, job.id().cloned()) else {
            return Err("its host is not known".to_owned());
        };
        let known = &self.run().hosts()[host.at()];
        if known.is_gone() {
            return Err(removed(&known.label));
        }
        if known.status == HostStatus::Failed {
            return Err(out(&known.label, known.reason.as_deref().unwrap_or_default()));
        }
        let order = CollectOrder {
            key: producer,
            id,
            dir_name: self.collecting.dir_name(job),
            patterns: files.iter().map(|file| literally(&file.path)).collect(),
            all: true,
            merge: true,
            recorded: files,
            may_be_in_place: false,
        };
        let (consumers, later) = (BTreeSet::from([consumer]), BTreeSet::new());
        self.network.collect(host, order.clone());
        self.from_jobs.again.insert(producer, Refetch { host, order, consumers, later });
        let now = self.now();
        self.scheduler.handle_refetch(now, host, true);
        Ok(())
    }

    /// A host answers: what is fetched from it again is asked for, if it was not yet over this
    /// link.
    pub(super) fn ask_again(&mut self, host: HostIx) {
        let on_it = self.from_jobs.again.values().filter(|refetch| refetch.host == host);
        on_it.for_each(|refetch| self.network.collect(host, refetch.order.clone()));
    }

    /// True while outputs are fetched again from a host.
    pub(super) fn fetches_again(&self, host: HostIx) -> bool {
        self.from_jobs.again.values().any(|refetch| refetch.host == host)
    }

    /// Outputs that were fetched again have come, or cannot be fetched; gives them back if
    /// they were not.
    pub(super) fn fetched_again(
        &mut self,
        key: Key,
        result: Result<CollectedOutputs, CollectError>,
    ) -> Result<(), Result<CollectedOutputs, CollectError>> {
        let Some(refetch) = self.from_jobs.again.remove(&key) else { return Err(result) };
        let why_not = result.err().map(|error| match self.collecting.removes_directories() {
            true => format!("--cleanup removes the directories of done jobs: {error}"),
            false => error.reason,
        });
        self.go_on(key, refetch, why_not.as_deref());
        Ok(())
    }

    /// A host is of no more use: outputs that are on it are not waited for.
    pub(super) fn give_up_again(&mut self, host: HostIx, why: &str) {
        let on_it = self.from_jobs.again.iter().filter(|(_, refetch)| refetch.host == host);
        let keys: Vec<Key> = on_it.map(|(key, _)| *key).collect();
        for key in keys {
            let Some(refetch) = self.from_jobs.again.remove(&key) else { continue };
            self.network.forget_collect(host, key);
            self.go_on(key, refetch, Some(why));
        }
    }

    /// The jobs that have waited for outputs of a job go on, or fail.
    fn go_on(&mut self, producer: Key, refetch: Refetch, why_not: Option<&str>) {
        let Refetch { host, order, consumers, later } = refetch;
        if !self.fetches_again(host) {
            let now = self.now();
            self.scheduler.handle_refetch(now, host, false);
        }
        self.from_jobs.ended.extend(later.into_iter().map(|consumer| (consumer, None)));
        let Some(why) = why_not else {
            for consumer in consumers {
                let came = self.from_jobs.came.entry(consumer).or_default();
                came.extend(order.recorded.iter().map(|file| (producer, file.path.clone())));
                self.from_jobs.ended.push((consumer, None));
            }
            return;
        };
        let dir = self.collecting.dir_of(&self.on_hosts, self.job(producer.index));
        let title = self.run().job_title(producer.index);
        let first =
            order.recorded.first().map_or(dir.clone(), |file| dir.join(to_path(&file.path)));
        let reason = unfit(&gone(&title, &first, why));
        for consumer in consumers {
            self.from_jobs.came.remove(&consumer);
            self.from_jobs.ended.push((consumer, Some(reason.clone())));
        }
    }
}

/// Why an output that is not where it was put cannot be had.
pub(super) fn gone(title: &str, path: &Path, why: &str) -> String {
    format!("output of {title}: file {path:?} does not exist, and cannot be fetched again: {why}")
}

pub(super) fn removed(host: &HostLabel) -> String {
    format!("host {host} was removed from the run")
}

pub(super) fn out(host: &HostLabel, reason: &str) -> String {
    format!("host {host} is out of the run: {reason}")
}

/// A pattern that matches this path alone.
fn literally(path: &str) -> String {
    let mut pattern = String::with_capacity(path.len());
    for c in path.chars() {
        match c {
            '*' | '?' | '[' | ']' => pattern.extend(['[', c, ']']),
            other => pattern.push(other),
        }
    }
    pattern
}
