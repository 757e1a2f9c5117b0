//! `gjob pause`: pauses jobs.

use gjob::manager::Act;

use super::acting::{is_open, on_jobs};
use crate::cli::JobsArgs;
use crate::exit::Failure;

pub(crate) fn run(args: &JobsArgs) -> Result<u8, Failure> {
    let applies = |job: &_| is_open(job) && !job.paused;
    on_jobs(Act::Pause, args.run.word(), &args.jobs, applies)?.say()
}
