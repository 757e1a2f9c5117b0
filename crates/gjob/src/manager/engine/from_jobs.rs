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
use crate::inputs::{InputDirectory, PastInput, PastInputs, UnfitOutputs, gather};
use crate::network::{LaunchAt, Origin, Placed};
use crate::store::StoreError;

/// Outputs of jobs, as files of others.
#[derive(Debug, Default)]
pub(super) struct FromJobs {
    /// The directories made so far, by what is in them.
    made: HashMap<Wanted, Arc<InputDirectory>>,
    /// Outputs of past runs' jobs.
    past: Vec<PastInput>,
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

/// Some outputs of a job.
type Wanted = (Producer, Vec<String>);

/// A job that has written outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Producer {
    /// One of the run.
    Job(u32),
    /// One of a past run, by its position among those.
    Past(u32),
}

impl FromJobs {
    pub(super) fn new(past: PastInputs) -> Self {
        FromJobs { past: past.jobs, ..FromJobs::default() }
    }

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
                    self.note_unfit(host, key, &reason);
                    return Ok(());
                }
            }
        }
        for from in dependencies.past_producers(key.index) {
            match self.past_outputs_for(&from) {
                Ok(directory) => {
                    let name = from.place.to_owned();
                    others.push(Placed { name, directory, origin: None });
                }
                Err(reason) => {
                    self.note_unfit(host, key, &reason);
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

    /// A launch is not carried out, since what the job needs is unfit for this reason.
    fn note_unfit(&mut self, host: HostIx, key: Key, reason: &str) {
        self.from_jobs.came.remove(&key.index);
        self.from_jobs.unsent.push((host, key, Some(unfit(reason))));
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
        let wanted = wanted(Producer::Job(from.producer), from);
        if let Some(directory) = self.made(&wanted) {
            return Ok(Ok(directory));
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
                self.from_jobs.made.insert(wanted, Arc::clone(&directory));
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

    /// The directory with the outputs that a job needs of a past run's.
    fn past_outputs_for(&mut self, from: &FromOne<'_>) -> Result<Arc<InputDirectory>, String> {
        let wanted = wanted(Producer::Past(from.producer), from);
        if let Some(directory) = self.made(&wanted) {
            return Ok(directory);
        }
        let past = &self.from_jobs.past[from.producer as usize];
        let found = gather(&past.dir, past.outputs.clone(), &from.paths);
        let directory = Arc::new(found.map_err(|unfit| {
            let (title, why) = (past.producer.title(), past.why_unfit(unfit));
            format!("output of {title}: {why}")
        })?);
        self.from_jobs.made.insert(wanted, Arc::clone(&directory));
        Ok(directory)
    }

    /// A directory that was made before, if its files are as they were.
    fn made(&self, wanted: &Wanted) -> Option<Arc<InputDirectory>> {
        self.from_jobs.made.get(wanted).filter(|made| made.is_untouched()).map(Arc::clone)
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

fn wanted(producer: Producer, from: &FromOne<'_>) -> Wanted {
    (producer, from.paths.iter().map(ToString::to_string).collect())
}

/// Why a job that needs outputs fails, in one line.
pub(super) fn unfit(reason: &str) -> String {
    one_line(&format!("input: {reason}")).shown().into()
}
