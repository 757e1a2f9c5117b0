//! A set of small numbers that finds its least one at once: words of 64 bits, above
//! them words with a bit for each of those that is not zero, and so on.

/// A set of numbers below a limit.
#[derive(Clone, Debug)]
pub(super) struct BitSet {
    /// `levels[0]` has a bit for each number. Each level above has a bit for each word
    /// of the level below that is not zero. The last level is one word.
    levels: Vec<Vec<u64>>,
}

impl BitSet {
    /// The empty set of numbers below `limit`.
    pub(super) fn empty(limit: usize) -> Self {
        let mut levels = vec![vec![0; limit.div_ceil(64).max(1)]];
        while let Some(below) = levels.last().map(Vec::len).filter(|len| *len > 1) {
            levels.push(vec![0; below.div_ceil(64)]);
        }
        BitSet { levels }
    }

    /// The set of all numbers below `limit`.
    pub(super) fn full(limit: usize) -> Self {
        let mut set = Self::empty(limit);
        let mut count = limit;
        for level in &mut set.levels {
            for (i, word) in level.iter_mut().enumerate() {
                *word = low_bits(count.saturating_sub(i * 64));
            }
            count = count.div_ceil(64);
        }
        set
    }

    /// Adds a number below the limit.
    pub(super) fn insert(&mut self, number: usize) {
        let mut at = number;
        for level in &mut self.levels {
            let word = &mut level[at / 64];
            let was_empty = *word == 0;
            *word |= 1 << (at % 64);
            if !was_empty {
                return;
            }
            at /= 64;
        }
    }

    /// Removes a number below the limit.
    pub(super) fn remove(&mut self, number: usize) {
        let mut at = number;
        for level in &mut self.levels {
            let word = &mut level[at / 64];
            *word &= !(1 << (at % 64));
            if *word != 0 {
                return;
            }
            at /= 64;
        }
    }

    /// The least number in the set that is not below `from`.
    pub(super) fn first_from(&self, from: usize) -> Option<usize> {
        // Upwards, until a word has a bit at the place or after it …
        let mut at = from;
        for (height, level) in self.levels.iter().enumerate() {
            let rest = level.get(at / 64)? & !low_bits(at % 64);
            if rest != 0 {
                let found = at / 64 * 64 + rest.trailing_zeros() as usize;
                return Some(self.descend(height, found));
            }
            at = at / 64 + 1;
        }
        None
    }

    /// … then downwards to the least number below that bit.
    fn descend(&self, height: usize, bit: usize) -> usize {
        self.levels[..height]
            .iter()
            .rev()
            .fold(bit, |at, level| at * 64 + level[at].trailing_zeros() as usize)
    }
}

/// A word with its `count` lowest bits set, all of them from 64 on.
fn low_bits(count: usize) -> u64 {
    if count >= 64 { u64::MAX } else { (1 << count) - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(set: &BitSet) -> Vec<usize> {
        std::iter::successors(set.first_from(0), |last| set.first_from(last + 1)).collect()
    }

    #[test]
    fn full_set_has_every_number_below_its_limit() {
        for limit in [0, 1, 63, 64, 65, 127, 128, 4095, 4096, 4097, 300_000] {
            assert!(numbers(&BitSet::full(limit)).into_iter().eq(0..limit));
            assert_eq!(BitSet::empty(limit).first_from(0), None);
        }
    }

    #[test]
    fn number_is_found_across_words_and_levels() {
        let mut set = BitSet::empty(300_000);
        for number in [299_999, 4096, 0] {
            set.insert(number);
        }
        assert_eq!(numbers(&set), [0, 4096, 299_999]);
        set.remove(0);
        set.remove(4096);
        assert_eq!(numbers(&set), [299_999]);
        set.remove(299_999);
        assert_eq!(set.first_from(0), None);
    }
}
