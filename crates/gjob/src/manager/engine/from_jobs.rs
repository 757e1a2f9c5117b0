//! Outputs of jobs that are done as files of other jobs: found when these are launched.
//! What was fetched and is not in its place any more is fetched again if its host has it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use gjob_core::Key;
use gjob_core::dependency::FromOne;
use gjob_core::os_text::to_path;
use gjob_core::record::one_line;
use gjob_core::run::{Host, HostIx};

use super::Engine;
use super::refetch::{Refetch, gone};
use crate::inputs::{InputDirectory, UnfitOutputs, gather};
use crate::network::{LaunchAt, Origin, Placed};
use crate::store::StoreError;

/// Outputs of jobs, as files of others.
#[derive(Debug, Default)]
pub(super) struct FromJobs {
    /// The directories made so far, by the job that wrote what is in them and the patterns.
    made: HashMap<(u32, Vec<String>), Arc<InputDirectory>>,
    /// Outputs that are fetched again.
    pub(super) again: BTreeMap<Key, Refetch>,
    /// What has come again for jobs that were not launched yet: of which attempts, and its
    /// paths.
    pub(super) came: HashMap<u32, HashSet<(Key, String)>>,
    /// Launches that were not carried out: what they need is fetched again, or is unfit for
    /// this reason.
    unsent: Vec<(HostIx, Key, Option<String>)>,
    /// Jobs for which what they waited for has come, or will not, for this reason.
    pub(super) ended: Vec<(u32, Option<String>)>,
}

impl FromJobs {
    /// True while there is something to tell the scheduler.
    pub(super) fn has_news(&self) -> bool {
        !self.unsent.is_empty() || !self.ended.is_empty()
    }
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
            match self.outputs_for(&from, key.index)? {
                Ok(directory) => {
                    let origin = self.origin_of(from.producer);
                    others.push(Placed { name: from.place.to_owned(), directory, origin });
                }
                Err(Unready::Again) => waits = true,
                Err(Unready::Unfit(reason)) => {
                    self.from_jobs.came.remove(&key.index);
                    self.from_jobs.unsent.push((host, key, Some(unfit(&reason))));
                    return Ok(());
                }
            }
        }
        if waits {
            self.from_jobs.unsent.push((host, key, None));
            return Ok(());
        }
        self.from_jobs.came.remove(&key.index);
        self.scheduler.note_sent(key);
        let run = self.scheduler.run();
        let Some(spec) = run.spec_of(key) else { return Ok(()) };
        let setup_dir = run.host(host).and_then(Host::setup_dir);
        let (revision, is_task) = (run.revision_of(key), run.task_of(key).is_some());
        let at = LaunchAt { revision, others, setup_dir, is_task };
        self.network.launch_with(host, key, spec, at);
        Ok(())
    }

    /// Tells the scheduler of launches that were not carried out, and then of what such jobs
    /// wait for no more. False if there is nothing to tell.
    pub(super) fn settle_inputs(&mut self) -> bool {
        let unsent = std::mem::take(&mut self.from_jobs.unsent);
        let ended = std::mem::take(&mut self.from_jobs.ended);
        let any = !unsent.is_empty() || !ended.is_empty();
        for (host, key, unfit) in unsent {
            let now = self.now();
            match unfit {
                Some(reason) => self.scheduler.handle_unfit_input(now, host, key, reason),
                None => self.scheduler.handle_inputs_away(now, host, key),
            }
        }
        for (consumer, lost) in ended {
            let now = self.now();
            match lost {
                Some(reason) => self.scheduler.handle_inputs_lost(now, consumer, reason),
                None => self.scheduler.handle_inputs_back(now, consumer),
            }
        }
        any
    }

    /// The directory with the outputs that a job needs of another.
    fn outputs_for(
        &mut self,
        from: &FromOne<'_>,
        consumer: u32,
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
                let came = self.from_jobs.came.get(&consumer);
                let has_come =
                    |path: &str| came.is_some_and(|came| came.contains(&(key, path.to_owned())));
                let gone_again = files.iter().find(|file| has_come(&file.path));
                let lost = dir.join(to_path(&gone_again.unwrap_or(&files[0]).path));
                let fetched = match gone_again {
                    Some(_) => Err("it was fetched, and is gone again".to_owned()),
                    None => self.fetch_again(key, files, consumer),
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

/// Why a job that needs outputs fails, in one line.
pub(super) fn unfit(reason: &str) -> String {
    one_line(&format!("input: {reason}")).shown().into()
}
