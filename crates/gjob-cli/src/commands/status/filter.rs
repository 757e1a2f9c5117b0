//! Which jobs `gjob status` lists.

use anyhow::{anyhow, bail};
use gjob_core::{Job, State};
use glob::Pattern;

use super::{Snapshot, word};
use crate::cli::StatusArgs;
use crate::report::headline;

pub(super) struct Filter {
    /// Every job, not only those that people look for first.
    all: bool,
    states: Vec<State>,
    host: Option<Pattern>,
    name: Option<Pattern>,
    text: Option<String>,
}

const STATES: [State; 5] = [State::Free, State::Busy, State::Done, State::Error, State::Unknown];

impl Filter {
    pub(super) fn new(args: &StatusArgs) -> anyhow::Result<Filter> {
        Ok(Filter {
            all: args.all,
            states: args.state.iter().map(|word| state(word)).collect::<Result<_, _>>()?,
            host: pattern("--host", args.host.as_deref())?,
            name: pattern("--name", args.name.as_deref())?,
            text: args.grep.clone(),
        })
    }

    /// True when jobs were asked for, by whatever they have in common.
    pub(super) fn is_explicit(&self) -> bool {
        self.all
            || !self.states.is_empty()
            || self.host.is_some()
            || self.name.is_some()
            || self.text.is_some()
    }

    /// The jobs to be listed, in their order; without a filter those that run, are
    /// paused, have failed, or whose state is unknown.
    pub(super) fn jobs<'a>(&self, of: &'a Snapshot) -> Vec<(&'a Job, State)> {
        let shown = |job: &'a Job| {
            let state = of.run.shown_state(job.index, of.managed);
            (job, state.unwrap_or(State::Unknown))
        };
        of.run.jobs().iter().map(shown).filter(|(job, state)| self.matches(job, *state)).collect()
    }

    fn matches(&self, job: &Job, state: State) -> bool {
        if !self.is_explicit() {
            return matches!(state, State::Busy | State::Error | State::Unknown) || job.is_held();
        }
        let has_text = |text: &String| {
            job.spec.cmds.iter().any(|line| line.contains(text))
                || job.name().is_some_and(|name| name.contains(text))
                || job.reason.as_ref().is_some_and(|reason| reason.contains(text))
        };
        // A job that runs as far as is known is found by either state.
        let is_presumed = state == State::Unknown && !job.has_ended();
        let has_state = |of: &State| *of == state || (is_presumed && *of == State::Busy);
        (self.states.is_empty() || self.states.iter().any(has_state))
            && self.host.as_ref().is_none_or(|pattern| is_host(pattern, job))
            && self.name.as_ref().is_none_or(|p| p.matches(job.name().unwrap_or_default()))
            && self.text.as_ref().is_none_or(has_text)
    }
}

/// True for the host of a job as commands take it, and as tables show it.
fn is_host(pattern: &Pattern, job: &Job) -> bool {
    let Some(host) = job.host() else { return pattern.matches("") };
    pattern.matches(host.as_str()) || pattern.matches(headline::spoken(host))
}

/// A state by the word that is shown, or by the seed's.
fn state(text: &str) -> anyhow::Result<State> {
    let found = STATES.into_iter().find(|state| text == word(*state) || text == state.as_str());
    let words = || STATES.map(word).join(", ");
    found.ok_or_else(|| anyhow!("invalid --state {text:?}: expected {}", words()))
}

fn pattern(option: &str, text: Option<&str>) -> anyhow::Result<Option<Pattern>> {
    let Some(text) = text else { return Ok(None) };
    match Pattern::new(text) {
        Ok(pattern) => Ok(Some(pattern)),
        Err(error) => bail!("invalid {option} {text:?}: {error}"),
    }
}
