//! METG(50%), the minimum effective task granularity: the job length at which half of the
//! slots' time is used.

use anyhow::Result;

use super::field::{Field, HOSTS};
use super::measurement::{self, Cost};
use super::peer::Peer;
use super::work::{Jobs, Load};

/// Jobs of each trial, at least, and jobs of each slot, at least.
const JOBS: usize = 800;
const JOBS_PER_SLOT: usize = 4;
/// Trials, at most.
const TRIALS: usize = 5;
/// Half is meant with this tolerance.
const TOLERANCE: f64 = 0.02;
/// A first guess of what a job costs, in seconds.
const GUESS: f64 = 1e-3;

/// Measures the length; it stands in the place of the time.
///
/// Where half of the time is used, jobs are as long as what comes on top of each of them:
/// so each trial has jobs as long as what came on top in the one before.
pub(crate) fn measure(field: &Field, peer: &dyn Peer, slots: usize) -> Result<Cost> {
    let jobs = JOBS.max(slots * JOBS_PER_SLOT);
    let mut length = GUESS * slots as f64;
    let mut trial = 0;
    loop {
        let load = Load::Jobs(Jobs::sleeping(jobs, length, slots / HOSTS));
        let cost = measurement::measure(field, peer, &load)?;
        let used = length * cost.given as f64 / slots as f64 / cost.seconds;
        trial += 1;
        if (used - 0.5).abs() < TOLERANCE || trial == TRIALS {
            return Ok(Cost { seconds: length * (1.0 - used) / used, ..cost });
        }
        length *= (1.0 - used) / used;
    }
}
