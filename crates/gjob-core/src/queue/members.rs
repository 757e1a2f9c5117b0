//! The objects in one state, by their positions: in order, to find the first one,
//! and densely, to find a random one.

use super::bitset::BitSet;

/// The positions of the objects in one state.
#[derive(Clone, Debug)]
pub(super) struct Members {
    /// In no order: the last one fills the gap of a removed one.
    dense: Vec<u32>,
    ordered: BitSet,
}

impl Members {
    /// No object of `count`.
    pub(super) fn none(count: u32) -> Self {
        Members { dense: Vec::new(), ordered: BitSet::empty(count as usize) }
    }

    /// All of `count` objects, each in the slot with its own number.
    pub(super) fn all(count: u32) -> Self {
        Members { dense: (0..count).collect(), ordered: BitSet::full(count as usize) }
    }

    pub(super) fn len(&self) -> usize {
        self.dense.len()
    }

    /// The least position that is not below `from`.
    pub(super) fn first_from(&self, from: usize) -> Option<usize> {
        self.ordered.first_from(from)
    }

    pub(super) fn random(&self, rng: &mut fastrand::Rng) -> Option<usize> {
        if self.dense.is_empty() {
            return None;
        }
        Some(self.dense[rng.usize(..self.dense.len())] as usize)
    }

    /// Adds an object that is in no state, and records its slot.
    pub(super) fn insert(&mut self, index: u32, slot_of: &mut [u32]) {
        slot_of[index as usize] = self.dense.len() as u32;
        self.dense.push(index);
        self.ordered.insert(index as usize);
    }

    /// Removes an object that is in this state, and records the slot of the one that
    /// fills the gap.
    pub(super) fn remove(&mut self, index: u32, slot_of: &mut [u32]) {
        let slot = slot_of[index as usize];
        self.dense.swap_remove(slot as usize);
        if let Some(moved) = self.dense.get(slot as usize) {
            slot_of[*moved as usize] = slot;
        }
        self.ordered.remove(index as usize);
    }
}
