//! Outputs of jobs of past runs among the files of a run's jobs.

use std::collections::BTreeMap;
use std::path::PathBuf;

use gjob_core::dependency::{PastProducer, PastProducers};
use gjob_core::os_text::to_path;
use gjob_core::wire::BlobHash;

use super::UnfitOutputs;
use crate::outputs::OutputFile;

/// A job of a past run whose outputs jobs need, and its outputs as its run has recorded them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastInput {
    /// Which job.
    pub producer: PastProducer,
    /// The directory that its outputs were put in.
    pub dir: PathBuf,
    /// What it does, by which later runs compare the jobs that need it.
    pub identity: BlobHash,
    /// Its outputs.
    pub outputs: Vec<OutputFile>,
}

/// What a run that left out jobs has of past runs instead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PastInputs {
    /// The jobs that it needs outputs of.
    pub jobs: Vec<PastInput>,
    /// What the directories with outputs of the run's own jobs are called, where they are not
    /// called as they would be without the jobs that were left out.
    pub places: BTreeMap<u32, String>,
}

impl PastInputs {
    /// The jobs, as others depend on them.
    #[must_use]
    pub fn producers(&self) -> PastProducers {
        PastProducers {
            jobs: self.jobs.iter().map(|job| job.producer.clone()).collect(),
            places: self.places.clone(),
        }
    }
}

impl PastInput {
    /// Why its outputs are not what a job needs.
    pub(crate) fn why_unfit(&self, unfit: UnfitOutputs) -> String {
        match unfit {
            UnfitOutputs::None(pattern) => {
                format!("none of its outputs in {:?} matches {pattern:?}", self.dir)
            }
            UnfitOutputs::Missing(files) => {
                let first = files.first().map_or("", |file| &file.path);
                let path = self.dir.join(to_path(first));
                format!("file {path:?} does not exist")
            }
            UnfitOutputs::Changed(error) => error.now(),
        }
    }
}
