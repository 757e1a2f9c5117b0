//! What `kill`, `pause`, `resume` and `retry` have in common: the selection of jobs,
//! and the report.

use std::collections::BTreeSet;
use std::io::Write;

use gjob::manager::{Act, Answer, Through, act};
use gjob::store::{RunDir, Store};
use gjob_core::Job;
use gjob_core::plural::counted;

use super::{find_run, selection};
use crate::exit::{ALL_DONE, Failure, NOT_ALL_DONE, print_error};

/// Selects jobs when the user names none.
pub(super) type Applies = fn(&Job) -> bool;

/// The answer to a request.
pub(super) struct Acted {
    dir: RunDir,
    answer: Answer,
    pub(super) through: Through,
}

/// Does `what` to the jobs that `words` name; without words, to all jobs to which it
/// applies.
pub(super) fn on_jobs(
    what: Act,
    run: Option<&str>,
    words: &[String],
    applies: Applies,
) -> Result<Acted, Failure> {
    let dir = find_run(run)?;
    let store = Store::read(&dir).map_err(Failure::machinery)?;
    let run = store.load().map_err(Failure::machinery)?;
    drop(store);
    let chosen: BTreeSet<u32> = if words.is_empty() {
        let open = run.jobs().iter().filter(|job| applies(job)).map(|job| job.index);
        // Abandoned attempts may be alive, whether their jobs have ended or not.
        let abandoned = run.jobs_with_abandoned().filter(|_| what == Act::Kill);
        open.chain(abandoned).collect()
    } else {
        let named = selection::select(run.jobs(), words).map_err(Failure::input)?;
        named.iter().map(|job| job.index).collect()
    };
    let chosen: Vec<u32> = chosen.into_iter().collect();
    if chosen.is_empty() {
        return Ok(Acted { dir, answer: Answer::default(), through: Through::Manager });
    }
    let (answer, through) = act(&dir, what, &chosen).map_err(Failure::machinery)?;
    Ok(Acted { dir, answer, through })
}

/// True for jobs without an outcome.
pub(super) fn is_open(job: &Job) -> bool {
    !job.has_ended()
}

impl Acted {
    /// The run's id.
    pub(super) fn run(&self) -> String {
        self.dir.run().to_string()
    }

    /// The number of jobs to which it was done.
    pub(super) fn count(&self) -> usize {
        self.answer.ok.len()
    }

    /// Prints the number of jobs to which it was done, and why it was refused for others.
    pub(super) fn say(mut self, done: &str, more: &str) -> Result<u8, Failure> {
        self.answer.refused.sort_by_key(|refusal| refusal.job);
        for refusal in &self.answer.refused {
            print_error(&format!("job {}: {}", refusal.job, refusal.why));
        }
        let count = self.count();
        let jobs = counted(count as u64, "job");
        writeln!(std::io::stdout(), "{done} {jobs}{more}").map_err(Failure::machinery)?;
        Ok(if self.answer.refused.is_empty() { ALL_DONE } else { NOT_ALL_DONE })
    }
}
