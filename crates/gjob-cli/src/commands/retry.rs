//! `gjob retry`: retries failed jobs and jobs whose outcome is unknown.

use gjob::manager::Act;
use gjob_core::Job;

use super::acting::on_jobs;
use crate::cli::JobsArgs;
use crate::exit::Failure;

pub(crate) fn run(args: &JobsArgs) -> Result<u8, Failure> {
    on_jobs(Act::Retry, args.run.word(), &args.jobs, Job::has_failed)?.say()
}
