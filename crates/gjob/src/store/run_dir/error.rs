//! Why a run's directory cannot be found or used.

use std::io;
use std::path::PathBuf;

use gjob_core::RunId;
use gjob_core::trust::Distrust;

use super::LATEST;
use crate::trust::PlaceError;

/// A run's directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunDirError {
    /// No place for runs is known.
    #[error("no home directory is known: set GJOB_STATE_DIR to a directory for runs")]
    NoHome,
    /// A directory or file of it.
    #[error("{path}: {source}")]
    Io {
        /// The place.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// Another user could have written what is in it.
    #[error(
        "unsafe state directory: {path}: {why}\n\
         help: set GJOB_STATE_DIR to a directory that only you can write to"
    )]
    Unsafe {
        /// The place.
        path: PathBuf,
        /// Why it is not relied on.
        why: Distrust,
    },
    /// No such run.
    #[error("no run {run} in {path}")]
    NoRun {
        /// The run asked for.
        run: RunId,
        /// Where runs are.
        path: PathBuf,
    },
    /// What no run is called.
    #[error(
        "invalid run {word:?}: expected an id such as 2026-11-22-1, the end of one (1, 22-1), or \
         {LATEST}"
    )]
    NoName {
        /// What was asked for.
        word: String,
    },
    /// No run's id ends so.
    #[error("no run in {path} has an id that ends in -{end}")]
    NoSuchEnd {
        /// What was asked for.
        end: String,
        /// Where runs are.
        path: PathBuf,
    },
    /// The ids of several runs end so.
    #[error("{end} is the end of several run ids: {}", listed(.runs))]
    SeveralRuns {
        /// What was asked for.
        end: String,
        /// The runs, oldest first.
        runs: Vec<RunId>,
    },
    /// There are no runs at all.
    #[error("no runs in {path}")]
    NoRuns {
        /// Where runs are.
        path: PathBuf,
    },
    /// Another process has the run.
    #[error("run {run} is managed by another gjob process")]
    Locked {
        /// The run.
        run: RunId,
    },
}

impl RunDirError {
    /// True when there was no room for what had to be written.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let RunDirError::Io { source, .. } = self else { return false };
        matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}

/// The newest of several runs, so many as can be read.
fn listed(runs: &[RunId]) -> String {
    const SHOWN: usize = 5;
    let newest: Vec<&str> = runs.iter().rev().take(SHOWN).map(RunId::as_str).collect();
    let more = if runs.len() > SHOWN { ", …" } else { "" };
    format!("{}{more}", newest.join(", "))
}

impl From<PlaceError> for RunDirError {
    fn from(error: PlaceError) -> Self {
        match error {
            PlaceError::Distrusted { path, why } => RunDirError::Unsafe { path, why },
            PlaceError::Io { path, source } => RunDirError::Io { path, source },
        }
    }
}
