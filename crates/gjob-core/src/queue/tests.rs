//! The queue compared with a model that searches its list.

use proptest::prelude::*;

use super::*;
use crate::state::{STATES, State};

fn queue(names: &[&'static str]) -> Queue<&'static str, State> {
    Queue::new(STATES, names.iter().copied()).unwrap()
}

#[test]
fn objects_start_in_the_first_state() {
    let queue = queue(&["a", "b"]);
    assert!(queue.all_in_state(&State::Free));
    assert!(!queue.any_in_state(&State::Busy));
    assert_eq!(queue.state_of(&"b"), Some(&State::Free));
}

#[test]
fn next_object_is_the_first_of_the_list() {
    let mut queue = queue(&["a", "b", "c"]);
    for name in ["c", "b", "a"] {
        queue.set_state(&name, &State::Busy).unwrap();
    }
    assert_eq!(queue.choose_next(&State::Free), None);
    queue.set_state(&"c", &State::Free).unwrap();
    queue.set_state(&"b", &State::Free).unwrap();
    assert_eq!(queue.choose_next(&State::Free), Some(&"b"));
    let free: Vec<_> = queue.in_state(&State::Free).copied().collect();
    assert_eq!(free, ["b", "c"]);
}

#[test]
fn random_choice_reaches_all_objects_in_the_state() {
    let mut queue = queue(&["a", "b", "c", "d"]);
    queue.set_state(&"b", &State::Error).unwrap();
    let mut rng = fastrand::Rng::with_seed(1);
    let mut seen: Vec<_> =
        (0..100).filter_map(|_| queue.choose_random(&State::Free, &mut rng).copied()).collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, ["a", "c", "d"]);
    assert_eq!(queue.choose_random(&State::Busy, &mut rng), None);
}

#[test]
fn empty_queue_is_in_any_state() {
    let queue = queue(&[]);
    assert!(queue.all_in_state(&State::Done));
    assert!(!queue.any_in_state(&State::Free));
    assert_eq!(queue.choose_next(&State::Free), None);
}

#[test]
fn unknown_object_or_state_is_refused() {
    let mut queue = Queue::new([State::Free, State::Busy], ["a"]).unwrap();
    let unknown = queue.set_state(&"x", &State::Busy).unwrap_err();
    assert_eq!(unknown.to_string(), "the object is not in the queue");
    let unknown = queue.set_state(&"a", &State::Done).unwrap_err();
    assert_eq!(unknown.to_string(), "the state is not one of the queue's states");
    assert_eq!(queue.set_state_at(1, &State::Busy), Err(SetStateError::UnknownObject));
    assert!(queue.all_in_state(&State::Free));
}

#[test]
fn duplicates_are_refused() {
    assert_eq!(
        Queue::new(STATES, ["a", "b", "a"]).unwrap_err().to_string(),
        "duplicate object in the queue: positions 0 and 2"
    );
    assert_eq!(
        Queue::new(["x", "x"], ["a"]).unwrap_err().to_string(),
        "duplicate state in the queue: positions 0 and 1"
    );
    assert_eq!(
        Queue::<_, State>::new([], ["a"]).unwrap_err().to_string(),
        "no states: expected at least one"
    );
}

proptest! {
    #[test]
    fn queue_agrees_with_a_list_that_is_searched(
        count in 0usize..300,
        changes in prop::collection::vec((0usize..300, 0usize..STATES.len()), 0..400),
        seed in any::<u64>(),
    ) {
        let mut queue = Queue::new(STATES, 0..count).unwrap();
        let mut model = vec![State::Free; count];
        let mut rng = fastrand::Rng::with_seed(seed);
        for (object, state) in changes {
            let known = queue.set_state(&object, &STATES[state]);
            prop_assert_eq!(known.is_ok(), object < count);
            if object < count {
                model[object] = STATES[state];
            }
            let state = STATES[rng.usize(..STATES.len())];
            let members: Vec<usize> = (0..count).filter(|i| model[*i] == state).collect();
            prop_assert_eq!(queue.choose_next(&state), members.first());
            prop_assert_eq!(queue.any_in_state(&state), !members.is_empty());
            prop_assert_eq!(queue.all_in_state(&state), members.len() == count);
            prop_assert_eq!(queue.count(&state), members.len());
            let random = queue.choose_random(&state, &mut rng);
            prop_assert_eq!(random.is_some(), !members.is_empty());
            prop_assert!(random.is_none_or(|object| members.contains(object)));
            let listed: Vec<usize> = queue.in_state(&state).copied().collect();
            prop_assert_eq!(listed, members);
        }
        for (object, state) in model.iter().enumerate() {
            prop_assert_eq!(queue.state_of(&object), Some(state));
        }
    }
}
