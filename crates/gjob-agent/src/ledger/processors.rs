//! Which processors the jobs get that are bound to some.

use std::collections::BTreeMap;

/// The processors that an agent may use, each with the number of jobs that are bound to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Processors(BTreeMap<u32, u32>);

impl Processors {
    /// Those with these numbers, to which no job is bound.
    pub(crate) fn new(numbers: impl IntoIterator<Item = u32>) -> Self {
        Processors(numbers.into_iter().map(|number| (number, 0)).collect())
    }

    /// The same, to which no job is bound.
    pub(super) fn unbound(&self) -> Self {
        Processors::new(self.0.keys().copied())
    }

    /// Takes note of a job that is bound to these. Those that the agent may not use are of
    /// no account.
    pub(crate) fn note(&mut self, bound: &[u32]) {
        for number in bound {
            if let Some(jobs) = self.0.get_mut(number) {
                *jobs = jobs.saturating_add(1);
            }
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u32 {
        self.0.len() as u32
    }

    /// How many have no job that is bound to them.
    pub(super) fn free(&self) -> u64 {
        self.0.values().filter(|jobs| **jobs == 0).count() as u64
    }

    /// As many of them, those with the fewest jobs, and of these the lowest.
    pub(super) fn choose(&self, count: u32) -> Vec<u32> {
        let mut all: Vec<(u32, u32)> =
            self.0.iter().map(|(number, jobs)| (*jobs, *number)).collect();
        all.sort_unstable();
        let mut chosen: Vec<u32> =
            all.into_iter().take(count as usize).map(|(_, number)| number).collect();
        chosen.sort_unstable();
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_processors_are_chosen_first_and_then_those_with_the_fewest_jobs() {
        let mut processors = Processors::new([4, 5, 6, 9]);
        assert_eq!((processors.count(), processors.choose(2)), (4, vec![4, 5]));
        processors.note(&[4, 6, 7]);
        assert_eq!((processors.free(), processors.choose(2)), (2, vec![5, 9]));
        assert_eq!(processors.choose(3), [4, 5, 9]);
        processors.note(&[5, 9, 4]);
        assert_eq!((processors.free(), processors.choose(3)), (0, vec![5, 6, 9]));
        assert_eq!(processors.choose(8), [4, 5, 6, 9]);
        assert!(processors.unbound().choose(0).is_empty());
        assert_eq!(processors.unbound().choose(1), [4]);
    }
}
