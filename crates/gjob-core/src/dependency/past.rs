//! Jobs of past runs that are done, as far as outputs of theirs are files of a run's jobs.

use std::collections::BTreeMap;

use crate::RunId;
use crate::text::excerpt;

/// A job of a past run whose outputs are files of a run's jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastProducer {
    /// Its run.
    pub run: RunId,
    /// Its index there.
    pub index: u32,
    /// Its name, by which jobs ask for its outputs.
    pub name: String,
    /// What the directory with its outputs is called in the directories of other jobs.
    pub place: String,
}

impl PastProducer {
    /// As messages name it.
    #[must_use]
    pub fn title(&self) -> String {
        format!("job {} of run {}", excerpt(&self.name), self.run)
    }
}

/// What a run that left out jobs has of past runs instead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PastProducers {
    /// The jobs that it needs outputs of.
    pub jobs: Vec<PastProducer>,
    /// What the directories with outputs of the run's own jobs are called, where they are not
    /// called as they would be without the jobs that were left out.
    pub places: BTreeMap<u32, String>,
}
