//! Jobs of past runs that are done and whose outputs jobs of a new run need: taken from where
//! they were put, if they are still what their run has recorded of them.

use std::collections::HashMap;
use std::path::PathBuf;

use gjob_core::dependency::{FromOne, PastProducer};
use gjob_core::wire::BlobHash;

use super::PastJob;
use crate::inputs::{PastInput, gather, verify};
use crate::settings::RunSettings;
use crate::store::{RunDir, Store, StoreError};

/// The jobs that are needed so far.
#[derive(Debug)]
pub(super) struct Producers<'a> {
    runs: &'a [PastRun],
    needed: HashMap<u32, Result<PastInput, String>>,
    /// Why outputs are unfit, by the job that wrote them and the patterns.
    checked: HashMap<(u32, Vec<String>), Option<String>>,
}

/// A past run, and what each of its jobs does.
#[derive(Debug)]
pub(super) struct PastRun {
    pub(super) dir: RunDir,
    pub(super) identities: Vec<BlobHash>,
}

impl<'a> Producers<'a> {
    pub(super) fn new(runs: &'a [PastRun]) -> Self {
        Producers { runs, needed: HashMap::new(), checked: HashMap::new() }
    }

    /// A job of the new run needs outputs of another, which is called `name` and is done in a
    /// past run as `past`.
    ///
    /// # Errors
    /// Why they cannot be had.
    pub(super) fn need(
        &mut self,
        from: &FromOne<'_>,
        name: &str,
        past: PastJob,
    ) -> Result<(), String> {
        let known = self.needed.entry(from.producer).or_insert_with(|| {
            find(&self.runs[past.run], past.index, name, from.place)
                .map_err(|error| error.to_string())
        });
        let input = known.as_ref().map_err(Clone::clone)?;
        let patterns = from.paths.iter().map(ToString::to_string).collect();
        let why_not = self.checked.entry((from.producer, patterns)).or_insert_with(|| {
            let found = gather(&input.dir, input.outputs.clone(), &from.paths);
            let checked = found.and_then(|directory| verify(&directory));
            checked.err().map(|unfit| input.why_unfit(unfit))
        });
        why_not.clone().map_or(Ok(()), Err)
    }

    /// Those of these jobs of the new run that it has of past runs.
    pub(super) fn take(mut self, producers: impl Iterator<Item = u32>) -> Vec<PastInput> {
        producers.filter_map(|producer| self.needed.remove(&producer)?.ok()).collect()
    }
}

fn find(run: &PastRun, index: u32, name: &str, place: &str) -> Result<PastInput, StoreError> {
    let store = Store::read(&run.dir)?;
    Ok(PastInput {
        producer: PastProducer {
            run: run.dir.run().clone(),
            index,
            name: name.to_owned(),
            place: place.to_owned(),
        },
        dir: dir_of(&store, &run.dir, index)?,
        identity: run.identities[index as usize],
        outputs: store.outputs_of_job(index)?,
    })
}

/// Where the outputs of a job are.
fn dir_of(store: &Store, dir: &RunDir, index: u32) -> Result<PathBuf, StoreError> {
    let settings = RunSettings::from_json(&store.row()?.settings);
    let outputs = settings.map_err(|error| store.invalid(&error))?.outputs;
    let specs = store.specs()?;
    let name = specs.get(index as usize).and_then(|spec| spec.name.as_deref());
    Ok(outputs.dir(dir.run()).join(outputs.job_dir_name(name, index)))
}
