//! One message in either direction: nothing panics, and a decoded message is the
//! same after encoding and decoding it again, compressed or not.

#![no_main]

use std::fmt::Debug;

use gjob_core::wire::{Encoder, FrameBuffer, FromAgent, ToAgent, decode, encode};
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;

fuzz_target!(|payload: &[u8]| {
    round_trip::<ToAgent>(payload);
    round_trip::<FromAgent>(payload);
});

fn round_trip<M: Serialize + DeserializeOwned + PartialEq + Debug>(payload: &[u8]) {
    let Ok(message) = decode::<M>(payload) else { return };
    for frame in [encode(&message), Encoder::default().encode(&message)] {
        let mut buffer = FrameBuffer::new();
        buffer.extend(&frame);
        let decoded = buffer.next::<M>();
        assert_eq!(decoded.as_ref().map(Option::as_ref), Ok(Some(&message)));
        assert!(!buffer.is_mid_frame());
    }
}
