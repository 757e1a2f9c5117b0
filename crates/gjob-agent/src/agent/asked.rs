//! What a job was asked to be, by its `.job`: as much of it as cleaning up and
//! collecting need.

use gjob_core::jobdir::OwnFile;
use gjob_core::{Key, RunId};
use serde::Deserialize;

use crate::jobdir::JobDir;

/// A part of [`JobFile`](crate::jobdir::JobFile): reading all of it takes a good deal of code.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    /// Which attempt.
    pub(super) key: Option<Key>,
    /// Of which run.
    pub(super) run: Option<RunId>,
    /// Its inputs.
    pub(super) files: Vec<AskedFile>,
}

/// One of its inputs.
#[derive(Debug, Deserialize)]
pub(super) struct AskedFile {
    /// Its name.
    pub(super) name: String,
}

impl Asked {
    /// Reads it; there is nothing in one that the job has removed or spoiled.
    pub(super) fn read(dir: &JobDir) -> Self {
        dir.read(OwnFile::Job.name()).ok().flatten().unwrap_or_default()
    }
}
