//! `gjob retry`: retries failed jobs and jobs whose outcome is unknown.

use gjob::manager::{Act, Through};
use gjob_core::Job;

use super::acting::on_jobs;
use crate::cli::JobsArgs;
use crate::exit::Failure;

pub(crate) fn run(args: &JobsArgs) -> Result<u8, Failure> {
    let acted = on_jobs(Act::Retry, args.run.word(), &args.jobs, Job::has_failed)?;
    let more = match acted.through {
        Through::Itself if acted.count() > 0 => {
            format!("; resume the run with `gjob attach {}`", acted.run())
        }
        Through::Itself | Through::Manager => String::new(),
    };
    acted.say("reopened", &more)
}
