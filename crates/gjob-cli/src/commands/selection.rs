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
        Some((first, last)) => Some((index(first)?, index(last)?)),
        None => index(word).map(|index| (index, index)),
    }
}

/// An index as gjob writes it: `00` and `+1` are names.
fn index(word: &str) -> Option<usize> {
    word.parse().ok().filter(|index: &usize| index.to_string() == word)
}

#[cfg(test)]
mod tests {
    use gjob_core::JobSpec;

    use super::*;

    #[test]
    fn name_of_digits_is_no_index_unless_it_is_written_like_one() {
        let job = |index, name| {
            let mut job = Job::new(JobSpec::new(["true"]).unwrap().name(name));
            job.index = index;
            job
        };
        let jobs = [job(0, "a"), job(1, "00"), job(2, "01-02"), job(3, "+0")];
        let chosen = |word| one(&jobs, word).map(|jobs| jobs[0].index).ok();
        assert_eq!(["0", "00", "01-02", "+0"].map(chosen), [Some(0), Some(1), Some(2), Some(3)]);
        assert_eq!(chosen("03"), None);
    }
}
