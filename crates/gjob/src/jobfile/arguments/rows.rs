//! Sources of values, and the rows that their product has: one value of each
//! source, where the last source varies fastest. Linked sources advance together.

use gjob_core::job::MAX_JOBS;

use crate::jobfile::problem::Problem;

/// The values of one source.
#[derive(Debug)]
pub(super) struct Values {
    pub(super) values: Vec<String>,
    /// True if it advances together with the previous source (`:::+`).
    pub(super) is_linked: bool,
}

/// All rows of some sources, in order.
#[derive(Debug)]
pub(super) struct Rows {
    sources: Vec<Vec<String>>,
    /// For each source, its group of linked sources.
    group_of: Vec<usize>,
    /// For each group, the number of values of its shortest source.
    lengths: Vec<usize>,
    count: usize,
}

impl Rows {
    /// The rows of sources. As in GNU parallel, an empty source has one empty value,
    /// unless all are empty: then there are no rows.
    pub(super) fn new(sources: Vec<Values>) -> Result<Self, Problem> {
        let all_empty = sources.iter().all(|source| source.values.is_empty());
        let mut rows =
            Rows { sources: Vec::new(), group_of: Vec::new(), lengths: Vec::new(), count: 0 };
        for mut source in sources {
            if source.values.is_empty() {
                source.values.push(String::new());
            }
            rows.add(source);
        }
        let count = rows
            .lengths
            .iter()
            .try_fold(1usize, |count, length| count.checked_mul(*length))
            .filter(|count| *count <= MAX_JOBS as usize);
        rows.count = count.ok_or(Problem::TooManyJobs)?;
        if all_empty {
            rows.count = 0;
        }
        Ok(rows)
    }

    fn add(&mut self, source: Values) {
        let length = source.values.len();
        match self.lengths.last_mut() {
            Some(shortest) if source.is_linked => *shortest = length.min(*shortest),
            _ => self.lengths.push(length),
        }
        self.group_of.push(self.lengths.len() - 1);
        self.sources.push(source.values);
    }

    /// The number of rows.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The row at `index`, from 0.
    pub(super) fn row(&self, index: usize) -> Vec<&str> {
        let mut at = vec![0; self.lengths.len()];
        let mut rest = index;
        for (place, length) in at.iter_mut().zip(&self.lengths).rev() {
            *place = rest % length;
            rest /= length;
        }
        let sources = self.sources.iter().zip(&self.group_of);
        sources.map(|(values, group)| values[at[*group]].as_str()).collect()
    }
}
