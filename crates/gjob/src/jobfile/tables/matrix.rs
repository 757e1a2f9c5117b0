//! Parameters and their combinations.
//!
//! A matrix is the product of its parameters' values, where the first parameter
//! varies slowest. `exclude` drops the combinations that have all values of one of
//! its entries. Then the entries of `include` apply in order, as in GitHub's
//! workflows: an entry adds its values to each combination of the matrix that it
//! does not contradict, and may replace values that previous entries added. An entry
//! that contradicts all of them is a combination by itself, to which later entries
//! add nothing.

use std::ops::ControlFlow;

use super::value::Parameter;

/// The names and values of an entry of `include` or `exclude`.
pub(super) type Entry = Vec<(String, Parameter)>;

/// A parameter's value in one combination, each parameter once.
pub(super) type Combination<'a> = Vec<(&'a str, &'a str)>;

/// The parameters in which the jobs of a table differ.
#[derive(Clone, Debug, Default)]
pub(super) struct Matrix {
    /// The parameters and their values, in the order written; each has one.
    pub(super) parameters: Vec<(String, Vec<Parameter>)>,
    pub(super) exclude: Vec<Entry>,
    pub(super) include: Vec<Entry>,
}

impl Matrix {
    /// The names of all parameters. Those that only `include` has come last.
    pub(super) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.parameters.iter().map(|(name, _)| name.as_str()).collect();
        for (name, _) in self.include.iter().flatten() {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        names
    }

    /// Calls `visit` for each combination in order, until it breaks. Without
    /// parameters there is one empty combination.
    pub(super) fn each(&self, mut visit: impl FnMut(&Combination<'_>) -> ControlFlow<()>) {
        let mut used = vec![false; self.include.len()];
        // A table with `include` alone has no combinations for it to add to.
        let mut at = (!self.parameters.is_empty() || self.include.is_empty()).then(|| self.first());
        while let Some(position) = at {
            let values = self.values(&position);
            if !self.exclude.iter().any(|entry| agrees(entry, &values, false)) {
                let mut combination: Combination<'_> =
                    values.iter().map(|(name, value)| (*name, value.text.as_str())).collect();
                for (entry, used) in self.include.iter().zip(&mut used) {
                    if agrees(entry, &values, true) {
                        *used = true;
                        extend(&mut combination, entry, values.len());
                    }
                }
                if visit(&combination).is_break() {
                    return;
                }
            }
            at = self.next(position);
        }
        for (entry, _) in self.include.iter().zip(&used).filter(|(_, used)| !**used) {
            let mut combination = Combination::new();
            extend(&mut combination, entry, 0);
            if visit(&combination).is_break() {
                return;
            }
        }
    }

    fn first(&self) -> Vec<usize> {
        vec![0; self.parameters.len()]
    }

    /// The next position; the last parameter varies fastest.
    fn next(&self, mut position: Vec<usize>) -> Option<Vec<usize>> {
        for (at, (_, values)) in position.iter_mut().zip(&self.parameters).rev() {
            *at += 1;
            if *at < values.len() {
                return Some(position);
            }
            *at = 0;
        }
        None
    }

    fn values(&self, position: &[usize]) -> Vec<(&str, &Parameter)> {
        let parameters = self.parameters.iter().zip(position);
        parameters.map(|((name, values), at)| (name.as_str(), &values[*at])).collect()
    }
}

/// True if an entry has the same value for each of its parameters. A parameter that
/// is not among `values` counts as `others`.
fn agrees(entry: &Entry, values: &[(&str, &Parameter)], others: bool) -> bool {
    entry.iter().all(|(name, wanted)| {
        let value = values.iter().find(|(other, _)| other == name);
        value.map_or(others, |(_, value)| value.is(wanted))
    })
}

/// Adds an entry's values. The first `own` are the matrix's, which it agrees with.
fn extend<'a>(combination: &mut Combination<'a>, entry: &'a Entry, own: usize) {
    for (name, value) in entry {
        match combination.iter().position(|(other, _)| other == name) {
            Some(at) if at < own => {}
            Some(at) => combination[at].1 = &value.text,
            None => combination.push((name, &value.text)),
        }
    }
}
