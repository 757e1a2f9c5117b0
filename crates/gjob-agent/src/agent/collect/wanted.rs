//! What is wanted of a job directory.

use std::collections::HashSet;

use gjob_core::jobdir::is_reserved;
use gjob_core::output::{OutputPattern, PatternError};

use crate::jobdir::{JobDir, JobSummary};

/// The patterns, and what they leave out.
#[derive(Debug)]
pub(super) struct Wanted {
    patterns: Vec<Pattern>,
    /// The inputs: only a pattern that names one literally matches it.
    inputs: HashSet<String>,
}

#[derive(Debug)]
struct Pattern {
    text: String,
    pattern: OutputPattern,
    /// True when its first component has no wildcard.
    by_name: bool,
    has_matched: bool,
}

impl Wanted {
    /// Reads the patterns for the job of `dir`.
    pub(super) fn new(dir: &JobDir, patterns: Vec<String>) -> Result<Self, (String, PatternError)> {
        let read = |text: String| match OutputPattern::new(&text) {
            Ok(pattern) => {
                let first = text.trim_start_matches("./").split('/').next().unwrap_or_default();
                let by_name = !first.contains(['*', '?', '[', ']']);
                Ok(Pattern { text, pattern, by_name, has_matched: false })
            }
            Err(error) => Err((text, error)),
        };
        let job = JobSummary::read(dir).unwrap_or_default();
        Ok(Wanted {
            patterns: patterns.into_iter().map(read).collect::<Result<_, _>>()?,
            inputs: job.files.into_iter().map(|file| file.name).collect(),
        })
    }

    /// True when the path is matched itself.
    pub(super) fn matches(&self, path: &str) -> bool {
        let own = self.is_not_written_by_job(path);
        self.patterns.iter().any(|wanted| wanted.applies(own) && wanted.pattern.matches(path))
    }

    /// True when something below the path may be matched.
    pub(super) fn may_match_below(&self, path: &str) -> bool {
        let own = self.is_not_written_by_job(path);
        let mut patterns = self.patterns.iter();
        patterns.any(|wanted| wanted.applies(own) && wanted.pattern.may_match_below(path))
    }

    /// Notes that the path is an output.
    pub(super) fn note(&mut self, path: &str) {
        let own = self.is_not_written_by_job(path);
        for wanted in &mut self.patterns {
            if !wanted.has_matched && wanted.applies(own) && wanted.pattern.matches(path) {
                wanted.has_matched = true;
            }
        }
    }

    /// The first pattern that nothing has matched.
    pub(super) fn missing(&self) -> Option<&str> {
        let missing = self.patterns.iter().find(|wanted| !wanted.has_matched);
        missing.map(|wanted| wanted.text.as_str())
    }

    fn is_not_written_by_job(&self, path: &str) -> bool {
        let top = path.split('/').next().unwrap_or_default();
        is_reserved(top) || self.inputs.contains(top)
    }
}

impl Pattern {
    fn applies(&self, is_not_written_by_job: bool) -> bool {
        self.by_name || !is_not_written_by_job
    }
}
