//! `gjob kill`: kills jobs, and returns when their processes have ended.

use gjob::manager::Act;

use super::acting::{is_open, on_jobs};
use crate::cli::KillArgs;
use crate::exit::Failure;

pub(crate) fn run(args: &KillArgs) -> Result<u8, Failure> {
    on_jobs(Act::Kill, args.run.word(), &args.jobs, is_open)?.say()
}
