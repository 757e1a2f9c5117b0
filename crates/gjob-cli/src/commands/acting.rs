//! What `kill`, `pause`, `resume` and `retry` have in common: which jobs, and
//! what became of it.

use std::collections::BTreeSet;
use std::io::Write;

use gjob::manager::{Act, Answer, Through, act};
use gjob::store::{JobRow, RunDir, Store};
use gjob_core::State;

use super::{find_run, selection};
use crate::exit::{ALL_DONE, Failure, NOT_ALL_DONE, print_error};

/// Which jobs are meant when none is named.
pub(super) type Applies = fn(&JobRow) -> bool;

/// What became of it.
pub(super) struct Acted {
    dir: RunDir,
    answer: Answer,
    pub(super) through: Through,
}

/// Does `what` to the jobs that `words` name; to those it applies to, if none.
pub(super) fn on_jobs(
    what: Act,
    run: Option<&str>,
    words: &[String],
    applies: Applies,
) -> Result<Acted, Failure> {
    let dir = find_run(run)?;
    let store = Store::read(&dir).map_err(Failure::machinery)?;
    let rows = store.jobs().map_err(Failure::machinery)?;
    // Attempts that were given up may live, whatever became of their jobs.
    let strays = match what {
        Act::Kill => store.strays().map_err(Failure::machinery)?,
        Act::Pause | Act::Resume | Act::Retry => Vec::new(),
    };
    drop(store);
    let chosen: BTreeSet<u32> = if words.is_empty() {
        let open = rows.iter().filter(|row| applies(row)).map(|row| row.index);
        open.chain(strays.iter().map(|(_, key)| key.index)).collect()
    } else {
        let named = selection::select(&rows, words).map_err(Failure::input)?;
        named.iter().map(|row| row.index).collect()
    };
    let chosen: Vec<u32> = chosen.into_iter().collect();
    if chosen.is_empty() {
        return Ok(Acted { dir, answer: Answer::default(), through: Through::Manager });
    }
    let (answer, through) = act(&dir, what, &chosen).map_err(Failure::machinery)?;
    Ok(Acted { dir, answer, through })
}

/// True for jobs that have no outcome yet.
pub(super) fn is_open(row: &JobRow) -> bool {
    matches!(row.state, State::Free | State::Busy)
}

impl Acted {
    /// The run's id.
    pub(super) fn run(&self) -> String {
        self.dir.run().to_string()
    }

    /// How many jobs it was done to.
    pub(super) fn count(&self) -> usize {
        self.answer.ok.len()
    }

    /// Says how many jobs it was done to, and of each other one why not.
    pub(super) fn say(mut self, done: &str, more: &str) -> Result<u8, Failure> {
        self.answer.refused.sort_by_key(|refusal| refusal.job);
        for refusal in &self.answer.refused {
            print_error(&format!("job {}: {}", refusal.job, refusal.why));
        }
        let count = self.count();
        let jobs = if count == 1 { "job" } else { "jobs" };
        writeln!(std::io::stdout(), "{done} {count} {jobs}{more}").map_err(Failure::machinery)?;
        Ok(if self.answer.refused.is_empty() { ALL_DONE } else { NOT_ALL_DONE })
    }
}
