//! Outputs of jobs that fail in the same way: the first few are shown. The end of the run
//! groups all by what went wrong.

use std::collections::BTreeMap;

use gjob::network::Fetched;
use gjob_core::plural::counted;
use gjob_core::wire::Stream;
use gjob_core::{Job, RunId, State};

use crate::cli::Show;
use crate::report::failures::without_numbers;

/// As many outputs of failures of one kind are shown.
const SHOWN: u32 = 3;

/// As many kinds are told apart; outputs of others are shown.
const KINDS: usize = 1000;

/// What was shown so far.
#[derive(Debug, Default)]
pub(super) struct Alike {
    kinds: BTreeMap<String, u32>,
    left_out: u64,
}

impl Alike {
    /// Takes out what is not shown of a job's outputs, if enough like it were shown; returns
    /// the last line of its standard error then. What succeeds may be piped on: of a run that
    /// shows the outputs of all jobs, standard output stays.
    pub(super) fn take_out(
        &mut self,
        job: &Job,
        show: Show,
        outputs: &mut Vec<Fetched>,
    ) -> Option<Vec<u8>> {
        if job.state() == State::Done || outputs.is_empty() {
            return None;
        }
        let mut line = Vec::new();
        for fetched in outputs.iter_mut() {
            let output = fetched.output.as_mut().ok()?;
            if fetched.stream == Stream::Stderr {
                line = output.last_line().ok()?;
            }
        }
        let reason = job.reason.as_deref().unwrap_or_default();
        let printed = String::from_utf8_lossy(&line);
        let kind = without_numbers(&format!("{reason} \"{printed}"));
        if self.kinds.len() >= KINDS && !self.kinds.contains_key(&kind) {
            return None;
        }
        let count = self.kinds.entry(kind).or_default();
        *count += 1;
        if *count <= SHOWN {
            return None;
        }
        let before = outputs.len();
        outputs.retain(|fetched| show == Show::All && fetched.stream == Stream::Stdout);
        self.left_out += u64::from(outputs.len() < before);
        Some(line)
    }

    /// That something was left out, and where it is.
    pub(super) fn note(&self, id: &RunId) -> Option<String> {
        let jobs = counted(self.left_out, "more job");
        (self.left_out > 0).then(|| {
            format!("output of {jobs} that failed alike left out: `gjob logs --failed -R {id}`")
        })
    }
}
