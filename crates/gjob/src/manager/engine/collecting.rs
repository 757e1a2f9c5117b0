//! Fetching jobs' outputs, and what becomes of the job directories on the hosts
//! then.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use gjob_core::event::{Direction, Transfer};
use gjob_core::job::Phase;
use gjob_core::jobdir::OwnFile;
use gjob_core::record::Scope;
use gjob_core::run::HostIx;
use gjob_core::scheduler::Collected;
use gjob_core::{Job, JobSpec, Key, RunId, State, What};

use super::Engine;
use crate::manager::ManagerError;
use crate::network::Network;
use crate::outputs::{
    self, CollectError, CollectOrder, CollectScope, CollectedOutputs, OutputsConfig, used_names,
};
use crate::settings::OutputSettings;
use crate::store::JobOutputs;

/// Outputs that are being fetched.
#[derive(Debug, Default)]
pub(super) struct Collecting {
    settings: OutputSettings,
    /// Outputs that have arrived and are not committed yet.
    local: Vec<JobOutputs>,
    /// Attempts that have failed, and whose streams are to be kept all the same.
    streams: BTreeMap<Key, HostIx>,
    last_arrival: Option<Instant>,
    /// Why nothing can be written locally any more.
    failure: Option<String>,
    /// The run is a copy, whose original may have fetched more than is known here.
    pub(super) has_moved: bool,
}

impl Collecting {
    pub(super) fn new(settings: OutputSettings) -> Self {
        Collecting { settings, ..Collecting::default() }
    }

    /// Makes sure that outputs can be written, and that no job's directory is
    /// where something is already.
    pub(super) fn check_names(&self, specs: &[Arc<JobSpec>]) -> Result<(), ManagerError> {
        let has_outputs = |spec: &JobSpec| self.settings.results || !spec.outputs.is_empty();
        let jobs = (0..).zip(specs).filter(|(_, spec)| has_outputs(spec));
        let names: Vec<String> = jobs
            .map(|(index, spec)| self.settings.job_dir_name(spec.name.as_deref(), index))
            .collect();
        if names.is_empty() {
            return Ok(());
        }
        let Some(dir) = &self.settings.into else {
            return check_writable(&self.settings.here.join("gjob-out"));
        };
        let is_new = |name: &&str| !self.settings.follows.replaced.contains(*name);
        let used = used_names(dir, names.iter().map(String::as_str).filter(is_new))
            .map_err(|source| ManagerError::OutputsDir { dir: dir.clone(), source })?;
        match used.first() {
            None => check_writable(dir),
            Some(name) => {
                let (dir, name) = (dir.clone(), (*name).to_owned());
                Err(ManagerError::OutputsInTheWay { dir, name })
            }
        }
    }

    /// A network that brings outputs of `run` to where they are wanted.
    pub(super) fn prepare(&self, network: Network, run: &RunId) -> Network {
        network.outputs(Some(self.config(run)))
    }

    fn config(&self, run: &RunId) -> OutputsConfig {
        let OutputSettings { max_bytes, .. } = self.settings;
        let (tag, follows) = (Some(run.to_string()), self.settings.follows.clone());
        OutputsConfig { tag, follows, ..OutputsConfig::new(self.settings.dir(run), max_bytes) }
    }

    /// What a job's directory is called.
    pub(super) fn dir_name(&self, job: &Job) -> String {
        self.settings.job_dir_name(job.name(), job.index)
    }

    /// Where the outputs of a job are.
    pub(super) fn dir_of(&self, run: &RunId, job: &Job) -> PathBuf {
        self.settings.dir(run).join(self.settings.job_dir_name(job.name(), job.index))
    }

    /// True when the directories of jobs that are done are removed.
    pub(super) fn removes_directories(&self) -> bool {
        self.settings.cleanup
    }

    /// True when nothing is on its way that no job waits for.
    pub(super) fn is_idle(&self) -> bool {
        self.streams.is_empty()
    }

    /// True while something of a host is on its way that no job waits for.
    pub(super) fn waits_for(&self, host: HostIx) -> bool {
        self.streams.values().any(|of| *of == host)
    }

    pub(super) fn last_arrival(&self) -> Option<Instant> {
        self.last_arrival
    }

    pub(super) fn take_local(&mut self) -> Vec<JobOutputs> {
        std::mem::take(&mut self.local)
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    pub(super) fn failure(&mut self) -> Option<String> {
        self.failure.take()
    }

    /// What is wanted of a job's directory.
    fn order(&self, job: &Job, key: Key, patterns: Vec<String>, all: bool) -> Option<CollectOrder> {
        Some(CollectOrder {
            key,
            id: job.id().cloned()?,
            dir_name: self.settings.job_dir_name(job.name(), job.index),
            patterns,
            all,
            merge: false,
            recorded: Vec::new(),
            may_be_in_place: false,
        })
    }
}

fn check_writable(dir: &Path) -> Result<(), ManagerError> {
    outputs::check_writable(dir).map_err(|error| {
        let source = io::Error::new(error.kind(), format!("cannot write outputs: {error}"));
        ManagerError::OutputsDir { dir: dir.to_owned(), source }
    })
}

impl Engine {
    /// Asks for the outputs of a job that has succeeded.
    pub(super) fn collect(&mut self, host: HostIx, key: Key) {
        let job = self.job(key.index);
        let mut patterns = job.spec.outputs.clone();
        if self.collecting.settings.results {
            patterns.extend(OwnFile::STREAMS.map(|file| file.name().to_owned()));
        }
        let may_be_in_place = self.collecting.has_moved && self.scheduler.is_inherited(key.index);
        if let Some(order) = self.collecting.order(job, key, patterns, true) {
            self.network.collect(host, CollectOrder { may_be_in_place, ..order });
        }
    }

    /// A job has its outcome: what it wrote is kept if that is wanted of failed
    /// ones, too.
    pub(super) fn keep_streams(&mut self, key: Key, state: State) {
        let failed = matches!(state, State::Error | State::Unknown);
        if !failed || !self.collecting.settings.results || self.acts_alone {
            return;
        }
        let job = self.job(key.index);
        let host = job.host().and_then(|label| self.network.position(label));
        let order = self.collecting.order(
            job,
            key,
            OwnFile::STREAMS.map(|file| file.name().to_owned()).to_vec(),
            false,
        );
        if let (Some(host), Some(order)) = (host, order) {
            self.collecting.streams.insert(key, host);
            self.network.collect(host, order);
        }
    }

    /// A job's outputs are local, durably, or cannot be fetched.
    pub(super) fn collected(
        &mut self,
        host: HostIx,
        key: Key,
        result: Result<CollectedOutputs, CollectError>,
    ) {
        self.collecting.last_arrival = Some(Instant::now());
        let Err(result) = self.fetched_again(key, result) else { return };
        let kept = self.collecting.streams.remove(&key).is_some();
        let is_wanted = self.is_wanted(key, kept);
        let result = match result {
            // The job has gone on since: nothing of this attempt is to stay.
            Ok(_) if !is_wanted => return self.retract_stale(key.index),
            Ok(CollectedOutputs { files, bytes }) => {
                let count = files.len() as u64;
                self.collecting.local.push(JobOutputs { key, files });
                Ok(Collected { files: count, bytes })
            }
            Err(CollectError { scope: CollectScope::Here, reason }) => {
                self.collecting.failure = Some(reason);
                return;
            }
            Err(CollectError { scope: CollectScope::Gone, reason }) => {
                let now = self.now();
                return self.scheduler.handle_outputs_gone(now, host, key, reason);
            }
            Err(CollectError { scope: CollectScope::Job, reason }) => Err((Scope::Job, reason)),
            Err(CollectError { scope: CollectScope::Host, reason }) => Err((Scope::Host, reason)),
        };
        if !kept {
            let job = self.job(key.index);
            if result.is_err() && (job.state(), job.key()) == (State::Busy, Some(key)) {
                self.retract(key.index);
            }
            let now = self.now();
            self.scheduler.handle_outputs(now, host, key, result);
        }
    }

    /// Outputs are no longer waited for: none of them is to stay.
    pub(super) fn forget_outputs(&mut self, host: HostIx, key: Key) {
        self.network.forget_collect(host, key);
        self.retract(key.index);
    }

    /// True when what was fetched of an attempt is what its job waits for, or what
    /// is kept of one that failed.
    fn is_wanted(&self, key: Key, kept: bool) -> bool {
        let job = self.job(key.index);
        let waits = match job.phase {
            Phase::Collecting => !kept,
            Phase::Ended(State::Error | State::Unknown) => kept,
            Phase::Waiting | Phase::Assigned | Phase::Running | Phase::Ended(_) => false,
        };
        waits && job.key() == Some(key)
    }

    /// Removes what an attempt has left in the job's place, unless another one's
    /// outputs are there, or about to replace it.
    fn retract_stale(&mut self, index: u32) {
        match self.job(index).phase {
            Phase::Collecting | Phase::Ended(State::Done) => {}
            Phase::Waiting | Phase::Assigned | Phase::Running | Phase::Ended(_) => {
                self.retract(index);
            }
        }
    }

    /// A job is retried: what its failed attempts wrote must not get into the
    /// place of the next one's outputs.
    pub(super) fn forget_streams(&mut self, index: u32) {
        let keys = Key::new(index, 0)..=Key::new(index, u32::MAX);
        let stale: Vec<(Key, HostIx)> =
            self.collecting.streams.range(keys).map(|(key, host)| (*key, *host)).collect();
        for (key, host) in stale {
            self.collecting.streams.remove(&key);
            self.network.forget_collect(host, key);
        }
    }

    /// Removes what is in its place of a job that is not done, as when a manager
    /// was killed before it could record that the outputs are local. Of a copied run, the
    /// original may have put them there, of an attempt that counted: they stay until another
    /// attempt replaces them.
    fn retract(&mut self, index: u32) {
        if self.collecting.has_moved {
            return;
        }
        let dir_name = self.collecting.dir_name(self.job(index));
        let config = self.collecting.config(&self.on_hosts);
        // What cannot be removed does no harm: another attempt replaces it.
        let _ = outputs::retract(&config, &self.on_hosts, &dir_name);
    }

    /// How far a large file has come.
    pub(super) fn note_transfer(
        &mut self,
        host: HostIx,
        direction: Direction,
        file: String,
        (bytes, size): (u64, u64),
    ) {
        let host = self.label(host).clone();
        self.scheduler.note(What::Transfer(Transfer { host, direction, file, bytes, size }));
    }

    /// Nothing more is wanted of a job that has ended: its directory may go.
    pub(super) fn clean_up(&mut self, index: u32) {
        let job = self.job(index);
        if !self.collecting.removes_directories() || job.state() != State::Done || self.acts_alone {
            return;
        }
        let host = job.host().and_then(|label| self.network.position(label));
        if let (Some(host), Some(id), Some(key)) = (host, job.id(), job.key()) {
            let attempt = (key, id.clone());
            // With the link broken it stays, for `gjob clean`.
            self.network.remove(host, &self.on_hosts, &[attempt]);
        }
    }
}
