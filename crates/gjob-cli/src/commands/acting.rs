//! What `kill`, `pause`, `resume` and `retry` have in common: the selection of jobs,
//! and the report.

use std::collections::BTreeSet;
use std::io::Write;

use gjob::ManagerError;
use gjob::inputs::Inputs;
use gjob::manager::{Act, ActError, Answer, Through, act};
use gjob::store::{RunDir, Store, StoreError};
use gjob_core::Job;
use gjob_core::plural::counted;

use super::{find_run, selection};
use crate::exit::{ALL_DONE, Failure, NOT_ALL_DONE, print_error};

/// Selects jobs when the user names none.
pub(super) type Applies = fn(&Job) -> bool;

/// The answer to a request.
pub(crate) struct Acted {
    dir: RunDir,
    what: Act,
    answer: Answer,
    through: Through,
}

/// Does `what` to the jobs that `words` name; without words, to all jobs to which it
/// applies.
pub(super) fn on_jobs(
    what: Act,
    run: Option<&str>,
    words: &[String],
    applies: Applies,
) -> Result<Acted, Failure> {
    let (dir, chosen) = choose(what, run, words, applies)?;
    on_chosen(dir, what, &chosen).map_err(not_acted)
}

/// Why nothing was done.
pub(super) fn not_acted(error: ActError) -> Failure {
    match error {
        ActError::Manager(ManagerError::Store(StoreError::Copy { .. })) => Failure::input(error),
        _ => Failure::machinery(error),
    }
}

/// The jobs that are meant.
pub(super) fn choose(
    what: Act,
    run: Option<&str>,
    words: &[String],
    applies: Applies,
) -> Result<(RunDir, Vec<u32>), Failure> {
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
    Ok((dir, chosen.into_iter().collect()))
}

/// Does `what` to these jobs.
pub(crate) fn on_chosen(dir: RunDir, what: Act, jobs: &[u32]) -> Result<Acted, ActError> {
    if jobs.is_empty() {
        return Ok(Acted { dir, what, answer: Answer::default(), through: Through::Manager });
    }
    let (mut answer, through) = act(&dir, what, jobs)?;
    answer.refused.sort_by_key(|refusal| refusal.job);
    Ok(Acted { dir, what, answer, through })
}

/// Retries these jobs, with other files or other memory.
pub(super) fn retry_with(
    dir: RunDir,
    jobs: &[u32],
    files: Option<Inputs>,
    mem: Option<u64>,
) -> Result<Acted, ActError> {
    let (mut answer, through) = gjob::manager::retry_with(&dir, jobs, files, mem)?;
    answer.refused.sort_by_key(|refusal| refusal.job);
    Ok(Acted { dir, what: Act::Retry, answer, through })
}

/// True for jobs without an outcome.
pub(super) fn is_open(job: &Job) -> bool {
    !job.has_ended()
}

impl Acted {
    /// To how many jobs it was done, and what is to be done next.
    pub(crate) fn summary(&self) -> String {
        let done = match self.what {
            Act::Kill => "killed",
            Act::Pause => "paused",
            Act::Resume => "resumed",
            Act::Retry => "reopened",
        };
        let count = self.answer.ok.len() as u64;
        let jobs = counted(count, "job");
        let more = match self.through {
            Through::Itself if self.what == Act::Retry && count > 0 => {
                format!("; resume the run with `gjob attach {}`", self.dir.run())
            }
            Through::Itself | Through::Manager => String::new(),
        };
        format!("{done} {jobs}{more}")
    }

    /// That there was no job to do it to.
    fn nothing(&self) -> String {
        let run = self.dir.run();
        match self.what {
            Act::Kill => format!("nothing to kill: all jobs of run {run} have ended"),
            Act::Pause => {
                format!("nothing to pause: all jobs of run {run} have ended, or are paused")
            }
            Act::Resume => format!("nothing to resume: no job of run {run} is paused"),
            Act::Retry => format!("nothing to retry: no job of run {run} has failed"),
        }
    }

    /// Why it was refused for others, a line each.
    pub(crate) fn refusals(&self) -> impl Iterator<Item = String> + '_ {
        self.answer.refused.iter().map(|refusal| format!("job {}: {}", refusal.job, refusal.why))
    }

    /// Prints both.
    pub(super) fn say(&self) -> Result<u8, Failure> {
        self.refusals().for_each(|refusal| print_error(&refusal));
        let Answer { ok, refused } = &self.answer;
        let line = match (ok.is_empty(), refused.is_empty()) {
            (true, true) => Some(self.nothing()),
            // The refusals say it all.
            (true, false) => None,
            (false, _) => Some(self.summary()),
        };
        line.map_or(Ok(()), |line| writeln!(std::io::stdout(), "{line}"))
            .map_err(Failure::machinery)?;
        Ok(if self.answer.refused.is_empty() { ALL_DONE } else { NOT_ALL_DONE })
    }
}
