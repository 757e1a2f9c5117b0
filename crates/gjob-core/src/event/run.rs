//! Events of the run as a whole, and why its managers stop.

use serde::{Deserialize, Serialize};

use crate::halt::Halt;
use crate::id::RunId;
use crate::tally::Tally;
use crate::words::words;

/// What happened to the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event")]
pub enum RunEvent {
    /// A manager took the run up.
    #[serde(rename = "run-began")]
    Began {
        /// The run.
        run: RunId,
        /// Jobs in it.
        jobs: u32,
        /// Hosts it may use.
        hosts: u32,
        /// True when an earlier manager had begun it (`gjob attach`).
        resumed: bool,
    },
    /// A user interrupts it: what runs is killed, and waits for a later manager.
    #[serde(rename = "run-interrupted")]
    Interrupted {
        /// Jobs that may be running.
        running: u32,
    },
    /// As many jobs have failed or are done as `--halt now` asks for: what runs is killed,
    /// and waits for a later manager.
    #[serde(rename = "run-halting")]
    Halting {
        /// Why the manager will stop.
        end: RunEnd,
        /// Jobs that may be running.
        running: u32,
    },
    /// Input files were replaced: attempts that are assigned from now on get the new ones
    /// (`gjob retry --new-files`).
    #[serde(rename = "files-replaced")]
    FilesReplaced {
        /// How often that has happened in this run.
        revision: u32,
        /// The files, as jobs name them.
        files: Vec<String>,
    },
    /// All hosts of a run that has moved have told what they had begun, or are lost: jobs
    /// start again.
    #[serde(rename = "run-adopted")]
    Adopted {
        /// The attempts that the copy did not know.
        attempts: u32,
    },
    /// A user changed when the run is ended early (`gjob attach --max-fails`).
    #[serde(rename = "halt-changed")]
    HaltChanged {
        /// From now on; none for never.
        halt: Option<Halt>,
    },
    /// The manager stopped: every job has its outcome, or it was asked to stop.
    #[serde(rename = "run-ended")]
    Ended {
        /// Why it stopped.
        end: RunEnd,
        /// Jobs by state.
        jobs: Tally,
    },
}

/// Why a manager stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunEnd {
    /// Every job has its outcome.
    Complete,
    /// As many jobs failed as `--max-fails` or `--halt` allows.
    MaxFails,
    /// As many jobs are done as `--halt` asks for.
    Enough,
    /// No host is left that could run the rest.
    NoHosts,
    /// A user ended it and its running jobs.
    Interrupted,
    /// A user stopped the manager and left the jobs running.
    Left,
}

words!(RunEnd, "end of a run",
    Complete => "complete",
    MaxFails => "max-fails",
    Enough => "enough",
    NoHosts => "no-hosts",
    Interrupted => "interrupted",
    Left => "left",
);
