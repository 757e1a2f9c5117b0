//! One message either way: nothing panics, and what is understood is understood
//! as the same when it is said again, compressed or not.

#![no_main]

use std::fmt::Debug;

use gjob_core::wire::{Encoder, FrameBuffer, FromAgent, ToAgent, decode, encode};
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;

fuzz_target!(|payload: &[u8]| {
    say_again::<ToAgent>(payload);
    say_again::<FromAgent>(payload);
});

fn say_again<M: Serialize + DeserializeOwned + PartialEq + Debug>(payload: &[u8]) {
    let Ok(message) = decode::<M>(payload) else { return };
    for frame in [encode(&message), Encoder::default().encode(&message)] {
        let mut buffer = FrameBuffer::new();
        buffer.extend(&frame);
        let said = buffer.next::<M>();
        assert_eq!(said.as_ref().map(Option::as_ref), Ok(Some(&message)));
        assert!(!buffer.is_mid_frame());
    }
}
