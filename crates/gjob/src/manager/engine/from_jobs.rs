//! Outputs of jobs that are done as files of other jobs: found when these are launched.
//! What was fetched and is not in its place any more is fetched again if its host has it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use gjob_core::Key;
use gjob_core::dependency::FromOne;
use gjob_core::job::Phase;
use gjob_core::os_text::to_path;
use gjob_core::record::{Record, Scope, one_line};
use gjob_core::run::{Host, HostIx};

use super::Engine;
use super::refetch::{Refetch, gone};
use crate::inputs::{InputDirectory, UnfitOutputs, gather};
use crate::network::{LaunchAt, Origin, Placed};
use crate::store::{StoreError, now};

/// Outputs of jobs, as files of others.
#[derive(Debug, Default)]
pub(super) struct FromJobs {
    /// The directories made so far, by the job that wrote what is in them and the patterns.
    made: HashMap<(u32, Vec<String>), Arc<InputDirectory>>,
    /// Outputs that are fetched again.
    pub(super) again: BTreeMap<Key, Refetch>,
    /// What has come again for launches that were not carried out yet: of which attempts,
    /// and its paths.
    pub(super) came: HashMap<Key, HashSet<(Key, String)>>,
    /// Launches for which outputs have come again.
    pub(super) ready: Vec<(HostIx, Key)>,
    /// Launches that cannot be carried out.
    refused: Vec<(HostIx, Record)>,
}

/// Why a job does not get another one's outputs.
enum Unready {
    /// They are not what it needs, for this reason.
    Unfit(String),
    /// They are being fetched again: the launch is made then.
    Again,
}

impl Engine {
    /// Sends an attempt to a host, with the outputs of other jobs that it needs.
    pub(super) fn launch(&mut self, host: HostIx, key: Key) -> Result<(), StoreError> {
        let dependencies = Arc::clone(self.run().dependencies());
        let (mut others, mut waits) = (Vec::new(), false);
        for from in dependencies.producers(key.index) {
            match self.outputs_for(&from, (host, key))? {
                Ok(directory) => {
                    let origin = self.origin_of(from.producer);
                    others.push(Placed { name: from.place.to_owned(), directory, origin });
                }
                Err(Unready::Again) => waits = true,
                Err(Unready::Unfit(reason)) => {
                    self.refuse_launch(host, key, &reason);
                    return Ok(());
                }
            }
        }
        if waits {
            return Ok(());
        }
        self.from_jobs.came.remove(&key);
        let run = self.scheduler.run();
        let Some(spec) = run.spec_of(key) else { return Ok(()) };
        let setup_dir = run.host(host).and_then(Host::setup_dir);
        let (revision, is_task) = (run.revision_of(key), run.task_of(key).is_some());
        let at = LaunchAt { revision, others, setup_dir, is_task };
        self.network.launch_with(host, key, spec, at);
        Ok(())
    }

    pub(super) fn refuse_launch(&mut self, host: HostIx, key: Key, reason: &str) {
        self.from_jobs.came.remove(&key);
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

    /// The directory with the outputs that the job of a launch needs of another.
    fn outputs_for(
        &mut self,
        from: &FromOne<'_>,
        launch: (HostIx, Key),
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
        let reason = match gather(&dir, outputs, &from.paths) {
            Ok(directory) => {
                let directory = Arc::new(directory);
                let of = (from.producer, patterns);
                self.from_jobs.made.insert(of, Arc::clone(&directory));
                return Ok(Ok(directory));
            }
            Err(UnfitOutputs::None(pattern)) if job.spec.outputs.contains(&pattern) => {
                // It had matched, or the job would not be done; of directories nothing is kept.
                let path = dir.join(pattern);
                format!("output of {title}: directory {path:?} does not exist any more")
            }
            Err(UnfitOutputs::None(pattern)) => {
                format!("{title} is done, and none of its outputs matches {pattern:?}")
            }
            Err(UnfitOutputs::Changed(error)) => format!("output of {title}: {error}"),
            Err(UnfitOutputs::Missing(files)) => {
                let came = self.from_jobs.came.get(&launch.1);
                let has_come =
                    |path: &str| came.is_some_and(|came| came.contains(&(key, path.to_owned())));
                let gone_again = files.iter().find(|file| has_come(&file.path));
                let lost = dir.join(to_path(&gone_again.unwrap_or(&files[0]).path));
                let fetched = match gone_again {
                    Some(_) => Err("it was fetched, and is gone again".to_owned()),
                    None => self.fetch_again(key, files, launch),
                };
                match fetched {
                    Ok(()) => return Ok(Err(Unready::Again)),
                    Err(why) => gone(&title, &lost, &why),
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
}
