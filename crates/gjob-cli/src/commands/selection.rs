//! Jobs as users name them: an index, a range of indexes, a name, or a glob of names.

use std::collections::HashSet;

use anyhow::{anyhow, bail};
use gjob_core::Job;
use glob::Pattern;

/// The jobs of `jobs` that `words` name, each once, in the order of the words.
pub(super) fn select<'a>(jobs: &'a [Job], words: &[String]) -> anyhow::Result<Vec<&'a Job>> {
    let mut chosen = Vec::new();
    let mut seen = HashSet::new();
    for word in words {
        chosen.extend(one(jobs, word)?.into_iter().filter(|job| seen.insert(job.index)));
    }
    Ok(chosen)
}

fn one<'a>(jobs: &'a [Job], word: &str) -> anyhow::Result<Vec<&'a Job>> {
    if let Some((first, last)) = range(word) {
        if first > last {
            bail!("invalid range {word:?}: its first index is greater than its last");
        }
        if last >= jobs.len() {
            bail!("no job {last}: the run has jobs 0 to {}", jobs.len().saturating_sub(1));
        }
        return Ok(jobs[first..=last].iter().collect());
    }
    let mut named: Vec<&Job> = jobs.iter().filter(|job| job.name() == Some(word)).collect();
    if named.is_empty()
        && word.contains(['*', '?', '['])
        && let Ok(pattern) = Pattern::new(word)
    {
        let matches = |job: &&Job| job.name().is_some_and(|name| pattern.matches(name));
        named = jobs.iter().filter(matches).collect();
    }
    if named.is_empty() {
        return Err(anyhow!(
            "no job named {word:?}: expected an index, a range (3-7), a name or a glob of names"
        ));
    }
    Ok(named)
}

fn range(word: &str) -> Option<(usize, usize)> {
    match word.split_once('-') {
        Some((first, last)) => Some((first.parse().ok()?, last.parse().ok()?)),
        None => word.parse().ok().map(|index| (index, index)),
    }
}
