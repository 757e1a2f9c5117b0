//! The position of an object, without a second copy of the objects: a hash table of
//! positions with open addressing, built once for a fixed list.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};

/// A place of the table without an object.
const VACANT: u32 = u32::MAX;

/// Finds objects in the list that it was built for.
#[derive(Clone, Debug)]
pub(super) struct Lookup {
    /// At least twice as many places as objects, a power of two.
    table: Vec<u32>,
}

impl Lookup {
    /// A lookup for `objects`, of which there are fewer than [`VACANT`]. The error has
    /// the positions of the first two that are equal.
    pub(super) fn new<T: Eq + Hash>(objects: &[T]) -> Result<Self, (usize, usize)> {
        let places = (objects.len() * 2).next_power_of_two();
        let mut lookup = Lookup { table: vec![VACANT; places] };
        for (index, object) in objects.iter().enumerate() {
            let place = lookup.place(object, objects);
            match lookup.table[place] {
                VACANT => lookup.table[place] = index as u32,
                first => return Err((first as usize, index)),
            }
        }
        Ok(lookup)
    }

    /// The position of `object` in `objects`, the list that this was built for.
    pub(super) fn find<T: Eq + Hash>(&self, object: &T, objects: &[T]) -> Option<usize> {
        match self.table[self.place(object, objects)] {
            VACANT => None,
            index => Some(index as usize),
        }
    }

    /// The place of `object`, or the vacant one that it would take.
    fn place<T: Eq + Hash>(&self, object: &T, objects: &[T]) -> usize {
        let mask = self.table.len() - 1;
        // Without a seed, equal runs take equal time.
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        let mut place = hasher.hash_one(object) as usize & mask;
        while self.table[place] != VACANT && objects[self.table[place] as usize] != *object {
            place = (place + 1) & mask;
        }
        place
    }
}
