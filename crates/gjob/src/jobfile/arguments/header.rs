//! Names of the sources of values: with `--header :` the first value of each.

use gjob_core::text::excerpt;

use super::rows::Values;
use crate::jobfile::problem::Problem;
use crate::jobfile::tables::is_name;

/// The sources that placeholders may mean: by position, or by name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sources<'a> {
    pub(super) count: usize,
    /// One for each source, or none at all.
    pub(super) names: &'a [String],
}

impl Sources<'_> {
    /// Sources without names.
    pub(super) fn unnamed(count: usize) -> Self {
        Sources { count, names: &[] }
    }

    /// The position of a source, from 1.
    pub(super) fn position(&self, name: &str) -> Option<i32> {
        let at = self.names.iter().position(|known| known == name)?;
        i32::try_from(at + 1).ok()
    }
}

/// Takes the first value of each source for its name. Names are those of a matrix: other
/// text between braces could be a placeholder, or part of a command.
pub(super) fn take_names(sources: &mut [Values]) -> Result<Vec<String>, Vec<Problem>> {
    let (mut names, mut problems): (Vec<String>, _) = (Vec::new(), Vec::new());
    for (number, source) in (1..).zip(sources) {
        if source.values.is_empty() {
            problems.push(Problem::NoHeader { number });
            continue;
        }
        let name = source.values.remove(0);
        if !is_name(&name) {
            problems.push(Problem::HeaderName { number, found: excerpt(&name) });
        } else if names.contains(&name) {
            problems.push(Problem::HeaderTwice { found: name });
        } else {
            names.push(name);
        }
    }
    if problems.is_empty() { Ok(names) } else { Err(problems) }
}
