//! Which jobs of a new run are done in past runs. Jobs are compared by what they
//! run: their scripts, files, outputs and variables, and by which copies they are.
//! Their names and their order do not count. Outputs of other jobs among their files are
//! equal if these jobs are.

mod follow;

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use gjob_core::dependency::{Dependencies, DependencyError, FromOne};
use gjob_core::subset::subset;
use gjob_core::wire::{Input, InputKind};
use gjob_core::{JobSpec, RunId, State};
use serde::Serialize;

pub use follow::{FollowError, follow};

use crate::inputs::Inputs;
use crate::store::{RunDir, Store, StoreError};

/// What past runs know of a job of a new run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PastOutcome {
    /// It is done in one of them.
    Done,
    /// It would be left out, and its outputs are needed by a job that is not.
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
type FromJob = (String, Vec<String>, [u8; 32]);

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
    fn digest(&self) -> [u8; 32] {
        let parts =
            [Some(self.script), Some(self.bound_to), Some(self.env), self.files, self.outputs];
        let parts = parts.map(|part| part.map(|hash| *hash.as_bytes()));
        *hash(&(parts, self.copy)).as_bytes()
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

    /// The identities of the jobs of a run, each with files of its revision.
    fn identities(
        &self,
        specs: &[Arc<JobSpec>],
        inputs: &Inputs,
        revision: impl Fn(usize) -> u32,
        dependencies: &Dependencies,
    ) -> Vec<Identity> {
        let mut found: Vec<Option<Identity>> = vec![None; specs.len()];
        for index in dependencies.producers_first(specs.len() as u32) {
            let from_job = |from: FromOne<'_>| {
                let producer = found[from.producer as usize]?;
                let paths: BTreeSet<String> = from.paths.iter().map(ToString::to_string).collect();
                Some((from.place.to_owned(), paths.into_iter().collect(), producer.digest()))
            };
            let from_jobs = dependencies.producers(index).into_iter().filter_map(from_job);
            let mut from_jobs: Vec<FromJob> = from_jobs.collect();
            from_jobs.sort_unstable();
            let at = index as usize;
            let identity = Identity::of(&specs[at], inputs, revision(at), &from_jobs);
            found[at] = Some(match self.same {
                Same::Files => identity,
                Same::Command => identity.without_files(),
            });
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
        let (states, specs, inputs) = (store.job_states()?, store.specs()?, store.inputs()?);
        self.runs.push(dir.run().clone());
        let dependencies = Dependencies::resolve(&specs).map_err(|error| store.invalid(&error))?;
        let identities = self.identities(&specs, &inputs, |at| states[at].1, &dependencies);
        let run = self.runs.len() - 1;
        for ((index, identity), (state, _)) in (0..).zip(identities).zip(states) {
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
    /// are done as were done. Those whose outputs are needed by jobs that are to be run are
    /// run, too. `inputs` has the new jobs' files.
    ///
    /// # Errors
    /// When what the jobs wait for cannot be resolved.
    pub fn compare(
        mut self,
        specs: Vec<Arc<JobSpec>>,
        inputs: &Inputs,
    ) -> Result<Comparison, DependencyError> {
        let dependencies = Dependencies::resolve(&specs)?;
        let identities = self.identities(&specs, inputs, |_| 0, &dependencies);
        let failed = &self.failed_without_files;
        let has_failed: Vec<bool> =
            identities.iter().map(|it| failed.contains(&it.without_files())).collect();
        let (mut outcomes, past): (Vec<PastOutcome>, Vec<Option<PastJob>>) =
            identities.into_iter().map(|identity| self.take(identity)).unzip();
        let mut order = dependencies.producers_first(specs.len() as u32);
        while let Some(index) = order.pop() {
            if !self.select.takes(outcomes[index as usize]) {
                continue;
            }
            for from in dependencies.producers(index) {
                let producer = &mut outcomes[from.producer as usize];
                if !self.select.takes(*producer) {
                    *producer = PastOutcome::Needed;
                }
            }
        }
        let is_kept: Vec<bool> = outcomes.iter().map(|it| self.select.takes(*it)).collect();
        let again = past.into_iter().zip(&is_kept).filter(|(_, is_kept)| **is_kept);
        let again = again.map(|(past, _)| past).collect();
        let other_files = |(outcome, has_failed): &(&PastOutcome, &bool)| {
            **has_failed && !self.select.takes(**outcome) && **outcome == PastOutcome::OtherFiles
        };
        let failed_with_other_files =
            outcomes.iter().zip(&has_failed).filter(other_files).count() as u64;
        let remaining = subset(specs, &is_kept);
        Ok(Comparison { outcomes, remaining, again, failed_with_other_files })
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
