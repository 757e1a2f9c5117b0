//! Outputs of jobs that are done as files of other jobs: found when these are launched.
//! What was fetched and is not in its place any more is fetched again if its host has it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use gjob_core::Key;
use gjob_core::dependency::FromOne;
use gjob_core::job::Phase;
use gjob_core::os_text::to_path;
use gjob_core::record::{Record, Scope, one_line};
use gjob_core::run::{Host, HostIx};

use super::Engine;
use crate::inputs::{InputDirectory, UnfitOutputs, gather};
use crate::network::{LaunchAt, Origin, Placed};
use crate::outputs::{CollectError, CollectOrder, CollectedOutputs, OutputFile, job_dir_name};
use crate::store::{StoreError, now};

/// Outputs of jobs, as files of others.
#[derive(Debug, Default)]
pub(super) struct FromJobs {
    /// The directories made so far, by the job that wrote what is in them and the patterns.
    made: HashMap<(u32, Vec<String>), Arc<InputDirectory>>,
    /// Outputs that are fetched again.
    again: BTreeMap<Key, Refetch>,
    /// Jobs whose outputs have come again and were not looked at since.
    came: HashSet<Key>,
    /// Launches whose outputs have come again.
    ready: Vec<(HostIx, Key)>,
    /// Launches that cannot be carried out.
    refused: Vec<(HostIx, Record)>,
}

/// Outputs of a job that are fetched again.
#[derive(Debug)]
struct Refetch {
    /// The host that has them.
    host: HostIx,
    files: Vec<OutputFile>,
    /// The launches that wait for them.
    launches: BTreeSet<(HostIx, Key)>,
}

/// Why a job does not get another one's outputs.
enum Unready {
    /// They are not what it needs, for this reason.
    Unfit(String),
    /// They are being fetched again.
    Again(Key),
}

impl Engine {
    /// Sends an attempt to a host, with the outputs of other jobs that it needs.
    pub(super) fn launch(&mut self, host: HostIx, key: Key) -> Result<(), StoreError> {
        let dependencies = Arc::clone(self.run().dependencies());
        let (mut others, mut awaited) = (Vec::new(), None);
        for from in dependencies.producers(key.index) {
            match self.outputs_for(&from)? {
                Ok(directory) => {
                    let origin = self.origin_of(from.producer);
                    others.push(Placed { name: from.place.to_owned(), directory, origin });
                }
                Err(Unready::Again(producer)) => awaited = Some(producer),
                Err(Unready::Unfit(reason)) => {
                    self.refuse_launch(host, key, &reason);
                    return Ok(());
                }
            }
        }
        if let Some(again) = awaited.and_then(|producer| self.from_jobs.again.get_mut(&producer)) {
            again.launches.insert((host, key));
            return Ok(());
        }
        let run = self.scheduler.run();
        let Some(spec) = run.spec_of(key) else { return Ok(()) };
        let setup_dir = run.host(host).and_then(Host::setup_dir);
        let (revision, is_task) = (run.revision_of(key), run.task_of(key).is_some());
        let at = LaunchAt { revision, others, setup_dir, is_task };
        self.network.launch_with(host, key, spec, at);
        Ok(())
    }

    fn refuse_launch(&mut self, host: HostIx, key: Key, reason: &str) {
        let reason = one_line(&format!("input: {reason}"));
        let refused = Record::Refused { key, reason, scope: Scope::Job, at: now() };
        self.from_jobs.refused.push((host, refused));
    }

    /// Sends the attempts whose outputs have come again, if they are still wanted, and tells
    /// the scheduler of launches that cannot be carried out. False if there are none of these.
    pub(super) fn launch_ready(&mut self) -> Result<bool, StoreError> {
        for (host, key) in std::mem::take(&mut self.from_jobs.ready) {
            let job = self.job(key.index);
            let is_wanted = job.phase == Phase::Assigned && job.key() == Some(key);
            if is_wanted
                && job.host().is_some_and(|label| self.network.position(label) == Some(host))
            {
                self.launch(host, key)?;
            }
        }
        let refused = std::mem::take(&mut self.from_jobs.refused);
        let any = !refused.is_empty();
        for (host, record) in refused {
            let now = self.now();
            self.scheduler.handle_records(now, host, vec![record]);
        }
        Ok(any)
    }

    /// The directory with the outputs that a job needs of another.
    fn outputs_for(
        &mut self,
        from: &FromOne<'_>,
    ) -> Result<Result<Arc<InputDirectory>, Unready>, StoreError> {
        let patterns: Vec<String> = from.paths.iter().map(ToString::to_string).collect();
        let made = self.from_jobs.made.get(&(from.producer, patterns.clone()));
        if let Some(directory) = made.filter(|made| made.is_untouched()) {
            return Ok(Ok(Arc::clone(directory)));
        }
        let job = self.job(from.producer);
        let title = self.run().job_title(from.producer);
        let Some(key) = job.key() else {
            return Ok(Err(Unready::Unfit(format!("{title} has not run"))));
        };
        let dir = self.collecting.dir_of(&self.on_hosts, job);
        let outputs = self.books.store().outputs_of(key)?;
        let had_come = self.from_jobs.came.remove(&key);
        let reason = match gather(&dir, outputs, &from.paths) {
            Ok(directory) => {
                let directory = Arc::new(directory);
                let of = (from.producer, patterns);
                self.from_jobs.made.insert(of, Arc::clone(&directory));
                return Ok(Ok(directory));
            }
            Err(UnfitOutputs::None(pattern)) => {
                format!("{title} is done, and none of its outputs matches {pattern:?}")
            }
            Err(UnfitOutputs::Changed(error)) => format!("output of {title}: {error}"),
            Err(UnfitOutputs::Missing(files)) => {
                let first = dir.join(to_path(&files[0].path));
                let came = match had_come {
                    true => Err("it was fetched, and is gone again".to_owned()),
                    false => self.fetch_again(key, files),
                };
                match came {
                    Ok(()) => return Ok(Err(Unready::Again(key))),
                    Err(why) => gone(&title, &first, &why),
                }
            }
        };
        Ok(Err(Unready::Unfit(reason)))
    }

    /// Whose directory still has the outputs of a job that is done.
    fn origin_of(&self, producer: u32) -> Option<Origin> {
        if self.collecting.removes_directories() {
            return None;
        }
        let job = self.job(producer);
        let host = self.network.position(job.host()?)?;
        Some(Origin { host, id: job.id()?.clone() })
    }

    /// Fetches outputs of a job that is done again, to where they were.
    fn fetch_again(&mut self, key: Key, files: Vec<OutputFile>) -> Result<(), String> {
        if self.from_jobs.again.contains_key(&key) {
            return Ok(());
        }
        let job = self.job(key.index);
        let host = job.host().and_then(|label| self.network.position(label));
        let (Some(host), Some(id)) = (host, job.id().cloned()) else {
            return Err("its host is not known".to_owned());
        };
        if !self.run().host(host).is_some_and(|host| host.status.answers()) {
            return Err(format!("host {} does not answer", self.label(host)));
        }
        let order = CollectOrder {
            key,
            id,
            dir_name: job_dir_name(job.name(), key.index),
            patterns: files.iter().map(|file| literally(&file.path)).collect(),
            all: true,
            merge: true,
        };
        self.from_jobs.again.insert(key, Refetch { host, files, launches: BTreeSet::new() });
        self.network.collect(host, order);
        Ok(())
    }

    /// Outputs that were fetched again have come, or cannot be fetched; gives them back if
    /// they were not.
    pub(super) fn fetched_again(
        &mut self,
        key: Key,
        result: Result<CollectedOutputs, CollectError>,
    ) -> Result<(), Result<CollectedOutputs, CollectError>> {
        let Some(refetch) = self.from_jobs.again.remove(&key) else { return Err(result) };
        let why = match result {
            Ok(came) if is_same(&came.files, &refetch.files) => None,
            Ok(_) => Some("its host has something else now".to_owned()),
            Err(CollectError { reason, .. }) => Some(reason),
        };
        self.go_on(key, refetch, why);
        Ok(())
    }

    /// A host does not answer any more: outputs that are on it are not waited for.
    pub(super) fn give_up_again(&mut self, host: HostIx) {
        let on_it = self.from_jobs.again.iter().filter(|(_, refetch)| refetch.host == host);
        let keys: Vec<Key> = on_it.map(|(key, _)| *key).collect();
        for key in keys {
            let Some(refetch) = self.from_jobs.again.remove(&key) else { continue };
            self.network.forget_collect(host, key);
            let why = format!("host {} does not answer", self.label(host));
            self.go_on(key, refetch, Some(why));
        }
    }

    /// Carries out the launches that have waited for outputs of a job, or refuses them.
    fn go_on(&mut self, producer: Key, refetch: Refetch, why_not: Option<String>) {
        let Some(why) = why_not else {
            self.from_jobs.came.insert(producer);
            self.from_jobs.ready.extend(refetch.launches);
            return;
        };
        let job = self.job(producer.index);
        let dir = self.collecting.dir_of(&self.on_hosts, job);
        let title = self.run().job_title(producer.index);
        for (host, key) in refetch.launches {
            let first = refetch.files.first().map(|file| dir.join(to_path(&file.path)));
            self.refuse_launch(host, key, &gone(&title, first.as_deref().unwrap_or(&dir), &why));
        }
    }
}

/// Why an output that is not where it was put cannot be had.
fn gone(title: &str, path: &Path, why: &str) -> String {
    format!("output of {title}: file {path:?} does not exist, and cannot be fetched again: {why}")
}

/// True if these are the files that were recorded.
fn is_same(came: &[OutputFile], recorded: &[OutputFile]) -> bool {
    let content = |file: &OutputFile| (file.path.clone(), file.hash);
    let came: BTreeSet<_> = came.iter().map(content).collect();
    came == recorded.iter().map(content).collect()
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
