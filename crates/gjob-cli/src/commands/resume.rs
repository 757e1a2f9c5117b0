//! `gjob resume`: resumes paused jobs.

use gjob::manager::Act;

use super::acting::on_jobs;
use crate::cli::JobsArgs;
use crate::exit::Failure;

pub(crate) fn run(args: &JobsArgs) -> Result<u8, Failure> {
    on_jobs(Act::Resume, args.run.word(), &args.jobs, gjob_core::Job::is_held)?.say()
}
