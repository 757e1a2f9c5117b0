//! Which jobs of a new run are done in earlier ones, by what they run: their
//! scripts, files, outputs and variables, and which copies they are. Neither
//! names nor places in the list count.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use gjob_core::wire::InputKind;
use gjob_core::{JobSpec, RunId, State};
use serde::Serialize;

use crate::inputs::Inputs;
use crate::store::{RunDir, Store, StoreError};

/// How a job of a new run stands in earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It is done in one of them.
    Done,
    /// None of them has it.
    New,
    /// It has failed.
    Failed,
    /// Its outcome is not known.
    Unknown,
    /// It has no outcome yet.
    NotEnded,
    /// Fewer copies of it are there than are wanted now.
    MoreCopies,
    /// It is there with other files, or with files of other modes.
    OtherFiles,
    /// It is there with other outputs.
    OtherOutputs,
}

/// The jobs of earlier runs.
#[derive(Debug, Default)]
pub struct Earlier {
    runs: Vec<RunId>,
    /// How many there are of each kind, by their states.
    known: HashMap<Identity, Copies>,
    /// The same kinds without their files.
    without_files: HashSet<Identity>,
    /// The same kinds without their outputs.
    without_outputs: HashSet<Identity>,
}

/// Jobs of one kind that no new job has been set against.
#[derive(Clone, Copy, Debug, Default)]
struct Copies {
    done: u32,
    failed: u32,
    unknown: u32,
    not_ended: u32,
}

/// What a job does, each part by its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Identity {
    script: blake3::Hash,
    copy: u32,
    env: blake3::Hash,
    files: Option<blake3::Hash>,
    outputs: Option<blake3::Hash>,
}

impl Identity {
    fn of(spec: &JobSpec, inputs: &Inputs) -> Self {
        let mut files = inputs.of(spec);
        files.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let file = |input: &gjob_core::wire::Input| {
            let is_tree = input.kind == InputKind::Tree;
            (input.name.clone(), input.hash.0, input.mode, is_tree, input.link)
        };
        // A file that is not known is like none that is.
        let files: Vec<_> = files.iter().map(file).collect();
        let files = (files, spec.files.len());
        let outputs: BTreeSet<&str> = spec.outputs.iter().map(String::as_str).collect();
        Identity {
            script: blake3::hash(spec.script().as_bytes()),
            copy: spec.repeat_index,
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
    // Strings and numbers alone can always be written.
    blake3::hash(&serde_json::to_vec(part).unwrap_or_default())
}

impl Earlier {
    /// Adds the jobs of a run, as they stand now.
    ///
    /// # Errors
    /// When its store can't be read.
    pub fn add(&mut self, dir: &RunDir) -> Result<(), StoreError> {
        if self.runs.contains(dir.run()) {
            return Ok(());
        }
        let store = Store::read(dir)?;
        let (states, specs, inputs) = (store.job_states()?, store.specs()?, store.inputs()?);
        self.runs.push(dir.run().clone());
        for (spec, state) in specs.iter().zip(states) {
            let identity = Identity::of(spec, &inputs);
            let copies = self.known.entry(identity).or_default();
            *match state {
                State::Done => &mut copies.done,
                State::Error => &mut copies.failed,
                State::Unknown => &mut copies.unknown,
                State::Free | State::Busy => &mut copies.not_ended,
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

    /// How each of some jobs stands here. `inputs` has their files. Of jobs that
    /// do the same, as many are done as are done here.
    #[must_use]
    pub fn compare(mut self, specs: &[Arc<JobSpec>], inputs: &Inputs) -> Vec<Standing> {
        specs.iter().map(|spec| self.take(Identity::of(spec, inputs))).collect()
    }

    fn take(&mut self, identity: Identity) -> Standing {
        if let Some(copies) = self.known.get_mut(&identity) {
            return copies.take();
        }
        if self.without_files.contains(&identity.without_files()) {
            Standing::OtherFiles
        } else if self.without_outputs.contains(&identity.without_outputs()) {
            Standing::OtherOutputs
        } else {
            Standing::New
        }
    }
}

impl Copies {
    /// Sets a new job against one of these, a done one if there is one.
    fn take(&mut self) -> Standing {
        let kinds = [
            (&mut self.done, Standing::Done),
            (&mut self.failed, Standing::Failed),
            (&mut self.unknown, Standing::Unknown),
            (&mut self.not_ended, Standing::NotEnded),
        ];
        for (left, standing) in kinds {
            if *left > 0 {
                *left -= 1;
                return standing;
            }
        }
        Standing::MoreCopies
    }
}
