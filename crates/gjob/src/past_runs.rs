//! Which jobs of a new run are done in past runs. Jobs are compared by what they
//! run: their scripts, files, outputs and variables, and by which copies they are.
//! Their names and their order do not count.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use gjob_core::subset::subset;
use gjob_core::wire::{Input, InputKind};
use gjob_core::{JobSpec, RunId, State};
use serde::Serialize;

use crate::inputs::Inputs;
use crate::store::{RunDir, Store, StoreError};

/// What past runs know of a job of a new run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PastOutcome {
    /// It is done in one of them.
    Done,
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
            (_, PastOutcome::Failed | PastOutcome::Unknown) | (Select::NotDone, _) => true,
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
    /// The same kinds without their outputs.
    without_outputs: HashSet<Identity>,
}

/// Jobs of one kind that are not matched with a new job yet.
#[derive(Clone, Copy, Debug, Default)]
struct Copies {
    done: u32,
    failed: u32,
    unknown: u32,
    unfinished: u32,
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

impl Identity {
    fn of(spec: &JobSpec, inputs: &Inputs, revision: u32) -> Self {
        let mut files = inputs.of(spec, revision);
        files.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let file = |input: &Input| {
            let is_tree = input.kind == InputKind::Tree;
            (input.name.clone(), input.hash.0, input.mode, is_tree, input.hard_link)
        };
        let known: Vec<_> = files.iter().map(file).collect();
        // A job with files that are not known matches none whose files are.
        let files = (known, spec.files.len());
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

    fn identity(&self, spec: &JobSpec, inputs: &Inputs, revision: u32) -> Identity {
        let identity = Identity::of(spec, inputs, revision);
        match self.same {
            Same::Files => identity,
            Same::Command => identity.without_files(),
        }
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
        for (spec, (state, revision)) in specs.iter().zip(states) {
            let identity = self.identity(spec, &inputs, revision);
            let copies = self.known.entry(identity).or_default();
            *match state {
                State::Done => &mut copies.done,
                State::Error => &mut copies.failed,
                State::Unknown => &mut copies.unknown,
                State::Free | State::Busy => &mut copies.unfinished,
            } += 1;
            self.without_files.insert(identity.without_files());
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
    /// are done as were done. `inputs` has the new jobs' files.
    #[must_use]
    pub fn compare(mut self, specs: Vec<Arc<JobSpec>>, inputs: &Inputs) -> Comparison {
        let take = |spec: &Arc<JobSpec>| {
            let identity = self.identity(spec, inputs, 0);
            self.take(identity)
        };
        let outcomes: Vec<PastOutcome> = specs.iter().map(take).collect();
        let is_kept: Vec<bool> = outcomes.iter().map(|it| self.select.takes(*it)).collect();
        Comparison { outcomes, remaining: subset(specs, &is_kept) }
    }

    fn take(&mut self, identity: Identity) -> PastOutcome {
        if let Some(copies) = self.known.get_mut(&identity) {
            return copies.take();
        }
        if self.without_files.contains(&identity.without_files()) {
            PastOutcome::OtherFiles
        } else if self.without_outputs.contains(&identity.without_outputs()) {
            PastOutcome::OtherOutputs
        } else {
            PastOutcome::New
        }
    }
}

impl Copies {
    /// Matches a new job with one of these, with a done one if there is any left.
    fn take(&mut self) -> PastOutcome {
        let kinds = [
            (&mut self.done, PastOutcome::Done),
            (&mut self.failed, PastOutcome::Failed),
            (&mut self.unknown, PastOutcome::Unknown),
            (&mut self.unfinished, PastOutcome::Unfinished),
        ];
        for (left, outcome) in kinds {
            if *left > 0 {
                *left -= 1;
                return outcome;
            }
        }
        PastOutcome::ExtraCopy
    }
}
