//! The state of each element in a fixed list of objects (the seed's `Queue`).
//! Every question takes the same time for ten objects and for a million. The states
//! mean nothing here.

mod bitset;
mod lookup;
mod members;
#[cfg(test)]
mod tests;

use std::hash::Hash;

use lookup::Lookup;
use members::Members;

/// A list that cannot be a [`Queue`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NewQueueError {
    /// The objects would have no state.
    #[error("no states: expected at least one")]
    NoStates,
    /// A state that is listed twice.
    #[error("duplicate state in the queue: positions {first} and {second}")]
    DuplicateState {
        /// Position of the first, from 0.
        first: usize,
        /// Position of the second, from 0.
        second: usize,
    },
    /// An object that is listed twice.
    #[error("duplicate object in the queue: positions {first} and {second}")]
    DuplicateObject {
        /// Position of the first, from 0.
        first: usize,
        /// Position of the second, from 0.
        second: usize,
    },
    /// More objects than a queue can number.
    #[error("too many objects in the queue: expected at most {}", u32::MAX)]
    TooManyObjects,
}

/// An object or a state that is not in a [`Queue`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetStateError {
    /// The object is not one of the queue's.
    #[error("the object is not in the queue")]
    UnknownObject,
    /// The state is not one of the queue's.
    #[error("the state is not one of the queue's states")]
    UnknownState,
}

/// Maintains the state for each element in a fixed list of objects (the
/// seed's `Queue`).
///
/// Objects keep their order. Every method takes constant time, or time logarithmic
/// to base 64 in the number of objects; those that return many objects take that
/// much for each. States are searched one by one, since there are few. Each object
/// is in one of the queue's states.
#[derive(Clone, Debug)]
pub struct Queue<T, S> {
    objects: Vec<T>,
    lookup: Lookup,
    states: Vec<S>,
    /// For each state, the objects in it.
    members: Vec<Members>,
    /// For each object, its state's position in `states`.
    state_of: Vec<u32>,
    /// For each object, its place in its state's dense list.
    slot_of: Vec<u32>,
}

impl<T: Eq + Hash, S: Eq> Queue<T, S> {
    /// A queue of `objects`, all of them in the first of `states`.
    ///
    /// # Errors
    /// When a state or an object is listed twice, or there is no state.
    pub fn new(
        states: impl IntoIterator<Item = S>,
        objects: impl IntoIterator<Item = T>,
    ) -> Result<Self, NewQueueError> {
        let states: Vec<S> = states.into_iter().collect();
        let objects: Vec<T> = objects.into_iter().collect();
        check_states(&states)?;
        let count = u32::try_from(objects.len()).map_err(|_| NewQueueError::TooManyObjects)?;
        let lookup = Lookup::new(&objects)
            .map_err(|(first, second)| NewQueueError::DuplicateObject { first, second })?;
        let mut members = vec![Members::all(count)];
        members.resize_with(states.len(), || Members::none(count));
        Ok(Queue {
            objects,
            lookup,
            states,
            members,
            state_of: vec![0; count as usize],
            slot_of: (0..count).collect(),
        })
    }

    /// Determines if all objects are in `state` (the seed's `AllInState`).
    pub fn all_in_state(&self, state: &S) -> bool {
        self.count(state) == self.len()
    }

    /// Determines if any objects are in `state` (the seed's `AnyInState`).
    pub fn any_in_state(&self, state: &S) -> bool {
        self.count(state) > 0
    }

    /// Chooses the first object, in the list's order, in `state` (the seed's
    /// `ChooseNext`); none if there is none.
    pub fn choose_next(&self, state: &S) -> Option<&T> {
        self.get(self.first_index(state)?)
    }

    /// Chooses any object in `state`, each as likely as the others (the
    /// seed's `ChooseRandom`); none if there is none.
    pub fn choose_random(&self, state: &S, rng: &mut fastrand::Rng) -> Option<&T> {
        self.get(self.random_index(state, rng)?)
    }

    /// The objects in `state`, in the list's order (the seed's `InState`).
    pub fn in_state(&self, state: &S) -> impl Iterator<Item = &T> {
        self.indices(state).filter_map(|index| self.get(index))
    }

    /// Sets the state of `object` (the seed's `SetState`).
    ///
    /// # Errors
    /// When the object or the state is not one of the queue's.
    pub fn set_state(&mut self, object: &T, state: &S) -> Result<(), SetStateError> {
        let index = self.index_of(object).ok_or(SetStateError::UnknownObject)?;
        self.set_state_at(index, state)
    }

    /// The state of `object`; none if it is not one of the queue's.
    pub fn state_of(&self, object: &T) -> Option<&S> {
        self.state_at(self.index_of(object)?)
    }

    /// Position of `object` in the list, from 0.
    pub fn index_of(&self, object: &T) -> Option<usize> {
        self.lookup.find(object, &self.objects)
    }

    /// The objects in the list's order, whatever their state.
    pub fn objects(&self) -> &[T] {
        &self.objects
    }

    /// The number of objects.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// True if the list has no object.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// The number of objects in `state`.
    pub fn count(&self, state: &S) -> usize {
        self.members_of(state).map_or(0, Members::len)
    }

    /// The object at `index`.
    pub fn get(&self, index: usize) -> Option<&T> {
        self.objects.get(index)
    }

    /// The state of the object at `index`.
    pub fn state_at(&self, index: usize) -> Option<&S> {
        self.states.get(*self.state_of.get(index)? as usize)
    }

    /// Position of the first object in `state`.
    pub fn first_index(&self, state: &S) -> Option<usize> {
        self.members_of(state)?.first_from(0)
    }

    /// Position of any object in `state`, each as likely as the others.
    pub fn random_index(&self, state: &S, rng: &mut fastrand::Rng) -> Option<usize> {
        self.members_of(state)?.random(rng)
    }

    /// Positions of the objects in `state`, in ascending order.
    pub fn indices(&self, state: &S) -> impl Iterator<Item = usize> {
        let members = self.members_of(state);
        let next = move |from: usize| members.and_then(|members| members.first_from(from));
        std::iter::successors(next(0), move |last| next(last + 1))
    }

    /// Sets the state of the object at `index`.
    ///
    /// # Errors
    /// When there is no such position, or the state is not one of the queue's.
    pub fn set_state_at(&mut self, index: usize, state: &S) -> Result<(), SetStateError> {
        let old = *self.state_of.get(index).ok_or(SetStateError::UnknownObject)? as usize;
        let new = self.position_of(state).ok_or(SetStateError::UnknownState)?;
        if old != new {
            self.members[old].remove(index as u32, &mut self.slot_of);
            self.members[new].insert(index as u32, &mut self.slot_of);
            self.state_of[index] = new as u32;
        }
        Ok(())
    }

    fn members_of(&self, state: &S) -> Option<&Members> {
        self.members.get(self.position_of(state)?)
    }

    fn position_of(&self, state: &S) -> Option<usize> {
        self.states.iter().position(|known| known == state)
    }
}

fn check_states<S: Eq>(states: &[S]) -> Result<(), NewQueueError> {
    if states.is_empty() {
        return Err(NewQueueError::NoStates);
    }
    for (second, state) in states.iter().enumerate() {
        if let Some(first) = states[..second].iter().position(|earlier| earlier == state) {
            return Err(NewQueueError::DuplicateState { first, second });
        }
    }
    Ok(())
}
