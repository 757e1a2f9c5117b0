//! The five states of a job or a host, with the seed's words.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Every state, in the seed's order (the seed's `STATES`).
pub const STATES: [State; 5] =
    [State::Free, State::Busy, State::Done, State::Unknown, State::Error];

/// The state of a job or of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// A job waits; a host has free slots (the seed's `STATE_FREE`).
    Free,
    /// A job runs; a host is full (the seed's `STATE_BUSY`).
    Busy,
    /// A job ended with exit status 0 (the seed's `STATE_DONE`).
    Done,
    /// A host cannot be reached, or a job's outcome is lost (the seed's
    /// `STATE_UNKNOWN`).
    Unknown,
    /// A job failed finally; a host cannot be used (the seed's `STATE_ERROR`).
    Error,
}

impl State {
    /// The seed's word for the state.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Free => "free",
            State::Busy => "busy",
            State::Done => "done",
            State::Unknown => "unknown",
            State::Error => "error",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that is not a state.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown state {0:?}: expected free, busy, done, unknown or error")]
pub struct ParseStateError(String);

impl FromStr for State {
    type Err = ParseStateError;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        STATES
            .into_iter()
            .find(|state| state.as_str() == word)
            .ok_or_else(|| ParseStateError(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_have_the_words_and_the_order_of_the_seed() {
        let words: Vec<String> = STATES.iter().map(State::to_string).collect();
        assert_eq!(words, ["free", "busy", "done", "unknown", "error"]);
    }

    #[test]
    fn state_is_parsed_from_its_word() {
        for state in STATES {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        assert!("Free".parse::<State>().is_err());
    }
}
