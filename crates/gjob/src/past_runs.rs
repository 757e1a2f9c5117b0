//! Which jobs of a new run are done in past runs. Jobs are compared by what they
//! run: their scripts, files, outputs and variables, and by which copies they are.
//! Their names and their order do not count. Outputs of other jobs among their files are
//! equal if these jobs are.

mod follow;
mod producers;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use gjob_core::dependency::{Dependencies, DependencyError, FromOne};
use gjob_core::from_job::dir_name;
use gjob_core::subset::subset;
use gjob_core::wire::{BlobHash, Input, InputKind};
use gjob_core::{JobSpec, RunId, State};
use serde::Serialize;

pub use follow::{FollowError, follow};
use producers::{PastRun, Producers};

use crate::inputs::{Inputs, PastInputs};
use crate::store::{RunDir, Store, StoreError};

/// What past runs know of a job of a new run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PastOutcome {
    /// It is done in one of them.
    Done,
    /// It would be left out, and its outputs are needed by a job that is not; no past run
    /// has them.
    Needed,
    /// None of them has it.
    New,
    /// It failed.
    Failed,
    /// Its outcome is unknown.
    Unknown,
    /// It has no outcome yet.
    Unfinished,
    /// They have fewer copies of it.
    ExtraCopy,
    /// They have it with other files, or with files of other modes.
    OtherFiles,
    /// They have it with other outputs.
    OtherOutputs,
}

/// The jobs of a new run, compared with those of past runs.
#[derive(Debug)]
pub struct Comparison {
    /// For each job, what past runs know of it.
    pub outcomes: Vec<PastOutcome>,
    /// The jobs that are to be run.
    pub remaining: Vec<Arc<JobSpec>>,
    /// For each of these, the job of a past run that it runs again.
    pub again: Vec<Option<PastJob>>,
    /// How many jobs are left out that failed with other files, or have an unknown outcome.
    pub failed_with_other_files: u64,
    /// What these have of past runs' jobs that are left out.
    pub past: PastInputs,
    /// The jobs that are done and run again, since outputs of theirs are needed and are not
    /// what they were.
    pub lost_outputs: Vec<LostOutputs>,
}

/// A job whose outputs are not what they were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostOutputs {
    /// Its name.
    pub job: String,
    /// What is wrong with one of them.
    pub reason: String,
}

/// A job of a past run: which run, in the order in which they were added, and its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastJob {
    /// The run.
    pub run: usize,
    /// The job.
    pub index: u32,
}

/// When two jobs count as the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Same {
    /// With the same files, by content.
    #[default]
    Files,
    /// Whatever their files are.
    Command,
}

/// Which jobs of a new run are to be run, by what past runs know of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Select {
    /// All but those that are done.
    #[default]
    NotDone,
    /// Those that failed, or whose outcome is unknown, and that are not done.
    Failed,
}

impl Select {
    /// True for a job that is to be run.
    #[must_use]
    pub fn takes(self, outcome: PastOutcome) -> bool {
        match (self, outcome) {
            (_, PastOutcome::Done) => false,
            (_, PastOutcome::Failed | PastOutcome::Unknown | PastOutcome::Needed)
            | (Select::NotDone, _) => true,
            (
                Select::Failed,
                PastOutcome::New
                | PastOutcome::Unfinished
                | PastOutcome::ExtraCopy
                | PastOutcome::OtherFiles
                | PastOutcome::OtherOutputs,
            ) => false,
        }
    }
}

/// The jobs of past runs.
#[derive(Debug, Default)]
pub struct PastRuns {
    same: Same,
    select: Select,
    runs: Vec<RunId>,
    stored: Vec<PastRun>,
    /// The copies of each kind of job, by their states.
    known: HashMap<Identity, Copies>,
    /// The same kinds without their files.
    without_files: HashSet<Identity>,
    /// Those of them of which a job failed, or has an unknown outcome.
    failed_without_files: HashSet<Identity>,
    /// The same kinds without their outputs.
    without_outputs: HashSet<Identity>,
}

/// Jobs of one kind that are not matched with a new job yet.
#[derive(Clone, Debug, Default)]
struct Copies {
    done: VecDeque<PastJob>,
    failed: VecDeque<PastJob>,
    unknown: VecDeque<PastJob>,
    unfinished: VecDeque<PastJob>,
}

/// What a job does, each part by its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Identity {
    script: blake3::Hash,
    copy: u32,
    /// The same on another host is another job.
    bound_to: blake3::Hash,
    env: blake3::Hash,
    files: Option<blake3::Hash>,
    outputs: Option<blake3::Hash>,
}

/// Outputs of another job among a job's files: the directory that they are in, which they
/// are, and what the other job is.
type FromJob = (String, Vec<String>, BlobHash);

fn from_job(from: &FromOne<'_>, identity: BlobHash) -> FromJob {
    let paths: BTreeSet<String> = from.paths.iter().map(ToString::to_string).collect();
    (from.place.to_owned(), paths.into_iter().collect(), identity)
}

impl Identity {
    fn of(spec: &JobSpec, inputs: &Inputs, revision: u32, from_jobs: &[FromJob]) -> Self {
        let mut files = inputs.of(spec, revision);
        files.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let file = |input: &Input| {
            let is_tree = input.kind == InputKind::Tree;
            (input.name.clone(), input.hash.0, input.mode, is_tree, input.hard_link)
        };
        let known: Vec<_> = files.iter().map(file).collect();
        // A job with files that are not known matches none whose files are.
        let files = (known, spec.local_files().count(), from_jobs);
        let outputs: BTreeSet<&str> = spec.outputs.iter().map(String::as_str).collect();
        Identity {
            script: blake3::hash(spec.script().as_bytes()),
            copy: spec.repeat_index,
            bound_to: hash(&(&spec.hosts, &spec.labels)),
            env: hash(&spec.env),
            files: Some(hash(&files)),
            outputs: Some(hash(&outputs)),
        }
    }

    /// All of it by one hash.
    fn digest(&self) -> BlobHash {
        let parts =
            [Some(self.script), Some(self.bound_to), Some(self.env), self.files, self.outputs];
        let parts = parts.map(|part| part.map(|hash| *hash.as_bytes()));
        BlobHash(*hash(&(parts, self.copy)).as_bytes())
    }

    fn without_files(self) -> Self {
        Identity { files: None, ..self }
    }

    fn without_outputs(self) -> Self {
        Identity { outputs: None, ..self }
    }
}

fn hash(part: &impl Serialize) -> blake3::Hash {
    // Strings and numbers can always be serialized.
    blake3::hash(&serde_json::to_vec(part).unwrap_or_default())
}

impl PastRuns {
    /// No runs yet, whose jobs are to be compared so.
    #[must_use]
    pub fn new(same: Same, select: Select) -> Self {
        PastRuns { same, select, ..PastRuns::default() }
    }

    /// Which jobs are to be run.
    #[must_use]
    pub fn select(&self) -> Select {
        self.select
    }

    /// The same as far as it counts.
    fn counted(&self, identity: Identity) -> Identity {
        match self.same {
            Same::Files => identity,
            Same::Command => identity.without_files(),
        }
    }

    /// The identities of the jobs of a run, each with files of its revision.
    fn identities(
        specs: &[Arc<JobSpec>],
        inputs: &Inputs,
        revision: impl Fn(usize) -> u32,
        dependencies: &Dependencies,
    ) -> Vec<Identity> {
        let mut found: Vec<Option<Identity>> = vec![None; specs.len()];
        for index in dependencies.producers_first(specs.len() as u32) {
            let own = dependencies.producers(index).into_iter();
            let own = own.filter_map(|from| {
                let identity = found[from.producer as usize]?;
                Some(from_job(&from, identity.digest()))
            });
            let past = dependencies.past_producers(index).into_iter();
            let past = past
                .map(|from| from_job(&from, inputs.past().jobs[from.producer as usize].identity));
            let mut from_jobs: Vec<FromJob> = own.chain(past).collect();
            from_jobs.sort_unstable();
            let at = index as usize;
            found[at] = Some(Identity::of(&specs[at], inputs, revision(at), &from_jobs));
        }
        found.into_iter().flatten().collect()
    }

    /// Adds the jobs of a run in their present states.
    ///
    /// # Errors
    /// When its store cannot be read.
    pub fn add(&mut self, dir: &RunDir) -> Result<(), StoreError> {
        if self.runs.contains(dir.run()) {
            return Ok(());
        }
        let store = Store::read(dir)?;
        let (states, specs) = (store.job_states()?, store.specs()?);
        let inputs = store.inputs()?.with_past(store.past_inputs()?);
        let dependencies = store.dependencies(&specs)?;
        let identities = Self::identities(&specs, &inputs, |at| states[at].1, &dependencies);
        let run = self.runs.len();
        self.runs.push(dir.run().clone());
        let digests = identities.iter().map(Identity::digest).collect();
        self.stored.push(PastRun { dir: dir.clone(), identities: digests });
        for ((index, identity), (state, _)) in (0..).zip(identities).zip(states) {
            let identity = self.counted(identity);
            let copies = self.known.entry(identity).or_default();
            let copies = match state {
                State::Done => &mut copies.done,
                State::Error => &mut copies.failed,
                State::Unknown => &mut copies.unknown,
                State::Free | State::Busy => &mut copies.unfinished,
            };
            copies.push_back(PastJob { run, index });
            self.without_files.insert(identity.without_files());
            if matches!(state, State::Error | State::Unknown) {
                self.failed_without_files.insert(identity.without_files());
            }
            self.without_outputs.insert(identity.without_outputs());
        }
        Ok(())
    }

    /// The runs, in the order in which they were added.
    #[must_use]
    pub fn runs(&self) -> &[RunId] {
        &self.runs
    }

    /// Compares new jobs with those of these runs, and leaves out those that are not
    /// to be run. Each job of a past run counts once: of several equal new jobs, as many
    /// are done as were done. If jobs that are to be run need outputs of one that is done, they
    /// get those of the past run; where these are not what they were, it is run, too, and so is
    /// one that is left out and not done. `inputs` has the new jobs' files.
    ///
    /// # Errors
    /// When what the jobs wait for cannot be resolved.
    pub fn compare(
        mut self,
        specs: Vec<Arc<JobSpec>>,
        inputs: &Inputs,
    ) -> Result<Comparison, DependencyError> {
        let dependencies = Dependencies::resolve(&specs)?;
        let identities = Self::identities(&specs, inputs, |_| 0, &dependencies);
        let identities: Vec<Identity> =
            identities.into_iter().map(|identity| self.counted(identity)).collect();
        let failed = &self.failed_without_files;
        let has_failed: Vec<bool> =
            identities.iter().map(|it| failed.contains(&it.without_files())).collect();
        let (mut outcomes, past): (Vec<PastOutcome>, Vec<Option<PastJob>>) =
            identities.into_iter().map(|identity| self.take(identity)).unzip();
        let mut producers = Producers::new(&self.stored);
        let mut lost_outputs = Vec::new();
        let mut order = dependencies.producers_first(specs.len() as u32);
        while let Some(index) = order.pop() {
            if !self.select.takes(outcomes[index as usize]) {
                continue;
            }
            for from in dependencies.producers(index) {
                let at = from.producer as usize;
                let name = specs[at].name.as_deref().unwrap_or_default();
                let reason = match (outcomes[at], past[at]) {
                    (outcome, _) if self.select.takes(outcome) => continue,
                    (PastOutcome::Done, Some(past)) => match producers.need(&from, name, past) {
                        Ok(()) => continue,
                        Err(reason) => Some(reason),
                    },
                    _ => None,
                };
                let lost = reason.map(|reason| LostOutputs { job: name.to_owned(), reason });
                lost_outputs.extend(lost);
                outcomes[at] = PastOutcome::Needed;
            }
        }
        let is_kept: Vec<bool> = outcomes.iter().map(|it| self.select.takes(*it)).collect();
        let left_out = (0..).zip(&is_kept).filter(|(_, is_kept)| !**is_kept);
        let past_inputs = PastInputs {
            jobs: producers.take(left_out.map(|(index, _)| index)),
            places: places(&specs, &is_kept, &dependencies),
        };
        let again = past.into_iter().zip(&is_kept).filter(|(_, is_kept)| **is_kept);
        let again = again.map(|(past, _)| past).collect();
        let other_files = |(outcome, has_failed): &(&PastOutcome, &bool)| {
            **has_failed && !self.select.takes(**outcome) && **outcome == PastOutcome::OtherFiles
        };
        let failed_with_other_files =
            outcomes.iter().zip(&has_failed).filter(other_files).count() as u64;
        let remaining = subset(specs, &is_kept);
        let past = past_inputs;
        Ok(Comparison { outcomes, remaining, again, failed_with_other_files, past, lost_outputs })
    }

    fn take(&mut self, identity: Identity) -> (PastOutcome, Option<PastJob>) {
        if let Some(copies) = self.known.get_mut(&identity) {
            return copies.take();
        }
        let outcome = if self.without_files.contains(&identity.without_files()) {
            PastOutcome::OtherFiles
        } else if self.without_outputs.contains(&identity.without_outputs()) {
            PastOutcome::OtherOutputs
        } else {
            PastOutcome::New
        };
        (outcome, None)
    }
}

/// What the directories with outputs of the kept jobs are called for other jobs, by their
/// positions among these: those that are called after their position among all.
fn places(
    specs: &[Arc<JobSpec>],
    is_kept: &[bool],
    dependencies: &Dependencies,
) -> BTreeMap<u32, String> {
    let kept = (0..).zip(specs).zip(is_kept).filter(|(_, is_kept)| **is_kept);
    let placed = (0..).zip(kept).filter_map(|(position, ((index, spec), _))| {
        let place = dependencies.place(index)?;
        let is_usual = dir_name(spec.name.as_deref().unwrap_or_default()) == place;
        (!is_usual).then(|| (position, place.to_owned()))
    });
    placed.collect()
}

impl Copies {
    /// Matches a new job with one of these, with a done one if there is any left.
    fn take(&mut self) -> (PastOutcome, Option<PastJob>) {
        let kinds = [
            (&mut self.done, PastOutcome::Done),
            (&mut self.failed, PastOutcome::Failed),
            (&mut self.unknown, PastOutcome::Unknown),
            (&mut self.unfinished, PastOutcome::Unfinished),
        ];
        for (left, outcome) in kinds {
            // The first new one runs the first of them again.
            if let Some(past) = left.pop_front() {
                return (outcome, Some(past));
            }
        }
        (PastOutcome::ExtraCopy, None)
    }
}
