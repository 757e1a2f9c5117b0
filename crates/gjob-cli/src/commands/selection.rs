//! Jobs as users name them: an index, a range of indexes, or a name.

use anyhow::{anyhow, bail};
use gjob::store::JobRow;

/// The jobs of `rows` that `words` name, in the order of the words.
pub(super) fn select<'a>(rows: &'a [JobRow], words: &[String]) -> anyhow::Result<Vec<&'a JobRow>> {
    let mut chosen = Vec::new();
    for word in words {
        chosen.extend(one(rows, word)?);
    }
    Ok(chosen)
}

fn one<'a>(rows: &'a [JobRow], word: &str) -> anyhow::Result<Vec<&'a JobRow>> {
    if let Some((first, last)) = range(word) {
        if first > last {
            bail!("invalid range {word:?}: its first index is greater than its last");
        }
        if last >= rows.len() {
            bail!("no job {last}: the run has jobs 0 to {}", rows.len().saturating_sub(1));
        }
        return Ok(rows[first..=last].iter().collect());
    }
    let named: Vec<&JobRow> = rows.iter().filter(|row| row.name.as_deref() == Some(word)).collect();
    if named.is_empty() {
        return Err(anyhow!("no job named {word:?}: expected an index, a range (3-7) or a name"));
    }
    Ok(named)
}

fn range(word: &str) -> Option<(usize, usize)> {
    match word.split_once('-') {
        Some((first, last)) => Some((first.parse().ok()?, last.parse().ok()?)),
        None => word.parse().ok().map(|index| (index, index)),
    }
}
